// SPDX-License-Identifier: GPL-2.0

//! The queue of the jobs that a client has submitted.

use kernel::{
    list::{
        impl_list_arc_safe,
        impl_list_item,
        AtomicTracker,
        List,
        ListLinks,
        TryNewListArc, //
    },
    prelude::*,
    sync::{
        Arc,
        LockedBy,
        Mutex, //
    }, //
};

use crate::{
    abstractions::dma::fence::{
        Sequence,
        Timeline, //
    },
    copy_engine::job::Job, //
};

/// The jobs of a client, in a list that the lock around `Q`, the submit queue, protects.
#[pin_data]
pub(crate) struct ClientQueue<T: Timeline, Q> {
    #[pin]
    links: ListLinks,
    #[pin]
    tracker: AtomicTracker,
    /// Of the fences of the jobs.
    sequence: Sequence,
    /// Oldest first.
    jobs: LockedBy<List<Job<T>>, Q>,
}

impl_list_arc_safe! {
    impl{T: Timeline, Q} ListArcSafe<0> for ClientQueue<T, Q> { tracked_by tracker: AtomicTracker; }
}
impl_list_item! {
    impl{T: Timeline, Q} ListItem<0> for ClientQueue<T, Q> { using ListLinks { self.links }; }
}

impl<T: Timeline, Q> ClientQueue<T, Q> {
    /// A queue of a client of the engine that has this submit queue.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn new(owner: &Mutex<Q>) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                links <- ListLinks::new(),
                tracker <- AtomicTracker::new(),
                sequence: Sequence::new(),
                jobs: LockedBy::new(owner, List::new()),
            }),
            GFP_KERNEL,
        )
    }

    /// Its jobs, oldest first.
    pub(super) fn jobs<'a>(&'a self, owner: &'a mut Q) -> &'a mut List<Job<T>> {
        self.jobs.access_mut(owner)
    }

    /// The sequence of the fences of its jobs.
    pub(crate) fn sequence(&self) -> &Sequence {
        &self.sequence
    }
}
