// SPDX-License-Identifier: GPL-2.0

//! Safe access to PDDGPU cards through their DRM driver.
//!
//! Sizes, offsets and addresses are in bytes everywhere. Offsets into a buffer are `usize`, as for
//! slices. Everything that comes from the card or the driver is `u64`.
//!
//! ```no_run
//! use pddgpu::{Card, Create, Domain, Domains};
//!
//! let card = Card::find()?;
//! let mut buffer = card.create(Create::new(1 << 20, Domains::VRAM | Domains::GTT))?;
//! buffer.map()?.write(0, b"hello");
//! buffer.move_to(Domain::Gtt)?;
//! println!("{:?}", buffer.info()?);
//! # Ok::<(), pddgpu::Error>(())
//! ```
//!
//! `FLOORS`, beside this crate's `Cargo.toml`, lists its modules so that each only uses those in
//! the lines above its own.

#![warn(missing_docs)]

mod budget;
mod buffer;
mod card;
mod device;
mod domain;
mod error;
mod events;
pub mod fdinfo;
mod flags;
pub mod gem_list;
mod heap;
pub mod leak_traces;
mod mapping;
mod mask;
mod owners;
mod query;
pub mod raw;
mod sharing;
mod statistics;
mod syncobj;
mod text;
mod transfer;
pub mod virtual_card;

pub use budget::Budget;
pub use buffer::{Advice, Buffer, Create, Deadline, Info, Priority};
pub use card::Card;
pub use device::Device;
pub use domain::{Domain, Domains};
pub use error::{Error, Result};
pub use events::Event;
pub use flags::{CreateFlags, Events, Features};
pub use heap::Heap;
pub use mapping::Mapping;
pub use owners::{Owner, OwnerKind};
pub use statistics::{
    counter::{Counter, CounterTable, Description, Unit},
    failures::FailureStats,
    histogram::Histogram,
    leaks::{Leak, LeakState},
    memory_stats::{HeapStats, MemoryStats, MoveStats},
    times::TimeStats,
};
pub use syncobj::Syncobj;
