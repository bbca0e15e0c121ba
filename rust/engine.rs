// SPDX-License-Identifier: GPL-2.0

//! The copy engine: memory is moved and cleared by the card, in the order in which it is asked to.
//!
//! A job is cut into pieces, each of which ends with a fence packet: a number that counts up, in the
//! card's memory, and an interrupt. Pages without GPU addresses go through the transfer windows of the
//! GTT window, a piece at a time. What has no room in the ring or no window waits in a queue, and the
//! interrupts keep it going. Interrupts may be lost: as long as there is work, somebody looks now and
//! then. An engine that does not get on is reset, and what it had not finished is begun again: the
//! sources of all copies are still there, and later jobs have not begun. What fails time and again means
//! that the card is broken; then the engine is given up, and all that needs it fails with `EIO`.
//!
//! Lock order: resv → `state` → the aperture's → the GART's, and `flight` innermost but for that of a
//! fence. Where one of ours is held, no memory is allocated, as fences are signalled there. An interrupt
//! takes `flight` only, which is all it takes to signal fences; a thread does the rest, if there is any.

mod flight;
mod job;
mod ring;
mod running;
mod state;

use kernel::{
    device::{
        self,
        Bound,
        Device, //
    },
    fmt,
    io::Io,
    list::List,
    new_mutex,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
        new_spinlock_irq,
        Arc,
        Mutex,
        SpinLockIrq, //
    },
    time::Msecs, //
};

use self::{
    flight::Flight,
    job::{
        Job,
        Progress,
        Work,
        MAX_PIECE,
        WINDOW_BYTES, //
    },
    ring::CommandRing,
    state::State, //
};
use crate::{
    dma::fence::{
        Allocation,
        Fence,
        Signalling,
        Timeline, //
    },
    drm::{
        drm_print,
        Printer, //
    },
    gart::Gart,
    gmc::{
        self,
        Carveout,
        Gmc, //
    },
    gtt_mgr::GTT_MAX_TRANSFER_SIZE,
    hw::*,
    memory_stats::Stats,
    sys::{
        periodic::{
            Periodic,
            Tick, //
        },
        time::{
            jiffies,
            jiffies_to_ns, //
        },
    },
    ttm::{
        Aperture,
        BaseDevice, //
    }, //
};

pub(crate) use self::{
    job::{
        Ranges,
        Side, //
    },
    running::Running, //
};

/// ms between looks at an engine that has work, should an interrupt be lost.
const POLL: Msecs = 100;
/// ns after which an engine that does not get on is reset.
const TIMEOUT: u64 = 3_000_000_000;
const NSEC_PER_MSEC: u64 = 1_000_000;
/// Failures at one job after which the card is broken.
const MAX_FAILURES: u32 = 3;

/// The engine with the work that looks after it.
pub(crate) type CopyEngine = Periodic<Engine>;

/// The copy engine of a card.
#[pin_data]
pub(crate) struct Engine {
    dev: ARef<device::Device>,
    bdev: Arc<BaseDevice>,
    regs: Arc<BoundRegisters>,
    aperture: Arc<Aperture>,
    stats: Arc<Stats>,
    gmc: Gmc,
    /// VRAM offset of the number of the last fence packet that the card reached.
    fence: u64,
    #[pin]
    gart: Gart,
    #[pin]
    state: Mutex<State>,
    #[pin]
    flight: SpinLockIrq<Flight>,
    /// The card is broken.
    wedged: Atomic<bool>,
    /// When somebody looks next, in ns.
    due: Atomic<u64>,
    counters: Counters,
}

/// What the engine has done.
struct Counters {
    copies: Atomic<u64>,
    copied: Atomic<u64>,
    clears: Atomic<u64>,
    cleared: Atomic<u64>,
    /// Looks that found work ended without an interrupt.
    polled: Atomic<u64>,
    faults: Atomic<u64>,
    resets: Atomic<u64>,
}

impl Counters {
    fn new() -> Self {
        Self {
            copies: Atomic::new(0),
            copied: Atomic::new(0),
            clears: Atomic::new(0),
            cleared: Atomic::new(0),
            polled: Atomic::new(0),
            faults: Atomic::new(0),
            resets: Atomic::new(0),
        }
    }
}

/// The card while it is bound.
#[derive(Clone, Copy)]
struct Hw<'a> {
    parent: &'a Device<Bound>,
    regs: &'a Registers<'a>,
}

impl Engine {
    /// An engine that is not [started](Running::new) yet, with `carveout` for its own.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(
        dev: &Device<Bound>,
        bdev: Arc<BaseDevice>,
        regs: Arc<BoundRegisters>,
        aperture: Arc<Aperture>,
        stats: Arc<Stats>,
        gmc: Gmc,
        carveout: &Carveout,
    ) -> Result<Arc<CopyEngine>> {
        let state = State::new(carveout)?;
        let flight = Flight::new(carveout)?;
        let gart = Gart::new(regs.clone(), aperture.clone(), &carveout.gart)?;

        Periodic::new(
            dev,
            try_pin_init!(Self {
                dev: dev.into(),
                bdev,
                regs,
                aperture,
                stats,
                gmc,
                fence: carveout.fence.start,
                gart <- gart,
                state <- new_mutex!(state),
                flight <- new_spinlock_irq!(flight),
                wedged: Atomic::new(false),
                due: Atomic::new(0),
                counters: Counters::new(),
            }? Error),
        )
    }

    /// The table of the GTT window.
    pub(crate) fn gart(&self) -> &Gart {
        &self.gart
    }

    /// Whether the card is broken.
    pub(crate) fn is_wedged(&self) -> bool {
        self.wedged.load(Relaxed)
    }

    /// Prints what the engine has done.
    pub(crate) fn print(&self, p: &Printer) {
        let counters = &self.counters;

        for (name, counter) in [
            ("copies", &counters.copies),
            ("bytes copied", &counters.copied),
            ("clears", &counters.clears),
            ("bytes cleared", &counters.cleared),
            ("polled", &counters.polled),
            ("faults", &counters.faults),
            ("resets", &counters.resets),
        ] {
            drm_print!(p, "{:<14} {:>16}\n", name, counter.load(Relaxed));
        }
        drm_print!(p, "{:<14} {:>16}\n", "wedged", u32::from(self.is_wedged()));
    }

    /// Somebody looks in [`POLL`] ms. Tells the time in ns.
    fn watch(&self) -> u64 {
        let now = jiffies_to_ns(jiffies());

        self.due
            .store(now + u64::from(POLL) * NSEC_PER_MSEC, Relaxed);
        now
    }

    /// Whether nobody would look within `ms`, who now will.
    fn is_due_before(&self, ms: Msecs) -> bool {
        let at = jiffies_to_ns(jiffies()) + u64::from(ms) * NSEC_PER_MSEC;

        at < self.due.load(Relaxed) && {
            self.due.store(at, Relaxed);
            true
        }
    }

    fn hw<'a>(&'a self, parent: &'a Device<Bound>) -> Result<Hw<'a>> {
        Ok(Hw {
            parent,
            regs: self.regs.access(parent)?,
        })
    }

    /// Sets the engine up; nothing runs.
    fn start(&self, state: &mut State, hw: Hw<'_>) -> Result {
        self.gart.recover(hw.parent, |_| Ok(()))?;

        let mut flight = self.flight.lock();
        self.aperture
            .write(hw.parent, self.fence, &[flight.completed])?;
        flight.interrupts.start(hw.regs, self.gmc.vram.start);
        state.commands.start(hw.regs, self.gmc.vram.start);
        flight.active = true;
        Ok(())
    }

    /// Tells the engine as much as there is room for.
    fn advance(&self, state: &mut State, hw: Hw<'_>) -> Result {
        loop {
            let Some((job, mut at)) = state
                .current
                .take()
                .or_else(|| Some((state.waiting.pop_front()?, Progress::default())))
            else {
                break;
            };
            let window = {
                let mut flight = self.flight.lock();
                let window = match job.work.is_windowed() {
                    true => state
                        .windows
                        .iter()
                        .position(|&last| last <= flight.completed),
                    false => Some(0),
                }
                .filter(|_| state.commands.has_room(hw.regs, MAX_PIECE + 1));

                // The fence of a piece before this one brings us back here: it has to find this.
                flight.stalled = window.is_none();
                window
            };
            let Some(index) = window else {
                match at == Progress::default() {
                    true => state.waiting.push_front(job),
                    false => state.current = Some((job, at)),
                }
                break;
            };

            let first_page = index as u64 * GTT_MAX_TRANSFER_SIZE;
            if job.work.is_windowed() {
                self.gart
                    .map(hw.parent, first_page, job.work.window_pages(&at))?;
            }
            self.gart.flush(hw.regs);
            if at == Progress::default() {
                job.begun.store(self.stats.now(), Relaxed);
            }

            let window = self.gmc.gtt.start + index as u64 * WINDOW_BYTES;
            let commands = &mut state.commands;
            let mut push = |packet| commands.push(&self.aperture, hw.parent, packet);
            job.work.next_piece(&mut at, window, &mut push)?;

            let mut flight = self.flight.lock();
            flight.seqno += 1;
            push(Packet::Fence {
                value: flight.seqno,
                to: self.gmc.vram.start + self.fence,
            })?;

            if job.work.is_windowed() {
                state.windows[index] = flight.seqno;
            }
            if job.work.is_done(&at) {
                job.last.store(flight.seqno, Relaxed);
                flight.jobs.push_back(job);
            } else {
                state.current = Some((job, at));
            }
        }

        state.commands.tell(hw.regs);
        Ok(())
    }

    /// The engine failed: resets it, and has it begin again what it has not finished.
    fn recover(&self, state: &mut State, hw: Hw<'_>, why: fmt::Arguments<'_>) -> Result {
        let stopped = CommandRing::stop(hw.regs);
        let mut ended = List::new();

        self.counters.resets.add(1, Relaxed);
        let (completed, seqno) = {
            let mut flight = self.flight.lock();

            self.retire(&mut flight, hw, &mut ended)?;
            // Not while it is reset.
            flight.active = stopped;
            (flight.completed, flight.seqno)
        };
        dev_err!(
            self.dev,
            "copy engine: {}; {} it after fence {} of {}\n",
            why,
            if stopped { "restarting" } else { "resetting" },
            completed,
            seqno
        );

        // Who does not stop needs the whole card reset, which shuts the aperture for a moment.
        if !stopped {
            self.aperture.shut(&self.bdev, || {
                self.gart.recover(hw.parent, |regs| {
                    gmc::reset(regs, &self.gmc);
                    Ok(())
                })
            })?;
        }

        let broken = {
            let mut flight = self.flight.lock();
            let broken = state
                .first(&flight.jobs)
                .is_some_and(|job| job.failed() >= MAX_FAILURES);

            state.begin_again(&mut flight.jobs);
            broken
        };
        if broken {
            dev_err!(self.dev, "copy engine: given up, memory cannot be moved\n");
            self.wedged.store(true, Relaxed);
            while let Some(job) = state.waiting.pop_front() {
                job.end(Err(EIO));
            }
            return Ok(());
        }

        // What begins again has all the time for it.
        state.seen.1 = jiffies_to_ns(jiffies());
        self.start(state, hw)?;
        self.advance(state, hw)
    }

    fn is_idle(&self, state: &State) -> bool {
        state.waiting.is_empty() && state.current.is_none() && self.flight.lock().jobs.is_empty()
    }

    /// Sees to an engine whose interrupts may have been lost.
    fn look(&self, state: &mut State, hw: Hw<'_>) -> Result {
        let mut ended = List::new();
        let got_on = self.retire(&mut self.flight.lock(), hw, &mut ended)?;
        if got_on {
            self.counters.polled.add(1, Relaxed);
            self.advance(state, hw)?;
        }

        let now = jiffies_to_ns(jiffies());
        let completed = self.flight.lock().completed;
        let at = (completed, hw.regs.read(CP_RING_RPTR).into_raw());
        if self.is_idle(state) || state.seen.0 != at {
            state.seen = (at, now);
        }

        if hw.regs.read(CP_STATUS).error() {
            self.recover(state, hw, fmt!("error"))?;
        } else if now - state.seen.1 > TIMEOUT {
            self.recover(state, hw, fmt!("timeout"))?;
        }
        Ok(())
    }
}

impl CopyEngine {
    /// Has the engine copy the content of `from` to `to`, after all it was asked for before. The memory
    /// has to stay what it is until the fence is signalled.
    ///
    /// # Errors
    ///
    /// `ENODEV` while the engine is not started; `EIO` if the card is broken; `EINVAL` for sides of
    /// different sizes; `ENOMEM`.
    pub(crate) fn copy(&self, parent: &Device<Bound>, from: Side, to: Side) -> Result<ARef<Fence>> {
        self.submit(parent, Work::Copy { from, to })
    }

    /// As [`copy`](Self::copy), but zeroes the bytes at these GPU addresses.
    ///
    /// # Errors
    ///
    /// Those of [`copy`](Self::copy).
    pub(crate) fn clear(&self, parent: &Device<Bound>, to: Ranges) -> Result<ARef<Fence>> {
        self.submit(parent, Work::Clear { to })
    }

    fn submit(&self, parent: &Device<Bound>, work: Work) -> Result<ARef<Fence>> {
        let hw = self.hw(parent)?;
        let allocation = Allocation::new()?;
        let job = Job::new(work)?;
        let mut state = self.state.lock();

        if self.is_wedged() {
            return Err(EIO);
        }
        let pending = allocation.publish(state.context.clone().ok_or(ENODEV)?);
        let fence = pending.fence().clone();

        job.fence.populate(pending);
        state.waiting.push_back(job);
        self.log(self.advance(&mut state, hw));
        if !state.watched {
            state.watched = true;
            state.seen.1 = self.watch();
            self.kick(POLL);
        }
        Ok(fence)
    }

    fn log(&self, result: Result) {
        if let Err(err) = result {
            dev_err!(self.dev, "copy engine: {:?}\n", err);
        }
    }
}

impl Timeline for CopyEngine {
    const DRIVER_NAME: &'static CStr = c"pddgpu";
    const NAME: &'static CStr = c"copy";

    /// Looks half-way there, so that whoever waits no longer than that hears of it.
    fn set_deadline(&self, ms: Msecs) {
        if self.is_due_before(ms / 2) {
            self.kick(ms / 2);
        }
    }
}

impl Tick for Engine {
    fn tick(&self, parent: &Device<Bound>) -> Option<Msecs> {
        let _signalling = Signalling::begin();
        let hw = self.hw(parent).ok()?;
        let mut state = self.state.lock();

        state.context.as_ref()?;
        if let Err(err) = self.look(&mut state, hw) {
            dev_err!(self.dev, "copy engine: {:?}\n", err);
        }
        state.watched = !self.is_idle(&state);
        self.watch();
        state.watched.then_some(POLL)
    }
}
