// SPDX-License-Identifier: GPL-2.0

//! Sleep of the system: what VRAM holds is saved before, and brought back after it.
//!
//! Before processes are frozen, all of VRAM is moved to system memory, as long as memory can be
//! reclaimed and swapped out. If there is not enough, the system does not sleep. When the card is
//! suspended, what has come to VRAM since is moved, too, and the engine stops. When it is resumed it
//! is set up as at probe. A worker brings the buffers back once processes run again.

use kernel::{
    device::{
        Bound,
        Device, //
    },
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        Arc, //
    },
    time::Msecs, //
};

use crate::{
    abstractions::{
        pm::{
            SleepListener,
            SleepNotifier, //
        },
        workqueue::{
            Periodic,
            Tick, //
        }, //
    },
    bo::{
        evacuate_vram,
        return_to_vram,
        settle_all, //
    },
    device::PddgpuDevice,
    driver::wiper::wipe_all,
    hw::{
        gmc::{
            self,
            Gmc, //
        },
        regs::BoundRegisters, //
    }, //
};

/// A card whose power may go. Dropping it ends the notices of sleep, and the return of buffers.
pub(crate) struct Power {
    _notifier: Pin<KBox<SleepNotifier<Arc<Periodic<Return>>>>>,
    pub(super) back: Arc<Periodic<Return>>,
    regs: Arc<BoundRegisters>,
    /// Whether the card is at rest and VRAM was empty then. So what comes to VRAM meanwhile is written
    /// when the card is up again, and cannot be lost. With the device's lock.
    saved: Atomic<bool>,
}

impl Power {
    /// Watches over the power of a card.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn new(back: Arc<Periodic<Return>>, regs: Arc<BoundRegisters>) -> Result<Self> {
        let this = Self {
            _notifier: SleepNotifier::new(back.clone())?,
            back,
            regs,
            saved: Atomic::new(false),
        };

        this.ddev().returning.set_worker(Some(this.back.clone()));
        this.back.begin();
        Ok(this)
    }

    fn ddev(&self) -> &PddgpuDevice {
        &self.back.ddev
    }

    /// Saves what VRAM holds, has it zeroed, and stops the card. Until [`wake`](Self::wake) nobody accesses it.
    ///
    /// # Errors
    ///
    /// Those of [`evacuate_vram`]; `EBUSY` if the engine's jobs do not end. Then the card goes on.
    pub(super) fn rest(&self, dev: &Device<Bound>) -> Result {
        let ddev = self.ddev();

        self.back.end();
        let passage = match ddev.check_engine() {
            Ok(()) => Some(evacuate_vram(ddev)?),
            // What only the engine could have moved is lost to its owners already.
            Err(err) => {
                dev_warn!(dev, "VRAM is not saved: {:?}\n", err);
                None
            }
        };

        if passage.is_some() {
            // Otherwise it stays known as not zero.
            if let Err(err) = wipe_all(dev, ddev) {
                dev_warn!(dev, "VRAM keeps its content: {:?}\n", err);
            }
        }
        ddev.vram.rest_wiping(true);
        if let Some(engine) = &ddev.engine {
            engine
                .suspend(dev)
                .inspect_err(|_| ddev.vram.rest_wiping(false))?;
        }
        ddev.aperture.close(&ddev.bdev);
        if passage.is_some() {
            // Nobody has anything there. What is allocated from now on has to be zeroed.
            ddev.vram.content_lost();
            self.saved.store(true, Relaxed);
        }
        drop(passage);
        gmc::disable(self.regs.access(dev)?);
        Ok(())
    }

    /// Stops the card at once. Until [`wake`](Self::wake) nobody accesses it.
    pub(super) fn halt(&self, dev: &Device<Bound>) -> Result {
        let ddev = self.ddev();

        self.back.end();
        ddev.vram.rest_wiping(true);
        if let Some(engine) = &ddev.engine {
            engine.halt(dev)?;
        }
        ddev.aperture.close(&ddev.bdev);
        gmc::disable(self.regs.access(dev)?);
        Ok(())
    }

    /// Keeps everybody from a card that does not answer, until [`wake`](Self::wake).
    pub(super) fn cut_off(&self) {
        let ddev = self.ddev();

        self.back.end();
        ddev.vram.rest_wiping(true);
        if let Some(engine) = &ddev.engine {
            engine.cut_off();
        }
        ddev.aperture.close(&ddev.bdev);
    }

    /// Brings the card up again as it was, if it is the same.
    ///
    /// # Errors
    ///
    /// `ENODEV` if it is not; `EIO` if its engine does not obey. Then the engine was given up.
    pub(super) fn wake(&self, dev: &Device<Bound>) -> Result {
        let ddev = self.ddev();
        let result = self.bring_up(dev);

        if result.is_err() {
            if let Some(engine) = &ddev.engine {
                let _ = engine.give_up(dev);
            }
        }
        ddev.aperture.reopen();
        ddev.vram.rest_wiping(false);
        if result == Ok(true) {
            settle_all(ddev);
        }
        result.map(drop)
    }

    /// Returns whether VRAM has lost content that was not saved.
    fn bring_up(&self, dev: &Device<Bound>) -> Result<bool> {
        let was_saved = self.saved.xchg(false, Relaxed);
        let ddev = self.ddev();
        let regs = self.regs.access(dev)?;

        if Gmc::read(dev, regs, ddev.gmc.visible_size) != Ok(ddev.gmc.clone()) {
            dev_err!(dev, "this is not the card that was put to rest\n");
            return Err(ENODEV);
        }
        // Asked in any case, because that clears it.
        let is_lost = gmc::vram_lost(regs) && !was_saved;
        if is_lost {
            ddev.vram.content_lost();
        }
        match &ddev.engine {
            Some(engine) => engine.resume(dev, is_lost)?,
            None => ddev
                .aperture
                .shut(&ddev.bdev, || gmc::reset(regs, &ddev.gmc)),
        }
        Ok(is_lost)
    }
}

impl Drop for Power {
    fn drop(&mut self) {
        self.ddev().returning.set_worker(None);
        self.back.stop();
        // Who waits for it would keep the device from being unplugged.
        self.ddev().aperture.reopen();
    }
}

/// The worker that gives buffers the content that they have after a loss, brings back to VRAM those that
/// are displaced, and tells clients their budgets.
#[pin_data]
pub(super) struct Return {
    ddev: ARef<PddgpuDevice>,
    /// Whether they should come back, that is the system is not about to sleep.
    wanted: Atomic<bool>,
    /// Whether VRAM has lost its content.
    lost: Atomic<bool>,
}

impl Tick for Return {
    fn tick(&self, _parent: &Device<Bound>) -> Option<Msecs> {
        if self.lost.xchg(false, Acquire) {
            settle_all(&self.ddev);
        }
        let watch = self.ddev.budgets.tell(self.ddev.vram.usable_now());
        let back = if self.wanted.load(Acquire) {
            return_to_vram(&self.ddev, || self.wanted.load(Acquire))
        } else {
            None
        };

        // Whichever comes first.
        Iterator::chain(watch.into_iter(), back).min()
    }
}

impl Periodic<Return> {
    /// A worker for a card.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn for_card(dev: &Device<Bound>, ddev: ARef<PddgpuDevice>) -> Result<Arc<Self>> {
        Self::new(
            dev,
            try_pin_init!(Return {
                ddev,
                wanted: Atomic::new(false),
                lost: Atomic::new(false),
            }? Error),
        )
    }

    /// Notes that VRAM has lost its content. The worker settles what that means for each buffer, because
    /// it has to wait for locks whose owners may wait for the engine.
    pub(super) fn vram_lost(&self) {
        self.ddev.vram.content_lost();
        self.lost.store(true, Release);
        self.kick(0);
    }

    /// Brings buffers back from now on.
    pub(super) fn begin(&self) {
        self.wanted.store(true, Release);
        self.kick(0);
    }

    /// Brings no more buffers back, once nobody is at the turnstile.
    fn end(&self) {
        self.wanted.store(false, Release);
    }
}

impl SleepListener for Arc<Periodic<Return>> {
    fn prepare(&self) -> Result {
        self.end();
        if self.ddev.check_engine().is_err() {
            return Ok(());
        }
        evacuate_vram(&self.ddev).map(drop).inspect_err(|err| {
            dev_err!(self.ddev.stats.dev(), "cannot sleep: {:?}\n", err);
            self.begin();
        })
    }

    fn awake(&self) {
        self.begin();
    }
}
