// SPDX-License-Identifier: GPL-2.0

//! Too little system memory: pages of buffers go to swap, and come back.

use std::{
    fs::File,
    os::unix::fs::FileExt,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
};

use anyhow::{ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::{virtual_card::pages::PAGE, Card, Create, CreateFlags, Domain};

use crate::support::{
    driver::Driver,
    fixture::{skip, trials, Bench},
    hog::Hog,
    marked::Marked,
    meminfo::{drop_caches, meminfo, Swap},
    patience::eventually,
    random::Random,
    stats::{ensure_consistent, live, moves, reset},
};

/// Bytes of each buffer: an odd number of pages.
const SIZE: u64 = (1 << 20) + 4096;

/// Buffers in each domain.
const COUNT: u64 = 6;

pub fn tests() -> Vec<Trial> {
    let mut tests = trials!(card_trial:
        idle_pages_go_and_come_back,
        pages_stay_without_swap,
        swapped_buffers_are_freed_with_their_swap,
        moves_bring_pages_back,
        the_kernel_reads_and_writes_swapped_buffers,
        more_than_memory_holds,
        clients_go_on_while_their_pages_go,
    );
    tests.extend(trials!(driver_trial: swapped_buffers_outlive_the_card));
    tests
}

/// Some buffers in a domain.
fn fill(card: &Card, domain: Domain) -> Result<Vec<Marked>> {
    let create = Create::new(SIZE, domain.into()).flags(CreateFlags::CPU_ACCESS_REQUIRED);
    (0..COUNT)
        .map(|number| Marked::create(card, create, 10 * domain as u64 + number))
        .collect()
}

/// Bytes of memory that buffers of all cards have.
fn gpu_memory() -> Result<u64> {
    meminfo("GPUActive")
}

/// Bytes of memory and swap that shmem has, in which content is backed up.
fn backed_up() -> Result<u64> {
    Ok(meminfo("Shmem")? + meminfo("SwapTotal")? - meminfo("SwapFree")?)
}

/// Fails if more is backed up than before.
fn ensure_no_backup(before: u64) -> Result<()> {
    eventually(|| {
        let now = backed_up()?;
        ensure!(now <= before, "left behind: {now}, was {before}");
        Ok(())
    })
}

/// Swap for twice what [`fill`] makes in two domains.
fn swap() -> Result<Swap> {
    Swap::on(4 * COUNT * SIZE)
}

fn idle_pages_go_and_come_back(bench: &Bench) -> Result<()> {
    let card = &bench.card;
    let _swap = swap()?;
    let [vram, gtt, cpu] = [Domain::Vram, Domain::Gtt, Domain::Cpu];
    let buffers = [fill(card, vram)?, fill(card, gtt)?, fill(card, cpu)?];
    let untouched = card.create(Create::new(SIZE, cpu.into()))?;
    reset(card)?;
    ensure!(gpu_memory()? == 2 * COUNT * SIZE, "{}", gpu_memory()?);

    drop_caches()?;
    ensure!(gpu_memory()? == 0, "{} bytes stayed", gpu_memory()?);
    for (buffers, placement) in buffers.iter().zip([vram, cpu, cpu]) {
        for marked in buffers {
            let info = marked.buffer.info()?;
            ensure!(info.placement == placement, "{info:?}");
        }
    }
    // What is swapped out still is in its heap, and has moved there like any other.
    let stats = card.memory_stats()?;
    ensure_consistent(&stats)?;
    ensure!(
        live(&stats)? == [COUNT * SIZE, COUNT * SIZE, 0, (2 * COUNT + 1) * SIZE],
        "{stats:?}"
    );
    ensure!(
        moves(&stats, gtt, cpu) == (COUNT, COUNT * SIZE) && stats.total_moves == COUNT,
        "{stats:?}"
    );

    for marked in buffers.iter().flatten() {
        marked.check()?;
    }
    ensure!(gpu_memory()? == 2 * COUNT * SIZE, "{}", gpu_memory()?);
    ensure!(
        untouched.map()?.to_vec().iter().all(|&byte| byte == 0),
        "a buffer without pages got content"
    );
    ensure!(
        card.memory_stats()?.total_moves == COUNT,
        "coming back is no move"
    );

    // And as often as one likes.
    for _ in 0..3 {
        drop_caches()?;
        for marked in buffers.iter().flatten() {
            marked.check()?;
        }
    }
    Ok(())
}

fn pages_stay_without_swap(bench: &Bench) -> Result<()> {
    let buffers = fill(&bench.card, Domain::Gtt)?;
    drop_caches()?;
    for marked in &buffers {
        let info = marked.buffer.info()?;
        ensure!(info.placement == Domain::Gtt, "{info:?}");
        marked.check()?;
    }
    Ok(())
}

fn swapped_buffers_are_freed_with_their_swap(bench: &Bench) -> Result<()> {
    let _swap = swap()?;
    let before = backed_up()?;
    for _ in 0..3 {
        let buffers = [
            fill(&bench.card, Domain::Gtt)?,
            fill(&bench.card, Domain::Cpu)?,
        ];
        drop_caches()?;
        let swapped = backed_up()?;
        ensure!(
            swapped >= before + 2 * COUNT * SIZE,
            "{before} became {swapped}"
        );
        drop(buffers);
    }
    ensure_no_backup(before)
}

fn moves_bring_pages_back(bench: &Bench) -> Result<()> {
    let _swap = swap()?;
    let buffers = fill(&bench.card, Domain::Gtt)?;
    for domain in [Domain::Gtt, Domain::Vram, Domain::Cpu, Domain::Vram] {
        drop_caches()?;
        for marked in &buffers {
            marked.buffer.move_to(domain)?;
            let info = marked.buffer.info()?;
            ensure!(info.placement == domain, "{info:?}");
            marked.check()?;
        }
    }
    Ok(())
}

fn the_kernel_reads_and_writes_swapped_buffers(bench: &Bench) -> Result<()> {
    let _swap = swap()?;
    let memory = File::options()
        .read(true)
        .write(true)
        .open("/proc/self/mem")?;
    let mut buffers = fill(&bench.card, Domain::Gtt)?;
    let other = Marked::create(&bench.card, Create::new(SIZE, Domain::Gtt.into()), 99)?;
    let at = SIZE as usize - PAGE;
    let address = |marked: &Marked| (marked.map.as_ptr() as usize + at) as u64;

    drop_caches()?;
    let mut found = [0; PAGE];
    for marked in &buffers {
        memory.read_exact_at(&mut found, address(marked))?;
        marked.check_page(at, &found)?;
    }

    drop_caches()?;
    memory.read_exact_at(&mut found, address(&other))?;
    let marked = buffers.pop().context("there are some")?;
    memory.write_all_at(&found, address(&marked))?;
    let mut now = [0; PAGE];
    marked.map.read(at, &mut now);
    other.check_page(at, &now)?;
    marked.map.read(0, &mut now);
    marked.check_page(0, &now)
}

/// A working set that leaves no room for another program: it has to make some.
fn more_than_memory_holds(bench: &Bench) -> Result<()> {
    const GONE: u64 = 96 << 20;
    let size = 8 << 20;
    let gtt = bench.heap(Domain::Gtt)?.usable.min(GONE / 2) / size;
    let count = 2 * GONE / size;
    if meminfo("MemAvailable")? < 4 * GONE {
        return skip("the VM has too little memory");
    }
    let _swap = Swap::on(4 * GONE)?;
    let buffers: Vec<_> = (0..count)
        .map(|number| {
            let domain = if number < gtt {
                Domain::Gtt
            } else {
                Domain::Cpu
            };
            Marked::create(&bench.card, Create::new(size, domain.into()), 1000 + number)
        })
        .collect::<Result<_>>()?;
    let before = gpu_memory()?;

    let hog = Hog::of(meminfo("MemAvailable")? + GONE)?;
    let now = gpu_memory()?;
    // Some of it is found elsewhere, as what is available is a careful guess.
    ensure!(now + GONE / 2 <= before, "{before} became {now}");
    drop(hog);

    for marked in &buffers {
        marked.check()?;
    }
    Ok(())
}

fn clients_go_on_while_their_pages_go(bench: &Bench) -> Result<()> {
    const TURNS: u64 = 40;
    let _swap = swap()?;
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..3)
            .map(|client| {
                scope.spawn(move || {
                    let card = Card::open(bench.card.path())?;
                    let mut random = Random::new(client);
                    let mut buffers = fill(&card, Domain::Gtt)?;
                    for turn in 0..TURNS {
                        let marked = &mut buffers[random.below(COUNT as usize)];
                        marked.buffer.move_to(random.pick(&Domain::ALL))?;
                        marked.check()?;
                        marked.fill(1000 * (client + 1) + turn);
                        let at = random.below(COUNT as usize);
                        buffers[at].check()?;
                    }
                    buffers.iter().try_for_each(Marked::check)
                })
            })
            .collect();
        let pressure = scope.spawn(|| {
            while !done.load(Relaxed) {
                drop_caches()?;
            }
            Ok(())
        });
        let results: Vec<_> = clients.into_iter().map(|client| client.join()).collect();
        done.store(true, Relaxed);
        for result in results.into_iter().chain([pressure.join()]) {
            result.map_err(|_| anyhow::anyhow!("a client panicked"))??;
        }
        Ok(())
    })
}

fn swapped_buffers_outlive_the_card(driver: &Driver) -> Result<()> {
    let _swap = swap()?;
    let before = backed_up()?;
    let card = Card::find()?;
    let mut buffers = [fill(&card, Domain::Gtt)?, fill(&card, Domain::Cpu)?];
    drop_caches()?;
    driver.unbind()?;
    drop_caches()?;
    // What is there now is nobody's memory; that it can be read and written is the point.
    for marked in buffers.iter_mut().flatten() {
        marked.map.to_vec();
        marked.fill(1);
    }
    drop_caches()?;
    drop((buffers, card));
    ensure_no_backup(before)?;
    driver.bind().context("bind")
}
