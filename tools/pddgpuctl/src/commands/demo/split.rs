// SPDX-License-Identifier: GPL-2.0

//! Makes a buffer that is in several ranges of VRAM.

use anyhow::{bail, Result};
use pddgpu::{Buffer, Card, Create, CreateFlags, Device, Domain, Domains};

/// Bytes of the smallest block of VRAM that the driver takes for buffers of at least this size.
const BLOCK: u64 = 2 << 20;

/// How often to try before giving up.
const ROUNDS: usize = 8;

/// Makes a buffer of visible VRAM that is in several ranges.
///
/// First this creates four buffers of one block, which lie side by side, and frees every other one.
/// Then it creates a buffer of three blocks. The allocator takes two blocks of it from memory that
/// nobody has used yet and the third one from a hole. If these ranges happen to touch, the buffer
/// is kept, so that its place is taken, and all this is done once more.
pub fn create(card: &Card, device: &Device) -> Result<Buffer> {
    // A small aperture has no room for that. Buffers of less than a block can be split too.
    let block = if device.visible_size >= 16 * BLOCK {
        BLOCK
    } else {
        1 << (device.visible_size / 64).max(4096).ilog2()
    };
    let in_aperture =
        |size| Create::new(size, Domains::VRAM).flags(CreateFlags::CPU_ACCESS_REQUIRED);

    let mut kept = Vec::new();
    for _ in 0..ROUNDS {
        for index in 0..4 {
            let buffer = card.create(in_aperture(block))?;
            kept.push((index % 2 == 0).then_some(buffer));
        }
        let buffer = card.create(in_aperture(3 * block))?;
        let info = buffer.info()?;
        if info.placement == Domain::Vram && info.gpu_addr.is_none() {
            return Ok(buffer);
        }
        kept.push(Some(buffer));
    }
    bail!("however VRAM was cut up, every buffer came out in one piece")
}
