// SPDX-License-Identifier: GPL-2.0

//! ioctl() as a program of 32 bits calls it.

use std::{
    arch::asm,
    os::fd::{AsFd, AsRawFd},
    path::Path,
    ptr,
};

use anyhow::Result;
use rustix::{
    io::Errno,
    ioctl::Opcode,
    mm::{mmap_anonymous, munmap, MapFlags, ProtFlags},
};

use crate::support::fixture::skip;

/// The number of ioctl() for programs of 32 bits.
const IOCTL: u32 = 54;

/// Below 2 GiB.
const MAP_32BIT: MapFlags = MapFlags::from_bits_retain(0x40);

const LEN: usize = 4096;

/// Memory at an address that a program of 32 bits can have: for arguments, and behind them for what
/// these point to.
pub struct Low(*mut u8);

impl Low {
    /// Ends a test on a kernel that has no such programs.
    pub fn new() -> Result<Self> {
        if !Path::new("/proc/sys/abi/vsyscall32").exists() {
            return skip("this kernel runs no programs of 32 bits");
        }
        // SAFETY: The kernel chooses a free address.
        let memory = unsafe {
            mmap_anonymous(
                ptr::null_mut(),
                LEN,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE | MAP_32BIT,
            )
        }?;
        Ok(Self(memory.cast()))
    }

    /// The address of what is behind the arguments.
    pub fn address(&self) -> u64 {
        self.0 as u64 + LEN as u64 / 2
    }

    /// Puts something there.
    pub fn write<T: Copy>(&self, value: T) {
        assert!(size_of::<T>() <= LEN / 2);
        // SAFETY: It is inside of the memory, and nothing refers to that.
        unsafe { self.0.add(LEN / 2).cast::<T>().write_unaligned(value) };
    }

    /// What is there, which may be any bytes.
    pub fn read<T: Copy + Default>(&self) -> T {
        assert!(size_of::<T>() <= LEN / 2);
        // SAFETY: It is inside of the memory. The callers read plain numbers.
        unsafe { self.0.add(LEN / 2).cast::<T>().read_unaligned() }
    }

    /// Makes the call with a copy of a structure, which afterwards is what the kernel made of it.
    pub fn ioctl<T: Copy>(
        &self,
        file: impl AsFd,
        opcode: Opcode,
        argument: &mut T,
    ) -> Result<(), Errno> {
        assert!(size_of::<T>() <= LEN / 2);
        let mut result = u64::from(IOCTL);
        // SAFETY: The structure is that of the number, and inside of the memory, as is all that it
        // points to. The call keeps all registers but these. LLVM has rbx for itself, so it is put
        // back.
        unsafe {
            self.0.cast::<T>().write_unaligned(*argument);
            asm!(
                "xchg rbx, {file:r}",
                "int 0x80",
                "xchg rbx, {file:r}",
                file = inout(reg) file.as_fd().as_raw_fd() as u64 => _,
                inout("rax") result,
                in("rcx") u64::from(opcode),
                in("rdx") self.0 as u64,
                in("rsi") 0_u64,
                in("rdi") 0_u64,
                out("r8") _, out("r9") _, out("r10") _, out("r11") _,
            );
            *argument = self.0.cast::<T>().read_unaligned();
        }
        match result as i32 {
            0.. => Ok(()),
            error => Err(Errno::from_raw_os_error(-error)),
        }
    }
}

impl Drop for Low {
    fn drop(&mut self) {
        // SAFETY: The memory is this value's, and nothing refers to it.
        let unmapped = unsafe { munmap(self.0.cast(), LEN) };
        debug_assert_eq!(unmapped, Ok(()));
    }
}
