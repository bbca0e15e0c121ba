// SPDX-License-Identifier: GPL-2.0

//! What each packet does.

use super::rig::*;

#[test]
fn nop() {
    let mut rig = Rig::new("");
    rig.push(NOP, 1, 2, 3);
    rig.one(NOP, 0, 0, 0);
    assert_eq!((rig.get(0x308), rig.get(0x30c)), (64, 64));
    assert_eq!(rig.status(), (false, false));
    assert_eq!(rig.device.counters.packets_nop, 2);
}

#[test]
fn copy_each_way() {
    let mut rig = Rig::new("");
    // 3 MiB and a bit, so that it takes several steps; across the aperture's end.
    let len = (3 << 20) + 36;
    let table = [
        (VRAM + DATA + 4, GTT + 8),
        (GTT + 4, VRAM + DATA),
        (VRAM + DATA, VRAM + DATA + 4 + len),
    ];
    for (seed, (src, dst)) in table.into_iter().enumerate() {
        let data = bytes(seed as u64, len);
        match src.checked_sub(VRAM) {
            Some(offset) => rig.write_vram(offset, &data),
            None => rig.write_ram(src - GTT, &data),
        }
        rig.one(COPY, src, dst, len);
        let copied = match dst.checked_sub(VRAM) {
            Some(offset) => rig.read_vram(offset, len),
            None => rig.read_ram(dst - GTT, len),
        };
        assert!(copied == data, "{src:#x} to {dst:#x}");
        assert_eq!(rig.status(), (false, false));
    }
    // In the GTT.
    let data = bytes(9, 1 << 20);
    rig.write_ram(0, &data);
    rig.one(COPY, GTT, GTT + (2 << 20), 1 << 20);
    assert!(rig.read_ram(2 << 20, 1 << 20) == data);
    let counters = &rig.device.counters;
    assert_eq!(counters.packets_copy, 4);
    assert_eq!(counters.bytes_copied, 3 * len + (1 << 20));
}

#[test]
fn copy_through_scattered_pages() {
    let mut rig = Rig::new("");
    // Backwards, so that no two pages make a run, but for two.
    for page in 0..64 {
        rig.entry(page, (RAM + 4096 * (63 - page)) | 3);
    }
    rig.entry(10, (RAM + 4096 * 500) | 3);
    rig.entry(11, (RAM + 4096 * 501) | 3);
    let data = bytes(1, 64 * 4096 - 8);
    rig.write_vram(DATA, &data);
    rig.one(COPY, VRAM + DATA, GTT + 4, data.len() as u64);
    for page in 0..64_u64 {
        let at = match page {
            10 | 11 => 490 + page,
            _ => 63 - page,
        };
        let (from, to) = if page == 0 { (4, 4096) } else { (0, 4096) };
        let to = if page == 63 { to - 4 } else { to };
        let start = (4096 * page + from - 4) as usize;
        assert_eq!(
            rig.read_ram(4096 * at + from, to - from),
            data[start..start + (to - from) as usize],
            "{page}"
        );
    }
    rig.one(COPY, GTT + 4, VRAM + DATA + (1 << 20), data.len() as u64);
    assert!(rig.read_vram(DATA + (1 << 20), data.len() as u64) == data);
}

#[test]
fn copy_of_ranges_that_overlap_is_bad() {
    for (src, dst, len, bad) in [
        (VRAM + DATA, VRAM + DATA, 4, true),
        (VRAM + DATA, VRAM + DATA + 4, 8, true),
        (VRAM + DATA + 4, VRAM + DATA, 8, true),
        (GTT, GTT + 4096, 4100, true),
        (VRAM + DATA, VRAM + DATA + 4, 4, false),
        (GTT + 4096, GTT, 4096, false),
        (GTT, GTT, 0, false),
    ] {
        let mut rig = Rig::new("");
        rig.write_vram(DATA, b"abcdefghijkl");
        rig.one(COPY, src, dst, len);
        assert_eq!(rig.status(), (false, bad), "{src:#x} {dst:#x} {len}");
        if bad {
            assert_eq!(rig.read_vram(DATA, 12), b"abcdefghijkl");
        }
    }
}

#[test]
fn copy_of_a_page_mapped_twice_ends() {
    let mut rig = Rig::new("");
    rig.entry(1, RAM | 3);
    rig.write_ram(0, &bytes(3, 4096));
    rig.one(COPY, GTT, GTT + 4096, 4096);
    assert_eq!(rig.status(), (false, false));
    assert!(rig.read_ram(0, 4096) == bytes(3, 4096));
}

#[test]
fn fill() {
    let mut rig = Rig::new("");
    let word = 0x1234_5678;
    let len = (1 << 20) + 4;
    for dst in [VRAM + DATA + (1 << 20) + 12, GTT + 12] {
        rig.one(FILL, word, dst, len);
        let filled = match dst.checked_sub(VRAM) {
            Some(offset) => rig.read_vram(offset - 4, len + 8),
            None => rig.read_ram(dst - GTT - 4, len + 8),
        };
        let words: Vec<_> = filled
            .chunks_exact(4)
            .map(|four| u32::from_le_bytes(four.try_into().unwrap()))
            .collect();
        let (first, rest) = words.split_first().unwrap();
        let (last, inner) = rest.split_last().unwrap();
        assert_eq!((*first, *last), (0, 0));
        assert!(inner.iter().all(|found| u64::from(*found) == word));
        rig.one(FILL, 0, dst, len);
    }
    assert!(rig.read_vram(DATA, 4 << 20).iter().all(|byte| *byte == 0));
    assert!(rig.read_ram(0, 2 << 20).iter().all(|byte| *byte == 0));
    rig.one(FILL, word, GTT, 0);
    assert_eq!(rig.read_ram(0, 4), [0; 4]);
    let counters = &rig.device.counters;
    assert_eq!(counters.packets_fill, 5);
    assert_eq!(counters.bytes_filled, 4 * len);
}

#[test]
fn fill_where_memory_ends_within_a_word() {
    let mut rig = Rig::new("");
    rig.device.dma_unmap(None);
    for (address, len) in [(RAM, 0x1001), (RAM + 0x1001, 0xfff)] {
        let file = Some((rig.ram.try_clone().unwrap(), 0x1000 + address - RAM));
        // A file cannot be mapped from within a page; the rest of it stays unmapped.
        let _ = rig.device.dma_map(address, len, true, file);
    }
    rig.one(FILL, 0x0403_0201, GTT, 0x2000);
    assert_eq!(rig.status(), (false, true));
    assert_eq!(rig.fault(), (GTT + 0x1001, 3));
    assert_eq!(rig.read_ram(0x1ffc, 8), [1, 2, 3, 4, 1, 0, 0, 0]);
}

#[test]
fn fence() {
    let mut rig = Rig::new("");
    rig.push(FILL, 7, VRAM + DATA, 2 << 20);
    rig.push(FENCE, 0x1122_3344_5566_7788, GTT + 8, 0);
    rig.one(FENCE_POST, u64::MAX, VRAM + 0x8000, 0);
    assert_eq!(rig.read_ram(8, 8), 0x1122_3344_5566_7788_u64.to_le_bytes());
    assert_eq!(rig.read_vram(0x8000, 8), [0xff; 8]);
    assert_eq!(rig.entries(), [(1, u64::MAX)]);
    assert_eq!(rig.msis(), 1);
    assert_eq!(rig.device.counters.packets_fence, 2);
}

#[test]
fn fences_wait_for_all_that_is_before_them() {
    let mut rig = Rig::new("");
    rig.push(FILL, 7, VRAM + DATA, 3 << 20);
    rig.push(FENCE, 1, GTT, 0);
    rig.set(0x308, rig.wptr as u32);
    loop {
        let filled = rig.read_vram(DATA + (3 << 20) - 4, 4) == [7, 0, 0, 0];
        assert!(filled || rig.read_ram(0, 1) == [0]);
        if !rig.step() {
            break;
        }
    }
    assert_eq!(rig.read_ram(0, 1), [1]);
}

#[test]
fn bad_packets_stop_the_engine() {
    for (head, src, dst, len) in [
        (4, 0, 0, 0),
        (0xff, 0, 0, 0),
        (0x101, VRAM + DATA, GTT, 4),
        (COPY, VRAM + DATA + 1, GTT, 4),
        (COPY, VRAM + DATA, GTT, 5),
        (FILL, 0, VRAM + DATA + 2, 4),
        (FENCE, 0, VRAM + DATA + 4, 0),
    ] {
        let mut rig = Rig::new("");
        rig.push(NOP, 0, 0, 0);
        rig.push(head, src, dst, len);
        rig.push(FENCE, 1, GTT, 0);
        rig.run();
        assert_eq!(rig.status(), (false, true), "{head:#x}");
        assert_eq!(rig.get(0x30c), 32, "it points to the bad packet");
        assert_eq!(rig.entries(), [(2, 32)]);
        assert_eq!(rig.msis(), 1);
        assert_eq!(rig.fault(), (0, 0));
        assert_eq!(rig.device.counters.command_errors, 1);
        // It stays stopped, whatever is written, until it is disabled or reset.
        rig.run();
        rig.set(0x310, 3);
        rig.set(0x310, 1);
        rig.run();
        assert_eq!((rig.get(0x30c), rig.read_ram(0, 1)), (32, vec![0]));
        rig.set(0x310, 0);
        assert_eq!((rig.get(0x308), rig.get(0x30c)), (0, 0));
        assert_eq!(rig.status(), (false, false));
        rig.set(0x310, 1);
        rig.wptr = 0;
        rig.one(FENCE, 1, GTT, 0);
        assert_eq!(rig.read_ram(0, 1), [1]);
    }
}

#[test]
fn cards_with_some_of_the_features() {
    let mut rig = Rig::new("--features 2");
    rig.write_vram(DATA, &bytes(1, 64));
    rig.one(COPY, VRAM + DATA, VRAM + DATA + 64, 64);
    assert_eq!(rig.read_vram(DATA + 64, 64), bytes(1, 64));
    rig.one(FILL, 1, VRAM + DATA, 64);
    assert_eq!(rig.status(), (false, true), "there is no FILL");

    let mut rig = Rig::new("--features 2");
    rig.one(COPY, VRAM + DATA, GTT, 64);
    assert_eq!(rig.status(), (false, true), "there is no GART");
    assert_eq!(rig.fault(), (0, 0));
    assert_eq!(rig.entries(), [(2, 0)]);

    let mut rig = Rig::new("--chip pdd1000");
    rig.one(FENCE, 1, VRAM + DATA, 0);
    assert_eq!(rig.read_vram(DATA, 1), [0]);
    for offset in (0x110..0x400).step_by(4) {
        rig.set(offset, u32::MAX);
        assert_eq!(rig.get(offset), 0, "{offset:#x}");
    }
}
