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
            Fence, //
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
        ranges::CopyEnd, //
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

    /// A part of it: `bytes` from `skip` on.
    fn part(&self, skip: u64, bytes: u64) -> Result<Work> {
        Ok(match self {
            Self::Copy { from, to } => Work::Copy {
                from: from.part(skip, bytes)?,
                to: to.part(skip, bytes)?,
            },
            Self::Fill { to, value } => Work::Fill {
                to: to.part(skip, bytes)?,
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
        let bytes = transfer.bytes();
        let mut at = 0;
        while bytes - at > MAX_PART {
            let work = transfer.part(at, MAX_PART)?;

            jobs.push_back(Job::new(work, owner.of_part(), take(&mut awaited))?);
            at += MAX_PART;
        }
        let last = Job::new(transfer.part(at, bytes - at)?, owner, awaited)?;

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
}
