// SPDX-License-Identifier: GPL-2.0

//! Cards that the driver has to refuse, saying why and leaving nothing.

use anyhow::{ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::{virtual_card::Identity, Card, Device};
use rustix::io::Errno;

use crate::{
    driver::Driver,
    fixture::{driver_trial, virtual_card},
    kmsg::Log,
    nodes::use_every_ioctl,
    unload::parts_enabled,
};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// What is odd about a card, given what it really is.
type Oddity = fn(&Device) -> Identity;

/// Odd cards: a name, what the message has to speak of, and what is odd.
const ODD: &[(&str, &str, Oddity)] = &[
    ("unknown_chip", "chip", |_| Identity {
        chip_id: Some(0x4000),
        ..Default::default()
    }),
    ("no_chip", "chip", |_| Identity {
        chip_id: Some(u32::MAX),
        ..Default::default()
    }),
    ("no_vram", "vram", |_| Identity {
        vram_size: Some(0),
        ..Default::default()
    }),
    ("no_gtt", "gtt", |_| Identity {
        gtt_size: Some(0),
        ..Default::default()
    }),
    ("too_much_vram", "vram", |d| Identity {
        vram_size: Some(8 * GIB + 4096),
        gtt_start: Some(d.vram_start + 64 * GIB),
        ..Default::default()
    }),
    ("too_much_gtt", "gtt", |d| Identity {
        gtt_size: Some(4 * GIB + 4096),
        gtt_start: Some(d.vram_start + 64 * GIB),
        ..Default::default()
    }),
    ("all_the_vram_there_can_be", "vram", |_| Identity {
        vram_size: Some(u64::MAX),
        ..Default::default()
    }),
    ("vram_of_broken_pages", "vram", |d| Identity {
        vram_size: Some(d.vram_size - 1),
        ..Default::default()
    }),
    ("gtt_of_broken_pages", "gtt", |d| Identity {
        gtt_size: Some(d.gtt_size - 1),
        ..Default::default()
    }),
    ("same_windows", "overlap", |d| Identity {
        gtt_start: Some(d.vram_start),
        ..Default::default()
    }),
    ("gtt_window_in_vram", "overlap", |d| Identity {
        gtt_start: Some(d.vram_start + d.vram_size - MIB),
        ..Default::default()
    }),
    ("vram_window_in_gtt", "overlap", |d| Identity {
        vram_start: Some(d.gtt_start + d.gtt_size - MIB),
        ..Default::default()
    }),
    ("vram_smaller_than_aperture", "aperture", |d| Identity {
        vram_size: Some(d.visible_size / 2),
        ..Default::default()
    }),
    ("vram_that_ends_elsewhere", "vram", |d| Identity {
        vram_end: Some(d.vram_start + d.vram_size + 4095),
        ..Default::default()
    }),
    ("vram_beyond_44_bits", "vram", |d| Identity {
        vram_start: Some((1 << 44) - d.vram_size / 2),
        ..Default::default()
    }),
    ("gtt_beyond_44_bits", "gtt", |d| Identity {
        gtt_start: Some((1 << 44) - d.gtt_size / 2),
        ..Default::default()
    }),
    ("window_that_wraps", "gtt", |_| Identity {
        gtt_start: Some(u64::MAX - 4095),
        ..Default::default()
    }),
];

pub fn tests() -> Vec<Trial> {
    ODD.iter()
        .map(|&(what, word, oddity)| {
            let name = format!("{}::refuses_{what}", module_path!());
            driver_trial(&name, move |driver| refused(driver, word, oddity))
        })
        .collect()
}

/// The card's own identity, put back whatever happens.
struct Disguise;

impl Disguise {
    fn put_on(identity: &Identity) -> Result<Self> {
        virtual_card()?.set_identity(identity)?;
        Ok(Self)
    }
}

impl Drop for Disguise {
    fn drop(&mut self) {
        // Were it to fail, the bind that follows fails for everybody to see.
        let _ = virtual_card().map(|mut card| card.set_identity(&Identity::default()));
    }
}

fn refused(driver: &Driver, word: &str, oddity: Oddity) -> Result<()> {
    let device = Card::find()?.device()?;
    driver.unbind()?;
    let result = try_odd(driver, &oddity(&device), word);
    driver.restore().context("no longer odd")?;
    result?;
    let card = Card::find()?;
    ensure!(
        card.device()? == device,
        "{:?} was {device:?}",
        card.device()?
    );
    use_every_ioctl(&card)
}

fn try_odd(driver: &Driver, identity: &Identity, word: &str) -> Result<()> {
    let _disguise = Disguise::put_on(identity)?;
    let mut log = Log::from_now()?;
    let result = driver.bind();
    if result.is_ok() && driver.is_bound() {
        driver.unbind()?;
    }
    ensure!(
        matches!(result, Err(Errno::NODEV | Errno::INVAL | Errno::IO)),
        "bind: {result:?}"
    );
    let errors = log.errors()?;
    let named = |line: &String| line.contains(&driver.slot) && line.to_lowercase().contains(word);
    ensure!(
        errors.iter().any(named),
        "no error speaks of '{word}': {errors:?}"
    );
    ensure!(
        Card::all()?.iter().all(|card| !is_at(card, driver)),
        "a node is left"
    );
    ensure!(parts_enabled()? == 0, "refused, but enabled");
    Ok(())
}

fn is_at(card: &Card, driver: &Driver) -> bool {
    crate::driver::slot(card).is_ok_and(|slot| slot == driver.slot)
}
