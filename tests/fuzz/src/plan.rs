// SPDX-License-Identifier: GPL-2.0

//! Which operations the threads and the administrator of a round carry out: made from a seed, or
//! read from a list.

use std::fmt::Write;

use anyhow::{Context, Result};
use pddgpu_e2e::support::random::Random;

use crate::{administrator, operations, shared::STREAMS};

/// Operations of a thread in a round.
const OPERATIONS: usize = 300;
/// Operations of the administrator in a round.
const MEASURES: usize = 12;

/// An operation: the number of its kind, and a seed from which its details follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    pub kind: usize,
    pub seed: u64,
}

/// A round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What each thread does.
    pub streams: [Vec<Operation>; STREAMS],
    /// What the administrator does meanwhile, at even distances.
    pub measures: Vec<Operation>,
}

/// What the administrator is called in lists.
const ADMINISTRATOR: &str = "administrator";

/// Chooses one of the kinds that this round has, by their weights.
fn choose(random: &mut Random, weights: &[usize]) -> usize {
    let mut at = random.below(weights.iter().sum::<usize>().max(1));
    for (kind, weight) in weights.iter().enumerate() {
        if at < *weight {
            return kind;
        }
        at -= weight;
    }
    0
}

/// Leaves out a part of the kinds, because what a kind hides is found where it is missing.
fn some(random: &mut Random, weights: impl Iterator<Item = usize>, one_in: usize) -> Vec<usize> {
    weights
        .map(|weight| if random.below(one_in) == 0 { 0 } else { weight })
        .collect()
}

fn operation(random: &mut Random, weights: &[usize]) -> Operation {
    Operation {
        kind: choose(random, weights),
        seed: random.next_u64(),
    }
}

impl Plan {
    /// The plan of a round.
    pub fn new(seed: u64, round: u64) -> Self {
        let mut random = Random::new(seed ^ round.wrapping_mul(0xd134_2543_de82_ef95));
        // The first number of similar seeds would be similar.
        let mut random = Random::new(random.next_u64());
        let kinds = operations::kinds();
        let weights = some(&mut random, kinds.iter().map(|kind| kind.weight), 5);
        let streams = [(); STREAMS].map(|()| {
            (0..OPERATIONS)
                .map(|_| operation(&mut random, &weights))
                .collect()
        });
        // Most rounds leave the card alone, so that the programs get on.
        let measures = if random.below(3) == 0 {
            let kinds = administrator::KINDS.iter().map(|kind| kind.weight);
            let weights = some(&mut random, kinds, 2);
            (0..MEASURES)
                .map(|_| operation(&mut random, &weights))
                .collect()
        } else {
            Vec::new()
        };
        Self { streams, measures }
    }

    /// How many operations there are.
    pub fn len(&self) -> usize {
        self.measures.len() + self.streams.iter().map(Vec::len).sum::<usize>()
    }

    /// Reads a list, as [`list`](Self::list) makes it.
    ///
    /// # Errors
    ///
    /// For a line that is no operation.
    pub fn parse(text: &str) -> Result<Self> {
        let kinds = operations::kinds();
        let mut plan = Self::default();
        for line in text.lines().filter(|line| !line.is_empty()) {
            let bad = || format!("no operation: {line}");
            let mut words = line.split_whitespace();
            let mut word = || words.next().with_context(bad);
            let (stream, name, seed) = (word()?, word()?, word()?);
            let seed = u64::from_str_radix(seed, 16).with_context(bad)?;
            if stream == ADMINISTRATOR {
                let kind = administrator::KINDS
                    .iter()
                    .position(|kind| kind.name == name);
                let kind = kind.with_context(bad)?;
                plan.measures.push(Operation { kind, seed });
            } else {
                let kind = kinds.iter().position(|kind| kind.name == name);
                let kind = kind.with_context(bad)?;
                let stream: usize = stream.parse().with_context(bad)?;
                let stream = plan.streams.get_mut(stream).with_context(bad)?;
                stream.push(Operation { kind, seed });
            }
        }
        Ok(plan)
    }

    /// A line for each operation: its thread, its kind and its seed.
    pub fn list(&self) -> String {
        let kinds = operations::kinds();
        let mut text = String::new();
        for (number, stream) in self.streams.iter().enumerate() {
            for operation in stream {
                let name = kinds[operation.kind].name;
                // Writing to a string cannot fail.
                let _ = writeln!(text, "{number} {name} {:x}", operation.seed);
            }
        }
        for measure in &self.measures {
            let name = administrator::KINDS[measure.kind].name;
            let _ = writeln!(text, "{ADMINISTRATOR} {name} {:x}", measure.seed);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_the_same_plan_each_time() {
        assert_eq!(Plan::new(1, 2), Plan::new(1, 2));
        assert_ne!(Plan::new(1, 2), Plan::new(1, 3));
        assert_ne!(Plan::new(1, 2), Plan::new(2, 2));
    }

    #[test]
    fn lists_say_all() {
        for round in 0..10 {
            let plan = Plan::new(7, round);
            assert_eq!(Plan::parse(&plan.list()).unwrap(), plan);
            assert_eq!(plan.list().lines().count(), plan.len());
        }
        for line in [
            "0",
            "0 gem_create",
            "0 gem_create x",
            "9 load 0",
            "a load 0",
            "0 no 0",
        ] {
            assert!(Plan::parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn every_kind_is_in_some_round() {
        let mut missing: Vec<_> = operations::kinds().iter().map(|kind| kind.name).collect();
        missing.extend(administrator::KINDS.iter().map(|kind| kind.name));
        for round in 0..50 {
            let text = Plan::new(3, round).list();
            missing.retain(|name| !text.contains(&format!(" {name} ")));
        }
        assert!(missing.is_empty(), "{missing:?}");
    }
}
