// SPDX-License-Identifier: GPL-2.0

//! Every allocation of every operation failing once: the first, the second, and so on until the
//! operation has no more of them.
//!
//! Only allocations that the driver makes or has made for it count: those with a function of its in
//! the stack. What the kernel does without one is not what is tested here.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    slice,
};

use anyhow::{bail, ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::{virtual_card::pages, Buffer, Card, Create, CreateFlags, Domain, Domains};
use rustix::{
    fs::{memfd_create, MemfdFlags},
    io::{pwrite, Errno},
};

use crate::support::{
    compare::{ensure_holds, ensure_zero},
    controller::parts_enabled,
    driver::{card_at, Driver},
    fault_injection::{self, NTH},
    fixture::{skip, trials, Bench, State},
    nodes::use_every_ioctl,
    prime,
};

pub fn tests() -> Vec<Trial> {
    let mut tests = trials!(card_trial: create, export, fault, migrate, query, close);
    tests.extend(trials!(driver_trial: probe));
    tests
}

/// Bytes of a buffer: enough for several pages, so that one of them may be the one that fails.
const SIZE: u64 = 5 * pages::PAGE as u64;

/// What an operation says that got no memory.
const REFUSED: &[Errno] = &[Errno::NOMEM];

/// The kernel's own accesses get this where a process would get SIGBUS.
const REFUSED_FAULT: &[Errno] = &[Errno::FAULT];

/// The kernel's tree of I/O memory has no other word for being short of memory than `EBUSY`, and PCI's
/// interrupts have `ENODEV` and `ENOSPC`.
const REFUSED_PROBE: &[Errno] = &[Errno::NOMEM, Errno::BUSY, Errno::NODEV, Errno::NOSPC];

/// No operation makes more allocations.
const MOST: u32 = 5000;

/// Lets the n-th allocation of this thread fail.
struct Faults(File);

impl Faults {
    fn find() -> Result<Self> {
        if !fault_injection::prepare()? {
            return skip("this kernel has no fail-nth");
        }
        let file = OpenOptions::new().read(true).write(true).open(NTH)?;
        Ok(Self(file))
    }

    /// Has the `n`th allocation fail while `operate` runs. Tells too whether there was one.
    fn during<R>(&self, n: u32, operate: impl FnOnce() -> R) -> Result<(R, bool)> {
        self.0.write_at(n.to_string().as_bytes(), 0)?;
        let result = operate();
        let mut left = [0; 16];
        let len = self.0.read_at(&mut left, 0)?;
        self.0.write_at(b"0", 0)?;
        let left: u32 = std::str::from_utf8(&left[..len])?.trim().parse()?;
        Ok((result, left == 0))
    }

    /// Has each allocation of an operation fail once, on what `prepare` makes anew each time. `check`
    /// gets it back with what became of it: [`None`] if it was refused for want of memory.
    fn sweep<P, R>(
        &self,
        what: &str,
        refused_as: &[Errno],
        prepare: impl Fn() -> Result<P>,
        operate: impl Fn(&mut P) -> Result<R>,
        check: impl Fn(P, Option<R>) -> Result<()>,
    ) -> Result<()> {
        let mut refused = 0;
        for n in 1..MOST {
            let mut prepared = prepare()?;
            let (result, failed) = self.during(n, || operate(&mut prepared))?;
            let done = match result {
                Ok(done) => Some(done),
                Err(error) if failed && errno(&error).is_some_and(|e| refused_as.contains(&e)) => {
                    None
                }
                Err(error) => return Err(error.context(format!("{what}, allocation {n}"))),
            };
            refused += u32::from(done.is_none());
            check(prepared, done).with_context(|| format!("{what}, allocation {n}"))?;
            if !failed {
                let failed = n - 1;
                println!("{what}: {failed} allocations failed, {refused} times it was refused");
                return Ok(());
            }
        }
        bail!("{what}: no end after {MOST} allocations");
    }

    /// As [`sweep`](Self::sweep), on a card whose counters have to be as before each time, and which has
    /// to work.
    fn sweep_card<P, R>(
        &self,
        what: &str,
        refused_as: &[Errno],
        card: &Card,
        prepare: impl Fn() -> Result<P>,
        operate: impl Fn(&mut P) -> Result<R>,
        check: impl Fn(&P, Option<R>) -> Result<()>,
    ) -> Result<()> {
        let before = State::settled(card)?;
        self.sweep(what, refused_as, prepare, operate, |prepared, done| {
            check(&prepared, done)?;
            drop(prepared);
            before.await_return(|| State::of(card))?;
            use_every_ioctl(card)
        })
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        // A thread that goes on with it would fail for everybody to see.
        let _ = self.0.write_at(b"0", 0);
    }
}

fn errno(error: &anyhow::Error) -> Option<Errno> {
    if let Some(error) = error.downcast_ref::<pddgpu::Error>() {
        return error.errno();
    }
    let errno = error.downcast_ref::<Errno>().copied();
    errno.or_else(|| Errno::from_io_error(error.downcast_ref::<io::Error>()?))
}

fn create_in(bench: &Bench, domain: Domain) -> Result<Buffer> {
    let create = Create::new(SIZE, domain.into()).flags(CreateFlags::CPU_ACCESS_REQUIRED);
    Ok(bench.card.create(create)?)
}

fn create(bench: &Bench) -> Result<()> {
    let faults = Faults::find()?;
    for domain in Domain::ALL {
        faults.sweep_card(
            &format!("create in {domain}"),
            REFUSED,
            &bench.card,
            || Ok(()),
            |()| create_in(bench, domain),
            |(), buffer| {
                let Some(buffer) = buffer else { return Ok(()) };
                let info = buffer.info()?;
                ensure!(info.placement == domain, "{info:?}");
                ensure_zero(&buffer.map()?, "the buffer")
            },
        )?;
    }
    Ok(())
}

fn export(bench: &Bench) -> Result<()> {
    Faults::find()?.sweep_card(
        "export",
        REFUSED,
        &bench.card,
        || create_in(bench, Domain::Gtt),
        |buffer| prime::export(buffer),
        |buffer, exported| {
            drop(exported);
            buffer.info()?;
            Ok(())
        },
    )
}

/// The first access to a buffer in each domain; and to one that has to be moved for it.
fn fault(bench: &Bench) -> Result<()> {
    let faults = Faults::find()?;
    let required = CreateFlags::CPU_ACCESS_REQUIRED;
    let cases = [
        ("fault in CPU", Domains::CPU, required),
        ("fault in GTT", Domains::GTT, required),
        ("fault in VRAM", Domains::VRAM, required),
        ("fault out of reach", Domains::VRAM, CreateFlags::empty()),
    ];
    let sink = memfd_create("sink", MemfdFlags::CLOEXEC)?;
    for (what, domains, flags) in cases {
        faults.sweep_card(
            what,
            REFUSED_FAULT,
            &bench.card,
            || {
                let buffer = bench.card.create(Create::new(SIZE, domains).flags(flags))?;
                let map = buffer.map()?;
                Ok((buffer, map))
            },
            |(_, map)| {
                // SAFETY: The mapping is longer than that. Only the kernel reads here.
                let byte = unsafe { slice::from_raw_parts(map.as_ptr(), 1) };
                Ok(pwrite(&sink, byte, 0)?)
            },
            |(buffer, map), _| {
                ensure_zero(map, what)?;
                let info = buffer.info()?;
                ensure!(
                    info.visible == info.size || domains == Domains::CPU,
                    "{info:?}"
                );
                Ok(())
            },
        )?;
    }
    Ok(())
}

/// Moves from each domain to each other one.
fn migrate(bench: &Bench) -> Result<()> {
    let faults = Faults::find()?;
    let content = pages::pattern(900, SIZE as usize);
    for from in Domain::ALL {
        for to in Domain::ALL.into_iter().filter(|&to| to != from) {
            faults.sweep_card(
                &format!("move from {from} to {to}"),
                REFUSED,
                &bench.card,
                || {
                    let buffer = create_in(bench, from)?;
                    let mut map = buffer.map()?;
                    map.write(0, &content);
                    Ok((buffer, map))
                },
                |(buffer, _)| Ok(buffer.move_to(to)?),
                |(buffer, map), moved| {
                    let placement = buffer.info()?.placement;
                    match moved {
                        Some(()) => ensure!(placement == to, "it is in {placement}"),
                        // GTT is on the way.
                        None => ensure!(
                            placement == from || placement == Domain::Gtt,
                            "it is in {placement}"
                        ),
                    }
                    ensure_holds(map, &content, "at first")?;
                    buffer.move_to(to).context("the second time")?;
                    ensure!(buffer.info()?.placement == to);
                    ensure_holds(map, &content, "the second time")
                },
            )?;
        }
    }
    Ok(())
}

fn query(bench: &Bench) -> Result<()> {
    type Query = fn(&Buffer) -> pddgpu::Result<()>;
    let queries: [(&str, Query); 7] = [
        ("query device", |buffer| buffer.card().device().map(drop)),
        ("query heaps", |buffer| buffer.card().heaps().map(drop)),
        ("query statistics", |buffer| {
            buffer.card().memory_stats().map(drop)
        }),
        ("query leaks", |buffer| buffer.card().leaks().map(drop)),
        ("query owners", |buffer| buffer.card().owners().map(drop)),
        ("label", |buffer| buffer.set_label(c"label")),
        ("query buffer", |buffer| buffer.info().map(drop)),
    ];
    let faults = Faults::find()?;
    for (what, query) in queries {
        faults.sweep_card(
            what,
            REFUSED,
            &bench.card,
            || create_in(bench, Domain::Gtt),
            |buffer| Ok(query(buffer)?),
            |buffer, _| Ok(query(buffer)?),
        )?;
    }
    Ok(())
}

/// What frees memory never fails for want of it.
fn close(bench: &Bench) -> Result<()> {
    let faults = Faults::find()?;
    for domain in Domain::ALL {
        faults.sweep_card(
            &format!("close in {domain}"),
            REFUSED,
            &bench.card,
            || Ok(Some(create_in(bench, domain)?)),
            |buffer| Ok(buffer.take().map_or(Ok(()), Buffer::close)?),
            |_, closed| closed.context("it was refused"),
        )?;
    }
    faults.sweep_card(
        "close the file",
        REFUSED,
        &bench.card,
        || {
            let card = Card::open(bench.card.path())?;
            for domain in Domain::ALL {
                card.create(Create::new(SIZE, domain.into()))?;
            }
            Ok(Some(card))
        },
        |card| {
            drop(card.take());
            Ok(())
        },
        |_, _| Ok(()),
    )
}

fn probe(driver: &Driver) -> Result<()> {
    let here = || card_at(&driver.slot);
    Faults::find()?.sweep(
        "probe",
        REFUSED_PROBE,
        || driver.unbind(),
        |()| Ok(driver.bind()?),
        |(), bound| {
            if bound.is_none() {
                ensure!(!driver.is_bound(), "bound nevertheless");
                ensure!(here()?.is_none(), "a node is left");
                ensure!(parts_enabled()? == 0, "refused, but enabled");
                driver.bind().context("bind with memory enough")?;
            } else if here()?.is_none() {
                // The kernel keeps it to itself when it has no memory for a file in /dev.
                driver.unbind()?;
                driver.bind().context("bind with memory enough")?;
            }
            ensure!(driver.is_bound(), "not bound");
            use_every_ioctl(&here()?.context("bound, but without a node")?)
        },
    )
}
