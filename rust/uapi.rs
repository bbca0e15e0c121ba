// SPDX-License-Identifier: GPL-2.0

//! The driver's user-space interface: the structures of `include/uapi/drm/pddgpu_drm.h`, and what
//! of them has a type of its own in Rust.

mod array_head;
mod param;

pub(crate) use crate::bindings::uapi::*;

pub(crate) use self::array_head::ArrayHead;
pub(crate) use self::param::{
    BoParam,
    CreateFlag,
    CreateFlags,
    Domain,
    MAX_ALIGNMENT,
    MAX_CPU_SIZE, //
};
