// SPDX-License-Identifier: GPL-2.0

//! The GART: where in system memory each page of the GTT window is.
//!
//! `docs/hardware.md`, "GART". The table is in VRAM; the driver keeps a copy, from which it is restored
//! when the card was reset. Pages are numbered from the start of the window.

use core::ops::Range;

use kernel::{
    device::{
        Bound,
        Device, //
    },
    io::Io,
    new_mutex,
    page::PAGE_SHIFT,
    prelude::*,
    sync::{
        barrier::{
            mb,
            Write, //
        },
        Arc,
        Mutex, //
    }, //
};

use crate::{
    abstractions::pci::WcBar,
    hw::regs::*, //
};

/// The table.
#[pin_data]
pub(crate) struct Gart {
    regs: Arc<BoundRegisters>,
    vram: Arc<WcBar>,
    /// VRAM offset of the first entry.
    base: u64,
    /// Its lock is innermost.
    #[pin]
    table: Mutex<Table>,
}

struct Table {
    /// What the table holds.
    entries: KVVec<u64>,
    /// Whether the card may know entries that are no longer so.
    stale: bool,
}

impl Table {
    fn flush(&mut self, regs: &Registers<'_>) {
        if self.stale {
            mb(Write);
            regs.write_reg(GART_FLUSH::from_raw(1));
            self.stale = false;
        }
    }
}

impl Gart {
    /// A table in these bytes of VRAM, one entry after the other. It has to be [recovered](Self::recover)
    /// before it is used.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(
        regs: Arc<BoundRegisters>,
        vram: Arc<WcBar>,
        table: &Range<u64>,
    ) -> Result<impl PinInit<Self>> {
        let count = usize::try_from((table.end - table.start) / size_of::<u64>() as u64)?;
        let entries = KVVec::from_elem(0, count, GFP_KERNEL)?;
        let base = table.start;

        Ok(pin_init!(Self {
            regs,
            vram,
            base,
            table <- new_mutex!(Table {
                entries,
                stale: false,
            }),
        }))
    }

    /// Has the pages from `first` on be those with the bus addresses `ranges`, and returns where they end.
    /// The card knows after the next [`flush`](Self::flush).
    ///
    /// # Errors
    ///
    /// `EINVAL` for pages beyond the window.
    pub(crate) fn map(
        &self,
        parent: &Device<Bound>,
        first: u64,
        ranges: impl Iterator<Item = Range<u64>>,
    ) -> Result<u64> {
        let mut table = self.table.lock();
        let mut at = first;

        table.stale = true;
        for range in ranges {
            let end = at + ((range.end - range.start) >> PAGE_SHIFT);
            let entries = table
                .entries
                .get_mut(usize::try_from(at)?..usize::try_from(end)?)
                .ok_or(EINVAL)?;
            let first = range.start | GART_VALID | GART_WRITABLE | GART_SNOOPED;

            self.write(
                parent,
                at,
                entries.iter_mut().enumerate().map(|(index, entry)| {
                    let value = first.wrapping_add((index as u64) << PAGE_SHIFT);

                    *entry = value;
                    value
                }),
            )?;
            at = end;
        }
        Ok(at)
    }

    /// Takes pages out of the table, for good by the time it returns.
    ///
    /// # Errors
    ///
    /// `EINVAL` for pages beyond the window.
    pub(crate) fn unmap(&self, parent: &Device<Bound>, pages: Range<u64>) -> Result {
        let first = pages.start;
        let pages = usize::try_from(pages.start)?..usize::try_from(pages.end)?;
        let mut table = self.table.lock();
        let entries = table.entries.get_mut(pages).ok_or(EINVAL)?;

        self.write(
            parent,
            first,
            entries.iter_mut().map(|entry| {
                *entry = 0;
                0
            }),
        )?;
        table.stale = true;
        table.flush(self.regs.access(parent)?);
        Ok(())
    }

    /// Has the card forget what is no longer so.
    pub(crate) fn flush(&self, regs: &Registers<'_>) {
        self.table.lock().flush(regs);
    }

    /// Calls `reset`, which may make the card forget about the table, and then restores all of it.
    ///
    /// # Errors
    ///
    /// Those of `reset`.
    pub(crate) fn recover(
        &self,
        parent: &Device<Bound>,
        reset: impl FnOnce(&Registers<'_>) -> Result,
    ) -> Result {
        let regs = self.regs.access(parent)?;
        let mut table = self.table.lock();

        reset(regs)?;
        self.write(parent, 0, table.entries.iter().copied())?;
        table.stale = true;
        regs.try_write_reg(GART_TABLE_BASE::from_raw(self.base))?;
        Ok(())
    }

    /// Writes entries from page `first` on, all in one pass: there is one for each page that moves.
    fn write(
        &self,
        parent: &Device<Bound>,
        first: u64,
        entries: impl Iterator<Item = u64>,
    ) -> Result {
        let start = self.base + first * size_of::<u64>() as u64;

        self.vram.write(parent, start, entries)
    }
}
