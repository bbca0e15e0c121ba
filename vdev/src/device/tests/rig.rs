// SPDX-License-Identifier: GPL-2.0

//! A card with its rings and its GART set up, some memory of a guest, and a test in the place of
//! the engine's thread.

use std::fs::File;
use std::os::unix::fs::FileExt;

use rustix::event::{eventfd, EventfdFlags};
use vfio_bindings::bindings::vfio::{VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_DATA_EVENTFD};

use crate::device::{Device, Region};
use crate::engine::command_processor::Step;

pub const GTT: u64 = 0x1_0000_0000;
pub const VRAM: u64 = 0x10_0000_0000;
pub const VRAM_LEN: u64 = 16 << 20;
/// Bytes of the guest's memory, and where it is on the bus.
pub const RAM_LEN: u64 = 8 << 20;
pub const RAM: u64 = 0x8000_0000;
/// Offsets into VRAM.
pub const CP_RING: u64 = 0x1000;
pub const IH_RING: u64 = 0x4000;
pub const TABLE: u64 = 1 << 20;
pub const DATA: u64 = 2 << 20;
/// Bytes of both rings.
pub const RING_LEN: u64 = 4096;

pub const NOP: u32 = 0;
pub const COPY: u32 = 1;
pub const FILL: u32 = 2;
pub const FENCE: u32 = 3;
pub const FENCE_POST: u32 = 0x103;

pub struct Rig {
    pub device: Device,
    pub ram: File,
    pub event: File,
    pub wptr: u64,
}

impl Rig {
    /// A card of which everything is enabled, with the GTT on the guest's memory page by page.
    pub fn new(line: &str) -> Rig {
        let line = format!("--vram 16M --visible 4M --gtt 4M {line}");
        let mut device = super::device(&line);
        device.write(Region::Config, 4, &[6, 0]);
        let ram = tempfile::tempfile().unwrap();
        ram.set_len(RAM_LEN).unwrap();
        let file = Some((ram.try_clone().unwrap(), 0));
        device.dma_map(RAM, RAM_LEN, true, file).unwrap();
        let event = File::from(eventfd(0, EventfdFlags::NONBLOCK).unwrap());
        let listener = vec![event.try_clone().unwrap()];
        let flags = VFIO_IRQ_SET_ACTION_TRIGGER | VFIO_IRQ_SET_DATA_EVENTFD;
        device.msi.set(flags, 0, 1, listener).unwrap();
        let mut rig = Rig {
            device,
            ram,
            event,
            wptr: 0,
        };
        for page in 0..1024 {
            rig.entry(page, (RAM + 4096 * page) | 3);
        }
        rig.set_up();
        rig
    }

    /// Sets the registers as after a reset.
    pub fn set_up(&mut self) {
        for (offset, value) in [
            (0x100, 3),
            (0x104, 1),
            (0x108, 1),
            (0x110, TABLE as u32),
            (0x200, ((VRAM + IH_RING) >> 12) as u32),
            (0x204, RING_LEN as u32),
            (0x210, 3),
            (0x300, ((VRAM + CP_RING) >> 12) as u32),
            (0x304, RING_LEN as u32),
            (0x310, 1),
        ] {
            self.set(offset, value);
        }
        self.wptr = 0;
    }

    pub fn get(&mut self, offset: u64) -> u32 {
        super::read32(&mut self.device, offset)
    }

    pub fn set(&mut self, offset: u64, value: u32) {
        super::write32(&mut self.device, offset, value);
    }

    /// Changes an entry of the GART's table, and nothing else.
    pub fn entry(&mut self, page: u64, entry: u64) {
        let data = entry.to_le_bytes();
        self.device.vram().write(TABLE + 8 * page, &data).unwrap();
    }

    pub fn flush(&mut self) {
        self.set(0x118, 0);
    }

    /// Puts a packet into the ring.
    pub fn push(&mut self, head: u32, src: u64, dst: u64, len: u64) {
        let mut packet = [0; 32];
        packet[..4].copy_from_slice(&head.to_le_bytes());
        for (at, value) in [(8, src), (16, dst), (24, len)] {
            packet[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        self.device
            .vram()
            .write(CP_RING + self.wptr, &packet)
            .unwrap();
        self.wptr = (self.wptr + 32) % RING_LEN;
    }

    /// Has the card execute what has been pushed, until it has nothing to do any more.
    pub fn run(&mut self) {
        self.set(0x308, self.wptr as u32);
        while self.step() {}
    }

    /// Does one step; says whether there may be another.
    pub fn step(&mut self) -> bool {
        let memory = self.device.memory().clone();
        let access = memory.access();
        match self.device.step(&access) {
            Step::Idle => return false,
            Step::Again => (),
            Step::Pause(time) => std::thread::sleep(time),
            Step::Move(transfers) => transfers.iter().for_each(|one| access.carry_out(one)),
        }
        true
    }

    /// Pushes a packet and runs it.
    pub fn one(&mut self, head: u32, src: u64, dst: u64, len: u64) {
        self.push(head, src, dst, len);
        self.run();
    }

    pub fn write_ram(&self, offset: u64, data: &[u8]) {
        self.ram.write_all_at(data, offset).unwrap();
    }

    pub fn read_ram(&self, offset: u64, len: u64) -> Vec<u8> {
        let mut data = vec![0; len as usize];
        self.ram.read_exact_at(&mut data, offset).unwrap();
        data
    }

    pub fn write_vram(&self, offset: u64, data: &[u8]) {
        self.device.vram().write(offset, data).unwrap();
    }

    pub fn read_vram(&self, offset: u64, len: u64) -> Vec<u8> {
        let mut data = vec![0; len as usize];
        self.device.vram().read(offset, &mut data).unwrap();
        data
    }

    /// Takes the entries out of the interrupt ring: source and data of each.
    pub fn entries(&mut self) -> Vec<(u32, u64)> {
        let wptr = u64::from(self.get(0x208) & 0xffff);
        let mut rptr = u64::from(self.get(0x20c));
        let mut entries = Vec::new();
        while rptr != wptr {
            let entry = self.read_vram(IH_RING + rptr, 16);
            assert_eq!(entry[4..8], [0; 4]);
            let source = u32::from_le_bytes(entry[..4].try_into().unwrap());
            let data = u64::from_le_bytes(entry[8..].try_into().unwrap());
            entries.push((source, data));
            rptr = (rptr + 16) % RING_LEN;
        }
        self.set(0x20c, rptr as u32);
        entries
    }

    /// How many MSIs there have been since it was asked.
    pub fn msis(&self) -> u64 {
        let mut data = [0; 8];
        let read = rustix::io::read(&self.event, &mut data);
        read.map_or(0, |_| u64::from_ne_bytes(data))
    }

    /// CP_STATUS: whether busy, whether in error.
    pub fn status(&mut self) -> (bool, bool) {
        let status = self.get(0x314);
        assert_eq!(status & !3, 0);
        (status & 1 != 0, status & 2 != 0)
    }

    /// GART_FAULT_ADDR and GART_FAULT_STATUS.
    pub fn fault(&mut self) -> (u64, u32) {
        let address = u64::from(self.get(0x120)) | (u64::from(self.get(0x124)) << 32);
        (address, self.get(0x128))
    }
}

/// Bytes that tell where they are.
pub fn bytes(seed: u64, len: u64) -> Vec<u8> {
    (0..len / 4)
        .flat_map(|i| (i as u32 ^ ((seed as u32) << 24)).to_le_bytes())
        .collect()
}
