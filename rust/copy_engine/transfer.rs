// SPDX-License-Identifier: GPL-2.0

//! Submission of what clients ask for themselves: copies and fills of any bytes of their buffers.

use core::mem::take;

use kernel::{
    device::{
        Bound,
        Device, //
    },
    list::List,
    prelude::*,
    sync::{
        aref::ARef,
        Arc, //
    }, //
};

use crate::{
    abstractions::dma::{
        awaited::Awaited,
        fence::{
            Allocation,
            Fence,
            Timeline as _, //
        }, //
    },
    copy_engine::{
        admission::MAX_PART,
        engine::{
            ClientJobs,
            CopyEngine, //
        },
        job::{
            Job,
            JobOwner,
            Work, //
        },
        ranges::{
            CopyEnd,
            Cursor, //
        }, //
    }, //
};

/// What a client has the engine do.
pub(crate) enum Transfer {
    /// To copy the bytes of an end to one of the same size.
    Copy {
        /// The end that is read.
        from: CopyEnd,
        /// The end that is written.
        to: CopyEnd,
    },
    /// To repeat a value over the bytes of an end.
    Fill {
        /// The end that is written.
        to: CopyEnd,
        /// The value.
        value: u32,
    },
}

impl Transfer {
    fn bytes(&self) -> u64 {
        match self {
            Self::Copy { to, .. } | Self::Fill { to, .. } => to.bytes(),
        }
    }

    /// The next part of it, of `bytes`. `at` is how far both ends are.
    fn next_part(&self, at: &mut [Cursor; 2], bytes: u64) -> Result<Work> {
        Ok(match self {
            Self::Copy { from, to } => Work::Copy {
                from: from.next_part(&mut at[0], bytes)?,
                to: to.next_part(&mut at[1], bytes)?,
            },
            Self::Fill { to, value } => Work::Fill {
                to: to.next_part(&mut at[1], bytes)?,
                value: *value,
            },
        })
    }
}

impl CopyEngine {
    /// Submits a transfer for a client: it is executed after all that the client has submitted
    /// before, and after the fences `after` are signalled. Returns its fence, of the client's
    /// sequence.
    ///
    /// # Errors
    ///
    /// Those of [`copy`](Self::copy).
    pub(crate) fn submit_for(
        &self,
        parent: &Device<Bound>,
        client: &Arc<ClientJobs>,
        transfer: &Transfer,
        owner: JobOwner,
        after: &[ARef<Fence>],
    ) -> Result<ARef<Fence>> {
        let hw = self.hw(parent)?;
        let allocation = Allocation::new()?;
        let context = self.queue.lock().context.clone().ok_or(ENODEV)?;
        let mut awaited = KVec::with_capacity(after.len(), GFP_KERNEL_ACCOUNT)?;

        for fence in after {
            let fence = Awaited::new(fence.clone(), context.clone())?;

            awaited.push(fence, GFP_KERNEL_ACCOUNT)?;
        }

        // The first part waits, and the last one has the fence.
        let mut jobs = List::new();
        let mut left = transfer.bytes();
        let mut at = [Cursor::default(); 2];
        while left > MAX_PART {
            let work = transfer.next_part(&mut at, MAX_PART)?;

            jobs.push_back(Job::new(work, owner.of_part(), take(&mut awaited))?);
            left -= MAX_PART;
        }
        let last = Job::new(transfer.next_part(&mut at, left)?, owner, awaited)?;

        let mut queue = self.queue.lock();
        if self.is_wedged() {
            return Err(EIO);
        }
        if !queue.open {
            return Err(ENODEV);
        }
        let pending = allocation.publish_in(context, client.sequence());
        let fence = pending.fence().clone();
        last.fence.populate(pending);
        jobs.push_back(last);
        queue.push_for(client, jobs);
        self.go_on(&mut queue, hw);
        Ok(fence)
    }

    /// Cancels the jobs of a client that the engine does not have yet.
    fn cancel(&self, client: &ClientJobs) {
        self.queue.lock().cancel(client);
        self.awaited_signalled();
    }
}

/// A client of the engine. When it is dropped, the jobs that the engine does not have yet do nothing
/// any more, and end with `ECANCELED`.
pub(crate) struct EngineClient {
    engine: Arc<CopyEngine>,
    jobs: Arc<ClientJobs>,
}

impl EngineClient {
    /// A client without jobs.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(engine: Arc<CopyEngine>) -> Result<Self> {
        Ok(Self {
            jobs: engine.new_client()?,
            engine,
        })
    }

    /// Its jobs.
    pub(crate) fn jobs(&self) -> &Arc<ClientJobs> {
        &self.jobs
    }
}

impl Drop for EngineClient {
    fn drop(&mut self) {
        self.engine.cancel(&self.jobs);
    }
}
