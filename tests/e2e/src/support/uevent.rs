// SPDX-License-Identifier: GPL-2.0

//! The kernel's events, as udev hears them.

use std::{os::fd::OwnedFd, time::Duration};

use anyhow::{bail, Context, Result};
use rustix::net::{
    bind, netlink, recv, socket_with, sockopt, AddressFamily, RecvFlags, SocketFlags, SocketType,
};

/// A listener to all events since it was made.
pub struct Uevents(OwnedFd);

impl Uevents {
    pub fn from_now() -> Result<Self> {
        let socket = socket_with(
            AddressFamily::NETLINK,
            SocketType::DGRAM,
            SocketFlags::CLOEXEC,
            Some(netlink::KOBJECT_UEVENT),
        )?;
        bind(&socket, &netlink::SocketAddrNetlink::new(0, 1))?;
        sockopt::set_socket_timeout(
            &socket,
            sockopt::Timeout::Recv,
            Some(Duration::from_secs(10)),
        )?;
        Ok(Self(socket))
    }

    /// Waits for an event with this variable, and returns all of its variables.
    pub fn wait_for(&self, variable: &str) -> Result<Vec<String>> {
        let mut buffer = [0_u8; 8192];
        for _ in 0..1000 {
            let (length, _) = recv(&self.0, &mut buffer, RecvFlags::empty())
                .with_context(|| format!("no event with {variable}"))?;
            let lines = buffer[..length].split(|&byte| byte == 0);
            let lines: Vec<_> = lines
                .map(|line| String::from_utf8_lossy(line).into_owned())
                .collect();
            if lines.iter().any(|line| line == variable) {
                return Ok(lines);
            }
        }
        bail!("a thousand events, but none with {variable}")
    }
}
