// SPDX-License-Identifier: GPL-2.0

//! Statistics and leaks as text. `docs/statistics.md` explains each line.

use kernel::{
    fmt,
    prelude::*, //
};

use crate::{
    abstractions::{
        aging_list::Totals,
        drm::{
            drm_print,
            Printer, //
        }, //
    },
    memory_stats::{
        label::Label,
        leak::{
            Leak,
            LeakState,
            Owner, //
        },
        leak_walk::Found,
        stats::{
            Heap,
            MemoryStats,
            NSEC_PER_MSEC, //
        },
        timing::Timing, //
    },
    uapi::Domain, //
};

impl MemoryStats {
    /// Prints all counters.
    pub(crate) fn print(&self, p: &Printer) {
        self.print_heaps(p);
        self.print_times(p);
        self.print_moves(p);

        drm_print!(p, "\nevents\n");
        for (name, count) in self.events.all() {
            drm_print!(p, "{:<14} {:>16}\n", name, count);
        }

        drm_print!(p, "\nfailed allocations\n");
        for (_, name, count) in self.failures() {
            drm_print!(p, "{:<14} {:>16}\n", name, count);
        }

        drm_print!(p, "\nobjects\n");
        for (name, count) in [
            ("live", self.objects_live()),
            ("suspected", self.leaks(LeakState::Suspected)),
            ("confirmed", self.leaks(LeakState::Confirmed)),
        ] {
            drm_print!(p, "{:<14} {:>16}\n", name, count);
        }
    }

    fn print_heaps(&self, p: &Printer) {
        drm_print!(
            p,
            "{:<14} {:>16} {:>16} {:>16} {:>16}\n",
            "heap (bytes)",
            "live",
            "peak",
            "allocated",
            "freed"
        );
        for heap in Heap::ALL {
            let stats = self.heap(heap);

            drm_print!(
                p,
                "{:<14} {:>16} {:>16} {:>16} {:>16}\n",
                heap.name(),
                stats.live.get(),
                stats.peak.get(),
                stats.allocated.get(),
                stats.freed.get()
            );
        }
    }

    fn print_times(&self, p: &Printer) {
        drm_print!(
            p,
            "\n{:<14} {:>16} {:>12} {:>12} {:>12} {:>12}\n",
            "times (ns)",
            "count",
            "average",
            "p50",
            "p99",
            "max"
        );
        for (name, timing) in [
            ("alloc", &self.alloc),
            ("free", &self.free),
            ("move", &self.move_),
        ] {
            print_timing(p, name, timing);
        }
    }

    fn print_moves(&self, p: &Printer) {
        drm_print!(p, "\n{:<14} {:>16} {:>16}\n", "moves", "count", "bytes");
        for from in Domain::ALL {
            for to in Domain::ALL {
                let moves = self.moves(from, to);

                if moves.count.get() > 0 {
                    drm_print!(
                        p,
                        "{:<4} to {:<6} {:>16} {:>16}\n",
                        from.name(),
                        to.name(),
                        moves.count.get(),
                        moves.bytes.get()
                    );
                }
            }
        }
    }

    /// Logs all counters, depending on `debug_level`: 0 never; 1 if `drm.debug` or dynamic debug
    /// enables it; 2 and above always.
    pub(crate) fn debug_print(&self) {
        match (self.debug_level)() {
            0 => (),
            1 => self.print(&Printer::debug()),
            _ => Printer::with_info(&self.dev, |p| self.print(p)),
        }
    }
}

fn print_timing(p: &Printer, name: &str, timing: &Timing) {
    drm_print!(
        p,
        "{:<14} {:>16} {:>12} {:>12} {:>12} {:>12}\n",
        name,
        timing.count(),
        timing.average(),
        timing.percentile(50),
        timing.percentile(99),
        timing.max.get()
    );
}

impl Found {
    /// Prints a piece of `pddgpu_leaks`.
    pub(crate) fn print(&self, p: &Printer) {
        match self {
            Self::Counts {
                suspected,
                confirmed,
            } => drm_print!(p, "{} suspected, {} confirmed\n", suspected, confirmed),
            Self::Process { owner, totals } => print_process(p, owner, totals),
            Self::Leak(leak) => print_leak(p, leak),
        }
    }
}

fn print_process(p: &Printer, owner: &Owner, totals: &Totals) {
    let plural = if totals.members == 1 { "" } else { "s" };

    drm_print!(
        p,
        "\npid {} command {}: {} bytes in {} buffer{}\n",
        owner.pid,
        owner.comm(),
        totals.weight,
        totals.members,
        plural
    );
    drm_print!(
        p,
        "{:>10} {:>14} {:>12} {:<9} {:<9} {:<12} {:>8} {:>14} {:>8} {:<7} why\n",
        "id",
        "size",
        "age_ms",
        "state",
        "placement",
        "domains",
        "client",
        "mmap_offset",
        "dma_buf",
        "creator"
    );
}

fn print_leak(p: &Printer, leak: &Leak) {
    let creator = if leak.creator_exited() {
        "exited"
    } else {
        "lives"
    };

    drm_print!(
        p,
        "{:>10} {:>14} {:>12} {:<9} {:<9} {:<12} {:>8} {:>#14x} {:>8} {:<7} {}\n",
        leak.id,
        leak.size,
        leak.age / NSEC_PER_MSEC,
        leak.state.name(),
        leak.domain.map_or("-", Domain::name),
        leak.param.domains.name(),
        leak.owner.client,
        leak.mmap_offset,
        leak.dma_buf,
        creator,
        Reason(leak)
    );
    if leak.trace.is_some() {
        drm_print!(p, "{}", leak.trace);
    }
}

/// The column `why`: what keeps a buffer alive, and what its program calls it.
pub(super) struct Reason<'a>(pub(super) &'a Leak);

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_orphaned() {
            f.write_str("orphaned")?;
        }

        let mut between = "";
        for (name, count) in [
            ("handles", self.0.handles),
            ("mappings", self.0.mappings),
            ("exports", self.0.exports),
        ] {
            if count > 0 {
                f.write_fmt(fmt!("{}{} {}", between, name, count))?;
                between = ", ";
            }
        }
        if self.0.label != Label::default() {
            f.write_fmt(fmt!(", label {}", self.0.label))?;
        }
        Ok(())
    }
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/memory_stats/report.rs"]
mod kunit;
