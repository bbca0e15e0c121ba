// SPDX-License-Identifier: GPL-2.0

//! More buffers than VRAM has room for.

use anyhow::{ensure, Result};
use libtest_mimic::Trial;
use pddgpu::{virtual_card::pages, Buffer, Create, CreateFlags, Domain, Domains, Mapping};

use crate::support::{
    compare::ensure_holds,
    fixture::{skip, trials, Bench},
    patience::eventually,
};

/// Bytes of the VM's memory that a test may use for what is evicted.
const SPARE: u64 = 192 << 20;

pub fn tests() -> Vec<Trial> {
    trials!(card_trial:
        visible_buffers_keep_their_content,
        vram_fills_up_and_empties,
        gtt_fills_up_and_empties,
        large_buffers_take_the_place_of_small_ones,
        evicted_buffers_come_back,
    )
}

/// Creates one and a half times what the aperture holds, each buffer with content of its own.
fn overfill(bench: &Bench) -> Result<Vec<(Buffer, Mapping, Vec<u8>)>> {
    let visible = bench.device.visible_size;
    if visible / 2 > SPARE {
        return skip("this card's aperture is too large for the VM's memory");
    }
    let size = (visible / 16).min(4 << 20);
    let create = Create::new(size, Domains::VRAM).flags(CreateFlags::CPU_ACCESS_REQUIRED);
    (0..visible / size * 3 / 2)
        .map(|number| {
            let buffer = bench.card.create(create)?;
            let mut map = buffer.map()?;
            let content = pages::pattern(1000 + number, 2 * pages::PAGE);
            map.write(0, &content);
            map.write(map.len() - content.len(), &content);
            Ok((buffer, map, content))
        })
        .collect()
}

fn check(buffers: &[(Buffer, Mapping, Vec<u8>)]) -> Result<()> {
    for (number, (_, map, content)) in buffers.iter().enumerate() {
        let mut found = vec![0; content.len()];
        for at in [0, map.len() - content.len()] {
            map.read(at, &mut found);
            ensure!(
                &found == content,
                "buffer {number} lost its content at {at:#x}"
            );
        }
        map.read(map.len() / 2, &mut found);
        ensure!(
            found.iter().all(|&b| b == 0),
            "buffer {number} got content from nowhere"
        );
    }
    Ok(())
}

fn visible_buffers_keep_their_content(bench: &Bench) -> Result<()> {
    let buffers = overfill(bench)?;
    let mut evicted = 0;
    for (buffer, ..) in &buffers {
        evicted += usize::from(buffer.info()?.placement != Domain::Vram);
    }
    ensure!(
        evicted >= buffers.len() / 3,
        "only {evicted} of {} evicted",
        buffers.len()
    );
    let heap = bench.heap(Domain::Vram)?;
    ensure!(heap.visible_used <= heap.visible_total, "{heap:?}");
    check(&buffers)
}

fn evicted_buffers_come_back(bench: &Bench) -> Result<()> {
    let mut buffers = overfill(bench)?;
    // Each in turn, so that the others make room.
    for (buffer, ..) in &buffers {
        buffer.move_to(Domain::Vram)?;
        ensure!(
            buffer.info()?.placement == Domain::Vram,
            "{:?}",
            buffer.info()?
        );
    }
    check(&buffers)?;
    // With half of them gone, there is room for the rest.
    buffers.truncate(buffers.len() / 2);
    for (buffer, ..) in &buffers {
        buffer.move_to(Domain::Vram)?;
    }
    for (buffer, ..) in &buffers {
        ensure!(
            buffer.info()?.placement == Domain::Vram,
            "{:?}",
            buffer.info()?
        );
    }
    check(&buffers)
}

/// Creates buffers of one domain until there is a quarter more than it holds; each must succeed, and
/// the books must be right at every step.
fn overfill_domain(bench: &Bench, domain: Domain) -> Result<()> {
    let heap = bench.heap(domain)?;
    let size = (heap.usable / 16).min(16 << 20);
    let count = heap.usable / size;
    let more = (count / 4).min(SPARE / size).max(1);
    let create = Create::new(size, domain.into()).flags(CreateFlags::NO_CPU_ACCESS);
    let mut buffers = Vec::new();
    for number in 0..count + more {
        buffers.push(bench.card.create(create)?);
        let now = bench.heap(domain)?;
        ensure!(now.used - now.reserved <= now.usable, "{number}: {now:?}");
        if number < count {
            ensure!(
                now.used == heap.used + (number + 1) * size,
                "{number}: {now:?}"
            );
        }
        ensure!(
            buffers[number as usize].info()?.placement == domain,
            "{number}: not in {domain}"
        );
    }
    let mut sums = [0; 3];
    for buffer in &buffers {
        let info = buffer.info()?;
        sums[info.placement as usize] += info.size;
    }
    // What was evicted gives its place back when the card has copied it.
    eventually(|| {
        for (heap, sum) in bench.card.heaps()?.iter().zip(sums) {
            ensure!(
                heap.used - heap.reserved == sum,
                "buffers in it: {sum}, {heap:?}"
            );
        }
        Ok(())
    })?;
    ensure!(sums[domain as usize] <= heap.usable, "{sums:?}");
    ensure!(
        sums.iter().sum::<u64>() == (count + more) * size,
        "{sums:?}"
    );
    Ok(())
}

fn vram_fills_up_and_empties(bench: &Bench) -> Result<()> {
    overfill_domain(bench, Domain::Vram)
}

fn gtt_fills_up_and_empties(bench: &Bench) -> Result<()> {
    if bench.heap(Domain::Gtt)?.usable > SPARE {
        return skip("this card's GTT is too large for the VM's memory");
    }
    overfill_domain(bench, Domain::Gtt)
}

fn large_buffers_take_the_place_of_small_ones(bench: &Bench) -> Result<()> {
    let visible = bench.device.visible_size;
    if visible > SPARE {
        return skip("this card's aperture is too large for the VM's memory");
    }
    let flags = CreateFlags::CPU_ACCESS_REQUIRED | CreateFlags::VRAM_CONTIGUOUS;
    let small = Create::new(visible / 64, Domains::VRAM).flags(flags);
    let mut buffers = Vec::new();
    for number in 0..64 {
        let buffer = bench.card.create(small)?;
        let mut map = buffer.map()?;
        let content = pages::pattern(2000 + number, pages::PAGE);
        map.write(0, &content);
        buffers.push((buffer, map, content));
    }
    let large = bench.card.create(Create {
        size: visible / 2,
        ..small
    })?;
    ensure!(
        large.info()?.placement == Domain::Vram,
        "{:?}",
        large.info()?
    );
    for (number, (_, map, content)) in buffers.iter().enumerate() {
        let mut whole = vec![0; map.len()];
        whole[..content.len()].copy_from_slice(content);
        ensure_holds(map, &whole, &format!("small buffer {number}"))?;
    }
    Ok(())
}
