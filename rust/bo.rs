// SPDX-License-Identifier: GPL-2.0

//! Buffer objects: creation, moves, placement policy, and the answers to TTM's questions about
//! them.
//!
//! [`pddgpu_bo_create`] and [`pddgpu_bo_move`] serve the ioctls. `driver` implements
//! [`ttm::Driver`](crate::abstractions::ttm::Driver): it tells TTM where a buffer may be evicted to,
//! how it is moved from one kind of memory to another, and what to do before its memory is freed.

mod advice;
mod copy_end;
mod create;
mod driver;
mod evacuation;
mod import;
mod loss;
mod moves;
mod object;
mod placement;
mod residency;
mod returning;
mod room;
mod transfer;

pub(crate) use self::{
    advice::{
        pddgpu_bo_advise,
        pddgpu_bo_set_priority, //
    },
    create::pddgpu_bo_create,
    evacuation::evacuate_vram,
    loss::settle_all,
    moves::pddgpu_bo_move,
    object::{
        vram_addresses,
        Bo,
        BoDriver,
        BoPlacement, //
    },
    returning::return_to_vram,
    transfer::{
        pddgpu_bo_copy,
        pddgpu_bo_fill,
        Span, //
    }, //
};
