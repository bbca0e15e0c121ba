// SPDX-License-Identifier: GPL-2.0

//! Lists of objects by age.
//!
//! Each object is in the list of its generation. New objects are added to generation 0. Each list
//! is in the order of creation, so the objects that are old enough for the next generation are at
//! its front: advancing them visits only these objects and one more. Adding and removing an object
//! takes constant time and allocates nothing.
//!
//! All lists are protected by one spinlock. It is held for at most a few dozen objects at a time,
//! and no other lock is taken while it is held.
//!
//! [`kernel::list`] owns what is in it, one [`Arc`] an entry. Here the objects belong to others,
//! and leave the list when they are dropped.

use core::{
    marker::PhantomData,
    mem::offset_of,
    ptr::addr_of_mut, //
};

use kernel::{
    new_spinlock,
    prelude::*,
    sync::{
        Arc,
        SpinLock, //
    },
    types::Opaque, //
};

use crate::bindings::raw as bindings;

/// Most objects that are visited before the lock is released.
const BATCH: usize = 32;

/// The generation of a cursor: a node that marks a position in a list, and is no object.
const CURSOR: usize = usize::MAX;

#[repr(C)]
struct RawNode {
    link: bindings::list_head,
    generation: usize,
}

/// Inserts `link` into the ring after `at`.
///
/// This is `list_add()` without the checks of a hardened kernel (`CONFIG_LIST_HARDENED`), which
/// would be a call to C. No code outside of this file has access to the lists.
///
/// # Safety
///
/// `at` must be in a ring, and `link` valid memory; the caller holds the lock.
unsafe fn insert(link: *mut bindings::list_head, at: *mut bindings::list_head) {
    // SAFETY: By this function's requirements.
    unsafe {
        let next = (*at).next;

        (*link).prev = at;
        (*link).next = next;
        (*next).prev = link;
        (*at).next = link;
    }
}

/// Removes `link` from its ring.
///
/// # Safety
///
/// `link` must be in a ring; the caller holds the lock.
unsafe fn remove(link: *mut bindings::list_head) {
    // SAFETY: By this function's requirements.
    unsafe {
        (*(*link).prev).next = (*link).next;
        (*(*link).next).prev = (*link).prev;
    }
}

struct Heads<const N: usize> {
    lists: [bindings::list_head; N],
    len: [usize; N],
}

impl<const N: usize> Heads<N> {
    fn list(&mut self, generation: usize) -> *mut bindings::list_head {
        addr_of_mut!(self.lists[generation])
    }

    /// The first node after `link` that is not a cursor.
    ///
    /// # Safety
    ///
    /// `link` must be in the list of `generation`, or its head; the caller holds the lock.
    unsafe fn after(
        &mut self,
        generation: usize,
        mut link: *mut bindings::list_head,
    ) -> Option<*mut RawNode> {
        let head = self.list(generation);

        loop {
            // SAFETY: By this function's requirements; the list is a ring.
            unsafe {
                link = (*link).next;
                if link == head {
                    return None;
                }

                let node: *mut RawNode = link.cast();
                if (*node).generation != CURSOR {
                    return Some(node);
                }
            }
        }
    }
}

/// All living [`Node`]s, by generation; generation 0 is the youngest of `N`.
///
/// # Invariants
///
/// The lists are initialised; their nodes are those of members and cursors, and are only touched
/// under the lock.
#[pin_data]
pub(crate) struct AgingList<T, const N: usize> {
    #[pin]
    heads: SpinLock<Heads<N>>,
    _phantom: PhantomData<fn(T)>,
}

// SAFETY: The lists have no reference to the thread that made them.
unsafe impl<T: Send, const N: usize> Send for AgingList<T, N> {}

// SAFETY: By the type invariant; members are seen from any thread.
unsafe impl<T: Send + Sync, const N: usize> Sync for AgingList<T, N> {}

impl<T, const N: usize> AgingList<T, N> {
    /// Creates empty lists.
    pub(crate) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                heads <- new_spinlock!(Heads {
                    lists: [bindings::list_head::default(); N],
                    len: [0; N],
                }),
                _phantom: PhantomData,
                _: {
                    let mut heads = heads.lock();
                    for generation in 0..N {
                        // SAFETY: The heads do not move any more.
                        unsafe { bindings::INIT_LIST_HEAD(heads.list(generation)) };
                    }
                },
            }),
            GFP_KERNEL,
        )
    }

    /// The number of members in a generation.
    pub(crate) fn len(&self, generation: usize) -> usize {
        self.heads.lock().len[generation]
    }

    /// Moves members of `generation` to the next one, the oldest first, until the first for which
    /// `due` returns `false`. `passed` is called for each member that is moved. Neither closure may
    /// sleep.
    pub(crate) fn advance(
        &self,
        generation: usize,
        due: impl Fn(&T) -> bool,
        mut passed: impl FnMut(&T),
    ) {
        loop {
            let mut heads = self.heads.lock();

            for _ in 0..BATCH {
                let head = heads.list(generation);

                // SAFETY: We hold the lock, and nodes that are not cursors are those of members,
                // which leave the lists before they go.
                unsafe {
                    let Some(node) = heads.after(generation, head) else {
                        return;
                    };
                    let member = &*Node::<T, N>::from_raw(node);

                    if !due(&member.value) {
                        return;
                    }
                    passed(&member.value);

                    remove(addr_of_mut!((*node).link));
                    bindings::list_add_tail(addr_of_mut!((*node).link), heads.list(generation + 1));
                    (*node).generation = generation + 1;
                }
                heads.len[generation] -= 1;
                heads.len[generation + 1] += 1;
            }
        }
    }

    /// Appends the result of `copy` for each member of a generation to `out`, oldest first.
    ///
    /// The lock is released every few members. Members that are added, removed or advanced
    /// meanwhile may be missed. `copy` must not sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn snapshot<S>(
        &self,
        generation: usize,
        mut copy: impl FnMut(&T) -> Option<S>,
        out: &mut KVVec<S>,
    ) -> Result {
        let mut cursor = RawNode {
            link: bindings::list_head::default(),
            generation: CURSOR,
        };
        let cursor = addr_of_mut!(cursor);

        // SAFETY: The cursor stays where it is until it is taken out below.
        unsafe {
            let mut heads = self.heads.lock();
            let head = heads.list(generation);
            insert(addr_of_mut!((*cursor).link), head);
        }

        let mut more = true;
        let mut result = Ok(());
        while more && result.is_ok() {
            result = out.reserve(BATCH, GFP_KERNEL).map_err(Error::from);
            if result.is_err() {
                break;
            }

            let mut heads = self.heads.lock();
            for _ in 0..BATCH {
                // SAFETY: We hold the lock; the cursor is in the list, and so are
                // members, which leave the list before they go.
                let copied = unsafe {
                    let Some(node) = heads.after(generation, addr_of_mut!((*cursor).link)) else {
                        more = false;
                        break;
                    };

                    remove(addr_of_mut!((*cursor).link));
                    insert(addr_of_mut!((*cursor).link), addr_of_mut!((*node).link));
                    copy(&(*Node::<T, N>::from_raw(node)).value)
                };
                if let Some(copied) = copied {
                    // Cannot fail: room for a whole batch was reserved above.
                    let _ = out.push_within_capacity(copied);
                }
            }
        }

        let _heads = self.heads.lock();
        // SAFETY: We hold the lock; the cursor is in the list.
        unsafe { remove(addr_of_mut!((*cursor).link)) };
        result
    }
}

/// A value that is in the lists until it is dropped.
///
/// # Invariants
///
/// `node` is in the list of its generation in `set`.
#[pin_data(PinnedDrop)]
pub(crate) struct Node<T, const N: usize> {
    #[pin]
    node: Opaque<RawNode>,
    value: T,
    set: Arc<AgingList<T, N>>,
}

// SAFETY: A member belongs to no thread.
unsafe impl<T: Send, const N: usize> Send for Node<T, N> {}

// SAFETY: `&Node` gives access to `&T` only.
unsafe impl<T: Sync, const N: usize> Sync for Node<T, N> {}

impl<T, const N: usize> Node<T, N> {
    /// Initialises a member and adds it to generation 0.
    pub(crate) fn new(set: Arc<AgingList<T, N>>, value: impl Init<T>) -> impl PinInit<Self> {
        pin_init!(Self {
            value <- value,
            node <- Opaque::ffi_init(|node: *mut RawNode| {
                // SAFETY: `node` is memory for a node that does not move until it is dropped. The
                // rest of the member is seen as soon as the lock is released: it is complete, as
                // `value` comes first and `set` is not looked at through the lists.
                unsafe {
                    (*node).generation = 0;

                    let mut heads = set.heads.lock();
                    insert(addr_of_mut!((*node).link), (*heads.list(0)).prev);
                    heads.len[0] += 1;
                }
            }),
            set,
        })
    }

    /// # Safety
    ///
    /// `node` must be that of a member.
    unsafe fn from_raw(node: *mut RawNode) -> *const Self {
        // SAFETY: By this function's requirements.
        unsafe { node.byte_sub(offset_of!(Self, node)).cast() }
    }
}

impl<T, const N: usize> core::ops::Deref for Node<T, N> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

#[pinned_drop]
impl<T, const N: usize> PinnedDrop for Node<T, N> {
    fn drop(self: Pin<&mut Self>) {
        let node = self.node.get();
        let mut heads = self.set.heads.lock();

        // SAFETY: By the type invariant; we hold the lock.
        unsafe {
            remove(addr_of_mut!((*node).link));
            heads.len[(*node).generation] -= 1;
        }
    }
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/abstractions/aging_list.rs"]
mod kunit;
