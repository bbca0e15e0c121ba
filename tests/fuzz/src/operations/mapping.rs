// SPDX-License-Identifier: GPL-2.0

//! Mappings of buffers, and every way to their bytes.

use pddgpu_e2e::support::random::Random;

use super::{number, one_in, Kind, Thread};
use crate::{
    table::{PAGE, WINDOW, WINDOWS},
    touch,
};

pub const KINDS: &[Kind] = &[
    Kind::cheap("load", 16, load),
    Kind::cheap("store", 16, store),
    Kind::new("store_all", 4, store_all),
    Kind::new("unmap", 6, unmap),
    Kind::new("remap", 4, remap),
    Kind::cheap("protect", 4, protect),
    Kind::cheap("advise", 6, advise),
    Kind::cheap("sync_and_lock", 4, sync_and_lock),
    Kind::new("pipe_from_buffer", 4, pipe_from_buffer),
    Kind::new("memory_file", 6, memory_file),
    Kind::cheap("vm_access", 4, vm_access),
];

/// Maps a file at an offset, mostly all of its `len` bytes.
pub fn map(thread: &Thread<'_>, random: &mut Random, file: i32, offset: usize, len: usize) {
    let window = random.below(WINDOWS);
    let mut offset = offset;
    let mut size = len.clamp(1, WINDOW);
    if one_in(random, 4) {
        let skipped = random.below(size) / PAGE * PAGE;
        offset = offset.wrapping_add(skipped);
        size -= skipped;
    }
    if one_in(random, 8) {
        size = (1 + random.below(size)).min(WINDOW);
    }
    if one_in(random, 16) {
        size = (size + random.below(3 * PAGE)).min(WINDOW);
    }
    if one_in(random, 32) {
        offset = number(random) as usize & !(PAGE - 1);
    }
    let prot = match random.below(8) {
        0 => random.below(8),
        1 => libc::PROT_READ as usize,
        2 => libc::PROT_WRITE as usize,
        _ => (libc::PROT_READ | libc::PROT_WRITE) as usize,
    };
    let kind = match random.below(16) {
        0 => libc::MAP_PRIVATE,
        1 => libc::MAP_SHARED | libc::MAP_POPULATE,
        2 => libc::MAP_SHARED_VALIDATE,
        3 => libc::MAP_SHARED | libc::MAP_LOCKED,
        _ => libc::MAP_SHARED,
    };
    let flags = (kind | libc::MAP_FIXED) as usize;
    let address = thread.table.address(window);
    let arguments = [address, size, prot, flags, file as usize, offset];
    if thread.calls.call(libc::SYS_mmap, arguments) != -1 {
        thread.table.set_window(window, size);
    }
}

/// Puts the reservation of address space back where something was mapped.
fn clear(thread: &Thread<'_>, address: usize, len: usize) {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED;
    let arguments = [
        address,
        len,
        libc::PROT_NONE as usize,
        flags as usize,
        usize::MAX,
        0,
    ];
    thread.calls.call(libc::SYS_mmap, arguments);
}

fn load(thread: &Thread<'_>, random: &mut Random) {
    for _ in 0..1 + random.below(4) {
        touch::load(thread.table.place(random).0);
    }
}

fn store(thread: &Thread<'_>, random: &mut Random) {
    for _ in 0..1 + random.below(4) {
        touch::store(thread.table.place(random).0, random.next_u64());
    }
}

fn store_all(thread: &Thread<'_>, random: &mut Random) {
    let (address, len) = thread.table.range(random);
    for page in (0..len.min(1 << 20)).step_by(PAGE) {
        touch::store(address + page, random.next_u64());
    }
}

fn unmap(thread: &Thread<'_>, random: &mut Random) {
    let (window, len) = thread.table.window(random);
    if one_in(random, 2) {
        let (address, len) = thread.table.range(random);
        thread
            .calls
            .call(libc::SYS_munmap, [address, len, 0, 0, 0, 0]);
        clear(thread, address, len);
    } else {
        clear(thread, thread.table.address(window), len.max(PAGE));
        thread.table.set_window(window, 0);
    }
}

fn remap(thread: &Thread<'_>, random: &mut Random) {
    let (address, len) = thread.table.range(random);
    let to = random.below(WINDOWS);
    let new_len = match random.below(4) {
        0 => (len + random.below(4) * PAGE).min(WINDOW),
        1 => (1 + random.below(len / PAGE)) * PAGE,
        _ => len,
    };
    let old_len = if one_in(random, 16) { 0 } else { len };
    let mut flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
    if one_in(random, 4) {
        flags |= libc::MREMAP_DONTUNMAP;
    }
    let arguments = [
        address,
        old_len,
        new_len,
        flags as usize,
        thread.table.address(to),
        0,
    ];
    if thread.calls.call(libc::SYS_mremap, arguments) != -1 {
        thread.table.set_window(to, new_len);
        if flags & libc::MREMAP_DONTUNMAP == 0 && old_len > 0 {
            clear(thread, address, len);
        }
    }
}

fn protect(thread: &Thread<'_>, random: &mut Random) {
    let (address, len) = thread.table.range(random);
    let prot = match random.below(4) {
        0 => random.below(8),
        1 => 0,
        2 => libc::PROT_READ as usize,
        _ => (libc::PROT_READ | libc::PROT_WRITE) as usize,
    };
    let arguments = [address, len, prot, 0, 0, 0];
    thread.calls.call(libc::SYS_mprotect, arguments);
}

const ADVICE: [i32; 17] = [
    libc::MADV_NORMAL,
    libc::MADV_RANDOM,
    libc::MADV_WILLNEED,
    libc::MADV_DONTNEED,
    libc::MADV_FREE,
    libc::MADV_REMOVE,
    libc::MADV_DONTFORK,
    libc::MADV_DOFORK,
    libc::MADV_MERGEABLE,
    libc::MADV_HUGEPAGE,
    libc::MADV_NOHUGEPAGE,
    libc::MADV_COLD,
    libc::MADV_PAGEOUT,
    libc::MADV_POPULATE_READ,
    libc::MADV_POPULATE_WRITE,
    libc::MADV_WIPEONFORK,
    25, // MADV_COLLAPSE
];

fn advise(thread: &Thread<'_>, random: &mut Random) {
    let (address, len) = thread.table.range(random);
    let arguments = [address, len, random.pick(&ADVICE) as usize, 0, 0, 0];
    thread.calls.call(libc::SYS_madvise, arguments);
}

fn sync_and_lock(thread: &Thread<'_>, random: &mut Random) {
    let (address, len) = thread.table.range(random);
    let residents = thread.table.scratch(thread.number) + PAGE;
    let (number, third) = random.pick(&[
        (libc::SYS_msync, libc::MS_SYNC as usize),
        (libc::SYS_msync, libc::MS_INVALIDATE as usize),
        (libc::SYS_mlock, 0),
        (libc::SYS_munlock, 0),
        (libc::SYS_mincore, residents),
    ]);
    // One byte of an answer for each page.
    let len = len.min(4096 * PAGE);
    thread.calls.call(number, [address, len, third, 0, 0, 0]);
}

/// The kernel's own accesses to user memory.
fn pipe_from_buffer(thread: &Thread<'_>, random: &mut Random) {
    let mut ends = [0_i32; 2];
    let arguments = [
        ends.as_mut_ptr() as usize,
        libc::O_NONBLOCK as usize,
        0,
        0,
        0,
        0,
    ];
    if thread.calls.call(libc::SYS_pipe2, arguments) == -1 {
        return;
    }
    let [read, write] = ends.map(|end| end as usize);
    for _ in 0..1 + random.below(3) {
        let (from, len) = thread.table.place(random);
        let arguments = [write, from, len.min(16 << 10), 0, 0, 0];
        thread.calls.call(libc::SYS_write, arguments);
        let (to, len) = thread.table.place(random);
        let arguments = [read, to, len.min(16 << 10), 0, 0, 0];
        thread.calls.call(libc::SYS_read, arguments);
    }
    thread.calls.call(libc::SYS_close, [read, 0, 0, 0, 0, 0]);
    thread.calls.call(libc::SYS_close, [write, 0, 0, 0, 0, 0]);
}

/// `/proc/self/mem`, which obeys no page table.
fn memory_file(thread: &Thread<'_>, random: &mut Random) {
    let path = c"/proc/self/mem".as_ptr() as usize;
    let flags = libc::O_RDWR as usize;
    let file = thread.calls.call(libc::SYS_open, [path, flags, 0, 0, 0, 0]);
    if file < 0 {
        return;
    }
    let data = thread.table.scratch(thread.number) + PAGE;
    for _ in 0..1 + random.below(3) {
        let (at, len) = thread.table.place(random);
        let len = match random.below(4) {
            0 => 1 + random.below(16),
            1 => len,
            _ => 8,
        };
        let number = random.pick(&[libc::SYS_pread64, libc::SYS_pwrite64]);
        let arguments = [file as usize, data, len.min(3 * PAGE), at, 0, 0];
        thread.calls.call(number, arguments);
    }
    thread
        .calls
        .call(libc::SYS_close, [file as usize, 0, 0, 0, 0, 0]);
}

fn vm_access(thread: &Thread<'_>, random: &mut Random) {
    let data = thread.table.scratch(thread.number) + PAGE;
    let (at, len) = thread.table.place(random);
    let len = len.min(2 * PAGE);
    let own = [data, len];
    let other = [at, len];
    let number = random.pick(&[libc::SYS_process_vm_readv, libc::SYS_process_vm_writev]);
    let id = std::process::id() as usize;
    let (own, other) = (own.as_ptr() as usize, other.as_ptr() as usize);
    thread.calls.call(number, [id, own, 1, other, 1, 0]);
}
