// SPDX-License-Identifier: GPL-2.0

//! Whose job comes next.

use kernel::{
    new_mutex,
    sync::Mutex,
    time::Msecs, //
};

use crate::{
    copy_engine::{
        job::{
            JobOwner,
            Work,
            MIN_COST, //
        },
        ranges::{
            CopyEnd,
            Ranges, //
        }, //
    },
    hw::gmc::ReservedVram,
    kunit::{
        check,
        check_eq, //
    }, //
};

use super::*;

/// Nobody's work.
struct Nobody;

impl Timeline for Nobody {
    const DRIVER_NAME: &'static CStr = c"pddgpu-kunit";
    const NAME: &'static CStr = c"nobody";

    fn awaited_signalled(&self) {}

    fn set_deadline(&self, _ms: Msecs) {}
}

const PAGE: u64 = kernel::page::PAGE_SIZE as u64;
const MIB: u64 = 1 << 20;

fn queue() -> Result<Pin<KBox<Mutex<SubmitQueue<Nobody>>>>> {
    let queue = SubmitQueue::new(&ReservedVram {
        gart: 0..PAGE,
        commands: PAGE..2 * PAGE,
        interrupts: 2 * PAGE..3 * PAGE,
        fence: 3 * PAGE..4 * PAGE,
    })?;

    KBox::pin_init(new_mutex!(queue), GFP_KERNEL)
}

/// Jobs of a client, which are known by their bytes.
fn jobs(bytes: &[u64]) -> Result<List<Job<Nobody>>> {
    let mut jobs = List::new();

    for &bytes in bytes {
        let work = Work::Fill {
            to: CopyEnd::Mapped(Ranges::new(core::iter::once(0..bytes))?),
            value: 0,
        };
        let owner = JobOwner::client(
            crate::client::Client::new(crate::abstractions::drm::EventSink::new()?)?,
            [None, None],
        );

        jobs.push_back(Job::new(work, owner, KVec::new())?);
    }
    Ok(jobs)
}

/// The bytes of the jobs that were taken.
fn taken(queue: &SubmitQueue<Nobody>) -> impl Iterator<Item = u64> + '_ {
    queue.waiting.iter().map(|job| job.work.bytes())
}

#[kunit_tests(pddgpu_admission)]
mod tests {
    use super::*;

    #[test]
    fn clients_take_turns() -> Result {
        let queue = queue()?;
        let (first, second) = (ClientQueue::new(&queue)?, ClientQueue::new(&queue)?);
        let mut queue = queue.lock();

        queue.push_for(&first, jobs(&[1, 2, 3, 4])?);
        queue.push_for(&second, jobs(&[10, 20])?);
        queue.push_for(&first, jobs(&[5])?);
        check_eq!(queue.admit(u64::MAX), 7 * MIN_COST);
        check!(taken(&queue).eq([1, 10, 2, 20, 3, 4, 5]));
        check!(queue.clients.is_empty());
        Ok(())
    }

    #[test]
    fn no_more_is_taken_than_there_is_room_for() -> Result {
        let queue = queue()?;
        let client = ClientQueue::new(&queue)?;
        let mut queue = queue.lock();

        queue.push_for(&client, jobs(&[MIB, MIB, MIB])?);
        check_eq!(queue.admit(0), 0);
        check_eq!(queue.admit(1), MIB);
        check_eq!(queue.admit(MIB + MIB / 2), 2 * MIB);
        check_eq!(queue.admit(MIB), 0);
        Ok(())
    }

    #[test]
    fn all_are_ended() -> Result {
        let queue = queue()?;
        let client = ClientQueue::new(&queue)?;
        let mut queue = queue.lock();

        queue.push_for(&client, jobs(&[1, 2, 3])?);
        queue.admit(1);
        queue.end_all(EIO);
        check!(queue.is_empty());
        check!(queue.clients.is_empty());
        check_eq!(queue.admit(u64::MAX), 0);
        // The client can go on.
        queue.push_for(&client, jobs(&[MIB])?);
        check_eq!(queue.admit(u64::MAX), MIB);
        Ok(())
    }

    /// They keep their place, because fences are signalled in order.
    #[test]
    fn cancelled_jobs_have_their_turns() -> Result {
        let queue = queue()?;
        let (gone, other) = (ClientQueue::new(&queue)?, ClientQueue::new(&queue)?);
        let mut queue = queue.lock();

        queue.push_for(&gone, jobs(&[1, 2])?);
        queue.push_for(&other, jobs(&[10])?);
        queue.admit(1);
        queue.cancel(&gone);
        queue.admit(u64::MAX);
        check!(taken(&queue).eq([1, 10, 2]));
        check!(queue
            .waiting
            .iter()
            .map(|job| job.is_cancelled())
            .eq([false, false, true]));
        Ok(())
    }
}
