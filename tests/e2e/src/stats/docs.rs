// SPDX-License-Identifier: GPL-2.0

//! What the documentation says that commands print is what they print.

use std::process::Command;

use anyhow::{ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu_terminal::Terminal;

use crate::support::{
    examples::{examples, Example},
    fixture::{skip, trials, Bench},
    stats::{await_none, quiet, reset, Settings},
};

pub fn tests() -> Vec<Trial> {
    trials!(card_trial:
        whatever_is_added_or_renamed_is_noticed,
        readme,
        abi,
        statistics,
        tools,
        tracing,
    )
}

/// The chip that the pages show.
const CHIP: u32 = 0x2000;

fn readme(bench: &Bench) -> Result<()> {
    check(bench, include_str!("../../../../README.md"), 1)
}

fn abi(bench: &Bench) -> Result<()> {
    check(bench, include_str!("../../../../docs/abi.md"), 1)
}

fn statistics(bench: &Bench) -> Result<()> {
    check(bench, include_str!("../../../../docs/statistics.md"), 2)
}

fn tools(bench: &Bench) -> Result<()> {
    check(bench, include_str!("../../../../docs/tools.md"), 9)
}

fn tracing(bench: &Bench) -> Result<()> {
    check(bench, include_str!("../../../../docs/tracing.md"), 1)
}

/// Checks all examples of a page, of which there are `count`.
fn check(bench: &Bench, page: &str, count: usize) -> Result<()> {
    if bench.device.chip_id != CHIP {
        return skip("the documentation shows another chip");
    }
    let examples = examples(page)?;
    ensure!(
        examples.len() == count,
        "{} examples, not {count}",
        examples.len()
    );
    let failures = examples
        .iter()
        .filter_map(|example| check_example(bench, example).err());
    let failures: Vec<_> = failures.map(|failure| format!("{failure:#}")).collect();
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}

fn check_example(bench: &Bench, example: &Example) -> Result<()> {
    let _settings = Settings::of(&bench.card)?;
    // As just after the driver was bound.
    await_none(&bench.card)?;
    quiet(&bench.card)?;
    reset(&bench.card)?;
    if example.on_a_screen {
        check_screen(example)
    } else {
        check_output(example)
    }
}

fn check_output(example: &Example) -> Result<()> {
    let output = Command::new("timeout")
        .args(["100", "sh", "-c", &example.command])
        .output()
        .context("cannot run timeout")?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "line {}: {}: {errors}\n{printed}",
        example.line,
        output.status
    );
    example.ensure_like(&printed)
}

fn check_screen(example: &Example) -> Result<()> {
    let mut terminal = Terminal::start("sh", &["-c", &example.command], &[])?;
    let shown = terminal.wait_for("example", |screen| {
        example.ensure_like(&screen.contents()).is_ok()
    });
    shown.with_context(|| format!("line {}:\n{}", example.line, example.output))?;
    terminal.press(b"q")?;
    let status = terminal.wait_for_end()?;
    ensure!(status.success(), "line {}: {status}", example.line);
    Ok(())
}

fn whatever_is_added_or_renamed_is_noticed(_: &Bench) -> Result<()> {
    let page = "Text.\n<!-- checked -->\n```sh\nshow\n```\nThis prints\n```\n\
                heap   live  peak\nVRAM  4 KiB   ~5.5 MiB\n…\nend p99\n```\n\
                <!-- checked: a\nb -->\n```\nx\n```\n";
    let examples = examples(page)?;
    let [first, second] = &examples[..] else {
        anyhow::bail!("{examples:?}");
    };
    ensure!((first.line, second.line) == (7, 15), "{examples:?}");
    ensure!(first.command == "show\n" && second.command == "a\nb");

    first.ensure_like("heap live peak\nVRAM 17.3 GiB   0 B\nend p99\n")?;
    first.ensure_like("heap live peak\nVRAM 0 B 0 B\nmore\nlines\nend p99\n")?;
    for printed in [
        "heap live most\nVRAM 0 B 0 B\nend p99\n",
        "heap live peak\nvram 0 B 0 B\nend p99\n",
        "heap live peak\nVRAM 0 B 0 B 0 B\nend p99\n",
        "heap live peak\nVRAM 0 B\nend p99\n",
        "heap live peak\nVRAM 0 B 0 B\nend p95\n",
        "heap live peak\nGTT 0 B 0 B\nVRAM 0 B 0 B\nend p99\n",
        "heap live peak\nVRAM 0 B 0 B\nend p99\nmore\n",
        "",
    ] {
        ensure!(first.ensure_like(printed).is_err(), "{printed}");
    }
    Ok(())
}
