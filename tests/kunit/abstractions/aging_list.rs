// SPDX-License-Identifier: GPL-2.0

//! Objects that grow old together: order, numbers, and what it costs.

use core::cell::Cell;

use kernel::{
    alloc::KVBox,
    prelude::*,
    sync::Arc, //
};

use super::*;
use crate::kunit::{
    check,
    check_eq,
    walk_suite,
    Random,
    WALK, //
};

/// A number, in the group of its last digit.
struct Value(u64);

impl Aged for Value {
    type Group = u64;

    fn group(&self) -> u64 {
        self.0 % 10
    }

    fn serial(&self) -> u64 {
        self.0
    }

    fn weight(&self) -> u64 {
        100 + self.0
    }
}

type Set = Arc<AgingList<Value, 3>>;
type Boxed = Pin<KBox<Node<Value, 3>>>;

fn join(set: &Set, value: u64) -> Result<Boxed> {
    KBox::pin_init(Node::new(set.clone(), Value(value)), GFP_KERNEL)
}

/// The members from the cursor on that are in this generation.
fn rest(cursor: &mut Cursor<Value, 3>, generation: usize) -> Result<KVVec<u64>> {
    let mut all = KVVec::new();

    while let Some(value) = cursor.find_map(|value, of| (of == generation).then_some(value.0))? {
        all.push(value, GFP_KERNEL)?;
    }
    Ok(all)
}

/// The members of a group, in order.
fn group(set: &Set, group: u64) -> Result<KVVec<u64>> {
    let mut all = KVVec::new();

    while let Some(value) = set.next_in_group(group, all.last().copied(), |value, _| value.0) {
        all.push(value, GFP_KERNEL)?;
    }
    Ok(all)
}

/// Whether the groups are those of the `values`, which rise, and their totals are right.
fn groups_are(set: &Set, values: &[u64]) -> Result<bool> {
    let mut last = None;
    let mut right = true;

    for digit in 0..10 {
        let wanted = || values.iter().copied().filter(|value| value % 10 == digit);
        let totals = Totals {
            members: wanted().count(),
            weight: wanted().map(|value| 100 + value).sum(),
        };

        right &= group(set, digit)?.iter().copied().eq(wanted());
        if totals.members > 0 {
            right &= set.next_group(last) == Some((digit, totals));
            right &= set.totals(digit) == Some(totals);
            last = Some(digit);
        } else {
            right &= set.totals(digit).is_none();
        }
    }
    Ok(right && set.next_group(last).is_none())
}

fn lens(set: &Set) -> [usize; 3] {
    [set.len(0), set.len(1), set.len(2)]
}

/// The members of a generation, in order.
fn members(set: &Set, generation: usize) -> Result<KVVec<u64>> {
    rest(&mut Cursor::new(set.clone())?, generation)
}

/// Has all members below `end` pass from a generation; tells how many were looked at, and how many
/// passed.
fn advance_below(set: &Set, generation: usize, end: u64) -> (usize, usize) {
    let looked_at = Cell::new(0);
    let last = Cell::new(None);
    let mut passed = 0;
    let result = set.advance(
        generation,
        |value| {
            // Again, if memory for its group had to be allocated first.
            if last.replace(Some(value.0)) != Some(value.0) {
                looked_at.set(looked_at.get() + 1);
            }
            value.0 < end
        },
        |_| passed += 1,
    );

    match result {
        Ok(()) => (looked_at.get(), passed),
        Err(_) => (usize::MAX, usize::MAX),
    }
}

/// What a check looks at, with `N` members of which none is due.
fn cost_of_nothing<const N: usize>() -> Result<usize> {
    let set = Set::from(AgingList::new()?);
    let _members = KVBox::pin_init(
        pin_init::pin_init_array_from_fn::<_, N, _, core::convert::Infallible>(|i| {
            Node::new(set.clone(), Value(i as u64))
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

    /// Those that leave, come or pass on both sides of it do not matter.
    #[test]
    fn a_cursor_passes_each_that_stays_once() -> Result {
        for stop in [0, 1, 31, 32, 33, 50, 99] {
            let set: Set = AgingList::new()?;
            let mut all = KVec::new();
            let mut seen = KVVec::new();

            for value in 0..100 {
                all.push(join(&set, value)?, GFP_KERNEL)?;
            }
            advance_below(&set, 0, 40);
            let mut cursor = Cursor::new(set.clone())?;
            let _idle = Cursor::new(set.clone())?;
            for _ in 0..stop {
                let next = cursor.find_map(|value, _| Some(value.0))?;

                seen.push(next.ok_or(ENOENT)?, GFP_KERNEL)?;
            }
            let _late = join(&set, 100)?;
            advance_below(&set, 0, 80);
            advance_below(&set, 1, 60);
            // The one that it is at, and the one behind that.
            all.retain(|member| member.0 != stop && member.0 + 1 != stop);
            while let Some(next) = cursor.find_map(|value, _| Some(value.0))? {
                seen.push(next, GFP_KERNEL)?;
            }
            check!(
                seen.iter()
                    .copied()
                    .eq((0..=100).filter(|value| *value != stop)),
                "stopped at {}",
                stop
            );
            check_eq!(cursor.find_map(|value, _| Some(value.0))?, None);
        }
        Ok(())
    }

    #[test]
    fn a_cursor_passes_over_what_is_not_wanted() -> Result {
        let set: Set = AgingList::new()?;
        let mut all = KVec::new();

        for value in 0..1000 {
            all.push(join(&set, value)?, GFP_KERNEL)?;
        }
        let mut cursor = Cursor::new(set.clone())?;
        check_eq!(
            cursor.find_map(|value, _| (value.0 == 777).then_some(value.0))?,
            Some(777)
        );
        check!(rest(&mut cursor, 0)?.iter().copied().eq(778..1000));
        check_eq!(lens(&set), [1000, 0, 0]);
        Ok(())
    }

    /// From when they leave generation 0 until they leave the list.
    #[test]
    fn members_are_found_by_group() -> Result {
        let set: Set = AgingList::new()?;
        let mut all = KVec::new();

        check!(groups_are(&set, &[])?);
        for value in [1, 2, 11, 13, 21, 31, 42] {
            all.push(join(&set, value)?, GFP_KERNEL)?;
        }
        check!(groups_are(&set, &[])?);
        advance_below(&set, 0, 30);
        check!(groups_are(&set, &[1, 2, 11, 13, 21])?);
        advance_below(&set, 1, 12);
        check!(groups_are(&set, &[1, 2, 11, 13, 21])?);
        drop(all.remove(1).map_err(|_| EINVAL)?);
        drop(all.remove(5).map_err(|_| EINVAL)?);
        check!(groups_are(&set, &[1, 11, 13, 21])?);
        drop(all.remove(1).map_err(|_| EINVAL)?);
        check!(groups_are(&set, &[1, 13, 21])?);
        drop(all);
        check!(groups_are(&set, &[])?);
        Ok(())
    }

    /// More new groups than there is memory for at once.
    #[test]
    fn every_member_may_have_a_group_of_its_own() -> Result {
        let set: Set = AgingList::new()?;
        let mut all = KVec::new();

        for value in 0..10 {
            all.push(join(&set, value)?, GFP_KERNEL)?;
        }
        check_eq!(advance_below(&set, 0, 10).1, 10);
        check!(groups_are(&set, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9])?);
        Ok(())
    }

    #[test]
    fn a_member_is_its_value() -> Result {
        let set: Set = AgingList::new()?;
        let member = join(&set, 42)?;

        drop(set);
        check_eq!(member.0, 42);
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
    let mut grouped = KVec::new();
    for (value, of) in &model {
        if *of > 0 {
            grouped.push(*value, GFP_KERNEL)?;
        }
    }
    check!(groups_are(&set, &grouped)?);
    for generation in 0..3 {
        let mut left = members(&set, generation)?;

        left.retain(|value| !model.contains(&(*value, generation)));
        check_eq!(left.len(), 0, "generation {}", generation);
    }
    Ok(())
}

walk_suite!(pddgpu_aging_list_walk);
