// SPDX-License-Identifier: GPL-2.0

//! `pddgpu_gtt_mm`: the GTT manager's state, and the ranges of its window as `drm_mm_print()` would
//! print them, which holds the manager's lock all the time.

use kernel::prelude::*;

use crate::{
    abstractions::drm::{
        debugfs::List,
        drm_print,
        Printer, //
    },
    device::{
        PddgpuDevice,
        PddgpuDrm, //
    },
    mgr::gtt_mgr::WindowRange, //
};

/// The file.
pub(super) struct GttMm;

/// What a reader finds next.
pub(super) enum Position {
    /// The summary.
    Summary,
    /// The range from this page on.
    Range(u64),
    /// Nothing.
    End,
}

/// What is printed.
pub(super) enum Item {
    /// The manager's summary.
    Summary,
    /// A range of pages.
    Range(WindowRange),
    /// The sum of all ranges.
    Total,
}

impl List for GttMm {
    type Driver = PddgpuDrm;
    const NAME: &'static CStr = c"pddgpu_gtt_mm";
    type Cursor = Position;
    type Item = Item;

    fn start(_dev: &PddgpuDevice) -> Result<Position> {
        Ok(Position::Summary)
    }

    fn next(dev: &PddgpuDevice, at: &mut Position) -> Result<Option<Item>> {
        let (next, item) = match *at {
            Position::Summary => (Position::Range(0), Item::Summary),
            Position::Range(from) => match dev.gtt.range(from) {
                Some(range) => {
                    let (WindowRange::Used(pages) | WindowRange::Free(pages)) = &range;

                    (Position::Range(pages.end), Item::Range(range))
                }
                None => (Position::End, Item::Total),
            },
            Position::End => return Ok(None),
        };

        *at = next;
        Ok(Some(item))
    }

    fn print(dev: &PddgpuDevice, item: &Item, p: &Printer) {
        match item {
            Item::Summary => dev.gtt.print(p),
            Item::Range(range) => {
                let (pages, name) = match range {
                    WindowRange::Used(pages) => (pages, "used"),
                    WindowRange::Free(pages) => (pages, "free"),
                };

                drm_print!(
                    p,
                    "{:#018x}-{:#018x}: {}: {}\n",
                    pages.start,
                    pages.end,
                    pages.end - pages.start,
                    name
                );
            }
            Item::Total => {
                let (total, used) = dev.gtt.total_and_used();

                drm_print!(p, "total: {}, used {} free {}\n", total, used, total - used);
            }
        }
    }
}
