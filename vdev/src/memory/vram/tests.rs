// SPDX-License-Identifier: GPL-2.0

use std::os::unix::fs::MetadataExt;

use super::*;

const VISIBLE: u64 = 1 << 20;

fn read(vram: &Vram, offset: u64, len: usize) -> Vec<u8> {
    let mut data = vec![0; len];
    vram.read(offset, &mut data).unwrap();
    data
}

/// What the guest sees through its mapping.
fn guest_read(vram: &Vram, offset: u64, len: usize) -> Vec<u8> {
    let mut data = vec![0; len];
    vram.aperture.read_exact_at(&mut data, offset).unwrap();
    data
}

fn resident(vram: &Vram) -> u64 {
    (vram.aperture.metadata().unwrap().blocks() + vram.store.metadata().unwrap().blocks()) * 512
}

#[test]
fn starts_closed_and_zeroed() {
    let vram = Vram::new(4 * VISIBLE, VISIBLE).unwrap();
    assert_eq!(guest_read(&vram, 0, 4096), [0xff; 4096]);
    assert_eq!(read(&vram, 0, 4096), [0; 4096]);
    vram.set_open(true).unwrap();
    assert_eq!(guest_read(&vram, VISIBLE - 4096, 4096), [0; 4096]);
}

#[test]
fn content_survives_closing_and_gated_writes_do_not() {
    let vram = Vram::new(4 * VISIBLE, VISIBLE).unwrap();
    assert!(vram.set_open(true).unwrap());
    assert!(!vram.set_open(true).unwrap());
    vram.aperture.write_all_at(b"guest", 5000).unwrap();
    vram.write(VISIBLE - 3, b"across").unwrap();
    assert_eq!(read(&vram, 5000, 5), b"guest");
    assert_eq!(guest_read(&vram, VISIBLE - 3, 3), b"acr");

    assert!(vram.set_open(false).unwrap());
    assert_eq!(
        guest_read(&vram, 0, VISIBLE as usize),
        vec![0xff; VISIBLE as usize]
    );
    assert_eq!(read(&vram, 5000, 5), b"guest");
    assert_eq!(read(&vram, VISIBLE - 3, 6), b"across");
    vram.aperture.write_all_at(b"lost", 5000).unwrap();
    vram.write(8000, b"card").unwrap();

    assert!(vram.set_open(true).unwrap());
    assert_eq!(guest_read(&vram, 5000, 5), b"guest");
    assert_eq!(guest_read(&vram, 8000, 4), b"card");
    assert_eq!(read(&vram, VISIBLE - 3, 6), b"across");
}

#[test]
fn holes_stay_holes() {
    let vram = Vram::new(8 << 30, VISIBLE).unwrap();
    vram.write(8192, &[1; 4096]).unwrap();
    vram.write((8 << 30) - 1, &[1]).unwrap();
    for open in [true, false, true] {
        vram.set_open(open).unwrap();
        let data = vram.data(0, 8 << 30).unwrap();
        assert_eq!(data, [8192..12288, (8 << 30) - 4096..8 << 30]);
    }
    assert_eq!(resident(&vram), 8192);
    vram.fill(0, 8 << 30, [0; 4]).unwrap();
    assert_eq!(resident(&vram), 0);
}

#[test]
fn fill_keeps_its_phase_across_the_border() {
    let vram = Vram::new(4 * VISIBLE, VISIBLE).unwrap();
    vram.set_open(true).unwrap();
    vram.fill(VISIBLE - 6, 12, [1, 2, 3, 4]).unwrap();
    assert_eq!(
        read(&vram, VISIBLE - 7, 14),
        [0, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 0]
    );
}

#[test]
fn ranges_are_checked() {
    let vram = Vram::new(2 * VISIBLE, VISIBLE).unwrap();
    for (offset, len) in [
        (2 * VISIBLE, 1),
        (u64::MAX, 1),
        (0, 2 * VISIBLE + 1),
        (1, u64::MAX),
    ] {
        assert!(vram.check(offset, len).is_err(), "{offset:#x} {len:#x}");
        assert!(vram.fill(offset, len, [1; 4]).is_err());
        assert!(vram.data(offset, len).is_err());
    }
    assert!(vram.read(2 * VISIBLE - 1, &mut [0; 2]).is_err());
    assert!(vram.write(2 * VISIBLE - 1, &[0; 2]).is_err());
    vram.read(2 * VISIBLE, &mut []).unwrap();
}

#[test]
fn apertures_of_every_length() {
    for aperture_len in [0, 4096, VISIBLE, 2 * VISIBLE] {
        let vram = Vram::new(VISIBLE, aperture_len).unwrap();
        assert_eq!(vram.visible_len(), aperture_len.min(VISIBLE));
        for open in [true, false] {
            vram.set_open(open).unwrap();
            vram.write(0, b"first").unwrap();
            vram.write(VISIBLE - 4, b"last").unwrap();
            assert_eq!(read(&vram, 0, 5), b"first");
            assert_eq!(read(&vram, VISIBLE - 4, 4), b"last");
        }
    }
    // Behind the VRAM there is nothing.
    let vram = Vram::new(VISIBLE, 2 * VISIBLE).unwrap();
    vram.set_open(true).unwrap();
    assert_eq!(guest_read(&vram, VISIBLE - 1, 2), [0, 0xff]);
}

#[test]
fn trapped_accesses() {
    let vram = Vram::new(VISIBLE, 4096).unwrap();
    let mut data = [0; 4];
    vram.write_aperture(0, b"lost").unwrap();
    vram.read_aperture(0, &mut data);
    assert_eq!(data, [0xff; 4]);
    vram.set_open(true).unwrap();
    vram.write_aperture(4092, b"kept").unwrap();
    vram.write_aperture(4093, b"over").unwrap();
    vram.write_aperture(u64::MAX, b"over").unwrap();
    vram.read_aperture(4092, &mut data);
    assert_eq!(&data, b"kept");
    vram.read_aperture(4093, &mut data);
    assert_eq!(data, [0xff; 4]);
    vram.read_aperture(u64::MAX, &mut data);
    assert_eq!(data, [0xff; 4]);
}

#[test]
fn engines_see_the_same_bytes_through_slices() {
    let vram = Vram::new(4 * VISIBLE, VISIBLE).unwrap();
    for open in [false, true] {
        vram.set_open(open).unwrap();
        let data = [b'a' + u8::from(open); 8];
        let access = vram.access();
        let slice = access.slice(VISIBLE - 4, 8).unwrap();
        let len = slice.len();
        assert_eq!(len, if open { 4 } else { 8 });
        slice.copy_from(&data);
        let rest = access.slice(VISIBLE, 4).unwrap();
        rest.copy_from(&data);
        drop(access);
        assert_eq!(read(&vram, VISIBLE - 4, 8), data);
    }
    let access = vram.access();
    assert_eq!(access.slice(4 * VISIBLE - 1, 100).unwrap().len(), 1);
    assert!(access.slice(4 * VISIBLE, 1).is_none());
    assert!(access.slice(u64::MAX, 1).is_none());
}

#[test]
fn engines_can_tell_holes_from_data() {
    let vram = Vram::new(4 * VISIBLE, VISIBLE).unwrap();
    vram.set_open(true).unwrap();
    vram.write(8192, b"data").unwrap();
    vram.write(2 * VISIBLE, b"data").unwrap();
    let table = [
        (0, 4 * VISIBLE, Part::Hole(8192)),
        (8191, 4, Part::Hole(1)),
        (8192, 2, Part::Data(2)),
        // The page is what has data; the rest of the grain passes for it.
        (9000, 2 * VISIBLE, Part::Data(GRAIN - 9000)),
        (12288, 4 * VISIBLE, Part::Hole(VISIBLE - 12288)),
        (VISIBLE, VISIBLE + 1, Part::Hole(VISIBLE)),
        (3 * VISIBLE, VISIBLE, Part::Hole(VISIBLE)),
        (4 * VISIBLE, 1, Part::Hole(1)),
    ];
    for (offset, len, part) in table {
        assert_eq!(vram.access().part(offset, len), part, "{offset:#x}");
    }
    let access = vram.access();
    assert_eq!(access.part(8192, 10), Part::Data(10));
    assert_eq!(access.part(12288, 10), Part::Data(10), "it remembers");
    drop(access);
    assert_eq!(resident(&vram), 8192, "to look allocates nothing");
}
