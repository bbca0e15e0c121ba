// SPDX-License-Identifier: GPL-2.0

//! Objects that grow old together: order, numbers, and what it costs.

use core::cell::Cell;

use kernel::{
    alloc::KVBox,
    prelude::*, //
};

use super::*;
use crate::kunit::{
    check,
    check_eq,
    walk_suite,
    Random,
    WALK, //
};

type Set = Arc<AgingList<u64, 3>>;
type Boxed = Pin<KBox<Node<u64, 3>>>;

fn join(set: &Set, value: u64) -> Result<Boxed> {
    KBox::pin_init(Node::new(set.clone(), value), GFP_KERNEL)
}

fn lens(set: &Set) -> [usize; 3] {
    [set.len(0), set.len(1), set.len(2)]
}

/// The members of a generation, in order.
fn members(set: &Set, generation: usize) -> Result<KVVec<u64>> {
    let mut all = KVVec::new();

    set.snapshot(generation, |value| Some(*value), &mut all)?;
    Ok(all)
}

/// Has all members below `end` pass from a generation; tells how many were looked at, and how many
/// passed.
fn advance_below(set: &Set, generation: usize, end: u64) -> (usize, usize) {
    let looked_at = Cell::new(0);
    let mut passed = 0;

    set.advance(
        generation,
        |value| {
            looked_at.set(looked_at.get() + 1);
            *value < end
        },
        |_| passed += 1,
    );
    (looked_at.get(), passed)
}

/// What a check looks at, with `N` members of which none is due.
fn cost_of_nothing<const N: usize>() -> Result<usize> {
    let set = Set::from(AgingList::new()?);
    let _members = KVBox::pin_init(
        pin_init::pin_init_array_from_fn::<_, N, _, core::convert::Infallible>(|i| {
            Node::new(set.clone(), i as u64)
        }),
        GFP_KERNEL,
    )?;

    if lens(&set) != [N, 0, 0] {
        return Err(EINVAL);
    }
    match advance_below(&set, 0, 0) {
        (looked_at, 0) => Ok(looked_at),
        _ => Err(EINVAL),
    }
}

#[kunit_tests(pddgpu_aging_list)]
mod tests {
    use super::*;

    #[test]
    fn members_join_the_youngest_and_leave() -> Result {
        let set: Set = AgingList::new()?;

        check_eq!(lens(&set), [0, 0, 0]);
        for count in [1, 2, 31, 32, 33, 64, 65, 1000] {
            let mut all = KVec::new();

            for value in 0..count {
                all.push(join(&set, value)?, GFP_KERNEL)?;
            }
            check_eq!(lens(&set), [count as usize, 0, 0]);
            check!(
                members(&set, 0)?.iter().copied().eq(0..count),
                "{} members",
                count
            );
            drop(all);
            check_eq!(lens(&set), [0, 0, 0]);
        }
        Ok(())
    }

    /// The first that is not due ends it, even if one behind it were due.
    #[test]
    fn those_that_are_due_pass_in_order() -> Result {
        for count in [0, 1, 31, 32, 33, 63, 64, 65, 200] {
            for due in [0, 1, 31, 32, 33, 64, 199, 200] {
                let set: Set = AgingList::new()?;
                let mut all = KVec::new();
                let passed = due.min(count);

                for value in 0..count {
                    all.push(join(&set, value)?, GFP_KERNEL)?;
                }
                let more = usize::from(count > due);
                check_eq!(
                    advance_below(&set, 0, due),
                    (passed as usize + more, passed as usize),
                    "{} of {}",
                    due,
                    count
                );
                check_eq!(lens(&set), [(count - passed) as usize, passed as usize, 0]);
                check!(members(&set, 0)?.iter().copied().eq(passed..count));
                check!(members(&set, 1)?.iter().copied().eq(0..passed));

                // Once each.
                check_eq!(advance_below(&set, 0, due).1, 0);
                check_eq!(
                    advance_below(&set, 1, due),
                    (passed as usize, passed as usize)
                );
                check_eq!(lens(&set), [(count - passed) as usize, 0, passed as usize]);
                check!(members(&set, 2)?.iter().copied().eq(0..passed));
            }
        }
        Ok(())
    }

    #[test]
    fn one_that_is_not_due_holds_up_those_behind_it() -> Result {
        let set: Set = AgingList::new()?;
        let _all = [join(&set, 1)?, join(&set, 9)?, join(&set, 2)?];

        check_eq!(advance_below(&set, 0, 5), (2, 1));
        check_eq!(lens(&set), [2, 1, 0]);
        Ok(())
    }

    #[test]
    fn members_leave_from_any_generation() -> Result {
        let set: Set = AgingList::new()?;
        let old = join(&set, 0)?;
        let older = join(&set, 1)?;

        advance_below(&set, 0, 2);
        advance_below(&set, 1, 1);
        let young = join(&set, 2)?;
        check_eq!(lens(&set), [1, 1, 1]);
        drop(older);
        check_eq!(lens(&set), [1, 0, 1]);
        drop(old);
        check_eq!(lens(&set), [1, 0, 0]);
        drop(young);
        check_eq!(lens(&set), [0, 0, 0]);
        Ok(())
    }

    #[test]
    fn a_snapshot_takes_what_is_wanted_and_adds_to_what_is_there() -> Result {
        let set: Set = AgingList::new()?;
        let mut all = KVec::new();
        let mut seen = KVVec::new();

        for value in 0..100 {
            all.push(join(&set, value)?, GFP_KERNEL)?;
        }
        seen.push(777, GFP_KERNEL)?;
        set.snapshot(0, |value| (value % 3 == 0).then_some(*value), &mut seen)?;
        check!(seen
            .iter()
            .copied()
            .eq(Iterator::chain([777].into_iter(), (0..100).step_by(3))));
        check_eq!(lens(&set), [100, 0, 0]);
        check_eq!(members(&set, 1)?.len(), 0);
        Ok(())
    }

    #[test]
    fn a_member_is_its_value() -> Result {
        let set: Set = AgingList::new()?;
        let member = join(&set, 42)?;

        drop(set);
        check_eq!(**member, 42);
        Ok(())
    }

    /// A check costs what is due, not what is alive.
    #[test]
    fn a_million_that_are_not_due_cost_as_much_as_a_thousand() -> Result {
        check_eq!(cost_of_nothing::<1_000>()?, 1);
        check_eq!(cost_of_nothing::<1_000_000>()?, 1);
        Ok(())
    }
}

/// Against lists of the values of each generation.
fn random_walk() -> Result {
    let set: Set = AgingList::new()?;
    let mut all = KVec::<Boxed>::with_capacity(128, GFP_KERNEL)?;
    // Where each of `all` is; values rise, so a generation is sorted.
    let mut model = KVec::<(u64, usize)>::with_capacity(128, GFP_KERNEL)?;
    let mut random = Random::new(3);

    for step in 0..WALK as u64 {
        match random.below(8) {
            0..4 if all.len() < 128 => {
                all.push_within_capacity(join(&set, step)?)
                    .map_err(|_| EINVAL)?;
                model.push_within_capacity((step, 0)).map_err(|_| EINVAL)?;
            }
            4..7 if !all.is_empty() => {
                let at = random.below(all.len() as u64) as usize;

                drop(all.remove(at).map_err(|_| EINVAL)?);
                model.remove(at).map_err(|_| EINVAL)?;
            }
            _ => {
                let generation = random.below(2) as usize;
                let end = step.saturating_sub(random.below(400));
                let mut expected = 0;

                for (value, of) in model.iter_mut() {
                    if *of == generation && *value < end {
                        *of += 1;
                        expected += 1;
                    }
                }
                check_eq!(
                    advance_below(&set, generation, end).1,
                    expected,
                    "step {}",
                    step
                );
            }
        }
        let count = |generation| model.iter().filter(|(_, of)| *of == generation).count();
        check_eq!(lens(&set), [count(0), count(1), count(2)], "step {}", step);
    }
    for generation in 0..3 {
        let mut left = members(&set, generation)?;

        left.retain(|value| !model.contains(&(*value, generation)));
        check_eq!(left.len(), 0, "generation {}", generation);
    }
    Ok(())
}

walk_suite!(pddgpu_aging_list_walk);
