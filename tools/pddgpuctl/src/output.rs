// SPDX-License-Identifier: GPL-2.0

//! How sizes are read and written, tables aligned and JSON printed.

use std::io::{self, Write};

use anyhow::Result;
use serde::Serialize;

const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];

/// Writes bytes in the largest unit that is not below one, with one decimal where it is not whole
/// and `~` where that decimal is rounded.
pub fn size(bytes: u64) -> String {
    let power = (bytes.checked_ilog2().unwrap_or(0) / 10).min(UNITS.len() as u32 - 1);
    let unit = UNITS[power as usize];
    let one = 1u64 << (10 * power);
    if bytes % one == 0 {
        return format!("{} {unit}", bytes / one);
    }
    let about = if u128::from(bytes) * 10 % u128::from(one) == 0 {
        ""
    } else {
        "~"
    };
    format!("{about}{:.1} {unit}", bytes as f64 / one as f64)
}

/// Reads bytes with an optional unit: 4096, 64K, 1M, 2GiB.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits
        .trim()
        .parse()
        .map_err(|_| format!("'{text}' is no size"))?;
    let unit = &text[digits.len()..];
    let is = |name: &str| unit.eq_ignore_ascii_case(name);
    let power = UNITS
        .iter()
        .position(|name| is(name) || is(&name[..1]) || unit.is_empty())
        .ok_or_else(|| format!("'{unit}' is no unit: there are K, M, G and T"))?;
    number
        .checked_mul(1 << (10 * power))
        .ok_or_else(|| format!("{text} is too much"))
}

/// Writes a GPU address, if there is one.
pub fn address(address: Option<u64>) -> String {
    address.map_or_else(|| "-".to_owned(), |address| format!("{address:#013x}"))
}

/// Prints a value as JSON.
pub fn json(value: &impl Serialize) -> Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)?;
    Ok(())
}

/// Rows below a heading, aligned: the first column to the left, the others to the right.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new<const N: usize>(heading: [&str; N]) -> Self {
        Self {
            rows: vec![heading.map(str::to_owned).to_vec()],
        }
    }

    pub fn row<const N: usize>(&mut self, row: [String; N]) {
        self.rows.push(row.to_vec());
    }

    pub fn lines(&self) -> impl Iterator<Item = String> + '_ {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|c| {
                self.rows
                    .iter()
                    .filter_map(|r| r.get(c))
                    .map(String::len)
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        self.rows.iter().map(move |row| {
            let cells = row
                .iter()
                .zip(&widths)
                .enumerate()
                .map(|(c, (cell, &width))| match c {
                    0 => format!("{cell:<width$}"),
                    _ => format!("  {cell:>width$}"),
                });
            cells.collect::<String>().trim_end().to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short_and_say_when_they_are_rounded() {
        for (bytes, text) in [
            (0, "0 B"),
            (4095, "~4.0 KiB"),
            (4096, "4 KiB"),
            (1 << 20, "1 MiB"),
            (3 << 29, "1.5 GiB"),
            ((1 << 30) - 4096, "~1024.0 MiB"),
            (1 << 44, "16 TiB"),
            (u64::MAX, "~16777216.0 TiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn sizes_are_read_with_and_without_units() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("64K", 65536),
            ("1m", 1 << 20),
            ("2 GiB", 2 << 30),
        ] {
            assert_eq!(parse_size(text), Ok(bytes));
        }
        for text in ["", "M", "1X", "-1", "1.5M", "99999999T", "1KB"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn tables_are_aligned() {
        let mut table = Table::new(["Heap", "Used"]);
        table.row(["VRAM".into(), "1 MiB".into()]);
        table.row(["A long one".into(), "0 B".into()]);
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(
            lines,
            [
                "Heap         Used",
                "VRAM        1 MiB",
                "A long one    0 B"
            ]
        );
    }
}
