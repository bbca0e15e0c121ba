// SPDX-License-Identifier: GPL-2.0

use anyhow::{bail, Result};
use pddgpu::{Buffer, Card, Create, CreateFlags, Device, Domain, Domains};

/// The driver's smallest piece of VRAM for buffers that are at least as large, in bytes.
const PIECE: u64 = 2 << 20;

/// How many holes to make before giving up.
const ROUNDS: usize = 8;

/// Makes a buffer of visible VRAM that is in several ranges.
///
/// Buffers of one piece lie side by side; every other one is freed, and then a buffer of three
/// pieces is wanted. The allocator takes its larger part, two pieces, from untouched memory and the
/// third from a hole. Should both happen to touch, the buffer is kept out of the way and it starts
/// again.
pub fn create(card: &Card, device: &Device) -> Result<Buffer> {
    // Where a small aperture has no room for that, buffers below one piece can be cut up too.
    let piece = if device.visible_size >= 16 * PIECE {
        PIECE
    } else {
        1 << (device.visible_size / 64).max(4096).ilog2()
    };
    let in_aperture =
        |size| Create::new(size, Domains::VRAM).flags(CreateFlags::CPU_ACCESS_REQUIRED);

    let mut kept = Vec::new();
    for _ in 0..ROUNDS {
        for index in 0..4 {
            let buffer = card.create(in_aperture(piece))?;
            kept.push((index % 2 == 0).then_some(buffer));
        }
        let buffer = card.create(in_aperture(3 * piece))?;
        let info = buffer.info()?;
        if info.placement == Domain::Vram && info.gpu_addr.is_none() {
            return Ok(buffer);
        }
        kept.push(Some(buffer));
    }
    bail!("however VRAM was cut up, every buffer came out in one piece")
}
