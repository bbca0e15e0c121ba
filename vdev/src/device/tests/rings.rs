// SPDX-License-Identifier: GPL-2.0

//! The command ring and the interrupt ring: wrapping, filling up, halting, being reset.

use super::rig::*;

#[test]
fn the_command_ring_wraps() {
    let mut rig = Rig::new("");
    for round in 1..=RING_LEN / 32 * 3 {
        rig.one(FENCE, round, GTT, 0);
        assert_eq!(u64::from(rig.get(0x30c)), round * 32 % RING_LEN);
        assert_eq!(rig.read_ram(0, 8), round.to_le_bytes());
    }
    // As many at once as there is room for, across the end.
    let start = rig.device.counters.packets_fence;
    rig.one(NOP, 0, 0, 0);
    for value in 1..RING_LEN / 32 {
        rig.push(FENCE, value, GTT + 8 * value, 0);
    }
    rig.run();
    assert_eq!(rig.device.counters.packets_fence, start + RING_LEN / 32 - 1);
    for value in 1..RING_LEN / 32 {
        assert_eq!(rig.read_ram(8 * value, 8), value.to_le_bytes());
    }
}

#[test]
fn rings_may_lie_in_the_gtt() {
    let mut rig = Rig::new("");
    rig.set(0x300, ((GTT + 0x10000) >> 12) as u32);
    rig.set(0x200, ((GTT + 0x20000) >> 12) as u32);
    let mut fence = [0; 32];
    (fence[0], fence[1], fence[8]) = (3, 1, 7);
    fence[16..24].copy_from_slice(&(VRAM + DATA).to_le_bytes());
    rig.write_ram(0x10000, &fence);
    rig.wptr = 32;
    rig.run();
    assert_eq!(rig.read_vram(DATA, 1), [7]);
    assert_eq!(rig.get(0x208), 16);
    assert_eq!(
        rig.read_ram(0x20000, 16),
        [1, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0]
    );
}

#[test]
fn a_ring_that_is_none_is_an_error() {
    for (offset, value, wptr) in [
        (0x304, 0, 32),
        (0x304, 2048, 32),
        (0x304, 5000, 32),
        (0x304, 2 << 20, 32),
        (0x304, 1 << 31, 32),
        (0x304, 4096, 4096),
        (0x304, 4096, 33),
        (0x304, 4096, u32::MAX),
    ] {
        let mut rig = Rig::new("");
        rig.set(offset, value);
        rig.set(0x308, wptr);
        assert_eq!(rig.status(), (true, false));
        while rig.step() {}
        assert_eq!(rig.status(), (false, true), "{value:#x} {wptr:#x}");
        assert_eq!(rig.entries(), [(2, 0)]);
    }
}

#[test]
fn what_is_queued_while_disabled_starts_when_enabled() {
    let mut rig = Rig::new("");
    rig.set(0x310, 0);
    rig.push(FENCE, 1, GTT, 0);
    rig.run();
    assert_eq!((rig.status(), rig.read_ram(0, 1)[0]), ((false, false), 0));
    rig.set(0x310, 1);
    assert_eq!(rig.status(), (true, false));
    while rig.step() {}
    assert_eq!((rig.status(), rig.read_ram(0, 1)[0]), ((false, false), 1));
}

#[test]
fn the_interrupt_ring_wraps_and_overflows() {
    let mut rig = Rig::new("");
    let room = RING_LEN / 16 - 1;
    let mut value = 0;
    for round in 0..3 {
        for _ in 0..room {
            value += 1;
            rig.one(FENCE_POST, value, GTT, 0);
        }
        assert_eq!(rig.get(0x208) >> 31, 0, "{round}");
        let entries = rig.entries();
        assert_eq!(entries.len() as u64, room);
        assert_eq!(entries.last(), Some(&(1, value)));
    }
    assert_eq!(rig.msis(), 3 * room);

    for extra in 0..room + 3 {
        rig.one(FENCE_POST, extra, GTT, 0);
    }
    assert_eq!(rig.get(0x208) >> 31, 1);
    assert_eq!(rig.msis(), room);
    assert_eq!(rig.device.counters.ih_overflows, 3);
    // The older entries are kept; the newer ones are gone. Writing RPTR makes it good.
    let rptr = rig.get(0x20c);
    rig.set(0x20c, rptr);
    assert_eq!(rig.get(0x208) >> 31, 0);
    assert_eq!(
        rig.entries(),
        (0..room).map(|extra| (1, extra)).collect::<Vec<_>>()
    );
    rig.one(FENCE_POST, 99, GTT, 0);
    assert_eq!(rig.entries(), [(1, 99)]);
}

#[test]
fn nothing_is_posted_without_a_ring() {
    let mut rig = Rig::new("");
    for (ctrl, size) in [(0, 4096), (2, 4096), (3, 0), (3, 100), (3, 2 << 20)] {
        rig.set(0x210, ctrl);
        rig.set(0x204, size);
        rig.one(FENCE_POST, 1, GTT, 0);
        assert_eq!((rig.get(0x208), rig.msis()), (0, 0), "{ctrl} {size}");
        assert_eq!(rig.status(), (false, false), "it does not stop the engine");
    }
    // A ring that cannot be reached.
    rig.set(0x204, 4096);
    rig.set(0x200, 0);
    rig.one(FENCE_POST, 1, GTT, 0);
    assert_eq!(rig.fault(), (0, 7));
    assert_eq!(rig.status(), (false, false));
    assert_eq!((rig.get(0x208), rig.device.counters.ih_lost), (0, 4));
    // Without MSIs there are entries still.
    rig.set(0x200, ((VRAM + IH_RING) >> 12) as u32);
    rig.set(0x210, 1);
    rig.one(FENCE_POST, 2, GTT, 0);
    assert_eq!((rig.entries(), rig.msis()), (vec![(1, 2)], 0));
    // Disabling it puts both pointers back.
    rig.set(0x210, 0);
    assert_eq!((rig.get(0x208), rig.get(0x20c)), (0, 0));
}

#[test]
fn pointers_into_the_interrupt_ring_are_taken_as_they_can_be() {
    let mut rig = Rig::new("");
    for rptr in [u32::MAX, 4096, 7, 0x8000_0001] {
        rig.set(0x20c, rptr);
        assert_eq!(rig.get(0x20c), rptr);
        for _ in 0..600 {
            rig.one(FENCE_POST, 1, GTT, 0);
        }
        assert_eq!(rig.get(0x208) & 0x7fff_f00f, 0);
    }
}

#[test]
fn ecc_errors_are_reported() {
    let mut rig = Rig::new("--chip pdd3000");
    assert!(rig.device.report_ecc(0x1234));
    assert!(rig.device.report_ecc(0x5678));
    assert_eq!(
        (rig.get(0x140), rig.get(0x144), rig.get(0x148)),
        (0x5678, 0, 1)
    );
    assert_eq!(rig.entries(), [(4, 0x1234), (4, 0x5678)]);
    assert_eq!(rig.msis(), 2);
    rig.set(0x148, 1);
    assert_eq!(rig.get(0x148), 0);
    rig.set(0x100, 1);
    assert!(!rig.device.report_ecc(0x9abc));
    assert_eq!((rig.get(0x140), rig.entries()), (0x5678, vec![]));
    assert!(!Rig::new("--chip pdd2000").device.report_ecc(0));
}

/// Begins a large copy and does some steps of it; says how much of it has been done.
fn begin_copy(rig: &mut Rig) -> u64 {
    rig.write_vram(4 << 20, &bytes(5, 4 << 20));
    rig.push(COPY, VRAM + (4 << 20), GTT, 4 << 20);
    rig.push(FENCE, 1, VRAM + DATA, 0);
    rig.set(0x308, rig.wptr as u32);
    for _ in 0..3 {
        assert!(rig.step());
    }
    let done = rig.device.counters.bytes_copied;
    assert!(done > 0 && done < 4 << 20);
    assert!(rig.read_ram(0, done) == bytes(5, done));
    assert_eq!(rig.status(), (true, false));
    done
}

#[test]
fn halt_in_the_middle_of_a_copy() {
    let mut rig = Rig::new("");
    let done = begin_copy(&mut rig);
    rig.set(0x310, 3);
    assert_eq!(rig.status(), (false, false));
    assert!(!rig.step());
    assert_eq!(rig.get(0x30c), 0);
    assert_eq!(rig.read_ram(done, 4096), [0; 4096]);
    rig.set(0x310, 1);
    while rig.step() {}
    assert!(rig.read_ram(0, 4 << 20) == bytes(5, 4 << 20));
    assert_eq!(rig.read_vram(DATA, 1), [1]);
}

#[test]
fn stop_in_the_middle_of_a_copy() {
    let disable: fn(&mut Rig) = |rig| rig.set(0x310, 0);
    let reset: fn(&mut Rig) = |rig| rig.set(8, 0x5253_5421);
    let function_reset: fn(&mut Rig) = |rig| rig.device.reset_function();
    for stop in [disable, reset, function_reset] {
        let mut rig = Rig::new("");
        let done = begin_copy(&mut rig);
        stop(&mut rig);
        assert_eq!((rig.get(0x308), rig.get(0x30c)), (0, 0));
        assert_eq!(rig.status(), (false, false));
        assert!(!rig.step());
        rig.set_up();
        rig.one(FENCE, 2, VRAM + DATA + 8, 0);
        assert_eq!(rig.read_ram(done, 4096), [0; 4096], "the copy is forgotten");
        assert_eq!(rig.read_vram(DATA, 9), [0, 0, 0, 0, 0, 0, 0, 0, 2]);
    }
}

#[test]
fn resets_clear_every_register() {
    let mut rig = Rig::new("--chip pdd3000");
    rig.one(FENCE, 1, 8, 0);
    rig.device.report_ecc(8);
    rig.set(8, 0x5253_5421);
    assert_eq!(rig.get(0x10c), 1, "VRAM had no content at power-on");
    rig.set(0x10c, 1);
    for offset in (0x100..0x400).step_by(4) {
        assert_eq!(rig.get(offset), 0, "{offset:#x}");
    }
}
