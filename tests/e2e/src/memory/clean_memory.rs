// SPDX-License-Identifier: GPL-2.0

//! Nobody ever sees what was in memory before.

use anyhow::{ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::{virtual_card::pages, Create, CreateFlags, Deadline, Domain, Domains, Features};

use crate::support::{
    compare::{ensure_same, ensure_zero},
    fixture::{skip, trials, virtual_card, Bench},
    placement::{straddling_as_it_is, wipe},
};

/// What freed memory is full of.
const OLD: u8 = 0xdb;

/// Bytes at either end of invisible VRAM that are made to look used.
const ENDS: u64 = 64 << 20;

/// Bytes of the largest buffers by which that is done.
const PIECE: u64 = 1 << 20;

pub fn tests() -> Vec<Trial> {
    trials!(card_trial:
        vram_is_clean_after_other_buffers,
        gtt_is_clean_after_other_buffers,
        cpu_is_clean_after_other_buffers,
        visible_vram_is_clean_from_the_cards_side,
        visible_vram_is_clean_when_mapped,
        invisible_vram_is_clean_when_mapped,
        invisible_vram_is_clean_when_moved,
        straddling_vram_is_clean_where_it_was_invisible,
        untouched_buffers_bring_nothing_from_vram,
        pages_of_a_last_block_are_clean,
    )
}

/// Fills buffers, frees them, and looks into new ones of other sizes.
fn clean_after_others(bench: &Bench, domain: Domain) -> Result<()> {
    let create = Create::new(1 << 20, domain.into()).flags(CreateFlags::CPU_ACCESS_REQUIRED);
    let count = (bench.device.visible_size / create.size / 2).clamp(4, 32);
    for _ in 0..count {
        let dirty = bench.card.create(create)?;
        dirty.map()?.write(0, &vec![OLD; create.size as usize]);
        // Freed while the next is in use, so that places and pages change hands.
        let _next = bench.card.create(Create {
            size: 68 << 10,
            ..create
        })?;
    }
    for size in [4096, 5 * 4096, 1 << 20, 3 << 20] {
        let buffer = bench.card.create(Create { size, ..create })?;
        ensure_zero(&buffer.map()?, &format!("{size} bytes in {domain}"))?;
    }
    Ok(())
}

fn vram_is_clean_after_other_buffers(bench: &Bench) -> Result<()> {
    clean_after_others(bench, Domain::Vram)
}

fn gtt_is_clean_after_other_buffers(bench: &Bench) -> Result<()> {
    clean_after_others(bench, Domain::Gtt)
}

fn cpu_is_clean_after_other_buffers(bench: &Bench) -> Result<()> {
    clean_after_others(bench, Domain::Cpu)
}

/// How VRAM that is full of [`OLD`] came to be free.
#[derive(Clone, Copy, Debug)]
enum Freed {
    /// Its buffers were closed, which has the driver wipe it.
    Closed,
    /// Its buffers went elsewhere, which leaves it as it is.
    Left,
}

impl Freed {
    const ALL: [Self; 2] = [Self::Closed, Self::Left];
}

/// Makes VRAM used: all that is visible, and of the rest what is first and last to be taken. Only for
/// tests that have no buffer in it yet.
fn soil_vram(bench: &Bench, freed: Freed) -> Result<()> {
    let device = &bench.device;
    let hidden = device.vram_size - device.visible_size;
    let ends = hidden.min(ENDS);
    let empty = bench.heap(Domain::Vram)?;
    if !device.features.contains(Features::COPY) {
        // Without the engine no driver remembers what is zero, and so nothing has to be a buffer's.
        let mut card = virtual_card()?;
        card.fill_vram(0, device.visible_size + ends, OLD)?;
        card.fill_vram(device.vram_size - ends, ends, OLD)?;
        return Ok(());
    }
    wipe(bench)?;
    let middle = device.visible_size + ends..device.vram_size - ends;
    soil(bench, freed, CreateFlags::NO_CPU_ACCESS, hidden, |offset| {
        !middle.contains(&offset)
    })?;
    let visible = (empty.visible_total - empty.visible_used).min(empty.usable);
    soil(
        bench,
        freed,
        CreateFlags::CPU_ACCESS_REQUIRED,
        visible,
        |_| true,
    )
}

/// Fills `room` bytes of VRAM with buffers, has the card write to those at offsets that are `wanted`, and
/// frees them all.
fn soil(
    bench: &Bench,
    freed: Freed,
    flags: CreateFlags,
    mut room: u64,
    wanted: impl Fn(u64) -> bool,
) -> Result<()> {
    let empty = bench.heap(Domain::Vram)?;
    let (mut soiled, mut others) = (Vec::new(), Vec::new());
    let mut size = PIECE;
    while room > 0 {
        if size > room {
            size /= 2;
            continue;
        }
        let create = Create::new(size, Domains::VRAM).flags(flags | CreateFlags::VRAM_CONTIGUOUS);
        let buffer = bench.card.create(create)?;
        let offset = buffer.info()?.gpu_addr.context("no address")? - bench.device.vram_start;
        room -= size;
        if wanted(offset) {
            virtual_card()?.fill_vram(offset, size, OLD)?;
            soiled.push(buffer);
        } else {
            others.push(buffer);
        }
    }
    for buffer in soiled {
        if let Freed::Left = freed {
            buffer.move_to(Domain::Gtt)?;
        }
    }
    drop(others);
    bench.await_heap(&empty)
}

/// Does something with VRAM that was used, once for each way in which it came to be free.
fn after_others(bench: &Bench, run: impl Fn() -> Result<()>) -> Result<()> {
    let empty = bench.heap(Domain::Vram)?;
    for freed in Freed::ALL {
        soil_vram(bench, freed)?;
        run().with_context(|| format!("{freed:?}"))?;
        bench.await_heap(&empty)?;
    }
    Ok(())
}

fn visible_vram_is_clean_from_the_cards_side(bench: &Bench) -> Result<()> {
    let flags = CreateFlags::VRAM_CONTIGUOUS | CreateFlags::CPU_ACCESS_REQUIRED;
    after_others(bench, || {
        for size in [4096, 3 * 4096, 1 << 20] {
            let create = Create::new(size, Domains::VRAM).flags(flags);
            let buffer = bench.card.create(create)?;
            ensure!(buffer.wait(Deadline::NEVER)?, "not idle at the end of time");
            let offset = buffer.info()?.gpu_addr.context("no address")? - bench.device.vram_start;
            let seen = virtual_card()?.read_vram(offset, size as usize)?;
            ensure_same(&seen, &vec![0; size as usize], &format!("{size} new bytes"))?;
        }
        Ok(())
    })
}

fn visible_vram_is_clean_when_mapped(bench: &Bench) -> Result<()> {
    after_others(bench, || {
        for size in [4096, 3 * 4096, 1 << 20, 5 << 20] {
            for flags in [
                CreateFlags::CPU_ACCESS_REQUIRED,
                CreateFlags::CPU_ACCESS_REQUIRED | CreateFlags::VRAM_CLEARED,
            ] {
                let create = Create::new(size, Domains::VRAM).flags(flags);
                let buffer = bench.card.create(create)?;
                ensure_zero(&buffer.map()?, &format!("{size} new bytes"))?;
            }
        }
        Ok(())
    })
}

fn invisible_vram_is_clean_when_mapped(bench: &Bench) -> Result<()> {
    after_others(bench, || {
        for size in [4096, 1 << 20, 5 << 20] {
            let buffer = bench.card.create(Create::new(size, Domains::VRAM))?;
            if buffer.info()?.visible != 0 {
                return skip("all of this card's VRAM is visible");
            }
            ensure_zero(&buffer.map()?, &format!("{size} new bytes"))?;
        }
        Ok(())
    })
}

fn invisible_vram_is_clean_when_moved(bench: &Bench) -> Result<()> {
    after_others(bench, || {
        for domain in [Domain::Gtt, Domain::Cpu] {
            let buffer = bench.card.create(Create::new(1 << 20, Domains::VRAM))?;
            buffer.move_to(domain)?;
            ensure_zero(&buffer.map()?, &format!("new bytes, moved to {domain}"))?;
        }
        Ok(())
    })
}

fn straddling_vram_is_clean_where_it_was_invisible(bench: &Bench) -> Result<()> {
    after_others(bench, || {
        let (buffer, fill) = straddling_as_it_is(bench)?;
        buffer.move_to(Domain::Cpu)?;
        ensure_zero(&buffer.map()?, "a buffer across the aperture's end")?;
        drop(fill);
        Ok(())
    })
}

/// A buffer without pages yet goes to VRAM that somebody else has used.
fn untouched_buffers_bring_nothing_from_vram(bench: &Bench) -> Result<()> {
    after_others(bench, || {
        let mut kept = Vec::new();
        for from in [Domain::Cpu, Domain::Gtt] {
            for flags in [CreateFlags::CPU_ACCESS_REQUIRED, CreateFlags::empty()] {
                let create = Create::new(1 << 20, from.into()).flags(flags);
                let buffer = bench.card.create(create)?;
                buffer.move_to(Domain::Vram)?;
                ensure_zero(&buffer.map()?, &format!("{from} to VRAM, {flags}"))?;
                // Takes the place that the next would have had.
                kept.push(
                    bench
                        .card
                        .create(Create::new(1 << 20, Domains::VRAM).flags(flags))?,
                );
                buffer.move_to(Domain::Gtt)?;
                ensure_zero(&buffer.map()?, &format!("{from} to VRAM to GTT, {flags}"))?;
                kept.push(buffer);
            }
        }
        Ok(())
    })
}

/// The allocator may give a buffer more than it asked for; what is beyond its end is not its own.
fn pages_of_a_last_block_are_clean(bench: &Bench) -> Result<()> {
    let flags = CreateFlags::CPU_ACCESS_REQUIRED | CreateFlags::VRAM_CONTIGUOUS;
    let create = Create::new((1 << 20) + 4096, Domains::VRAM)
        .flags(flags)
        .alignment(1 << 20);
    let first = bench.card.create(create)?;
    let second = bench.card.create(create)?;
    let (mut first_map, mut second_map) = (first.map()?, second.map()?);
    let content = [
        pages::pattern(500, first_map.len()),
        pages::pattern(501, second_map.len()),
    ];
    first_map.write(0, &content[0]);
    second_map.write(0, &content[1]);
    ensure!(
        first_map.to_vec() == content[0],
        "the second buffer's bytes are in the first"
    );
    first.close()?;
    drop(first_map);
    ensure!(
        second_map.to_vec() == content[1],
        "freeing one buffer changed the other"
    );
    Ok(())
}
