// SPDX-License-Identifier: GPL-2.0

//! The calling task: the PID and name of its process, and what long work asks it.
//!
//! [`kernel::task`] has the PID, but not the name; both are read from one task here. Nor does it tell
//! fatal signals from others.

use core::ptr::{
    addr_of,
    addr_of_mut,
    copy_nonoverlapping,
    NonNull, //
};

use kernel::{
    prelude::*,
    sync::rcu,
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

/// Whether the process with this ID in the initial namespace has ended that was there `age` ns ago.
/// Another process may have its ID by now.
pub(crate) fn has_exited(pid: i32, age: i64) -> bool {
    /// Ages may be counted in jiffies.
    const SLACK: i64 = 20_000_000;
    let _rcu = rcu::read_lock();

    // SAFETY: What is found is not freed inside of the read-side section. The namespace is static.
    unsafe {
        let pid = bindings::find_pid_ns(pid, addr_of_mut!(bindings::init_pid_ns));
        let Some(task) = NonNull::new(bindings::pid_task(pid, bindings::pid_type_PIDTYPE_TGID))
        else {
            return true;
        };

        // A process that waits for its parent has no thread that lives.
        if (*(*task.as_ptr()).signal).live.counter == 0 {
            return true;
        }
        // CAST: 2^63 ns are 292 years.
        bindings::ktime_get() - (*task.as_ptr()).start_time as i64 + SLACK < age
    }
}

/// A process's name without what could forge a line of a log or a report: processes name themselves.
pub(super) fn printable(mut comm: [u8; 16]) -> [u8; 16] {
    for byte in comm.iter_mut() {
        if *byte != 0 && byte.is_ascii_control() {
            *byte = b'?';
        }
    }
    comm
}

/// A process.
pub(crate) struct Process {
    /// Process ID in the initial namespace.
    pub(crate) pid: i32,
    /// Name without control characters, padded with zeroes. The last byte is always zero.
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
                comm: printable(comm),
            }
        }
    }
}
