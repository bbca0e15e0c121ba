// SPDX-License-Identifier: GPL-2.0

//! The manager of the CPU domain: system memory without a GPU address.
//!
//! It replaces TTM's own system manager. Both only count bytes, but this one counts them in the
//! driver's statistics, as the other managers do.

use kernel::{
    prelude::*,
    sync::Arc, //
};

use crate::{
    abstractions::{
        drm::{
            drm_print,
            Printer, //
        },
        ttm::{
            Layout,
            Request,
            ResourceManager, //
        }, //
    },
    memory_stats::{
        Heap,
        Stats, //
    }, //
};

/// The manager of `TTM_PL_SYSTEM`.
pub(crate) struct SysMgr {
    stats: Arc<Stats>,
}

impl SysMgr {
    /// A manager, which never refuses a request.
    pub(crate) fn new(stats: Arc<Stats>) -> Self {
        Self { stats }
    }
}

impl ResourceManager for SysMgr {
    /// Bytes of the buffer.
    type Resource = u64;

    const USE_TT: bool = true;

    fn alloc<'a>(&'a self, request: &'a Request<'a>) -> impl PinInit<u64, Error> + 'a {
        self.stats.take(Heap::Cpu, request.size());
        Ok(request.size())
    }

    fn layout(&self, _size: &u64) -> Layout {
        Layout {
            start: None,
            write_combined: false,
        }
    }

    fn free(&self, size: Pin<&mut u64>) {
        self.stats.give_back(Heap::Cpu, *size);
    }

    fn debug(&self, p: &Printer) {
        drm_print!(p, "  bytes: {}\n", self.stats.heap(Heap::Cpu).live.get());
    }
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/mgr/sys_mgr.rs"]
mod kunit;
