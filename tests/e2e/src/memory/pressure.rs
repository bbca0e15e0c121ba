// SPDX-License-Identifier: GPL-2.0

//! Less VRAM than clients want: who has to go, who stays, and when there is none to be had.

use std::{fs, io::Write, path::Path, thread, time::Duration};

use anyhow::{ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::{gem_list, Buffer, Card, Create, CreateFlags, Domain, Domains};
use rustix::{
    event::{poll, PollFd, PollFlags, Timespec},
    io::Errno,
};

use crate::support::{
    driver::Driver,
    fixture::{skip, trials, Bench},
    marked::Marked,
    meminfo::meminfo,
    patience::eventually,
    stats::{live, vram_reserve},
};

/// Bytes of the VM's memory to leave for all else.
const SPARE: u64 = 192 << 20;

pub fn tests() -> Vec<Trial> {
    let mut tests = trials!(card_trial:
        four_times_vram_goes_round,
        the_least_recently_used_goes_first,
        the_aperture_moves_only_what_is_in_it,
        who_waits_for_room_is_under_pressure,
    );
    tests.extend(trials!(driver_trial: nothing_is_lost_where_there_is_no_room));
    tests
}

/// Each client uses its part of the working set in turn; each use is one in VRAM.
fn four_times_vram_goes_round(bench: &Bench) -> Result<()> {
    const CLIENTS: u64 = 4;
    const TURNS: u64 = 2;
    let vram = bench.device.vram_size;
    if meminfo("MemAvailable")? < 4 * vram + SPARE {
        return skip("four times this card's VRAM is more than the VM's memory");
    }
    let size = (bench.device.visible_size / 16).min(2 << 20);
    let count = 4 * vram / size / CLIENTS;
    let cycle = move |client: u64| -> Result<()> {
        let card = Card::open(bench.card.path())?;
        let mark = |turn, number| (turn * CLIENTS + client) * count + number;
        let mut buffers: Vec<_> = (0..count)
            .map(|number| {
                let create = Create::new(size, Domains::VRAM);
                Marked::create(&card, create, mark(0, number))
            })
            .collect::<Result<_>>()?;
        for turn in 1..=TURNS {
            for (number, marked) in buffers.iter_mut().enumerate() {
                marked.buffer.move_to(Domain::Vram)?;
                marked.check()?;
                marked.fill(mark(turn, number as u64));
            }
        }
        buffers.iter().try_for_each(Marked::check)
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| scope.spawn(move || cycle(client)))
            .collect();
        for (client, thread) in clients.into_iter().enumerate() {
            thread
                .join()
                .map_err(|_| anyhow::anyhow!("client {client} panicked"))?
                .with_context(|| format!("client {client}"))?;
        }
        Ok(())
    })
}

/// Fills the aperture, oldest first: with the last one the first was evicted.
fn fill_aperture(bench: &Bench) -> Result<(Create, Vec<Buffer>)> {
    let create = Create::new(bench.device.visible_size / 32, Domains::VRAM)
        .flags(CreateFlags::CPU_ACCESS_REQUIRED);
    let mut buffers = Vec::new();
    loop {
        let before = bench.heap(Domain::Vram)?.visible_used;
        buffers.push(bench.card.create(create)?);
        if bench.heap(Domain::Vram)?.visible_used == before {
            return Ok((create, buffers));
        }
    }
}

/// Which of the buffers are not in VRAM.
fn evicted(buffers: &[Buffer]) -> Result<Vec<usize>> {
    let mut evicted = Vec::new();
    for (number, buffer) in buffers.iter().enumerate() {
        if buffer.info()?.placement != Domain::Vram {
            evicted.push(number);
        }
    }
    Ok(evicted)
}

fn the_least_recently_used_goes_first(bench: &Bench) -> Result<()> {
    let (create, mut buffers) = fill_aperture(bench)?;
    for number in [1, 2, 5] {
        buffers[number].move_to(Domain::Vram)?;
    }
    // Who only looks uses nothing.
    for number in [3, 0, 4] {
        buffers[number].info()?;
    }
    gem_list::read(&bench.card)?;
    for _ in 0..4 {
        buffers.push(bench.card.create(create)?);
    }
    let evicted = evicted(&buffers)?;
    ensure!(evicted == [0, 3, 4, 6, 7], "evicted: {evicted:?}");
    Ok(())
}

fn the_aperture_moves_only_what_is_in_it(bench: &Bench) -> Result<()> {
    let device = &bench.device;
    if device.visible_size >= device.vram_size / 2 {
        return skip("there is too little of this card's VRAM out of the CPU's reach");
    }
    let size = device.visible_size / 32;
    let create = Create::new(size, Domains::VRAM).flags(CreateFlags::NO_CPU_ACCESS);
    let beyond: Vec<_> = (0..(device.vram_size / 2 - device.visible_size) / size)
        .map(|_| bench.card.create(create))
        .collect::<pddgpu::Result<_>>()?;
    for buffer in &beyond {
        let info = buffer.info()?;
        ensure!(info.visible == 0, "in the aperture: {info:?}");
    }

    let (create, mut buffers) = fill_aperture(bench)?;
    for _ in 0..7 {
        buffers.push(bench.card.create(create)?);
    }
    // They are older than all others, but to move them would help nobody.
    ensure!(evicted(&beyond)?.is_empty(), "{:?}", evicted(&beyond)?);
    let evicted = evicted(&buffers)?;
    ensure!(evicted == [0, 1, 2, 3, 4, 5, 6, 7], "evicted: {evicted:?}");
    Ok(())
}

/// Whether within so many ms somebody was held up because memory was short, since the last time.
fn was_held_up(pressure: &fs::File, timeout: u64) -> Result<bool> {
    let timeout = Timespec::try_from(Duration::from_millis(timeout))?;
    Ok(poll(&mut [PollFd::new(pressure, PollFlags::PRI)], Some(&timeout))? > 0)
}

/// The kernel's pressure stall information knows of it.
fn who_waits_for_room_is_under_pressure(bench: &Bench) -> Result<()> {
    const WINDOW: u64 = 500;
    let device = &bench.device;
    let path = "/proc/pressure/memory";
    if !Path::new(path).exists() {
        return skip("this kernel has no pressure stall information");
    }
    if meminfo("MemAvailable")? < device.vram_size + SPARE {
        return skip("this card's VRAM is larger than the VM's memory");
    }
    let mut pressure = fs::File::options().read(true).write(true).open(path)?;
    // The kernel takes it in one piece.
    let trigger = format!("some 1 {}\0", WINDOW * 1000);
    pressure.write_all(trigger.as_bytes()).context(trigger)?;
    // That nobody was for two windows shows that it is over what others had done before.
    eventually(|| {
        ensure!(!was_held_up(&pressure, 2 * WINDOW)?, "under pressure");
        Ok(())
    })?;

    let size = device.visible_size / 32;
    let create = Create::new(size, Domains::VRAM).flags(CreateFlags::NO_CPU_ACCESS);
    let count = bench.heap(Domain::Vram)?.usable / size;
    let fill = |count| -> pddgpu::Result<Vec<_>> {
        (0..count).map(|_| bench.card.create(create)).collect()
    };
    let half = fill(count / 2)?;
    ensure!(!was_held_up(&pressure, 2 * WINDOW)?, "half of VRAM is free");
    let more = fill(count)?;
    // An event that is due comes after a window.
    ensure!(was_held_up(&pressure, 20 * WINDOW)?, "not noticed");
    drop((half, more));
    Ok(())
}

/// No eviction makes one range of what is cut in two.
fn nothing_is_lost_where_there_is_no_room(driver: &Driver) -> Result<()> {
    let card = Card::find()?;
    let device = card.device()?;
    if meminfo("MemAvailable")? < device.vram_size + SPARE {
        return skip("this card's VRAM is larger than the VM's memory");
    }
    vram_reserve(&card, device.vram_size / 2, 4096)?;
    let result = no_room(&card);
    // Only what is bound anew has all its pages again.
    drop(card);
    driver.unbind()?;
    driver.bind().context("bind")?;
    result
}

fn no_room(card: &Card) -> Result<()> {
    let device = card.device()?;
    let size = device.visible_size / 32;
    let create = Create::new(size, Domains::VRAM).flags(CreateFlags::CPU_ACCESS_REQUIRED);
    let buffers: Vec<_> = (0..16)
        .map(|number| Marked::create(card, create, number))
        .collect::<Result<_>>()?;
    let alive = buffers.len() as u64 * size;

    for _ in 0..3 {
        let large = Create::new(device.vram_size / 2 + size, Domains::VRAM)
            .flags(CreateFlags::VRAM_CONTIGUOUS | CreateFlags::NO_CPU_ACCESS);
        let result = card.create(large);
        let errno = result.as_ref().err().and_then(|error| error.errno());
        ensure!(errno == Some(Errno::NOSPC), "{result:?}");
        // One that was evicted in vain may be on its way back, and counts twice until it is there.
        eventually(|| {
            let [vram, _, gtt, cpu] = live(&card.memory_stats()?)?;
            ensure!(vram + gtt + cpu == alive, "{vram}, {gtt}, {cpu}");
            let used: u64 = card.heaps()?.iter().map(|h| h.used - h.reserved).sum();
            ensure!(used == alive, "{used}");
            Ok(())
        })?;
    }
    buffers.iter().try_for_each(Marked::check)?;

    // What does fit, does.
    let half = Create::new(device.vram_size / 4, Domains::VRAM)
        .flags(CreateFlags::VRAM_CONTIGUOUS | CreateFlags::NO_CPU_ACCESS);
    let info = card.create(half)?.info()?;
    ensure!(info.placement == Domain::Vram, "{info:?}");
    Ok(())
}
