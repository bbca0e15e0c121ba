// SPDX-License-Identifier: GPL-2.0

//! A virtual PDDGPU: the card of `docs/hardware.md` as a process that speaks vfio-user to QEMU.
//!
//! From the bottom, where nothing knows of anything above it:
//!
//! - `regs`: the registers, by their table.
//! - `options`: what card to build, from the command line.
//! - `memory`: the card's memory and the guest's, and moving bytes between them.
//! - `pci`: configuration space and the interrupt; on top of the card, the protocol to QEMU.
//! - `counters`: what the card counts, for tests.
//! - `engine`: the memory controller, the command processor and the interrupt ring; on top of the
//!   card, the thread on which bytes are moved.
//! - `device`: the card, in which all of these act on each other.
//! - `control`: the socket through which tests look at the card and break it.

#![forbid(unsafe_code)]

mod address_space;
mod control;
mod counters;
mod device;
mod engine;
mod memory;
mod options;
mod pci;
mod regs;

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
    engine::thread::spawn(device.clone()).context("cannot start the engine")?;
    control::socket::serve(control, device.clone());

    let mut stdout = io::stdout();
    writeln!(stdout, "ready")
        .and_then(|()| stdout.flush())
        .context("cannot say ready")?;
    pci::vfio_user::serve(socket, &device).context("vfio-user")
}
