// SPDX-License-Identifier: GPL-2.0

//! The ioctls: `include/uapi/drm/pddgpu_drm.h` says what they promise.
//!
//! Nothing from user space is trusted. An ioctl that fails leaves no handle, no buffer and no byte
//! behind.

mod gem;
mod query;

use self::{
    gem::{
        GemCreate,
        GemInfo,
        GemMmap,
        GemMove,
        GemWait, //
    },
    query::Query, //
};
use crate::abstractions::drm::ioctl::{
    self,
    Descriptor, //
};

/// The ioctl table, in the order of the numbers.
pub(crate) const TABLE: [Descriptor; 6] = ioctl::table([
    Descriptor::new::<GemCreate>(),
    Descriptor::new::<GemMmap>(),
    Descriptor::new::<GemInfo>(),
    Descriptor::new::<GemWait>(),
    Descriptor::new::<GemMove>(),
    Descriptor::new::<Query>(),
]);
