// SPDX-License-Identifier: GPL-2.0

//! What a program under test has: files, handles and mappings, which its threads share and take
//! from each other.

use std::{
    fs, ptr,
    sync::atomic::{AtomicI32, AtomicU32, AtomicUsize, Ordering::Relaxed},
};

use anyhow::{ensure, Result};
use pddgpu_e2e::support::random::Random;

/// Bytes of a page.
pub const PAGE: usize = 4096;

/// Open files of cards.
pub const CARDS: usize = 4;
/// Buffers, by handle.
pub const HANDLES: usize = 16;
/// Other files: dma-bufs, sync files, sockets.
pub const FILES: usize = 8;
/// Mappings, each in a window of its own.
pub const WINDOWS: usize = 16;
/// Bytes of the address space of a window.
pub const WINDOW: usize = 32 << 20;

/// Bytes of the memory for arguments.
const SCRATCH: usize = 16 * PAGE;

/// A handle, and the slot of the card's file in which it is one.
#[derive(Default)]
struct Handle {
    card: AtomicUsize,
    handle: AtomicU32,
}

/// The table of a process.
pub struct Table {
    cards: [AtomicI32; CARDS],
    handles: [Handle; HANDLES],
    files: [AtomicI32; FILES],
    lengths: [AtomicUsize; WINDOWS],
    /// Address of the windows, whose address space is reserved.
    arena: usize,
    /// Address of memory for arguments, below 4 GiB; a page that cannot be accessed comes after
    /// it.
    scratch: usize,
    /// Sockets to the other processes, on which files are sent.
    pub sockets: [i32; 2],
}

fn reserve(len: usize, flags: i32, prot: i32) -> Result<usize> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | flags;
    // SAFETY: The kernel chooses a free address.
    let start = unsafe { libc::mmap(ptr::null_mut(), len, prot, flags, -1, 0) };
    ensure!(start != libc::MAP_FAILED, "no {len} bytes of address space");
    Ok(start as usize)
}

impl Table {
    /// An empty table.
    ///
    /// # Errors
    ///
    /// If there is no address space.
    pub fn new(sockets: [i32; 2]) -> Result<Self> {
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        let scratch = reserve(SCRATCH + PAGE, libc::MAP_32BIT, prot)?;
        let guard = (scratch + SCRATCH) as *mut libc::c_void;
        // SAFETY: The page was reserved just now.
        ensure!(
            unsafe { libc::mprotect(guard, PAGE, libc::PROT_NONE) } == 0,
            "no guard page"
        );
        Ok(Self {
            cards: [const { AtomicI32::new(-1) }; CARDS],
            handles: Default::default(),
            files: [const { AtomicI32::new(-1) }; FILES],
            lengths: Default::default(),
            arena: reserve(WINDOW * WINDOWS, 0, libc::PROT_NONE)?,
            scratch,
            sockets,
        })
    }

    /// The number of a slot of cards' files, and the file in it.
    pub fn card(&self, random: &mut Random) -> (usize, i32) {
        let slot = random.below(CARDS);
        // Mostly one that is open, as most of a program's calls would otherwise come to nothing.
        let slot = (0..CARDS)
            .map(|step| (slot + step) % CARDS)
            .find(|slot| self.cards[*slot].load(Relaxed) >= 0)
            .unwrap_or(slot);
        (slot, self.cards[slot].load(Relaxed))
    }

    /// Puts a card's file into a slot. Returns what was there.
    pub fn put_card(&self, slot: usize, file: i32) -> i32 {
        self.cards[slot % CARDS].swap(file, Relaxed)
    }

    /// A card's file and a handle that was one of it, if it is any.
    pub fn handle(&self, random: &mut Random) -> (i32, u32) {
        let at = &self.handles[random.below(HANDLES)];
        match random.below(16) {
            0 => (
                self.card(random).1,
                random.next_u64() as u32 >> random.below(32),
            ),
            // Another client's.
            1 => (self.card(random).1, at.handle.load(Relaxed)),
            _ => {
                let card = self.cards[at.card.load(Relaxed)].load(Relaxed);
                (card, at.handle.load(Relaxed))
            }
        }
    }

    /// Keeps a handle in a slot. Returns what was there before.
    pub fn put_handle(&self, random: &mut Random, card: usize, handle: u32) -> (i32, u32) {
        let at = &self.handles[random.below(HANDLES)];
        let before = self.cards[at.card.swap(card, Relaxed)].load(Relaxed);
        (before, at.handle.swap(handle, Relaxed))
    }

    /// A file that is no card's.
    pub fn file(&self, random: &mut Random) -> i32 {
        let slot = random.below(FILES);
        (0..FILES)
            .map(|step| self.files[(slot + step) % FILES].load(Relaxed))
            .find(|file| *file >= 0)
            .unwrap_or(-1)
    }

    /// Keeps a file. Returns what was in its slot.
    pub fn put_file(&self, random: &mut Random, file: i32) -> i32 {
        self.files[random.below(FILES)].swap(file, Relaxed)
    }

    /// The number of a window, and the bytes that are mapped from its start on.
    pub fn window(&self, random: &mut Random) -> (usize, usize) {
        let window = random.below(WINDOWS);
        let window = (0..WINDOWS)
            .map(|step| (window + step) % WINDOWS)
            .find(|window| self.lengths[*window].load(Relaxed) > 0)
            .unwrap_or(window);
        (window, self.lengths[window].load(Relaxed))
    }

    /// Where a window is.
    pub fn address(&self, window: usize) -> usize {
        self.arena + window * WINDOW
    }

    /// Notes how much is mapped in a window.
    pub fn set_window(&self, window: usize, len: usize) {
        self.lengths[window].store(len, Relaxed);
    }

    /// An address in a window that is mapped, mostly, and how many bytes are to its end.
    pub fn place(&self, random: &mut Random) -> (usize, usize) {
        let (window, len) = self.window(random);
        let at = random.below(len.max(PAGE)) & !7;
        (self.address(window) + at, len.max(PAGE) - at)
    }

    /// A page range in a window: an address and a length.
    pub fn range(&self, random: &mut Random) -> (usize, usize) {
        let (window, len) = self.window(random);
        let pages = (len / PAGE).max(1);
        let first = random.below(pages);
        let count = match random.below(4) {
            0 => pages - first,
            _ => 1 + random.below(pages - first),
        };
        (self.address(window) + first * PAGE, count * PAGE)
    }

    /// A part of the memory for arguments that is the thread's own.
    pub fn scratch(&self, thread: usize) -> usize {
        self.scratch + thread % 4 * 4 * PAGE
    }

    /// The last address of the memory for arguments: what goes on from here cannot be accessed.
    pub fn scratch_end(&self) -> usize {
        self.scratch + SCRATCH
    }
}

/// The nodes of the cards that are bound now.
pub fn nodes() -> Vec<String> {
    let Ok(folder) = fs::read_dir("/dev/dri") else {
        return Vec::new();
    };
    let paths = folder.flatten().map(|entry| entry.path());
    let mut nodes: Vec<_> = paths
        .filter(|path| !path.is_dir())
        .map(|path| path.to_string_lossy().into_owned())
        .collect();
    nodes.sort();
    nodes
}
