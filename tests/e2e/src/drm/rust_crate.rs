// SPDX-License-Identifier: GPL-2.0

//! The [`drm`] crate, as compositors in Rust use it, which knows nothing of this driver.

use std::{
    fs::File,
    os::fd::{AsFd, BorrowedFd},
};

use anyhow::{ensure, Result};
use drm::{
    buffer::{Buffer as _, DrmFourcc},
    control::Device as _,
    Device as _, DriverCapability,
};
use libtest_mimic::Trial;
use pddgpu::{Create, Deadline, Domains};
use rustix::fs::OFlags;

use crate::support::{
    engine::finish,
    fixture::{trials, Bench},
    nodes::primary_node,
};

pub fn tests() -> Vec<Trial> {
    trials!(card_trial: it_knows_the_driver, it_makes_dumb_buffers, it_waits_for_syncobjs)
}

/// A node of the card.
struct Node(File);

impl AsFd for Node {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl drm::Device for Node {}
impl drm::control::Device for Node {}

impl Node {
    fn open(path: impl AsRef<std::path::Path>) -> Result<Self> {
        Ok(Self(File::options().read(true).write(true).open(path)?))
    }
}

fn it_knows_the_driver(bench: &Bench) -> Result<()> {
    let node = Node::open(bench.card.path())?;
    ensure!(node.get_driver()?.name() == "pddgpu");
    for (capability, value) in [
        (DriverCapability::Prime, 3),
        (DriverCapability::SyncObj, 1),
        (DriverCapability::TimelineSyncObj, 1),
    ] {
        let found = node.get_driver_capability(capability)?;
        ensure!(found == value, "{capability:?}: {found}");
    }
    Ok(())
}

fn it_makes_dumb_buffers(bench: &Bench) -> Result<()> {
    let node = Node::open(primary_node(&bench.card)?)?;
    let mut dumb = node.create_dumb_buffer((64, 32), DrmFourcc::Xrgb8888, 32)?;
    ensure!(dumb.pitch() >= 256, "{dumb:?}");
    node.map_dumb_buffer(&mut dumb)?.fill(7);
    // A renderer gets it as a dma-buf, and reads what was written.
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    let shared = node.buffer_to_prime_fd(dumb.handle(), flags.bits())?;
    let seen = bench.card.import(&shared)?;
    ensure!(seen.map()?.to_vec()[..64 * 32 * 4]
        .iter()
        .all(|byte| *byte == 7));
    drop(seen);
    node.destroy_dumb_buffer(dumb)?;
    Ok(())
}

fn it_waits_for_syncobjs(bench: &Bench) -> Result<()> {
    let node = Node::open(bench.card.path())?;
    let card = &bench.card;
    let ours = pddgpu::Syncobj::new(card)?;
    let buffer = card.create(Create::new(1 << 20, Domains::VRAM))?;
    buffer.fill(0, 1 << 20, 1, &[ours.signal_after(0)])?;
    ensure!(ours.wait(0, Deadline::NEVER)?, "not filled");
    // A file of its own has syncobjs of its own.
    let theirs = node.create_syncobj(false)?;
    node.syncobj_timeline_signal(&[theirs], &[5])?;
    node.syncobj_timeline_wait(&[theirs], &[5], 0, true, false, false)?;
    node.destroy_syncobj(theirs)?;
    finish(&buffer)
}
