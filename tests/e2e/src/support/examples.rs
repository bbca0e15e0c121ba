// SPDX-License-Identifier: GPL-2.0

//! Examples in the documentation: a command, and what it prints.
//!
//! A comment in the Markdown marks an example that is checked:
//!
//! - `<!-- checked -->` stands before two fenced blocks, which are the command and its output.
//! - `<!-- checked: COMMAND -->` stands before one fenced block, which is the output of a command
//!   that the page does not show.
//! - `<!-- checked on a screen -->` is the same as the first for a command that fills a screen.
//!
//! The output has the same *shape* as the example: the same lines with the same words. Numbers and
//! their units may differ, and so may the width of columns and the height of bars. A line `…` in the
//! example stands for any lines.

use std::sync::LazyLock;

use anyhow::{bail, ensure, Context, Result};
use regex_lite::Regex;

const MARK: &str = "<!-- checked";
const ON_A_SCREEN: &str = " on a screen";
const FENCE: &str = "```";
const ANY_LINES: &str = "…";

/// A command that a page shows, with its output.
#[derive(Debug, PartialEq, Eq)]
pub struct Example {
    /// The line of the page that the output begins after.
    pub line: usize,
    /// What the shell runs.
    pub command: String,
    /// Whether it fills a screen until a key ends it.
    pub on_a_screen: bool,
    /// What the page says that it prints.
    pub output: String,
}

/// The next fenced block, with the number of the line that it begins after.
fn block<'a>(lines: &mut impl Iterator<Item = (usize, &'a str)>) -> Result<(usize, String)> {
    let (start, _) = lines
        .find(|(_, line)| line.starts_with(FENCE))
        .context("no fenced block")?;
    let mut block = String::new();
    for (_, line) in lines {
        if line.starts_with(FENCE) {
            return Ok((start, block));
        }
        block += line;
        block.push('\n');
    }
    bail!("the block of line {start} does not end")
}

/// All examples of a page that are checked.
pub fn examples(page: &str) -> Result<Vec<Example>> {
    let mut lines = (1..).zip(page.lines());
    let mut examples = Vec::new();
    while let Some((number, first)) = lines.find(|(_, line)| line.starts_with(MARK)) {
        let mut mark = first.to_owned();
        while !mark.contains("-->") {
            let (_, line) = lines.next().with_context(|| format!("line {number}"))?;
            mark += "\n";
            mark += line;
        }
        let (mark, _) = mark.split_once("-->").context("the comment ends")?;
        let mark = mark.strip_prefix(MARK).context("the comment is a mark")?;
        let (on_a_screen, mark) = mark
            .strip_prefix(ON_A_SCREEN)
            .map_or((false, mark), |rest| (true, rest));
        let command = match mark.strip_prefix(':') {
            Some(command) => command.trim().to_owned(),
            None if mark.trim().is_empty() => block(&mut lines)?.1,
            None => bail!("line {number}: what is '{}'?", mark.trim()),
        };
        let (line, output) = block(&mut lines)?;
        examples.push(Example {
            line,
            command,
            on_a_screen,
            output,
        });
    }
    Ok(examples)
}

/// A line without what may differ: each number with its unit is a `#`, and there are no bars.
fn shape(line: &str) -> String {
    // Names like p99 keep their number, as only it tells them from others.
    static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
        let number = "~?(0x[0-9a-f]+|[0-9]+([.][0-9]+)?)";
        let unit = "( (B|KiB|MiB|GiB|TiB|ns|µs|ms|s)\\b)?";
        Regex::new(&format!("(?<before>^|[^a-z0-9]){number}{unit}")).expect("it is a pattern")
    });
    let line = line.replace(|char| ('▁'..='█').contains(&char), " ");
    let line = NUMBER.replace_all(&line, "$before#");
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether `printed` has the lines that are `documented`.
fn agree(documented: &[String], printed: &[String]) -> bool {
    match documented {
        [] => printed.is_empty(),
        [any, rest @ ..] if any == ANY_LINES => {
            (0..=printed.len()).any(|count| agree(rest, &printed[count..]))
        }
        [line, rest @ ..] => printed.first() == Some(line) && agree(rest, &printed[1..]),
    }
}

impl Example {
    /// Checks that what the command printed has the shape that the page shows.
    pub fn ensure_like(&self, printed: &str) -> Result<()> {
        let shapes = |text: &str| text.trim_end().lines().map(shape).collect::<Vec<_>>();
        let (documented, shapes) = (shapes(&self.output), shapes(printed));
        let strange = |others: &[String], lines: &[String]| {
            let lines = lines.iter().filter(|line| !others.contains(line));
            lines.cloned().collect::<Vec<_>>()
        };
        ensure!(
            agree(&documented, &shapes),
            "line {}: the output of\n{}\nis not as the page shows it.\nOnly on the page: {:#?}\n\
             Only printed: {:#?}\nIt printed\n{printed}",
            self.line,
            self.command.trim_end(),
            strange(&shapes, &documented),
            strange(&documented, &shapes),
        );
        Ok(())
    }
}
