// SPDX-License-Identifier: GPL-2.0

//! The clients of a card: what each of them has of its memory and of its copy engine.
//!
//! A client is an open DRM file. Its figures are kept where handles come and go, and where buffers
//! move, so that reading them costs the same however many buffers it has. They are what
//! `/proc/PID/fdinfo` shows, in the terms of
//! [`drm-usage-stats`](srctree/Documentation/gpu/drm-usage-stats.rst).

mod budget;
mod claim;
mod events;
mod holders;
mod holding;
mod ledger;
mod usage;

pub(crate) use self::{
    budget::{
        Asking,
        Budgets,
        Member,
        Victims, //
    },
    events::Event,
    holders::{
        Busy,
        Content,
        Holders, //
    },
    holding::{
        Account,
        Holding, //
    },
    ledger::{
        Booked,
        Keeper,
        Ledger,
        Snapshot, //
    },
    usage::Client, //
};
