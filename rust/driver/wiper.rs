// SPDX-License-Identifier: GPL-2.0

//! The zeroing of free VRAM while the card is bound.

use kernel::{
    device::{
        Bound,
        Device, //
    },
    new_mutex,
    prelude::*,
    sync::{
        aref::ARef,
        Arc,
        Mutex, //
    },
    time::Msecs, //
};

use crate::{
    abstractions::{
        dma::fence::Fence,
        workqueue::{
            Periodic,
            Tick, //
        }, //
    },
    bo::vram_addresses,
    copy_engine::{
        CopyEngine,
        JobOwner, //
    },
    device::PddgpuDevice,
    mgr::vram_mgr::Wiper, //
};

/// ms after which it is tried again without memory, and for which a job is waited for at a time.
const PAUSE: Msecs = 100;
/// ms that the engine has for one job before the card goes to rest.
const REST_TIME: Msecs = 10_000;

/// Has the engine zero some of what is free. Returns the fence of the job; [`None`] if nothing is to be
/// zeroed now.
///
/// # Errors
///
/// `ENODEV` once the card is being unbound; `EIO` if the engine was given up; `ENOMEM`.
fn wipe_some(
    parent: &Device<Bound>,
    ddev: &PddgpuDevice,
    engine: &CopyEngine,
) -> Result<Option<ARef<Fence>>> {
    ddev.vram.wipe(|ranges| {
        let ranges = vram_addresses(ddev, ranges)?;

        engine.clear(parent, ranges, JobOwner::default())
    })
}

/// Has all zeroed that is free, and waits for it. Nobody may be using VRAM.
///
/// # Errors
///
/// `ETIME` if the engine is too slow; `EIO` if it was given up; `ENODEV`; `ENOMEM`.
pub(super) fn wipe_all(parent: &Device<Bound>, ddev: &PddgpuDevice) -> Result {
    let Some(engine) = &ddev.engine else {
        return Ok(());
    };

    while let Some(fence) = wipe_some(parent, ddev, engine)? {
        fence.wait_for(REST_TIME).unwrap_or(Err(ETIME))?;
        ddev.vram.wiped();
    }
    Ok(())
}

/// Has the engine zero what is free.
#[pin_data]
struct Worker {
    /// The card; [`None`] once it is being unbound: devres has a reference on this, which must not be
    /// what keeps the device.
    #[pin]
    ddev: Mutex<Option<ARef<PddgpuDevice>>>,
    engine: Arc<CopyEngine>,
}

impl Tick for Worker {
    fn tick(&self, parent: &Device<Bound>) -> Option<Msecs> {
        let ddev = self.ddev.lock().clone()?;

        match wipe_some(parent, &ddev, &self.engine) {
            // It takes as long as the card rests, and a wait without end would look like a hang.
            Ok(Some(fence)) if fence.wait_for(PAUSE).is_none() => return Some(0),
            Ok(_) => (),
            Err(ENOMEM) => return Some(PAUSE),
            // The engine is of no use any more.
            Err(_) => {
                ddev.vram.set_wiper(None);
                return None;
            }
        }
        ddev.vram.wiped()
    }
}

impl Wiper for Periodic<Worker> {
    fn wipe_within(&self, delay: Msecs) {
        self.kick(delay);
    }
}

/// A guard that has free VRAM zeroed until it is dropped.
pub(super) struct Wiping {
    worker: Arc<Periodic<Worker>>,
    ddev: ARef<PddgpuDevice>,
}

impl Wiping {
    /// A guard for a card; [`None`] if it has no engine. At first all of VRAM is zeroed.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn new(dev: &Device<Bound>, ddev: &ARef<PddgpuDevice>) -> Result<Option<Self>> {
        let Some(engine) = &ddev.engine else {
            return Ok(None);
        };
        let worker = Periodic::new(
            dev,
            try_pin_init!(Worker {
                ddev <- new_mutex!(Some(ddev.clone())),
                engine: engine.clone(),
            }? Error),
        )?;

        ddev.vram.set_wiper(Some(worker.clone()));
        Ok(Some(Self {
            worker,
            ddev: ddev.clone(),
        }))
    }
}

impl Drop for Wiping {
    fn drop(&mut self) {
        self.ddev.vram.set_wiper(None);
        self.worker.stop();
        let _ddev = self.worker.ddev.lock().take();
    }
}
