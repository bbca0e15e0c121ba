// SPDX-License-Identifier: GPL-2.0

//! A card's configuration space, as the kernel shows it in sysfs.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};

const CAPABILITIES: u64 = 0x34;
const EXPRESS: u8 = 0x10;
/// The register Device Control of the capability PCI Express, and its bit that resets the function.
const DEVICE_CONTROL: u64 = 8;
const INITIATE_RESET: u16 = 1 << 15;
/// How long a function may take to reset.
const RESET_TIME: Duration = Duration::from_millis(100);

/// The configuration space of a PCI device.
pub struct ConfigSpace {
    folder: PathBuf,
    file: File,
}

impl ConfigSpace {
    /// That of the device with this folder in sysfs.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("config");
        let file = File::options()
            .read(true)
            .write(true)
            .open(&path)
            .with_context(|| path.display().to_string())?;
        Ok(Self {
            folder: folder.to_owned(),
            file,
        })
    }

    fn byte(&self, at: u64) -> Result<u8> {
        let mut byte = [0];
        self.file.read_exact_at(&mut byte, at)?;
        Ok(byte[0])
    }

    /// Where a capability is.
    fn find(&self, capability: u8) -> Result<u64> {
        let mut at = self.byte(CAPABILITIES)?;
        while at != 0 {
            if self.byte(at.into())? == capability {
                return Ok(at.into());
            }
            at = self.byte(u64::from(at) + 1)?;
        }
        anyhow::bail!("no capability {capability:#x}")
    }

    /// Calls `f`, and gives the function afterwards the configuration that it had before.
    pub fn keep<R>(&self, f: impl FnOnce() -> Result<R>) -> Result<R> {
        let mut before = [0; 256];
        self.file.read_exact_at(&mut before, 0)?;
        let result = f()?;
        for (index, bytes) in before.chunks(4).enumerate().skip(1) {
            self.file.write_all_at(bytes, 4 * index as u64)?;
        }
        Ok(result)
    }

    /// Resets the function, of which the kernel hears nothing.
    pub fn reset_function(&self) -> Result<()> {
        let control = self.find(EXPRESS)? + DEVICE_CONTROL;
        self.keep(|| {
            let value = u16::from_le_bytes([self.byte(control)?, self.byte(control + 1)?]);
            self.file
                .write_all_at(&(value | INITIATE_RESET).to_le_bytes(), control)?;
            thread::sleep(RESET_TIME);
            Ok(())
        })
    }

    /// Has the kernel reset the device.
    pub fn reset(&self) -> Result<()> {
        fs::write(self.folder.join("reset"), "1").context("reset")
    }

    /// Whether the kernel can reset the device in this way.
    pub fn has_method(&self, method: &str) -> bool {
        fs::read_to_string(self.folder.join("reset_method"))
            .is_ok_and(|text| text.split_whitespace().any(|found| found == method))
    }

    /// Has the kernel reset the device in this way only, from now on.
    pub fn set_method(&self, method: &str) -> Result<()> {
        fs::write(self.folder.join("reset_method"), method).context("reset_method")
    }
}
