// SPDX-License-Identifier: GPL-2.0

//! When GEM_COPY and GEM_FILL are done: after what they wait for, and before what waits for them.

use std::{
    os::fd::{AsFd, AsRawFd},
    time::{Duration, Instant},
};

use anyhow::{ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::{
    raw, virtual_card::pages, Buffer, Card, Create, CreateFlags, Deadline, Domain, Domains,
    Features, Syncobj,
};
use rustix::{
    io::Errno,
    ioctl::{ioctl, opcode, Opcode, Updater},
};

use crate::support::{
    compare::ensure_holds,
    engine::{finish, is_busy},
    fixture::{skip, trials, Bench},
    prime,
    vgem::Fence,
};

pub fn tests() -> Vec<Trial> {
    trials!(card_trial:
        leaves_nothing_half_done_after_an_error,
        rejects_lists_that_cannot_be,
        signals_points_in_order,
        waits_for_a_fence_of_another_driver,
        goes_on_after_its_buffers_are_closed,
        an_eviction_takes_what_is_idle,
        a_client_that_goes_cancels_its_work,
        many_jobs_delay_nobody,
    )
}

const PAGE: u64 = pages::PAGE as u64;

fn mappable(card: &Card, size: u64, domain: Domain) -> Result<Buffer> {
    let create = Create::new(size, domain.into()).flags(CreateFlags::CPU_ACCESS_REQUIRED);
    Ok(card.create(create)?)
}

/// A syncobj with a fence of vgem's that is not signalled yet.
fn pending(card: &Card) -> Result<(Syncobj, Fence)> {
    let fence = Fence::new()?;
    let wait = Syncobj::new(card)?;
    import(card, &wait, &fence)?;
    Ok((wait, fence))
}

/// `SYNCOBJ_FD_TO_HANDLE` with a handle going in, for which the crate has no function.
fn import(card: &Card, to: &Syncobj, fence: &Fence) -> Result<()> {
    const FD_TO_HANDLE: Opcode = opcode::read_write::<drm_ffi::drm_syncobj_handle>(b'd', 0xc2);
    let mut args = drm_ffi::drm_syncobj_handle {
        handle: to.handle(),
        flags: 1,
        fd: fence.sync_file().as_raw_fd(),
        pad: 0,
        point: 0,
    };
    // SAFETY: The number and the structure are a pair.
    unsafe { ioctl(card.as_fd(), Updater::<FD_TO_HANDLE, _>::new(&mut args)) }
        .context("SYNCOBJ_FD_TO_HANDLE")
}

fn leaves_nothing_half_done_after_an_error(bench: &Bench) -> Result<()> {
    let buffer = mappable(&bench.card, PAGE, Domain::Gtt)?;
    let content = pages::pattern(31, pages::PAGE);
    buffer.map()?.write(0, &content);
    let (good, empty) = (Syncobj::new(&bench.card)?, Syncobj::new(&bench.card)?);
    let unknown = raw::drm_pddgpu_sync {
        handle: 4711,
        ..good.signal_after(0)
    };
    let bits = |flags| raw::drm_pddgpu_sync {
        flags,
        ..good.signal_after(0)
    };
    for (what, bad, errno) in [
        ("an unknown syncobj", unknown, Errno::NOENT),
        ("a point without work", empty.wait_before(0), Errno::INVAL),
        ("a later point", empty.wait_before(3), Errno::INVAL),
        ("no flag", bits(0), Errno::INVAL),
        ("an unknown flag", bits(4), Errno::INVAL),
    ] {
        let result = buffer.fill(0, PAGE, 1, &[good.signal_after(0), bad]);
        let found = result.err().and_then(|error| error.errno());
        ensure!(found == Some(errno), "{what}: {found:?}");
        let signalled = good.wait(0, Deadline::PAST);
        ensure!(signalled.is_err(), "{what}: signalled {signalled:?}");
    }
    ensure_holds(&buffer.map()?, &content, "after errors")
}

fn rejects_lists_that_cannot_be(bench: &Bench) -> Result<()> {
    let buffer = bench.card.create(Create::new(PAGE, Domains::GTT))?;
    for (num_syncs, syncs, errno) in [
        (1025, 0, Errno::INVAL),
        (u32::MAX, 8, Errno::INVAL),
        (1, 8, Errno::FAULT),
        (1024, u64::MAX, Errno::FAULT),
    ] {
        let result = bench.card.raw().gem_fill(raw::drm_pddgpu_gem_fill {
            handle: buffer.handle(),
            size: PAGE,
            syncs,
            num_syncs,
            ..Default::default()
        });
        ensure!(
            result == Err(errno),
            "{num_syncs} at {syncs:#x}: {result:?}"
        );
    }
    Ok(())
}

fn signals_points_in_order(bench: &Bench) -> Result<()> {
    let buffer = mappable(&bench.card, PAGE, Domain::Vram)?;
    let line = Syncobj::new(&bench.card)?;
    for point in 1..=5 {
        let before = (point > 1).then(|| line.wait_before(point - 1));
        let syncs: Vec<_> = before
            .into_iter()
            .chain([line.signal_after(point)])
            .collect();
        buffer.fill(0, PAGE, point as u32, &syncs)?;
    }
    ensure!(line.wait(5, Deadline::NEVER)?, "the last point");
    let mut word = [0; 4];
    buffer.map()?.read(0, &mut word);
    ensure!(u32::from_le_bytes(word) == 5, "{word:?}");
    // A move signals, too.
    let raw_move = |syncs: &[raw::drm_pddgpu_sync]| {
        bench.card.raw().gem_move(raw::drm_pddgpu_gem_move {
            handle: buffer.handle(),
            domain: Domains::GTT.bits(),
            syncs: syncs.as_ptr() as usize as u64,
            num_syncs: syncs.len() as u32,
            ..Default::default()
        })
    };
    raw_move(&[line.wait_before(5), line.signal_after(6)])?;
    ensure!(line.wait(6, Deadline::NEVER)?, "the move's point");
    ensure!(buffer.info()?.placement == Domain::Gtt);
    Ok(())
}

fn needs_engine(bench: &Bench) -> Result<()> {
    if bench.device.features.contains(Features::COPY) {
        Ok(())
    } else {
        skip("this card has no copy engine")
    }
}

fn waits_for_a_fence_of_another_driver(bench: &Bench) -> Result<()> {
    needs_engine(bench)?;
    let source = mappable(&bench.card, PAGE, Domain::Gtt)?;
    let target = mappable(&bench.card, PAGE, Domain::Vram)?;
    let content = pages::pattern(41, pages::PAGE);
    source.map()?.write(0, &content);
    let (wait, fence) = pending(&bench.card)?;
    let done = Syncobj::new(&bench.card)?;
    source.copy_to(
        0,
        &target,
        0,
        PAGE,
        &[wait.wait_before(0), done.signal_after(0)],
    )?;
    let soon = Deadline::after(Duration::from_millis(50));
    ensure!(!done.wait(0, soon)?, "copied before the fence");
    ensure!(
        is_busy(&target)? && is_busy(&source)?,
        "idle before the fence"
    );
    // Another client's work goes on meanwhile.
    let other = Card::open(bench.card.path())?;
    let elsewhere = mappable(&other, PAGE, Domain::Vram)?;
    elsewhere.fill(0, PAGE, 7, &[])?;
    finish(&elsewhere)?;
    ensure!(is_busy(&target)?, "the fence was not waited for");
    drop(fence);
    ensure!(done.wait(0, Deadline::NEVER)?);
    finish(&target)?;
    ensure_holds(&target.map()?, &content, "after the fence")
}

fn goes_on_after_its_buffers_are_closed(bench: &Bench) -> Result<()> {
    needs_engine(bench)?;
    let before = bench.heap(Domain::Vram)?;
    let source = mappable(&bench.card, 1 << 20, Domain::Vram)?;
    let target = mappable(&bench.card, 1 << 20, Domain::Gtt)?;
    let content = pages::pattern(51, 1 << 20);
    source.map()?.write(0, &content);
    let (wait, fence) = pending(&bench.card)?;
    source.copy_to(0, &target, 0, 1 << 20, &[wait.wait_before(0)])?;
    source.close()?;
    // Its memory is nobody else's until it was copied.
    let next = mappable(&bench.card, 1 << 20, Domain::Vram)?;
    next.fill(0, 1 << 20, 0, &[])?;
    drop(fence);
    finish(&target)?;
    finish(&next)?;
    ensure_holds(&target.map()?, &content, "the copy of a closed buffer")?;
    next.close()?;
    bench.await_heap(&before)
}

fn an_eviction_takes_what_is_idle(bench: &Bench) -> Result<()> {
    needs_engine(bench)?;
    let busy = bench.card.create(Create::new(1 << 20, Domains::VRAM))?;
    finish(&busy)?;
    let (wait, fence) = pending(&bench.card)?;
    busy.fill(0, 1 << 20, 9, &[wait.wait_before(0)])?;
    let size = bench.heap(Domain::Vram)?.usable / 8 / PAGE * PAGE;
    let mut buffers = Vec::new();
    for number in 0..12 {
        let next = bench.card.create(Create::new(size, Domains::VRAM));
        buffers.push(next.with_context(|| format!("buffer {number}"))?);
        ensure!(is_busy(&busy)?, "buffer {number} waited for the fence");
    }
    ensure!(busy.info()?.placement == Domain::Vram, "moved while in use");
    drop(fence);
    finish(&busy)
}

fn a_client_that_goes_cancels_its_work(bench: &Bench) -> Result<()> {
    needs_engine(bench)?;
    let target = mappable(&bench.card, PAGE, Domain::Gtt)?;
    let _fence;
    {
        let other = Card::open(bench.card.path())?;
        let theirs = prime::Imported::new(&other, prime::export(&target)?)?;
        let (wait, pending) = pending(&other)?;
        _fence = pending;
        let syncs = [wait.wait_before(0)];
        other.raw().gem_fill(raw::drm_pddgpu_gem_fill {
            handle: theirs.handle,
            value: 0x55,
            size: PAGE,
            syncs: syncs.as_ptr() as usize as u64,
            num_syncs: 1,
            ..Default::default()
        })?;
        ensure!(is_busy(&target)?, "done before the fence");
    }
    // The fence that it waits for is not signalled yet.
    finish(&target)?;
    let mut word = [0; 4];
    target.map()?.read(0, &mut word);
    ensure!(u32::from_le_bytes(word) == 0, "done after all: {word:?}");
    Ok(())
}

fn many_jobs_delay_nobody(bench: &Bench) -> Result<()> {
    needs_engine(bench)?;
    const BYTES: u64 = 256 << 10;
    let hog = mappable(&bench.card, BYTES, Domain::Vram)?;
    let done = Syncobj::new(&bench.card)?;
    let (wait, fence) = pending(&bench.card)?;
    hog.fill(0, BYTES, 0, &[wait.wait_before(0)])?;
    // vgem signals its fence by itself after ten seconds, and a slow kernel needs longer for all.
    let start = Instant::now();
    for number in (1..10_000_u32).take_while(|_| start.elapsed() < Duration::from_secs(5)) {
        hog.fill(0, BYTES, number, &[])?;
    }
    hog.fill(0, BYTES, 1, &[done.signal_after(0)])?;
    let other = Card::open(bench.card.path())?;
    let theirs = mappable(&other, PAGE, Domain::Vram)?;
    finish(&theirs)?;
    drop(fence);
    theirs.fill(0, PAGE, 2, &[])?;
    finish(&theirs)?;
    ensure!(
        !done.wait(0, Deadline::PAST)?,
        "all jobs of a client were done before one of another's"
    );
    ensure!(done.wait(0, Deadline::NEVER)?);
    Ok(())
}
