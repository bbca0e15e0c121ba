// SPDX-License-Identifier: GPL-2.0

//! What GEM_COPY and GEM_FILL do to content, and what they refuse.

use anyhow::{ensure, Result};
use libtest_mimic::Trial;
use pddgpu::{raw, virtual_card::pages, Buffer, Card, Create, CreateFlags, Domain, Domains};
use rustix::io::Errno;

use crate::support::{
    compare::{ensure_holds, ensure_same},
    engine::finish,
    fixture::{trials, Bench},
    random::Random,
};

pub fn tests() -> Vec<Trial> {
    trials!(card_trial:
        copies_between_all_domains,
        fills_in_all_domains,
        copies_within_a_buffer,
        copies_what_random_programs_ask_for,
        a_move_comes_after_a_transfer,
        rejects_copies_that_make_no_sense,
        rejects_fills_that_make_no_sense,
    )
}

const PAGE: u64 = pages::PAGE as u64;

fn mappable(card: &Card, size: u64, domain: Domain) -> Result<Buffer> {
    let create = Create::new(size, domain.into()).flags(CreateFlags::CPU_ACCESS_REQUIRED);
    Ok(card.create(create)?)
}

fn copies_between_all_domains(bench: &Bench) -> Result<()> {
    let size = 3 << 20;
    let mut seed = 100;
    for from in Domain::ALL {
        for to in Domain::ALL {
            for (source, destination, bytes) in [
                (0, 0, size),
                (4, PAGE + 8, 2 << 20),
                (PAGE - 4, 12, PAGE + 4),
                (size - 4, 0, 4),
            ] {
                seed += 1;
                let (a, b) = (
                    mappable(&bench.card, size, from)?,
                    mappable(&bench.card, size, to)?,
                );
                let content = pages::pattern(seed, size as usize);
                a.map()?.write(0, &content);
                let mut expected = pages::pattern(seed + 1000, size as usize);
                b.map()?.write(0, &expected);
                a.copy_to(source, &b, destination, bytes, &[])?;
                finish(&b)?;
                expected[destination as usize..][..bytes as usize]
                    .copy_from_slice(&content[source as usize..][..bytes as usize]);
                let what = format!("{from} at {source} to {to} at {destination}, {bytes} bytes");
                ensure_holds(&b.map()?, &expected, &what)?;
                ensure_holds(&a.map()?, &content, &format!("the source of {what}"))?;
            }
        }
    }
    Ok(())
}

fn fills_in_all_domains(bench: &Bench) -> Result<()> {
    let size = 3 << 20;
    for domain in Domain::ALL {
        let buffer = mappable(&bench.card, size, domain)?;
        let mut expected = pages::pattern(7, size as usize);
        buffer.map()?.write(0, &expected);
        for (offset, bytes, value) in [
            (PAGE - 8, 16, 0x0102_0304_u32),
            (1 << 20, (1 << 20) + 12, 0xdead_beef),
            (size - 4, 4, 0),
        ] {
            buffer.fill(offset, bytes, value, &[])?;
            for word in expected[offset as usize..][..bytes as usize].chunks_exact_mut(4) {
                word.copy_from_slice(&value.to_le_bytes());
            }
        }
        finish(&buffer)?;
        ensure_holds(&buffer.map()?, &expected, &format!("filled in {domain}"))?;
    }
    Ok(())
}

fn copies_within_a_buffer(bench: &Bench) -> Result<()> {
    for domain in Domain::ALL {
        let buffer = mappable(&bench.card, 4 * PAGE, domain)?;
        let mut expected = pages::pattern(11, 4 * pages::PAGE);
        buffer.map()?.write(0, &expected);
        buffer.copy_to(0, &buffer, 2 * PAGE, PAGE + 4, &[])?;
        finish(&buffer)?;
        expected.copy_within(0..pages::PAGE + 4, 2 * pages::PAGE);
        ensure_holds(&buffer.map()?, &expected, &format!("within {domain}"))?;
    }
    Ok(())
}

/// A row of copies and fills between four buffers, compared with what a program would have done.
fn copies_what_random_programs_ask_for(bench: &Bench) -> Result<()> {
    let size = 24 * PAGE;
    let mut random = Random::new(4711);
    let mut below = |end: u64| random.below(end as usize) as u64;
    let domains = [Domain::Vram, Domain::Vram, Domain::Gtt, Domain::Cpu];
    let mut buffers = Vec::new();
    for (seed, domain) in domains.into_iter().enumerate() {
        let buffer = mappable(&bench.card, size, domain)?;
        let content = pages::pattern(seed as u64 + 20, size as usize);
        buffer.map()?.write(0, &content);
        buffers.push((buffer, content));
    }
    for _ in 0..300 {
        let (from, to) = (below(4) as usize, below(4) as usize);
        let bytes = 4 * (1 + below(size / 4 - 1));
        let (at, there) = (
            4 * below((size - bytes) / 4 + 1),
            4 * below((size - bytes) / 4 + 1),
        );
        if below(3) == 0 {
            let value = below(1 << 32) as u32;
            buffers[to].0.fill(there, bytes, value, &[])?;
            for word in buffers[to].1[there as usize..][..bytes as usize].chunks_exact_mut(4) {
                word.copy_from_slice(&value.to_le_bytes());
            }
        } else if from != to {
            buffers[from]
                .0
                .copy_to(at, &buffers[to].0, there, bytes, &[])?;
            let part = buffers[from].1[at as usize..][..bytes as usize].to_vec();
            buffers[to].1[there as usize..][..bytes as usize].copy_from_slice(&part);
        }
    }
    for (number, (buffer, content)) in buffers.iter().enumerate() {
        finish(buffer)?;
        ensure_holds(&buffer.map()?, content, &format!("buffer {number}"))?;
    }
    Ok(())
}

fn a_move_comes_after_a_transfer(bench: &Bench) -> Result<()> {
    let buffer = mappable(&bench.card, 1 << 20, Domain::Vram)?;
    for (round, domain) in [Domain::Gtt, Domain::Vram, Domain::Cpu, Domain::Vram]
        .into_iter()
        .enumerate()
    {
        buffer.fill(0, 1 << 20, round as u32 + 1, &[])?;
        buffer.move_to(domain)?;
        finish(&buffer)?;
        let mut seen = vec![0; 1 << 20];
        buffer.map()?.read(0, &mut seen);
        let expected: Vec<_> = std::iter::repeat((round as u32 + 1).to_le_bytes())
            .take(1 << 18)
            .flatten()
            .collect();
        ensure_same(&seen, &expected, &format!("moved to {domain}"))?;
    }
    Ok(())
}

fn rejects_copies_that_make_no_sense(bench: &Bench) -> Result<()> {
    let buffer = bench.card.create(Create::new(2 * PAGE, Domains::GTT))?;
    let other = bench.card.create(Create::new(PAGE, Domains::GTT))?;
    let (own, theirs) = (buffer.handle(), other.handle());
    for (what, [src, dst], [src_offset, dst_offset, size], flags, errno) in [
        ("good", [own, theirs], [PAGE, 0, PAGE], 0, None),
        ("no size", [own, theirs], [0; 3], 0, Some(Errno::INVAL)),
        ("size", [own, theirs], [0, 0, 6], 0, Some(Errno::INVAL)),
        ("source", [own, theirs], [2, 0, 4], 0, Some(Errno::INVAL)),
        ("target", [own, theirs], [0, 1, 4], 0, Some(Errno::INVAL)),
        ("beyond", [own, theirs], [0, 4, PAGE], 0, Some(Errno::INVAL)),
        (
            "wraps",
            [own, theirs],
            [u64::MAX - 3, 0, 4],
            0,
            Some(Errno::INVAL),
        ),
        (
            "huge",
            [own, theirs],
            [0, 0, u64::MAX - 3],
            0,
            Some(Errno::INVAL),
        ),
        ("overlap", [own, own], [0, 4, PAGE], 0, Some(Errno::INVAL)),
        ("itself", [own, own], [0, 0, PAGE], 0, Some(Errno::INVAL)),
        ("flags", [own, theirs], [0, 0, PAGE], 1, Some(Errno::INVAL)),
        (
            "no source",
            [999, theirs],
            [0, 0, PAGE],
            0,
            Some(Errno::NOENT),
        ),
        ("no target", [own, 999], [0, 0, PAGE], 0, Some(Errno::NOENT)),
    ] {
        let args = raw::drm_pddgpu_gem_copy {
            src,
            dst,
            src_offset,
            dst_offset,
            size,
            flags,
            ..Default::default()
        };
        let result = bench.card.raw().gem_copy(args);
        ensure!(result.err() == errno, "{what}: {result:?}");
    }
    finish(&buffer)
}

fn rejects_fills_that_make_no_sense(bench: &Bench) -> Result<()> {
    let buffer = bench.card.create(Create::new(2 * PAGE, Domains::GTT))?;
    let own = buffer.handle();
    for (what, handle, [offset, size], pad, errno) in [
        ("good", own, [PAGE, PAGE], 0, None),
        ("no size", own, [0; 2], 0, Some(Errno::INVAL)),
        ("beyond", own, [2 * PAGE, 4], 0, Some(Errno::INVAL)),
        ("odd", own, [2, 4], 0, Some(Errno::INVAL)),
        ("pad", own, [0, PAGE], 1, Some(Errno::INVAL)),
        ("no buffer", 999, [0, PAGE], 0, Some(Errno::NOENT)),
    ] {
        let args = raw::drm_pddgpu_gem_fill {
            handle,
            offset,
            size,
            pad,
            ..Default::default()
        };
        let result = bench.card.raw().gem_fill(args);
        ensure!(result.err() == errno, "{what}: {result:?}");
    }
    finish(&buffer)
}
