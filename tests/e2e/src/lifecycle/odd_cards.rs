// SPDX-License-Identifier: GPL-2.0

//! Cards that the driver has to refuse, saying why and leaving nothing.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::{virtual_card::Identity, Card, Device};
use rustix::io::Errno;

use crate::support::{
    controller::parts_enabled,
    driver::{card_at, device_id, Driver, UNKNOWN},
    fixture::{driver_trial, skip, virtual_card},
    kmsg::Log,
    nodes::use_every_ioctl,
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

/// Whether a card's registers and aperture, of so many bytes, are odd in some way.
type OddBars = fn(u64, u64) -> bool;

/// Cards with odd BARs, which a VM may have beside its own: a name, what the message has to speak of, and
/// what they are like.
const ODD_BARS: &[(&str, &str, OddBars)] = &[
    ("no_registers", "bar0", |registers, _| registers == 0),
    ("small_registers", "bar0", |registers, _| {
        0 < registers && registers < REGISTERS
    }),
    ("no_aperture", "bar2", |registers, aperture| {
        registers >= REGISTERS && aperture == 0
    }),
    ("tiny_aperture", "bar2", |registers, aperture| {
        registers >= REGISTERS && 0 < aperture && aperture < PAGE
    }),
    ("large_aperture", "aperture", |registers, aperture| {
        registers >= REGISTERS && aperture > PAGE
    }),
];

/// Bytes of the registers.
const REGISTERS: u64 = 64 << 10;
const PAGE: u64 = 4096;

pub fn tests() -> Vec<Trial> {
    let name = |what| format!("{}::refuses_{what}", module_path!());
    let odd = ODD.iter().map(|&(what, word, oddity)| {
        let test = Box::new(move |driver: &Driver| refused(driver, word, oddity));
        driver_trial(&name(what), test)
    });
    let odd_bars = ODD_BARS.iter().map(|&(what, word, is_odd)| {
        let test = Box::new(move |driver: &Driver| refused_bars(driver, word, is_odd));
        driver_trial(&name(what), test)
    });
    odd.chain(odd_bars).collect()
}

/// Cards that the driver should know, but has not.
fn left_out() -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/sys/bus/pci/devices")? {
        let path = entry?.path();
        let known = device_id(&path).is_some_and(|id| id != UNKNOWN);
        if known && !path.join("driver").exists() {
            found.push(path);
        }
    }
    Ok(found)
}

/// Bytes of a BAR.
fn bar_len(device: &Path, bar: usize) -> Result<u64> {
    let text = fs::read_to_string(device.join("resource"))?;
    let line = text.lines().nth(bar).context("no such BAR")?;
    let mut ends = line.split_whitespace();
    let mut end = || -> Result<u64> {
        let word = ends.next().context("a resource has two ends")?;
        Ok(u64::from_str_radix(word.trim_start_matches("0x"), 16)?)
    };
    let (first, last) = (end()?, end()?);
    Ok(if last == 0 { 0 } else { last - first + 1 })
}

fn refused_bars(driver: &Driver, word: &str, is_odd: OddBars) -> Result<()> {
    for device in left_out()? {
        if is_odd(bar_len(&device, 0)?, bar_len(&device, 2)?) {
            let slot = device.file_name().context("a device has a name")?;
            return ensure_refused(driver, &slot.to_string_lossy(), word);
        }
    }
    skip("the VM has no such card")
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
    ensure_refused(driver, &driver.slot, word)?;
    ensure!(parts_enabled()? == 0, "refused, but enabled");
    Ok(())
}

/// Gives the driver a card that it has to refuse, with an error in the log that has a word.
fn ensure_refused(driver: &Driver, slot: &str, word: &str) -> Result<()> {
    let mut log = Log::from_now()?;
    let result = driver.write("bind", slot);
    if result.is_ok() && driver.folder.join(slot).exists() {
        driver.write("unbind", slot)?;
    }
    ensure!(
        matches!(result, Err(Errno::NODEV | Errno::INVAL | Errno::IO)),
        "bind: {result:?}"
    );
    let errors = log.errors()?;
    let named = |line: &String| line.contains(slot) && line.to_lowercase().contains(word);
    ensure!(
        errors.iter().any(named),
        "no error speaks of '{word}': {errors:?}"
    );
    ensure!(card_at(slot)?.is_none(), "a node is left");
    Ok(())
}
