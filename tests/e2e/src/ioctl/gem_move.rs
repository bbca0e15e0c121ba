// SPDX-License-Identifier: GPL-2.0

use anyhow::{ensure, Result};
use libtest_mimic::Trial;
use pddgpu::{raw::drm_pddgpu_gem_move, virtual_card::pages, Create, CreateFlags, Domain, Domains};
use rustix::io::Errno;

use crate::support::{
    compare::ensure_holds,
    fixture::{skip, trials, Bench},
};

pub fn tests() -> Vec<Trial> {
    trials!(card_trial:
        keeps_content_between_all_domains,
        keeps_what_was_asked_for,
        honours_flags_on_the_way_back,
        moves_buffers_that_were_never_touched,
        rejects_domains_that_are_not_one,
        rejects_unknown_handles,
        rejects_what_the_domain_could_never_hold,
    )
}

fn keeps_content_between_all_domains(bench: &Bench) -> Result<()> {
    let mut seed = 0;
    for from in Domain::ALL {
        for to in Domain::ALL {
            for size in [pages::PAGE, 3 * pages::PAGE, (2 << 20) + 5 * pages::PAGE] {
                seed += 1;
                let create = Create::new(size as u64, from.into());
                let buffer = bench
                    .card
                    .create(create.flags(CreateFlags::CPU_ACCESS_REQUIRED))?;
                let content = pages::pattern(seed, size);
                let mut map = buffer.map()?;
                map.write(0, &content);
                buffer.move_to(to)?;
                let info = buffer.info()?;
                ensure!(info.placement == to, "{from} to {to}: {info:?}");
                ensure_holds(&map, &content, &format!("{from} to {to}"))?;
                // Seen through a new mapping it is the same, and reading moved nothing.
                ensure_holds(
                    &buffer.map()?,
                    &content,
                    &format!("{from} to {to}, mapped anew"),
                )?;
                ensure!(
                    buffer.info()? == info,
                    "{from} to {to}: {info:?}, {:?}",
                    buffer.info()?
                );
            }
        }
    }
    Ok(())
}

fn keeps_what_was_asked_for(bench: &Bench) -> Result<()> {
    let flags = CreateFlags::VRAM_CLEARED;
    let create = Create::new(100_000, Domains::VRAM)
        .flags(flags)
        .alignment(1 << 16);
    let buffer = bench.card.create(create)?;
    for domain in [Domain::Cpu, Domain::Gtt, Domain::Vram, Domain::Cpu] {
        buffer.move_to(domain)?;
        let info = buffer.info()?;
        ensure!(info.placement == domain, "{domain}: {info:?}");
        ensure!(
            info.domains == Domains::VRAM && info.flags == flags,
            "{domain}: {info:?}"
        );
        ensure!(info.alignment == 1 << 16, "{domain}: {info:?}");
    }
    Ok(())
}

fn honours_flags_on_the_way_back(bench: &Bench) -> Result<()> {
    let flags = CreateFlags::CPU_ACCESS_REQUIRED | CreateFlags::VRAM_CONTIGUOUS;
    let create = Create::new(192 << 10, Domains::CPU)
        .flags(flags)
        .alignment(1 << 20);
    let buffer = bench.card.create(create)?;
    for domain in [Domain::Vram, Domain::Gtt, Domain::Vram] {
        buffer.move_to(domain)?;
        let info = buffer.info()?;
        ensure!(info.visible == info.size, "{info:?}");
        ensure!(
            info.gpu_addr.is_some_and(|addr| addr % (1 << 20) == 0),
            "{info:?}"
        );
    }
    Ok(())
}

fn moves_buffers_that_were_never_touched(bench: &Bench) -> Result<()> {
    for from in Domain::ALL {
        for flags in [CreateFlags::empty(), CreateFlags::NO_CPU_ACCESS] {
            let buffer = bench
                .card
                .create(Create::new(1 << 20, from.into()).flags(flags))?;
            for to in [
                Domain::Cpu,
                Domain::Vram,
                Domain::Gtt,
                Domain::Cpu,
                Domain::Gtt,
            ] {
                buffer.move_to(to)?;
                ensure!(
                    buffer.info()?.placement == to,
                    "{from} to {to}: {:?}",
                    buffer.info()?
                );
            }
        }
    }
    Ok(())
}

fn rejects_domains_that_are_not_one(bench: &Bench) -> Result<()> {
    let buffer = bench.card.create(Create::new(4096, Domains::all()))?;
    let before = buffer.info()?;
    for domain in [0, 3, 5, 6, 7, 8, 12, 1 << 31, u32::MAX] {
        let args = drm_pddgpu_gem_move {
            handle: buffer.handle(),
            domain,
            ..Default::default()
        };
        let result = bench.card.raw().gem_move(args);
        ensure!(result == Err(Errno::INVAL), "{domain:#x}: {result:?}");
    }
    ensure!(buffer.info()? == before, "it moved: {:?}", buffer.info()?);
    Ok(())
}

fn rejects_unknown_handles(bench: &Bench) -> Result<()> {
    for handle in [0, 12345, u32::MAX] {
        let args = drm_pddgpu_gem_move {
            handle,
            domain: Domains::GTT.bits(),
            ..Default::default()
        };
        let result = bench.card.raw().gem_move(args);
        ensure!(result == Err(Errno::NOENT), "{handle}: {result:?}");
    }
    Ok(())
}

fn rejects_what_the_domain_could_never_hold(bench: &Bench) -> Result<()> {
    let vram = bench.heap(Domain::Vram)?.usable;
    let gtt = bench.heap(Domain::Gtt)?.usable;
    let required = CreateFlags::CPU_ACCESS_REQUIRED;
    let cases = [
        (
            Domain::Cpu,
            Domain::Vram,
            bench.device.visible_size,
            required,
        ),
        (Domain::Cpu, Domain::Vram, vram, CreateFlags::empty()),
        (Domain::Cpu, Domain::Gtt, gtt, CreateFlags::empty()),
        (Domain::Vram, Domain::Gtt, gtt, required),
    ];
    let mut tried = 0;
    for (from, to, limit, flags) in cases {
        // A buffer takes real memory, of which the VM has not more than it needs.
        let size = limit + 4096;
        if size > 128 << 20 || from == Domain::Vram && size > bench.device.visible_size {
            continue;
        }
        tried += 1;
        let buffer = bench
            .card
            .create(Create::new(size, from.into()).flags(flags))?;
        let mut map = buffer.map()?;
        map.write(size as usize - 5, b"there");
        let before = buffer.info()?;
        let result = buffer.move_to(to);
        let errno = result.as_ref().err().and_then(|error| error.errno());
        ensure!(errno == Some(Errno::TOOBIG), "{from} to {to}: {result:?}");
        ensure!(
            buffer.info()? == before,
            "{from} to {to}: it is {:?}",
            buffer.info()?
        );
        let mut bytes = [0; 5];
        map.read(size as usize - 5, &mut bytes);
        ensure!(
            &bytes == b"there",
            "{from} to {to}: its content is {bytes:?}"
        );
    }
    if tried == 0 {
        return skip("this card's memory is too large for the VM");
    }
    Ok(())
}
