// SPDX-License-Identifier: GPL-2.0

//! What happens to programs: signals, children, debuggers, little memory.

use std::{fs, ptr};

use pddgpu_e2e::support::random::Random;

use super::{one_in, Kind, Thread};
use crate::{table::PAGE, touch};

pub const KINDS: &[Kind] = &[
    Kind::new("alarm", 6, alarm),
    Kind::new("fork", 2, fork),
    Kind::new("trace_child", 1, trace_child),
    Kind::new("pressure", 1, pressure),
    Kind::new("drop_caches", 1, drop_caches),
    Kind::new("fail_allocation", 4, fail_allocation),
    Kind::new("die", 1, die),
];

/// What takes long happens at one in so many chances.
const RARE: usize = 4;

/// Has a signal arrive in one of the next calls.
fn alarm(thread: &Thread<'_>, random: &mut Random) {
    let time = libc::itimerval {
        it_interval: libc::timeval {
            tv_sec: 0,
            tv_usec: 0,
        },
        it_value: libc::timeval {
            tv_sec: 0,
            tv_usec: 1 + random.below(2000) as i64,
        },
    };
    let arguments = [
        libc::ITIMER_REAL as usize,
        ptr::from_ref(&time) as usize,
        0,
        0,
        0,
        0,
    ];
    thread.calls.call(libc::SYS_setitimer, arguments);
}

/// Waits for a child.
fn reap(thread: &Thread<'_>, child: i64) {
    let arguments = [child as usize, 0, libc::__WALL as usize, 0, 0, 0];
    while thread.calls.call(libc::SYS_wait4, arguments) == -1
        && crate::calls::errno() == libc::EINTR
    {}
}

/// Starts a child that only runs `run`, which must not allocate memory.
fn child(thread: &Thread<'_>, run: impl FnOnce()) -> i64 {
    let id = thread.calls.call(libc::SYS_fork, [0; 6]);
    if id == 0 {
        run();
        // SAFETY: It only ends the child.
        unsafe { libc::_exit(0) };
    }
    id
}

fn fork(thread: &Thread<'_>, random: &mut Random) {
    if !one_in(random, RARE) {
        return;
    }
    let places = [(); 4].map(|()| thread.table.place(random).0);
    let value = random.next_u64();
    let killed = one_in(random, 4);
    let id = child(thread, || {
        for place in places {
            touch::load(place);
            touch::store(place, value);
        }
    });
    if id > 0 {
        if killed {
            let arguments = [id as usize, libc::SIGKILL as usize, 0, 0, 0, 0];
            thread.calls.call(libc::SYS_kill, arguments);
        }
        touch::store(places[0], value);
        reap(thread, id);
    }
}

/// Reads and writes a child's mappings as a debugger does.
fn trace_child(thread: &Thread<'_>, random: &mut Random) {
    if !one_in(random, RARE) {
        return;
    }
    let id = child(thread, || {
        // SAFETY: A child that is not traced goes on, one that is stops.
        unsafe {
            libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0);
            libc::raise(libc::SIGSTOP);
        }
    });
    if id <= 0 {
        return;
    }
    let options = (libc::__WALL | libc::WUNTRACED) as usize;
    let wait = [id as usize, 0, options, 0, 0, 0];
    while thread.calls.call(libc::SYS_wait4, wait) == -1 && crate::calls::errno() == libc::EINTR {}
    let answer = thread.table.scratch(thread.number) + PAGE;
    for _ in 0..1 + random.below(4) {
        let (at, _) = thread.table.place(random);
        let (request, data) = match random.below(2) {
            0 => (libc::PTRACE_PEEKDATA, answer),
            _ => (libc::PTRACE_POKEDATA, random.next_u64() as usize),
        };
        let arguments = [request as usize, id as usize, at, data, 0, 0];
        thread.calls.call(libc::SYS_ptrace, arguments);
    }
    let kill = [id as usize, libc::SIGKILL as usize, 0, 0, 0, 0];
    thread.calls.call(libc::SYS_kill, kill);
    reap(thread, id);
}

/// Bytes that a program takes for a moment.
const HOGGED: usize = 16 << 20;

fn pressure(thread: &Thread<'_>, random: &mut Random) {
    if !one_in(random, 2 * RARE) {
        return;
    }
    let prot = (libc::PROT_READ | libc::PROT_WRITE) as usize;
    let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE) as usize;
    let arguments = [0, HOGGED, prot, flags, usize::MAX, 0];
    let memory = thread.calls.call(libc::SYS_mmap, arguments);
    if memory == -1 {
        return;
    }
    let arguments = [memory as usize, HOGGED, 0, 0, 0, 0];
    thread.calls.call(libc::SYS_munmap, arguments);
}

fn drop_caches(_thread: &Thread<'_>, random: &mut Random) {
    let (path, text) = random.pick(&[
        ("/proc/sys/vm/drop_caches", "2"),
        ("/proc/sys/vm/drop_caches", "3"),
        ("/proc/sys/vm/compact_memory", "1"),
    ]);
    // Only for what it has the kernel do.
    let _ = fs::write(path, text);
}

/// Has an allocation of this thread fail soon, on a kernel that can.
fn fail_allocation(_thread: &Thread<'_>, random: &mut Random) {
    let number = 1 + random.below(40);
    let _ = fs::write("/proc/thread-self/fail-nth", number.to_string());
}

/// Ends the process in the middle of what its threads do.
fn die(thread: &Thread<'_>, random: &mut Random) {
    if one_in(random, 4) {
        let id = std::process::id() as usize;
        let arguments = [id, libc::SIGKILL as usize, 0, 0, 0, 0];
        thread.calls.call(libc::SYS_kill, arguments);
    }
}
