// SPDX-License-Identifier: GPL-2.0

//! What is added up.

use clap::ValueEnum;

/// What is added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// Each client for itself
    Client,
    /// All clients of a process
    Process,
    /// All clients of the processes in a cgroup: a container, or a unit of systemd
    Cgroup,
    /// All clients that have given themselves the same name
    Name,
}
