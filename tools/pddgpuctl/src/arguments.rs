// SPDX-License-Identifier: GPL-2.0

//! The command line. The manual pages are made of these comments.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::commands::{create, export, leaks, metrics, owners, stats, top, transfer, watch};

/// The heading of options that all commands have.
const EVERYWHERE: &str = "Options of every command";

/// Show and try out the memory of PDDGPU cards.
///
/// All figures come from the driver of the card. In the output, sizes are in B, KiB, MiB, GiB or
/// TiB, with ~ before a size that is rounded. Times are in ns, µs, ms or s. The exit status is 0
/// when the command succeeded and 1 when it failed. Errors are printed to the standard error.
#[derive(Parser)]
#[command(name = "pddgpuctl", version)]
pub struct Arguments {
    /// Use the card with this device node.
    ///
    /// An example is /dev/dri/renderD128. Without this option, the render node of the first PDDGPU
    /// card is used.
    #[arg(long, global = true, value_name = "PATH", help_heading = EVERYWHERE)]
    pub(crate) device: Option<PathBuf>,

    /// Print JSON instead of text.
    ///
    /// All numbers in it are plain. Sizes and addresses are in bytes. The names of times end with
    /// their unit, _ns or _ms.
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Print what the card is and which limits it sets.
    ///
    /// The output has the chip and its features, the size and the GPU address of VRAM and of the
    /// GTT window, how much of VRAM the CPU can reach, the size of the largest buffer in the CPU
    /// domain, and the largest alignment that may be asked for.
    Info,

    /// Create a buffer, print where it is, and free it.
    ///
    /// The driver places the buffer in the first of its domains that has room for it, in the order
    /// VRAM, GTT, CPU. The memory of a new buffer reads as zeros.
    Create(create::Arguments),

    /// Print every buffer of every client.
    ///
    /// The list comes from debugfs, which only root may read. Buffers of which no client has a
    /// handle come last. A buffer that is shared by several clients is listed for each of them.
    List,

    /// Print what each client has of the card: memory, and time of the copy engine.
    ///
    /// The figures come from /proc/PID/fdinfo. A process may read that of its own user's processes,
    /// and root that of all. Memory is counted where it is. Shared is what other clients have, too.
    /// Displaced is what should be in VRAM and is elsewhere.
    Clients,

    /// Print what each client may have of VRAM, and what it has.
    ///
    /// The budget is what a client could have at present if it wanted all of VRAM. Wanted is what
    /// should be there, and displaced what of that is elsewhere. None of what a client has reserved
    /// is taken from it. The figures come from /proc/PID/fdinfo, as those of the command clients.
    Budget,

    /// Have the card copy memory from one domain to another, check the copy, and print the rate.
    Copy(transfer::CopyArguments),

    /// Have the card fill memory with a value, check it, and print the rate.
    Fill(transfer::FillArguments),

    /// Run a command that gets a buffer as a dma-buf.
    ///
    /// The command inherits the dma-buf as an open file, and finds its number in the variable
    /// PDDGPU_DMABUF. When it has ended the buffer is freed, unless somebody else still has the
    /// dma-buf. The exit status is that of the command.
    Export(export::Arguments),

    /// Print how much of each kind of memory is in use.
    ///
    /// What is reserved is also in use. Usable is what buffers may take up, all together. Visible
    /// is what the CPU can reach.
    Heaps,

    /// Print what the driver has counted: bytes, times, moves, failures and leaks.
    ///
    /// Totals are since the driver was bound to the card, or since the statistics were reset.
    /// Percentiles (p50, p99) are upper bounds, because the driver counts times by powers of two.
    /// Moves in directions and creations with errors that never occurred are left out.
    #[command(after_long_help = stats::counters_help())]
    Stats(stats::Arguments),

    /// Print whose each byte of the card's memory is.
    ///
    /// Each heap is the sum of what its clients have, what nobody has a handle of, what is on its way
    /// or being freed, what the driver needs, what is reserved, and what is free. All figures are of
    /// one moment. A buffer that several clients have counts for one of them. Without CAP_PERFMON or
    /// CAP_SYS_ADMIN, other clients are one entry.
    Owners(owners::Arguments),

    /// Print the buffers that have been alive for suspiciously long, and what keeps them alive.
    ///
    /// The buffers are sorted by the process that created them. Processes and their buffers come by
    /// size, the largest first. Handles, mappings, exports (dma-bufs) and pins keep a buffer
    /// alive. A buffer without any of these is orphaned. The kernel only lists other clients'
    /// buffers for processes with CAP_PERFMON or CAP_SYS_ADMIN; for all others the output says how
    /// many it does not show.
    Leaks(leaks::Arguments),

    /// Print all figures for Prometheus, write them to a file, or answer scrapes.
    ///
    /// They are in the format of OpenMetrics: every heap, whose each byte is, what was taken, given
    /// back, moved, evicted and refused, and how long operations took.
    Metrics(metrics::Arguments),

    /// Show the card's memory and its clients on the full screen, as they change.
    ///
    /// With --json, its figures are printed once instead. The screen has the use of each kind of memory now and before, operations with their rates
    /// and times, leaks, and what each client takes up. Each column of a bar is one refresh, the
    /// latest at the right. The list of clients comes from debugfs, which only root may read. q
    /// and ^C end the program.
    Top(top::Arguments),

    /// Print what the driver tells a client about its memory, as it comes.
    ///
    /// That is how the budget of a program changes that starts now, and that the card has broken. A
    /// client is told of its own buffers only. With --json each line is an event.
    Watch(watch::Arguments),

    /// Show, and check from both sides, that the card's memory works.
    ///
    /// The steps create buffers in each domain, in one and in several ranges, and move one out of
    /// VRAM and back. With the virtual card their content is also checked from the card's side.
    /// The exit status is 0 if all steps passed and 1 otherwise.
    Demo,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::CommandFactory;
    use pddgpu::{CreateFlags, Domains};

    use super::*;

    fn parse(line: &str) -> Arguments {
        Arguments::parse_from(line.split(' '))
    }

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn global_options_may_follow_the_command() {
        let arguments = parse("pddgpuctl heaps --json --device /x");
        assert!(arguments.json);
        assert_eq!(arguments.device, Some("/x".into()));
    }

    #[test]
    fn a_buffer_is_described_in_words() {
        let line = "pddgpuctl create --size 1M --domain vram,gtt --flags contiguous --hold";
        let Command::Create(create) = parse(line).command else {
            panic!("create is the command");
        };
        assert_eq!(create.size, 1 << 20);
        assert_eq!(create.domain, Domains::VRAM | Domains::GTT);
        assert_eq!(create.flags, CreateFlags::VRAM_CONTIGUOUS);
        assert!(create.hold);
    }

    #[test]
    fn statistics_are_watched_every_second_if_nothing_else_is_said() {
        for (option, seconds) in [("--watch", 1), ("--watch=3", 3)] {
            let Command::Stats(stats) = parse(&format!("pddgpuctl stats {option}")).command else {
                panic!("stats is the command");
            };
            assert_eq!(stats.watch, Some(Duration::from_secs(seconds)));
        }
    }
}
