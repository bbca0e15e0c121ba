// SPDX-License-Identifier: GPL-2.0

//! What the GART lets through, what it keeps, and what faults.

use super::rig::*;

const VALID: u32 = 1;
const WRITE: u32 = 2;
const OUTSIDE: u32 = 4;

#[test]
fn each_fault() {
    let gtt_end = GTT + (4 << 20);
    let vram_end = VRAM + VRAM_LEN;
    // (packet, src or value, dst, bytes, address that faults, status besides valid)
    let table = [
        (COPY, GTT + 0x5000, VRAM + DATA, 4096, GTT + 0x5000, 0),
        (COPY, GTT + 0x4ffc, VRAM + DATA, 4096, GTT + 0x5000, 0),
        (COPY, VRAM + DATA, GTT + 0x5ff0, 16, GTT + 0x5ff0, WRITE),
        (COPY, VRAM + DATA, GTT + 0x6004, 16, GTT + 0x6004, WRITE),
        (FILL, 1, GTT + 0x4000, 0x2000, GTT + 0x5000, WRITE),
        (FENCE, 1, GTT + 0x6000, 0, GTT + 0x6000, WRITE),
        // Bus addresses that nobody answers, or that are too high.
        (COPY, GTT + 0x7000, VRAM + DATA, 16, GTT + 0x7000, 0),
        (FILL, 1, GTT + 0x8000, 16, GTT + 0x8000, WRITE),
        // No window.
        (COPY, 0, VRAM + DATA, 16, 0, OUTSIDE),
        (
            COPY,
            VRAM + DATA,
            u64::MAX - 3,
            4,
            u64::MAX - 3,
            WRITE | OUTSIDE,
        ),
        (COPY, u64::MAX - 3, VRAM, 8, u64::MAX - 3, OUTSIDE),
        (FILL, 1, VRAM - 4, 8, VRAM - 4, WRITE | OUTSIDE),
        (FENCE, 1, GTT - 8, 0, GTT - 8, WRITE | OUTSIDE),
        // Not all within the window.
        (COPY, gtt_end - 8, VRAM + DATA, 16, gtt_end, OUTSIDE),
        (FILL, 1, vram_end - 8, 12, vram_end, WRITE | OUTSIDE),
        (FILL, 1, VRAM, u64::MAX - 3, vram_end, WRITE | OUTSIDE),
        (COPY, VRAM, GTT, 1 << 63, vram_end, OUTSIDE),
    ];
    for (head, src, dst, len, address, status) in table {
        let mut rig = Rig::new("");
        rig.entry(5, (RAM + 0x5000) | 2);
        rig.entry(6, (RAM + 0x6000) | 1);
        rig.entry(7, (RAM + RAM_LEN) | 3);
        rig.entry(8, (1 << 44) | RAM | 3);
        rig.write_vram(DATA, &[9; 64]);
        rig.one(head, src, dst, len);
        let what = format!("{head} {src:#x} {dst:#x} {len:#x}");
        assert_eq!(rig.fault(), (address, VALID | status), "{what}");
        assert_eq!(rig.status(), (false, true), "{what}");
        assert_eq!(rig.entries(), [(3, address), (2, 0)], "{what}");
        assert_eq!(rig.msis(), 2);
        assert_eq!(rig.device.counters.gart_faults, 1);
        if status & OUTSIDE != 0 {
            // Nothing at all is moved then.
            assert_eq!(rig.read_vram(DATA, 64), [9; 64], "{what}");
            assert_eq!(rig.read_ram(0, 8), [0; 8], "{what}");
        }
    }
}

#[test]
fn what_comes_before_a_fault_is_moved() {
    let mut rig = Rig::new("");
    rig.entry(600, 0);
    rig.one(FILL, 0x0101_0101, GTT, 4 << 20);
    assert_eq!(rig.fault(), (GTT + 600 * 4096, VALID | WRITE));
    assert!(rig.read_ram(0, 600 * 4096).iter().all(|byte| *byte == 1));
    assert!(rig
        .read_ram(600 * 4096, 1 << 20)
        .iter()
        .all(|byte| *byte == 0));
}

#[test]
fn the_first_fault_is_kept() {
    let mut rig = Rig::new("");
    rig.one(FENCE, 1, 8, 0);
    rig.set(0x310, 0);
    rig.set(0x310, 1);
    rig.wptr = 0;
    rig.one(COPY, 16, GTT, 4);
    assert_eq!(rig.fault(), (8, VALID | WRITE | OUTSIDE));
    assert_eq!(rig.entries(), [(3, 8), (2, 0), (3, 16), (2, 0)]);
    rig.set(0x128, VALID);
    assert_eq!(rig.fault(), (0, 0));
    rig.set(0x310, 0);
    rig.set(0x310, 1);
    rig.wptr = 0;
    rig.one(COPY, 16, GTT, 4);
    assert_eq!(rig.fault(), (16, VALID | OUTSIDE));
}

#[test]
fn windows_that_are_not_enabled_are_none() {
    let mut rig = Rig::new("");
    rig.set(0x104, 0);
    rig.one(FENCE, 1, GTT, 0);
    assert_eq!(rig.fault(), (GTT, VALID | WRITE | OUTSIDE));

    let mut rig = Rig::new("");
    rig.set(0x100, 0);
    rig.one(NOP, 0, 0, 0);
    assert_eq!(rig.fault(), (VRAM + CP_RING, VALID | OUTSIDE), "the ring");
    assert_eq!(rig.device.counters.ih_lost, 2);
}

#[test]
fn the_table_is_read_from_vram() {
    // With the rings in the GTT and VRAM disabled, or the table beyond its end, no entry is valid.
    for (vram, base) in [(0, TABLE), (1, VRAM_LEN), (1, 0xfff_ffff_f000)] {
        let mut rig = Rig::new("");
        rig.set(0x300, (GTT >> 12) as u32);
        rig.set(0x100, vram);
        rig.set(0x110, base as u32);
        rig.set(0x114, (base >> 32) as u32);
        rig.run();
        rig.set(0x308, 32);
        while rig.step() {}
        assert_eq!(rig.fault(), (GTT, VALID), "{vram} {base:#x}");
    }
}

#[test]
fn the_card_must_be_bus_master() {
    use crate::device::Region;
    let mut rig = Rig::new("");
    rig.device.write(Region::Config, 4, &[2, 0]);
    rig.one(FENCE_POST, 1, VRAM + DATA, 0);
    assert_eq!(rig.entries(), [(1, 1)]);
    assert_eq!((rig.msis(), rig.device.counters.irqs_lost), (0, 1));
    rig.one(FENCE, 1, GTT, 0);
    assert_eq!(rig.fault(), (GTT, VALID | WRITE));
}

#[test]
fn entries_are_kept_until_flushed() {
    let mut rig = Rig::new("");
    let value = |rig: &Rig, page: u64| rig.read_ram(4096 * page, 1)[0];
    rig.one(FENCE, 1, GTT, 0);
    assert_eq!(value(&rig, 0), 1);
    // Changed, but not flushed: the old page is written, again and again.
    rig.entry(0, (RAM + 4096 * 900) | 3);
    for round in 2..10 {
        rig.one(FENCE, round, GTT, 0);
        assert_eq!((value(&rig, 0), value(&rig, 900)), (round as u8, 0));
    }
    // An entry that is gone still works, an entry next to it that was not valid still faults.
    rig.entry(0, 0);
    rig.one(FENCE, 10, GTT, 0);
    assert_eq!(value(&rig, 0), 10);
    rig.flush();
    rig.entry(0, (RAM + 4096 * 900) | 3);
    rig.one(FENCE, 11, GTT, 0);
    assert_eq!((value(&rig, 0), value(&rig, 900)), (10, 11));
    assert_eq!(rig.device.counters.gart_flushes, 1);
    assert_eq!(rig.device.counters.gart_misses, 2);
    assert_eq!(rig.device.counters.gart_hits, 9);
}

#[test]
fn neighbours_are_kept_too() {
    let mut rig = Rig::new("");
    rig.entry(15, 0);
    rig.entry(16, 0);
    rig.one(FENCE, 1, GTT + 8 * 4096, 0);
    rig.entry(15, (RAM + 4096 * 15) | 3);
    rig.entry(16, (RAM + 4096 * 16) | 3);
    rig.one(FENCE, 2, GTT + 16 * 4096, 0);
    assert_eq!(rig.status(), (false, false), "of another group");
    rig.one(FENCE, 3, GTT + 15 * 4096, 0);
    assert_eq!(rig.fault(), (GTT + 15 * 4096, VALID | WRITE));
}

#[test]
fn resets_drop_what_is_kept_and_other_writes_do_not() {
    let mut rig = Rig::new("");
    rig.one(FENCE, 1, GTT, 0);
    rig.entry(0, (RAM + 4096 * 900) | 3);
    rig.set(0x110, TABLE as u32);
    rig.set(0x104, 0);
    rig.set(0x104, 1);
    rig.one(FENCE, 2, GTT, 0);
    assert_eq!(rig.read_ram(0, 1), [2]);
    rig.set(8, 0x5253_5421);
    rig.set_up();
    rig.one(FENCE, 3, GTT, 0);
    assert_eq!(
        (rig.read_ram(0, 1), rig.read_ram(4096 * 900, 1)),
        (vec![2], vec![3])
    );
}
