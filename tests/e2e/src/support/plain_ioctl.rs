// SPDX-License-Identifier: GPL-2.0

//! ioctls of other drivers whose argument is a plain structure.

use std::{ffi::c_void, os::fd::AsFd, ptr};

use rustix::{
    io::{self, Errno},
    ioctl::{ioctl, Ioctl, IoctlOutput, Opcode},
};

/// The argument of an ioctl that is a plain structure.
struct Call<T> {
    opcode: Opcode,
    argument: T,
}

// SAFETY: The constructors pair each number with its structure.
unsafe impl<T: Copy> Ioctl for Call<T> {
    type Output = T;
    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        self.opcode
    }

    fn as_ptr(&mut self) -> *mut c_void {
        ptr::from_mut(&mut self.argument).cast()
    }

    unsafe fn output_from_ptr(_output: IoctlOutput, argument: *mut c_void) -> io::Result<T> {
        // SAFETY: It is the structure of `as_ptr`.
        Ok(unsafe { *argument.cast() })
    }
}

/// Calls an ioctl with a structure, and returns what the kernel made of that.
pub fn call<T: Copy>(file: impl AsFd, opcode: Opcode, argument: T) -> Result<T, Errno> {
    // SAFETY: The number and the structure are a pair, as the callers have them from the headers.
    unsafe { ioctl(file, Call { opcode, argument }) }
}
