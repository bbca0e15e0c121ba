// SPDX-License-Identifier: GPL-2.0

//! The open files of a device.

use core::{
    cmp::Reverse,
    ptr::NonNull, //
};

use kernel::{
    new_mutex,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNodeReservation, //
    },
    sync::{
        Arc,
        Mutex, //
    }, //
};

use crate::{
    abstractions::drm::event::EventSink,
    bindings::raw as bindings, //
};

/// A file whose handles may be looked at.
struct OpenFile {
    file: NonNull<bindings::drm_file>,
    events: Arc<EventSink>,
}

// SAFETY: A file belongs to no thread.
unsafe impl Send for OpenFile {}

/// The open files of a device by their numbers, the most recently opened first.
///
/// The DRM core has a list of them, but one that can only be walked from its start, under a mutex
/// that opening and closing need.
///
/// # Invariants
///
/// Each file of the tree is open on the device, and its handles are not being released.
#[pin_data]
pub(super) struct Files {
    #[pin]
    tree: Mutex<RBTree<Reverse<u64>, OpenFile>>,
}

/// Memory for an entry of [`Files`].
pub(super) struct FileMemory(RBTreeNodeReservation<Reverse<u64>, OpenFile>);

impl FileMemory {
    /// Allocates it.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn new() -> Result<Self> {
        Ok(Self(RBTreeNodeReservation::new(GFP_KERNEL)?))
    }
}

impl Files {
    /// No file.
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            tree <- new_mutex!(RBTree::new()),
        })
    }

    /// Adds a file.
    ///
    /// # Safety
    ///
    /// `file` must be complete and open on the device, and [`remove`](Self::remove) be called
    /// before its handles are released.
    pub(super) unsafe fn add(
        &self,
        memory: FileMemory,
        file: NonNull<bindings::drm_file>,
        events: Arc<EventSink>,
    ) {
        // SAFETY: By this function's requirements; the number is constant while the file is open.
        let id = unsafe { (*file.as_ptr()).client_id };

        // INVARIANT: By this function's requirements.
        self.tree
            .lock()
            .insert(memory.0.into_node(Reverse(id), OpenFile { file, events }));
    }

    /// Removes the file with this number, if it is there. Waits until nobody looks at it.
    pub(super) fn remove(&self, client_id: u64) {
        if let Some(file) = self.tree.lock().remove(&Reverse(client_id)) {
            file.events.close();
        }
    }

    /// Has events go to the file with this number, if it is there.
    ///
    /// # Safety
    ///
    /// The file must be open on `dev`, and [`remove`](Self::remove) be called before its events are
    /// released.
    pub(super) unsafe fn open_events(&self, client_id: u64, dev: NonNull<bindings::drm_device>) {
        if let Some(open) = self.tree.lock().get(&Reverse(client_id)) {
            // SAFETY: By this function's requirements.
            unsafe { open.events.open(dev, open.file) };
        }
    }

    /// Calls `f` with the file that was opened last before the one with the number `before`, or
    /// with the one that was opened last of all. The file stays open, and its handles are not
    /// released, until `f` returns.
    pub(super) fn next<R>(
        &self,
        before: Option<u64>,
        f: impl FnOnce(*mut bindings::drm_file) -> R,
    ) -> Option<R> {
        // Numbers count from 1.
        let last = before.map_or(u64::MAX, |before| before.saturating_sub(1));
        let tree = self.tree.lock();
        let cursor = tree.cursor_lower_bound(&Reverse(last))?;

        Some(f(cursor.current().1.file.as_ptr()))
    }

    /// As [`next`](Self::next) for the file with this number.
    pub(super) fn get<R>(
        &self,
        client_id: u64,
        f: impl FnOnce(*mut bindings::drm_file) -> R,
    ) -> Option<R> {
        Some(f(self.tree.lock().get(&Reverse(client_id))?.file.as_ptr()))
    }
}
