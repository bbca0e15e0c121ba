// SPDX-License-Identifier: GPL-2.0

//! PID and name of the calling process.

use core::ptr::{
    addr_of,
    copy_nonoverlapping, //
};

use kernel::task::Task;

use crate::bindings::raw as bindings;

/// A process.
pub(crate) struct Process {
    /// Process ID in the initial namespace.
    pub(crate) pid: i32,
    /// Name, padded with zeroes. The last byte is always zero.
    pub(crate) comm: [u8; 16],
}

impl Process {
    /// The calling process.
    pub(crate) fn current() -> Self {
        let task = Task::current_raw();

        // SAFETY: The current task, and the leader of its thread group, stay as long as it runs.
        // `comm` always ends with a zero, and a torn read of a name is still a name.
        unsafe {
            let mut comm = [0; 16];

            copy_nonoverlapping(addr_of!((*(*task).group_leader).comm).cast(), &mut comm, 1);
            Self {
                pid: (*task).tgid,
                comm,
            }
        }
    }
}

/// Whether the calling task is being killed (`fatal_signal_pending()`).
pub(crate) fn is_killed() -> bool {
    // SAFETY: The current task stays as long as it runs.
    unsafe { bindings::fatal_signal_pending(Task::current_raw()) }
}
