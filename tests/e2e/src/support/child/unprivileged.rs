// SPDX-License-Identifier: GPL-2.0

//! Somebody who is not root.

use std::fs;

use anyhow::{bail, ensure, Context, Result};
use pddgpu::{gem_list, Card, Create, Domains, OwnerKind};
use rustix::io::Errno;

use super::{say, wait_for_parent, SIZE};
use crate::support::nodes;

pub(super) fn use_card(node: &str) -> Result<()> {
    let card = Card::open(node)?;
    nodes::use_every_ioctl(&card)?;
    match gem_list::read(&card) {
        Err(error) if error.errno() == Some(Errno::ACCESS) => {}
        Err(error) => bail!("the list of everybody's buffers: {error}"),
        Ok(_) => bail!("anybody may read the list of everybody's buffers"),
    }
    for folder in [gem_list::debugfs_dir(&card)?, "/sys/kernel/debug".into()] {
        ensure!(
            fs::read_dir(&folder).is_err(),
            "anybody may look into {}",
            folder.display()
        );
    }
    Ok(())
}

/// Others have leaks too by the time the parent says to go on.
pub(super) fn leak(node: &str) -> Result<()> {
    let cards = [Card::open(node)?, Card::open(node)?];
    let buffer = cards[0].create(Create::new(SIZE as u64, Domains::CPU))?;
    say("ready")?;
    wait_for_parent()?;

    let own = cards[0].leaks()?;
    ensure!(
        own.len() == 1 && own[0].size == buffer.size() && own[0].pid == std::process::id(),
        "not just the own leak: {own:?}"
    );
    let none = cards[1].leaks()?;
    ensure!(none.is_empty(), "another file's leaks: {none:?}");
    let stats = cards[0].memory_stats()?;
    ensure!(
        stats.confirmed_leaks == stats.objects_live && stats.objects_live > 1,
        "not the totals of all: {stats:?}"
    );
    Ok(())
}

/// The parent has a buffer of as many bytes, too.
pub(super) fn owners(node: &str) -> Result<()> {
    let cards = [Card::open(node)?, Card::open(node)?];
    let _buffer = cards[0].create(Create::new(SIZE as u64, Domains::GTT))?;
    for (card, own, others) in [(&cards[0], SIZE, SIZE), (&cards[1], 0, 2 * SIZE)] {
        let (named, unnamed): (Vec<_>, Vec<_>) = card.owners()?.into_iter().partition(|owner| {
            owner.client.is_some() || owner.pid.is_some() || owner.cgroup.is_some()
        });
        ensure!(
            named.len() == 1
                && named[0].client == Some(card.client_id()?)
                && named[0].gtt == own as u64,
            "not just the own client: {named:?}"
        );
        ensure!(
            unnamed
                .iter()
                .all(|owner| owner.command.is_empty() && owner.name.is_empty()),
            "names of others: {unnamed:?}"
        );
        let rest = unnamed.iter().find(|owner| owner.kind == OwnerKind::Others);
        let rest = rest.context("nothing about the others")?;
        ensure!(
            (rest.gtt, rest.buffers) == (others as u64, (others / SIZE) as u64),
            "not the sum of all others: {rest:?}"
        );
    }
    Ok(())
}
