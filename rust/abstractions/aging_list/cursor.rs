// SPDX-License-Identifier: GPL-2.0

//! Positions in the list.

use core::{
    mem::MaybeUninit,
    ops::ControlFlow,
    ptr::addr_of_mut, //
};

use kernel::{
    prelude::*,
    sync::Arc,
    types::Opaque, //
};

use crate::{
    abstractions::{
        aging_list::list::{
            insert,
            remove,
            Aged,
            AgingList,
            Node,
            RawNode,
            BATCH,
            CURSOR, //
        },
        task, //
    },
    bindings::raw as bindings, //
};

/// A position in an [`AgingList`], which moves from the oldest member to the youngest.
///
/// # Invariants
///
/// `node` is in the list.
pub(crate) struct Cursor<T: Aged, const N: usize> {
    node: KBox<Opaque<RawNode<T::Group>>>,
    list: Arc<AgingList<T, N>>,
}

// SAFETY: A cursor belongs to no thread.
unsafe impl<T: Aged + Send + Sync, const N: usize> Send for Cursor<T, N> {}

impl<T: Aged, const N: usize> Cursor<T, N> {
    /// A cursor before the oldest member.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(list: Arc<AgingList<T, N>>) -> Result<Self> {
        let node = KBox::new(
            Opaque::new(RawNode {
                link: bindings::list_head::default(),
                generation: CURSOR,
                leaf: MaybeUninit::uninit(),
            }),
            GFP_KERNEL,
        )?;
        let mut heads = list.heads.lock();

        // SAFETY: The node stays where the box has it until `drop` takes it out of the list.
        unsafe { insert(addr_of_mut!((*node.get()).link), addr_of_mut!(heads.list)) };
        drop(heads);
        // INVARIANT: Just inserted.
        Ok(Self { node, list })
    }

    /// Calls `f` with each member after the cursor and the member's generation, until `f` returns
    /// [`Some`], and moves the cursor behind the member that was visited last. `f` must not sleep.
    ///
    /// # Errors
    ///
    /// `EINTR` if the process is being killed.
    pub(crate) fn find_map<R>(
        &mut self,
        mut f: impl FnMut(&T, usize) -> Option<R>,
    ) -> Result<Option<R>> {
        loop {
            if let ControlFlow::Break(found) = self.visit(&mut f) {
                return Ok(found);
            }
            task::cond_resched();
            task::check_killed()?;
        }
    }

    /// As [`find_map`](Self::find_map) for the next few members. Breaks at the end of the list, too.
    fn visit<R>(&mut self, f: &mut impl FnMut(&T, usize) -> Option<R>) -> ControlFlow<Option<R>> {
        let mut result = ControlFlow::Continue(());
        let mut heads = self.list.heads.lock();

        // SAFETY: We hold the lock; by the type invariant the cursor is in the list, and so are
        // members, which leave it before they go.
        unsafe {
            let own = addr_of_mut!((*self.node.get()).link);
            let mut at = own;

            for _ in 0..BATCH {
                let node = heads.after(at);
                if node.is_null() {
                    result = ControlFlow::Break(None);
                    break;
                }

                at = addr_of_mut!((*node).link);
                let found = f(&(*Node::<T, N>::from_raw(node)).value, (*node).generation);
                if found.is_some() {
                    result = ControlFlow::Break(found);
                    break;
                }
            }
            if at != own {
                remove(own);
                insert(own, at);
            }
        }
        result
    }
}

impl<T: Aged, const N: usize> Drop for Cursor<T, N> {
    fn drop(&mut self) {
        let _heads = self.list.heads.lock();

        // SAFETY: We hold the lock; by the type invariant.
        unsafe { remove(addr_of_mut!((*self.node.get()).link)) };
    }
}
