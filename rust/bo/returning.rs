// SPDX-License-Identifier: GPL-2.0

//! Buffers that are not where they should be, and the way back.
//!
//! A buffer is *displaced* if it should be in VRAM and is not. A worker brings displaced buffers back
//! when VRAM has room: those of clients within their budgets first, and of these the most wanted ones.
//! It evicts nobody, leaves the engine to others, and leaves alone for a while what was just displaced.

use core::ops::ControlFlow;

use kernel::{
    page::PAGE_SIZE,
    sync::atomic::Relaxed,
    time::Msecs, //
};

use crate::{
    abstractions::ttm::{
        self,
        Locked,
        MemType,
        OperationCtx, //
    },
    bo::{
        object::{
            Bo,
            BoDriver, //
        },
        placement::{
            placement_from_domain,
            visible_vram, //
        },
        residency::now, //
    },
    client::Client,
    device::{
        Pddgpu,
        PddgpuDevice, //
    },
    uapi::Domain, //
};

/// Bytes that are brought back before others get a turn.
const BATCH: u64 = 32 << 20;
/// ms from one batch to the next. With [`BATCH`], it is at most 1 GiB each second.
const PAUSE: u64 = 32;
/// ms after which a busy engine is looked at again.
const BUSY: Msecs = 20;
/// ms after which the worker looks again whether somebody's time has come, at the latest.
const LATEST: u64 = 1000;
/// The worker searches the buffers for at most this part of the time: 1 in so many ms.
const SEARCHING_PART: u64 = 16;

/// Notes that a buffer should be elsewhere, or that its content is needed, or no more.
pub(super) fn changed(bo: &Bo) {
    count(bo, bo.holders.is_displaced());
}

/// Notes that a buffer has moved.
pub(super) fn moved(bo: &Bo, from: Option<Domain>, to: Option<Domain>) {
    let has_left = from == Some(Domain::Vram) && to != from;
    let is_displaced = bo.holders.is_displaced();

    if has_left && is_displaced {
        bo.residency.left(now());
    }
    count(bo, is_displaced);
    if has_left {
        bo.dev().returning.room_freed();
    }
}

/// Notes that a buffer is gone.
pub(super) fn gone(bo: &Bo) {
    count(bo, false);
    bo.dev().returning.room_freed();
}

fn count(bo: &Bo, is_displaced: bool) {
    if bo.residency.set_displaced(is_displaced) {
        bo.dev().returning.count(bo.size(), is_displaced);
    }
}

/// What the worker has found.
struct Found {
    /// Bytes that could go back now: of clients within their budgets, and of others.
    bytes: [u64; 2],
    /// ms until the next one may.
    next: Option<u64>,
    /// Bytes of all that are displaced and that nobody else uses.
    seen: u64,
}

/// What can go back now.
struct Search<'a> {
    dev: &'a PddgpuDevice,
    now: u64,
    /// Bytes of VRAM that are free.
    room: u64,
}

impl Search<'_> {
    /// Calls `f` for each displaced buffer that nobody else uses, the least wanted ones first.
    fn each(
        &self,
        mut f: impl FnMut(&mut Locked<'_, BoDriver>, &mut OperationCtx) -> ControlFlow<()>,
    ) {
        for man in [self.dev.system.base(), self.dev.gtt.base()] {
            ttm::for_each_free_buffer::<BoDriver>(
                man,
                &mut OperationCtx::interruptible(),
                |bo, ctx| {
                    let residency = &bo.object().residency;
                    let is_candidate = residency.is_displaced()
                        && residency.may_return()
                        && bo.pin_count() == 0
                        && !bo.is_in_use();

                    if is_candidate {
                        f(bo, ctx)
                    } else {
                        ControlFlow::Continue(())
                    }
                },
            );
        }
    }

    /// 0 for a buffer of a client that would still be within its budget if it came back, 1 for another
    /// one; [`None`] if it cannot come back now.
    fn class(&self, bo: &Bo) -> Option<usize> {
        if bo.size() > self.room || bo.residency.left_to_wait(self.now) > 0 {
            return None;
        }
        let may_have = |client: &Client| self.dev.budgets.may_have(client, bo.size());

        Some(usize::from(!bo.holders.any_client(may_have)))
    }

    fn look(&self) -> Found {
        let mut found = Found {
            bytes: [0; 2],
            next: None,
            seen: 0,
        };

        self.each(|bo, _| {
            let bo = bo.object();
            let left = bo.residency.left_to_wait(self.now);

            found.seen += bo.size();
            if let Some(class) = self.class(bo) {
                found.bytes[class] += bo.size();
            } else if left > 0 {
                found.next = Some(found.next.map_or(left, |next| next.min(left)));
            }
            ControlFlow::Continue(())
        });
        found
    }

    /// Moves the most wanted ones of a class, of which there are `bytes`.
    fn bring_back(&self, class: usize, bytes: u64) {
        let mut skip = bytes.saturating_sub(self.room.min(BATCH));
        let mut moved = 0;

        self.each(|bo, ctx| {
            let object = bo.object();
            let size = object.size();

            if moved >= BATCH {
                return ControlFlow::Break(());
            }
            if self.class(object) != Some(class) {
                return ControlFlow::Continue(());
            }
            // The last one that would be left out in part is taken.
            if skip >= size {
                skip -= size;
                return ControlFlow::Continue(());
            }
            match bo.validate(&[vram_place(self.dev, bo).desired()], ctx) {
                Ok(()) => {
                    moved += size;
                    object.residency.came_back(self.now);
                }
                Err(_) => object.residency.found_no_place(self.now),
            }
            ControlFlow::Continue(())
        });
    }
}

/// Brings displaced buffers back to VRAM, as far as it has room. `go_on` is asked whether that is still
/// wanted. Returns the ms after which there may be more to do; [`None`] if that depends on others, who
/// will tell.
pub(crate) fn return_to_vram(dev: &PddgpuDevice, go_on: impl FnOnce() -> bool) -> Option<Msecs> {
    if dev.returning.displaced() == 0 || dev.check_engine().is_err() {
        return None;
    }
    let begin = now();
    match dev.returning.rest_until.load(Relaxed) {
        until if until > begin => return Some((until - begin).min(LATEST) as Msecs),
        _ => (),
    }
    if dev.engine.as_ref().is_some_and(|engine| engine.has_work()) {
        return Some(BUSY);
    }
    let usable = dev.vram.usable_now();
    let room = usable.saturating_sub(ttm::usage(&dev.bdev, MemType::Vram));
    if room < PAGE_SIZE as u64 {
        return None;
    }

    // Nobody makes room for himself meanwhile, and the card does not go to sleep.
    let _passage = dev.turnstile.shared().ok()?;
    if !go_on() {
        return None;
    }
    dev.budgets.refresh(usable);
    let search = Search {
        dev,
        now: begin,
        room,
    };
    let found = search.look();
    let class = usize::from(found.bytes[0] == 0);
    if found.bytes[class] > 0 {
        search.bring_back(class, found.bytes[class]);
    }

    let pause = ((now() - begin) * SEARCHING_PART).clamp(PAUSE, LATEST);
    dev.returning.rest_until.store(begin + pause, Relaxed);
    let next = match (found.bytes[class], found.next) {
        // Somebody else has them locked, or uses them.
        (0, None) if found.seen < dev.returning.displaced() => LATEST,
        (0, next) => next?.clamp(pause, LATEST),
        _ => pause,
    };
    // CAST: At most `LATEST`.
    Some(next as Msecs)
}

/// The place in VRAM that a buffer goes back to.
fn vram_place(dev: &Pddgpu, bo: &Locked<'_, BoDriver>) -> ttm::Place {
    let flags = bo.object().param.flags;

    // What the CPU cannot reach it cannot copy to, and where it would take the buffer away again that is
    // in use there it is of no use.
    if dev.engine.is_none() || bo.object().residency.is_for_cpu() {
        visible_vram(dev, flags)
    } else {
        placement_from_domain(dev, Domain::Vram, flags)
    }
}
