// SPDX-License-Identifier: GPL-2.0

//! The copy engine: the card moves and clears memory, in the order in which it is asked to.
//!
//! A *job* is cut into *chunks*. Each chunk ends with a fence packet, which writes a sequence number to the
//! card's memory and interrupts. Pages of system memory without a GPU address go through the transfer windows
//! of the GTT window, one chunk at a time. A job for which the ring or the windows have no room waits in the
//! [submit queue](queue), and the interrupts of earlier chunks keep the queue going.
//!
//! An interrupt may be lost, so as long as there is work a watchdog polls the engine. If the engine makes no
//! progress it is reset, and all jobs that it had not finished are submitted again: the sources of all copies
//! are still there, and later jobs have not begun. A job that fails time and again means that the card is
//! broken. The engine is *wedged* then, and everything that needs it fails with `EIO`.
//!
//! Lock order: resv → `queue` → the aperture's → the GART's. `inflight` is innermost but for the lock of a
//! fence. No memory is allocated under any of them, as fences are signalled there. The interrupt handler takes
//! `inflight` only, which is enough to signal fences; its thread does the rest, if there is any.

mod engine;
mod inflight;
mod interrupt;
mod job;
mod queue;
mod recovery;
mod start_stop;
mod submit;

pub(crate) use self::{
    engine::{
        CopyEngine,
        Engine, //
    },
    job::{
        CopyEnd,
        Ranges, //
    },
    start_stop::Running, //
};
