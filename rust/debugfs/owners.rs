// SPDX-License-Identifier: GPL-2.0

//! `pddgpu_owners`: whose each byte is.

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
    owners::{
        kind_name,
        owners,
        Listed, //
    },
    uapi, //
};

/// The file.
pub(super) struct Owners;

/// What a reader finds next. All entries are of the moment when the reading began.
pub(super) struct Position {
    entries: KVVec<uapi::drm_pddgpu_owner>,
    next: usize,
}

/// A line.
pub(super) enum Item {
    /// The heading.
    Heading,
    /// An entry.
    Owner(uapi::drm_pddgpu_owner),
}

impl List for Owners {
    type Driver = PddgpuDrm;
    const NAME: &'static CStr = c"pddgpu_owners";
    type Cursor = Position;
    type Item = Item;

    fn start(dev: &PddgpuDevice) -> Result<Position> {
        Ok(Position {
            entries: owners(dev, Listed::All)?,
            next: 0,
        })
    }

    fn next(_dev: &PddgpuDevice, at: &mut Position) -> Result<Option<Item>> {
        let index = at.next;

        at.next += 1;
        Ok(match index.checked_sub(1) {
            None => Some(Item::Heading),
            Some(index) => at
                .entries
                .get_mut(index)
                .map(core::mem::take)
                .map(Item::Owner),
        })
    }

    fn print(_dev: &PddgpuDevice, item: &Item, p: &Printer) {
        match item {
            Item::Heading => drm_print!(
                p,
                "{:<9} {:>14} {:>14} {:>14} {:>14} {:>9} {:>8} {:>8} {:>10} command; name\n",
                "owner",
                "vram",
                "gtt",
                "cpu",
                "hop",
                "buffers",
                "client",
                "pid",
                "cgroup"
            ),
            Item::Owner(owner) => drm_print!(
                p,
                "{:<9} {:>14} {:>14} {:>14} {:>14} {:>9} {:>8} {:>8} {:>10} {}; {}\n",
                kind_name(owner.kind),
                owner.vram,
                owner.gtt,
                owner.cpu,
                owner.hop,
                owner.buffers,
                owner.client,
                owner.pid,
                owner.cgroup,
                text(&owner.comm),
                text(&owner.name)
            ),
        }
    }
}

fn text(bytes: &[u8]) -> &str {
    CStr::from_bytes_until_nul(bytes)
        .ok()
        .and_then(|text| text.to_str().ok())
        .unwrap_or("-")
}
