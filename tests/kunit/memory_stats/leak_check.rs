// SPDX-License-Identifier: GPL-2.0

//! Leaks, with time that is moved.

use crate::{
    abstractions::ttm::RefKind,
    memory_stats::{
        bench::{
            Bench,
            NSEC_PER_SEC, //
        },
        leak::Owner, //
    }, //
};

use super::*;

#[kunit_tests(pddgpu_leaks)]
mod tests {
    use super::*;
    use crate::kunit::{
        check,
        check_eq, //
    };

    #[test]
    fn age_makes_leaks() -> Result {
        for (seconds, expected, changes) in [
            (0, [1, 0, 0], 0),
            (20, [1, 0, 0], 0),
            (30, [0, 1, 0], 1),
            (31, [0, 1, 0], 1),
            (290, [0, 1, 0], 1),
            (300, [0, 0, 1], 2),
            (1_000_000, [0, 0, 1], 2),
        ] {
            let bench = Bench::new()?;
            let buffer = bench.track(1)?;

            bench.after(seconds);
            check_eq!(bench.stats.leak_check(), changes, "{} s", seconds);
            check_eq!(bench.states(), expected, "{} s", seconds);
            // Once each.
            check_eq!(bench.stats.leak_check(), 0, "{} s", seconds);
            check_eq!(bench.states(), expected, "{} s", seconds);

            drop(buffer);
            check_eq!(bench.states(), [0, 0, 0], "{} s", seconds);
        }
        Ok(())
    }

    #[test]
    fn one_after_the_other() -> Result {
        let bench = Bench::new()?;
        let mut buffers = KVec::new();

        // One every 100 s: at the last, three are confirmed and two more suspected.
        for id in 0..6 {
            buffers.push(bench.track(id)?, GFP_KERNEL)?;
            if id < 5 {
                bench.after(100);
            }
            bench.stats.leak_check();
        }
        check_eq!(bench.states(), [1, 2, 3]);
        check_eq!(bench.stats.objects_live(), 6);

        let leaks = bench.stats.leak_list()?;
        check!(leaks.iter().map(|leak| leak.id).eq(0..5));
        check!(leaks.iter().map(|leak| leak.state).eq([
            LeakState::Confirmed,
            LeakState::Confirmed,
            LeakState::Confirmed,
            LeakState::Suspected,
            LeakState::Suspected
        ]));
        for leak in leaks.iter() {
            let age = 100 * (5 - leak.id as i64);

            check!(
                (age..age + 30).contains(&(leak.age / NSEC_PER_SEC)),
                "leak {}",
                leak.id
            );
        }

        // Freed in the middle.
        drop(buffers.remove(1).map_err(|_| EINVAL)?);
        drop(buffers.remove(3).map_err(|_| EINVAL)?);
        check_eq!(bench.states(), [1, 1, 2]);
        let leaks = bench.stats.leak_list()?;
        check!(leaks.iter().map(|leak| leak.id).eq([0, 2, 3]));
        Ok(())
    }

    #[test]
    fn thresholds_hold_at_once() -> Result {
        let bench = Bench::new()?;
        let _buffer = bench.track(1)?;

        bench.after(10);
        check_eq!(bench.stats.leak_check(), 0);
        bench.stats.set_suspected_after(5_000)?;
        check_eq!(bench.stats.leak_check(), 1);
        check_eq!(bench.states(), [0, 1, 0]);
        bench.stats.set_confirmed_after(8_000)?;
        check_eq!(bench.stats.leak_check(), 1);
        check_eq!(bench.states(), [0, 0, 1]);
        // It stays what it was found to be.
        bench.stats.set_confirmed_after(1_000_000)?;
        check_eq!(bench.stats.leak_check(), 0);
        check_eq!(bench.states(), [0, 0, 1]);
        Ok(())
    }

    #[test]
    fn a_leak_tells_who_and_why() -> Result {
        let bench = Bench::new()?;
        let buffer = bench.track(9)?;
        let leak = || -> Result<Leak> {
            let all = bench.stats.list(&[LeakState::Young], |_| true)?;

            all.first().copied().ok_or(ENOENT)
        };

        let first = leak()?;
        check_eq!(
            (first.id, first.param.size, first.state),
            (9, 4096, LeakState::Young)
        );
        check_eq!((first.owner.client, first.owner.pid), (7, 42));
        check_eq!(first.owner.comm(), "kunit");
        check_eq!(first.domain, None);
        check!(first.is_orphaned());

        for holder in [RefKind::Handle, RefKind::Mapping, RefKind::Export] {
            buffer.ref_added(holder);
            buffer.ref_added(holder);
            let held = leak()?;
            let counts = [
                (RefKind::Handle, held.handles),
                (RefKind::Mapping, held.mappings),
                (RefKind::Export, held.exports),
            ];

            for (kind, count) in counts {
                check_eq!(
                    count,
                    if kind == holder { 2 } else { 0 },
                    "{:?} by {:?}",
                    kind,
                    holder
                );
            }
            check!(!held.is_orphaned());
            buffer.ref_dropped(holder);
            buffer.ref_dropped(holder);
            check!(leak()?.is_orphaned());
        }
        Ok(())
    }

    #[test]
    fn lists_take_what_is_wanted() -> Result {
        let bench = Bench::new()?;
        let mut buffers = KVec::new();

        for id in 0..100 {
            buffers.push(bench.track(id)?, GFP_KERNEL)?;
        }
        let odd = bench
            .stats
            .list(&[LeakState::Young], |leak| leak.id % 2 == 1)?;
        check!(odd.iter().map(|leak| leak.id).eq((1..100).step_by(2)));
        check_eq!(bench.stats.leak_list()?.len(), 0);
        Ok(())
    }

    /// More than are logged one by one, and more than one lock's worth.
    #[test]
    fn a_thousand_leaks() -> Result {
        let bench = Bench::new()?;
        let mut buffers = KVec::new();

        for id in 0..1000 {
            buffers.push(bench.track(id)?, GFP_KERNEL)?;
        }
        bench.after(300);
        check_eq!(bench.stats.leak_check(), 2000);
        check_eq!(bench.states(), [0, 0, 1000]);
        check!(bench
            .stats
            .leak_list()?
            .iter()
            .map(|leak| leak.id)
            .eq(0..1000));
        drop(buffers);
        check_eq!(bench.stats.objects_live(), 0);
        Ok(())
    }

    #[test]
    fn without_a_grace_period_every_buffer_is_a_leak_at_once() -> Result {
        let bench = Bench::new()?;
        let _buffers = [bench.track(1)?, bench.track(2)?];

        bench.stats.set_suspected_after(0)?;
        check_eq!(bench.stats.leak_check(), 2);
        check_eq!(bench.states(), [0, 2, 0]);
        bench.stats.set_confirmed_after(0)?;
        let _late = bench.track(3)?;
        check_eq!(bench.stats.leak_check(), 4);
        check_eq!(bench.states(), [0, 0, 3]);
        Ok(())
    }

    #[test]
    fn the_longest_grace_period_is_49_days() -> Result {
        const DAY: i64 = 24 * 60 * 60;
        let bench = Bench::new()?;
        let _buffer = bench.track(1)?;

        bench.stats.set_confirmed_after(u64::from(u32::MAX))?;
        bench.stats.set_suspected_after(u64::from(u32::MAX))?;
        bench.after(49 * DAY);
        check_eq!(bench.stats.leak_check(), 0);
        bench.after(DAY);
        check_eq!(bench.stats.leak_check(), 2);
        // Nor do a hundred years overflow.
        bench.after(100 * 365 * DAY);
        check_eq!(bench.stats.leak_check(), 0);
        let leaks = bench.stats.leak_list()?;
        check_eq!(
            leaks.first().map(|leak| leak.age / NSEC_PER_SEC / DAY),
            Some(50 + 100 * 365)
        );
        Ok(())
    }

    #[test]
    fn a_process_has_the_name_before_the_zero() -> Result {
        for (comm, expected) in [
            (*b"init\0\0\0\0\0\0\0\0\0\0\0\0", "init"),
            (*b"fifteen-letters\0", "fifteen-letters"),
            (*b"a\0b\0\0\0\0\0\0\0\0\0\0\0\0\0", "a"),
            (*b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", ""),
            // Neither ends nor is text.
            (*b"sixteen-letters!", "-"),
            (*b"\xff\xfe\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "-"),
        ] {
            let owner = Owner {
                client: 1,
                pid: 1,
                comm,
            };

            check_eq!(owner.comm(), expected);
        }
        Ok(())
    }

    /// Who lets go may be counted before who took hold.
    #[test]
    fn fewer_than_no_holders_are_none() -> Result {
        let bench = Bench::new()?;
        let buffer = bench.track(1)?;
        let leak = || -> Result<Leak> {
            let all = bench.stats.list(&[LeakState::Young], |_| true)?;

            all.first().copied().ok_or(ENOENT)
        };

        for holder in [RefKind::Handle, RefKind::Mapping, RefKind::Export] {
            buffer.ref_dropped(holder);
            let now = leak()?;
            check_eq!((now.handles, now.mappings, now.exports), (0, 0, 0));
            check!(now.is_orphaned());
            buffer.ref_added(holder);
            check!(leak()?.is_orphaned());
        }
        Ok(())
    }

    #[test]
    fn a_buffer_knows_its_state() -> Result {
        let bench = Bench::new()?;
        let buffer = bench.track(1)?;

        for (seconds, state) in [
            (0, LeakState::Young),
            (31, LeakState::Suspected),
            (300, LeakState::Confirmed),
        ] {
            bench.after(seconds);
            bench.stats.leak_check();
            check_eq!(
                buffer.was_suspected(),
                state != LeakState::Young,
                "{} s on",
                seconds
            );
            check_eq!(bench.stats.list(&[state], |_| true)?.len(), 1);
        }
        Ok(())
    }
}
