// SPDX-License-Identifier: GPL-2.0

use std::ptr;

use anyhow::{ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::{gem_list, raw, Buffer, Card, Create, Domains};
use rustix::io::Errno;

use crate::support::fixture::{trials, Bench};

pub fn tests() -> Vec<Trial> {
    trials!(card_trial:
        a_label_is_the_buffers_not_the_clients,
        the_longest_label_has_63_bytes,
        what_could_forge_a_line_is_refused,
        an_address_that_cannot_be_read_changes_nothing,
        rejects_padding_and_unknown_handles,
    )
}

/// The label that the list of all buffers shows, which has this buffer only.
fn label(card: &Card) -> Result<String> {
    let clients = gem_list::read(card)?;
    let mut buffers = clients.into_iter().flat_map(|client| client.buffers);
    Ok(buffers.next().context("no buffer is listed")?.label)
}

fn set(buffer: &Buffer, args: raw::drm_pddgpu_gem_set_label) -> Result<(), Errno> {
    let handle = match args.handle {
        0 => buffer.handle(),
        handle => handle,
    };
    let args = raw::drm_pddgpu_gem_set_label { handle, ..args };
    buffer.card().raw().gem_set_label(args)
}

fn buffer(bench: &Bench) -> Result<Buffer> {
    Ok(bench.card.create(Create::new(4096, Domains::CPU))?)
}

fn a_label_is_the_buffers_not_the_clients(bench: &Bench) -> Result<()> {
    let buffer = buffer(bench)?;
    ensure!(
        label(&bench.card)?.is_empty(),
        "it has one before it is set"
    );
    buffer.set_label(c"vertices")?;
    ensure!(label(&bench.card)? == "vertices");

    let other = Card::open(bench.card.path())?;
    let theirs = other.import(buffer.export(true)?)?;
    theirs.set_label(c"theirs, too")?;
    ensure!(label(&bench.card)? == "theirs, too");
    buffer.set_label(c"")?;
    ensure!(label(&bench.card)?.is_empty());
    buffer.set_label(c"again")?;
    set(&buffer, Default::default())?;
    ensure!(label(&bench.card)?.is_empty(), "no label is none");
    Ok(())
}

fn the_longest_label_has_63_bytes(bench: &Bench) -> Result<()> {
    let buffer = buffer(bench)?;
    let set_bytes = |count: usize| {
        let mut text = vec![b'x'; count];
        text.push(0);
        set(
            &buffer,
            raw::drm_pddgpu_gem_set_label {
                label: text.as_ptr() as usize as u64,
                ..Default::default()
            },
        )
    };
    set_bytes(63)?;
    ensure!(label(&bench.card)? == "x".repeat(63));
    for count in [64, 65, 4096] {
        let result = set_bytes(count);
        ensure!(result == Err(Errno::TOOBIG), "{count} bytes: {result:?}");
    }
    ensure!(label(&bench.card)? == "x".repeat(63), "it changed");
    Ok(())
}

fn what_could_forge_a_line_is_refused(bench: &Bench) -> Result<()> {
    let buffer = buffer(bench)?;
    buffer.set_label(c" before~ ")?;
    for text in [
        c"two\nlines",
        c"\x1b[2J",
        c"a\tb",
        c"\x7f",
        c"caf\xc3\xa9",
        c"\xff",
    ] {
        let args = raw::drm_pddgpu_gem_set_label {
            label: text.as_ptr() as usize as u64,
            ..Default::default()
        };
        let result = set(&buffer, args);
        ensure!(result == Err(Errno::INVAL), "{text:?}: {result:?}");
    }
    let shown = label(&bench.card)?;
    ensure!(shown.trim() == "before~", "{shown:?}");
    Ok(())
}

fn an_address_that_cannot_be_read_changes_nothing(bench: &Bench) -> Result<()> {
    let buffer = buffer(bench)?;
    buffer.set_label(c"before")?;
    for label in [8, u64::MAX, 1 << 63] {
        let args = raw::drm_pddgpu_gem_set_label {
            label,
            ..Default::default()
        };
        let result = set(&buffer, args);
        ensure!(result == Err(Errno::FAULT), "{label:#x}: {result:?}");
    }
    ensure!(label(&bench.card)? == "before");
    Ok(())
}

fn rejects_padding_and_unknown_handles(bench: &Bench) -> Result<()> {
    let buffer = buffer(bench)?;
    for (pad, handle, errno) in [(1, 0, Errno::INVAL), (0, 4711, Errno::NOENT)] {
        let args = raw::drm_pddgpu_gem_set_label {
            handle,
            pad,
            label: ptr::from_ref(c"x").cast::<u8>() as usize as u64,
        };
        let result = set(&buffer, args);
        ensure!(result == Err(errno), "{args:?}: {result:?}");
    }
    ensure!(label(&bench.card)?.is_empty(), "it has one");
    Ok(())
}
