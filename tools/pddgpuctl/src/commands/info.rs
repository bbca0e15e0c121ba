// SPDX-License-Identifier: GPL-2.0

use anyhow::Result;
use pddgpu::{Card, Device};
use serde::Serialize;

use crate::output::{self, size};

#[derive(Serialize)]
struct Info<'a> {
    node: String,
    #[serde(flatten)]
    device: &'a Device,
}

pub fn run(card: &Card, json: bool) -> Result<()> {
    let device = card.device()?;
    if json {
        return output::json(&Info {
            node: card.path().display().to_string(),
            device: &device,
        });
    }
    println!("{:<14} {}", "Node", card.path().display());
    for (name, value) in rows(&device) {
        println!("{name:<14} {value}");
    }
    Ok(())
}

/// What there is to say about a card, name by name.
pub fn rows(device: &Device) -> Vec<(&'static str, String)> {
    let (major, minor) = device.chip_revision;
    vec![
        (
            "Chip",
            format!("PDD{:x} revision {major}.{minor}", device.chip_id),
        ),
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
    format!("{} at {}", size(bytes), output::address(Some(start)))
}
