// SPDX-License-Identifier: GPL-2.0

//! Draws whose the memory is: the tree, and VRAM as a strip.

use pddgpu::OwnerKind;
use ratatui::{
    layout::{Constraint, Rect},
    style::{Color, Style},
    text::{Line, Span},
    widgets::{Block, Clear, Paragraph, Table, Wrap},
    Frame,
};

use crate::{
    commands::top::{
        screen::cells::{heading, row},
        source::Part,
        state::State,
        view,
    },
    output::units::size,
};

/// The least columns on which there is room for all columns of the table.
const ROOMY: u16 = 80;

/// What the keys do.
const HELP: &str = "\
q, Ctrl-C   quit
s           sort by the next column
t           show cgroups, processes or clients
/           show what has a text in its name
Esc         show all again
↑ ↓ PgUp PgDn Home   scroll
h, ?        this help

The strip is VRAM by who has it:";

/// Draws the tree.
pub fn draw_owners(frame: &mut Frame, area: Rect, state: &mut State) {
    let view = &mut state.view;
    let title = format!(" Owners by {} ", view.sort.name());
    let mut block = Block::bordered().title(title);
    if view.is_editing || !view.filter.is_empty() {
        let cursor = if view.is_editing { "_" } else { "" };
        block = block.title_bottom(format!(" /{}{cursor} ", view.filter));
    }
    if let Some(reason) = &state.now.owners_error {
        let stats = &state.now.stats;
        let text = format!(
            "All together: VRAM {}, GTT {}, CPU {}\nEach for itself: {reason}",
            size(stats.vram_used),
            size(stats.gtt_used),
            size(stats.cpu_used)
        );
        let text = Paragraph::new(text).wrap(Wrap { trim: false });
        return frame.render_widget(text.block(block), area);
    }
    // Two lines are borders, and one the heading.
    let lines = view.lines(&state.now.owners, area.height.saturating_sub(3).into());
    let table = if area.width < ROOMY {
        let rows = lines.iter().map(|line| {
            let (vram, total) = (size(line.node.vram), size(line.node.total()));
            row([name(line), line.node.buffers.to_string(), vram, total])
        });
        let widths = [7, 11, 11].map(Constraint::Length);
        let columns = [Constraint::Fill(1)].into_iter().chain(widths);
        Table::new(rows, columns).header(heading(["", "Buffers", "VRAM", "Total"]))
    } else {
        let rows = lines.iter().map(|line| {
            row([
                name(line),
                line.node.buffers.to_string(),
                size(line.node.vram),
                size(line.node.gtt),
                size(line.node.cpu),
                size(line.node.total()),
            ])
        });
        let widths = [7, 11, 11, 11, 11].map(Constraint::Length);
        let columns = [Constraint::Fill(1)].into_iter().chain(widths);
        Table::new(rows, columns).header(heading(["", "Buffers", "VRAM", "GTT", "CPU", "Total"]))
    };
    frame.render_widget(table.block(block), area);
}

fn name(line: &view::Line<'_>) -> String {
    "  ".repeat(line.depth) + &line.node.name
}

/// What a part of VRAM is drawn as, and what it is called.
fn look(kind: OwnerKind) -> (&'static str, Color, &'static str) {
    match kind {
        OwnerKind::Client => ("█", Color::Cyan, "clients"),
        OwnerKind::Clean => (" ", Color::Reset, "free"),
        OwnerKind::Wiping | OwnerKind::Dirty => ("▒", Color::DarkGray, "free, to be zeroed"),
        OwnerKind::Driver => ("█", Color::Yellow, "driver"),
        OwnerKind::BadPage | OwnerKind::Request => ("█", Color::Red, "reserved"),
        _ => ("▓", Color::Magenta, "buffers without a client"),
    }
}

/// Draws VRAM as a strip, in which each part is as long as its share. What is too small for a cell
/// may have none.
pub fn draw_strip(frame: &mut Frame, area: Rect, parts: &[Part]) {
    let total: u64 = parts.iter().map(|part| part.bytes).sum();
    let cells = u128::from(area.width);
    let mut spans = Vec::new();
    let (mut bytes, mut drawn) = (0, 0);
    for part in parts {
        bytes += part.bytes;
        let end = (u128::from(bytes) * cells / u128::from(total.max(1))) as usize;
        let (symbol, color, _) = look(part.kind);
        spans.push(Span::styled(symbol.repeat(end - drawn), color));
        drawn = end;
    }
    frame.render_widget(Line::from(spans), area);
}

/// Draws what the keys do over everything else.
pub fn draw_help(frame: &mut Frame) {
    let mut lines: Vec<_> = HELP.lines().map(Line::from).collect();
    for kind in [
        OwnerKind::Client,
        OwnerKind::DmaBuf,
        OwnerKind::Driver,
        OwnerKind::Request,
        OwnerKind::Dirty,
        OwnerKind::Clean,
    ] {
        let (symbol, color, name) = look(kind);
        let symbol = Span::styled(symbol.repeat(3), Style::new().fg(color));
        lines.push(Line::from(vec![symbol, Span::raw(format!(" {name}"))]));
    }
    // There may be less room, and two columns and rows more are borders.
    let (columns, rows) = (46, lines.len() as u16 + 2);
    let screen = frame.area();
    let (width, height) = (columns.min(screen.width), rows.min(screen.height));
    let area = Rect {
        x: (screen.width - width) / 2,
        y: (screen.height - height) / 2,
        width,
        height,
    };
    frame.render_widget(Clear, area);
    let block = Block::bordered().title(" Keys ");
    frame.render_widget(Paragraph::new(lines).block(block), area);
}
