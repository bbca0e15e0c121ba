// SPDX-License-Identifier: GPL-2.0

//! The card's `mem_info_*` in sysfs, which monitoring tools know from amdgpu.

use std::fs;

use anyhow::{ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::{Card, Create, CreateFlags, Domain, Heap};

use crate::support::{
    fixture::{trials, Bench},
    nodes::pci_folder,
};

pub fn tests() -> Vec<Trial> {
    trials!(card_trial: says_what_the_heaps_say, cannot_be_written)
}

/// The bytes in one of the files.
fn mem_info(card: &Card, name: &str) -> Result<u64> {
    let path = pci_folder(card)?.join(format!("mem_info_{name}"));
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    Ok(text.trim_end().parse()?)
}

fn heap(card: &Card, domain: Domain) -> Result<Heap> {
    let mut heaps = card.heaps()?.into_iter();
    heaps
        .find(|heap| heap.domain == domain)
        .context("no such heap")
}

fn says_what_the_heaps_say(bench: &Bench) -> Result<()> {
    let card = &bench.card;
    let vram = Create::new(1 << 20, Domain::Vram.into());
    let _buffers = [
        card.create(vram)?,
        card.create(vram.flags(CreateFlags::CPU_ACCESS_REQUIRED))?,
        card.create(Create::new(3 << 20, Domain::Gtt.into()))?,
    ];
    let (vram, gtt) = (heap(card, Domain::Vram)?, heap(card, Domain::Gtt)?);
    for (name, expected) in [
        ("vram_total", vram.total),
        ("vram_used", vram.used),
        ("vis_vram_total", vram.visible_total),
        ("vis_vram_used", vram.visible_used),
        ("gtt_total", gtt.total),
        ("gtt_used", gtt.used),
    ] {
        let found = mem_info(card, name)?;
        ensure!(found == expected, "{name}: {found}, not {expected}");
    }
    ensure!(mem_info(card, "gtt_used")? >= 3 << 20);
    Ok(())
}

fn cannot_be_written(bench: &Bench) -> Result<()> {
    for entry in fs::read_dir(pci_folder(&bench.card)?)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("mem_info_") {
            ensure!(fs::write(entry.path(), "0").is_err(), "{entry:?}");
        }
    }
    Ok(())
}
