// SPDX-License-Identifier: GPL-2.0

//! A list of objects by age.
//!
//! All objects are in one list, in the order of creation. Each belongs to a generation. New objects
//! belong to generation 0, and an object can only pass to the next generation after those that were
//! created before it. So each generation is a part of the list, and the objects that are old enough
//! for the next generation are at the front of that part: advancing them visits only these objects
//! and one more. Adding and removing an object takes constant time and allocates nothing.
//!
//! Objects are only ever added to the end of the list, and never moved. So a [`Cursor`] passes each
//! object that is in the list all the time exactly once.
//!
//! Objects that have left generation 0 can also be found by group (`groups.rs`).
//!
//! Everything is protected by one spinlock. It is held for at most a few dozen objects at a time,
//! and no other lock is taken while it is held.
//!
//! [`kernel::list`] owns what is in it, one [`Arc`] an entry. Here the objects belong to others,
//! and leave the list when they are dropped.

mod cursor;
mod groups;
mod list;

pub(crate) use self::{
    cursor::Cursor,
    groups::Totals,
    list::{
        Aged,
        AgingList,
        Node, //
    }, //
};

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/abstractions/aging_list.rs"]
mod kunit;
