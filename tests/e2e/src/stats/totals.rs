// SPDX-License-Identifier: GPL-2.0

//! What adds up over time: bytes, buffers, moves, evictions, failures.

use anyhow::{ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::{Buffer, Card, Create, CreateFlags, Deadline, Domain, Domains, MemoryStats};
use rustix::io::Errno;

use crate::support::{
    driver::Driver,
    fixture::{skip, trials, Bench},
    patience::eventually,
    placement::straddling,
    stats::{await_none, ensure_consistent, failures, live, moves, quiet, reset, vram_reserve},
};

pub fn tests() -> Vec<Trial> {
    let mut tests = trials!(card_trial:
        creations_and_frees_are_counted_once,
        moves_are_counted_by_direction,
        a_move_by_way_of_gtt_is_two,
        a_buffer_across_the_aperture_end_is_visible_in_part,
        evictions_are_counted,
        peaks_are_reached_exactly,
        failures_are_counted_by_errno,
        rejected_arguments_are_no_failures,
        a_reset_leaves_what_is_alive,
    );
    tests.extend(trials!(driver_trial: no_space_left_is_counted));
    tests
}

/// Does something and gives the statistics before and after it.
fn around(bench: &Bench, run: impl FnOnce() -> Result<()>) -> Result<[MemoryStats; 2]> {
    let before = quiet(&bench.card)?;
    run()?;
    let after = quiet(&bench.card)?;
    ensure_consistent(&after)?;
    Ok([before, after])
}

/// As [`around`], for what the driver ends only after the call: tries `check` until it holds.
fn eventually_around(
    bench: &Bench,
    run: impl FnOnce() -> Result<()>,
    check: impl Fn(&[MemoryStats; 2]) -> Result<()>,
) -> Result<[MemoryStats; 2]> {
    let before = quiet(&bench.card)?;
    run()?;
    eventually(|| {
        let looks = [before.clone(), bench.card.memory_stats()?];
        ensure_consistent(&looks[1])?;
        check(&looks)?;
        Ok(looks)
    })
}

fn in_aperture(size: u64, domain: Domain) -> Create {
    Create::new(size, domain.into()).flags(CreateFlags::CPU_ACCESS_REQUIRED)
}

fn creations_and_frees_are_counted_once(bench: &Bench) -> Result<()> {
    for (heap, domain) in [(0, Domain::Vram), (2, Domain::Gtt), (3, Domain::Cpu)] {
        let mut buffers = Vec::new();
        let [before, after] = around(bench, || {
            for pages in 1..=5 {
                buffers.push(bench.card.create(in_aperture(4096 * pages, domain))?);
            }
            Ok(())
        })?;
        let bytes = 4096 * 15;
        ensure!(after.alloc.count - before.alloc.count == 5, "{domain}");
        ensure!(after.free.count == before.free.count, "{domain}");
        ensure!(after.objects_live == before.objects_live + 5, "{domain}");
        let taken = after.heaps[heap].allocated - before.heaps[heap].allocated;
        ensure!(taken == bytes, "{domain}: {taken} bytes");
        if domain == Domain::Vram {
            let taken = after.heaps[1].allocated - before.heaps[1].allocated;
            ensure!(taken == bytes, "visible: {taken} bytes");
        }
        let free = || {
            buffers.clear();
            Ok(())
        };
        eventually_around(bench, free, |[before, after]| {
            ensure!(after.alloc.count == before.alloc.count, "{domain}");
            ensure!(after.free.count - before.free.count == 5, "{domain}");
            ensure!(after.objects_live + 5 == before.objects_live, "{domain}");
            let freed = after.heaps[heap].freed - before.heaps[heap].freed;
            ensure!(freed == bytes, "{domain}: {freed} bytes");
            ensure!(live(after)? == [0; 4], "{after:?}");
            Ok(())
        })?;
    }
    Ok(())
}

/// How many moves there were between two looks, and of how many bytes, by direction.
fn new_moves([before, after]: &[MemoryStats; 2]) -> Vec<(Domain, Domain, u64, u64)> {
    let mut new = Vec::new();
    for from in Domain::ALL {
        for to in Domain::ALL {
            let (before, after) = (moves(before, from, to), moves(after, from, to));
            if before != after {
                new.push((from, to, after.0 - before.0, after.1 - before.1));
            }
        }
    }
    new
}

/// Moves a buffer, and waits for the end of that, at which it is timed.
fn around_move(bench: &Bench, buffer: &Buffer, to: Domain) -> Result<[MemoryStats; 2]> {
    around(bench, || {
        buffer.move_to(to)?;
        ensure!(buffer.wait(Deadline::NEVER)?, "not idle at the end of time");
        Ok(())
    })
}

fn moves_are_counted_by_direction(bench: &Bench) -> Result<()> {
    use Domain::{Cpu, Gtt, Vram};

    for (from, to) in [(Vram, Gtt), (Gtt, Vram), (Gtt, Cpu), (Cpu, Gtt)] {
        let buffer = bench.card.create(in_aperture(20 << 10, from))?;
        let looks = around_move(bench, &buffer, to)?;
        let new = new_moves(&looks);
        ensure!(new == [(from, to, 1, 20 << 10)], "{from} to {to}: {new:?}");
        ensure!(looks[0].evictions == looks[1].evictions, "{looks:?}");
        // It is there already.
        let looks = around_move(bench, &buffer, to)?;
        ensure!(new_moves(&looks).is_empty(), "{to} to {to}: {looks:?}");
    }
    Ok(())
}

/// Between VRAM and system memory a buffer passes through GTT, and is moved twice.
fn a_move_by_way_of_gtt_is_two(bench: &Bench) -> Result<()> {
    use Domain::{Cpu, Gtt, Vram};

    let buffer = bench.card.create(in_aperture(8 << 10, Vram))?;
    let looks = around_move(bench, &buffer, Cpu)?;
    let new = new_moves(&looks);
    ensure!(
        new == [(Vram, Gtt, 1, 8 << 10), (Gtt, Cpu, 1, 8 << 10)],
        "{new:?}"
    );
    let looks = around_move(bench, &buffer, Vram)?;
    let new = new_moves(&looks);
    ensure!(
        new == [(Gtt, Vram, 1, 8 << 10), (Cpu, Gtt, 1, 8 << 10)],
        "{new:?}"
    );
    Ok(())
}

fn a_buffer_across_the_aperture_end_is_visible_in_part(bench: &Bench) -> Result<()> {
    let (buffer, fill) = straddling(bench)?;
    let (info, stats) = (buffer.info()?, bench.card.memory_stats()?);
    ensure!(0 < info.visible && info.visible < info.size, "{info:?}");
    let hidden: u64 = fill.iter().map(Buffer::size).sum();
    let wanted = [hidden + info.size, info.visible, 0, 0];
    ensure!(live(&stats)? == wanted, "not {wanted:?}: {stats:?}");
    buffer.close()?;
    eventually(|| {
        let stats = bench.card.memory_stats()?;
        ensure!(live(&stats)? == [hidden, 0, 0, 0], "{stats:?}");
        Ok(())
    })
}

fn evictions_are_counted(bench: &Bench) -> Result<()> {
    let heap = bench.heap(Domain::Vram)?;
    let room = (heap.visible_total - heap.visible_used).min(heap.usable);
    let size = room / 4 / 4096 * 4096;
    let visible = 4 * size;
    if bench.heap(Domain::Gtt)?.usable < size || size > 64 << 20 {
        return skip("this card's aperture is too large for its GTT or the VM's memory");
    }
    let mut buffers = Vec::new();
    for _ in 0..4 {
        buffers.push(bench.card.create(in_aperture(size, Domain::Vram))?);
    }
    let create = || {
        buffers.push(bench.card.create(in_aperture(size, Domain::Vram))?);
        Ok(())
    };
    eventually_around(bench, create, |looks| {
        let new = new_moves(looks);
        ensure!(new == [(Domain::Vram, Domain::Gtt, 1, size)], "{new:?}");
        let [before, after] = looks;
        let evicted = [
            after.evictions - before.evictions,
            after.evicted_bytes - before.evicted_bytes,
        ];
        ensure!(evicted == [1, size], "{evicted:?}");
        ensure!(live(after)? == [visible, visible, size, 0], "{after:?}");
        Ok(())
    })?;
    Ok(())
}

/// Waits until these bytes are in use: VRAM that was freed or left is so only once the card is done with
/// it.
fn await_live(card: &Card, wanted: [u64; 4]) -> Result<()> {
    eventually(|| {
        let live = live(&card.memory_stats()?)?;
        ensure!(live == wanted, "{live:?} in use, not {wanted:?}");
        Ok(())
    })
}

fn peaks(stats: &MemoryStats) -> Vec<u64> {
    stats.heaps.iter().map(|heap| heap.peak).collect()
}

fn peaks_are_reached_exactly(bench: &Bench) -> Result<()> {
    const K: u64 = 1 << 10;
    let card = &bench.card;
    reset(card)?;
    ensure!(peaks(&card.memory_stats()?) == [0; 4], "idle");
    let check = |wanted: [u64; 4]| {
        let found = peaks(&card.memory_stats()?);
        ensure!(found == wanted, "{found:?}, not {wanted:?}");
        Ok(())
    };

    let first = card.create(in_aperture(64 * K, Domain::Vram))?;
    let second = card.create(in_aperture(32 * K, Domain::Vram))?;
    check([96 * K, 96 * K, 0, 0])?;
    first.close()?;
    await_live(card, [32 * K, 32 * K, 0, 0])?;
    check([96 * K, 96 * K, 0, 0])?;
    let third = card.create(in_aperture(60 * K, Domain::Vram))?;
    check([96 * K, 96 * K, 0, 0])?;
    let fourth = card.create(in_aperture(8 * K, Domain::Vram))?;
    check([100 * K, 100 * K, 0, 0])?;
    third.move_to(Domain::Gtt)?;
    let fifth = card.create(in_aperture(16 * K, Domain::Cpu))?;
    await_live(card, [40 * K, 40 * K, 60 * K, 16 * K])?;
    check([100 * K, 100 * K, 60 * K, 16 * K])?;

    // The time of the move is counted at its end, and would be without its move after the reset.
    eventually(|| ensure_consistent(&card.memory_stats()?))?;
    reset(card)?;
    check([40 * K, 40 * K, 60 * K, 16 * K])?;
    drop((second, third, fourth, fifth));
    await_live(card, [0; 4])?;
    check([40 * K, 40 * K, 60 * K, 16 * K])
}

fn failures_are_counted_by_errno(bench: &Bench) -> Result<()> {
    let [before, after] = around(bench, || {
        for domain in Domain::ALL {
            let result = bench.card.create(Create::new(1 << 42, domain.into()));
            let errno = result.err().and_then(|error| error.errno());
            ensure!(errno == Some(Errno::TOOBIG), "{domain}: {errno:?}");
        }
        Ok(())
    })?;
    let count = failures(&after, Errno::TOOBIG) - failures(&before, Errno::TOOBIG);
    ensure!(count == 3, "{count} times E2BIG");
    let all = |stats: &MemoryStats| stats.failures.iter().map(|f| f.count).sum::<u64>();
    ensure!(all(&after) - all(&before) == 3, "{after:?}");
    ensure!(after.alloc == before.alloc, "a failure has no time");
    ensure!(after.heaps == before.heaps, "a failure took something");
    Ok(())
}

/// A call that makes no sense is nothing that memory is to blame for.
fn rejected_arguments_are_no_failures(bench: &Bench) -> Result<()> {
    let [before, after] = around(bench, || {
        for create in [
            Create::new(0, Domains::all()),
            Create::new(4096, Domains::empty()),
            Create::new(4096, Domains::all()).alignment(3),
        ] {
            let errno = bench.card.create(create).err().and_then(|e| e.errno());
            ensure!(errno == Some(Errno::INVAL), "{create:?}: {errno:?}");
        }
        Ok(())
    })?;
    ensure!(after == before, "{before:?} became {after:?}");
    Ok(())
}

/// What is not to be had once a page in the middle is withheld.
fn no_space_left_is_counted(driver: &Driver) -> Result<()> {
    let card = Card::find()?;
    let device = card.device()?;
    let whole = Create::new(device.vram_size / 2 + (4 << 20), Domains::VRAM)
        .flags(CreateFlags::VRAM_CONTIGUOUS | CreateFlags::NO_CPU_ACCESS);
    card.create(whole).context("with all pages there")?;
    await_none(&card)?;
    vram_reserve(&card, device.vram_size / 2 / 4096 * 4096, 4096)?;
    let before = quiet(&card)?;
    let result = card.create(whole);
    let errno = result.as_ref().err().and_then(|error| error.errno());
    let after = quiet(&card)?;
    // Only what is bound anew has all its pages again.
    drop(card);
    driver.unbind()?;
    driver.bind().context("bind")?;

    ensure!(errno == Some(Errno::NOSPC), "{result:?}");
    let count = failures(&after, Errno::NOSPC) - failures(&before, Errno::NOSPC);
    ensure!(count == 1, "{count} times ENOSPC");
    ensure!(
        after.alloc == before.alloc && after.free == before.free,
        "a failure has no time"
    );
    ensure!(live(&after)? == [0; 4], "it took something: {after:?}");
    Ok(())
}

fn a_reset_leaves_what_is_alive(bench: &Bench) -> Result<()> {
    let card = &bench.card;
    let buffers = [
        card.create(in_aperture(12 << 10, Domain::Vram))?,
        card.create(in_aperture(20 << 10, Domain::Gtt))?,
        card.create(in_aperture(28 << 10, Domain::Cpu))?,
    ];
    buffers[1].move_to(Domain::Cpu)?;
    buffers[1].move_to(Domain::Gtt)?;
    let alive = [12 << 10, 12 << 10, 20 << 10, 28 << 10];
    reset(card)?;
    let stats = card.memory_stats()?;
    ensure_consistent(&stats)?;
    ensure!(live(&stats)? == alive, "{stats:?}");
    ensure!(stats.objects_live == 3, "{stats:?}");
    ensure!(peaks(&stats) == alive, "{stats:?}");
    for heap in &stats.heaps {
        ensure!(heap.allocated == 0 && heap.freed == 0, "{heap:?}");
    }
    for times in [&stats.alloc, &stats.free, &stats.moving] {
        ensure!(*times == pddgpu::TimeStats::default(), "{times:?}");
    }
    ensure!(
        stats.moves.is_empty() && stats.failures.is_empty(),
        "{stats:?}"
    );
    ensure!(
        stats.evictions == 0 && stats.evicted_bytes == 0,
        "{stats:?}"
    );

    drop(buffers);
    await_none(card)?;
    let stats = card.memory_stats()?;
    ensure!(stats.free.count == 3 && stats.alloc.count == 0, "{stats:?}");
    for (heap, bytes) in stats.heaps.iter().zip(alive) {
        ensure!(heap.freed == bytes && heap.allocated == 0, "{heap:?}");
    }
    Ok(())
}
