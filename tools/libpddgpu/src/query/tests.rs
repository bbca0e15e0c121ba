// SPDX-License-Identifier: GPL-2.0

use crate::raw::{drm_pddgpu_heap, drm_pddgpu_query_device};

use super::*;

const QUERY: Query = Query {
    number: 0,
    name: "QUERY test",
};

/// A driver with this answer.
fn driver(answer: &[u8]) -> impl FnMut(&mut [u8]) -> Result<usize> + '_ {
    |room| {
        if room.is_empty() {
            return Ok(answer.len());
        }
        let written = answer.len().min(room.len());
        room[..written].copy_from_slice(&answer[..written]);
        Ok(written)
    }
}

/// A list whose entries are these bytes.
fn list(count: u32, entry_size: u32, entries: &[u8]) -> Vec<u8> {
    let head = ListHead { count, entry_size };
    [[head.count, head.entry_size].as_bytes(), entries].concat()
}

fn heap(domain: u32, total: u64) -> drm_pddgpu_heap {
    drm_pddgpu_heap {
        domain,
        total,
        visible_used: total / 4,
        ..Default::default()
    }
}

fn read_heaps(answer: &[u8]) -> Result<Vec<drm_pddgpu_heap>> {
    read_list(QUERY, driver(answer))
}

#[test]
fn a_structure_is_read_field_by_field() {
    let device = drm_pddgpu_query_device {
        chip_id: 0x2000,
        features: 7,
        gtt_size: 1 << 30,
        max_alignment: 1 << 20,
        ..Default::default()
    };
    let read: drm_pddgpu_query_device = read_structure(QUERY, driver(device.as_bytes())).unwrap();
    assert_eq!(read, device);
}

#[test]
fn fields_that_an_older_driver_lacks_are_zero() {
    let device = drm_pddgpu_query_device {
        chip_id: 0x2000,
        vram_start: 1 << 36,
        max_cpu_size: 1 << 30,
        max_alignment: 1 << 20,
        ..Default::default()
    };
    let known = offset_of!(drm_pddgpu_query_device, vram_size);
    let read: drm_pddgpu_query_device = read_structure(QUERY, |room| {
        // What the kernel left beyond what it says it wrote is not believed either.
        room.copy_from_slice(device.as_bytes());
        Ok(known)
    })
    .unwrap();
    assert_eq!((read.chip_id, read.vram_start), (0x2000, 1 << 36));
    assert_eq!((read.max_cpu_size, read.max_alignment), (0, 0));
}

#[test]
fn fields_that_a_newer_driver_adds_are_ignored() {
    let longer = [heap(4, 8).as_bytes(), &[0xff; 16]].concat();
    let read: drm_pddgpu_heap = read_structure(QUERY, driver(&longer)).unwrap();
    assert_eq!(read, heap(4, 8));
}

#[test]
fn impossible_lengths_of_a_structure_are_errors() {
    for written in [4, 57, size_of::<drm_pddgpu_heap>() + 8] {
        let read = read_structure::<drm_pddgpu_heap>(QUERY, |_| Ok(written));
        assert!(matches!(read, Err(Error::Unexpected(_))), "{written}");
    }
}

#[test]
fn a_list_is_read_entry_by_entry() {
    let heaps = [heap(4, 100), heap(2, 200), heap(1, 300)];
    assert_eq!(
        read_heaps(&list(3, 56, heaps.as_bytes())).unwrap(),
        heaps.to_vec()
    );
    assert_eq!(read_heaps(&list(0, 56, &[])).unwrap(), []);
}

#[test]
fn longer_entries_are_cut_and_shorter_ones_filled_up_with_zeros() {
    let longer = [
        [heap(4, 100).as_bytes(), &[0xff; 16]].concat(),
        [heap(2, 200).as_bytes(), &[0xff; 16]].concat(),
    ]
    .concat();
    assert_eq!(
        read_heaps(&list(2, 72, &longer)).unwrap(),
        [heap(4, 100), heap(2, 200)]
    );

    let whole = heap(4, 100);
    let read = read_heaps(&list(1, 16, &whole.as_bytes()[..16])).unwrap();
    assert_eq!((read[0].domain, read[0].total), (4, 100));
    assert_eq!(read[0].visible_used, 0);
}

#[test]
fn entries_without_a_byte_are_none() {
    assert_eq!(read_heaps(&list(5, 0, &[])).unwrap(), []);
}

#[test]
fn what_is_no_list_is_an_error() {
    for answer in [
        vec![],
        vec![0; 4],
        list(1, 12, &[0; 12]),
        list(2, 56, heap(4, 100).as_bytes()),
        list(u32::MAX, u32::MAX, &[]),
    ] {
        let read = read_heaps(&answer);
        assert!(matches!(read, Err(Error::Unexpected(_))), "{answer:?}");
    }
}

/// Reads the list of a driver that has another number of heaps with each call.
fn read_changing(counts: impl IntoIterator<Item = u32>) -> Result<Vec<drm_pddgpu_heap>> {
    let mut counts = counts.into_iter();
    read_list(QUERY, |room| {
        let count = counts.next().expect("the list is not asked for so often");
        let heaps: Vec<_> = (0..count).map(|n| heap(4, u64::from(n))).collect();
        driver(&list(count, 56, heaps.as_slice().as_bytes()))(room)
    })
}

#[test]
fn a_list_that_grew_or_shrank_meanwhile_is_read_whole() {
    assert_eq!(read_changing([5, 3]).unwrap().len(), 3);
    let grown = read_changing([3, 5, 6]).unwrap();
    assert_eq!(grown.len(), 6);
    assert_eq!(grown[5], heap(4, 5));
}

#[test]
fn a_list_that_outgrows_every_try_is_an_error() {
    let read = read_changing((1..).map(|n: u32| 3u32.pow(n)));
    assert!(matches!(read, Err(Error::Unexpected(_))));
}
