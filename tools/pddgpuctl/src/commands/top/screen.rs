// SPDX-License-Identifier: GPL-2.0

//! Draws the state. It does nothing else, so that a test can check every cell.

mod cells;
mod owners;

use pddgpu::{LeakState, MemoryStats, TimeStats};
use ratatui::{
    layout::{Constraint, Layout, Rect},
    style::{Color, Style, Stylize},
    text::{Line, Span},
    widgets::{Block, Paragraph, RenderDirection, Row, Sparkline, Table},
    Frame,
};

use crate::{
    commands::top::{
        screen::{
            cells::{heading, row},
            owners::{draw_help, draw_owners, draw_strip},
        },
        state::{Bars, State},
    },
    output::{
        text::{plural, printable},
        units::{age, duration, size},
    },
};

/// Columns to the left of the bars. The longest name and figure fit into them.
const LABEL: u16 = 30;

/// Columns of the bars of what was moved.
const TRAFFIC: u16 = 12;

/// The least rows and columns on which there is room for everything.
const ROOMY: (u16, u16) = (20, 80);

/// Draws the whole screen, or what matters most where it is small.
pub fn draw(frame: &mut Frame, state: &mut State) {
    let area = frame.area();
    if area.height < ROOMY.0 || area.width < ROOMY.1 {
        draw_small(frame, state);
    } else {
        draw_roomy(frame, state);
    }
    if state.view.is_help {
        draw_help(frame);
    }
}

/// A line for each kind of memory, VRAM as a strip, and the owners.
fn draw_small(frame: &mut Frame, state: &mut State) {
    let memory = state.bars.len().try_into().unwrap_or(u16::MAX);
    let [title, memory, strip, leaks, owners, footer] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(memory),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(Line::from(state.title.as_str()).bold(), title);
    let lines: Vec<_> = state.bars.iter().map(bars_line).collect();
    frame.render_widget(Paragraph::new(lines), memory);
    draw_strip(frame, strip, &state.now.vram);
    frame.render_widget(leaks_line(&state.now.stats), leaks);
    draw_owners(frame, owners, state);
    draw_footer(frame, footer, state);
}

/// How full one kind of memory is, in one line.
fn bars_line(bars: &Bars) -> Line<'static> {
    Line::from(vec![
        Span::styled(
            format!("{:<13}", bars.name),
            Style::new().fg(color(bars)).bold(),
        ),
        Span::raw(format!("{:>5.1} %  ", share(bars))),
        Span::raw(format!("{} of {}", size(bars.used), size(bars.total))),
    ])
}

/// Draws all there is.
fn draw_roomy(frame: &mut Frame, state: &mut State) {
    // On 24 rows these weights leave two rows for each kind of memory and three for owners.
    let [title, memory, middle, owners, footer] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Fill(5),
        Constraint::Length((frame.area().height / 4).max(6)),
        Constraint::Fill(3),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    let [operations, leaks] =
        Layout::horizontal([Constraint::Length(54), Constraint::Fill(1)]).areas(middle);

    draw_title(frame, title, state);
    draw_memory(frame, memory, state);
    draw_operations(frame, operations, state);
    draw_leaks(frame, leaks, state);
    draw_owners(frame, owners, state);
    draw_footer(frame, footer, state);
}

/// The keys, and the bytes a second that were moved.
fn draw_footer(frame: &mut Frame, area: Rect, state: &State) {
    let [keys, rate, graph] = Layout::horizontal([
        Constraint::Fill(1),
        Constraint::Length(18),
        Constraint::Length(TRAFFIC),
    ])
    .areas(area);
    let text = format!(
        "q quits, h helps   every {} s",
        state.interval.as_secs_f64()
    );
    frame.render_widget(Line::from(text).dim(), keys);
    let moved = format!("moved {}/s ", size(state.rates.moved as u64));
    frame.render_widget(Line::from(moved).right_aligned(), rate);
    frame.render_widget(
        Sparkline::default()
            .data(state.traffic.iter().copied())
            .direction(RenderDirection::RightToLeft)
            .style(Color::Magenta),
        graph,
    );
}

fn color(bars: &Bars) -> Color {
    match bars.name {
        "GTT" => Color::Green,
        "CPU" => Color::Yellow,
        _ => Color::Cyan,
    }
}

/// The part that is in use now, in percent.
fn share(bars: &Bars) -> f64 {
    bars.history.front().map_or(0.0, |&part| part as f64 / 10.0)
}

fn draw_title(frame: &mut Frame, area: Rect, state: &State) {
    let stats = &state.now.stats;
    let buffers = format!(
        "{} alive, {} created",
        plural(stats.objects_live, "buffer"),
        stats.total_allocations
    );
    frame.render_widget(Line::from(state.title.as_str()).bold(), area);
    frame.render_widget(Line::from(buffers).right_aligned(), area);
}

fn draw_memory(frame: &mut Frame, area: Rect, state: &State) {
    let block = Block::bordered().title(" Memory ");
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let rows = Layout::vertical(state.bars.iter().map(|_| Constraint::Fill(1))).split(inner);
    for (bars, &row) in state.bars.iter().zip(rows.iter()) {
        draw_bars(frame, row, bars);
    }
    // In the lower border, between its corners.
    let strip = Rect {
        y: area.bottom().saturating_sub(1),
        height: area.height.min(1),
        ..inner
    };
    draw_strip(frame, strip, &state.now.vram);
}

fn draw_bars(frame: &mut Frame, area: Rect, bars: &Bars) {
    let [label, graph] =
        Layout::horizontal([Constraint::Length(LABEL), Constraint::Fill(1)]).areas(area);
    let color = color(bars);
    let mut lines = vec![
        Line::from(vec![
            Span::styled(format!("{:<13}", bars.name), Style::new().fg(color).bold()),
            Span::raw(format!("{:>5.1} %", share(bars))),
        ]),
        Line::from(format!("{} of {}", size(bars.used), size(bars.total))),
    ];
    if let Some(peak) = bars.peak {
        lines.push(Line::from(format!("peak {}", size(peak))));
    }
    frame.render_widget(Paragraph::new(lines), label);
    // The smallest height that is drawn is an eighth of a row. Anything in use has that height.
    let least = 1000u64.div_ceil(8 * u64::from(graph.height.max(1)));
    let heights = bars.history.iter().map(|&part| match part {
        0 => 0,
        part => part.max(least),
    });
    frame.render_widget(
        Sparkline::default()
            .data(heights)
            .max(1000)
            .direction(RenderDirection::RightToLeft)
            .style(color),
        graph,
    );
}

fn draw_operations(frame: &mut Frame, area: Rect, state: &State) {
    let (stats, rates) = (&state.now.stats, &state.rates);
    let rows = [
        operation("alloc", &stats.alloc, rates.alloc),
        operation("free", &stats.free, rates.free),
        operation("move", &stats.moving, rates.moving),
    ];
    let failed = stats.failures.iter().map(|failure| failure.count).sum();
    let below = format!(
        " {}, {} ",
        plural(stats.evictions, "eviction"),
        plural(failed, "failed creation")
    );
    let columns = [5, 9, 8, 8, 8, 9].map(Constraint::Length);
    let table = Table::new(rows, columns)
        .header(heading(["", "Count", "/s", "p50", "p99", "Max"]))
        .block(Block::bordered().title(" Operations ").title_bottom(below));
    frame.render_widget(table, area);
}

fn operation(name: &'static str, times: &TimeStats, rate: f64) -> Row<'static> {
    let time = |ns| match times.count {
        0 => "-".to_owned(),
        _ => duration(ns),
    };
    row([
        name.to_owned(),
        short(times.count as f64),
        short(rate),
        time(times.percentile_ns(50.0)),
        time(times.percentile_ns(99.0)),
        time(times.max_ns),
    ])
}

fn draw_leaks(frame: &mut Frame, area: Rect, state: &State) {
    let stats = &state.now.stats;
    let mut leaks: Vec<_> = state.now.leaks.iter().collect();
    leaks.sort_by_key(|leak| std::cmp::Reverse((leak.state, leak.size)));

    let mut lines = vec![leaks_line(stats)];
    lines.extend(leaks.iter().map(|leak| {
        let color = match leak.state {
            LeakState::Suspected => Color::Yellow,
            LeakState::Confirmed => Color::Red,
        };
        Line::from(vec![
            Span::styled(size(leak.size), color),
            Span::raw(format!(" {} ({})", printable(&leak.command), leak.pid)),
            Span::raw(format!(" {}", age(leak.age_ms))),
        ])
    }));
    let block = Block::bordered().title(" Leaks ");
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn leaks_line(stats: &MemoryStats) -> Line<'static> {
    let (suspected, confirmed) = (stats.suspected_leaks, stats.confirmed_leaks);
    let color = match (suspected, confirmed) {
        (0, 0) => Color::Green,
        (_, 0) => Color::Yellow,
        _ => Color::Red,
    };
    Line::styled(
        format!("{suspected} suspected, {confirmed} confirmed"),
        color,
    )
}

/// Writes a number in at most seven characters.
fn short(number: f64) -> String {
    if number < 10.0 && number.fract() != 0.0 {
        return format!("{number:.1}");
    }
    if number < 1e7 {
        return format!("{number:.0}");
    }
    let (unit, one) = [("M", 1e6), ("G", 1e9), ("T", 1e12)]
        .into_iter()
        .find(|(_, one)| number < 99_999.5 * one)
        .unwrap_or(("E", 1e18));
    format!("{:.0} {unit}", number / one)
}

#[cfg(test)]
mod tests;
