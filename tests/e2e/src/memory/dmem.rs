// SPDX-License-Identifier: GPL-2.0

//! VRAM belongs to the dmem cgroup of who allocates it, on a kernel that has the controller.

use std::{fs, path::PathBuf};

use anyhow::{ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::{Create, Domain, Domains};
use rustix::process::{kill_process, Pid, Signal};

use crate::support::{
    cgroup::{has_dmem, root as cgroup_root},
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
    trials!(card_trial:
        a_cgroup_gets_no_more_vram_than_its_limit,
        a_limit_that_is_lowered_takes_vram_away,
    )
}

/// A cgroup with a region of VRAM. It is removed when this is dropped.
struct Cgroup {
    path: PathBuf,
    region: String,
}

impl Cgroup {
    /// Ends a test on a kernel without the controller.
    fn new(bench: &Bench, name: &str) -> Result<Self> {
        if !has_dmem()? {
            return skip("this kernel has no dmem controller");
        }
        let root = cgroup_root();
        fs::write(root.join("cgroup.subtree_control"), "+dmem").context("dmem controller")?;
        let region = format!("drm/{}/vram", slot(&bench.card)?);
        let capacity = fs::read_to_string(root.join("dmem.capacity"))?;
        ensure!(capacity.contains(&region), "no {region} in {capacity}");
        let path = root.join(name);
        fs::create_dir(&path)?;
        Ok(Self { path, region })
    }

    /// Sets a limit in bytes of VRAM.
    fn set(&self, file: &str, bytes: u64) -> Result<()> {
        fs::write(self.path.join(file), format!("{} {bytes}", self.region))
            .with_context(|| file.to_owned())
    }

    /// Bytes of VRAM that it has.
    fn current(&self) -> Result<u64> {
        let text = fs::read_to_string(self.path.join("dmem.current"))?;
        let bytes = text
            .lines()
            .find_map(|line| line.strip_prefix(&self.region));
        Ok(bytes.with_context(|| text.clone())?.trim().parse()?)
    }

    /// A process in it that creates buffers of 2 MiB in these domains until there is no more room.
    fn filler(&self, bench: &Bench, domain: Domain) -> Result<Child> {
        let mut child = Child::start(Part::Fill, bench.card.path(), None)?;
        child.tell(&format!("{} {domain} {BUFFER}", self.path.display()))?;
        Ok(child)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Whoever was in it is dead by now.
        let _ = fs::remove_dir(&self.path);
    }
}

/// Stops a child where it stands.
fn pause(child: &Child) -> Result<()> {
    let pid = Pid::from_raw(child.pid().try_into()?).context("no child")?;
    Ok(kill_process(pid, Signal::STOP)?)
}

fn a_cgroup_gets_no_more_vram_than_its_limit(bench: &Bench) -> Result<()> {
    let cgroup = Cgroup::new(bench, "pddgpu-e2e-dmem")?;
    cgroup.set("dmem.max", MAX)?;

    // The others keep what they have.
    let own = bench.card.create(Create::new(BUFFER, Domains::VRAM))?;
    finish(&own)?;
    let before = bench.heap(Domain::Vram)?.used;
    let mut child = cgroup.filler(bench, Domain::Vram)?;
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

fn a_limit_that_is_lowered_takes_vram_away(bench: &Bench) -> Result<()> {
    let (cgroup, other) = (
        Cgroup::new(bench, "pddgpu-e2e-dmem")?,
        Cgroup::new(bench, "pddgpu-e2e-dmem-other")?,
    );
    let mut children = Vec::new();
    for cgroup in [&cgroup, &other] {
        let mut child = cgroup.filler(bench, Domain::Vram)?;
        for _ in 0..MAX / BUFFER {
            child.listen()?;
        }
        pause(&child)?;
        children.push(child);
    }
    let has = cgroup.current()?;
    ensure!(has >= MAX, "it has {has} bytes");
    let others_have = other.current()?;
    cgroup.set("dmem.max", MAX / 2)?;
    let now = cgroup.current()?;
    ensure!(now <= MAX / 2, "it had {has} bytes, and now {now}");
    ensure!(
        other.current()? == others_have,
        "another cgroup had {others_have} bytes, and now {}",
        other.current()?
    );
    for child in children {
        child.kill()?;
    }
    Ok(())
}
