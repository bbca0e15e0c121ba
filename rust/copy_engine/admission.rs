// SPDX-License-Identifier: GPL-2.0

//! The jobs that clients submit themselves, and that wait for the engine or for fences of others.
//!
//! The driver's own jobs, moves and clears, go into the submit queue at once, in which all jobs are
//! executed in order. A client's jobs are in a queue of the client's until their turn comes: the
//! clients take turns, [`MAX_PART`] bytes at most at a time, as long as the submit queue has less than
//! [`ROOM`] bytes of them. So a client delays the job of another one by no more than
//! `ROOM + 2 * MAX_PART` bytes, however much it has submitted. A small job counts as
//! [`MIN_COST`](crate::copy_engine::job::MIN_COST) bytes, because it takes as long. A client whose next
//! job waits for a fence loses its turn, and nobody else does.

use kernel::{
    list::{
        List,
        ListArc, //
    },
    prelude::*,
    sync::Arc, //
};

use crate::{
    abstractions::dma::fence::Timeline,
    copy_engine::{
        client_queue::ClientQueue,
        job::Job,
        queue::SubmitQueue, //
    }, //
};

/// Bytes of clients' jobs in the submit queue at which it gets no more of them.
pub(super) const ROOM: u64 = 16 << 20;
/// Most bytes of a job. A larger one is submitted as several.
pub(super) const MAX_PART: u64 = 16 << 20;

impl<T: Timeline> SubmitQueue<T> {
    /// Appends jobs to the queue of a client.
    pub(super) fn push_for(&mut self, client: &Arc<ClientQueue<T, Self>>, mut jobs: List<Job<T>>) {
        client.jobs(self).push_all_back(&mut jobs);

        // Otherwise it is among them already.
        if let Ok(client) = ListArc::try_from_arc(client.clone()) {
            self.clients.push_back(client);
        }
    }

    /// Takes clients' jobs whose turn it is, until they [cost](Job::cost) `room` bytes. Returns what they
    /// cost. A client whose next job waits for a fence gets no turn before [`unblock`](Self::unblock).
    pub(super) fn admit(&mut self, room: u64) -> u64 {
        let mut admitted = 0;

        while admitted < room {
            let Some(client) = self.clients.pop_front() else {
                break;
            };
            let jobs = client.jobs(self);
            let Some(job) = jobs.pop_front() else {
                continue;
            };

            if job.is_ready() {
                let has_more = !jobs.is_empty();

                admitted += job.cost();
                self.waiting.push_back(job);
                if has_more {
                    self.clients.push_back(client);
                }
            } else {
                jobs.push_front(job);
                self.blocked.push_back(client);
            }
        }
        admitted
    }

    /// Gives the clients turns again whose next job waited for a fence, because one was signalled.
    pub(super) fn unblock(&mut self) {
        self.clients.push_all_back(&mut self.blocked);
    }

    /// Cancels the jobs of a client that are not admitted yet. They still have their turns, because
    /// their fences may not be signalled before those of the jobs that are.
    pub(super) fn cancel(&mut self, client: &ClientQueue<T, Self>) {
        for job in client.jobs(self).iter() {
            job.cancel();
        }
        self.unblock();
    }

    /// Ends all jobs with an error: those that wait here, and those of the clients.
    pub(super) fn end_all(&mut self, err: Error) {
        while let Some(job) = self.waiting.pop_front() {
            job.end(Err(err));
        }
        self.unblock();
        while let Some(client) = self.clients.pop_front() {
            while let Some(job) = client.jobs(self).pop_front() {
                job.end(Err(err));
            }
        }
    }
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/copy_engine/admission.rs"]
mod kunit;
