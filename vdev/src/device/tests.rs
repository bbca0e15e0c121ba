// SPDX-License-Identifier: GPL-2.0

mod faults;
mod garbage;
mod hostile;
mod injected;
mod packets;
mod rig;
mod rings;

use clap::Parser;

use super::*;
use crate::options::Options;

const MIB: u64 = 1 << 20;

/// A card of 4 MiB under an aperture of 1 MiB, or as `line` says.
pub(crate) fn device(line: &str) -> Device {
    let base = "vdev --socket s --control c --vram 4M --visible 1M --gtt 1M";
    let words = base.split(' ').chain(line.split_whitespace());
    Device::new(&Options::try_parse_from(words).unwrap().card().unwrap()).unwrap()
}

fn read(device: &mut Device, region: Region, offset: u64, len: usize) -> Vec<u8> {
    let mut data = vec![0x55; len];
    device.read(region, offset, &mut data);
    data
}

fn read32(device: &mut Device, offset: u64) -> u32 {
    let data = read(device, Region::Registers, offset, 4);
    u32::from_le_bytes(data.try_into().unwrap())
}

fn write32(device: &mut Device, offset: u64, value: u32) {
    device.write(Region::Registers, offset, &value.to_le_bytes());
}

#[test]
fn widths_and_alignment() {
    let table: &[(u64, usize, &[u8])] = &[
        (0x00, 4, &[0x00, 0x20, 0, 0]),
        (0x00, 8, &[0x00, 0x20, 0, 0, 0x10, 0, 0, 0]),
        (0x10, 8, &[0, 0, 0x40, 0, 0, 0, 0, 0]),
        (0x10, 4, &[0, 0, 0x40, 0]),
        (0x24, 4, &[0x10, 0, 0, 0]),
        (0x3c, 4, &[1, 0, 0, 0]),
        (0xfffc, 4, &[0; 4]),
        // None of these is an access that BAR0 takes.
        (0x00, 1, &[0]),
        (0x01, 1, &[0]),
        (0x00, 2, &[0; 2]),
        (0x12, 2, &[0; 2]),
        (0x02, 4, &[0; 4]),
        (0x14, 8, &[0; 8]),
        (0x00, 3, &[0; 3]),
        (0x00, 9, &[0; 9]),
        (0x00, 16, &[0; 16]),
        (0x00, 0, &[]),
        (0x10000, 4, &[0; 4]),
        (u64::MAX - 3, 4, &[0; 4]),
    ];
    let mut device = device("");
    for (offset, len, data) in table {
        assert_eq!(
            read(&mut device, Region::Registers, *offset, *len),
            *data,
            "{offset:#x}"
        );
    }
    assert_eq!(device.counters.register_reads, table.len() as u64);
    assert_eq!(device.counters.unlisted_reads, 1);
    assert_eq!(device.counters.bad_accesses, 12);
}

#[test]
fn only_whole_writes_count() {
    let mut device = device("");
    for (offset, len) in [(0x100, 1), (0x100, 2), (0x0fe, 4), (0x101, 3), (0x0fc, 8)] {
        device.write(Region::Registers, offset, &vec![0xff; len]);
        assert_eq!(read32(&mut device, 0x100), 0, "{len} at {offset:#x}");
    }
    device.write(Region::Registers, 0x100, &[1, 0, 0, 0, 1, 0, 0, 0]);
    assert_eq!(
        (read32(&mut device, 0x100), read32(&mut device, 0x104)),
        (1, 1)
    );
}

#[test]
fn a_small_bar_ends_early() {
    let mut device = device("--odd small-registers");
    assert_eq!(device.region_len(Region::Registers), 4096);
    assert_eq!(read32(&mut device, 0), 0x2000);
    write32(&mut device, 0x1000, 1);
    assert_eq!(device.counters.unlisted_writes, 0);
    assert_eq!(device.counters.bad_accesses, 1);
}

#[test]
fn the_aperture_answers_while_enabled() {
    let mut device = device("");
    device.vram().write(8, b"vram").unwrap();
    assert_eq!(read(&mut device, Region::Aperture, 8, 4), [0xff; 4]);
    device.write(Region::Aperture, 8, b"lost");
    write32(&mut device, 0x108, 1);
    assert_eq!(read(&mut device, Region::Aperture, 8, 4), b"vram");
    device.write(Region::Aperture, 8, b"kept");
    write32(&mut device, 0x108, 1);
    write32(&mut device, 0x108, 0);
    assert_eq!(read(&mut device, Region::Aperture, 8, 4), [0xff; 4]);
    write32(&mut device, 0x108, 1);
    assert_eq!(read(&mut device, Region::Aperture, 8, 4), b"kept");
    assert_eq!(device.counters.aperture_toggles, 3);
}

#[test]
fn reset_keeps_vram_only() {
    let resets: [fn(&mut Device); 2] = [
        |device| write32(device, 8, 0x5253_5421),
        Device::reset_function,
    ];
    for reset in resets {
        let mut device = device("");
        write32(&mut device, 0x100, 3);
        write32(&mut device, 0x108, 1);
        device.write(Region::Aperture, 0, b"kept");
        reset(&mut device);
        assert_eq!(
            (read32(&mut device, 0x100), read32(&mut device, 0x108)),
            (0, 0)
        );
        assert_eq!(read(&mut device, Region::Aperture, 0, 4), [0xff; 4]);
        let mut data = [0; 4];
        device.vram().read(0, &mut data).unwrap();
        assert_eq!(&data, b"kept");
        assert_eq!(
            device.counters.register_resets + device.counters.function_resets,
            1
        );
    }
}

#[test]
fn a_reset_of_the_bus_loses_vram_and_says_so() {
    let mut device = device("");
    write32(&mut device, 0x10c, 1);
    write32(&mut device, 0x108, 1);
    device.write(Region::Aperture, 0, b"kept");
    device.reset_function();
    assert_eq!(read32(&mut device, 0x10c), 0);
    write32(&mut device, 0x108, 1);
    device.reset_bus();
    assert_eq!(
        (read32(&mut device, 0x108), read32(&mut device, 0x10c)),
        (0, 1)
    );
    let mut data = [0; 4];
    device.vram().read(0, &mut data).unwrap();
    assert_ne!(&data, b"kept");
    assert_eq!(device.counters.bus_resets, 1);
}

#[test]
fn a_card_that_was_pulled_out_reads_as_ones() {
    let mut device = device("");
    write32(&mut device, 0x108, 1);
    device.write(Region::Aperture, 0, b"kept");
    device.write(Region::Config, 4, &[6]);
    device.set_gone(true);
    assert_eq!(read32(&mut device, 0), u32::MAX);
    assert_eq!(read(&mut device, Region::Config, 0, 4), [0xff; 4]);
    assert_eq!(read(&mut device, Region::Aperture, 0, 4), [0xff; 4]);
    write32(&mut device, 0x108, 1);
    assert!(!device.vram().is_open());

    device.set_gone(false);
    assert_eq!(read32(&mut device, 0), 0x2000);
    assert_eq!(read32(&mut device, 0x10c), 1);
    assert!(!device.config.bus_master());
}

#[test]
fn interrupts_without_a_listener_are_lost() {
    let mut device = device("");
    assert!(!device.interrupt());
    assert_eq!((device.counters.irqs, device.counters.irqs_lost), (0, 1));
}

#[test]
fn dma_maps_are_counted() {
    let mut device = device("");
    device.dma_map(0x1000, 0x1000, true, None).unwrap();
    device.dma_map(0x1000, 0x1000, true, None).unwrap_err();
    device.dma_unmap(Some((0x1000, 0x1000)));
    device.dma_map(0x1000, 0x1000, true, None).unwrap();
    device.dma_unmap(None);
    assert_eq!(
        (device.counters.dma_maps, device.counters.dma_unmaps),
        (2, 2)
    );
    assert_eq!(device.memory().dma().count(), 0);
}

/// Numbers without rhyme or reason, the same in each run.
pub(crate) struct Noise(pub u64);

impl Noise {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn offset(&mut self, region_len: u64) -> u64 {
        match self.next() % 8 {
            0 => self.next(),
            1 => u64::MAX - self.next() % 16,
            2 => region_len.wrapping_sub(self.next() % 16),
            3 => region_len.wrapping_add(self.next() % 16),
            4 => self.next() % (2 * region_len + 1),
            _ => self.next() % 0x400,
        }
    }

    fn len(&mut self) -> usize {
        match self.next() % 64 {
            0 => (self.next() % (3 * MIB)) as usize,
            1 => (self.next() % 5000) as usize,
            2..=9 => (self.next() % 10) as usize,
            n => {
                if n % 2 == 0 {
                    4
                } else {
                    8
                }
            }
        }
    }
}

#[test]
fn nonsense_never_hurts() {
    for (seed, line) in [
        (1, ""),
        (2, "--odd no-registers --odd no-aperture"),
        (3, "--odd small-registers --odd small-aperture"),
        (4, "--odd large-aperture"),
        (
            5,
            "--unchecked --vram 0 --visible 4K --gtt 0 --vram-start 0xffffffffffffffff",
        ),
    ] {
        let mut device = device(line);
        let mut noise = Noise(seed);
        for _ in 0..4000 {
            let region =
                [Region::Registers, Region::Aperture, Region::Config][(noise.next() % 3) as usize];
            let offset = noise.offset(device.region_len(region));
            let mut data = vec![0x55; noise.len()];
            match noise.next() % 4 {
                0 => device.write(region, offset, &data),
                1 => device.write(region, offset, &noise.next().to_le_bytes()),
                2 => {
                    let value = [1_u32, 0x5253_5421, u32::MAX][(noise.next() % 3) as usize];
                    device.write(region, offset & !3, &value.to_le_bytes());
                }
                _ => {
                    device.read(region, offset, &mut data);
                    let bad = region == Region::Registers && !matches!(data.len(), 4 | 8);
                    assert!(!bad || data.iter().all(|byte| *byte == 0));
                }
            }
        }
        if device.region_len(Region::Registers) > 0 {
            assert_eq!(read32(&mut device, 0), 0x2000);
            write32(&mut device, 8, 0x5253_5421);
            assert_eq!(read32(&mut device, 0x100), 0);
        }
        let aperture_len = device.region_len(Region::Aperture);
        if aperture_len > 0 {
            assert_eq!(
                read(&mut device, Region::Aperture, aperture_len - 4, 4),
                [0xff; 4]
            );
        }
    }
}
