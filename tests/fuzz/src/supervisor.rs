// SPDX-License-Identifier: GPL-2.0

//! The process that sees to it that a run ends, whatever the kernel does to the one that works.

use std::{
    fs,
    process::{exit, ExitCode},
    sync::atomic::Ordering::Relaxed,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{ensure, Result};
use pddgpu_e2e::support::kmsg::{fail_on_alarms, Log};

use crate::shared::Shared;

/// How long the work may be without a sign of life.
const SILENCE: Duration = Duration::from_secs(240);

/// How long the work may go on after the kernel has complained, so that it can say where it was.
const GRACE: Duration = Duration::from_secs(5);

/// Has `work` done by a child, which says with `shared` that it lives. Returns how that ended.
///
/// # Errors
///
/// If there is no child, or the kernel's log cannot be read.
pub fn supervise(
    shared: &'static Shared,
    work: impl FnOnce(&'static Shared) -> ExitCode,
) -> Result<ExitCode> {
    let mut log = Log::from_now()?;
    // SAFETY: This process has one thread, so that the child can do as it likes.
    let child = unsafe { libc::fork() };
    ensure!(child >= 0, "no process");
    if child == 0 {
        let code = work(shared);
        exit(i32::from(code != ExitCode::SUCCESS));
    }

    let mut until = None;
    let mut seen = (0, Instant::now());
    loop {
        let mut status = 0;
        // SAFETY: The status is there to be written.
        if unsafe { libc::waitpid(child, &mut status, libc::WNOHANG) } == child {
            let whole = libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0;
            return Ok(ExitCode::from(u8::from(!whole)));
        }
        if let Err(error) = fail_on_alarms(&log.take()?) {
            println!("FAILED {error:#}");
            until.get_or_insert(Instant::now() + GRACE);
        }
        let alive = shared.alive.load(Relaxed);
        if alive != seen.0 {
            seen = (alive, Instant::now());
        }
        if seen.1.elapsed() > SILENCE {
            println!("FAILED nothing happens{}", stacks(child));
            until.get_or_insert(Instant::now());
        }
        if until.is_some_and(|until| Instant::now() >= until) {
            // SAFETY: It is a child that was not waited for. It may be beyond dying.
            unsafe { libc::kill(child, libc::SIGKILL) };
            println!("0 passed, 1 failed");
            return Ok(ExitCode::FAILURE);
        }
        sleep(Duration::from_millis(100));
    }
}

/// Where in the kernel the threads of a process are.
pub fn stacks(process: i32) -> String {
    let mut text = String::new();
    let threads = fs::read_dir(format!("/proc/{process}/task"));
    for thread in threads.into_iter().flatten().flatten() {
        let path = thread.path();
        text += &format!("\n{}: ", path.display());
        // Of one that runs there is no stack, but what it called and how long it has run.
        for file in ["syscall", "stat", "stack"] {
            text += &fs::read_to_string(path.join(file)).unwrap_or_default();
        }
    }
    text
}
