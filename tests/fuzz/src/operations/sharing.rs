// SPDX-License-Identifier: GPL-2.0

//! Buffers as dma-bufs: made, taken, mapped, sent to other processes.

use std::{mem::zeroed, os::fd::IntoRawFd, ptr};

use pddgpu_e2e::support::{prime, random::Random};

use super::{
    drm_ioctl::close,
    one_in,
    request::{make, Request, READ, WRITE},
    Kind, Thread,
};

pub const KINDS: &[Kind] = &[
    Kind::new("export", 8, export),
    Kind::new("import", 6, import),
    Kind::new("import_foreign", 1, import_foreign),
    Kind::new("map_file", 6, map_file),
    Kind::cheap("file_sync", 4, file_sync),
    Kind::new("file_name", 1, file_name),
    Kind::new("sync_file", 4, sync_file),
    Kind::cheap("seek_and_poll", 3, seek_and_poll),
    Kind::new("send_file", 4, send_file),
    Kind::new("receive_file", 6, receive_file),
    Kind::new("close_file", 3, close_file),
];

const HANDLE_TO_FD: Request = Request::drm(0x2d, READ | WRITE, 12);
const FD_TO_HANDLE: Request = Request::drm(0x2e, READ | WRITE, 12);

const fn dma_buf(number: u8, direction: u64, size: usize) -> Request {
    Request {
        group: b'b',
        number,
        direction,
        size,
    }
}

const SYNC: Request = dma_buf(0, WRITE, 8);
const SET_NAME: Request = dma_buf(1, WRITE, 8);
const EXPORT_SYNC_FILE: Request = dma_buf(2, READ | WRITE, 8);
const IMPORT_SYNC_FILE: Request = dma_buf(3, WRITE, 8);

fn keep(thread: &Thread<'_>, random: &mut Random, file: i32) {
    let before = thread.table.put_file(random, file);
    if before >= 0 {
        thread
            .calls
            .call(libc::SYS_close, [before as usize, 0, 0, 0, 0, 0]);
    }
}

fn export(thread: &Thread<'_>, random: &mut Random) {
    let (card, handle) = thread.table.handle(random);
    let made = make(thread, random, card, HANDLE_TO_FD, |random, words| {
        let flags = match random.below(8) {
            0 => random.next_u64() >> 32,
            1 => libc::O_RDONLY as u64,
            2 => libc::O_CLOEXEC as u64,
            _ => (libc::O_RDWR | libc::O_CLOEXEC) as u64,
        };
        words[0] = u64::from(handle) | (flags << 32);
        words[1] = u64::MAX;
    });
    if let Some(made) = made {
        keep(thread, random, made[1] as i32);
    }
}

fn import(thread: &Thread<'_>, random: &mut Random) {
    let file = thread.table.file(random);
    take(thread, random, file);
}

fn take(thread: &Thread<'_>, random: &mut Random, file: i32) {
    let (slot, card) = thread.table.card(random);
    let made = make(thread, random, card, FD_TO_HANDLE, |_, words| {
        words[1] = file as u32 as u64;
    });
    if let Some(made) = made {
        let (card, before) = thread.table.put_handle(random, slot, made[0] as u32);
        close(thread, card, before);
    }
}

/// A dma-buf that is no card's.
fn import_foreign(thread: &Thread<'_>, random: &mut Random) {
    if let Ok(file) = prime::udmabuf() {
        let file = file.into_raw_fd();
        take(thread, random, file);
        keep(thread, random, file);
    }
}

fn map_file(thread: &Thread<'_>, random: &mut Random) {
    let file = thread.table.file(random);
    let arguments = [file as usize, 0, libc::SEEK_END as usize, 0, 0, 0];
    let len = thread.calls.call(libc::SYS_lseek, arguments).max(4096);
    super::mapping::map(thread, random, file, 0, len as usize);
}

fn file_sync(thread: &Thread<'_>, random: &mut Random) {
    let file = thread.table.file(random);
    make(thread, random, file, SYNC, |random, words| {
        words[0] = random.below(16) as u64;
    });
}

fn file_name(thread: &Thread<'_>, random: &mut Random) {
    let file = thread.table.file(random);
    // The argument is the address of a name, not of an address.
    let request = 0x4008_6201 | random.below(2) as u64;
    let name = thread.table.scratch(thread.number) + 4096;
    thread.calls.ioctl(file, request, name);
    make(thread, random, file, SET_NAME, |random, words| {
        words[0] = random.next_u64();
    });
}

fn sync_file(thread: &Thread<'_>, random: &mut Random) {
    let file = thread.table.file(random);
    let made = make(thread, random, file, EXPORT_SYNC_FILE, |random, words| {
        words[0] = (1 + random.below(3) as u64) | (0xffff_ffff << 32);
    });
    let Some(made) = made else {
        return;
    };
    let sync = (made[0] >> 32) as i32;
    let other = thread.table.file(random);
    make(thread, random, other, IMPORT_SYNC_FILE, |random, words| {
        words[0] = (1 + random.below(3) as u64) | ((sync as u32 as u64) << 32);
    });
    keep(thread, random, sync);
}

fn seek_and_poll(thread: &Thread<'_>, random: &mut Random) {
    let file = thread.table.file(random);
    let whence = random.below(5);
    thread
        .calls
        .call(libc::SYS_lseek, [file as usize, 0, whence, 0, 0, 0]);
    let mut waited = libc::pollfd {
        fd: file,
        events: random.pick(&[libc::POLLIN, libc::POLLOUT, libc::POLLIN | libc::POLLOUT]),
        revents: 0,
    };
    let time = if one_in(random, 64) {
        1 + random.below(10)
    } else {
        0
    };
    let arguments = [ptr::from_mut(&mut waited) as usize, 1, time, 0, 0, 0];
    thread.calls.call(libc::SYS_poll, arguments);
}

/// Room for a control message with a file.
const CONTROL: usize = 64;

/// A message of one byte, with room for a file beside it.
fn with_message(control: &mut [u64; CONTROL / 8], f: impl FnOnce(&mut libc::msghdr)) {
    let mut byte = 0_u8;
    let mut part = libc::iovec {
        iov_base: ptr::from_mut(&mut byte).cast(),
        iov_len: 1,
    };
    // SAFETY: All zeroes are a message of nothing.
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_iov = &mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = CONTROL;
    f(&mut message);
}

fn send_file(thread: &Thread<'_>, random: &mut Random) {
    let file = match random.below(4) {
        0 => thread.table.card(random).1,
        _ => thread.table.file(random),
    };
    let mut control = [0; CONTROL / 8];
    with_message(&mut control, |message| {
        // SAFETY: The message has room for a header and a file.
        unsafe {
            message.msg_controllen = libc::CMSG_SPACE(4) as usize;
            let header = libc::CMSG_FIRSTHDR(message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(4) as usize;
            libc::CMSG_DATA(header).cast::<i32>().write_unaligned(file);
        }
        let arguments = [
            thread.table.sockets[0] as usize,
            ptr::from_mut(message) as usize,
            (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as usize,
            0,
            0,
            0,
        ];
        thread.calls.call(libc::SYS_sendmsg, arguments);
    });
}

fn receive_file(thread: &Thread<'_>, random: &mut Random) {
    let mut control = [0; CONTROL / 8];
    let mut received = None;
    with_message(&mut control, |message| {
        let arguments = [
            thread.table.sockets[1] as usize,
            ptr::from_mut(message) as usize,
            (libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC) as usize,
            0,
            0,
            0,
        ];
        if thread.calls.call(libc::SYS_recvmsg, arguments) < 0 {
            return;
        }
        // SAFETY: The kernel has written the message.
        unsafe {
            let header = libc::CMSG_FIRSTHDR(message);
            if !header.is_null() && (*header).cmsg_type == libc::SCM_RIGHTS {
                received = Some(libc::CMSG_DATA(header).cast::<i32>().read_unaligned());
            }
        }
    });
    if let Some(file) = received {
        if one_in(random, 4) {
            take(thread, random, file);
        }
        keep(thread, random, file);
    }
}

fn close_file(thread: &Thread<'_>, random: &mut Random) {
    keep(thread, random, -1);
}
