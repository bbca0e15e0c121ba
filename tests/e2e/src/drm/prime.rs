// SPDX-License-Identifier: GPL-2.0

//! dma-bufs of other drivers here, and those of this driver there.

use std::os::{fd::AsFd, unix::fs::FileExt};

use anyhow::{ensure, Result};
use libtest_mimic::Trial;
use pddgpu::{
    raw, virtual_card::pages::pattern, Buffer, Card, Create, CreateFlags, Deadline, Domain, Domains,
};
use rustix::{fs::OFlags, io::Errno, mm::MapFlags};

use crate::support::{
    compare::{ensure_holds, ensure_same},
    dma_heap,
    driver::Driver,
    engine::finish,
    fixture::{trials, Bench},
    mmap::try_mmap,
    nodes::{name_of, primary_node},
    prime::{export, map, udmabuf_of, Imported},
    vgem,
};

pub fn tests() -> Vec<Trial> {
    let mut tests = trials!(card_trial:
        copies_to_and_from_a_memfd,
        takes_buffers_of_another_driver,
        takes_buffers_of_the_system_heap,
        counts_what_it_imported,
        what_is_imported_stays_where_it_is,
        read_only_stays_read_only,
        who_only_attaches_pins_nothing,
        copies_between_two_buffers_of_one_dma_buf,
    );
    tests.extend(trials!(driver_trial:
        unbinds_while_another_device_is_attached,
        unbinds_while_it_is_attached,
    ));
    tests
}

const SIZE: u64 = 1 << 20;

/// Copies between two handles, and waits until that is done.
fn copy(card: &Card, [src, dst]: [u32; 2], bytes: u64) -> Result<(), Errno> {
    card.raw().gem_copy(raw::drm_pddgpu_gem_copy {
        src,
        dst,
        size: bytes,
        ..Default::default()
    })?;
    for handle in [src, dst] {
        card.raw().gem_wait(raw::drm_pddgpu_gem_wait {
            handle,
            timeout_ns: Deadline::NEVER.as_nanos(),
            ..Default::default()
        })?;
    }
    Ok(())
}

fn own(bench: &Bench, domain: Domain) -> Result<(Buffer, Vec<u8>)> {
    let create = Create::new(SIZE, domain.into()).flags(CreateFlags::CPU_ACCESS_REQUIRED);
    let buffer = bench.card.create(create)?;
    let content = pattern(domain as u64 + 70, SIZE as usize);
    buffer.map()?.write(0, &content);
    Ok((buffer, content))
}

fn copies_to_and_from_a_memfd(bench: &Bench) -> Result<()> {
    let (shared, memory) = udmabuf_of(SIZE)?;
    let imported = Imported::new(&bench.card, &shared)?;
    for domain in Domain::ALL {
        let (buffer, content) = own(bench, domain)?;
        copy(&bench.card, [buffer.handle(), imported.handle], SIZE)?;
        let mut seen = vec![0; SIZE as usize];
        memory.read_exact_at(&mut seen, 0)?;
        ensure_same(&seen, &content, &format!("from {domain} to the memfd"))?;
        let content = pattern(domain as u64 + 90, SIZE as usize);
        memory.write_all_at(&content, 0)?;
        copy(&bench.card, [imported.handle, buffer.handle()], SIZE)?;
        ensure_holds(
            &buffer.map()?,
            &content,
            &format!("from the memfd to {domain}"),
        )?;
    }
    Ok(())
}

fn takes_buffers_of_another_driver(bench: &Bench) -> Result<()> {
    let shared = vgem::buffer(OFlags::RDWR)?;
    let imported = Imported::new(&bench.card, &shared)?;
    // The same dma-buf is the same handle.
    let again = drm_ffi::gem::fd_to_handle(bench.card.as_fd(), shared.as_fd())?;
    ensure!(again.handle == imported.handle, "{again:?}");
    let (buffer, content) = own(bench, Domain::Vram)?;
    let (other, _) = own(bench, Domain::Gtt)?;
    copy(&bench.card, [buffer.handle(), imported.handle], SIZE)?;
    copy(&bench.card, [imported.handle, other.handle()], SIZE)?;
    ensure_holds(&other.map()?, &content, "through vgem's buffer")
}

fn takes_buffers_of_the_system_heap(bench: &Bench) -> Result<()> {
    let shared = dma_heap::buffer(SIZE)?;
    let imported = Imported::new(&bench.card, &shared)?;
    let (buffer, content) = own(bench, Domain::Vram)?;
    let (other, _) = own(bench, Domain::Gtt)?;
    copy(&bench.card, [buffer.handle(), imported.handle], SIZE)?;
    let mapped = map(&shared, SIZE as usize)?;
    ensure!(
        mapped.ends_with(&content[SIZE as usize - 4096..]),
        "the CPU sees something else in the heap's buffer"
    );
    copy(&bench.card, [imported.handle, other.handle()], SIZE)?;
    ensure_holds(&other.map()?, &content, "through the heap's buffer")
}

fn counts_what_it_imported(bench: &Bench) -> Result<()> {
    let before = bench.heap(Domain::Cpu)?;
    let (shared, _memory) = udmabuf_of(SIZE)?;
    let imported = Imported::new(&bench.card, &shared)?;
    ensure!(
        bench.heap(Domain::Cpu)?.used == before.used + SIZE,
        "not counted"
    );
    drop(imported);
    drop(shared);
    bench.await_heap(&before)
}

fn what_is_imported_stays_where_it_is(bench: &Bench) -> Result<()> {
    let (shared, _memory) = udmabuf_of(SIZE)?;
    let imported = Imported::new(&bench.card, &shared)?;
    let mut info = raw::drm_pddgpu_gem_info {
        handle: imported.handle,
        ..Default::default()
    };
    bench.card.raw().gem_info(&mut info)?;
    ensure!(
        (info.size, info.placement, info.visible) == (SIZE, Domains::CPU.bits(), SIZE),
        "{info:?}"
    );
    ensure!(info.state == raw::DRM_PDDGPU_STATE_IMPORTED, "{info:?}");
    for (domain, expected) in [
        (Domains::VRAM, Err(Errno::INVAL)),
        (Domains::GTT, Err(Errno::INVAL)),
        (Domains::CPU, Ok(())),
    ] {
        let result = bench.card.raw().gem_move(raw::drm_pddgpu_gem_move {
            handle: imported.handle,
            domain: domain.bits(),
            ..Default::default()
        });
        ensure!(result == expected, "{domain:?}: {result:?}");
    }
    Ok(())
}

fn read_only_stays_read_only(bench: &Bench) -> Result<()> {
    let shared = vgem::buffer(OFlags::empty())?;
    let imported = Imported::new(&bench.card, &shared)?;
    let (buffer, _) = own(bench, Domain::Gtt)?;
    copy(&bench.card, [imported.handle, buffer.handle()], SIZE)?;
    let result = copy(&bench.card, [buffer.handle(), imported.handle], SIZE);
    ensure!(result == Err(Errno::ACCESS), "GEM_COPY: {result:?}");
    let result = bench.card.raw().gem_fill(raw::drm_pddgpu_gem_fill {
        handle: imported.handle,
        size: 4096,
        ..Default::default()
    });
    ensure!(result == Err(Errno::ACCESS), "GEM_FILL: {result:?}");
    let mut args = raw::drm_pddgpu_gem_mmap {
        handle: imported.handle,
        ..Default::default()
    };
    bench.card.raw().gem_mmap(&mut args)?;
    let result = try_mmap(&bench.card, args.offset, 4096, MapFlags::SHARED);
    ensure!(result == Err(Errno::ACCESS), "mmap: {result:?}");
    Ok(())
}

/// vgem attaches without mapping anything, and its mappings by the CPU are those of this driver.
fn who_only_attaches_pins_nothing(bench: &Bench) -> Result<()> {
    let (buffer, content) = own(bench, Domain::Vram)?;
    let shared = export(&buffer)?;
    let _attached = vgem::Attached::new(&shared)?;
    for domain in [Domain::Gtt, Domain::Cpu, Domain::Vram] {
        buffer.move_to(domain)?;
        finish(&buffer)?;
        let info = buffer.info()?;
        ensure!(info.placement == domain, "{domain}: {info:?}");
        ensure_holds(&buffer.map()?, &content, "what vgem has")?;
    }
    // It can be copied from all the same.
    let (other, _) = own(bench, Domain::Vram)?;
    copy(&bench.card, [buffer.handle(), other.handle()], SIZE)?;
    ensure_holds(&other.map()?, &content, "a copy of what vgem has")
}

/// Another client's buffer of a dma-buf by its name, and one's own: they share their lock.
fn copies_between_two_buffers_of_one_dma_buf(bench: &Bench) -> Result<()> {
    let (shared, memory) = udmabuf_of(SIZE)?;
    let content = pattern(8, SIZE as usize / 2);
    memory.write_all_at(&content, 0)?;
    let node = primary_node(&bench.card)?;
    let [theirs, card] = [Card::open(&node)?, Card::open(&node)?];
    let imported = Imported::new(&theirs, &shared)?;
    let name = name_of(&theirs, imported.handle)?;
    let from = drm_ffi::gem::open(card.as_fd(), name)?.handle;
    let mine = Imported::new(&card, &shared)?;
    let to = mine.handle;
    ensure!(from != to, "one buffer");
    for (src, dst) in [(from, to), (to, from)] {
        card.raw().gem_copy(raw::drm_pddgpu_gem_copy {
            src,
            dst,
            dst_offset: SIZE / 2,
            size: SIZE / 2,
            ..Default::default()
        })?;
    }
    Ok(())
}

fn unbinds_while_another_device_is_attached(driver: &Driver) -> Result<()> {
    let attached = {
        let card = Card::find()?;
        let buffer = card.create(Create::new(SIZE, Domains::GTT))?;
        let other = card.create(Create::new(SIZE, Domains::VRAM))?;
        let shared = export(&buffer)?;
        let attached = vgem::Attached::new(&shared)?;
        // So that the card has them mapped, too.
        copy(&card, [buffer.handle(), other.handle()], SIZE)?;
        attached
    };
    driver.unbind()?;
    drop(attached);
    driver.bind()?;
    Ok(())
}

fn unbinds_while_it_is_attached(driver: &Driver) -> Result<()> {
    let card = Card::find()?;
    let (shared, memory) = udmabuf_of(SIZE)?;
    let imported = Imported::new(&card, &shared)?;
    let other = card.create(Create::new(SIZE, Domains::VRAM))?;
    copy(&card, [other.handle(), imported.handle], SIZE)?;
    driver.unbind()?;
    memory.write_all_at(b"still there", 0)?;
    drop((imported, other, card));
    driver.bind()?;
    Ok(())
}
