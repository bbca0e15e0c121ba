// SPDX-License-Identifier: GPL-2.0

//! The local and global lock: who has all parts sees what each of them is, and nobody else changes it.

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

use crate::kunit::{
    check,
    check_eq, //
};

use super::*;

const TIMES: u64 = 20_000;

/// A worker that takes something from one counter and gives it to another.
#[pin_data]
struct Bench {
    #[pin]
    counters: LgLock<[i64; 2]>,
    #[pin]
    ended: Completion,
    #[pin]
    work: Work<Bench>,
}

impl_has_work! {
    impl HasWork<Self> for Bench { self.work }
}

impl Bench {
    fn pass(&self) {
        for _ in 0..TIMES {
            let mut counters = self.counters.lock_local();

            counters[0] -= 1;
            counters[1] += 1;
        }
    }

    fn sums(&self) -> [i64; 2] {
        self.counters
            .with_all(|all| all.fold([0, 0], |sums, part| [sums[0] + part[0], sums[1] + part[1]]))
    }
}

impl WorkItem for Bench {
    type Pointer = Arc<Bench>;

    fn run(this: Arc<Bench>) {
        this.pass();
        this.ended.complete_all();
    }
}

#[kunit_tests(pddgpu_lglock)]
mod tests {
    use super::*;

    #[test]
    fn each_processor_has_a_part() -> Result {
        let bench = KBox::pin_init(LgLock::new(|| 1), GFP_KERNEL)?;
        let count = bench.with_all(|all| all.map(|part| *part).sum::<usize>());

        // CAST: There are no 2^32 processors.
        check!(
            count.is_power_of_two() && count >= MOST.min(nr_cpu_ids() as usize),
            "{count}"
        );
        Ok(())
    }

    #[test]
    fn whoever_has_all_sees_no_change_half_done() -> Result {
        let bench = Arc::pin_init(
            pin_init!(Bench {
                counters <- LgLock::new(|| [0, 0]),
                ended <- Completion::new(),
                work <- new_work!("pddgpu-kunit"),
            }),
            GFP_KERNEL,
        )?;

        // CAST: A small number.
        let wanted = TIMES as i64 * 2;
        workqueue::system_unbound().enqueue(bench.clone()).ok();
        bench.pass();
        loop {
            let [from, to] = bench.sums();

            check_eq!(from, -to);
            if to == wanted {
                break;
            }
            crate::abstractions::task::cond_resched();
        }
        bench.ended.wait_for_completion();
        Ok(())
    }
}
