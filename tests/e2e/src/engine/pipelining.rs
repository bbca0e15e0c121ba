// SPDX-License-Identifier: GPL-2.0

//! Moves under way: who need not wait for the copy engine does not, and who has to does.

use std::{fs, process::ExitStatus, time::Duration};

use anyhow::{ensure, Result};
use libtest_mimic::Trial;
use pddgpu::{
    virtual_card::{pages, Injection},
    Buffer, Create, CreateFlags, Deadline, Domain, Domains,
};

use crate::support::{
    child::{Child, Part},
    compare::{ensure_holds, ensure_same, ensure_zero},
    engine::{ensure_card_sees, finish, is_busy, Counters, Trouble},
    fixture::{trials, Bench},
    patience::await_fence_wait,
    placement::wipe,
    prime,
    stats::report,
};

/// How much slower than it could the engine is where a test looks at moves under way: 2 MiB, the most
/// that is in one packet, take more than a second.
const SLOWLY: u64 = 2500;

pub fn tests() -> Vec<Trial> {
    trials!(card_trial:
        a_move_is_only_queued,
        moves_are_queued_behind_each_other,
        touching_a_buffer_waits_for_its_move,
        who_waits_for_a_move_can_be_killed,
        nobody_waits_who_need_not,
        a_shared_buffer_tells_who_is_at_it,
    )
}

/// A buffer in VRAM that takes a slow engine more than a second for each 2 MiB, with content.
fn slow_buffer(bench: &Bench, size: u64, seed: u64) -> Result<(Buffer, Vec<u8>)> {
    let create = Create::new(size, Domains::VRAM)
        .flags(CreateFlags::CPU_ACCESS_REQUIRED | CreateFlags::VRAM_CONTIGUOUS);
    let buffer = bench.card.create(create)?;
    finish(&buffer)?;
    let content = pages::pattern(seed, usize::try_from(size)?);
    buffer.map()?.write(0, &content);
    Ok((buffer, content))
}

fn slowly() -> Result<Trouble> {
    Trouble::new(Injection::SlowDown { factor: SLOWLY })
}

fn a_move_is_only_queued(bench: &Bench) -> Result<()> {
    Counters::read(&bench.card)?;
    let (buffer, content) = slow_buffer(bench, 4 << 20, 6000)?;
    let slow = slowly()?;
    buffer.move_to(Domain::Gtt)?;
    ensure!(is_busy(&buffer)?, "moved by the time GEM_MOVE returned");
    let info = buffer.info()?;
    ensure!(info.placement == Domain::Gtt, "{info:?}");
    ensure!(is_busy(&buffer)?, "GEM_INFO waited for the move");
    let soon = Deadline::after(Duration::from_millis(20));
    ensure!(!buffer.wait(soon)?, "moved after 20 ms");
    drop(slow);
    finish(&buffer)?;
    ensure!(!is_busy(&buffer)?, "busy after the wait for it");
    ensure_card_sees(bench, &buffer, &content, true)?;
    ensure_holds(&buffer.map()?, &content, "the mapping")
}

/// A buffer is moved on while its last move is still to be done, and others behind it.
fn moves_are_queued_behind_each_other(bench: &Bench) -> Result<()> {
    let before = Counters::read(&bench.card)?;
    let buffers: Vec<_> = (0..3)
        .map(|number| slow_buffer(bench, 4 << 20, 6100 + number))
        .collect::<Result<_>>()?;
    let slow = slowly()?;
    for (buffer, _) in &buffers {
        buffer.move_to(Domain::Gtt)?;
    }
    for (buffer, _) in &buffers {
        buffer.move_to(Domain::Vram)?;
    }
    for (buffer, _) in &buffers {
        ensure!(is_busy(buffer)?, "moved by the time GEM_MOVE returned");
    }
    let now = Counters::read(&bench.card)? - before;
    ensure!(now.copies < 6, "all done by now: {now:?}");
    drop(slow);
    for (buffer, content) in &buffers {
        finish(buffer)?;
        let info = buffer.info()?;
        ensure!(info.placement == Domain::Vram, "{info:?}");
        ensure_card_sees(bench, buffer, content, false)?;
        ensure_holds(&buffer.map()?, content, "the mapping")?;
    }
    let done = Counters::read(&bench.card)? - before;
    ensure!((done.copies, done.resets) == (6, 0), "{done:?}");
    Ok(())
}

fn touching_a_buffer_waits_for_its_move(bench: &Bench) -> Result<()> {
    Counters::read(&bench.card)?;
    for (from, to) in [(Domain::Vram, Domain::Gtt), (Domain::Gtt, Domain::Vram)] {
        let (buffer, content) = slow_buffer(bench, 4 << 20, 6200)?;
        buffer.move_to(from)?;
        finish(&buffer)?;
        let before = Counters::read(&bench.card)?;
        let map = buffer.map()?;
        let _slow = slowly()?;
        buffer.move_to(to)?;
        ensure!(is_busy(&buffer)?, "moved by the time GEM_MOVE returned");
        // The last bytes are the last to arrive.
        let mut last = [0; 64];
        map.read(map.len() - last.len(), &mut last);
        ensure_same(&last, &content[content.len() - 64..], "the last bytes")?;
        let done = Counters::read(&bench.card)? - before;
        ensure!(
            done.copies == 1,
            "read before the end of the move: {done:?}"
        );
        ensure_holds(&map, &content, &format!("{from} to {to}"))?;
    }
    Ok(())
}

fn who_waits_for_a_move_can_be_killed(bench: &Bench) -> Result<()> {
    Counters::read(&bench.card)?;
    let (marker, content) = slow_buffer(bench, 4 << 20, 6300)?;
    let mut child = Child::start(Part::TouchMoving, bench.card.path(), None)?;
    child.listen()?;
    let slow = slowly()?;
    child.tell("move")?;
    child.listen()?;
    // Behind the child's move in the queue: as long as it is busy, that is.
    marker.move_to(Domain::Gtt)?;
    await_fence_wait(&format!("/proc/{}", child.pid()))?;
    let status: ExitStatus = child.kill()?;
    ensure!(is_busy(&marker)?, "it died only when its move had ended");
    ensure!(status.code().is_none(), "it ended by itself: {status}");
    drop(slow);
    finish(&marker)?;
    ensure_holds(&marker.map()?, &content, "the other buffer")
}

fn nobody_waits_who_need_not(bench: &Bench) -> Result<()> {
    Counters::read(&bench.card)?;
    wipe(bench)?;
    let (moving, content) = slow_buffer(bench, 8 << 20, 6400)?;
    let (other, other_content) = slow_buffer(bench, 1 << 20, 6500)?;
    let closing = bench.card.create(Create::new(1 << 20, Domains::VRAM))?;
    let slow = slowly()?;
    moving.move_to(Domain::Gtt)?;

    let still = |what: &str| {
        ensure!(is_busy(&moving)?, "{what} waited for another's move");
        Ok(())
    };
    still("GEM_MOVE")?;
    closing.close()?;
    still("GEM_CLOSE")?;
    ensure!(!is_busy(&other)?, "an idle buffer is busy");
    let mut map = other.map()?;
    ensure_holds(&map, &other_content, "an idle buffer")?;
    map.write(5, &[1, 2, 3]);
    still("the access to an idle buffer")?;
    for domain in Domain::ALL {
        let create = Create::new(64 << 10, domain.into()).flags(CreateFlags::CPU_ACCESS_REQUIRED);
        let buffer = bench.card.create(create)?;
        still("GEM_CREATE")?;
        ensure_zero(&buffer.map()?, "a new buffer")?;
        still("the access to a new buffer")?;
        buffer.close()?;
        still("GEM_CLOSE")?;
    }
    let system = bench.card.create(Create::new(64 << 10, Domains::GTT))?;
    for domain in [Domain::Cpu, Domain::Gtt] {
        system.move_to(domain)?;
        still("a move for which nothing is copied")?;
    }
    bench.card.heaps()?;
    bench.card.memory_stats()?;
    still("QUERY")?;
    report(&bench.card, "pddgpu_gem_info")?;
    still("the list of buffers")?;
    drop(slow);
    finish(&moving)?;
    ensure_holds(&moving.map()?, &content, "the buffer that moved")
}

/// To root, in the kernel's list of shared buffers.
fn a_shared_buffer_tells_who_is_at_it(bench: &Bench) -> Result<()> {
    Counters::read(&bench.card)?;
    let fences = || -> Result<Vec<String>> {
        let list = fs::read_to_string("/sys/kernel/debug/dma_buf/bufinfo")?;
        let lines = list.lines().filter(|line| line.contains("copy pddgpu"));
        Ok(lines.map(str::to_owned).collect())
    };
    let (buffer, _) = slow_buffer(bench, 4 << 20, 6600)?;
    let _shared = prime::export(&buffer)?;
    let slow = slowly()?;
    buffer.move_to(Domain::Gtt)?;
    let while_moved = fences()?;
    ensure!(is_busy(&buffer)?, "moved by the time GEM_MOVE returned");
    ensure!(
        while_moved.len() == 1 && while_moved[0].contains("unsignalled"),
        "{while_moved:?}"
    );
    drop(slow);
    finish(&buffer)?;
    let afterwards = fences()?;
    ensure!(afterwards.is_empty(), "{afterwards:?}");
    Ok(())
}
