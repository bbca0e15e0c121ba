// SPDX-License-Identifier: GPL-2.0

//! The kernel's cgroup controllers.

use std::{fs, path::Path};

use anyhow::Result;

/// Where cgroups are.
pub fn root() -> &'static Path {
    Path::new("/sys/fs/cgroup")
}

/// Whether the kernel charges VRAM to cgroups.
pub fn has_dmem() -> Result<bool> {
    Ok(fs::read_to_string(root().join("cgroup.controllers"))?.contains("dmem"))
}
