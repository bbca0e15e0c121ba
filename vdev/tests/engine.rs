// SPDX-License-Identifier: GPL-2.0

//! The engines in the process, on their thread: moving bytes between VRAM and a guest's memory,
//! interrupting it, being halted and reset meanwhile, and given nonsense.

mod support;

use std::time::{Duration, Instant};

use serde_json::json;
use vm_memory::{Bytes, VolatileMemory};

use support::guest::*;
use support::*;

const CARD: &str = "--vram 64M --visible 16M --gtt 64M";
const SECOND: Duration = Duration::from_secs(1);

fn bytes(len: u64) -> Vec<u8> {
    (0..len as u32 / 4)
        .flat_map(|i| (i ^ 0x5500_0000).to_le_bytes())
        .collect()
}

fn read_ram(guest: &Guest, offset: u64, len: u64) -> Vec<u8> {
    let mut data = vec![0; len as usize];
    let ram = guest.ram.as_volatile_slice();
    ram.read_slice(&mut data, offset as usize).unwrap();
    data
}

#[test]
fn memory_moves_and_interrupts_come() {
    let card = Card::start(CARD);
    let mut control = card.control();
    let mut guest = Guest::new(&card, 32 * MIB);
    let len = 6 * MIB + 20;
    let data = bytes(len);
    guest
        .ram
        .as_volatile_slice()
        .write_slice(&data, MIB as usize)
        .unwrap();
    // Out to VRAM that the guest cannot see and partly can, through VRAM, and back.
    guest.push(COPY, GTT + MIB, VRAM + 12 * MIB, len);
    guest.push(COPY, VRAM + 12 * MIB, VRAM + 32 * MIB + 4, len);
    guest.push(COPY, VRAM + 32 * MIB + 4, GTT + 16 * MIB, len);
    let fence = guest.push_fence(FENCE_POST);
    guest.kick();
    assert_eq!(guest.interrupts(20 * SECOND), 1);
    assert_eq!(guest.fence(), fence);
    assert!(read_ram(&guest, 16 * MIB, len) == data);
    assert!(control.vram(32 * MIB + 4, MIB) == data[..MIB as usize]);
    assert_eq!((guest.get(0x208), guest.get(CP_RPTR)), (16, 4 * 32));
    assert_eq!(control.vram(IH_RING, 16)[..9], [1, 0, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(control.counter("packets_copy"), 3);
    assert_eq!(control.counter("bytes_copied"), 3 * len);
    assert_eq!(control.counter("irqs"), 1);

    // Through pages that lie the other way round.
    let pages = guest.ram_len / 4096;
    guest.map_pages(|page| if page == 0 { 0 } else { pages - page });
    guest.push(COPY, VRAM + 32 * MIB + 4, GTT + 16 * MIB, 8192);
    guest.run();
    let page = pages - 16 * MIB / 4096;
    assert_eq!(read_ram(&guest, page * 4096, 4096), data[..4096]);
    assert_eq!(read_ram(&guest, (page - 1) * 4096, 4096), data[4096..8192]);
}

#[test]
fn interrupts_can_be_lost() {
    let card = Card::start(CARD);
    let mut control = card.control();
    let mut guest = Guest::new(&card, MIB);
    control.ask(&json!({ "op": "lose_interrupt", "count": 1 }));
    let fence = guest.push_fence(FENCE_POST);
    guest.kick();
    assert!(guest.wait(fence, 20 * SECOND));
    assert_eq!((guest.get(0x208), control.counter("irqs_lost")), (16, 1));
    let fence = guest.push_fence(FENCE_POST);
    guest.kick();
    assert_eq!(guest.interrupts(20 * SECOND), 1);
    assert_eq!(guest.fence(), fence);
}

#[test]
fn resets_and_halts_are_quick() {
    let card = Card::start(CARD);
    let mut control = card.control();
    let mut guest = Guest::new(&card, 32 * MIB);
    let copy = |guest: &mut Guest| {
        for _ in 0..100 {
            guest.push(COPY, VRAM + 16 * MIB, GTT + MIB, 24 * MIB);
        }
        guest.push_fence(FENCE);
        guest.kick();
    };
    for slow in [1, 10_000] {
        control.ask(&json!({ "op": "slow_down", "factor": slow }));
        let before = control.counter("bytes_copied");
        copy(&mut guest);
        while control.counter("bytes_copied") == before {
            std::thread::yield_now();
        }
        assert_eq!(guest.get(CP_STATUS), 1);
        let start = Instant::now();
        guest.set(CP_CTRL, 3);
        assert_eq!(guest.get(CP_STATUS), 0);
        let halted = start.elapsed();
        // Nothing moves any more.
        let moved = control.counter("bytes_copied");
        std::thread::sleep(Duration::from_millis(30));
        assert_eq!(control.counter("bytes_copied"), moved);
        guest.set(CP_CTRL, 1);
        assert_eq!(guest.get(CP_STATUS), 1);
        let start = Instant::now();
        guest.reset();
        let reset = start.elapsed();
        println!("slowed by {slow}: halted in {halted:?}, reset in {reset:?}");
        assert!(halted < SECOND / 2 && reset < SECOND / 2);
        control.ask(&json!({ "op": "slow_down", "factor": 1 }));
        guest.run();
    }
}

#[test]
fn hung_engines_come_back() {
    let card = Card::start(CARD);
    let mut control = card.control();
    let mut guest = Guest::new(&card, 8 * MIB);
    for round in 0..20 {
        control.ask(&json!({ "op": "inject_hang", "packets": round % 2, "bytes": MIB }));
        guest.push(NOP, 0, 0, 0);
        guest.push(FILL, round, GTT + MIB, 4 * MIB);
        let fence = guest.push_fence(FENCE_POST);
        guest.kick();
        while control.ask(&json!({ "op": "info" }))["engine_hung"] != true {
            assert!(!guest.wait(fence, Duration::from_millis(1)));
        }
        assert!(!guest.wait(fence, Duration::from_millis(1)));
        assert_eq!(guest.get(CP_STATUS), 1);
        guest.reset();
        guest.run();
    }
    control.ask(&json!({ "op": "corrupt_packet" }));
    guest.push_fence(FENCE);
    guest.kick();
    assert_eq!(guest.interrupts(20 * SECOND), 1);
    assert_eq!(guest.get(CP_STATUS), 2);
    guest.reset();
    guest.run();
}

#[test]
fn memory_that_goes_away_faults() {
    let card = Card::start(CARD);
    let mut control = card.control();
    let mut guest = Guest::new(&card, 32 * MIB);
    for _ in 0..2000 {
        guest.push(COPY, VRAM + 16 * MIB, GTT, 32 * MIB);
    }
    guest.kick();
    while control.counter("bytes_copied") == 0 {
        std::thread::yield_now();
    }
    guest.client.dma_unmap(RAM, 32 * MIB).unwrap();
    let before = read_ram(&guest, 0, 32 * MIB);
    assert!(guest.interrupts(20 * SECOND) >= 1);
    assert_eq!(guest.get(CP_STATUS), 2);
    assert_eq!(guest.get(0x128), 3);
    assert_eq!(control.counter("gart_faults"), 1);
    assert!(read_ram(&guest, 0, 32 * MIB) == before);
}

#[test]
fn ecc_errors_interrupt() {
    let card = Card::start("--chip pdd3000 --vram 64M --visible 16M");
    let mut control = card.control();
    let mut guest = Guest::new(&card, MIB);
    let inject = json!({ "op": "inject_ecc", "offset": 0x1230 });
    assert_eq!(control.ask(&inject)["reported"], false);
    guest.set(0x100, 3);
    assert_eq!(control.ask(&inject)["reported"], true);
    assert_eq!(guest.interrupts(SECOND), 1);
    assert_eq!((guest.get(0x140), guest.get(0x148)), (0x1230, 1));
}

#[test]
fn registers_answer_while_the_engine_works() {
    let card = Card::start(CARD);
    let mut guest = Guest::new(&card, 8 * MIB);
    // As many packets as there is room for, each done in no time: the engine hardly ever lets go
    // of the card.
    for _ in 0..CP_RING_LEN / 32 - 2 {
        guest.push(COPY, VRAM + 16 * MIB, GTT + MIB, 4);
    }
    let fence = guest.push_fence(FENCE);
    guest.kick();
    let mut longest = Duration::ZERO;
    let mut reads = 0;
    while guest.fence() < fence {
        let start = Instant::now();
        guest.get(CP_RPTR);
        longest = longest.max(start.elapsed());
        reads += 1;
    }
    println!("{reads} reads, the longest {longest:?}");
    assert!(longest < 10 * SECOND);
}

/// The same numbers in each run.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

#[test]
fn nonsense_wedges_nothing() {
    let card = Card::start("--chip pdd3000 --vram 64M --visible 16M --gtt 64M");
    let mut guest = Guest::new(&card, 8 * MIB);
    let mut noise = Noise(11);
    let start = Instant::now();
    for _ in 0..300 {
        for _ in 0..noise.next() % 20 {
            let mut packet = [0; 32];
            packet[0] = (noise.next() % 5) as u8;
            for (at, base) in [(8, [VRAM, GTT, 0]), (16, [GTT, VRAM, u64::MAX << 20])] {
                // Clear of the table and the rings, for the sake of what comes after.
                let offset = 8 * MIB + noise.next() % (64 * MIB);
                let address = base[(noise.next() % 3) as usize].wrapping_add(offset) & !7;
                packet[at..at + 8].copy_from_slice(&address.to_le_bytes());
            }
            packet[24..28]
                .copy_from_slice(&((noise.next() as u32 % (32 << 20)) & !3).to_le_bytes());
            packet[(noise.next() % 32) as usize] ^= (noise.next() % 64 / 63) as u8;
            guest.push_raw(&packet);
        }
        guest.kick();
        for _ in 0..noise.next() % 4 {
            let value = [0, 1, 3, 0x1000, 0x20, noise.next() as u32][(noise.next() % 6) as usize];
            guest.set((0x100 + noise.next() % 0x220) & !3, value);
        }
        guest.get(CP_STATUS);
        if noise.next() % 4 == 0 {
            guest.reset();
        }
    }
    println!("300 rounds in {:?}", start.elapsed());
    guest.reset();
    guest.map_pages(|page| page);
    let fence = guest.push_fence(FENCE_POST);
    guest.interrupts(Duration::ZERO);
    guest.kick();
    assert!(guest.wait(fence, 20 * SECOND));
    assert_eq!(guest.interrupts(20 * SECOND), 1);
}
