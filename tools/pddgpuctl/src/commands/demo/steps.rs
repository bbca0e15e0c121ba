// SPDX-License-Identifier: GPL-2.0

//! The steps that work with buffers.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    io,
    process::Command,
};

use anyhow::{ensure, Context, Result};
use pddgpu::{virtual_card::pages, Buffer, Create, CreateFlags, Domain, Domains};

use crate::{
    commands::demo::{report::Notes, split, stage::Stage},
    output::{table::Table, text::address, units::size},
};

/// The program in samples/c.
const SAMPLE: &str = "pddgpu-sample";

/// Bytes of each buffer.
const SIZE: u64 = 1 << 20;

/// What is left out without a view from the card's side.
const NO_CHANNEL: &str =
    "looking from the card's side, which only the virtual card allows, and root only";

/// What is left out where the C program is not installed.
const NO_SAMPLE: &str = "running pddgpu-sample, which is not installed";

/// Runs the C program and adds what it prints.
pub fn c_sample(notes: &mut Notes) -> Result<()> {
    let output = match Command::new(SAMPLE).output() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            notes.add_left_out(NO_SAMPLE)?;
            return Ok(());
        }
        output => output.with_context(|| format!("cannot run {SAMPLE}"))?,
    };
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        notes.add(line)?;
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{SAMPLE}: {}: {}",
        output.status,
        errors.trim_end()
    );
    Ok(())
}

/// Creates one buffer in each domain, writes to each and reads it back.
pub fn each_domain(stage: &Stage, notes: &mut Notes) -> Result<()> {
    let mut table = Table::new(["Domain", "Size", "Handle", "GPU address", "Visible"]);
    for domain in Domain::ALL {
        let create = Create::new(SIZE, domain.into()).flags(CreateFlags::CPU_ACCESS_REQUIRED);
        let buffer = stage.card.create(create)?;
        let info = buffer.info()?;
        table.row([
            info.placement.to_string(),
            size(info.size),
            buffer.handle().to_string(),
            address(info.gpu_addr),
            size(info.visible),
        ]);
        ensure!(
            info.placement == domain,
            "asked for {domain}, got {}",
            info.placement
        );

        let mut map = buffer.map()?;
        ensure!(
            map.to_vec().iter().all(|&b| b == 0),
            "a new buffer in {domain} is not all zeros"
        );
        let content = fresh_pattern(map.len());
        map.write(0, &content);
        ensure!(
            map.to_vec() == content,
            "a buffer in {domain} lost what was written to it"
        );
    }
    notes.table(&table)?;
    notes.add("each read as zeros when new, and holds what the CPU wrote")?;
    Ok(())
}

/// Creates a contiguous buffer in VRAM and checks it from both sides.
pub fn contiguous(stage: &mut Stage, notes: &mut Notes) -> Result<()> {
    let flags = CreateFlags::CPU_ACCESS_REQUIRED | CreateFlags::VRAM_CONTIGUOUS;
    let buffer = stage
        .card
        .create(Create::new(SIZE, Domains::VRAM).flags(flags))?;
    let info = buffer.info()?;
    let start = info.gpu_addr.context("it has no GPU address")?;
    notes.add(format!(
        "{} at GPU address {}",
        size(info.size),
        address(info.gpu_addr)
    ))?;

    let offsets = check_both_sides(stage, notes, &buffer)?;
    if let Some(&first) = offsets.first() {
        ensure!(
            pages::runs(&offsets).count() == 1,
            "the card has it in several ranges"
        );
        ensure!(
            stage.device.vram_start + first == start,
            "the card has it at VRAM offset {first:#x}, which is not its GPU address"
        );
        notes.add("the card has it in 1 range, where the driver says")?;
    }
    Ok(())
}

/// Creates a buffer that is in several ranges of VRAM and checks it from both sides.
pub fn split(stage: &mut Stage, notes: &mut Notes) -> Result<()> {
    let buffer = split::create(&stage.card, &stage.device)?;
    let info = buffer.info()?;
    notes.add(format!(
        "{} in VRAM without one GPU address",
        size(info.size)
    ))?;

    let offsets = check_both_sides(stage, notes, &buffer)?;
    if !offsets.is_empty() {
        let ranges = pages::runs(&offsets).count();
        ensure!(ranges > 1, "the card has it in one range");
        notes.add(format!("the card has it in {ranges} ranges"))?;
    }
    Ok(())
}

/// Writes content that the card then reads, and has the card write content that the CPU then reads.
/// Gives the VRAM offset of each page, or nothing if there is no view from the card's side.
fn check_both_sides(stage: &mut Stage, notes: &mut Notes, buffer: &Buffer) -> Result<Vec<u64>> {
    let mut map = buffer.map()?;
    let content = fresh_pattern(map.len());
    map.write(0, &content);
    let Some(card) = &mut stage.virtual_card else {
        ensure!(map.to_vec() == content, "it lost what the CPU wrote");
        notes.add_left_out(NO_CHANNEL)?;
        return Ok(Vec::new());
    };
    let offsets = pages::find(card, stage.device.visible_size, &content)?;
    notes.add("the card has what the CPU wrote")?;

    let content = fresh_pattern(map.len());
    pages::write(card, &offsets, &content)?;
    ensure!(
        map.to_vec() == content,
        "the CPU does not see what the card wrote"
    );
    notes.add("the CPU sees what the card wrote")?;
    Ok(offsets)
}

/// Moves a buffer out of VRAM and back, and checks its content in both places.
pub fn there_and_back(stage: &mut Stage, notes: &mut Notes) -> Result<()> {
    let flags = CreateFlags::CPU_ACCESS_REQUIRED | CreateFlags::VRAM_CONTIGUOUS;
    let domains = Domains::VRAM | Domains::GTT;
    let buffer = stage.card.create(Create::new(SIZE, domains).flags(flags))?;
    let mut map = buffer.map()?;
    let content = fresh_pattern(map.len());
    map.write(0, &content);

    let mut table = Table::new(["In", "GPU address"]);
    let mut row = |buffer: &Buffer, domain: Domain| -> Result<()> {
        let info = buffer.info()?;
        table.row([info.placement.to_string(), address(info.gpu_addr)]);
        ensure!(
            info.placement == domain,
            "it should be in {domain}, not {}",
            info.placement
        );
        Ok(())
    };
    row(&buffer, Domain::Vram)?;
    for domain in [Domain::Gtt, Domain::Vram] {
        buffer.move_to(domain)?;
        row(&buffer, domain)?;
        ensure!(
            map.to_vec() == content,
            "its content was lost on the way to {domain}"
        );
    }
    notes.table(&table)?;
    notes.add("the mapping stayed, and so did every byte")?;

    let Some(card) = &mut stage.virtual_card else {
        notes.add_left_out(NO_CHANNEL)?;
        return Ok(());
    };
    let start = buffer.info()?.gpu_addr.context("it has no GPU address")?;
    let seen = card.read_vram(start - stage.device.vram_start, content.len())?;
    ensure!(
        seen == content,
        "back in VRAM, the card does not have its content"
    );
    notes.add("back in VRAM, the card has its content")?;
    Ok(())
}

/// Makes a pattern that is a different one for every buffer of every run.
fn fresh_pattern(bytes: usize) -> Vec<u8> {
    pages::pattern(RandomState::new().build_hasher().finish(), bytes)
}
