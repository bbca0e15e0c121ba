// SPDX-License-Identifier: GPL-2.0

//! The calling task: the PID and name of its process, and what long work asks it.
//!
//! [`kernel::task`] has the PID, but not the name; both are read from one task here. Nor does it tell
//! fatal signals from others.

use core::ptr::{
    addr_of,
    copy_nonoverlapping, //
};

use kernel::{
    prelude::*,
    task::Task, //
};

use crate::bindings::raw as bindings;

/// Lets other tasks run if they have to (`cond_resched()`). For long work, whenever it holds no
/// lock.
pub(crate) fn cond_resched() {
    // SAFETY: May be called whenever sleeping is allowed; elsewhere a debug kernel warns.
    unsafe { bindings::cond_resched() };
}

/// Whether long work should go on.
///
/// # Errors
///
/// `EINTR` if the process is being killed (`fatal_signal_pending()`). Nobody will see the error.
pub(crate) fn check_killed() -> Result {
    // SAFETY: The current task stays as long as it runs.
    if unsafe { bindings::fatal_signal_pending(Task::current_raw()) } {
        return Err(EINTR);
    }
    Ok(())
}

/// The number of the calling thread in the initial namespace.
pub(crate) fn thread() -> i32 {
    current!().pid()
}

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
