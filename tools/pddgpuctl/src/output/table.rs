// SPDX-License-Identifier: GPL-2.0

//! Tables whose columns are aligned.

use anyhow::Result;

use crate::output::stdout;

/// Rows below a heading. The first column is aligned to the left, all others to the right.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub fn new<const N: usize>(heading: [&str; N]) -> Self {
        Self {
            rows: vec![heading.map(str::to_owned).to_vec()],
        }
    }

    /// Adds a row at the end.
    pub fn row<const N: usize>(&mut self, row: [String; N]) {
        self.rows.push(row.to_vec());
    }

    /// Prints the heading and the rows.
    pub fn print(&self) -> Result<()> {
        stdout::print_lines(self.lines())
    }

    /// The heading and the rows, each as one line.
    pub fn lines(&self) -> impl Iterator<Item = String> + '_ {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|c| {
                self.rows
                    .iter()
                    .filter_map(|r| r.get(c))
                    .map(|cell| cell.chars().count())
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

/// Prints each name with the value that belongs to it.
pub fn print_fields(fields: &[(&str, String)]) -> Result<()> {
    let lines = fields.iter();
    stdout::print_lines(lines.map(|(name, value)| format!("{name:<14} {value}")))
}

#[cfg(test)]
mod tests {
    use super::*;

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
