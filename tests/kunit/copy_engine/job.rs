// SPDX-License-Identifier: GPL-2.0

//! Jobs of the copy engine: how they are cut into chunks and packets.

use kernel::prelude::*;

use crate::copy_engine::{
    CopyEngine,
    Ranges, //
};

use super::*;

const PAGE: u64 = PAGE_SIZE as u64;
const MIB: u64 = 1 << 20;
/// Where the test's transfer window is.
const WINDOW: u64 = 0x7000_0000_0000;

#[kunit_tests(pddgpu_job)]
mod tests {
    use super::*;
    use crate::kunit::{
        check,
        check_eq,
        Random, //
    };

    fn ranges(from: &[(u64, u64)]) -> Result<Ranges> {
        Ranges::new(from.iter().map(|&(start, bytes)| start..start + bytes))
    }

    /// The pages of the transfer window for the next chunk.
    fn window<'a>(work: &'a Work, at: &Progress) -> impl Iterator<Item = Range<u64>> + 'a {
        let all: [_; 2] = {
            let mut ends = work.window_pages(at);
            [ends.next(), ends.next()]
        };

        all.into_iter().flatten().flat_map(|(_, pages)| pages)
    }

    /// All packets of the next chunk.
    fn chunk(work: &Work, at: &mut Progress) -> Result<KVec<Packet>> {
        let mut packets = KVec::new();

        work.next_chunk(at, WINDOW, |packet| Ok(packets.push(packet, GFP_KERNEL)?))?;
        Ok(packets)
    }

    #[test]
    fn packets_end_with_either_side() -> Result {
        let work = Work::Copy {
            from: CopyEnd::Mapped(ranges(&[(0, 3 * PAGE), (8 * PAGE, PAGE)])?),
            to: CopyEnd::Mapped(ranges(&[(100 * PAGE, PAGE), (200 * PAGE, 3 * PAGE)])?),
        };
        let mut at = Progress::default();
        let packets = chunk(&work, &mut at)?;
        let expected = [(0, 100, 1), (1, 200, 2), (8, 202, 1)];

        check_eq!(packets.len(), expected.len());
        for (packet, (from, to, pages)) in packets.iter().zip(expected) {
            check_eq!(
                *packet,
                Packet::Copy {
                    from: from * PAGE,
                    to: to * PAGE,
                    bytes: pages * PAGE,
                }
            );
        }
        check!(work.is_done(&at));
        check_eq!(chunk(&work, &mut at)?.len(), 0);
        Ok(())
    }

    #[test]
    fn packets_are_not_too_large() -> Result {
        let work = Work::Fill {
            to: CopyEnd::Mapped(ranges(&[(MIB, 5 * MIB)])?),
            value: 0,
        };
        let packets = chunk(&work, &mut Progress::default())?;
        let expected = [(1, 2), (3, 2), (5, 1)];

        check_eq!(packets.len(), expected.len());
        for (packet, (to, bytes)) in packets.iter().zip(expected) {
            check_eq!(
                *packet,
                Packet::Fill {
                    value: 0,
                    to: to * MIB,
                    bytes: bytes * MIB,
                }
            );
        }
        Ok(())
    }

    /// As many packets as a ring has room for at once; the rest comes later.
    #[test]
    fn chunks_are_not_too_long() -> Result {
        let pages = 2 * u64::from(MAX_CHUNK_PACKETS) + 1;
        let work = Work::Fill {
            to: CopyEnd::Mapped(Ranges::new(
                (0..pages).map(|page| 2 * page * PAGE..(2 * page + 1) * PAGE),
            )?),
            value: 0,
        };
        let mut at = Progress::default();

        for expected in [MAX_CHUNK_PACKETS as usize, MAX_CHUNK_PACKETS as usize, 1] {
            check!(!work.is_done(&at));
            check_eq!(chunk(&work, &mut at)?.len(), expected);
        }
        check!(work.is_done(&at));
        Ok(())
    }

    /// A chunk is as long as a window, wherever the buffer is in the meantime.
    #[test]
    fn windows_are_filled() -> Result {
        let bytes = 2 * WINDOW_BYTES + PAGE;
        let work = Work::Copy {
            from: CopyEnd::SystemPages(ranges(&[(MIB, MIB), (16 * MIB, bytes - MIB)])?),
            to: CopyEnd::Mapped(ranges(&[(64 * MIB, bytes)])?),
        };
        let mut at = Progress::default();
        let mut to = 64 * MIB;

        check!(work.is_windowed());
        for expected in [WINDOW_BYTES, WINDOW_BYTES, PAGE] {
            let first = window(&work, &at).next();
            let bytes: u64 = window(&work, &at)
                .map(|range| range.end - range.start)
                .sum();

            check_eq!(bytes, expected);
            check_eq!(
                first.map(|range| range.start),
                Some(match at.done {
                    0 => MIB,
                    done => 16 * MIB + done - MIB,
                })
            );
            for packet in chunk(&work, &mut at)? {
                check_eq!(
                    packet,
                    Packet::Copy {
                        from: WINDOW,
                        to,
                        bytes: expected,
                    }
                );
                to += expected;
            }
        }
        check!(work.is_done(&at));
        check_eq!(window(&work, &at).count(), 0);
        Ok(())
    }

    #[test]
    fn sides_have_the_same_size() -> Result {
        let work = Work::Copy {
            from: CopyEnd::Mapped(ranges(&[(0, 2 * PAGE)])?),
            to: CopyEnd::Mapped(ranges(&[(MIB, PAGE)])?),
        };

        check_eq!(
            Job::<CopyEngine>::new(work, JobOwner::default(), KVec::new()).err(),
            Some(EINVAL)
        );
        Ok(())
    }

    #[test]
    fn nothing_to_do_is_done() -> Result {
        for work in [
            Work::Fill {
                to: CopyEnd::Mapped(ranges(&[])?),
                value: 0,
            },
            Work::Copy {
                from: CopyEnd::Mapped(ranges(&[])?),
                to: CopyEnd::Mapped(ranges(&[])?),
            },
            Work::Copy {
                from: CopyEnd::SystemPages(ranges(&[])?),
                to: CopyEnd::Mapped(ranges(&[])?),
            },
        ] {
            let mut at = Progress::default();

            check!(work.is_done(&at));
            check_eq!(chunk(&work, &mut at)?.len(), 0);
            check_eq!(window(&work, &at).count(), 0);
        }
        Ok(())
    }

    /// Where the ring was found to be broken, the same packet comes again.
    #[test]
    fn a_packet_that_could_not_be_submitted_is_submitted_again() -> Result {
        for work in [
            Work::Fill {
                to: CopyEnd::Mapped(ranges(&[(0, PAGE), (2 * PAGE, PAGE), (4 * PAGE, PAGE)])?),
                value: 0,
            },
            Work::Copy {
                from: CopyEnd::Mapped(ranges(&[(0, PAGE), (2 * PAGE, 2 * PAGE)])?),
                to: CopyEnd::Mapped(ranges(&[(MIB, 2 * PAGE), (2 * MIB, PAGE)])?),
            },
        ] {
            let all = chunk(&work, &mut Progress::default())?;
            let mut at = Progress::default();
            let mut submitted = KVec::new();

            check_eq!(all.len(), 3);
            for room in 0..3 {
                let result = work.next_chunk(&mut at, WINDOW, |packet| {
                    if submitted.len() == room {
                        return Err(EIO);
                    }
                    Ok(submitted.push(packet, GFP_KERNEL)?)
                });

                check_eq!(result, Err(EIO), "{} packets", room);
                check!(!work.is_done(&at));
            }
            work.next_chunk(&mut at, WINDOW, |packet| {
                Ok(submitted.push(packet, GFP_KERNEL)?)
            })?;
            check!(work.is_done(&at));
            check_eq!(submitted[..], all[..]);
        }
        Ok(())
    }

    #[test]
    fn memory_with_addresses_needs_no_window() -> Result {
        for work in [
            Work::Fill {
                to: CopyEnd::Mapped(ranges(&[(0, MIB)])?),
                value: 0,
            },
            Work::Copy {
                from: CopyEnd::Mapped(ranges(&[(0, MIB)])?),
                to: CopyEnd::Mapped(ranges(&[(MIB, MIB)])?),
            },
        ] {
            check!(!work.is_windowed());
            check_eq!(window(&work, &Progress::default()).count(), 0);
        }
        Ok(())
    }

    #[test]
    fn a_window_serves_either_side() -> Result {
        for to_pages in [false, true] {
            let (pages, other) = (ranges(&[(5 * MIB, 2 * PAGE)])?, ranges(&[(0, 2 * PAGE)])?);
            let work = match to_pages {
                false => Work::Copy {
                    from: CopyEnd::SystemPages(pages),
                    to: CopyEnd::Mapped(other),
                },
                true => Work::Copy {
                    from: CopyEnd::Mapped(other),
                    to: CopyEnd::SystemPages(pages),
                },
            };
            let mut at = Progress::default();
            let (from, to) = match to_pages {
                false => (WINDOW, 0),
                true => (0, WINDOW),
            };

            check!(window(&work, &at).eq([5 * MIB..5 * MIB + 2 * PAGE]));
            check_eq!(
                chunk(&work, &mut at)?[..],
                [Packet::Copy {
                    from,
                    to,
                    bytes: 2 * PAGE,
                }]
            );
        }
        Ok(())
    }

    /// Each end has half of the window, and its pages may begin anywhere in it.
    #[test]
    fn a_window_serves_both_sides() -> Result {
        const HALF: u64 = WINDOW_BYTES / 2;
        let bytes = HALF + 3 * PAGE;
        let work = Work::Copy {
            from: CopyEnd::SystemPages(ranges(&[(4 * MIB + 8, bytes)])?),
            to: CopyEnd::SystemPages(ranges(&[
                (64 * MIB + 16, PAGE - 16),
                (96 * MIB, bytes - PAGE + 16),
            ])?),
        };
        let mut at = Progress::default();

        check!(work
            .window_pages(&at)
            .map(|(page, _)| page)
            .eq([0, HALF / PAGE]));
        check!(window(&work, &at).eq([
            4 * MIB..4 * MIB + HALF,
            64 * MIB..64 * MIB + PAGE,
            96 * MIB..96 * MIB + HALF - PAGE,
        ]));
        check_eq!(
            chunk(&work, &mut at)?[..],
            [Packet::Copy {
                from: WINDOW + 8,
                to: WINDOW + HALF + 16,
                bytes: HALF - 16,
            }]
        );
        // The next chunk begins within a page of either.
        check!(window(&work, &at).eq([
            4 * MIB + HALF - PAGE..4 * MIB + HALF + 4 * PAGE,
            96 * MIB + HALF - PAGE..96 * MIB + HALF + 3 * PAGE,
        ]));
        check_eq!(
            chunk(&work, &mut at)?[..],
            [Packet::Copy {
                from: WINDOW + PAGE - 8,
                to: WINDOW + HALF,
                bytes: 3 * PAGE + 16,
            }]
        );
        check!(work.is_done(&at));
        Ok(())
    }

    #[test]
    fn failures_of_a_job_are_counted() -> Result {
        let job = Job::<CopyEngine>::new(
            Work::Fill {
                to: CopyEnd::Mapped(ranges(&[(0, PAGE)])?),
                value: 0,
            },
            JobOwner::default(),
            KVec::new(),
        )?;

        for times in 1..=5 {
            check_eq!(job.count_failure(), times);
        }
        Ok(())
    }

    /// Whatever the number that the engine says it has reached.
    #[test]
    fn a_job_that_is_not_submitted_is_not_finished() -> Result {
        let job = Job::<CopyEngine>::new(
            Work::Fill {
                to: CopyEnd::Mapped(ranges(&[(0, PAGE)])?),
                value: 0,
            },
            JobOwner::default(),
            KVec::new(),
        )?;

        for reached in [0, 1, u64::from(u32::MAX), u64::MAX - 1] {
            check!(job.last.load(Relaxed) > reached, "{}", reached);
        }
        check_eq!(job.begun.load(Relaxed), 0);
        // There is nobody to be submitted.
        job.end(Err(EIO));
        Ok(())
    }

    /// Disjoint ranges of `pages` in all, somewhere from `base` on.
    fn scattered(random: &mut Random, base: u64, mut pages: u64) -> Result<Ranges> {
        let mut next = base;
        let mut list: KVec<Range<u64>> = KVec::new();

        while pages > 0 {
            let count = 1 + random.below(pages.min(700));

            next += random.below(3) * PAGE;
            list.push(next..next + count * PAGE, GFP_KERNEL)?;
            next += count * PAGE;
            pages -= count;
        }
        Ranges::new(list.iter().cloned())
    }

    /// The address of each page of a side.
    fn pages(side: &Ranges) -> impl Iterator<Item = u64> + '_ {
        side.ranges
            .iter()
            .cloned()
            .flat_map(|range| range.step_by(PAGE_SIZE))
    }

    /// A copy of each kind in turn.
    fn copy_of_a_kind(kind: usize, from: Ranges, to: Ranges) -> Work {
        let (from, to) = match kind % 4 {
            0 => (CopyEnd::Mapped(from), CopyEnd::Mapped(to)),
            1 => (CopyEnd::SystemPages(from), CopyEnd::Mapped(to)),
            2 => (CopyEnd::Mapped(from), CopyEnd::SystemPages(to)),
            _ => (CopyEnd::SystemPages(from), CopyEnd::SystemPages(to)),
        };

        Work::Copy { from, to }
    }

    /// Whatever the sides look like, each page is copied once, from where it is to where it goes.
    #[test]
    fn random_copies() -> Result {
        let mut random = Random::new(5);

        for step in 0..300 {
            let count = 1 + random.below(1500);
            let from = scattered(&mut random, 0, count)?;
            let to = scattered(&mut random, 1 << 40, count)?;
            let mut expected: KVec<(u64, u64)> = KVec::new();

            for pair in pages(&from).zip(pages(&to)) {
                expected.push(pair, GFP_KERNEL)?;
            }
            let work = copy_of_a_kind(step, from, to);
            let mut at = Progress::default();
            let mut done = 0;

            while !work.is_done(&at) {
                let mut window: KVec<u64> =
                    KVec::from_elem(u64::MAX, (WINDOW_BYTES / PAGE) as usize, GFP_KERNEL)?;
                for (first, ranges) in work.window_pages(&at) {
                    let pages = ranges.flat_map(|range| range.step_by(PAGE_SIZE));

                    for (entry, page) in window[first as usize..].iter_mut().zip(pages) {
                        *entry = page;
                    }
                }
                let real = |address: u64| match address.checked_sub(WINDOW) {
                    Some(offset) => window[(offset / PAGE) as usize],
                    None => address,
                };
                let packets = chunk(&work, &mut at)?;

                check!(packets.len() <= MAX_CHUNK_PACKETS as usize, "step {}", step);
                for packet in packets {
                    let Packet::Copy { from, to, bytes } = packet else {
                        return Err(EINVAL);
                    };
                    check!(bytes <= MAX_PACKET_BYTES && bytes > 0, "step {}", step);
                    for offset in (0..bytes).step_by(PAGE_SIZE) {
                        check_eq!(
                            (real(from + offset), real(to + offset)),
                            expected[done],
                            "step {}, page {}",
                            step,
                            done
                        );
                        done += 1;
                    }
                }
            }
            check_eq!(done as u64, count, "step {}", step);
        }
        Ok(())
    }
}
