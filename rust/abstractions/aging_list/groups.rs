// SPDX-License-Identifier: GPL-2.0

//! The groups of a list: its members by group, and what each group adds up to.
//!
//! A member enters its group when it leaves generation 0, so young members cost nothing here. Both
//! trees are searched by key. So a reader that remembers the keys it has seen can go on at any time,
//! and holds the lock for one member or one group only.

use core::ptr::addr_of_mut;

use kernel::{
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNodeReservation, //
    }, //
};

use crate::bindings::raw as bindings;

/// What the members of a group add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// How many there are.
    pub(crate) members: usize,
    /// The sum of their weights, modulo 2^64.
    pub(crate) weight: u64,
}

/// A member's place in the tree of its group.
#[repr(C)]
pub(super) struct Leaf<G> {
    node: bindings::rb_node,
    group: G,
    serial: u64,
}

impl<G: Copy> Leaf<G> {
    /// A leaf that is in no tree yet.
    pub(super) fn new(group: G, serial: u64) -> Self {
        Self {
            node: bindings::rb_node::default(),
            group,
            serial,
        }
    }

    /// What leaves are ordered by.
    fn key(&self) -> (G, Option<u64>) {
        (self.group, Some(self.serial))
    }
}

/// Memory for a group that is new.
pub(super) struct Spare<G>(Option<RBTreeNodeReservation<G, Totals>>);

impl<G> Spare<G> {
    /// No memory.
    pub(super) fn new() -> Self {
        Self(None)
    }

    /// Allocates the memory, unless it is there.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn fill(&mut self) -> Result {
        if self.0.is_none() {
            self.0 = Some(RBTreeNodeReservation::new(GFP_KERNEL)?);
        }
        Ok(())
    }
}

/// Members by group.
///
/// # Invariants
///
/// The nodes of `members` are those of valid leaves, in the order of their keys. `totals` has an
/// entry for each of their groups, and no other.
pub(super) struct Groups<G> {
    members: bindings::rb_root,
    totals: RBTree<G, Totals>,
}

impl<G: Copy + Ord> Groups<G> {
    /// No group.
    pub(super) fn new() -> Self {
        // INVARIANT: Both trees are empty.
        Self {
            members: bindings::rb_root::default(),
            totals: RBTree::new(),
        }
    }

    /// Adds a member. Returns `false` if its group is new and `spare` has no memory for it.
    ///
    /// # Safety
    ///
    /// `leaf` must be in no tree, and stay valid where it is until it is removed.
    pub(super) unsafe fn add(
        &mut self,
        leaf: *mut Leaf<G>,
        weight: u64,
        spare: &mut Spare<G>,
    ) -> bool {
        // SAFETY: By this function's requirements.
        let (group, serial) = unsafe { (*leaf).key() };

        match self.totals.get_mut(&group) {
            Some(totals) => {
                totals.members += 1;
                totals.weight = totals.weight.wrapping_add(weight);
            }
            None => {
                let Some(memory) = spare.0.take() else {
                    return false;
                };

                self.totals
                    .insert(memory.into_node(group, Totals { members: 1, weight }));
            }
        }

        let mut parent = core::ptr::null_mut();
        let mut link = addr_of_mut!(self.members.rb_node);
        // INVARIANT: It is inserted where its key belongs.
        // SAFETY: By the type invariant, and this function's requirements; the node is the first
        // field of a leaf.
        unsafe {
            while !(*link).is_null() {
                parent = *link;
                link = if (group, serial) < (*parent.cast::<Leaf<G>>()).key() {
                    addr_of_mut!((*parent).rb_left)
                } else {
                    addr_of_mut!((*parent).rb_right)
                };
            }
            bindings::rb_link_node(leaf.cast(), parent, link);
            bindings::rb_insert_color(leaf.cast(), addr_of_mut!(self.members));
        }
        true
    }

    /// Removes a member.
    ///
    /// # Safety
    ///
    /// `leaf` must have been added to these groups with this weight.
    pub(super) unsafe fn remove(&mut self, leaf: *mut Leaf<G>, weight: u64) {
        // SAFETY: By this function's requirements; the node is the first field of a leaf.
        let group = unsafe {
            bindings::rb_erase(leaf.cast(), addr_of_mut!(self.members));
            (*leaf).group
        };

        if let Some(totals) = self.totals.get_mut(&group) {
            totals.members -= 1;
            totals.weight = totals.weight.wrapping_sub(weight);
            if totals.members == 0 {
                self.totals.remove(&group);
            }
        }
    }

    /// The first member of a group whose serial number is greater than `after`.
    pub(super) fn next_member(&self, group: G, after: Option<u64>) -> Option<*mut Leaf<G>> {
        let mut best = None;
        let mut node = self.members.rb_node;

        while !node.is_null() {
            let leaf: *mut Leaf<G> = node.cast();

            // SAFETY: By the type invariant; the node is the first field of a leaf.
            unsafe {
                node = if (*leaf).key() > (group, after) {
                    best = ((*leaf).group == group).then_some(leaf);
                    (*node).rb_left
                } else {
                    (*node).rb_right
                };
            }
        }
        best
    }

    /// What a group adds up to.
    pub(super) fn totals(&self, group: G) -> Option<Totals> {
        self.totals.get(&group).copied()
    }

    /// The first group behind the group `after`, or the first of all.
    pub(super) fn next_group(&self, after: Option<G>) -> Option<(G, Totals)> {
        let copy = |(group, totals): (&G, &Totals)| (*group, *totals);
        let Some(after) = after else {
            return self.totals.iter().next().map(copy);
        };

        let cursor = self.totals.cursor_lower_bound(&after)?;
        let next = match cursor.current() {
            (group, _) if *group == after => cursor.peek_next(),
            first => Some(first),
        };
        next.map(copy)
    }
}
