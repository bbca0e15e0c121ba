// SPDX-License-Identifier: GPL-2.0

//! The memory of buffers as the copy engine sees it.

use kernel::{
    page::PAGE_SHIFT,
    prelude::*, //
};

use crate::{
    abstractions::{
        drm::Entered,
        ttm::{
            Locked,
            Resource, //
        }, //
    },
    bo::object::{
        vram_addresses,
        BoDriver, //
    },
    copy_engine::{
        CopyEnd,
        Ranges, //
    }, //
};

/// Describes a resource of a buffer to the copy engine, as one end of a copy.
///
/// # Errors
///
/// `EINVAL` for a buffer in system memory without pages; `ENOMEM`.
pub(super) fn copy_end(
    bo: &Locked<'_, BoDriver>,
    res: &Resource,
    entered: &Entered<'_>,
) -> Result<CopyEnd> {
    let pdev = bo.dev();

    if let Some(vram) = pdev.vram.get(res) {
        return Ok(CopyEnd::Mapped(vram_addresses(pdev, vram.ranges())?));
    }
    if let Some(page) = res.start() {
        let start = pdev.gmc.gtt.start + (page << PAGE_SHIFT);

        return Ok(CopyEnd::Mapped(Ranges::new(core::iter::once(
            start..start + bo.object().size(),
        ))?));
    }

    let pages = bo.bus_addresses(entered)?.ok_or(EINVAL)?;
    Ok(CopyEnd::SystemPages(Ranges::new(pages.iter().cloned())?))
}
