// SPDX-License-Identifier: GPL-2.0

//! System memory of buffers belongs to the memory cgroup of who creates them.

use std::{fs, path::PathBuf};

use anyhow::{ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::Domain;

use crate::support::{
    cgroup,
    child::{Child, Part},
    fixture::{skip, trials, Bench},
    meminfo::{drop_caches, meminfo, Swap},
    patience::eventually,
};

/// Bytes that the cgroup may have.
const MAX: u64 = 48 << 20;

/// Bytes of each buffer of the child.
const BUFFER: u64 = 4 << 20;

pub fn tests() -> Vec<Trial> {
    trials!(card_trial:
        a_cgroup_gets_no_more_than_its_limit,
        a_full_cgroup_gets_its_pages_back,
        nobody_is_killed_for_a_hog_of_empty_buffers,
        who_touches_too_much_is_refused,
    )
}

/// A memory cgroup that is removed when it is dropped.
struct Cgroup(PathBuf);

impl Cgroup {
    fn new() -> Result<Self> {
        let root = cgroup::root();
        fs::write(root.join("cgroup.subtree_control"), "+memory").context("memory controller")?;
        let path = root.join("pddgpu-e2e");
        fs::create_dir(&path)?;
        let this = Self(path);
        this.write("memory.max", &MAX.to_string())?;
        Ok(this)
    }

    fn write(&self, file: &str, text: &str) -> Result<()> {
        fs::write(self.0.join(file), text).with_context(|| file.to_owned())
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Whoever was in it is dead by now.
        let _ = fs::remove_dir(&self.0);
    }
}

fn a_cgroup_gets_no_more_than_its_limit(bench: &Bench) -> Result<()> {
    for domain in [Domain::Gtt, Domain::Cpu] {
        let cgroup = Cgroup::new()?;
        let mut child = Child::start(Part::Fill, bench.card.path(), None)?;
        child.tell(&format!("{} {domain} {BUFFER}", cgroup.0.display()))?;
        let mut count = 0;
        // It is refused, or shot by the cgroup's own OOM killer.
        while let Ok(said) = child.listen() {
            if said == "refused" {
                break;
            }
            count = said.parse()?;
            ensure!(
                count * BUFFER <= MAX,
                "{domain}: {count} buffers of {BUFFER} bytes"
            );
        }
        ensure!(count > 1, "{domain}: not even two");
        child.kill()?;
    }
    Ok(())
}

/// Pages that are brought back take the place of their backup, in the cgroup too.
fn a_full_cgroup_gets_its_pages_back(bench: &Bench) -> Result<()> {
    let cgroup = Cgroup::new()?;
    let mut child = Child::start(Part::Fill, bench.card.path(), None)?;
    // There is no room for it twice.
    let size = MAX * 5 / 8;
    child.tell(&format!("{} {} {size}", cgroup.0.display(), Domain::Gtt))?;
    while child.listen()? != "refused" {}
    let _swap = Swap::on(2 * MAX)?;
    cgroup.write("memory.swap.max", "0")?;
    eventually(|| {
        drop_caches()?;
        let left = meminfo("GPUActive")?;
        ensure!(left < MAX / 8, "{left} bytes are not backed up");
        Ok(())
    })?;
    child.tell("look")?;
    let said = child.listen()?;
    ensure!(said == "found", "{said}");
    child.finish()
}

/// A buffer whose pages nobody touches needs next to no memory, however large it is.
fn nobody_is_killed_for_a_hog_of_empty_buffers(bench: &Bench) -> Result<()> {
    let create = pddgpu::Create::new(bench.device.max_cpu_size, pddgpu::Domains::CPU);
    let before = meminfo("MemFree")?;
    let buffers: Vec<_> = (0..400)
        .map(|_| bench.card.create(create))
        .collect::<pddgpu::Result<_>>()?;
    let now = meminfo("MemFree")?;
    ensure!(
        now + (16 << 20) > before,
        "{before} bytes were free, and with {} empty buffers {now}",
        buffers.len()
    );
    Ok(())
}

/// A process that touches more than there is gets a signal, and nobody else is shot.
fn who_touches_too_much_is_refused(bench: &Bench) -> Result<()> {
    const SIGBUS: i32 = 7;
    let size = (meminfo("MemAvailable")? + (64 << 20)) / 4096 * 4096;
    if size > bench.device.max_cpu_size {
        return skip("the VM has more memory than a buffer may have");
    }
    let mut child = Child::start(Part::TouchHuge, bench.card.path(), None)?;
    child.tell(&size.to_string())?;
    ensure!(child.listen().is_err(), "it got {size} bytes");
    let signal = child.wait_for_signal()?;
    ensure!(signal == Some(SIGBUS), "ended by signal {signal:?}");
    Ok(())
}
