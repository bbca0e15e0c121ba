// SPDX-License-Identifier: GPL-2.0

//! Buffers that lie in VRAM as a test wants them.

use anyhow::{bail, ensure, Result};
use pddgpu::{Buffer, Create, CreateFlags, Domain, Domains, Heap};

use crate::support::fixture::{skip, Bench};

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

/// Uses and frees all of VRAM, so that the driver, which prefers memory that it knows to be zero, finds
/// one place as good as another. Gives what VRAM is then like.
pub fn wipe(bench: &Bench) -> Result<Heap> {
    let before = bench.heap(Domain::Vram)?;
    let hidden = before.total - before.visible_total - (before.used - before.visible_used);
    drop(fill_hidden(bench, hidden)?);
    bench.await_heap(&before)?;
    let visible = (before.visible_total - before.visible_used).min(before.usable);
    let create = Create::new(visible, Domains::VRAM).flags(CreateFlags::CPU_ACCESS_REQUIRED);
    bench.card.create(create)?.close()?;
    bench.await_heap(&before)?;
    Ok(before)
}

/// Takes the last page outside the aperture, however it is cut up, of which `room` bytes are free.
fn fill_hidden(bench: &Bench, mut room: u64) -> Result<Vec<Buffer>> {
    let mut taken = Vec::new();
    let mut size = 1 << 20;
    while room > 0 {
        if size <= room {
            let create = Create::new(size, Domains::VRAM).flags(CreateFlags::NO_CPU_ACCESS);
            let buffer = bench.card.create(create)?;
            if buffer.info()?.visible == 0 {
                taken.push(buffer);
                room -= size;
                continue;
            }
        }
        size /= 2;
        ensure!(
            size >= 4096,
            "{room} bytes outside the aperture are not to be had"
        );
    }
    Ok(taken)
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
