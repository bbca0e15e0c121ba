// SPDX-License-Identifier: GPL-2.0

//! `pddgpuctl` on a real driver.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Output, Stdio},
};

use anyhow::{ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::{gem_list, Domain};
use rustix::process::{kill_process, Pid, Signal};
use serde_json::Value;

use crate::support::fixture::{trials, Bench};

pub fn tests() -> Vec<Trial> {
    trials!(card_trial:
        info_is_what_the_driver_says,
        heaps_are_what_the_driver_says,
        create_tells_where_the_buffer_went,
        create_holds_until_interrupted,
        list_shows_other_processes,
        export_gives_a_command_a_dma_buf,
        errors_go_to_stderr_with_a_status,
        a_closed_pipe_ends_it_in_silence,
        a_full_disk_is_an_error,
        every_command_prints_json,
        who_asks_is_not_listed,
    )
}

/// Command lines that print something and end.
const COMMANDS: [&str; 13] = [
    "--help",
    "--version",
    "create --help",
    "info",
    "create --size 4K --domain cpu",
    "list",
    "clients",
    "copy --size 4K --count 1",
    "fill --size 4K --count 1",
    "heaps",
    "stats",
    "leaks",
    "owners",
];

/// Runs a command line in a shell, with its output going where that says.
fn shell(arguments: &str, output: &str) -> Result<Output> {
    let line = format!("pddgpuctl {arguments} {output}");
    Ok(Command::new("sh").args(["-c", &line]).output()?)
}

fn a_closed_pipe_ends_it_in_silence(_: &Bench) -> Result<()> {
    let held = "create --size 4K --domain cpu --hold";
    for arguments in COMMANDS
        .into_iter()
        .chain([held, "stats --watch=0.1", "demo"])
    {
        // It begins when the reader has gone.
        let mut reader = Command::new("true").stdin(Stdio::piped()).spawn()?;
        let pipe = reader.stdin.take().context("stdin is a pipe")?;
        reader.wait()?;
        let output = Command::new("pddgpuctl")
            .args(arguments.split(' '))
            .stdout(pipe)
            .stderr(Stdio::piped())
            .spawn()?
            .wait_with_output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(141), "{arguments}: {output:?}");
        ensure!(errors.is_empty(), "{arguments}: {errors}");
    }
    Ok(())
}

fn a_full_disk_is_an_error(_: &Bench) -> Result<()> {
    for arguments in COMMANDS {
        let output = shell(arguments, ">/dev/full")?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(1), "{arguments}: {output:?}");
        ensure!(errors.contains("No space left"), "{arguments}: {errors}");
    }
    Ok(())
}

fn every_command_prints_json(_: &Bench) -> Result<()> {
    for arguments in COMMANDS.into_iter().filter(|line| !line.contains("--help")) {
        if arguments != "--version" {
            json(arguments)?;
        }
    }
    json("top").map(drop)
}

fn who_asks_is_not_listed(_: &Bench) -> Result<()> {
    for arguments in ["list", "clients", "owners"] {
        let listed = json(arguments)?.to_string();
        ensure!(!listed.contains("\"pddgpuctl\""), "{arguments}: {listed}");
    }
    Ok(())
}

fn run(arguments: &str) -> Result<Output> {
    let output = Command::new("pddgpuctl")
        .args(arguments.split(' '))
        .output();
    output.context("cannot run pddgpuctl")
}

fn json(arguments: &str) -> Result<Value> {
    let output = run(&format!("--json {arguments}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{arguments}: {errors}");
    serde_json::from_slice(&output.stdout).with_context(|| format!("{arguments}: no JSON"))
}

fn info_is_what_the_driver_says(bench: &Bench) -> Result<()> {
    let info = json("info")?;
    ensure!(info["vram_size"] == bench.device.vram_size, "{info}");
    ensure!(info["chip_id"] == bench.device.chip_id, "{info}");
    let text = run("info")?;
    ensure!(
        String::from_utf8_lossy(&text.stdout).contains("VRAM"),
        "{text:?}"
    );
    Ok(())
}

fn heaps_are_what_the_driver_says(bench: &Bench) -> Result<()> {
    let heaps = json("heaps")?;
    for (index, heap) in bench.card.heaps()?.iter().enumerate() {
        ensure!(heaps[index]["domain"] == heap.domain.to_string(), "{heaps}");
        ensure!(heaps[index]["total"] == heap.total, "{heaps}");
        ensure!(heaps[index]["used"] == heap.used, "{heaps}");
    }
    Ok(())
}

fn create_tells_where_the_buffer_went(_: &Bench) -> Result<()> {
    let created = json("create --size 1M --domain vram,gtt --flags contiguous --alignment 64K")?;
    ensure!(
        created["size"] == 1 << 20 && created["alignment"] == 64 << 10,
        "{created}"
    );
    ensure!(created["placement"] == "VRAM", "{created}");
    ensure!(
        created["gpu_addr"]
            .as_u64()
            .is_some_and(|addr| addr % (64 << 10) == 0),
        "{created}"
    );
    Ok(())
}

fn create_holds_until_interrupted(bench: &Bench) -> Result<()> {
    let before = bench.card.heaps()?;
    let mut holder = Command::new("pddgpuctl")
        .args(["create", "--size", "4M", "--domain", "gtt", "--hold"])
        .stdout(Stdio::piped())
        .spawn()?;
    let lines = BufReader::new(holder.stdout.take().context("stdout is a pipe")?).lines();
    for line in lines {
        if line?.starts_with("Held") {
            break;
        }
    }
    ensure!(
        bench.card.heaps()?[1].used == before[1].used + (4 << 20),
        "not held"
    );
    kill_process(Pid::from_child(&holder), Signal::INT)?;
    let status = holder.wait()?;
    ensure!(status.success(), "{status}");
    ensure!(bench.card.heaps()? == before, "still held");
    Ok(())
}

fn list_shows_other_processes(bench: &Bench) -> Result<()> {
    let buffer = bench
        .card
        .create(pddgpu::Create::new(12288, pddgpu::Domains::GTT))?;
    let listed = json("list")?;
    let clients = gem_list::read(&bench.card)?;
    let own = clients
        .iter()
        .find(|c| !c.buffers.is_empty())
        .context("not listed")?;
    let found = listed
        .as_array()
        .and_then(|all| all.iter().find(|c| c["id"].as_u64() == own.id));
    let found = found.with_context(|| format!("client {:?}: {listed}", own.id))?;
    ensure!(found["buffers"][0]["size"] == buffer.size(), "{found}");
    ensure!(found["pid"] == std::process::id(), "{found}");
    Ok(())
}

fn export_gives_a_command_a_dma_buf(bench: &Bench) -> Result<()> {
    let before = bench.heap(Domain::Gtt)?;
    let script =
        "test -e /proc/self/fd/$PDDGPU_DMABUF && cat /proc/self/fdinfo/$PDDGPU_DMABUF; exit 7";
    let output = Command::new("pddgpuctl")
        .args([
            "export",
            "--size",
            "8K",
            "--read-only",
            "--",
            "sh",
            "-c",
            script,
        ])
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.code() == Some(7), "{output:?}");
    ensure!(
        text.contains("size:\t8192\n") && text.contains("exp_name:\tpddgpu\n"),
        "{text}"
    );
    bench.await_heap(&before)
}

fn errors_go_to_stderr_with_a_status(_: &Bench) -> Result<()> {
    for (arguments, message) in [
        ("create --size 0 --domain vram", "at least 1 byte"),
        ("create --size 1M --domain -", "vram, gtt, cpu"),
        ("create --size 1M --domain moon", "there are vram, gtt, cpu"),
        (
            "create --size 1M --domain vram --flags cheap",
            "there are cpu-access-required, no-cpu-access, cleared, contiguous",
        ),
        (
            "create --size 1M --domain vram --flags cpu-access-required,no-cpu-access",
            "exclude each other",
        ),
        (
            "create --size 1M --domain vram --alignment 3",
            "power of two",
        ),
        (
            "create --size 1M --domain vram --alignment 1G",
            "aligns to 1 MiB",
        ),
        ("create --size 1T --domain vram,gtt", "VRAM takes up to"),
        ("copy --size 6", "multiple of 4"),
        ("copy --count 0", "0 is not in 1.."),
        ("creat --size 1", "The commands are info, create,"),
        ("--device /dev/null info", "/dev/null: no card"),
        ("--device /dev info", "/dev: no card"),
        ("--device /dev/nothing info", "/dev/nothing: No such file"),
    ] {
        let output = run(arguments)?;
        ensure!(!output.status.success(), "{arguments} succeeded");
        ensure!(output.stdout.is_empty(), "{arguments}: {output:?}");
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(errors.contains(message), "{arguments}: {errors}");
    }
    Ok(())
}
