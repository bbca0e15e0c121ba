// SPDX-License-Identifier: GPL-2.0

//! Statistics and leaks as text: which lines there are, and what is in them.

use core::str::SplitAsciiWhitespace;

use kernel::{
    prelude::*,
    str::CString, //
};

use super::*;
use crate::{
    abstractions::ttm::Moved,
    kunit::printed,
    memory_stats::{
        bench::Bench,
        leak_walk::WalkByProcess, //
    }, //
};

/// The words of the line of `text` that begins with `start`, but for these.
fn line<'a>(text: &'a str, start: &str) -> Result<SplitAsciiWhitespace<'a>> {
    text.lines()
        .find_map(|line| line.strip_prefix(start))
        .map(str::split_ascii_whitespace)
        .ok_or(ENOENT)
}

fn statistics(bench: &Bench) -> Result<KVec<u8>> {
    printed(|p| {
        bench.stats.print(p);
        Ok(())
    })
}

fn leaks(bench: &Bench) -> Result<KVec<u8>> {
    printed(|p| {
        let mut walk = WalkByProcess::new(&bench.stats);

        while let Some(found) = walk.next(&bench.stats)? {
            found.print(p);
        }
        Ok(())
    })
}

#[kunit_tests(pddgpu_report)]
mod tests {
    use super::*;
    use crate::kunit::{
        check,
        check_eq, //
    };

    #[test]
    fn a_heap_is_a_line() -> Result {
        let bench = Bench::new()?;

        for (n, heap) in (1..).zip(Heap::ALL) {
            bench.stats.take(heap, 300 * n);
            bench.stats.give_back(heap, 100 * n);
            bench.stats.take(heap, n);
        }
        let text = statistics(&bench)?;
        let text = core::str::from_utf8(&text)?;
        for (start, words) in [
            ("VRAM ", ["201", "300", "301", "100"]),
            ("visible VRAM ", ["402", "600", "602", "200"]),
            ("GTT ", ["603", "900", "903", "300"]),
            ("CPU ", ["804", "1200", "1204", "400"]),
        ] {
            check!(line(text, start)?.eq(words), "{}", start);
        }
        Ok(())
    }

    #[test]
    fn an_operations_times_are_a_line() -> Result {
        let bench = Bench::new()?;
        let stats = &bench.stats;

        (0..99).for_each(|_| stats.alloc.record(10));
        stats.alloc.record(1010);
        stats.free.record(7);
        let text = statistics(&bench)?;
        let text = core::str::from_utf8(&text)?;
        for (start, words) in [
            ("alloc ", ["100", "20", "16", "16", "1010"]),
            ("free ", ["1", "7", "7", "7", "7"]),
            ("move ", ["0", "0", "0", "0", "0"]),
        ] {
            check!(line(text, start)?.eq(words), "{}", start);
        }
        Ok(())
    }

    #[test]
    fn only_directions_with_moves_are_lines() -> Result {
        let bench = Bench::new()?;
        let buffer = bench.track(1)?;

        for (from, to, evict) in [
            (Domain::Vram, Domain::Gtt, true),
            (Domain::Vram, Domain::Gtt, false),
            (Domain::Cpu, Domain::Vram, false),
        ] {
            bench
                .stats
                .move_start(&buffer, from, to, evict)
                .move_end(&Ok(Moved::Now));
        }
        let text = statistics(&bench)?;
        let text = core::str::from_utf8(&text)?;
        check_eq!(text.lines().filter(|line| line.contains(" to ")).count(), 2);
        check!(line(text, "VRAM to GTT ")?.eq(["2", "8192"]));
        check!(line(text, "CPU  to VRAM ")?.eq(["1", "4096"]));
        check!(line(text, "evictions ")?.eq(["1"]));
        check!(line(text, "evicted_bytes ")?.eq(["4096"]));
        Ok(())
    }

    /// Also those that never happened.
    #[test]
    fn every_way_to_fail_is_a_line() -> Result {
        let bench = Bench::new()?;

        for err in [ENOSPC, ENOSPC, E2BIG, EIO] {
            bench.stats.alloc_start().alloc_end(Err(err));
        }
        let text = statistics(&bench)?;
        let text = core::str::from_utf8(&text)?;
        for (start, count) in [
            ("ENOSPC ", "2"),
            ("ENOMEM ", "0"),
            ("E2BIG ", "1"),
            ("EBUSY ", "0"),
            ("ENODEV ", "0"),
            ("ERESTARTSYS ", "0"),
            ("EINTR ", "0"),
            ("other ", "1"),
        ] {
            check!(line(text, start)?.eq([count]), "{}", start);
        }
        Ok(())
    }

    #[test]
    fn buffers_are_counted_by_state() -> Result {
        let bench = Bench::new()?;
        let _first = bench.track(1)?;

        bench.after(250);
        let _others = [bench.track(2)?, bench.track(3)?];
        bench.after(60);
        let _young = bench.track(4)?;
        bench.stats.leak_check();

        let text = statistics(&bench)?;
        let text = core::str::from_utf8(&text)?;
        for (start, count) in [("live ", "4"), ("suspected ", "2"), ("confirmed ", "1")] {
            check!(line(text, start)?.eq([count]), "{}", start);
        }
        check_eq!(
            core::str::from_utf8(&leaks(&bench)?)?.lines().next(),
            Some("2 suspected, 1 confirmed")
        );
        Ok(())
    }

    #[test]
    fn without_leaks_the_report_is_a_line() -> Result {
        let bench = Bench::new()?;
        let _young = bench.track(1)?;

        check_eq!(
            core::str::from_utf8(&leaks(&bench)?)?,
            "0 suspected, 0 confirmed\n"
        );
        Ok(())
    }

    #[test]
    fn the_process_with_most_bytes_comes_first() -> Result {
        let bench = Bench::new()?;
        let mut buffers = KVec::new();

        for (pid, id, pages) in [(1, 1, 5), (2, 2, 2), (3, 3, 6), (2, 4, 2), (2, 5, 3)] {
            buffers.push(bench.track_by(pid, id, pages * 4096)?, GFP_KERNEL)?;
        }
        bench.after(30);
        bench.stats.leak_check();

        let text = leaks(&bench)?;
        let text = core::str::from_utf8(&text)?;
        let processes = text.lines().filter(|line| line.starts_with("pid "));
        check!(processes.eq([
            "pid 2 command kunit: 28672 bytes in 3 buffers",
            "pid 3 command kunit: 24576 bytes in 1 buffer",
            "pid 1 command kunit: 20480 bytes in 1 buffer",
        ]));

        // Each buffer once, with those of its process, the oldest first.
        let ids = text.lines().filter_map(|line| {
            let first = line.split_ascii_whitespace().next()?;

            line.starts_with(' ').then_some(first)
        });
        check!(ids
            .filter(|word| *word != "id")
            .eq(["2", "4", "5", "3", "1"]));
        Ok(())
    }

    #[test]
    fn a_leak_is_a_line() -> Result {
        let bench = Bench::new()?;
        let old = bench.track_by(1, 17, 12288)?;

        old.ref_added(crate::abstractions::ttm::RefKind::Handle);
        bench.after(270);
        let _other = bench.track_by(1, 18, 4096)?;
        bench.after(30);
        bench.stats.leak_check();

        let text = leaks(&bench)?;
        let text = core::str::from_utf8(&text)?;
        for (start, mut age, rest) in [
            (
                "        17          12288 ",
                300,
                &["confirmed", "-", "VRAM", "7", "0x0", "0", "handles", "1"][..],
            ),
            (
                "        18           4096 ",
                30,
                &["suspected", "-", "VRAM", "7", "0x0", "0", "orphaned"],
            ),
        ] {
            let mut words = line(text, start)?;
            let ms: u64 = words.next().ok_or(ENOENT)?.parse().map_err(|_| EINVAL)?;

            age *= 1000;
            check!((age..age + 30_000).contains(&ms), "{} ms", ms);
            // The clock was advanced, so whether the creator lives is by chance.
            let words = words.filter(|word| !["exited", "lives"].contains(word));
            check!(words.eq(rest.iter().copied()), "{}", start);
        }
        Ok(())
    }

    #[test]
    fn whoever_keeps_a_buffer_is_a_reason() -> Result {
        let bench = Bench::new()?;
        let _buffer = bench.track(1)?;
        let known = bench
            .stats
            .list(&[LeakState::Young], |_| true)?
            .first()
            .copied()
            .ok_or(ENOENT)?;

        for (handles, mappings, exports, expected) in [
            (0, 0, 0, "orphaned"),
            (1, 0, 0, "handles 1"),
            (0, 20, 0, "mappings 20"),
            (0, 0, u32::MAX, "exports 4294967295"),
            (1, 0, 3, "handles 1, exports 3"),
            (0, 2, 3, "mappings 2, exports 3"),
            (1, 2, 3, "handles 1, mappings 2, exports 3"),
        ] {
            let leak = Leak {
                handles,
                mappings,
                exports,
                ..known
            };

            check_eq!(
                CString::try_from_fmt(fmt!("{}", Reason(&leak)))?.to_str()?,
                expected
            );
        }
        Ok(())
    }
}
