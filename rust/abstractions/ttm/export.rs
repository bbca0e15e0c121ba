// SPDX-License-Identifier: GPL-2.0

//! Buffers whose pages other devices have mapped through a dma-buf.
//!
//! A device that cannot be told of a move attaches statically: its buffers are pinned
//! ([`pin`](super::pin)). All others are told (`dma_buf_invalidate_mappings()`), and map the buffer
//! again when they next need it. So a buffer that they have mapped can be moved and evicted. Only
//! what frees its pages without a move, as the shrinker does, leaves it alone.
//!
//! C source: `drivers/gpu/drm/amd/amdgpu/amdgpu_dma_buf.c`

use kernel::prelude::*;

use crate::{
    abstractions::{
        dma::attachment::DmaBuf,
        ttm::{
            ctx::OperationCtx,
            driver::Driver,
            object::Object,
            placement::{
                MemType,
                Place, //
            },
            reserved::Locked,
            types::Types, //
        }, //
    },
    bindings::raw as bindings, //
};

/// Where other devices can reach a buffer: where it is, if that is system memory. It can be evicted
/// from GTT all the same.
const PLACES: [Place; 2] = [
    Place::anywhere(MemType::System),
    Place::anywhere(MemType::Tt),
];

impl<T: Types> Locked<'_, T> {
    /// Whether another device has the pages mapped.
    pub(super) fn is_mapped_elsewhere(&self) -> bool {
        // SAFETY: resv is held, which protects it.
        unsafe { (*self.object().importers.get()).mappings > 0 }
    }

    /// Tells other devices that the memory moves. They may use it until their fences, which are in
    /// the buffer's resv, are signalled.
    pub(super) fn invalidate_mappings(&self) {
        // SAFETY: resv is held, which protects it. Who has a mapping is attached to the dma-buf, and
        // so keeps it.
        unsafe {
            let importers = self.object().importers.get();

            if (*importers).mappings > 0 {
                bindings::dma_buf_invalidate_mappings((*importers).buf);
            }
        }
    }
}

impl<T: Driver> Object<T> {
    /// Has the pages be where another device can reach them, and counts its mapping.
    ///
    /// # Errors
    ///
    /// `ENODEV` once the device is unplugged; `ENOMEM`; `ERESTARTSYS` on a signal; those of the move.
    pub(super) fn map_for(bo: &mut Locked<'_, T>, buf: &DmaBuf) -> Result {
        if bo.pin_count() == 0 {
            let mut ctx = OperationCtx::interruptible();

            drop(bo.dev().enter()?);
            bo.validate(&PLACES, &mut ctx)?;
            bo.populate(&mut ctx)?;
        }

        // SAFETY: resv is held, which protects it.
        unsafe {
            let importers = bo.object().importers.get();

            (*importers).buf = buf.as_raw();
            (*importers).mappings += 1;
        }
        Ok(())
    }

    /// Counts one mapping less.
    pub(super) fn unmapped(bo: &Locked<'_, T>) {
        // SAFETY: resv is held, which protects it.
        unsafe { (*bo.object().importers.get()).mappings -= 1 };
    }
}
