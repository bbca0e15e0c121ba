// SPDX-License-Identifier: GPL-2.0

//! Every byte has an owner: what the statistics say, what the managers hold and what the buffers
//! listed in debugfs add up to are the same after every step of a random walk.

use std::os::fd::OwnedFd;

use anyhow::{bail, ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::{
    gem_list, raw::drm_pddgpu_gem_move, Buffer, Card, Create, CreateFlags, Domain, Domains, Heap,
    Mapping, MemoryStats,
};
use rustix::io::Errno;

use crate::support::{
    fixture::{skip, trials, Bench},
    patience::eventually,
    prime::{export, Imported},
    random::Random,
    stats::{client_id, ensure_consistent, failures, live},
};

/// Steps of a walk.
const STEPS: usize = 400;

/// Bytes of buffers alive at once, which leaves the VM enough memory for those evicted.
const SPARE: u64 = 256 << 20;

pub fn tests() -> Vec<Trial> {
    trials!(card_trial: every_byte_has_an_owner, every_byte_has_an_owner_under_pressure)
}

fn every_byte_has_an_owner(bench: &Bench) -> Result<()> {
    walk(bench, 1, 0)
}

fn every_byte_has_an_owner_under_pressure(bench: &Bench) -> Result<()> {
    if bench.device.visible_size > SPARE / 2 {
        return skip("this card's aperture is too large for the VM's memory");
    }
    walk(bench, 2, bench.device.visible_size / 4)
}

fn walk(bench: &Bench, seed: u64, large: u64) -> Result<()> {
    let mut walk = Walk::new(bench, seed, large)?;
    for step in 0..STEPS {
        let what = walk.step()?;
        eventually(|| walk.check()).with_context(|| format!("step {step}: {what}"))?;
    }
    let evictions = bench.card.memory_stats()?.evictions - walk.before.evictions;
    ensure!(large == 0 || evictions > 0, "nothing was evicted");
    walk.buffers.clear();
    walk.freed = walk.created;
    eventually(|| walk.check()).context("the end")
}

/// A buffer, with everything that keeps it alive.
struct Held {
    size: u64,
    /// The creator's handle.
    own: Option<Buffer>,
    /// The other client's handle.
    other: Option<Imported>,
    map: Option<Mapping>,
    export: Option<OwnedFd>,
    /// The creator: 0 or 1.
    client: usize,
}

struct Walk {
    cards: [Card; 2],
    ids: [u64; 2],
    random: Random,
    /// Bytes of the buffers that make others be evicted, 0 for none.
    large: u64,
    buffers: Vec<Held>,
    before: MemoryStats,
    heaps_before: Vec<Heap>,
    created: u64,
    freed: u64,
    too_big: u64,
}

impl Walk {
    fn new(bench: &Bench, seed: u64, large: u64) -> Result<Self> {
        let cards = [bench.card.clone(), Card::open(bench.card.path())?];
        let ids = [client_id(&cards[0])?, client_id(&cards[1])?];
        ensure!(ids[0] != ids[1], "two clients of one number");
        Ok(Self {
            before: cards[0].memory_stats()?,
            heaps_before: cards[0].heaps()?,
            cards,
            ids,
            random: Random::new(seed),
            large,
            buffers: Vec::new(),
            created: 0,
            freed: 0,
            too_big: 0,
        })
    }

    /// Does something, and tells what.
    fn step(&mut self) -> Result<String> {
        let at = match self.buffers.len() {
            0 => return self.create(4096),
            len => self.random.below(len),
        };
        match self.random.below(14) {
            0..=3 => {
                let size = match self.random.below(4) {
                    0 => 4096,
                    1 => 4096 * (1 + self.random.below(64)) as u64,
                    2 => 1 << (14 + self.random.below(8)),
                    _ => (2 << 20) + 4096 * self.random.below(600) as u64,
                };
                self.create(size)
            }
            4 => self.create(self.large.max(8192)),
            5..=6 => self.move_(at),
            7 => self.map(at),
            8 => self.share(at),
            9 => self.fail(at),
            _ => self.let_go(at),
        }
    }

    fn create(&mut self, size: u64) -> Result<String> {
        while self.buffers.iter().map(|held| held.size).sum::<u64>() + size > SPARE {
            let at = self.random.below(self.buffers.len());
            self.buffers.swap_remove(at);
            self.freed += 1;
        }
        let client = self.random.below(2);
        let domains = match self.random.below(5) {
            0 | 1 => Domains::VRAM,
            2 => Domains::GTT,
            3 => Domains::CPU,
            _ => Domains::all(),
        };
        let mut flags = self.random.pick(&[
            CreateFlags::empty(),
            CreateFlags::CPU_ACCESS_REQUIRED,
            CreateFlags::CPU_ACCESS_REQUIRED,
            CreateFlags::NO_CPU_ACCESS,
        ]);
        if self.random.below(3) == 0 {
            flags |= CreateFlags::VRAM_CONTIGUOUS;
        }
        let create = Create::new(size, domains).flags(flags);
        let buffer = self.cards[client].create(create)?;
        self.created += 1;
        self.buffers.push(Held {
            size: buffer.size(),
            own: Some(buffer),
            other: None,
            map: None,
            export: None,
            client,
        });
        Ok(format!("{create:?}"))
    }

    fn move_(&mut self, at: usize) -> Result<String> {
        let to = self.random.pick(&Domain::ALL);
        let held = &self.buffers[at];
        let (card, handle) = if let Some(buffer) = &held.own {
            (&self.cards[held.client], buffer.handle())
        } else if let Some(imported) = &held.other {
            (&self.cards[1 - held.client], imported.handle)
        } else {
            return Ok("no handle to move by".into());
        };
        let domain = Domains::from(to).bits();
        card.raw()
            .gem_move(drm_pddgpu_gem_move {
                handle,
                domain,
                ..Default::default()
            })
            .with_context(|| format!("moving {} bytes to {to}", held.size))?;
        Ok(format!("{} bytes moved to {to}", held.size))
    }

    /// A touch may move a buffer out of invisible VRAM.
    fn map(&mut self, at: usize) -> Result<String> {
        let held = &mut self.buffers[at];
        if let (None, Some(buffer)) = (&held.map, &held.own) {
            match buffer.map() {
                Ok(map) => held.map = Some(map),
                Err(error) if error.errno() == Some(Errno::PERM) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let Some(map) = &mut held.map else {
            return Ok("not mapped".into());
        };
        map.write(0, &[1; 8]);
        map.write(map.len() - 8, &[2; 8]);
        Ok(format!("{} bytes mapped and touched", held.size))
    }

    fn share(&mut self, at: usize) -> Result<String> {
        let other = &self.cards[1 - self.buffers[at].client];
        let held = &mut self.buffers[at];
        if let (Some(buffer), None) = (&held.own, &held.export) {
            held.export = Some(export(buffer)?);
        }
        if let (Some(export), None) = (&held.export, &held.other) {
            held.other = Some(Imported::new(other, export)?);
        }
        Ok(format!("{} bytes shared", held.size))
    }

    /// Calls that must change nothing.
    fn fail(&mut self, at: usize) -> Result<String> {
        let held = &self.buffers[at];
        let card = &self.cards[held.client];
        let wrong = match self.random.below(6) {
            0 => Create::new(u64::MAX - 8191, Domains::all()),
            1 => Create::new(2 << 40, self.random.pick(&Domain::ALL).into()),
            2 => Create::new(0, Domains::all()),
            3 => Create::new(4096, Domains::empty()),
            4 => Create::new(4096, Domains::all()).alignment(12288),
            _ => Create::new(4096, Domains::VRAM)
                .flags(CreateFlags::CPU_ACCESS_REQUIRED | CreateFlags::NO_CPU_ACCESS),
        };
        match card.create(wrong).map_err(|error| error.errno()) {
            Err(Some(Errno::TOOBIG)) => self.too_big += 1,
            Err(Some(Errno::INVAL)) => {}
            other => bail!("{wrong:?}: {other:?}"),
        }
        let nowhere = drm_pddgpu_gem_move {
            handle: held.own.as_ref().map_or(0, Buffer::handle),
            domain: Domains::all().bits(),
            ..Default::default()
        };
        ensure!(
            card.raw().gem_move(nowhere).is_err(),
            "moved to three domains"
        );
        Ok(format!("{wrong:?}"))
    }

    /// Takes away one of the things that keep a buffer alive.
    fn let_go(&mut self, at: usize) -> Result<String> {
        let held = &mut self.buffers[at];
        let what = match self.random.below(4) {
            0 => held.map.take().map(|_| "mapping"),
            1 => held.export.take().map(|_| "dma-buf"),
            2 => held.other.take().map(|_| "other handle"),
            _ => held.own.take().map(|_| "handle"),
        };
        let gone = held.own.is_none()
            && held.other.is_none()
            && held.map.is_none()
            && held.export.is_none();
        let what = format!("{} bytes: {} closed", held.size, what.unwrap_or("nothing"));
        if gone {
            self.buffers.swap_remove(at);
            self.freed += 1;
        }
        Ok(what)
    }

    /// The entries of a buffer in the list: one for each handle. Only the handle differs in them.
    fn entries<'a>(
        &self,
        clients: &'a [gem_list::Client],
        held: &Held,
    ) -> Result<Vec<&'a gem_list::Entry>> {
        let find = |client: usize, handle: u32| {
            clients
                .iter()
                .filter(|c| c.id == Some(self.ids[client]))
                .flat_map(|c| &c.buffers)
                .find(|entry| entry.handle == Some(handle))
                .with_context(|| format!("handle {handle} of client {client} is not listed"))
        };
        let own = held.own.as_ref().map(|b| find(held.client, b.handle()));
        let other = held.other.as_ref().map(|i| find(1 - held.client, i.handle));
        let entries: Vec<_> = own.into_iter().chain(other).collect::<Result<_>>()?;
        if let [one, other] = entries[..] {
            let named_alike = gem_list::Entry {
                handle: one.handle,
                ..other.clone()
            };
            ensure!(*one == named_alike, "shared, but {one:?} and {other:?}");
        }
        Ok(entries)
    }

    /// What the list in debugfs adds up to, each buffer once: VRAM, its visible part, GTT, CPU.
    fn listed(&self) -> Result<[u64; 4]> {
        let clients = gem_list::read(&self.cards[0])?;
        let mut sums = [0; 4];
        let mut add = |entry: &gem_list::Entry| {
            match entry.placement {
                Some(Domain::Vram) => {
                    sums[0] += entry.size;
                    sums[1] += entry.visible;
                }
                Some(Domain::Gtt) => sums[2] += entry.size,
                Some(Domain::Cpu) => sums[3] += entry.size,
                None => {}
            };
        };
        let (mut handles, mut without_handle) = (0, Vec::new());
        for held in &self.buffers {
            let entries = self.entries(&clients, held)?;
            handles += entries.len();
            match entries.first() {
                Some(entry) => {
                    ensure!(entry.size == held.size, "{} bytes: {entry:?}", held.size);
                    add(entry);
                }
                None => without_handle.push(held.size),
            }
        }
        let lonely = clients.iter().filter(|client| client.id.is_none());
        let mut listed = Vec::new();
        for entry in lonely.flat_map(|client| &client.buffers) {
            add(entry);
            listed.push(entry.size);
        }
        listed.sort_unstable();
        without_handle.sort_unstable();
        ensure!(
            listed == without_handle,
            "without a handle: {listed:?}, not {without_handle:?}"
        );
        let all: usize = clients.iter().map(|client| client.buffers.len()).sum();
        ensure!(
            all == handles + listed.len(),
            "unknown buffers: {clients:?}"
        );
        Ok(sums)
    }

    fn check(&self) -> Result<()> {
        let card = &self.cards[0];
        let (listed, stats, heaps) = (self.listed()?, card.memory_stats()?, card.heaps()?);
        ensure_consistent(&stats)?;

        let live = live(&stats)?;
        ensure!(live == listed, "statistics: {live:?}, buffers: {listed:?}");
        let visible_before = self.heaps_before[0].visible_used;
        let held = [
            heaps[0].used - heaps[0].reserved,
            heaps[0].visible_used - visible_before,
            heaps[1].used - heaps[1].reserved,
            heaps[2].used,
        ];
        ensure!(held == listed, "managers: {held:?}, buffers: {listed:?}");
        let told = [
            stats.vram_used,
            stats.vram_free,
            stats.gtt_used,
            stats.gtt_free,
            stats.cpu_used,
        ];
        let wanted = [
            live[0],
            heaps[0].total - heaps[0].used,
            live[2],
            heaps[1].total - heaps[1].used,
            live[3],
        ];
        ensure!(told == wanted, "{told:?}, not {wanted:?}");

        ensure!(
            stats.objects_live == self.buffers.len() as u64,
            "{} of {} buffers are alive",
            stats.objects_live,
            self.buffers.len()
        );
        let before = &self.before;
        let created = stats.alloc.count - before.alloc.count;
        let freed = stats.free.count - before.free.count;
        ensure!(
            (created, freed) == (self.created, self.freed),
            "{created} created, {freed} freed, not {} and {}",
            self.created,
            self.freed
        );
        let too_big = failures(&stats, Errno::TOOBIG) - failures(before, Errno::TOOBIG);
        ensure!(too_big == self.too_big, "{too_big}, not {}", self.too_big);
        for (now, before) in stats.heaps.iter().zip(&before.heaps) {
            let allocated = now.allocated - before.allocated;
            let freed = now.freed - before.freed;
            ensure!(allocated - freed == now.live, "{now:?}, before {before:?}");
        }
        Ok(())
    }
}
