// SPDX-License-Identifier: GPL-2.0

//! The list and its members.

use core::{
    marker::PhantomData,
    mem::{
        offset_of,
        MaybeUninit, //
    },
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

use crate::{
    abstractions::{
        aging_list::groups::{
            Groups,
            Leaf,
            Spare,
            Totals, //
        },
        task, //
    },
    bindings::raw as bindings, //
};

/// Most objects that are visited before the lock is released.
pub(super) const BATCH: usize = 32;

/// The generation of a cursor: a node that marks a position in the list, and is no object.
pub(super) const CURSOR: usize = usize::MAX;

/// What the list has to know of an object.
pub(crate) trait Aged {
    /// What objects are grouped by.
    type Group: Copy + Ord + Send + Unpin;

    /// The object's group. It never changes.
    fn group(&self) -> Self::Group;

    /// A number that no other object in the list has, and that never changes. The objects of a
    /// group are in the order of their numbers.
    fn serial(&self) -> u64;

    /// What is added up for each group. It never changes.
    fn weight(&self) -> u64;
}

/// A node of the list. Only the link and the generation of a cursor are used.
#[repr(C)]
pub(super) struct RawNode<G> {
    pub(super) link: bindings::list_head,
    pub(super) generation: usize,
    /// In the tree of [`Groups`], unless the object is in generation 0.
    pub(super) leaf: MaybeUninit<Leaf<G>>,
}

/// Inserts `link` into the ring after `at`.
///
/// This is `list_add()` without the checks of a hardened kernel (`CONFIG_LIST_HARDENED`), which
/// would be a call to C. No code outside of this folder has access to the list.
///
/// # Safety
///
/// `at` must be in a ring, and `link` valid memory; the caller holds the lock.
pub(super) unsafe fn insert(link: *mut bindings::list_head, at: *mut bindings::list_head) {
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
pub(super) unsafe fn remove(link: *mut bindings::list_head) {
    // SAFETY: By this function's requirements.
    unsafe {
        (*(*link).prev).next = (*link).next;
        (*(*link).next).prev = (*link).prev;
    }
}

pub(super) struct Heads<T: Aged, const N: usize> {
    pub(super) list: bindings::list_head,
    /// The oldest member of each generation; null if it has none.
    oldest: [*mut RawNode<T::Group>; N],
    len: [usize; N],
    groups: Groups<T::Group>,
}

impl<T: Aged, const N: usize> Heads<T, N> {
    /// The first node after `link` that is not a cursor, null if there is none.
    ///
    /// # Safety
    ///
    /// `link` must be in the list, or its head; the caller holds the lock.
    pub(super) unsafe fn after(
        &mut self,
        mut link: *mut bindings::list_head,
    ) -> *mut RawNode<T::Group> {
        let head = addr_of_mut!(self.list);

        loop {
            // SAFETY: By this function's requirements; the list is a ring.
            unsafe {
                link = (*link).next;
                if link == head {
                    return core::ptr::null_mut();
                }

                let node: *mut RawNode<T::Group> = link.cast();
                if (*node).generation != CURSOR {
                    return node;
                }
            }
        }
    }

    /// Takes a member out of its generation. It stays in the list.
    ///
    /// # Safety
    ///
    /// `node` must be that of a member; the caller holds the lock.
    unsafe fn leave_generation(&mut self, node: *mut RawNode<T::Group>) {
        // SAFETY: By this function's requirements.
        let generation = unsafe { (*node).generation };

        self.len[generation] -= 1;
        if self.len[generation] == 0 {
            self.oldest[generation] = core::ptr::null_mut();
        } else if self.oldest[generation] == node {
            // The other members of the generation are behind its oldest.
            // SAFETY: By this function's requirements the node is in the list.
            self.oldest[generation] = unsafe { self.after(addr_of_mut!((*node).link)) };
        }
    }

    /// Makes a node the youngest of a generation.
    ///
    /// # Safety
    ///
    /// `node` must be in the list, behind all members of `generation` and of later ones, and before
    /// all others; the caller holds the lock.
    unsafe fn join_generation(&mut self, node: *mut RawNode<T::Group>, generation: usize) {
        // SAFETY: By this function's requirements.
        unsafe { (*node).generation = generation };
        if self.len[generation] == 0 {
            self.oldest[generation] = node;
        }
        self.len[generation] += 1;
    }
}

/// All living [`Node`]s, by generation; generation 0 is the youngest of `N`.
///
/// # Invariants
///
/// - The list is initialised; its nodes are those of members and cursors, and are only touched
///   under the lock.
/// - The members of each generation are next to each other, those of the last one first, and
///   `oldest` points to the first of each.
/// - The members that are not in generation 0 are in `groups`.
#[pin_data]
pub(crate) struct AgingList<T: Aged, const N: usize> {
    #[pin]
    pub(super) heads: SpinLock<Heads<T, N>>,
    _phantom: PhantomData<fn(T)>,
}

// SAFETY: The list has no reference to the thread that made it.
unsafe impl<T: Aged + Send, const N: usize> Send for AgingList<T, N> {}

// SAFETY: By the type invariant; members are seen from any thread.
unsafe impl<T: Aged + Send + Sync, const N: usize> Sync for AgingList<T, N> {}

impl<T: Aged, const N: usize> AgingList<T, N> {
    /// Creates an empty list.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                heads <- new_spinlock!(Heads {
                    list: bindings::list_head::default(),
                    oldest: [core::ptr::null_mut(); N],
                    len: [0; N],
                    groups: Groups::new(),
                }),
                _phantom: PhantomData,
                _: {
                    // SAFETY: The head does not move any more.
                    unsafe { bindings::INIT_LIST_HEAD(addr_of_mut!(heads.lock().list)) };
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
    ///
    /// # Errors
    ///
    /// `ENOMEM`. The members that passed before have passed.
    pub(crate) fn advance(
        &self,
        generation: usize,
        due: impl Fn(&T) -> bool,
        mut passed: impl FnMut(&T),
    ) -> Result {
        let mut spare = Spare::new();

        loop {
            // Memory for a new group is allocated while the lock is not held.
            if generation == 0 {
                spare.fill()?;
            }

            let mut heads = self.heads.lock();
            for _ in 0..BATCH {
                let node = heads.oldest[generation];
                if node.is_null() {
                    return Ok(());
                }

                // SAFETY: We hold the lock, and the node is that of a member, which leaves the list
                // before it goes.
                unsafe {
                    let member = &*Node::<T, N>::from_raw(node);

                    if !due(&member.value) {
                        return Ok(());
                    }
                    if generation == 0 {
                        let leaf = Leaf::new(member.value.group(), member.value.serial());
                        let added = heads.groups.add(
                            (*node).leaf.write(leaf),
                            member.value.weight(),
                            &mut spare,
                        );

                        if !added {
                            break;
                        }
                    }
                    heads.leave_generation(node);
                    heads.join_generation(node, generation + 1);
                    passed(&member.value);
                }
            }
            drop(heads);
            task::cond_resched();
        }
    }

    /// The first group behind the group `after`, or the first of all, and what it adds up to.
    /// Members of generation 0 are in no group.
    pub(crate) fn next_group(&self, after: Option<T::Group>) -> Option<(T::Group, Totals)> {
        self.heads.lock().groups.next_group(after)
    }

    /// What a group adds up to, [`None`] for a group without members.
    pub(crate) fn totals(&self, group: T::Group) -> Option<Totals> {
        self.heads.lock().groups.totals(group)
    }

    /// Calls `f` with the first member of a group whose serial number is greater than `after`, or
    /// with the first member of all, and the member's generation. `f` must not sleep.
    pub(crate) fn next_in_group<R>(
        &self,
        group: T::Group,
        after: Option<u64>,
        f: impl FnOnce(&T, usize) -> R,
    ) -> Option<R> {
        let heads = self.heads.lock();
        let leaf = heads.groups.next_member(group, after)?;

        // SAFETY: We hold the lock, and the leaf is part of a member's node, which leaves its group
        // before it goes.
        unsafe {
            let node: *mut RawNode<T::Group> =
                leaf.byte_sub(offset_of!(RawNode<T::Group>, leaf)).cast();

            Some(f(
                &(*Node::<T, N>::from_raw(node)).value,
                (*node).generation,
            ))
        }
    }
}

/// A value that is in the list until it is dropped.
///
/// # Invariants
///
/// `node` is in the list of `set`.
#[pin_data(PinnedDrop)]
pub(crate) struct Node<T: Aged, const N: usize> {
    #[pin]
    node: Opaque<RawNode<T::Group>>,
    pub(super) value: T,
    set: Arc<AgingList<T, N>>,
}

// SAFETY: A member belongs to no thread.
unsafe impl<T: Aged + Send, const N: usize> Send for Node<T, N> {}

// SAFETY: `&Node` gives access to `&T` only.
unsafe impl<T: Aged + Sync, const N: usize> Sync for Node<T, N> {}

impl<T: Aged, const N: usize> Node<T, N> {
    /// Initialises a member and adds it to generation 0.
    pub(crate) fn new(set: Arc<AgingList<T, N>>, value: impl Init<T>) -> impl PinInit<Self> {
        pin_init!(Self {
            value <- value,
            node <- Opaque::ffi_init(|node: *mut RawNode<T::Group>| {
                // SAFETY: `node` is memory for a node that does not move until it is dropped. The
                // rest of the member is seen as soon as the lock is released: it is complete, as
                // `value` comes first and `set` is not looked at through the list.
                unsafe {
                    let mut heads = set.heads.lock();

                    insert(addr_of_mut!((*node).link), heads.list.prev);
                    heads.join_generation(node, 0);
                }
            }),
            set,
        })
    }

    /// # Safety
    ///
    /// `node` must be that of a member.
    pub(super) unsafe fn from_raw(node: *mut RawNode<T::Group>) -> *const Self {
        // SAFETY: By this function's requirements.
        unsafe { node.byte_sub(offset_of!(Self, node)).cast() }
    }
}

impl<T: Aged, const N: usize> core::ops::Deref for Node<T, N> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

#[pinned_drop]
impl<T: Aged, const N: usize> PinnedDrop for Node<T, N> {
    fn drop(self: Pin<&mut Self>) {
        let node = self.node.get();
        let mut heads = self.set.heads.lock();

        // SAFETY: By the type invariant; we hold the lock.
        unsafe {
            heads.leave_generation(node);
            if (*node).generation > 0 {
                let leaf = (*node).leaf.as_mut_ptr();

                heads.groups.remove(leaf, self.value.weight());
            }
            remove(addr_of_mut!((*node).link));
        }
    }
}
