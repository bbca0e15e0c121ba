// SPDX-License-Identifier: GPL-2.0

//! The parts that have many buffers.

use std::{fs, path::Path};

use anyhow::{ensure, Context, Result};
use pddgpu::{Card, Create, CreateFlags, Domain, Domains};

use super::{say, told, wait_for_parent, BYTE};

pub fn hoard(node: &str) -> Result<()> {
    let card = Card::open(node)?;
    let create = Create::new(4096, Domains::GTT);
    let _buffers: Vec<_> = (0..3000)
        .map(|_| card.create(create))
        .collect::<pddgpu::Result<_>>()?;
    say("ready")?;
    wait_for_parent()
}

pub fn soil(node: &str) -> Result<()> {
    let card = Card::open(node)?;
    // Of one page, so that each is a piece of its own.
    let create = Create::new(4096, Domains::VRAM).flags(CreateFlags::CPU_ACCESS_REQUIRED);
    let count = (card.heaps()?[0].visible_total / 2 / create.size).min(2000);
    let _buffers: Vec<_> = (0..count)
        .map(|_| {
            let buffer = card.create(create)?;
            buffer.map()?.write(0, &[BYTE; 4096]);
            Ok(buffer)
        })
        .collect::<Result<_>>()?;
    say("ready")?;
    wait_for_parent()
}

/// Is told the cgroup, the domain and the bytes of each buffer.
pub fn fill(node: &str) -> Result<()> {
    let line = told()?;
    let mut words = line.split(' ');
    let mut word = || words.next().context("not told what");
    let (cgroup, domain, size) = (word()?, word()?, word()?.parse()?);
    let domain = Domain::ALL.into_iter().find(|d| d.to_string() == domain);
    fs::write(Path::new(cgroup).join("cgroup.procs"), "0")?;
    let card = Card::open(node)?;
    let create = Create::new(size, domain.context("no such domain")?.into());
    let mut buffers = Vec::new();
    // Where touching fails there is a signal, and nothing is said.
    while let Ok(buffer) = card.create(create) {
        let mut map = buffer.map()?;
        for at in (0..map.len()).step_by(4096) {
            map.write(at, &[BYTE]);
        }
        buffers.push((buffer, map));
        say(&buffers.len().to_string())?;
    }
    say("refused")?;
    wait_for_parent()?;
    for (_, map) in &buffers {
        for at in (0..map.len()).step_by(4096) {
            let mut byte = [0];
            map.read(at, &mut byte);
            ensure!(byte == [BYTE], "at {at:#x} there is {byte:?}");
        }
    }
    say("found")?;
    wait_for_parent()
}
