// SPDX-License-Identifier: GPL-2.0

//! Mishaps on request.

use std::time::{Duration, Instant};

use super::rig::*;
use crate::engine::injections::Hang;

fn reset(rig: &mut Rig) {
    rig.set(8, 0x5253_5421);
    rig.set_up();
}

#[test]
fn a_hung_engine_needs_a_reset() {
    let mut rig = Rig::new("");
    rig.device.injections.hang = Some(Hang::default());
    rig.one(FENCE, 1, GTT, 0);
    assert!(rig.device.is_hung());
    for ctrl in [3, 1, 0, 1] {
        rig.set(0x310, ctrl);
        rig.run();
        assert_eq!((rig.status(), rig.get(0x30c)), ((true, false), 0), "{ctrl}");
    }
    assert_eq!(rig.read_ram(0, 1), [0]);
    reset(&mut rig);
    assert!(!rig.device.is_hung());
    rig.one(FENCE, 1, GTT, 0);
    assert_eq!(
        (rig.status(), rig.read_ram(0, 1)),
        ((false, false), vec![1])
    );
}

#[test]
fn hangs_where_it_is_told() {
    for (packets, bytes, rptr, fenced, filled) in [
        (0, 0, 0, 0, 0),
        (0, 100, 0, 0, 0),
        (1, 0, 32, 1, 0),
        (1, 4096, 32, 1, 4096),
        (1, (1 << 20) + 8, 32, 1, (1 << 20) + 8),
        (1, 2 << 20, 32, 1, 2 << 20),
        (1, 1 << 40, 32, 1, 2 << 20),
        (2, 0, 64, 1, 2 << 20),
        (2, 7, 64, 1, 2 << 20),
    ] {
        let mut rig = Rig::new("");
        rig.device.injections.hang = Some(Hang { packets, bytes });
        rig.push(FENCE, 1, GTT + (3 << 20), 0);
        rig.push(FILL, 0x0101_0101, GTT, 2 << 20);
        rig.one(FENCE, 2, GTT + (3 << 20), 0);
        let what = format!("{packets} {bytes}");
        assert!(rig.device.is_hung(), "{what}");
        assert_eq!(
            (rig.status(), rig.get(0x30c)),
            ((true, false), rptr),
            "{what}"
        );
        assert_eq!(rig.read_ram(3 << 20, 1), [fenced], "{what}");
        let data = rig.read_ram(0, 2 << 20);
        assert_eq!(
            data.iter().filter(|byte| **byte == 1).count(),
            filled,
            "{what}"
        );
        reset(&mut rig);
        rig.one(FENCE, 9, GTT + (3 << 20), 0);
        assert_eq!(rig.read_ram(3 << 20, 1), [9], "it hangs once: {what}");
    }
}

#[test]
fn corrupt_packets() {
    let mut rig = Rig::new("");
    rig.device.injections.corrupt = Some(2);
    for value in 1..5 {
        rig.push(FENCE, value, GTT, 0);
    }
    rig.run();
    assert_eq!((rig.status(), rig.get(0x30c)), ((false, true), 64));
    assert_eq!(rig.read_ram(0, 1), [2]);
    assert_eq!(rig.entries(), [(2, 64)]);
    assert_eq!(
        rig.read_vram(CP_RING + 64, 4),
        [3, 0, 0, 0],
        "the ring is not changed"
    );
    reset(&mut rig);
    rig.one(FENCE, 9, GTT, 0);
    assert_eq!(rig.read_ram(0, 1), [9]);
}

#[test]
fn lost_interrupts() {
    let mut rig = Rig::new("");
    rig.device.injections.lose_interrupts = 2;
    for value in 0..3 {
        rig.one(FENCE_POST, value, GTT, 0);
    }
    assert_eq!(
        rig.entries(),
        [(1, 0), (1, 1), (1, 2)],
        "the entries are not lost"
    );
    assert_eq!(rig.msis(), 1);
    let counters = &rig.device.counters;
    assert_eq!((counters.irqs, counters.irqs_lost), (1, 2));
}

#[test]
fn slow_engines_can_be_stopped_at_once() {
    let mut rig = Rig::new("");
    rig.device.injections.slowdown = 100;
    let start = Instant::now();
    rig.push(FILL, 1, GTT, 2 << 20);
    rig.one(FENCE, 1, VRAM + DATA, 0);
    // 100 times 10 us for each packet, and 100 times 524 us for the bytes; the last packet's time
    // has not passed when it has had its effect.
    assert!(start.elapsed() >= Duration::from_millis(53));
    assert_eq!(rig.read_vram(DATA, 1), [1]);

    rig.device.injections.slowdown = 1_000_000;
    let start = Instant::now();
    rig.push(FILL, 2, GTT, 2 << 20);
    rig.set(0x308, rig.wptr as u32);
    std::thread::sleep(Duration::from_millis(101));
    let memory = rig.device.memory().clone();
    assert_ne!(
        rig.device.step(&memory.access()),
        crate::engine::command_processor::Step::Idle
    );
    reset(&mut rig);
    rig.device.injections.slowdown = 1;
    rig.one(FENCE, 2, VRAM + DATA, 0);
    assert_eq!(rig.read_vram(DATA, 1), [2]);
    assert!(start.elapsed() < Duration::from_secs(5));
}
