// SPDX-License-Identifier: GPL-2.0

//! `pddgpuctl info`: prints what the card is.

use anyhow::Result;
use pddgpu::{Card, Device};
use serde::Serialize;

use crate::output::{json, table::print_fields, text::address, units::size};

#[derive(Serialize)]
struct Info<'a> {
    node: String,
    #[serde(flatten)]
    device: &'a Device,
}

pub fn run(card: &Card, json: bool) -> Result<()> {
    let device = &card.device()?;
    let node = card.path().display().to_string();
    if json {
        return json::print(&Info { node, device });
    }
    print_fields(&[("Node", node)])?;
    print_fields(&fields(device))
}

/// What there is to say about a card. Each value has a name.
pub fn fields(device: &Device) -> [(&'static str, String); 7] {
    let (major, minor) = device.chip_revision;
    let chip = format!("PDD{:x} revision {major}.{minor}", device.chip_id);
    [
        ("Chip", chip),
        ("Features", device.features.to_string()),
        ("VRAM", window(device.vram_start, device.vram_size)),
        (
            "CPU-visible",
            format!("the first {}", size(device.visible_size)),
        ),
        ("GTT", window(device.gtt_start, device.gtt_size)),
        (
            "CPU buffers",
            format!("up to {}", size(device.max_cpu_size)),
        ),
        ("Alignment", format!("up to {}", size(device.max_alignment))),
    ]
}

fn window(start: u64, bytes: u64) -> String {
    format!("{} at {}", size(bytes), address(Some(start)))
}
