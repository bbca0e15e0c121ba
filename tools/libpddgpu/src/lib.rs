// SPDX-License-Identifier: GPL-2.0

//! Safe access to PDDGPU cards through their DRM driver.
//!
//! Sizes, offsets and addresses are in bytes everywhere. Offsets into a buffer are `usize`, as for
//! slices; all that comes from the card or the driver is `u64`.
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

#![warn(missing_docs)]

mod buffer;
mod card;
mod domain;
mod error;
pub mod gem_list;
mod mapping;
mod query;
pub mod raw;
mod statistics;
pub mod virtual_card;

pub use buffer::{Buffer, Create, Deadline, Info};
pub use card::{Card, Device, Heap};
pub use domain::{CreateFlags, Domain, Domains, Features};
pub use error::{Error, Result};
pub use mapping::Mapping;
pub use statistics::{
    histogram::Histogram,
    leaks::{Leak, LeakState},
    memory_stats::{FailureStats, HeapStats, MemoryStats, MoveStats, TimeStats},
};
