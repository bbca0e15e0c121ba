// SPDX-License-Identifier: GPL-2.0

//! The range allocator: best fit, alignment, ranges, and what it gives back.

use kernel::prelude::*;

use super::*;
use crate::kunit::{
    check,
    check_eq,
    walk_suite,
    Random,
    WALK, //
};

type Boxed = Pin<KBox<Node>>;

fn take(mm: &Arc<Mm>, size: u64, alignment: u64, range: Range<u64>) -> Result<Boxed> {
    KBox::pin_init(
        Node::new(
            mm.clone(),
            Some(Fit {
                size,
                alignment,
                range,
            }),
        ),
        GFP_KERNEL,
    )
}

/// The ranges in use, as the allocator tells them.
fn ranges(mm: &Mm) -> Result<KVec<Range<u64>>> {
    let mut all = KVec::new();
    let mut from = 0;

    while let Some(range) = mm.next_range(from) {
        from = range.end;
        all.push(range, GFP_KERNEL)?;
    }
    // The counters say the same.
    let usage = Usage {
        ranges: all.len() as u64,
        size: all.iter().map(|range| range.end - range.start).sum(),
    };
    if mm.usage() != usage {
        return Err(EINVAL);
    }
    Ok(all)
}

#[kunit_tests(pddgpu_mm)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_range_is_refused() -> Result {
        for range in [0..0, 7..7] {
            check_eq!(Mm::new(range.clone()).err(), Some(EINVAL), "{:?}", range);
        }
        Ok(())
    }

    #[test]
    fn takes_all_and_gives_it_back() -> Result {
        for range in [0..1, 0..64, 1000..1001, 1000..5000, 1 << 40..(1 << 40) + 3] {
            let mm = Mm::new(range.clone())?;
            let size = range.end - range.start;

            for _ in 0..3 {
                let node = take(&mm, size, 1, range.clone())?;

                check_eq!(node.range(), Some(range.clone()));
                check_eq!(take(&mm, 1, 1, range.clone()).err(), Some(ENOSPC));
                check_eq!(ranges(&mm)?.len(), 1);
                drop(node);
                check_eq!(ranges(&mm)?.len(), 0);
            }
        }
        Ok(())
    }

    #[test]
    fn what_cannot_fit_is_enospc() -> Result {
        let mm = Mm::new(100..200)?;

        for (size, alignment, range) in [
            (101, 1, 100..200),
            (u64::MAX, 1, 100..200),
            (0, 1, 100..200),
            (1, 1, 200..300),
            (1, 1, 0..100),
            (11, 1, 120..130),
            (11, 1, 190..300),
            (11, 1, 0..110),
            (1, 1, 150..150),
            (1, 128, 129..200),
            (1, 256, 100..200),
        ] {
            check_eq!(
                take(&mm, size, alignment, range.clone()).err(),
                Some(ENOSPC),
                "{} by {} in {:?}",
                size,
                alignment,
                range
            );
            check_eq!(ranges(&mm)?.len(), 0);
        }
        Ok(())
    }

    #[test]
    fn stays_inside_the_range_asked_for() -> Result {
        let mm = Mm::new(100..200)?;

        for (size, range, expected) in [
            (10, 120..130, 120..130),
            (10, 0..110, 100..110),
            (10, 190..300, 190..200),
            (100, 0..1000, 100..200),
            (1, 199..200, 199..200),
        ] {
            check_eq!(
                take(&mm, size, 1, range.clone())?.range(),
                Some(expected),
                "{} in {:?}",
                size,
                range
            );
        }
        Ok(())
    }

    #[test]
    fn aligns_the_start() -> Result {
        for alignment in [0, 1, 2, 3, 4, 5, 7, 8, 16, 48, 64, 100, 512] {
            for first in [1, 2, 3, 63, 64, 65] {
                let mm = Mm::new(1024..4096)?;
                let _first = take(&mm, first, 1, 1024..1024 + first)?;
                let node = take(&mm, 5, alignment, 0..4096)?;
                let range = node.range().ok_or(EINVAL)?;

                check_eq!(
                    range.start % alignment.max(1),
                    0,
                    "{:?} by {} after {}",
                    range,
                    alignment,
                    first
                );
                check_eq!(range.end - range.start, 5);
                check!(range.start >= 1024 + first && range.end <= 4096);
            }
        }
        Ok(())
    }

    /// Holes of 10, 3, 5 and, at the end, 100: each request gets the smallest that will do.
    #[test]
    fn best_fit() -> Result {
        for (size, alignment, expected) in [
            (1, 1, 20..21),
            (3, 1, 20..23),
            (4, 1, 33..37),
            (5, 1, 33..38),
            (6, 1, 0..6),
            (10, 1, 0..10),
            (11, 1, 48..59),
            (100, 1, 48..148),
            // The hole of 3 holds a multiple of 11, 22; that of 5 one of 12, 36; no other one of 40.
            (1, 11, 22..23),
            (2, 12, 36..38),
            (1, 40, 0..1),
        ] {
            let mm = Mm::new(0..148)?;
            let _kept = [
                take(&mm, 10, 1, 10..20)?,
                take(&mm, 10, 1, 23..33)?,
                take(&mm, 10, 1, 38..48)?,
            ];

            check_eq!(
                take(&mm, size, alignment, 0..148)?.range(),
                Some(expected),
                "{} by {}",
                size,
                alignment
            );
        }
        Ok(())
    }

    #[test]
    fn a_node_without_a_range_takes_nothing() -> Result {
        let mm = Mm::new(0..1)?;
        let none = KBox::pin_init(Node::new(mm.clone(), None), GFP_KERNEL)?;

        check_eq!(none.range(), None);
        check_eq!(ranges(&mm)?.len(), 0);

        let node = take(&mm, 1, 1, 0..1)?;
        drop(none);
        check_eq!(node.range(), Some(0..1));
        Ok(())
    }

    #[test]
    fn a_failed_node_leaves_nothing() -> Result {
        let mm = Mm::new(0..10)?;
        let _kept = take(&mm, 4, 1, 3..7)?;

        for _ in 0..100 {
            check_eq!(take(&mm, 4, 1, 0..10).err(), Some(ENOSPC));
        }
        let all = ranges(&mm)?;
        check_eq!(&all[..], core::slice::from_ref(&(3..7)));
        Ok(())
    }

    #[test]
    fn ranges_are_told_lowest_first() -> Result {
        let mm = Mm::new(0..100)?;
        let mut nodes = KVec::new();

        for start in [50, 10, 90, 0, 30, 70] {
            nodes.push(take(&mm, 10, 1, start..start + 10)?, GFP_KERNEL)?;
        }
        let all = ranges(&mm)?;
        check_eq!(
            &all[..],
            &[0..10, 10..20, 30..40, 50..60, 70..80, 90..100][..]
        );
        Ok(())
    }

    #[test]
    fn a_walk_goes_on_where_it_was() -> Result {
        let mm = Mm::new(0..100)?;
        let first = take(&mm, 10, 1, 10..20)?;
        let second = take(&mm, 10, 1, 40..50)?;

        for (from, expected) in [
            (0, Some(10..20)),
            (10, Some(10..20)),
            (19, Some(10..20)),
            (20, Some(40..50)),
            (49, Some(40..50)),
            (50, None),
            (u64::MAX, None),
        ] {
            check_eq!(mm.next_range(from), expected, "from {}", from);
        }
        // What it was at may be gone, and what it comes to may be new.
        drop(first);
        check_eq!(mm.next_range(10), Some(40..50));
        let _between = take(&mm, 5, 1, 30..35)?;
        check_eq!(mm.next_range(20), Some(30..35));
        drop(second);
        check_eq!(mm.next_range(35), None);
        Ok(())
    }

    #[test]
    fn nodes_keep_the_allocator() -> Result {
        let mm = Mm::new(0..10)?;
        let node = take(&mm, 10, 1, 0..10)?;

        drop(mm);
        check_eq!(node.range(), Some(0..10));
        Ok(())
    }
}

/// Where the allocator of the walk ends.
const END: u64 = 600;

/// The length of the smallest hole between what is taken in which `size` would fit.
fn smallest_hole(
    taken: &[Range<u64>],
    size: u64,
    alignment: u64,
    range: &Range<u64>,
) -> Option<u64> {
    let ends = Iterator::chain([0].into_iter(), taken.iter().map(|other| other.end));
    let starts = Iterator::chain(taken.iter().map(|other| other.start), [END]);

    ends.zip(starts)
        .filter(|(hole_start, hole_end)| {
            let start = hole_start.max(&range.start).next_multiple_of(alignment);

            start + size <= *hole_end.min(&range.end)
        })
        .map(|(hole_start, hole_end)| hole_end - hole_start)
        .min()
}

/// Against a list of what is taken: nothing overlaps, everything is where it was asked for and in
/// the smallest hole that would do, and what would fit is never refused.
fn random_walk() -> Result {
    let mm = Mm::new(0..END)?;
    let mut nodes = KVec::<Boxed>::with_capacity(256, GFP_KERNEL)?;
    let mut random = Random::new(1);

    for step in 0..WALK {
        if nodes.len() == 40 || (!nodes.is_empty() && random.below(5) < 2) {
            let at = random.below(nodes.len() as u64) as usize;
            drop(nodes.remove(at).map_err(|_| EINVAL)?);
            continue;
        }

        let size = 1 + random.below(48);
        let alignment = random.choose(&[1, 1, 1, 2, 4, 8, 16]);
        let range = match random.below(3) {
            0 => {
                let start = random.below(END);
                start..start + 1 + random.below(END - start)
            }
            _ => 0..END,
        };

        let taken = ranges(&mm)?;
        check_eq!(taken.len(), nodes.len(), "step {}", step);
        check!(
            taken.is_sorted_by(|one, next| one.end <= next.start),
            "step {}",
            step
        );
        let best = smallest_hole(&taken, size, alignment, &range);

        match take(&mm, size, alignment, range.clone()) {
            Err(err) => {
                check_eq!(err, ENOSPC, "step {}", step);
                check_eq!(best, None, "step {}", step);
            }
            Ok(node) => {
                let got = node.range().ok_or(EINVAL)?;
                let before = taken.iter().rfind(|other| other.end <= got.start);
                let after = taken.iter().find(|other| other.start >= got.end);
                let hole =
                    before.map_or(0, |other| other.end)..after.map_or(END, |other| other.start);

                check_eq!(got.end - got.start, size, "step {}", step);
                check_eq!(got.start % alignment, 0, "step {}", step);
                check!(
                    range.start <= got.start && got.end <= range.end,
                    "step {}",
                    step
                );
                check!(
                    taken
                        .iter()
                        .all(|other| other.end <= got.start || got.end <= other.start),
                    "step {}",
                    step
                );
                check_eq!(Some(hole.end - hole.start), best, "step {}", step);
                nodes.push_within_capacity(node).map_err(|_| EINVAL)?;
            }
        }
    }
    Ok(())
}

walk_suite!(pddgpu_mm_walk);
