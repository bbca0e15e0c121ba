// SPDX-License-Identifier: GPL-2.0

//! A virtual PDDGPU: the card of `docs/hardware.md` as a process that speaks vfio-user to QEMU.
//!
//! - [`options`] decides what card to build,
//! - [`registers`], [`vram`] (with [`scan`]), [`pci_config`], [`dma`], [`interrupt`], [`gart`] and
//!   [`packet`] are its parts, none of which knows of another's existence; [`memory`] is the
//!   card's and the guest's together,
//! - [`device`] is the card, in which they act on each other, [`engine`] the thread on which it
//!   moves bytes, [`counters`] what it counts and [`injections`] what is to go wrong,
//! - [`transport`] connects it to QEMU, [`control`] and [`control_socket`] to tests.

#![forbid(unsafe_code)]

mod control;
mod control_socket;
mod counters;
mod device;
mod dma;
mod engine;
mod gart;
mod injections;
mod interrupt;
mod memory;
mod options;
mod packet;
mod pci_config;
mod registers;
mod scan;
mod transport;
mod vram;

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::device::{Device, SharedDevice};
pub use crate::options::Options;

/// A socket's name in the file system, which goes with the process.
struct SocketName(PathBuf);

impl Drop for SocketName {
    fn drop(&mut self) {
        // It may have been removed by somebody who cleaned up; there is nobody left to tell.
        let _ = fs::remove_file(&self.0);
    }
}

/// Listens on `path`, taking the place of a socket that nobody listens on any more.
fn listen(path: &Path) -> Result<(UnixListener, SocketName)> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|data| data.file_type().is_socket());
    if is_socket {
        let error = UnixStream::connect(path).err().map(|error| error.kind());
        if error == Some(io::ErrorKind::ConnectionRefused) {
            fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    let listener =
        UnixListener::bind(path).with_context(|| format!("cannot listen on {}", path.display()))?;
    Ok((listener, SocketName(path.to_owned())))
}

/// Makes the card that the options ask for and serves QEMU until it goes.
///
/// # Errors
///
/// If there is no such card, or one of the sockets cannot be used.
pub fn run(options: &Options) -> Result<()> {
    let card = options.card()?;
    let device = SharedDevice::new(Device::new(&card).context("cannot make the card's memory")?);

    let (control, _control_name) = listen(&options.control)?;
    let (socket, _socket_name) = listen(&options.socket)?;
    engine::spawn(device.clone()).context("cannot start the engine")?;
    control_socket::serve(control, device.clone());

    let mut stdout = io::stdout();
    writeln!(stdout, "ready")
        .and_then(|()| stdout.flush())
        .context("cannot say ready")?;
    transport::serve(socket, &device).context("vfio-user")
}
