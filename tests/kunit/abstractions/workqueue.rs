// SPDX-License-Identifier: GPL-2.0

//! Work that does itself again: when it is done, and when no more.

use kernel::{
    faux,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    time::{
        delay::fsleep,
        Delta, //
    }, //
};

use super::*;

/// ms that no test waits for.
const NEVER: Msecs = 3_600_000;

/// Counts how often it is done; wants it again after so many ms.
struct Count {
    done: Atomic<i32>,
    again: Option<Msecs>,
}

impl Tick for Count {
    fn tick(&self, _parent: &device::Device<Bound>) -> Option<Msecs> {
        self.done.add(1, Relaxed);
        self.again
    }
}

struct Bench {
    work: Arc<Periodic<Count>>,
    dev: faux::Registration,
}

impl Bench {
    fn new(again: Option<Msecs>) -> Result<Self> {
        let dev = faux::Registration::new(c"pddgpu-kunit", None)?;
        let work = Periodic::new(
            dev.as_ref().as_ref(),
            Ok(Count {
                done: Atomic::new(0),
                again,
            }),
        )?;

        Ok(Self { work, dev })
    }

    fn done(&self) -> i32 {
        self.work.done.load(Relaxed)
    }

    /// Waits until it was done so often.
    fn wait(&self, times: i32) -> Result {
        for _ in 0..1000 {
            if self.done() >= times {
                return Ok(());
            }
            fsleep(Delta::from_millis(10));
        }
        Err(ETIMEDOUT)
    }
}

/// As long as what must not happen gets to happen.
fn linger() {
    fsleep(Delta::from_millis(100));
}

#[kunit_tests(pddgpu_workqueue)]
mod tests {
    use super::*;
    use crate::kunit::check_eq;

    #[test]
    fn a_kick_has_it_done_once() -> Result {
        let bench = Bench::new(None)?;

        linger();
        check_eq!(bench.done(), 0);
        for times in 1..=3 {
            bench.work.kick(0);
            bench.wait(times)?;
            linger();
            check_eq!(bench.done(), times);
        }
        Ok(())
    }

    #[test]
    fn it_is_done_again_if_it_says_so() -> Result {
        let bench = Bench::new(Some(1))?;

        bench.work.kick(0);
        bench.wait(5)
    }

    #[test]
    fn a_kick_counts_from_now() -> Result {
        let bench = Bench::new(Some(NEVER))?;

        bench.work.kick(NEVER);
        linger();
        check_eq!(bench.done(), 0);
        bench.work.kick(1);
        bench.wait(1)?;
        // Now it waits for its own time, but not if it is told otherwise.
        linger();
        check_eq!(bench.done(), 1);
        bench.work.kick(1);
        bench.wait(2)
    }

    #[test]
    fn once_stopped_it_is_never_done() -> Result {
        let bench = Bench::new(Some(1))?;

        bench.work.kick(0);
        bench.wait(1)?;
        bench.work.stop();
        let done = bench.done();
        bench.work.kick(0);
        linger();
        check_eq!(bench.done(), done);
        Ok(())
    }

    #[test]
    fn it_ends_when_its_device_is_unbound() -> Result {
        let bench = Bench::new(Some(1))?;

        bench.work.kick(0);
        bench.wait(1)?;
        let Bench { work, dev } = bench;
        drop(dev);
        let done = work.done.load(Relaxed);
        work.kick(0);
        linger();
        check_eq!(work.done.load(Relaxed), done);
        Ok(())
    }
}
