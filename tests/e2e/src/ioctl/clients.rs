// SPDX-License-Identifier: GPL-2.0

//! Several clients of one card.

use std::thread;

use anyhow::{anyhow, ensure, Result};
use libtest_mimic::Trial;
use pddgpu::{
    gem_list,
    raw::{
        drm_pddgpu_gem_create, drm_pddgpu_gem_info, drm_pddgpu_gem_mmap, drm_pddgpu_gem_move,
        drm_pddgpu_gem_wait,
    },
    Card, Create, CreateFlags, Domain, Domains,
};
use rustix::{
    io::Errno,
    mm::MapFlags,
    process::{getrlimit, setrlimit, Resource, Rlimit},
};

use crate::support::{
    child::{self, Child, Part},
    engine::finish,
    fixture::{trials, Bench},
    mmap::try_mmap,
    patience::eventually,
};

pub fn tests() -> Vec<Trial> {
    trials!(card_trial:
        cannot_reach_each_others_handles,
        cannot_map_each_others_buffers,
        closing_the_file_frees_everything,
        a_killed_client_leaves_nothing,
        work_at_the_same_time,
        only_so_many_share_a_buffer,
    )
}

fn cannot_reach_each_others_handles(bench: &Bench) -> Result<()> {
    let other = Card::open(bench.card.path())?;
    let mut own = Vec::new();
    for domain in Domain::ALL {
        own.push(bench.card.create(Create::new(4096, domain.into()))?);
    }
    let raw = other.raw();
    for buffer in &own {
        let handle = buffer.handle();
        let results = [
            raw.gem_info(&mut drm_pddgpu_gem_info {
                handle,
                ..Default::default()
            }),
            raw.gem_mmap(&mut drm_pddgpu_gem_mmap {
                handle,
                ..Default::default()
            }),
            raw.gem_wait(drm_pddgpu_gem_wait {
                handle,
                ..Default::default()
            }),
            raw.gem_move(drm_pddgpu_gem_move {
                handle,
                domain: Domains::CPU.bits(),
                ..Default::default()
            }),
        ];
        ensure!(results == [Err(Errno::NOENT); 4], "{handle}: {results:?}");
        ensure!(
            raw.gem_close(handle) == Err(Errno::INVAL),
            "{handle} was closed"
        );
    }
    // The same number in both is a buffer of each.
    let theirs = other.create(Create::new(8192, Domains::CPU))?;
    ensure!(
        theirs.handle() == own[0].handle(),
        "handles do not start at the same number"
    );
    ensure!(
        own[0].info()?.size == 4096 && theirs.info()?.size == 8192,
        "mixed up"
    );
    theirs.close()?;
    ensure!(own[0].info()?.size == 4096, "closed by another client");
    Ok(())
}

fn cannot_map_each_others_buffers(bench: &Bench) -> Result<()> {
    let other = Card::open(bench.card.path())?;
    for domain in Domain::ALL {
        let buffer = bench.card.create(Create::new(4096, domain.into()))?;
        let offset = buffer.mmap_offset()?.get();
        let result = try_mmap(&other, offset, 4096, MapFlags::SHARED);
        ensure!(result == Err(Errno::ACCESS), "{domain}: {result:?}");
        try_mmap(&bench.card, offset, 4096, MapFlags::SHARED)?;
    }
    Ok(())
}

fn closing_the_file_frees_everything(bench: &Bench) -> Result<()> {
    let before = bench.card.heaps()?;
    let other = Card::open(bench.card.path())?;
    for domain in Domain::ALL {
        // Created past the library, which would close the handles itself.
        let mut args = drm_pddgpu_gem_create {
            size: 1 << 20,
            domain: Domains::from(domain).bits(),
            ..Default::default()
        };
        other.raw().gem_create(&mut args)?;
    }
    ensure!(
        bench.card.heaps()? != before,
        "three buffers take no memory"
    );
    drop(other);
    eventually(|| {
        ensure!(
            bench.card.heaps()? == before,
            "left behind: {:?}",
            bench.card.heaps()?
        );
        Ok(())
    })
}

fn a_killed_client_leaves_nothing(bench: &Bench) -> Result<()> {
    let before = bench.card.heaps()?;
    let mut child = Child::start(Part::Hold, bench.card.path(), None)?;
    child.listen()?;
    let pid = child.pid();
    for (heap, before) in bench.card.heaps()?.iter().zip(&before) {
        ensure!(heap.used == before.used + child::SIZE as u64, "{heap:?}");
    }
    let of_child = |client: &gem_list::Client| client.pid == Some(pid);
    let clients = gem_list::read(&bench.card)?;
    let listed = clients
        .iter()
        .find(|client| of_child(client))
        .map(|c| c.buffers.len());
    ensure!(listed == Some(Domain::ALL.len()), "{clients:?}");

    child.kill()?;
    eventually(|| {
        ensure!(
            bench.card.heaps()? == before,
            "left behind: {:?}",
            bench.card.heaps()?
        );
        let clients = gem_list::read(&bench.card)?;
        ensure!(!clients.iter().any(of_child), "still there: {clients:?}");
        Ok(())
    })
}

fn work_at_the_same_time(bench: &Bench) -> Result<()> {
    let workers: Vec<_> = (0..4u8)
        .map(|worker| {
            let path = bench.card.path().to_owned();
            thread::spawn(move || work(&Card::open(path)?, worker))
        })
        .collect();
    for worker in workers {
        worker.join().map_err(|_| anyhow!("a worker panicked"))??;
    }
    Ok(())
}

fn work(card: &Card, worker: u8) -> Result<()> {
    for turn in 0..50u8 {
        let from = Domain::ALL[usize::from(turn) % 3];
        let to = Domain::ALL[usize::from(turn / 3) % 3];
        let create = Create::new(64 << 10, from.into()).flags(CreateFlags::CPU_ACCESS_REQUIRED);
        let buffer = card.create(create)?;
        let mut map = buffer.map()?;
        let content = vec![turn.wrapping_mul(worker + 1) | 1; map.len()];
        map.write(0, &content);
        buffer.move_to(to)?;
        ensure!(
            map.to_vec() == content,
            "worker {worker}, turn {turn}: {from} to {to}"
        );
    }
    Ok(())
}

/// What a client's job ends with must not take long, however many have the buffer.
fn only_so_many_share_a_buffer(bench: &Bench) -> Result<()> {
    const MOST: usize = 1024;
    let limit = getrlimit(Resource::Nofile);
    let needed = Some(MOST as u64 + 64);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: needed,
            maximum: limit.maximum.max(needed),
        },
    )?;
    let buffer = bench.card.create(Create::new(4096, Domains::VRAM))?;
    let shared = buffer.export(true)?;
    let import = || Card::open(bench.card.path())?.import(&shared);
    let mut others = Vec::new();
    for _ in 1..MOST {
        others.push(import()?);
    }
    let late = import().err().and_then(|error| error.errno());
    // It works for those who have it, and there is room again when one goes.
    buffer.fill(0, 4096, 1, &[])?;
    finish(&buffer)?;
    others.pop();
    let next = import();
    drop(others);
    setrlimit(Resource::Nofile, limit)?;
    ensure!(late == Some(Errno::MLINK), "one too many: {late:?}");
    next?;
    Ok(())
}
