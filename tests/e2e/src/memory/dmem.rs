// SPDX-License-Identifier: GPL-2.0

//! VRAM belongs to the dmem cgroup of who allocates it, on a kernel that has the controller.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::{Create, Domain, Domains};
use rustix::mount::{mount, MountFlags};

use crate::support::{
    child::{Child, Part},
    driver::slot,
    engine::finish,
    fixture::{skip, trials, Bench},
};

/// Bytes of VRAM that the cgroup may have.
const MAX: u64 = 8 << 20;

/// Bytes of each buffer of the child.
const BUFFER: u64 = 2 << 20;

pub fn tests() -> Vec<Trial> {
    trials!(card_trial: a_cgroup_gets_no_more_vram_than_its_limit)
}

/// A cgroup that is removed when it is dropped.
struct Cgroup(PathBuf);

impl Cgroup {
    /// Ends a test on a kernel without the controller.
    fn new(name: &str) -> Result<Self> {
        let root = Path::new("/sys/fs/cgroup");
        if !root.join("cgroup.controllers").exists() {
            mount("none", root, "cgroup2", MountFlags::empty(), None).context("cgroup2")?;
        }
        if !fs::read_to_string(root.join("cgroup.controllers"))?.contains("dmem") {
            return skip("this kernel has no dmem controller");
        }
        fs::write(root.join("cgroup.subtree_control"), "+dmem").context("dmem controller")?;
        let path = root.join(name);
        fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Whoever was in it is dead by now.
        let _ = fs::remove_dir(&self.0);
    }
}

fn a_cgroup_gets_no_more_vram_than_its_limit(bench: &Bench) -> Result<()> {
    let cgroup = Cgroup::new("pddgpu-e2e-dmem")?;
    let region = format!("drm/{}/vram", slot(&bench.card)?);
    let capacity = fs::read_to_string("/sys/fs/cgroup/dmem.capacity")?;
    ensure!(capacity.contains(&region), "no {region} in {capacity}");
    fs::write(cgroup.0.join("dmem.max"), format!("{region} {MAX}")).context("dmem.max")?;

    // The others keep what they have.
    let own = bench.card.create(Create::new(BUFFER, Domains::VRAM))?;
    finish(&own)?;
    let before = bench.heap(Domain::Vram)?.used;
    let mut child = Child::start(Part::Fill, bench.card.path(), None)?;
    child.tell(&format!("{} {} {BUFFER}", cgroup.0.display(), Domain::Vram))?;
    for _ in 0..2 * MAX / BUFFER {
        child.listen()?;
        let used = bench.heap(Domain::Vram)?.used - before;
        ensure!(used <= MAX + BUFFER, "the cgroup has {used} bytes of VRAM");
    }
    ensure!(
        own.info()?.placement == Domain::Vram,
        "evicted for a cgroup at its limit: {:?}",
        own.info()?
    );
    child.kill()?;
    Ok(())
}
