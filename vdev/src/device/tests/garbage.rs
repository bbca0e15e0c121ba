// SPDX-License-Identifier: GPL-2.0

//! Guests that program nonsense: the card takes it, and works again after a reset.

use super::rig::*;
use super::Noise;

/// An address that leads somewhere, or nearly so, or nowhere.
fn address(noise: &mut Noise) -> u64 {
    let base = [
        VRAM,
        GTT,
        VRAM + VRAM_LEN,
        GTT + (4 << 20),
        0,
        u64::MAX - 64,
    ][(noise.next() % 8).min(5) as usize];
    let span = [1 << 12, 1 << 20, 1 << 24, u64::MAX][(noise.next() % 4) as usize];
    let offset = noise.next() % span;
    let align = [!0, !3, !7, !0xfff][(noise.next() % 4) as usize];
    base.wrapping_add(offset) & align
}

/// Packets, entries of the GART and a register, all of them nonsense.
fn program_garbage(rig: &mut Rig, noise: &mut Noise) {
    for _ in 0..noise.next() % 40 {
        let head = match noise.next() % 8 {
            0 => noise.next() as u32,
            n => [NOP, COPY, FILL, FENCE, FENCE_POST][(n % 5) as usize],
        };
        let len = noise.next() % [64, 1 << 16, 1 << 23, u64::MAX][(noise.next() % 4) as usize];
        let (src, dst) = (address(noise), address(noise));
        rig.push(head, src, dst, len & !3);
    }
    for _ in 0..noise.next() % 4 {
        let page = noise.next() % 1024;
        let entry = match noise.next() % 3 {
            0 => noise.next(),
            _ => (RAM + (noise.next() % RAM_LEN)) & !0xfff | 3,
        };
        rig.entry(page, entry);
    }
    if noise.next() % 2 == 0 {
        let offset = 0x100 + noise.next() % 0x220;
        let value = match noise.next() % 3 {
            0 => noise.next() as u32,
            1 => 1,
            _ => (noise.next() % 0x3000) as u32,
        };
        rig.set(offset & !3, value);
    }
}

#[test]
fn rings_full_of_garbage() {
    for (seed, line) in [
        (1, ""),
        (2, "--chip pdd3000"),
        (3, "--features 2"),
        (4, "--unchecked --gtt 0"),
        (5, "--unchecked --gtt-start 0xfffffffffffff000"),
        (
            6,
            "--unchecked --gtt-start 0x1000000000 --features 0xffffffff",
        ),
        (7, "--unchecked --vram-start 0xffffffffff000000"),
    ] {
        let mut rig = Rig::new(line);
        let mut noise = Noise(seed);
        for round in 0..400 {
            program_garbage(&mut rig, &mut noise);
            rig.run();
            if round % 4 == 0 {
                rig.set(8, 0x5253_5421);
                rig.set_up();
            }
        }
        // What the garbage has overwritten is put right, and then everything works.
        rig.set(8, 0x5253_5421);
        rig.set_up();
        for page in 0..1024 {
            rig.entry(page, (RAM + 4096 * page) | 3);
        }
        rig.one(
            FENCE_POST,
            1,
            rig.device.registers.own().vram_start + DATA,
            0,
        );
        if rig.device.registers.own().vram_start == VRAM {
            assert_eq!(rig.read_vram(DATA, 1), [1], "{line}");
            assert_eq!(rig.entries(), [(1, 1)], "{line}");
        }
    }
}
