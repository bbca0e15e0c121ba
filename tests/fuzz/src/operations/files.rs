// SPDX-License-Identifier: GPL-2.0

//! The card's nodes, and the files in debugfs and `/proc` that tell of it.

use std::{
    ffi::CString,
    fs,
    path::{Path, PathBuf},
};

use pddgpu_e2e::support::random::Random;

use super::{number, one_in, Kind, Thread};
use crate::table::{nodes, CARDS};

pub const KINDS: &[Kind] = &[
    Kind::new("open_card", 4, open_card),
    Kind::new("close_card", 1, close_card),
    Kind::new("duplicate_card", 1, duplicate_card),
    Kind::new("read_card", 2, read_card),
    Kind::new("read_report", 3, read_report),
    Kind::new("write_setting", 2, write_setting),
    Kind::new("read_own", 2, read_own),
];

fn open(thread: &Thread<'_>, path: &Path, flags: i32) -> i32 {
    let Ok(path) = CString::new(path.to_string_lossy().as_bytes()) else {
        return -1;
    };
    let flags = (flags | libc::O_CLOEXEC | libc::O_NONBLOCK) as usize;
    let arguments = [path.as_ptr() as usize, flags, 0, 0, 0, 0];
    thread.calls.call(libc::SYS_open, arguments) as i32
}

fn shut(thread: &Thread<'_>, file: i32) {
    if file >= 0 {
        thread
            .calls
            .call(libc::SYS_close, [file as usize, 0, 0, 0, 0, 0]);
    }
}

fn open_card(thread: &Thread<'_>, random: &mut Random) {
    let slot = random.below(CARDS);
    let nodes = nodes();
    // Mostly a render node, which is the last one.
    let Some(node) = nodes.get(nodes.len().wrapping_sub(1 + random.below(4) / 3)) else {
        return;
    };
    let flags = if one_in(random, 8) {
        libc::O_RDONLY
    } else {
        libc::O_RDWR
    };
    let file = open(thread, Path::new(node), flags);
    if file >= 0 {
        shut(thread, thread.table.put_card(slot, file));
    }
}

fn close_card(thread: &Thread<'_>, random: &mut Random) {
    let (slot, _) = thread.table.card(random);
    shut(thread, thread.table.put_card(slot, -1));
}

fn duplicate_card(thread: &Thread<'_>, random: &mut Random) {
    let (slot, card) = thread.table.card(random);
    let copy = thread
        .calls
        .call(libc::SYS_dup, [card as usize, 0, 0, 0, 0, 0]);
    if copy >= 0 {
        shut(thread, thread.table.put_card(slot, copy as i32));
    }
}

/// Events of a card, of which there are none yet.
fn read_card(thread: &Thread<'_>, random: &mut Random) {
    let (_, card) = thread.table.card(random);
    let to = thread.table.scratch(thread.number) + 4096;
    let flags = [
        card as usize,
        libc::F_SETFL as usize,
        libc::O_NONBLOCK as usize,
        0,
        0,
        0,
    ];
    thread.calls.call(libc::SYS_fcntl, flags);
    thread.calls.call(
        libc::SYS_read,
        [card as usize, to, random.below(4096), 0, 0, 0],
    );
    thread.calls.call(
        libc::SYS_write,
        [card as usize, to, random.below(64), 0, 0, 0],
    );
    thread
        .calls
        .call(libc::SYS_lseek, [card as usize, 1, 0, 0, 0, 0]);
}

/// A file of a card in debugfs, whichever there are.
fn report(random: &mut Random) -> Option<PathBuf> {
    let mut folders: Vec<_> = fs::read_dir("/sys/kernel/debug/dri")
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| !path.is_symlink())
        .collect();
    folders.sort();
    let folder = folders.get(random.below(folders.len().max(1)))?;
    let mut files: Vec<_> = fs::read_dir(folder)
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files.get(random.below(files.len().max(1))).cloned()
}

/// Reads a file in pieces of some size, maybe not to its end.
fn read_some(thread: &Thread<'_>, random: &mut Random, path: &Path) {
    let file = open(thread, path, libc::O_RDONLY);
    if file < 0 {
        return;
    }
    let to = thread.table.scratch(thread.number) + 4096;
    let piece = random.pick(&[1, 100, 4096, 8192]);
    for _ in 0..random.pick(&[1, 2, 100]) {
        let arguments = [file as usize, to, piece, 0, 0, 0];
        if thread.calls.call(libc::SYS_read, arguments) <= 0 {
            break;
        }
    }
    if one_in(random, 8) {
        let arguments = [file as usize, to, piece, number(random) as usize, 0, 0];
        thread.calls.call(libc::SYS_pread64, arguments);
    }
    shut(thread, file);
}

fn read_report(thread: &Thread<'_>, random: &mut Random) {
    if let Some(path) = report(random) {
        read_some(thread, random, &path);
    }
}

/// What is written to a setting.
fn words(random: &mut Random) -> String {
    match random.below(8) {
        0 => String::new(),
        1 => "x".repeat(random.below(5000)),
        2 => format!("{:#x}", number(random)),
        3 => format!("{} {}", number(random), number(random)),
        // A range of VRAM, or a page of it.
        4 => {
            let start = random.below(64 << 20) & !0xfff;
            format!("{start:#x} {:#x}", 4096 * (1 + random.below(64)))
        }
        5 => format!("-{}", random.below(100)),
        _ => random.below(1000).to_string(),
    }
}

fn write_setting(thread: &Thread<'_>, random: &mut Random) {
    let Some(path) = report(random) else {
        return;
    };
    let file = open(thread, &path, libc::O_WRONLY);
    if file < 0 {
        return;
    }
    let text = words(random);
    let (from, len) = match random.below(16) {
        0 => (8, 64),
        1 => thread.table.place(random),
        _ => (text.as_ptr() as usize, text.len()),
    };
    let arguments = [file as usize, from, len.min(8192), 0, 0, 0];
    thread.calls.call(libc::SYS_write, arguments);
    shut(thread, file);
}

/// What `/proc` says of this process.
fn read_own(thread: &Thread<'_>, random: &mut Random) {
    let path = match random.below(4) {
        0 => String::from("/proc/self/maps"),
        1 => String::from("/proc/self/smaps"),
        _ => {
            let (_, card) = thread.table.card(random);
            let file = if one_in(random, 4) {
                thread.table.file(random)
            } else {
                card
            };
            format!("/proc/self/fdinfo/{file}")
        }
    };
    read_some(thread, random, Path::new(&path));
}
