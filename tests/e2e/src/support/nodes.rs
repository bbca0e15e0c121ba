// SPDX-License-Identifier: GPL-2.0

//! The device's nodes.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{ensure, Context, Result};
use pddgpu::{Card, Create, CreateFlags, Deadline, Domain, Domains};

use crate::support::driver::slot;

/// The primary node beside a card's render node.
pub fn primary_node(card: &Card) -> Result<PathBuf> {
    let folder = format!("/sys/bus/pci/devices/{}/drm", slot(card)?);
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        if name.to_string_lossy().starts_with("card") {
            return Ok(PathBuf::from("/dev/dri").join(name));
        }
    }
    None.context("the device has no primary node")
}

/// Calls each ioctl once where it has to succeed.
pub fn use_every_ioctl(card: &Card) -> Result<()> {
    let device = card.device()?;
    ensure!(device.vram_size > 0, "QUERY: a card without VRAM");
    ensure!(card.heaps()?.len() == 3, "QUERY: three heaps");

    let create = Create::new(8192, Domains::VRAM).flags(CreateFlags::CPU_ACCESS_REQUIRED);
    let buffer = card.create(create)?;
    buffer.map()?.write(100, b"hello");
    ensure!(
        buffer.wait(Deadline::after(Duration::from_secs(1)))?,
        "GEM_WAIT: not idle"
    );
    buffer.move_to(Domain::Gtt)?;
    ensure!(
        buffer.info()?.placement == Domain::Gtt,
        "GEM_INFO: not where it was moved"
    );
    let mut bytes = [0; 5];
    buffer.map()?.read(100, &mut bytes);
    ensure!(&bytes == b"hello", "the bytes are {bytes:?}");
    buffer.close()?;
    Ok(())
}
