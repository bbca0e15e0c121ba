// SPDX-License-Identifier: GPL-2.0

//! The rows of the tables.

use ratatui::{
    layout::Alignment,
    style::{Style, Stylize},
    text::Line,
    widgets::Row,
};

/// A row of headings.
pub fn heading<const N: usize>(cells: [&str; N]) -> Row<'static> {
    row(cells.map(str::to_owned)).style(Style::new().dim())
}

/// A row whose first cell is aligned to the left and all others to the right.
pub fn row<const N: usize>(cells: [String; N]) -> Row<'static> {
    Row::new(cells.into_iter().enumerate().map(|(column, cell)| {
        Line::from(cell).alignment(match column {
            0 => Alignment::Left,
            _ => Alignment::Right,
        })
    }))
}
