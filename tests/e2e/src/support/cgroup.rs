// SPDX-License-Identifier: GPL-2.0

//! The kernel's cgroup controllers.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use rustix::mount::{mount, MountFlags};

/// Where cgroups are, which are mounted there if they are not yet.
pub fn root() -> Result<&'static Path> {
    let root = Path::new("/sys/fs/cgroup");
    if !root.join("cgroup.controllers").exists() {
        mount("none", root, "cgroup2", MountFlags::empty(), None).context("cgroup2")?;
    }
    Ok(root)
}

/// Whether the kernel charges VRAM to cgroups.
pub fn has_dmem() -> Result<bool> {
    Ok(fs::read_to_string(root()?.join("cgroup.controllers"))?.contains("dmem"))
}
