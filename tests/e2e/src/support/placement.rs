// SPDX-License-Identifier: GPL-2.0

//! Buffers that lie in VRAM as a test wants them.

use anyhow::{bail, Result};
use pddgpu::{Buffer, Create, CreateFlags, Domain, Domains, Heap};

use crate::support::{
    fixture::{skip, Bench},
    stats::await_zeroed,
};

/// Bytes of the smallest piece of VRAM in large buffers.
const PIECE: u64 = 2 << 20;

/// Creates a buffer in several ranges of the aperture, and what keeps it from being one.
pub fn split_buffer(bench: &Bench) -> Result<(Buffer, Vec<Buffer>)> {
    if bench.device.visible_size < 16 * PIECE {
        return skip("this card's aperture is too small to be cut up");
    }
    let in_aperture =
        |size| Create::new(size, Domains::VRAM).flags(CreateFlags::CPU_ACCESS_REQUIRED);
    let mut kept = Vec::new();
    for _ in 0..4 {
        let pieces: Vec<_> = (0..4)
            .map(|_| bench.card.create(in_aperture(PIECE)))
            .collect::<Result<_, _>>()?;
        kept.extend(pieces.into_iter().step_by(2));
        let buffer = bench.card.create(in_aperture(3 * PIECE))?;
        if buffer.info()?.gpu_addr.is_none() {
            return Ok((buffer, kept));
        }
        kept.push(buffer);
    }
    bail!("every buffer came out in one piece")
}

/// Bytes of the invisible VRAM that `straddling` leaves.
pub const LEFT: u64 = 64 << 10;

/// Waits until the driver has zeroed all that is free, so that it finds one place as good as another.
/// Gives what VRAM is then like.
pub fn wipe(bench: &Bench) -> Result<Heap> {
    await_zeroed(&bench.card)?;
    bench.heap(Domain::Vram)
}

/// Creates a buffer of 192 KiB of which 64 KiB are outside the aperture, and what it takes to force
/// the driver to that.
pub fn straddling(bench: &Bench) -> Result<(Buffer, Vec<Buffer>)> {
    wipe(bench)?;
    straddling_as_it_is(bench)
}

/// As [`straddling`], with VRAM of which the driver knows as much everywhere.
pub fn straddling_as_it_is(bench: &Bench) -> Result<(Buffer, Vec<Buffer>)> {
    let device = &bench.device;
    let mut hidden = device.vram_size - device.visible_size;
    if hidden < 1 << 20 {
        return skip("all of this card's VRAM is visible");
    }
    // All but the last 64 KiB outside the aperture, in blocks as the allocator has them.
    let mut fill = Vec::new();
    while hidden > LEFT {
        let size = 1 << (hidden - LEFT).ilog2().min(20);
        let flags = CreateFlags::NO_CPU_ACCESS | CreateFlags::VRAM_CONTIGUOUS;
        fill.push(
            bench
                .card
                .create(Create::new(size, Domains::VRAM).flags(flags))?,
        );
        hidden -= size;
    }
    let buffer = bench.card.create(Create::new(3 * LEFT, Domains::VRAM))?;
    Ok((buffer, fill))
}
