// SPDX-License-Identifier: GPL-2.0

//! What happens when the CPU touches a buffer it cannot reach.

use anyhow::{ensure, Result};
use libtest_mimic::Trial;
use pddgpu::{virtual_card::pages, Buffer, Create, CreateFlags, Domain, Domains};

use crate::support::{
    compare::{ensure_holds, ensure_zero},
    fixture::{skip, trials, Bench},
    placement::straddling,
};

pub fn tests() -> Vec<Trial> {
    trials!(card_trial:
        moves_an_invisible_buffer_into_reach,
        moves_a_straddling_buffer_into_reach,
        finds_room_when_the_aperture_is_full,
        leaves_a_buffer_in_reach_where_it_is,
        follows_a_buffer_that_moves,
    )
}

fn invisible(bench: &Bench, size: u64) -> Result<Buffer> {
    let buffer = bench
        .card
        .create(Create::new(size, Domains::VRAM | Domains::GTT))?;
    if buffer.info()?.visible != 0 {
        return skip("all of this card's VRAM is visible");
    }
    Ok(buffer)
}

/// Touches one byte, and checks that this brings all of the buffer into reach.
fn touch(buffer: &Buffer) -> Result<()> {
    let mut map = buffer.map()?;
    let at = map.len() / 2;
    map.write(at, &[42]);
    let info = buffer.info()?;
    ensure!(
        info.visible == info.size,
        "touched, but out of reach: {info:?}"
    );
    ensure!(
        info.placement != Domain::Cpu,
        "there was room elsewhere: {info:?}"
    );
    let mut content = vec![0; map.len()];
    content[at] = 42;
    ensure_holds(&map, &content, "the buffer")
}

fn moves_an_invisible_buffer_into_reach(bench: &Bench) -> Result<()> {
    for size in [4096, 1 << 20, (4 << 20) + 4096] {
        touch(&invisible(bench, size)?)?;
    }
    Ok(())
}

fn moves_a_straddling_buffer_into_reach(bench: &Bench) -> Result<()> {
    let (buffer, _fill) = straddling(bench)?;
    touch(&buffer)
}

fn finds_room_when_the_aperture_is_full(bench: &Bench) -> Result<()> {
    let buffer = invisible(bench, 1 << 20)?;
    let size = (bench.device.visible_size / 16).min(8 << 20);
    let create = Create::new(size, Domains::VRAM)
        .flags(CreateFlags::CPU_ACCESS_REQUIRED | CreateFlags::VRAM_CONTIGUOUS);
    let count = bench.device.visible_size / size;
    let fill: Vec<_> = (0..count)
        .map(|_| bench.card.create(create))
        .collect::<Result<_, _>>()?;
    touch(&buffer)?;
    drop(fill);
    Ok(())
}

fn leaves_a_buffer_in_reach_where_it_is(bench: &Bench) -> Result<()> {
    for domain in Domain::ALL {
        let create = Create::new(1 << 20, domain.into());
        let buffer = bench
            .card
            .create(create.flags(CreateFlags::CPU_ACCESS_REQUIRED))?;
        let before = buffer.info()?;
        ensure_zero(&buffer.map()?, "a new buffer")?;
        ensure!(
            buffer.info()? == before,
            "{before:?} became {:?}",
            buffer.info()?
        );
    }
    Ok(())
}

fn follows_a_buffer_that_moves(bench: &Bench) -> Result<()> {
    let create = Create::new(1 << 20, Domains::all()).flags(CreateFlags::CPU_ACCESS_REQUIRED);
    let buffer = bench.card.create(create)?;
    let mut map = buffer.map()?;
    let mut content = pages::pattern(600, map.len());
    map.write(0, &content);
    for (turn, domain) in [Domain::Gtt, Domain::Vram, Domain::Cpu, Domain::Vram]
        .into_iter()
        .enumerate()
    {
        buffer.move_to(domain)?;
        // Written before anything is read, so that writes fault on their own.
        map.write(turn * 8192, &[turn as u8; 100]);
        content[turn * 8192..][..100].fill(turn as u8);
        ensure_holds(&map, &content, &format!("after the move to {domain}"))?;
        ensure!(
            buffer.info()?.placement == domain,
            "{domain}: {:?}",
            buffer.info()?
        );
    }
    Ok(())
}
