// SPDX-License-Identifier: GPL-2.0

//! The GART (graphics address remapping table): it maps the pages of the GTT window to system
//! memory.
//!
//! `docs/hardware.md`, "GART", describes it. The table is in VRAM. The driver keeps a copy in
//! system memory, from which the table is restored after a reset of the card. Pages are numbered
//! from the start of the GTT window.

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

/// The GART of a card.
#[pin_data]
pub(crate) struct Gart {
    regs: Arc<BoundRegisters>,
    vram: Arc<WcBar>,
    /// VRAM offset of the table.
    base: u64,
    /// No other lock is taken while this one is held.
    #[pin]
    table: Mutex<Table>,
}

struct Table {
    /// A copy of the table's entries.
    entries: KVVec<u64>,
    /// Whether entries were changed since the last flush, so that the card may have stale ones
    /// cached.
    stale: bool,
    /// Whether the card cannot be accessed. Then only the copy is changed.
    offline: bool,
}

impl Table {
    fn flush(&mut self, regs: &Registers<'_>) {
        if self.stale && !self.offline {
            mb(Write);
            regs.write_reg(GART_FLUSH::from_raw(1));
            self.stale = false;
        }
    }
}

impl Gart {
    /// A GART whose table is at these offsets of VRAM. Call [`recover`](Self::recover) before its
    /// first use.
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
                offline: false,
            }),
        }))
    }

    /// Maps the pages of the window from `first` on to the bus addresses `ranges`, and returns the
    /// page after the last one. It takes effect with the next [`flush`](Self::flush).
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

        let offline = table.offline;

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
                offline,
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

    /// Unmaps pages and flushes the card's cache. When it returns the card cannot access the memory
    /// through these pages any more.
    ///
    /// # Errors
    ///
    /// `EINVAL` for pages beyond the window.
    pub(crate) fn unmap(&self, parent: &Device<Bound>, pages: Range<u64>) -> Result {
        let first = pages.start;
        let pages = usize::try_from(pages.start)?..usize::try_from(pages.end)?;
        let mut table = self.table.lock();
        let offline = table.offline;
        let entries = table.entries.get_mut(pages).ok_or(EINVAL)?;

        self.write(
            parent,
            offline,
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

    /// Drops the entries that the card has cached, if any were changed since the last flush.
    pub(crate) fn flush(&self, regs: &Registers<'_>) {
        self.table.lock().flush(regs);
    }

    /// Notes that the card cannot be accessed, until [`recover`](Self::recover).
    pub(crate) fn set_offline(&self) {
        self.table.lock().offline = true;
    }

    /// Calls `reset`, which may reset the card, then writes the whole table from the driver's copy
    /// and its address to the card. No entry can be changed meanwhile.
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
        table.offline = false;
        self.write(parent, false, 0, table.entries.iter().copied())?;
        table.stale = true;
        regs.try_write_reg(GART_TABLE_BASE::from_raw(self.base))?;
        Ok(())
    }

    /// Writes entries to the table in VRAM, from page `first` on, unless the card is offline.
    fn write(
        &self,
        parent: &Device<Bound>,
        offline: bool,
        first: u64,
        entries: impl Iterator<Item = u64>,
    ) -> Result {
        if offline {
            entries.for_each(drop);
            return Ok(());
        }
        let start = self.base + first * size_of::<u64>() as u64;

        self.vram.write(parent, start, entries)
    }
}
