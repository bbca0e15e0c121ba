// SPDX-License-Identifier: GPL-2.0

//! Fences of others on dma-bufs: they delay the buffers that they are on, and nobody else.

use std::time::Duration;

use anyhow::{ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::{Buffer, Create, Deadline, Domain, Domains};

use crate::support::{
    engine::{finish, is_busy},
    fixture::{trials, Bench},
    prime,
    vgem::Fence,
};

pub fn tests() -> Vec<Trial> {
    trials!(card_trial:
        a_buffer_waits_for_its_fence,
        a_freed_buffer_does_not,
        an_eviction_takes_something_else,
    )
}

/// A buffer in VRAM with a fence of another driver's on it.
fn busy(bench: &Bench, size: u64) -> Result<(Buffer, Fence)> {
    let buffer = bench.card.create(Create::new(size, Domains::VRAM))?;
    finish(&buffer)?;
    let fence = Fence::new()?;
    fence.put_on(prime::export(&buffer)?)?;
    ensure!(is_busy(&buffer)?, "idle with a fence on it");
    Ok((buffer, fence))
}

fn a_buffer_waits_for_its_fence(bench: &Bench) -> Result<()> {
    let (buffer, fence) = busy(bench, 1 << 20)?;
    let soon = Deadline::after(Duration::from_millis(50));
    ensure!(!buffer.wait(soon)?, "the fence was not waited for");
    drop(fence);
    finish(&buffer)
}

/// Nobody has its dma-buf any more, so nobody's work can concern it.
fn a_freed_buffer_does_not(bench: &Bench) -> Result<()> {
    let before = bench.heap(Domain::Vram)?;
    let (buffer, _fence) = busy(bench, 1 << 20)?;
    buffer.close()?;
    // The fence is signalled after this.
    bench.await_heap(&before)
}

/// All of VRAM, again and again, beside a buffer that has to stay.
fn an_eviction_takes_something_else(bench: &Bench) -> Result<()> {
    let (buffer, _fence) = busy(bench, 1 << 20)?;
    let size = bench.heap(Domain::Vram)?.usable / 8 / 4096 * 4096;
    let create = Create::new(size, Domains::VRAM);
    let mut buffers = Vec::new();
    for number in 0..14 {
        let next = bench
            .card
            .create(create)
            .with_context(|| format!("buffer {number}"))?;
        ensure!(is_busy(&buffer)?, "buffer {number} waited for the fence");
        buffers.push(next);
    }
    ensure!(
        buffer.info()?.placement == Domain::Vram,
        "moved in spite of its fence: {:?}",
        buffer.info()?
    );
    Ok(())
}
