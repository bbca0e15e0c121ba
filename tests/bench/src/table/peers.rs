// SPDX-License-Identifier: GPL-2.0

//! What other drivers of the stock kernel have that is like it.

use std::{
    fs::{self, File},
    os::fd::AsFd,
    path::Path,
    process::Command,
};

use anyhow::{bail, ensure, Context, Result};

use super::measure::Table;

/// The primary node of vgem's device.
pub fn vgem() -> Result<File> {
    let loaded = Command::new("modprobe").arg("vgem").status()?;

    ensure!(loaded.success(), "modprobe vgem: {loaded}");
    for entry in fs::read_dir("/sys/class/drm")? {
        let entry = entry?;
        let device = fs::canonicalize(entry.path())?;
        let name = entry.file_name();

        if device.to_string_lossy().contains("/vgem/") && name.to_string_lossy().starts_with("card")
        {
            let path = Path::new("/dev/dri").join(name);
            return File::options()
                .read(true)
                .write(true)
                .open(&path)
                .with_context(|| path.display().to_string());
        }
    }
    bail!("vgem has no card")
}

/// Creates and closes dumb buffers, whose pages are allocated only when they are used.
pub fn create_and_close(table: &mut Table) -> Result<()> {
    let vgem = vgem()?;

    for (size_name, height) in [("4 KiB", 1), ("64 KiB", 16)] {
        table.measure(
            &format!("vgem dumb {size_name}, without memory"),
            1000,
            || {
                let dumb = drm_ffi::mode::dumbbuffer::create(vgem.as_fd(), 1024, height, 32, 0)?;

                drm_ffi::mode::dumbbuffer::destroy(vgem.as_fd(), dumb.handle)?;
                Ok(())
            },
        )?;
    }
    Ok(())
}
