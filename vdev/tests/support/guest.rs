// SPDX-License-Identifier: GPL-2.0

//! A guest as the card sees one: memory that it can reach, a GART table, rings, a vector.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use rustix::event::{eventfd, poll, EventfdFlags, PollFd, PollFlags, Timespec};
use rustix::fs::{memfd_create, MemfdFlags};
use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_DATA_EVENTFD, VFIO_PCI_CONFIG_REGION_INDEX,
    VFIO_PCI_MSI_IRQ_INDEX,
};
use vfio_user::Client;
use vm_memory::{Bytes, FileOffset, MmapRegion, VolatileMemory};

use super::{guest_write, map_aperture, read32, write32, Card, RESET};

pub const GTT: u64 = 0x1_0000_0000;
pub const VRAM: u64 = 0x10_0000_0000;
/// Where the guest's memory is on the bus.
pub const RAM: u64 = 0x4000_0000;
pub const CP_RING: u64 = 0x10_0000;
pub const CP_RING_LEN: u64 = 1 << 20;
pub const IH_RING: u64 = 0x20_0000;
pub const IH_RING_LEN: u64 = 1 << 16;
pub const TABLE: u64 = 0x30_0000;

pub const CP_WPTR: u64 = 0x308;
pub const CP_RPTR: u64 = 0x30c;
pub const CP_CTRL: u64 = 0x310;
pub const CP_STATUS: u64 = 0x314;
pub const GART_FLUSH: u64 = 0x118;

pub const NOP: u32 = 0;
pub const COPY: u32 = 1;
pub const FILL: u32 = 2;
pub const FENCE: u32 = 3;
pub const FENCE_POST: u32 = 0x103;

pub struct Guest {
    pub client: Client,
    pub ram: MmapRegion,
    pub ram_len: u64,
    pub event: File,
    aperture: MmapRegion,
    wptr: u64,
    fence: u64,
}

impl Guest {
    /// Plugs the card into a guest of `ram_len` bytes, which are the GTT's first pages too, and
    /// enables everything.
    pub fn new(card: &Card, ram_len: u64) -> Guest {
        let mut client = card.plug();
        let ram = File::from(memfd_create("guest", MemfdFlags::CLOEXEC).unwrap());
        ram.set_len(ram_len).unwrap();
        client.dma_map(0, RAM, ram_len, ram.as_raw_fd()).unwrap();
        let event = File::from(eventfd(0, EventfdFlags::NONBLOCK).unwrap());
        let flags = VFIO_IRQ_SET_ACTION_TRIGGER | VFIO_IRQ_SET_DATA_EVENTFD;
        client
            .set_irqs(VFIO_PCI_MSI_IRQ_INDEX, flags, 0, 1, &[event.as_raw_fd()])
            .unwrap();
        client
            .region_write(VFIO_PCI_CONFIG_REGION_INDEX, 4, &[6, 0])
            .unwrap();
        let mut guest = Guest {
            aperture: map_aperture(&client),
            client,
            ram: MmapRegion::from_file(FileOffset::new(ram, 0), ram_len as usize).unwrap(),
            ram_len,
            event,
            wptr: 0,
            fence: 0,
        };
        guest.set_up();
        guest.map_pages(|page| page);
        guest
    }

    /// Sets the registers as after a reset.
    pub fn set_up(&mut self) {
        for (offset, value) in [
            (0x100, 1),
            (0x104, 1),
            (0x108, 1),
            (0x110, TABLE),
            (0x200, (VRAM + IH_RING) >> 12),
            (0x204, IH_RING_LEN),
            (0x210, 3),
            (0x300, (VRAM + CP_RING) >> 12),
            (0x304, CP_RING_LEN),
            (0x310, 1),
        ] {
            self.set(offset, value as u32);
        }
        self.wptr = 0;
    }

    /// Resets the card and sets it up again.
    pub fn reset(&mut self) {
        self.set(RESET, 0x5253_5421);
        self.set_up();
    }

    /// Has each page of the GTT be the page of memory that `find` says.
    pub fn map_pages(&mut self, find: impl Fn(u64) -> u64) {
        let entries: Vec<u8> = (0..self.ram_len / 4096)
            .flat_map(|page| ((RAM + 4096 * find(page)) | 3).to_le_bytes())
            .collect();
        guest_write(&self.aperture, TABLE, &entries);
        self.set(GART_FLUSH, 0);
    }

    pub fn get(&mut self, offset: u64) -> u32 {
        read32(&mut self.client, offset)
    }

    pub fn set(&mut self, offset: u64, value: u32) {
        write32(&mut self.client, offset, value);
    }

    /// Puts a packet into the ring.
    pub fn push(&mut self, head: u32, src: u64, dst: u64, len: u64) {
        let mut packet = [0; 32];
        packet[..4].copy_from_slice(&head.to_le_bytes());
        for (at, value) in [(8, src), (16, dst), (24, len)] {
            packet[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        guest_write(&self.aperture, CP_RING + self.wptr, &packet);
        self.wptr = (self.wptr + 32) % CP_RING_LEN;
    }

    /// Puts bytes into the ring.
    pub fn push_raw(&mut self, packet: &[u8; 32]) {
        guest_write(&self.aperture, CP_RING + self.wptr, packet);
        self.wptr = (self.wptr + 32) % CP_RING_LEN;
    }

    /// Puts a fence into the ring, with a value of its own, that is stored at the begin of memory.
    pub fn push_fence(&mut self, head: u32) -> u64 {
        self.fence += 1;
        self.push(head, self.fence, GTT, 0);
        self.fence
    }

    /// Has the card execute what has been pushed.
    pub fn kick(&mut self) {
        self.set(CP_WPTR, self.wptr as u32);
    }

    /// The fence as it is in memory.
    pub fn fence(&self) -> u64 {
        self.ram.as_volatile_slice().read_obj(0).unwrap()
    }

    /// Looks at memory until a fence is there; says whether it came.
    pub fn wait(&self, fence: u64, time: Duration) -> bool {
        let start = Instant::now();
        while self.fence() < fence {
            if start.elapsed() > time {
                return false;
            }
            std::hint::spin_loop();
        }
        true
    }

    /// Waits for interrupts; says how many there were.
    pub fn interrupts(&self, time: Duration) -> u64 {
        let mut fds = [PollFd::new(&self.event, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec::try_from(time).unwrap())).unwrap();
        let mut data = [0; 8];
        let read = rustix::io::read(&self.event, &mut data);
        read.map_or(0, |_| u64::from_ne_bytes(data))
    }

    /// Runs what has been pushed to its end.
    pub fn run(&mut self) {
        let fence = self.push_fence(FENCE);
        self.kick();
        let done = self.wait(fence, Duration::from_secs(20));
        let state = [CP_RPTR, CP_STATUS, 0x120, 0x124, 0x128].map(|offset| self.get(offset));
        assert!(done, "the engine stands: {state:x?}");
    }
}
