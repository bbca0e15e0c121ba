// SPDX-License-Identifier: GPL-2.0

//! Copies and fills that user space asks for.
//!
//! The engine does them in the order in which a client asks, with [`CopyEngine::submit_for`]. A
//! buffer stays where it is until the transfers that use it have ended, because they have put their
//! fence there: a move waits for it, and an eviction takes another buffer.
//!
//! Without an engine the CPU does the same before the call returns.
//!
//! [`CopyEngine::submit_for`]: crate::copy_engine::CopyEngine::submit_for

use core::ops::Range;

use kernel::{
    prelude::*,
    sync::{
        aref::ARef,
        Arc, //
    }, //
};

use crate::{
    abstractions::{
        dma::fence::Fence,
        ttm::{
            Locked,
            OperationCtx,
            Resource,
            Usage, //
        }, //
    },
    bo::{
        advice::check_needed,
        copy_end::copy_end,
        loss,
        object::{
            Bo,
            BoDriver, //
        }, //
    },
    client::Busy,
    copy_engine::{
        ClientJobs,
        CopyEngine,
        JobOwner,
        Transfer, //
    },
    device::{
        Pddgpu,
        PddgpuFile, //
    }, //
};

/// Bytes of a buffer: where they begin and end.
#[derive(Clone)]
pub(crate) struct Span(Range<u64>);

impl Span {
    /// `size` bytes of `bo` from `offset` on, as user space gives them.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a size of 0, for numbers that are no multiples of 4, and for bytes beyond the end
    /// of the buffer.
    pub(crate) fn new(bo: &Bo, offset: u64, size: u64) -> Result<Self> {
        let end = offset.checked_add(size).ok_or(EINVAL)?;

        if size == 0 || (offset | size) % 4 != 0 || end > bo.size() {
            return Err(EINVAL);
        }
        Ok(Self(offset..end))
    }

    fn size(&self) -> u64 {
        self.0.end - self.0.start
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.0.start < other.0.end && other.0.start < self.0.end
    }
}

/// Copies bytes of `from` to as many bytes of `to`, after the fences `after` are signalled. Returns
/// the fence of the copy.
///
/// # Errors
///
/// `EINVAL` for bytes of one buffer that overlap; `EACCES` for a `to` that may not be written;
/// `EFAULT` for a buffer whose content is not needed; `EIO` if the copy engine is wedged; `ENOMEM`,
/// `ENODEV`, `ERESTARTSYS`.
pub(crate) fn pddgpu_bo_copy(
    file: &PddgpuFile,
    (from, source): (&Bo, Span),
    (to, destination): (&Bo, Span),
    after: KVec<ARef<Fence>>,
) -> Result<ARef<Fence>> {
    if core::ptr::eq(from, to) && source.overlaps(&destination) {
        return Err(EINVAL);
    }
    check_writable(to)?;
    let Some((engine, jobs)) = engine(from.dev(), file) else {
        wait_for(&after)?;
        check_needed(from)?;
        check_needed(to)?;
        from.copy_bytes(source.0, to, destination.0.start)?;
        return Ok(Fence::stub());
    };

    let mut after = Waits::new(engine, jobs, after);
    loop {
        let fence = from.with_both_locked(to, |from, to| {
            if from.waits_to_be_mapped() || to.waits_to_be_mapped() {
                return Ok(None);
            }
            copy(file, (from, &source), (to, &destination), &mut after).map(Some)
        })?;

        if let Some(fence) = fence {
            return Ok(fence);
        }
        from.wait_for_all()?;
        to.wait_for_all()?;
    }
}

/// Has the engine copy between two buffers.
///
/// # Errors
///
/// Those of [`pddgpu_bo_copy`].
fn copy(
    file: &PddgpuFile,
    (from, source): (&Locked<'_, BoDriver>, &Span),
    (to, destination): (&Locked<'_, BoDriver>, &Span),
    after: &mut Waits<'_>,
) -> Result<ARef<Fence>> {
    let entered = from.dev().enter()?;
    let transfer = Transfer::Copy {
        from: copy_end(from, present(from)?, &entered)?.part(source.0.start, source.size())?,
        to: copy_end(to, present(to)?, &entered)?.part(destination.0.start, destination.size())?,
    };

    // An exporter whose memory was mapped just now may still be moving it there.
    after.add(from, Usage::Write)?;
    after.add(to, Usage::Read)?;
    let busy = (!core::ptr::eq(from.object(), to.object()))
        .then(|| Busy::new(from.object().holders.clone()));
    // Who reads waits for those who write, so one fence is enough in a resv of both.
    let read = if from.object().shares_resv_with(to.object()) {
        None
    } else {
        Some(from.reserve_fence()?)
    };
    let write = to.reserve_fence()?;
    let owner = JobOwner::client(
        file.data().client.clone(),
        [busy, Some(Busy::new(to.object().holders.clone()))],
    );
    let fence = after.engine.submit_for(
        entered.parent(),
        after.jobs,
        &transfer,
        owner,
        &after.fences,
    )?;

    write.add(&fence, Usage::Write);
    if let Some(read) = read {
        read.add(&fence, Usage::Read);
    }
    to.used();
    from.used();
    Ok(fence)
}

/// Repeats `value` over bytes of `to`, after the fences `after` are signalled. Returns the fence of
/// the fill.
///
/// # Errors
///
/// Those of [`pddgpu_bo_copy`].
pub(crate) fn pddgpu_bo_fill(
    file: &PddgpuFile,
    (to, destination): (&Bo, Span),
    value: u32,
    after: KVec<ARef<Fence>>,
) -> Result<ARef<Fence>> {
    check_writable(to)?;
    let Some((engine, jobs)) = engine(to.dev(), file) else {
        wait_for(&after)?;
        check_needed(to)?;
        to.fill_bytes(destination.0, value)?;
        return Ok(Fence::stub());
    };
    let to = loop {
        let locked = to.reserve()?;

        if !locked.waits_to_be_mapped() {
            break locked;
        }
        drop(locked);
        to.wait_for_all()?;
    };
    let mut after = Waits::new(engine, jobs, after);
    let entered = to.dev().enter()?;
    let transfer = Transfer::Fill {
        to: copy_end(&to, present(&to)?, &entered)?
            .part(destination.0.start, destination.size())?,
        value,
    };

    after.add(&to, Usage::Read)?;
    let write = to.reserve_fence()?;
    let owner = JobOwner::client(
        file.data().client.clone(),
        [Some(Busy::new(to.object().holders.clone())), None],
    );
    let fence = engine.submit_for(entered.parent(), jobs, &transfer, owner, &after.fences)?;

    write.add(&fence, Usage::Write);
    to.used();
    Ok(fence)
}

/// Checks that the content of a buffer may be written.
///
/// # Errors
///
/// `EACCES` for a dma-buf of another device that was shared to be read only.
fn check_writable(bo: &Bo) -> Result {
    if bo.is_writable() {
        Ok(())
    } else {
        Err(EACCES)
    }
}

/// The engine of a card, and the client's queue of it.
fn engine<'a>(
    pdev: &'a Pddgpu,
    file: &'a PddgpuFile,
) -> Option<(&'a CopyEngine, &'a Arc<ClientJobs>)> {
    Some((pdev.engine.as_deref()?, file.data().engine.as_ref()?.jobs()))
}

/// The resource of a buffer, whose memory is there.
///
/// # Errors
///
/// `EFAULT` for a buffer whose content is not needed; `ENOMEM`; `ERESTARTSYS` on a signal.
fn present<'a>(bo: &'a Locked<'_, BoDriver>) -> Result<&'a Resource> {
    check_needed(bo.object())?;
    bo.dev().check_engine()?;
    loss::settle(bo, &mut OperationCtx::interruptible())?;
    bo.populate(&mut OperationCtx::interruptible())?;
    bo.resource().ok_or(EFAULT)
}

/// Waits until the fences are signalled.
///
/// # Errors
///
/// `ERESTARTSYS` on a signal.
fn wait_for(fences: &[ARef<Fence>]) -> Result {
    fences
        .iter()
        .try_for_each(|fence| fence.wait_until(i64::MAX))
}

/// The fences that a transfer waits for.
struct Waits<'a> {
    engine: &'a CopyEngine,
    jobs: &'a Arc<ClientJobs>,
    fences: KVec<ARef<Fence>>,
}

impl<'a> Waits<'a> {
    /// Those of `fences` that come from elsewhere: the engine's own jobs are before the transfer in
    /// any case, and so are those of the client.
    fn new(
        engine: &'a CopyEngine,
        jobs: &'a Arc<ClientJobs>,
        mut fences: KVec<ARef<Fence>>,
    ) -> Self {
        fences.retain(|fence| Self::is_needed(engine, jobs, fence));
        Self {
            engine,
            jobs,
            fences,
        }
    }

    fn is_needed(engine: &CopyEngine, jobs: &ClientJobs, fence: &Fence) -> bool {
        fence.status().is_none()
            && !engine.is_queued(fence)
            && fence.context() != jobs.sequence().id()
    }

    /// Adds the fences of a buffer with this usage, or a stronger one.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    fn add(&mut self, bo: &Locked<'_, BoDriver>, usage: Usage) -> Result {
        let Self {
            engine,
            jobs,
            fences,
        } = self;

        bo.for_each_fence(usage, |fence| {
            if Self::is_needed(engine, jobs, fence) {
                fences.push(fence.into(), GFP_KERNEL)?;
            }
            Ok(())
        })
    }
}
