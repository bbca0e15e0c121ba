// SPDX-License-Identifier: GPL-2.0

//! Accesses to memory that may not be there.
//!
//! An access is one instruction at a known address. If it faults, the signal handler goes on after
//! it instead of ending the process.

use std::{
    arch::global_asm,
    mem::zeroed,
    ptr,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use anyhow::{ensure, Result};

global_asm!(
    ".globl pddgpu_fuzz_load, pddgpu_fuzz_loading, pddgpu_fuzz_store, pddgpu_fuzz_skip",
    "pddgpu_fuzz_load:",
    "xor eax, eax",
    "pddgpu_fuzz_loading:",
    "mov rax, [rdi]",
    "ret",
    "pddgpu_fuzz_store:",
    "mov [rdi], rsi",
    "pddgpu_fuzz_skip:",
    "ret",
);

extern "C" {
    fn pddgpu_fuzz_load(address: usize) -> u64;
    fn pddgpu_fuzz_loading();
    fn pddgpu_fuzz_store(address: usize, value: u64);
    fn pddgpu_fuzz_skip();
}

/// Accesses that faulted.
static FAULTS: AtomicU64 = AtomicU64::new(0);

/// How many accesses of this process have faulted.
pub fn faults() -> u64 {
    FAULTS.load(Relaxed)
}

extern "C" fn skip(_signal: i32, _info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let context = context.cast::<libc::ucontext_t>();
    // SAFETY: The kernel gives a handler with SA_SIGINFO the context that it returns to.
    let ip = unsafe { &mut (*context).uc_mcontext.gregs[libc::REG_RIP as usize] };
    let accesses = [
        pddgpu_fuzz_loading as *const () as i64,
        pddgpu_fuzz_store as *const () as i64,
    ];
    if accesses.contains(ip) {
        *ip = pddgpu_fuzz_skip as *const () as i64;
        FAULTS.fetch_add(1, Relaxed);
    } else {
        // SAFETY: It only ends the process, which has a bug.
        unsafe { libc::_exit(99) };
    }
}

extern "C" fn ignore(_signal: i32) {}

/// Has this process survive its accesses, and its system calls be interrupted by SIGALRM.
///
/// # Errors
///
/// If the kernel refuses a signal handler.
pub fn install() -> Result<()> {
    for (signal, handler) in [
        (libc::SIGSEGV, skip as *const () as usize),
        (libc::SIGBUS, skip as *const () as usize),
        (libc::SIGALRM, ignore as *const () as usize),
    ] {
        // SAFETY: All zeroes are an action without flags and with an empty mask.
        let mut action: libc::sigaction = unsafe { zeroed() };
        action.sa_sigaction = handler;
        if signal != libc::SIGALRM {
            action.sa_flags = libc::SA_SIGINFO;
        }
        // SAFETY: The action is whole, and its handler only uses what is safe in a signal handler.
        let result = unsafe { libc::sigaction(signal, &action, ptr::null_mut()) };
        ensure!(result == 0, "no handler for signal {signal}");
    }
    Ok(())
}

/// Reads eight bytes; zero if they are not there. The address must be in a range that this program only
/// accesses in this way.
pub fn load(address: usize) -> u64 {
    // SAFETY: The handler makes up for a fault, and the value is no reference to anything.
    unsafe { pddgpu_fuzz_load(address) }
}

/// Writes eight bytes, if they are there. As for [`load`].
pub fn store(address: usize, value: u64) {
    // SAFETY: The handler makes up for a fault, and no object of this program is there.
    unsafe { pddgpu_fuzz_store(address, value) }
}
