// SPDX-License-Identifier: GPL-2.0

//! Copies and fills, which the card does in the background.

use crate::{
    buffer::Buffer,
    card::retry_interrupted,
    error::{Error, Result},
    raw,
};

impl Buffer {
    /// Copies `size` bytes from `offset` on to those of another buffer of the same [`Card`] file, or
    /// of this one. Offsets and sizes are multiples of 4.
    ///
    /// The card does it after the call has returned, in the order in which the file asks for copies
    /// and fills.
    ///
    /// [`Card`]: crate::Card
    pub fn copy_to(
        &self,
        offset: u64,
        to: &Self,
        to_offset: u64,
        size: u64,
        syncs: &[raw::drm_pddgpu_sync],
    ) -> Result<()> {
        let args = raw::drm_pddgpu_gem_copy {
            src: self.handle(),
            dst: to.handle(),
            src_offset: offset,
            dst_offset: to_offset,
            size,
            syncs: syncs.as_ptr() as usize as u64,
            num_syncs: syncs.len().try_into().unwrap_or(u32::MAX),
            flags: 0,
        };
        retry_interrupted(|| self.card().raw().gem_copy(args)).map_err(Error::from_call("GEM_COPY"))
    }

    /// Repeats a value over `size` bytes from `offset` on. Otherwise as [`copy_to`](Self::copy_to).
    pub fn fill(
        &self,
        offset: u64,
        size: u64,
        value: u32,
        syncs: &[raw::drm_pddgpu_sync],
    ) -> Result<()> {
        let args = raw::drm_pddgpu_gem_fill {
            handle: self.handle(),
            value,
            offset,
            size,
            syncs: syncs.as_ptr() as usize as u64,
            num_syncs: syncs.len().try_into().unwrap_or(u32::MAX),
            pad: 0,
        };
        retry_interrupted(|| self.card().raw().gem_fill(args)).map_err(Error::from_call("GEM_FILL"))
    }
}
