// SPDX-License-Identifier: GPL-2.0

//! The ioctls, which `include/uapi/drm/pddgpu_drm.h` specifies, and their table.
//!
//! Arguments from user space are checked before anything is allocated. An ioctl that fails leaves
//! no handle, no buffer and no memory allocated.

mod dumb;
mod gem;
mod padding;
mod query;
mod reserve;
mod subscribe;
mod sync;
mod transfer;

use self::{
    gem::{
        GemAdvise,
        GemCreate,
        GemInfo,
        GemMmap,
        GemMove,
        GemSetLabel,
        GemSetPriority,
        GemWait, //
    },
    query::Query,
    reserve::Reserve,
    subscribe::Subscribe,
    transfer::{
        GemCopy,
        GemFill, //
    }, //
};
use crate::abstractions::drm::ioctl::{
    self,
    Descriptor, //
};

/// The ioctl table, in the order of the numbers.
pub(crate) const TABLE: [Descriptor; 13] = ioctl::table([
    Descriptor::new::<GemCreate>(),
    Descriptor::new::<GemMmap>(),
    Descriptor::new::<GemInfo>(),
    Descriptor::new::<GemWait>(),
    Descriptor::new::<GemMove>(),
    Descriptor::new::<Query>(),
    Descriptor::new::<GemCopy>(),
    Descriptor::new::<GemFill>(),
    Descriptor::new::<GemAdvise>(),
    Descriptor::new::<GemSetPriority>(),
    Descriptor::new::<Reserve>(),
    Descriptor::new::<Subscribe>(),
    Descriptor::new::<GemSetLabel>(),
]);
