// SPDX-License-Identifier: GPL-2.0

//! Buffers whose content may be dropped.

use kernel::{
    prelude::*,
    sync::atomic::Relaxed, //
};

use crate::{
    abstractions::ttm::{
        Locked,
        Priority, //
    },
    bo::{
        object::{
            Bo,
            BoDriver, //
        },
        returning, //
    },
    client::Content, //
};

/// Notes whether the content of a buffer is needed. Returns whether it has its content.
///
/// # Errors
///
/// `EBUSY` for a buffer of which there is a dma-buf, unless it is needed; `ERESTARTSYS` on a signal.
pub(crate) fn pddgpu_bo_advise(bo: &Bo, needed: bool) -> Result<bool> {
    if bo.is_imported() && !needed {
        return Err(EBUSY);
    }
    let locked = bo.reserve()?;
    let content = if needed {
        Content::Needed
    } else {
        Content::NotNeeded
    };
    let before = bo.holders.set_content(content)?;

    match (before, content) {
        (Content::Needed, Content::NotNeeded) => count_purgeable(bo, 1),
        (Content::NotNeeded, Content::Needed) => count_purgeable(bo, -1),
        _ => (),
    }
    update_priority(&locked);
    returning::changed(bo);
    Ok(before != Content::Purged)
}

/// Notes how much a buffer is needed in VRAM, among those of its clients.
///
/// # Errors
///
/// `ERESTARTSYS` on a signal.
pub(crate) fn pddgpu_bo_set_priority(bo: &Bo, priority: Priority) -> Result {
    let locked = bo.reserve()?;

    bo.priority.store(priority as u32, Relaxed);
    update_priority(&locked);
    Ok(())
}

/// Has a buffer evicted as its content and its priority say.
fn update_priority(bo: &Locked<'_, BoDriver>) {
    let object = bo.object();

    bo.set_priority(match object.holders.content() {
        Content::Needed => Priority::from(object.priority.load(Relaxed)),
        Content::NotNeeded | Content::Purged => Priority::NotNeeded,
    });
}

/// Counts one buffer more, or one less, whose content may be dropped.
fn count_purgeable(bo: &Bo, count: i64) {
    // CAST: No buffer has 2^63 bytes.
    bo.dev().purgeable.add(count * bo.size() as i64, Relaxed);
}

/// Checks that the content of a buffer is needed.
///
/// # Errors
///
/// `EFAULT` if it is not.
pub(super) fn check_needed(bo: &Bo) -> Result {
    if bo.holders.content() == Content::Needed {
        Ok(())
    } else {
        Err(EFAULT)
    }
}

/// Notes that the content of a buffer was dropped.
pub(super) fn purged(bo: &Locked<'_, BoDriver>) {
    let bo = bo.object();

    // There is no dma-buf of it: it is not needed.
    if bo.holders.set_content(Content::Purged) == Ok(Content::NotNeeded) {
        count_purgeable(bo, -1);
    }
}

/// Notes that a buffer is gone.
pub(super) fn forget_purgeable(bo: &Bo) {
    if bo.holders.content() == Content::NotNeeded {
        count_purgeable(bo, -1);
    }
}
