// SPDX-License-Identifier: GPL-2.0

//! The turnstile: who is let in, and in which order.

use kernel::{
    new_work,
    sync::{
        Arc,
        Completion, //
    },
    workqueue::{
        self,
        impl_has_work,
        Work,
        WorkItem, //
    }, //
};

use super::*;

/// A turnstile, and somebody who goes through it in a worker.
#[pin_data]
struct Bench {
    #[pin]
    turnstile: Turnstile,
    #[pin]
    entered: Completion,
    #[pin]
    work: Work<Bench>,
    mode: Mode,
}

impl_has_work! {
    impl HasWork<Self> for Bench { self.work }
}

impl WorkItem for Bench {
    type Pointer = Arc<Bench>;

    fn run(this: Arc<Bench>) {
        if let Ok(_passage) = this.turnstile.enter(this.mode) {
            this.entered.complete_all();
        }
    }
}

impl Bench {
    fn new(mode: Mode) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                turnstile <- Turnstile::new(),
                entered <- Completion::new(),
                work <- new_work!("pddgpu-kunit"),
                mode,
            }),
            GFP_KERNEL,
        )
    }

    /// Waits until so many wait for the turnstile.
    fn await_waiting(&self, count: usize) {
        while self.turnstile.state.lock().waiting.len() != count {
            kernel::time::delay::fsleep(kernel::time::Delta::from_micros(100));
        }
    }
}

#[kunit_tests(pddgpu_turnstile)]
mod tests {
    use super::*;
    use crate::kunit::{
        check,
        check_eq, //
    };

    #[test]
    fn many_share_it() -> Result {
        let bench = Bench::new(Mode::Shared)?;
        let first = bench.turnstile.shared()?;
        let second = bench.turnstile.shared()?;

        check_eq!(bench.turnstile.state.lock().holders, 2);
        drop((first, second));
        check_eq!(bench.turnstile.state.lock().holders, 0);
        drop(bench.turnstile.exclusive()?);
        Ok(())
    }

    #[test]
    fn one_waits_for_all_who_share_it() -> Result {
        let bench = Bench::new(Mode::Exclusive)?;
        let first = bench.turnstile.shared()?;
        let second = bench.turnstile.shared()?;

        check!(workqueue::system().enqueue(bench.clone()).is_ok());
        bench.await_waiting(1);
        drop(first);
        check_eq!(bench.turnstile.state.lock().waiting.len(), 1);
        drop(second);
        bench.entered.wait_for_completion();
        Ok(())
    }

    /// Nobody is let in past one who waits, even if they could share it with those who hold it.
    #[test]
    fn nobody_overtakes() -> Result {
        let bench = Bench::new(Mode::Exclusive)?;
        let held = bench.turnstile.shared()?;

        check!(workqueue::system().enqueue(bench.clone()).is_ok());
        bench.await_waiting(1);
        check!(bench.turnstile.state.lock().is_free_for(Mode::Shared));
        drop(held);
        // Waits behind the worker, which has gone through it by then.
        drop(bench.turnstile.shared()?);
        bench.entered.wait_for_completion();
        check!(bench.turnstile.state.lock().waiting.is_empty());
        Ok(())
    }
}
