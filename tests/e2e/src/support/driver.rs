// SPDX-License-Identifier: GPL-2.0

//! The driver as the kernel's driver core sees it: bound, unbound, loaded, unloaded.

use std::{
    ffi::CStr,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use pddgpu::Card;
use rustix::{
    fs::{fstat, major, minor},
    io::Errno,
    system::{delete_module, finit_module, uname},
};

/// The flag of `delete_module()` that rmmod gives.
const O_NONBLOCK: i32 = rustix::fs::OFlags::NONBLOCK.bits() as i32;

/// The driver and the first card it drives.
pub struct Driver {
    /// The card's address on the PCI bus.
    pub slot: String,
    /// The driver's folder in sysfs.
    pub folder: PathBuf,
}

impl Driver {
    /// Looks them up; no file stays open.
    pub fn find() -> Result<Self> {
        let slot = slot(&Card::find()?)?;
        let folder = fs::canonicalize(format!("/sys/bus/pci/devices/{slot}/driver"))?;
        Ok(Self { slot, folder })
    }

    /// Writes to one of the driver's files in sysfs.
    pub fn write(&self, file: &str, text: &str) -> Result<(), Errno> {
        fs::write(self.folder.join(file), text)
            .map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))
    }

    /// Takes the card away from the driver.
    pub fn unbind(&self) -> Result<()> {
        self.write("unbind", &self.slot).context("unbind")
    }

    /// Gives the card to the driver.
    pub fn bind(&self) -> Result<(), Errno> {
        self.write("bind", &self.slot)
    }

    /// Loads the driver and gives it the card, where that is not so.
    pub fn restore(&self) -> Result<()> {
        if !is_loaded() {
            load()?;
        }
        if !self.is_bound() {
            self.bind().context("bind")?;
        }
        Ok(())
    }

    /// Whether the driver has the card.
    pub fn is_bound(&self) -> bool {
        self.folder.join(&self.slot).exists()
    }
}

/// A card's address on the PCI bus.
pub fn slot(card: &Card) -> Result<String> {
    let node = fstat(card)?.st_rdev;
    let device = format!("/sys/dev/char/{}:{}/device", major(node), minor(node));
    let path = fs::canonicalize(device)?;
    let name = path.file_name().context("a device has a name")?;
    Ok(name.to_string_lossy().into_owned())
}

/// PCI's number for the maker of the cards.
pub const VENDOR: &str = "0x1af4";

/// The device ID of a card that the driver does not know, for tests.
pub const UNKNOWN: &str = "0x10ff";

/// The device ID of a PCI device's folder in sysfs, if it is one of our cards.
pub fn device_id(device: &Path) -> Option<String> {
    let read = |file: &str| fs::read_to_string(device.join(file)).ok();
    let is = |file: &str, text: &str| read(file).is_some_and(|found| found.trim() == text);
    let ours = is("vendor", VENDOR) && is("class", "0x038000");
    Some(read("device")?.trim().to_owned()).filter(|_| ours)
}

/// The card at an address on the PCI bus, if the driver has it.
pub fn card_at(address: &str) -> Result<Option<Card>> {
    for card in Card::all()? {
        if slot(&card)? == address {
            return Ok(Some(card));
        }
    }
    Ok(None)
}

/// Loads the module.
pub fn load() -> Result<()> {
    load_with(c"")
}

/// Loads the module with parameters.
pub fn load_with(parameters: &CStr) -> Result<()> {
    let release = uname();
    let modules = Path::new("/lib/modules").join(release.release().to_str()?);
    let path = find_file(&modules, "pddgpu.ko")?
        .with_context(|| format!("no pddgpu.ko in {}", modules.display()))?;
    let file = File::open(&path)?;
    finit_module(file, parameters, 0).with_context(|| path.display().to_string())
}

/// Unloads the module.
pub fn unload() -> Result<(), Errno> {
    delete_module(c"pddgpu", O_NONBLOCK)
}

/// Whether the module is loaded.
pub fn is_loaded() -> bool {
    Path::new("/sys/module/pddgpu").exists()
}

fn find_file(folder: &Path, name: &str) -> io::Result<Option<PathBuf>> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            if let Some(found) = find_file(&path, name)? {
                return Ok(Some(found));
            }
        } else if entry.file_name() == name {
            return Ok(Some(path));
        }
    }
    Ok(None)
}
