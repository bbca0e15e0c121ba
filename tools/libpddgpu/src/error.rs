// SPDX-License-Identifier: GPL-2.0

//! Why a call of the library failed.

use std::{io, path::PathBuf};

use rustix::io::Errno;

/// What can go wrong, always with what was attempted.
///
/// The message ends with that of the underlying error. That error is no `source()`, because then
/// programs that print the whole chain of errors would print it twice.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be opened, read or written.
    #[error("{}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why it could not.
        cause: io::Error,
    },
    /// The driver refused an ioctl, or the kernel a system call.
    #[error("{call}: {cause}")]
    Call {
        /// The name of the ioctl or system call.
        call: &'static str,
        /// Why it was refused.
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
    /// There is no PDDGPU card, or none that this process may open.
    #[error("no PDDGPU card found{}", denied_note(denied))]
    NotFound {
        /// Render nodes that this process may not open.
        denied: Vec<PathBuf>,
    },
    /// The driver is older than the statistics it was asked for.
    #[error("this driver has no memory statistics")]
    NoMemoryStats,
    /// The driver, the kernel or the card gave an answer that makes no sense.
    #[error("{0}")]
    Unexpected(String),
    /// The virtual card refused a request on its control channel.
    #[error("virtual card: {0}")]
    VirtualCard(String),
}

/// A result whose error is [`enum@Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Says which call an errno came from.
    pub(crate) fn from_call(call: &'static str) -> impl FnOnce(Errno) -> Self {
        move |errno| Self::Call {
            call,
            cause: errno.into(),
        }
    }

    /// Says which file an error is about.
    pub(crate) fn from_file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |cause| Self::File { path, cause }
    }

    /// Says what it means that a query for statistics failed: a driver from before there were any
    /// answers `EINVAL`.
    pub(crate) fn from_statistics_query(error: Self) -> Self {
        if error.errno() == Some(Errno::INVAL) {
            Self::NoMemoryStats
        } else {
            error
        }
    }

    /// The error number that the kernel gave, if this error comes from one.
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
