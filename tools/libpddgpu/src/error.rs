// SPDX-License-Identifier: GPL-2.0

use std::{io, path::PathBuf};

use rustix::io::Errno;

/// What can go wrong, always with what was attempted.
///
/// The message is complete: it ends with the error below, which is therefore no `source()` that a
/// reporter would print once more.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be opened, read or written.
    #[error("{}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The driver refused an ioctl, or the kernel a mapping.
    #[error("{call}: {cause}")]
    Call {
        /// The ioctl's or system call's name.
        call: &'static str,
        /// Why.
        cause: io::Error,
    },
    /// The file belongs to another driver.
    #[error("{}: driven by {driver}, not by pddgpu", path.display())]
    OtherDriver {
        /// The file.
        path: PathBuf,
        /// The name of its driver.
        driver: String,
    },
    /// There is no PDDGPU card, or none that may be opened.
    #[error("no PDDGPU card found{}", denied_note(denied))]
    NotFound {
        /// Render nodes that could not be looked at.
        denied: Vec<PathBuf>,
    },
    /// The driver is older than the statistics it was asked for.
    #[error("this driver has no memory statistics")]
    NoMemoryStats,
    /// The driver, the kernel or the card answered with something that makes no sense.
    #[error("{0}")]
    Unexpected(String),
    /// The virtual card refused a request on its control channel.
    #[error("virtual card: {0}")]
    VirtualCard(String),
}

/// A result whose error is [`enum@Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn call(call: &'static str) -> impl FnOnce(Errno) -> Self {
        move |errno| Self::Call {
            call,
            cause: errno.into(),
        }
    }

    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |cause| Self::File { path, cause }
    }

    /// The error number below, where there is one.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::File { cause, .. } | Self::Call { cause, .. } => Errno::from_io_error(cause),
            _ => None,
        }
    }
}

fn denied_note(denied: &[PathBuf]) -> String {
    if denied.is_empty() {
        return String::new();
    }
    let nodes: Vec<_> = denied.iter().map(|p| p.display().to_string()).collect();
    format!(" (no permission to look at {})", nodes.join(", "))
}
