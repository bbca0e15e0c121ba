// SPDX-License-Identifier: GPL-2.0

//! `pddgpuctl watch`: prints what the driver tells a client as it comes.

use anyhow::Result;
use clap::Args;
use pddgpu::{Card, Event, Events};

use crate::output::{
    stdout,
    units::{parse_size, size},
};

#[derive(Args)]
pub struct Arguments {
    /// Tell a budget that has changed by this many bytes. Larger units may be used, as in 64K or 1M.
    #[arg(long, value_name = "BYTES", value_parser = parse_size, default_value = "1M")]
    threshold: u64,

    /// End after so many lines.
    #[arg(long, value_name = "N")]
    count: Option<usize>,
}

pub fn run(card: &Card, arguments: &Arguments, json: bool) -> Result<()> {
    card.subscribe(Events::all(), arguments.threshold)?;
    // What a program that starts now could have.
    let now = card.budgets()?.into_iter().next();
    let mut left = arguments.count.unwrap_or(usize::MAX);
    if let (false, Some(now)) = (json, now) {
        stdout::print(&format!("The budget is {}\n", size(now.budget)))?;
    }
    while left > 0 {
        for event in card.read_events()?.iter().take(left) {
            if json {
                stdout::print(&(serde_json::to_string(event)? + "\n"))?;
            } else {
                stdout::print(&(line(event) + "\n"))?;
            }
            left -= 1;
        }
    }
    Ok(())
}

/// What there is to say about an event.
fn line(event: &Event) -> String {
    let bytes = size(event.bytes);
    let buffers = match (event.count, event.buffer) {
        (1, Some(buffer)) => format!("buffer {buffer}"),
        (count, _) => format!("{count} buffers"),
    };
    let place = |domain: Option<pddgpu::Domain>| {
        domain.map_or_else(|| "elsewhere".to_owned(), |domain| domain.to_string())
    };
    match event.kind {
        Events::BUDGET => format!("The budget is {bytes}"),
        Events::DISPLACED => format!("{buffers} displaced to {}: {bytes}", place(event.to)),
        Events::RETURNED => format!("{buffers} returned from {}: {bytes}", place(event.from)),
        Events::PURGED => format!("{buffers} purged: {bytes}"),
        Events::LOST => format!("{buffers} lost with the card's memory: {bytes}"),
        Events::GIVEN_UP => "The copy engine is broken".to_owned(),
        _ => format!("{} events of an unknown kind", event.count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_tell_what_is_known() {
        let mut event = Event {
            kind: Events::DISPLACED,
            sequence: 1,
            count: 1,
            bytes: 1 << 20,
            buffer: Some(3),
            from: Some(pddgpu::Domain::Vram),
            to: Some(pddgpu::Domain::Gtt),
        };
        assert_eq!(line(&event), "buffer 3 displaced to GTT: 1 MiB");
        event.to = None;
        event.buffer = None;
        event.count = 5;
        assert_eq!(line(&event), "5 buffers displaced to elsewhere: 1 MiB");
    }
}
