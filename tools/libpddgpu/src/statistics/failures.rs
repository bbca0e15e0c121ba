// SPDX-License-Identifier: GPL-2.0

//! Buffers that could not be created, and why.

use std::borrow::Cow;

use rustix::io::Errno;
use serde::{ser::SerializeStruct, Serialize, Serializer};

use crate::statistics::counter::{counters, Counter, Description, Unit};

counters! {
    /// Creations that failed with one error.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct FailureStats from failure: drm_pddgpu_failure_stats;

    keys {
        /// The error number. `None` for all errors that the driver does not count apart.
        error: Option<u32> = Some(failure.error).filter(|&error| error != 0),
    }
    counters {
        /// Creations that failed with this error.
        count: Count,
    }
    parts {}
}

impl FailureStats {
    /// The name of the error, such as `ENOSPC`, or `other`.
    pub fn name(&self) -> Cow<'static, str> {
        let Some(error) = self.error else {
            return "other".into();
        };
        NAMES
            .iter()
            .find(|(errno, _)| errno.raw_os_error().unsigned_abs() == error)
            .map_or_else(|| format!("errno {error}").into(), |&(_, name)| name.into())
    }
}

impl Serialize for FailureStats {
    /// With the name of the error.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("FailureStats", 3)?;
        out.serialize_field("error", &self.error)?;
        out.serialize_field("name", &self.name())?;
        out.serialize_field("count", &self.count)?;
        out.end()
    }
}

/// The errors that a creation may end with, and those that a signal makes of it inside the kernel.
const NAMES: [(Errno, &str); 17] = [
    (Errno::PERM, "EPERM"),
    (Errno::NOENT, "ENOENT"),
    (Errno::INTR, "EINTR"),
    (Errno::IO, "EIO"),
    (Errno::TOOBIG, "E2BIG"),
    (Errno::AGAIN, "EAGAIN"),
    (Errno::NOMEM, "ENOMEM"),
    (Errno::FAULT, "EFAULT"),
    (Errno::BUSY, "EBUSY"),
    (Errno::NODEV, "ENODEV"),
    (Errno::INVAL, "EINVAL"),
    (Errno::NOSPC, "ENOSPC"),
    (Errno::DEADLK, "EDEADLK"),
    (Errno::TIME, "ETIME"),
    (Errno::OVERFLOW, "EOVERFLOW"),
    (Errno::TIMEDOUT, "ETIMEDOUT"),
    (Errno::from_raw_os_error(512), "ERESTARTSYS"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_names() {
        let name = |error| FailureStats { error, count: 1 }.name();
        assert_eq!(name(Some(28)), "ENOSPC");
        assert_eq!(name(Some(512)), "ERESTARTSYS");
        assert_eq!(name(Some(4000)), "errno 4000");
        assert_eq!(name(None), "other");
    }
}
