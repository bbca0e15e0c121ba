// SPDX-License-Identifier: GPL-2.0

//! System calls as they are: any argument, and the result as the kernel gives it.
//!
//! They are the fuzzer's output. Whoever makes one has to see to it that the kernel writes nowhere
//! but into memory that is there for it.

use std::{
    arch::asm,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// Calls that this process has made, in memory that it shares with those that count.
pub struct Calls<'a>(pub &'a AtomicU64);

/// The number of ioctl() for 32-bit programs.
const IOCTL_32: u32 = 54;

impl Calls<'_> {
    /// Makes a system call. Returns its result, or -1.
    pub fn call(&self, number: libc::c_long, arguments: [usize; 6]) -> i64 {
        self.0.fetch_add(1, Relaxed);
        let [a, b, c, d, e, f] = arguments;
        // SAFETY: By the module's rule the kernel writes only to memory that is there for it.
        unsafe { libc::syscall(number, a, b, c, d, e, f) }
    }

    /// ioctl().
    pub fn ioctl(&self, file: i32, request: u64, argument: usize) -> i64 {
        let arguments = [file as usize, request as usize, argument, 0, 0, 0];
        self.call(libc::SYS_ioctl, arguments)
    }

    /// ioctl() as a 32-bit program calls it. The argument has to be below 4 GiB.
    pub fn ioctl_32(&self, file: i32, request: u64, argument: usize) -> i64 {
        self.0.fetch_add(1, Relaxed);
        let mut result = u64::from(IOCTL_32);
        // SAFETY: By the module's rule the kernel writes only to memory that is there for it. The
        // call keeps all registers but these. LLVM has rbx for itself, so it is put back.
        unsafe {
            asm!(
                "xchg rbx, {file:r}",
                "int 0x80",
                "xchg rbx, {file:r}",
                file = inout(reg) file as u64 => _,
                inout("rax") result,
                in("rcx") request as u32 as u64,
                in("rdx") argument as u32 as u64,
                in("rsi") 0_u64,
                in("rdi") 0_u64,
                out("r8") _, out("r9") _, out("r10") _, out("r11") _,
            );
        }
        // What is returned has 32 bits, of which a negative one is an error.
        if (result as i32) < 0 {
            -1
        } else {
            result as i64
        }
    }
}

/// The error of this thread's last call that returned -1.
pub fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}
