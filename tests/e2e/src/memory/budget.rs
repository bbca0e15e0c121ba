// SPDX-License-Identifier: GPL-2.0

//! VRAM that is not enough for all: who keeps what.

use std::{collections::VecDeque, os::fd::AsFd, time::Duration};

use anyhow::{ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::{raw, Budget, Buffer, Card, Create, Domain, Domains, Priority};
use rustix::io::Errno;

use crate::support::{
    engine::finish,
    fixture::{trials, Bench},
    patience::eventually,
};

pub fn tests() -> Vec<Trial> {
    trials!(card_trial:
        a_hog_leaves_others_their_budget,
        who_is_within_its_budget_gets_vram,
        clients_that_want_all_share_and_rest,
        budgets_tell_what_clients_have,
        what_is_reserved_stays,
        reservations_are_bounded,
        a_reservation_lives_as_long_as_its_file,
        priorities_order_the_buffers_of_a_client,
        rejects_what_makes_no_sense,
    )
}

/// Buffers that a test keeps of those that a hog makes: the VM has little memory for what is evicted.
const KEPT: usize = 24;

fn open(bench: &Bench) -> Result<Card> {
    Ok(Card::open(bench.card.path())?)
}

fn vram(card: &Card) -> Result<Budget> {
    let budgets = card.budgets()?.into_iter();
    budgets
        .into_iter()
        .find(|budget| budget.domain == Domain::Vram)
        .context("no budget of VRAM")
}

/// Bytes of `part` of `whole` parts of VRAM, in whole pages.
fn part(bench: &Bench, part: u64, whole: u64) -> Result<u64> {
    Ok(bench.heap(Domain::Vram)?.usable * part / whole / 4096 * 4096)
}

fn buffers(card: &Card, count: u64, size: u64, domains: Domains) -> Result<Vec<Buffer>> {
    (0..count)
        .map(|_| Ok(card.create(Create::new(size, domains))?))
        .collect()
}

/// Creates ten times what VRAM holds, and keeps some of it.
fn hog(card: &Card, size: u64, all: u64) -> Result<VecDeque<Buffer>> {
    let mut kept = VecDeque::new();
    for number in 0..10 * all / size {
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(
            card.create(Create::new(size, Domains::VRAM))
                .with_context(|| format!("the hog's buffer {number}"))?,
        );
    }
    Ok(kept)
}

fn in_vram(buffers: &[Buffer]) -> Result<u64> {
    buffers.iter().try_fold(0, |sum, buffer| {
        let info = buffer.info()?;
        Ok(sum + u64::from(info.placement == Domain::Vram) * info.size)
    })
}

fn a_hog_leaves_others_their_budget(bench: &Bench) -> Result<()> {
    let size = part(bench, 1, 64)?;
    // Used long before all that the hog has.
    let working_set = buffers(&bench.card, 20, size, Domains::VRAM)?;
    let other = open(bench)?;
    let _hog = hog(&other, part(bench, 1, 20)?, part(bench, 1, 1)?)?;
    ensure!(
        in_vram(&working_set)? == 20 * size,
        "{} of {} bytes are left",
        in_vram(&working_set)?,
        20 * size
    );
    ensure!(
        vram(&bench.card)?.displaced == 0,
        "{:?}",
        vram(&bench.card)?
    );
    ensure!(vram(&other)?.displaced > 0, "{:?}", vram(&other)?);
    Ok(())
}

fn who_is_within_its_budget_gets_vram(bench: &Bench) -> Result<()> {
    let size = part(bench, 1, 32)?;
    let both = Domains::VRAM | Domains::GTT;
    let hog = buffers(&bench.card, 34, size, both)?;
    ensure!(
        in_vram(&hog)? > 30 * size && in_vram(&hog)? < 34 * size,
        "who has too much evicts his own, or nothing: {}",
        in_vram(&hog)?
    );
    let other = open(bench)?;
    let late = buffers(&other, 10, size, both)?;
    ensure!(
        in_vram(&late)? == 10 * size,
        "{} of {} bytes got there: {:?}",
        in_vram(&late)?,
        10 * size,
        vram(&other)?
    );
    // More than its budget it does not get from others.
    let _more = buffers(&other, 10, size, both)?;
    let there = vram(&other)?.resident;
    ensure!(
        (15 * size..=17 * size).contains(&there),
        "{there} bytes are there: {:?}",
        vram(&other)?
    );
    Ok(())
}

fn clients_that_want_all_share_and_rest(bench: &Bench) -> Result<()> {
    let size = part(bench, 1, 32)?;
    let other = open(bench)?;
    let first = buffers(&bench.card, 32, size, Domains::VRAM)?;
    let second = buffers(&other, 32, size, Domains::VRAM)?;
    for (name, set, card) in [("first", &first, &bench.card), ("second", &second, &other)] {
        let there = in_vram(set)?;
        ensure!(
            (15 * size..=17 * size).contains(&there),
            "{name}: {there} bytes of {}: {:?}",
            32 * size,
            vram(card)?
        );
    }
    let moves = || Ok::<_, anyhow::Error>(bench.card.memory_stats()?.moves);
    let before = moves()?;
    std::thread::sleep(Duration::from_secs(2));
    ensure!(moves()? == before, "buffers move that nobody touches");
    Ok(())
}

fn budgets_tell_what_clients_have(bench: &Bench) -> Result<()> {
    let usable = bench.heap(Domain::Vram)?.usable;
    let alone = vram(&bench.card)?;
    ensure!(alone.budget == usable, "{alone:?}");
    ensure!((alone.usage, alone.resident, alone.displaced) == (0, 0, 0));
    let other = open(bench)?;
    let size = part(bench, 1, 8)?;
    let mut set = buffers(&other, 2, size, Domains::VRAM | Domains::GTT)?;
    ensure!(vram(&bench.card)?.budget / 4096 == (usable - 2 * size) / 4096);
    // Beyond half of it the level is the same for both.
    set.extend(buffers(&other, 4, size, Domains::VRAM | Domains::GTT)?);
    let half = vram(&bench.card)?;
    ensure!(half.budget.abs_diff(usable / 2) <= 4096, "{half:?}");
    set[0].move_to(Domain::Gtt)?;
    let moved = vram(&other)?;
    ensure!((moved.usage, moved.resident, moved.displaced) == (5 * size, 5 * size, 0));
    let budgets = other.budgets()?;
    ensure!(budgets.len() == 3, "{budgets:?}");
    ensure!(budgets[1].usage == size && budgets[1].resident == size);
    ensure!(budgets[1].reservable == 0 && budgets[2].reservable == 0);
    Ok(())
}

fn what_is_reserved_stays(bench: &Bench) -> Result<()> {
    let size = part(bench, 1, 16)?;
    bench.card.reserve(4 * size)?;
    let reserved = buffers(&bench.card, 4, size, Domains::VRAM)?;
    let other = open(bench)?;
    // With ten clients the level is far below what is reserved.
    let others: Vec<Card> = (0..9).map(|_| open(bench)).collect::<Result<_>>()?;
    let mut wants = Vec::new();
    for card in &others {
        wants.extend(buffers(card, 4, size, Domains::VRAM)?);
    }
    ensure!(in_vram(&reserved)? == 4 * size, "{:?}", vram(&bench.card)?);
    // One buffer that needs all that is not reserved, and one that needs more.
    let rest = part(bench, 1, 1)? - 4 * size;
    let large = other.create(Create::new(rest - size, Domains::VRAM))?;
    finish(&large)?;
    ensure!(in_vram(&reserved)? == 4 * size, "{:?}", vram(&bench.card)?);
    drop(large);
    let too_large = other.create(Create::new(rest + size, Domains::VRAM));
    let errno = too_large.err().and_then(|err| err.errno());
    ensure!(errno == Some(Errno::NOSPC), "{errno:?}");
    ensure!(in_vram(&reserved)? == 4 * size, "{:?}", vram(&bench.card)?);
    // What it has not reserved it may lose.
    bench.card.reserve(0)?;
    let _large = other.create(Create::new(rest + size, Domains::VRAM))?;
    ensure!(in_vram(&reserved)? < 4 * size);
    Ok(())
}

fn reservations_are_bounded(bench: &Bench) -> Result<()> {
    let refused = |card: &Card, bytes| {
        let errno = card.reserve(bytes).err().and_then(|err| err.errno());
        ensure!(errno == Some(Errno::NOSPC), "{bytes}: {errno:?}");
        Ok(())
    };
    let usable = bench.heap(Domain::Vram)?.usable;
    let first = vram(&bench.card)?;
    ensure!(first.reservable == usable / 2, "{first:?}");
    refused(&bench.card, first.reservable + 1)?;
    refused(&bench.card, u64::MAX)?;
    bench.card.reserve(first.reservable - 4096)?;
    let other = open(bench)?;
    ensure!(vram(&other)?.reservable == 4096, "{:?}", vram(&other)?);
    refused(&other, 8192)?;
    other.reserve(4096)?;
    refused(&bench.card, first.reservable)?;
    // It is replaced, not added to.
    bench.card.reserve(first.reservable - 4096)?;
    let now = vram(&bench.card)?;
    ensure!(now.reservation == first.reservable - 4096, "{now:?}");
    bench.card.reserve(0)?;
    ensure!(vram(&other)?.reservable == first.reservable);
    Ok(())
}

fn a_reservation_lives_as_long_as_its_file(bench: &Bench) -> Result<()> {
    let whole = vram(&bench.card)?.reservable;
    let other = open(bench)?;
    other.reserve(whole)?;
    // A copy of the file keeps it, whoever has it.
    let copy = other.as_fd().try_clone_to_owned()?;
    drop(other);
    ensure!(vram(&bench.card)?.reservable == 0);
    drop(copy);
    // The kernel closes a file when it returns to user space.
    eventually(|| {
        let now = vram(&bench.card)?;
        ensure!(now.reservable == whole, "{now:?}");
        Ok(())
    })
}

fn priorities_order_the_buffers_of_a_client(bench: &Bench) -> Result<()> {
    let size = part(bench, 1, 8)?;
    let set = buffers(&bench.card, 7, size, Domains::VRAM)?;
    set[0].set_priority(Priority::High)?;
    set[1].set_priority(Priority::High)?;
    set[5].set_priority(Priority::Low)?;
    set[6].set_priority(Priority::Low)?;
    set[6].set_priority(Priority::Normal)?;
    // There is room for one more. Then one that is low goes, those that are normal in the order of
    // their use, and what is high last.
    let gone = [5, 2, 3, 4, 6, 0];
    let mut more = buffers(&bench.card, 1, size, Domains::VRAM)?;
    for (count, _) in gone.iter().enumerate() {
        // Not a candidate itself.
        for buffer in &more {
            buffer.set_priority(Priority::High)?;
        }
        more.extend(buffers(&bench.card, 1, size, Domains::VRAM)?);
        for (number, buffer) in set.iter().enumerate() {
            let wanted = !gone[..=count].contains(&number);
            let is = buffer.info()?.placement == Domain::Vram;
            ensure!(is == wanted, "buffer {number} after {}", count + 1);
        }
    }
    Ok(())
}

fn rejects_what_makes_no_sense(bench: &Bench) -> Result<()> {
    let reserve = |domain, pad| {
        bench.card.raw().reserve(raw::drm_pddgpu_reserve {
            domain,
            pad,
            size: 4096,
        })
    };
    for domain in [0, 1, 2, 3, 6, 8, u32::MAX] {
        ensure!(reserve(domain, 0) == Err(Errno::INVAL), "domain {domain}");
    }
    ensure!(reserve(raw::PDDGPU_GEM_DOMAIN_VRAM, 1) == Err(Errno::INVAL));
    ensure!(vram(&bench.card)?.reservation == 0);

    let buffer = bench.card.create(Create::new(4096, Domains::VRAM))?;
    let set = |handle, priority| {
        let args = raw::drm_pddgpu_gem_set_priority { handle, priority };
        bench.card.raw().gem_set_priority(args)
    };
    for priority in [-2, 2, i32::MIN, i32::MAX] {
        ensure!(
            set(buffer.handle(), priority) == Err(Errno::INVAL),
            "{priority}"
        );
    }
    ensure!(set(buffer.handle() + 1, 0) == Err(Errno::NOENT));
    Ok(set(buffer.handle(), 0)?)
}
