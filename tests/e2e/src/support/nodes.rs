// SPDX-License-Identifier: GPL-2.0

//! The device's nodes.

use std::{fs, os::fd::AsFd, path::PathBuf, time::Duration};

use anyhow::{ensure, Context, Result};
use pddgpu::{Card, Create, CreateFlags, Deadline, Domain, Domains};
use rustix::ioctl::{ioctl, opcode, Opcode, Updater};

use crate::support::{driver::slot, plain_ioctl::call};

/// The primary node beside a card's render node.
pub fn primary_node(card: &Card) -> Result<PathBuf> {
    for entry in fs::read_dir(pci_folder(card)?.join("drm"))? {
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
    buffer.set_label(c"hello")?;
    ensure!(!card.owners()?.is_empty(), "QUERY: memory without an owner");
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

/// The folder of a card in sysfs.
pub fn pci_folder(card: &Card) -> Result<PathBuf> {
    Ok(PathBuf::from("/sys/bus/pci/devices").join(slot(card)?))
}

/// The argument of `DRM_IOCTL_GEM_FLINK`.
#[derive(Clone, Copy)]
#[repr(C)]
struct GemFlink {
    handle: u32,
    name: u32,
}

/// Gives a buffer of a primary node's client a number by which any other such client can open it.
pub fn name_of(card: &Card, handle: u32) -> Result<u32> {
    let args = GemFlink { handle, name: 0 };
    let opcode = opcode::read_write::<GemFlink>(b'd', 0x0a);
    Ok(call(card.as_fd(), opcode, args).context("GEM_FLINK")?.name)
}

/// The argument of `DRM_IOCTL_SET_CLIENT_NAME`.
#[repr(C)]
struct SetClientName {
    name_len: u64,
    name: u64,
}

/// Gives a client a name, under which tools show it.
pub fn set_client_name(card: &Card, name: &str) -> Result<()> {
    const SET_CLIENT_NAME: Opcode = opcode::read_write::<SetClientName>(b'd', 0xd1);
    let mut args = SetClientName {
        name_len: name.len() as u64,
        name: name.as_ptr() as u64,
    };
    // SAFETY: The number and the structure are a pair, and the kernel reads the name only.
    unsafe { ioctl(card.as_fd(), Updater::<SET_CLIENT_NAME, _>::new(&mut args)) }
        .context("SET_CLIENT_NAME")
}
