// SPDX-License-Identifier: GPL-2.0

//! Cards that lie: what they say, and that they do no harm beyond that.

use super::rig::*;
use crate::engine::hostile::Hostile;

/// Sets the card up as a driver does, and has it work.
fn work(rig: &mut Rig) {
    rig.set(8, 0x5253_5421);
    rig.set_up();
    for value in 1..40 {
        rig.push(COPY, VRAM + DATA, GTT, 4096);
        rig.push(FENCE_POST, value, VRAM + DATA + 8192, 0);
        rig.run();
        rig.get(0x208);
        rig.get(0x30c);
        rig.set(0x20c, 0);
    }
    rig.set(0x310, 0);
}

#[test]
fn lies_are_counted_and_no_memory_but_the_mapped_is_written() {
    let mut lies = 0;
    for seed in 0..60 {
        let mut rig = Rig::new("--chip pdd3000");
        // Of the guest's memory, the GART has the first two pages only.
        for page in 2..1024 {
            rig.entry(page, 0);
        }
        rig.flush();
        rig.write_ram(8192, &bytes(1, RAM_LEN - 8192));
        rig.device.hostile = Hostile::new(Some(seed));
        work(&mut rig);
        let told = &rig.device.counters.lies;
        lies += told.lies_registers + told.lies_pointers + told.lies_fences;
        lies += told.lies_entries + told.lies_interrupts + told.lies_stops + told.lies_resets;
        assert_eq!(
            rig.read_ram(8192, RAM_LEN - 8192),
            bytes(1, RAM_LEN - 8192),
            "{seed}"
        );
    }
    assert!(lies > 2000, "{lies}");
}

#[test]
fn a_card_that_stops_lying_works_after_a_reset() {
    for seed in 0..60 {
        let mut rig = Rig::new("--chip pdd3000");
        rig.device.hostile = Hostile::new(Some(seed));
        work(&mut rig);
        rig.device.hostile = Hostile::default();
        rig.set(8, 0x5253_5421);
        rig.set_up();
        rig.one(FENCE_POST, 7, VRAM + DATA, 0);
        assert_eq!(rig.read_vram(DATA, 1), [7], "{seed}");
        assert_eq!(rig.entries(), [(1, 7)], "{seed}");
    }
}

#[test]
fn an_order_that_is_ignored_shows_in_the_registers() {
    let mut stops = 0;
    let mut resets = 0;
    for seed in 0..60 {
        let mut rig = Rig::new("");
        rig.device.hostile = Hostile::new(Some(seed));
        for _ in 0..20 {
            rig.set(0x310, 1);
            let before = rig.device.counters.lies.clone();
            rig.set(0x310, 0);
            rig.set(8, 0x5253_5421);
            let after = &rig.device.counters.lies;
            stops += after.lies_stops - before.lies_stops;
            resets += after.lies_resets - before.lies_resets;
            let goes_on = after.lies_stops > before.lies_stops;
            let is_reset = after.lies_resets == before.lies_resets;
            let registers = &rig.device.registers;
            let enabled = registers.is_enabled(crate::regs::table::CP_CTRL);
            assert_eq!(enabled, goes_on && !is_reset, "{seed}");
        }
    }
    assert!(stops > 50 && resets > 50, "{stops} {resets}");
}
