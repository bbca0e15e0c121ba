// SPDX-License-Identifier: GPL-2.0

//! What tools for graphics cards, which know nothing of this driver, show of the card.
//! `make test-tools` has them in the VM.

use std::{
    env,
    fs::{self, File},
    path::Path,
    process::Command,
};

use anyhow::{ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::{Create, Domains};
use pddgpu_terminal::Terminal;

use crate::support::{
    driver::slot,
    engine::finish,
    fixture::{skip, trials, Bench},
    nodes::{primary_node, set_client_name},
};

pub fn tests() -> Vec<Trial> {
    trials!(card_trial:
        lsgpu_lists_the_card,
        drm_info_leaves_out_cards_without_a_display,
        gputop_shows_the_client_with_its_memory,
        nvtop_has_no_code_for_this_driver,
        promtool_finds_nothing_wrong_with_the_metrics,
    )
}

/// Ends a test in a VM without the tool.
fn need(tool: &str) -> Result<()> {
    if !Path::new("/usr/local/bin").join(tool).exists() {
        return skip(format!("this VM has no {tool}; make test-tools has it"));
    }
    Ok(())
}

/// What a tool prints, and what it complains of.
fn output(tool: &str, arguments: &[&str]) -> Result<(String, String)> {
    need(tool)?;
    let output = Command::new(tool).args(arguments).output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, complaints) = (text(&output.stdout), text(&output.stderr));
    ensure!(output.status.success(), "{tool}: {out}{complaints}");
    Ok((out, complaints))
}

fn lsgpu_lists_the_card(bench: &Bench) -> Result<()> {
    let (text, _) = output("lsgpu", &[])?;
    let render = format!("drm:{}", bench.card.path().display());
    let primary = format!("drm:{}", primary_node(&bench.card)?.display());
    let id = format!("1af4:{:04x}", 0x10f0 + (bench.device.chip_id >> 12));
    ensure!(text.contains(&render), "no {render}: {text}");
    let line = text.lines().find(|line| line.ends_with(&primary));
    let line = line.with_context(|| format!("no {primary}: {text}"))?;
    ensure!(line.contains(&id), "not {id}: {line}");
    Ok(())
}

/// `drm_info` 2.6 leaves out devices that have no display (`drmModeGetResources()`).
fn drm_info_leaves_out_cards_without_a_display(bench: &Bench) -> Result<()> {
    let (text, complaints) = output("drm_info", &["-j"])?;
    let node = primary_node(&bench.card)?;
    ensure!(!text.contains("pddgpu"), "it knows the card: {text}");
    ensure!(
        complaints.contains("drmModeGetResources: Operation not supported")
            && complaints.contains(&format!("from {}", node.display())),
        "{complaints}"
    );
    Ok(())
}

fn gputop_shows_the_client_with_its_memory(bench: &Bench) -> Result<()> {
    need("gputop")?;
    let buffer = bench.card.create(Create::new(12 << 20, Domains::VRAM))?;
    finish(&buffer)?;
    let top = Terminal::start("gputop", &["-d", "1"], &[])?;
    top.wait_for("client with 12 MiB", |screen| {
        let text = screen.contents();
        let shown = |line: &str| line.contains("pddgpu-e2e") && line.contains("12M");
        text.contains("copy") && text.lines().any(shown)
    })
}

/// `nvtop` 3.2 asks the drivers that it has code for one by one, each by its name, before it looks at
/// any client. If it finds out about others one day, this test says so.
fn nvtop_has_no_code_for_this_driver(bench: &Bench) -> Result<()> {
    let text = output("nvtop", &["-s"])?.0;
    let address = slot(&bench.card)?;
    ensure!(!text.contains(&address), "it knows {address}: {text}");
    ensure!(text.contains("No GPU to monitor"), "{text}");
    Ok(())
}

/// Names that try to end a label, a line and the file.
const HOSTILE: (&str, &str) = ("a\"} 1 \\", "x\\\",y=\"z\"}#EOF");

fn promtool_finds_nothing_wrong_with_the_metrics(bench: &Bench) -> Result<()> {
    need("promtool")?;
    let comm = "/proc/self/comm";
    let before = fs::read_to_string(comm)?;
    fs::write(comm, HOSTILE.0)?;
    set_client_name(&bench.card, HOSTILE.1)?;
    let _buffer = bench.card.create(Create::new(4096, Domains::VRAM))?;
    let path = env::temp_dir().join("pddgpu.prom");
    let written = Command::new("pddgpuctl")
        .args(["metrics", "--textfile"])
        .arg(&path)
        .output();
    fs::write(comm, before.trim_end())?;
    let written = written?;
    ensure!(written.status.success(), "{written:?}");
    let text = fs::read_to_string(&path)?;
    ensure!(text.contains("pddgpu_owner_bytes{"), "{text}");
    ensure!(
        text.contains("pddgpu_heap_allocated_bytes_total{"),
        "{text}"
    );

    let checked = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(File::open(&path)?)
        .output()?;
    fs::remove_file(path)?;
    // What it does not like, but can read, it says on standard error.
    ensure!(
        checked.status.success() && checked.stderr.is_empty(),
        "{checked:?}: {text}"
    );
    Ok(())
}
