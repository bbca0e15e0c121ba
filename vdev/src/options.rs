// SPDX-License-Identifier: GPL-2.0

//! The command line, the chips' presets and the limits a card has to keep.
//!
//! The result is a [`Card`]: what to build, with nothing left to choose or to check.

use std::path::PathBuf;

use anyhow::{ensure, Context, Result};
use clap::{Parser, ValueEnum};

use crate::address_space::{ADDRESS_BITS, PAGE_SIZE};
use crate::regs::identity::Identity;
use crate::regs::table::{FEATURE_COPY, FEATURE_ECC, FEATURE_FILL, FEATURE_GART};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// The most VRAM a card can have, in bytes.
const VRAM_MAX: u64 = 8 * GIB;

/// The most GTT address space a card can have, in bytes.
const GTT_MAX: u64 = 4 * GIB;

/// Bytes of the register BAR.
const REGISTERS_LEN: u64 = 64 * KIB;

/// Bytes of a BAR that is too small to be of use.
const SMALL_BAR_LEN: u64 = 4 * KIB;
const TINY_BAR_LEN: u64 = 256;

/// Feature bits whose engines exist.
const FEATURES_MASK: u32 = FEATURE_GART | FEATURE_COPY | FEATURE_FILL | FEATURE_ECC;

/// GPU address of the first byte of the GTT window, unless an option says otherwise.
const GTT_START: u64 = 4 * GIB;

/// GPU address of the first byte of VRAM, unless an option says otherwise.
///
/// Not zero, so that a driver that takes a VRAM offset for a GPU address is found out.
const VRAM_START: u64 = 64 * GIB;

/// The chips there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Chip {
    /// 256 MiB of VRAM, all of it visible; no engines
    Pdd1000,
    /// 1 GiB of VRAM, 256 MiB visible; GART and copy engine
    Pdd2000,
    /// 8 GiB of VRAM, 256 MiB visible; GART, copy engine and ECC reports
    Pdd3000,
}

/// What makes one chip differ from another.
struct Preset {
    device_id: u16,
    chip_id: u32,
    vram: u64,
    /// `None`: all of the VRAM.
    visible: Option<u64>,
    gtt: u64,
    features: u32,
}

impl Chip {
    /// The chip's name as the command line and the control socket spell it.
    pub fn name(self) -> &'static str {
        match self {
            Chip::Pdd1000 => "pdd1000",
            Chip::Pdd2000 => "pdd2000",
            Chip::Pdd3000 => "pdd3000",
        }
    }

    fn preset(self) -> Preset {
        match self {
            Chip::Pdd1000 => Preset {
                device_id: 0x10f1,
                chip_id: 0x1000,
                vram: 256 * MIB,
                visible: None,
                gtt: GIB,
                features: 0,
            },
            Chip::Pdd2000 => Preset {
                device_id: 0x10f2,
                chip_id: 0x2000,
                vram: GIB,
                visible: Some(256 * MIB),
                gtt: GIB,
                features: FEATURE_GART | FEATURE_COPY | FEATURE_FILL,
            },
            Chip::Pdd3000 => Preset {
                device_id: 0x10f3,
                chip_id: 0x3000,
                vram: 8 * GIB,
                visible: Some(256 * MIB),
                gtt: 4 * GIB,
                features: FEATURES_MASK,
            },
        }
    }
}

/// Ways in which a card's BARs can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Odd {
    /// there is no BAR0
    NoRegisters,
    /// BAR0 has 4 KiB
    SmallRegisters,
    /// there is no BAR2
    NoAperture,
    /// BAR2 has 4 KiB
    SmallAperture,
    /// BAR2 has 256 bytes, less than a page
    TinyAperture,
    /// BAR2 is at least twice as long as the VRAM
    LargeAperture,
}

/// A virtual PDDGPU: a vfio-user server that QEMU plugs into a machine as a PCI function.
///
/// SIZE is a number of bytes, with K, M or G for KiB, MiB or GiB; every number may be given in
/// hexadecimal with 0x. Of an option given twice the last counts. The process ends when QEMU goes.
#[derive(Debug, Parser)]
#[command(version, args_override_self = true)]
pub struct Options {
    /// Socket on which to wait for QEMU
    #[arg(long, value_name = "PATH")]
    pub socket: PathBuf,

    /// Socket on which to take control requests, one JSON object a line
    #[arg(long, value_name = "PATH")]
    pub control: PathBuf,

    /// Chip whose identity and sizes the card has
    #[arg(long, value_enum, default_value_t = Chip::Pdd2000)]
    chip: Chip,

    /// Bytes of VRAM, at most 8G
    #[arg(long, value_name = "SIZE", value_parser = parse_number)]
    vram: Option<u64>,

    /// Bytes of VRAM that the CPU can see, that is the length of BAR2; a power of two
    #[arg(long, value_name = "SIZE", value_parser = parse_number)]
    visible: Option<u64>,

    /// Bytes of GTT address space, at most 4G
    #[arg(long, value_name = "SIZE", value_parser = parse_number)]
    gtt: Option<u64>,

    /// Bits of the FEATURES register, and so the engines of the card; the chip's if not given
    #[arg(long, value_name = "MASK", value_parser = parse_number)]
    features: Option<u64>,

    /// GPU address at which VRAM begins
    #[arg(long, value_name = "ADDRESS", value_parser = parse_number)]
    vram_start: Option<u64>,

    /// GPU address at which the GTT window begins
    #[arg(long, value_name = "ADDRESS", value_parser = parse_number)]
    gtt_start: Option<u64>,

    /// An odd card, to test a driver's probe: PCI device ID to show instead of the chip's
    #[arg(long, value_name = "ID", value_parser = parse_number, help_heading = "Odd cards")]
    device_id: Option<u64>,

    /// An odd card, to test a driver's probe: CHIP_ID to show instead of the chip's
    #[arg(long, value_name = "ID", value_parser = parse_number, help_heading = "Odd cards")]
    chip_id: Option<u64>,

    /// An odd card, to test a driver's probe: what is wrong with its BARs; may be repeated
    #[arg(long, value_enum, value_name = "HOW", help_heading = "Odd cards")]
    odd: Vec<Odd>,

    /// An odd card, to test a driver's probe: take sizes, windows and feature bits as they are
    ///
    /// The registers show what the options say, be it zero, over the limit or overlapping. The
    /// memory behind them still has between 4 KiB and 8 GiB, and BAR2 is still a power of two.
    #[arg(long, help_heading = "Odd cards")]
    unchecked: bool,

    /// A card that lies from probe on, in ways that the seed chooses
    ///
    /// Registers, fences, ring pointers and interrupts are wrong now and then, and orders to stop
    /// or to reset are ignored. README.md has the whole list.
    #[arg(long, value_name = "SEED", value_parser = parse_number, help_heading = "Odd cards")]
    hostile: Option<u64>,
}

/// A card to build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// The chip it is, or passes for.
    pub chip: Chip,
    /// PCI device ID.
    pub device_id: u16,
    /// What the identification registers say.
    pub identity: Identity,
    /// Bytes of BAR0; zero if there is none.
    pub registers_len: u64,
    /// Bytes of BAR2; zero if there is none.
    pub aperture_len: u64,
    /// Bytes of memory on the card; a multiple of the page size, never zero.
    pub vram_len: u64,
    /// Seed of its lies, if it lies.
    pub hostile: Option<u64>,
}

impl Options {
    /// The card that these options ask for.
    ///
    /// # Errors
    ///
    /// If a limit is broken that `--unchecked` does not lift, or any limit without it.
    pub fn card(&self) -> Result<Card> {
        let preset = self.chip.preset();
        let vram = self.vram.unwrap_or(preset.vram);
        let visible = self.visible.unwrap_or_else(|| {
            let all = largest_power_of_two(vram);
            preset.visible.map_or(all, |visible| visible.min(all))
        });

        let identity = Identity {
            chip_id: match self.chip_id {
                Some(id) => u32::try_from(id).context("--chip-id: more than 32 bits")?,
                None => preset.chip_id,
            },
            chip_rev: 0x10,
            features: match self.features {
                Some(bits) => u32::try_from(bits).context("--features: more than 32 bits")?,
                None => preset.features,
            },
            vram_size: vram,
            gtt_size: self.gtt.unwrap_or(preset.gtt),
            vram_start: self.vram_start.unwrap_or(VRAM_START),
            gtt_start: self.gtt_start.unwrap_or(GTT_START),
            vram_end: None,
            gtt_end: None,
        };
        if !self.unchecked {
            check_identity(&identity)?;
            ensure!(
                visible <= vram,
                "--visible: more than the {vram:#x} bytes of VRAM"
            );
        }
        ensure!(
            visible.is_power_of_two() && (PAGE_SIZE..=VRAM_MAX).contains(&visible),
            "--visible: {visible:#x} is no power of two between 4K and 8G"
        );

        let vram_len = vram.clamp(PAGE_SIZE, VRAM_MAX).next_multiple_of(PAGE_SIZE);
        let mut card = Card {
            chip: self.chip,
            device_id: match self.device_id {
                Some(id) => u16::try_from(id).context("--device-id: more than 16 bits")?,
                None => preset.device_id,
            },
            identity,
            registers_len: REGISTERS_LEN,
            aperture_len: visible,
            vram_len,
            hostile: self.hostile,
        };
        for odd in &self.odd {
            match odd {
                Odd::NoRegisters => card.registers_len = 0,
                Odd::SmallRegisters => card.registers_len = SMALL_BAR_LEN,
                Odd::NoAperture => card.aperture_len = 0,
                Odd::SmallAperture => card.aperture_len = SMALL_BAR_LEN,
                Odd::TinyAperture => card.aperture_len = TINY_BAR_LEN,
                Odd::LargeAperture => card.aperture_len = (2 * vram_len).next_power_of_two(),
            }
        }
        Ok(card)
    }
}

/// Holds `identity` against the limits of `docs/hardware.md`.
fn check_identity(identity: &Identity) -> Result<()> {
    let unknown = identity.features & !FEATURES_MASK;
    ensure!(
        unknown == 0,
        "--features: there is no engine for bits {unknown:#x}"
    );

    let windows = [
        ("vram", identity.vram_start, identity.vram_size, VRAM_MAX),
        ("gtt", identity.gtt_start, identity.gtt_size, GTT_MAX),
    ];
    for (name, start, size, max) in windows {
        ensure!(
            (MIB..=max).contains(&size) && size % MIB == 0,
            "--{name}: {size:#x} is no multiple of 1M between 1M and {}G",
            max / GIB
        );
        ensure!(
            start % MIB == 0,
            "--{name}-start: {start:#x} is no multiple of 1M"
        );
        ensure!(
            start
                .checked_add(size)
                .is_some_and(|end| end <= 1 << ADDRESS_BITS),
            "--{name}-start: the window at {start:#x} does not end within {ADDRESS_BITS} bits"
        );
    }

    let [(_, vram_start, vram_size, _), (_, gtt_start, gtt_size, _)] = windows;
    ensure!(
        vram_start + vram_size <= gtt_start || gtt_start + gtt_size <= vram_start,
        "--vram-start, --gtt-start: the windows at {vram_start:#x} and {gtt_start:#x} overlap"
    );
    Ok(())
}

/// The largest power of two that is not above `value`; a page for anything smaller.
fn largest_power_of_two(value: u64) -> u64 {
    1 << value.clamp(PAGE_SIZE, VRAM_MAX).ilog2()
}

/// Parses a decimal or 0x-hexadecimal number with an optional unit K, M or G.
fn parse_number(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.as_bytes().last() {
        Some(b'K' | b'k') => (&text[..text.len() - 1], KIB),
        Some(b'M' | b'm') => (&text[..text.len() - 1], MIB),
        Some(b'G' | b'g') => (&text[..text.len() - 1], GIB),
        _ => (text, 1),
    };
    let number = match digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"))
    {
        Some(hexadecimal) => u64::from_str_radix(hexadecimal, 16),
        None => digits.parse(),
    };
    number
        .map_err(|error| error.to_string())?
        .checked_mul(unit)
        .ok_or_else(|| String::from("number too large"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(line: &str) -> Result<Card> {
        let words = "vdev --socket s --control c"
            .split(' ')
            .chain(line.split_whitespace());
        Options::try_parse_from(words)?.card()
    }

    #[test]
    fn numbers() {
        let good = [
            ("0", 0),
            ("4096", 4096),
            ("0x1000", 4096),
            ("4K", 4096),
            ("256M", 256 << 20),
            ("8g", 8 << 30),
            ("0x10M", 16 << 20),
        ];
        for (text, number) in good {
            assert_eq!(parse_number(text), Ok(number), "{text}");
        }
        for text in ["", "M", "-1", "1T", "1.5G", "0x", "é", "99999999999G"] {
            assert!(parse_number(text).is_err(), "{text}");
        }
    }

    #[test]
    fn presets() {
        let table = [
            ("--chip pdd1000", 0x10f1, 0x1000, 256 * MIB, 256 * MIB, GIB),
            ("--chip pdd2000", 0x10f2, 0x2000, GIB, 256 * MIB, GIB),
            (
                "--chip pdd3000",
                0x10f3,
                0x3000,
                8 * GIB,
                256 * MIB,
                4 * GIB,
            ),
            ("", 0x10f2, 0x2000, GIB, 256 * MIB, GIB),
            (
                "--chip pdd1000 --vram 384M",
                0x10f1,
                0x1000,
                384 * MIB,
                256 * MIB,
                GIB,
            ),
            (
                "--chip pdd2000 --vram 64M",
                0x10f2,
                0x2000,
                64 * MIB,
                64 * MIB,
                GIB,
            ),
        ];
        for (line, device_id, chip_id, vram, visible, gtt) in table {
            let card = card(line).unwrap();
            assert_eq!(card.device_id, device_id, "{line}");
            assert_eq!(card.identity.chip_id, chip_id, "{line}");
            let features = match chip_id {
                0x1000 => 0,
                0x2000 => 0x7,
                _ => 0xf,
            };
            assert_eq!(card.identity.features, features, "{line}");
            assert_eq!(card.identity.vram_size, vram, "{line}");
            assert_eq!(card.vram_len, vram, "{line}");
            assert_eq!(card.aperture_len, visible, "{line}");
            assert_eq!(card.identity.gtt_size, gtt, "{line}");
            assert_eq!(card.registers_len, 64 * KIB, "{line}");
        }
    }

    #[test]
    fn limits() {
        let table = [
            ("--vram 0", "--vram"),
            ("--vram 9G", "--vram"),
            ("--vram 1000001", "--vram"),
            ("--gtt 0", "--gtt"),
            ("--gtt 5G", "--gtt"),
            ("--visible 3M", "--visible"),
            ("--visible 2G", "--visible"),
            ("--visible 2K", "--visible"),
            ("--visible 2K --unchecked", "--visible"),
            ("--visible 0 --unchecked", "--visible"),
            ("--features 0x10", "--features"),
            ("--features 0x100000000", "--features"),
            ("--chip-id 0x100000000", "--chip-id"),
            ("--device-id 0x10000", "--device-id"),
            ("--vram-start 4096", "--vram-start"),
            ("--vram-start 0xfffffffffff00000", "--vram-start"),
            ("--gtt-start 0xfffc0000000 --gtt 2G", "--gtt-start"),
            ("--vram-start 4G", "overlap"),
            ("--vram-start 5119M", "overlap"),
        ];
        for (line, complaint) in table {
            let error = card(line).expect_err(line).to_string();
            assert!(error.contains(complaint), "{line}: {error}");
        }
        assert_eq!(card("--features 0").unwrap().identity.features, 0);
        assert_eq!(card("--features 0xf").unwrap().identity.features, 0xf);
        // The window may end with the address space, and windows may touch.
        card("--gtt-start 0xfffc0000000").unwrap();
        card("--vram-start 5G").unwrap();
    }

    #[test]
    fn odd_cards() {
        assert_eq!(card("--odd no-registers").unwrap().registers_len, 0);
        assert_eq!(card("--odd small-registers").unwrap().registers_len, 4096);
        assert_eq!(card("--odd no-aperture").unwrap().aperture_len, 0);
        assert_eq!(card("--odd small-aperture").unwrap().aperture_len, 4096);
        assert_eq!(card("--odd tiny-aperture").unwrap().aperture_len, 256);
        assert_eq!(card("--odd large-aperture").unwrap().aperture_len, 2 * GIB);
        assert_eq!(
            card("--vram 24M --odd large-aperture")
                .unwrap()
                .aperture_len,
            64 * MIB
        );
        let both = card("--odd no-aperture --odd no-registers").unwrap();
        assert_eq!((both.registers_len, both.aperture_len), (0, 0));
        assert_eq!(card("--chip-id 0x4000").unwrap().identity.chip_id, 0x4000);
        assert_eq!(card("--device-id 0x10ff").unwrap().device_id, 0x10ff);
    }

    #[test]
    fn hostile() {
        assert_eq!(card("").unwrap().hostile, None);
        assert_eq!(card("--hostile 0x10").unwrap().hostile, Some(16));
    }

    #[test]
    fn unchecked() {
        let zero = card("--unchecked --vram 0 --gtt 0").unwrap();
        assert_eq!((zero.identity.vram_size, zero.identity.gtt_size), (0, 0));
        assert_eq!((zero.vram_len, zero.aperture_len), (PAGE_SIZE, PAGE_SIZE));

        let huge = card("--unchecked --vram 1024G --features 0xf --vram-start 4G").unwrap();
        assert_eq!(huge.identity.vram_size, 1024 * GIB);
        assert_eq!(huge.identity.features, 0xf);
        assert_eq!((huge.vram_len, huge.aperture_len), (8 * GIB, 256 * MIB));

        let larger = card("--unchecked --vram 1G --visible 2G").unwrap();
        assert_eq!(larger.aperture_len, 2 * GIB);
    }
}
