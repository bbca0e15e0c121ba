// SPDX-License-Identifier: GPL-2.0

//! Why a call of the library failed.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

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
    /// A file is no DRM device at all.
    #[error("{}: no card; the nodes of cards are /dev/dri/renderD*", path.display())]
    NoCard {
        /// The file.
        path: PathBuf,
    },
    /// A node may be used, but not by this user.
    #[error("{}: no permission{}", path.display(), who_may(path))]
    Denied {
        /// The node.
        path: PathBuf,
    },
    /// The driver refused an ioctl, or the kernel a system call.
    #[error("{call}: {}{cause}", meaning(call, cause))]
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
    #[error("no PDDGPU card found{}", not_found_note(denied))]
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
            Self::Denied { .. } => Some(Errno::ACCESS),
            _ => None,
        }
    }
}

/// What may be done if no card was found.
fn not_found_note(denied: &[PathBuf]) -> String {
    if denied.is_empty() {
        return ": is there one, and the module pddgpu loaded?".to_owned();
    }
    let notes = denied
        .iter()
        .map(|path| format!("{}: no permission{}", path.display(), who_may(path)));
    format!(" ({})", notes.collect::<Vec<_>>().join("; "))
}

/// Who may use a node, as its owner, its group and its mode say.
fn who_may(path: &Path) -> String {
    const GROUP_READS_AND_WRITES: u32 = 0o060;
    let Ok(metadata) = fs::metadata(path) else {
        return String::new();
    };
    if metadata.mode() & GROUP_READS_AND_WRITES != GROUP_READS_AND_WRITES {
        return "; only its owner may use it".to_owned();
    }
    let gid = metadata.gid().to_string();
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    let group = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == gid).then_some(name)
    });
    format!("; its group, {}, may use it", group.unwrap_or(&gid))
}

/// What an error of an ioctl means, in words, as the driver's header says.
fn meaning(call: &str, cause: &io::Error) -> &'static str {
    let meanings = MEANINGS.iter();
    meanings
        .filter(|(of, ..)| of.is_empty() || *of == call)
        .find(|(_, errno, _)| Errno::from_io_error(cause) == Some(*errno))
        .map_or("", |(.., words)| words)
}

/// For the errors whose own text does not say it: the ioctl, or nothing for all, and the meaning.
const MEANINGS: &[(&str, Errno, &str)] = &[
    ("GEM_CREATE", Errno::INVAL, "no such buffer can be: "),
    (
        "GEM_CREATE",
        Errno::TOOBIG,
        "more than its domains could ever hold: ",
    ),
    (
        "GEM_CREATE",
        Errno::NOSPC,
        "no room, and nothing more can be evicted: ",
    ),
    (
        "GEM_MMAP",
        Errno::PERM,
        "the buffer was created with NO_CPU_ACCESS: ",
    ),
    (
        "GEM_MOVE",
        Errno::TOOBIG,
        "more than the domain could ever hold: ",
    ),
    (
        "GEM_MOVE",
        Errno::NOSPC,
        "no room, and nothing more can be evicted: ",
    ),
    ("GEM_MOVE", Errno::BUSY, "the buffer is pinned: "),
    (
        "GEM_MOVE",
        Errno::FAULT,
        "the buffer's content is not needed: ",
    ),
    (
        "GEM_COPY",
        Errno::INVAL,
        "offsets and sizes have to be multiples of 4, inside: ",
    ),
    (
        "GEM_FILL",
        Errno::INVAL,
        "offsets and sizes have to be multiples of 4, inside: ",
    ),
    (
        "GEM_COPY",
        Errno::FAULT,
        "the buffer's content is not needed: ",
    ),
    (
        "GEM_FILL",
        Errno::FAULT,
        "the buffer's content is not needed: ",
    ),
    (
        "GEM_SET_LABEL",
        Errno::TOOBIG,
        "a label has at most 63 bytes: ",
    ),
    (
        "GEM_ADVISE",
        Errno::BUSY,
        "there is a dma-buf of the buffer: ",
    ),
    (
        "PRIME_HANDLE_TO_FD",
        Errno::BUSY,
        "the buffer's content is not needed: ",
    ),
    ("", Errno::NOENT, "this client has no such handle: "),
    ("", Errno::IO, "the card's copy engine is broken: "),
    ("", Errno::NODEV, "the card is gone: "),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn text(call: &'static str, errno: Errno) -> String {
        Error::from_call(call)(errno).to_string()
    }

    #[test]
    fn an_errno_is_explained_by_the_call_it_came_from() {
        for (call, errno, words) in [
            (
                "GEM_CREATE",
                Errno::TOOBIG,
                "GEM_CREATE: more than its domains could ever hold",
            ),
            ("GEM_MOVE", Errno::NODEV, "GEM_MOVE: the card is gone"),
            ("fstat", Errno::BADF, "fstat: Bad file descriptor"),
        ] {
            assert!(
                text(call, errno).starts_with(words),
                "{}",
                text(call, errno)
            );
        }
    }

    #[test]
    fn a_node_of_others_names_who_may_use_it() {
        let of_root = Error::Denied {
            path: "/proc/1/environ".into(),
        };
        let expected = "/proc/1/environ: no permission; only its owner may use it";
        assert_eq!(of_root.to_string(), expected);
    }

    #[test]
    fn who_finds_no_card_is_told_what_to_look_at() {
        let nothing = Error::NotFound { denied: vec![] };
        assert!(nothing.to_string().ends_with("the module pddgpu loaded?"));
    }
}
