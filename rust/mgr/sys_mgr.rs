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
    client::{
        Account,
        Booked, //
    },
    memory_stats::{
        Heap,
        Stats, //
    },
    uapi::Domain, //
};

/// The memory of one buffer.
pub(crate) struct SysResource {
    /// Bytes.
    size: u64,
    /// Its entry in the books.
    pub(crate) booked: Booked,
}

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
    type Resource = SysResource;

    const USE_TT: bool = true;

    fn alloc<'a>(&'a self, request: &'a Request<'a>) -> impl PinInit<SysResource, Error> + 'a {
        let account = Account::Heap(Domain::Cpu);

        self.stats.take(Heap::Cpu, request.size());
        Ok(SysResource {
            size: request.size(),
            booked: self.stats.ledger.allocated(account, request.size()),
        })
    }

    fn layout(&self, _resource: &SysResource) -> Layout {
        Layout {
            start: None,
            write_combined: false,
        }
    }

    fn free(&self, resource: Pin<&mut SysResource>) {
        self.stats.ledger.freed(&resource.booked);
        self.stats.give_back(Heap::Cpu, resource.size);
    }

    fn debug(&self, p: &Printer) {
        drm_print!(p, "  bytes: {}\n", self.stats.heap(Heap::Cpu).live.get());
    }
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/mgr/sys_mgr.rs"]
mod kunit;
