// SPDX-License-Identifier: GPL-2.0

use std::ffi::c_void;

use anyhow::{ensure, Result};
use libtest_mimic::Trial;
use pddgpu::{
    raw::{self, drm_pddgpu_gem_create},
    Create, CreateFlags, Device, Domain, Domains,
};
use rustix::{
    io::Errno,
    ioctl::{ioctl, Ioctl, IoctlOutput, Opcode},
};

use crate::support::{
    fixture::{card_trial, trials, Bench},
    patience::eventually,
};

const PAGE: u64 = 4096;
const CPU: u32 = raw::PDDGPU_GEM_DOMAIN_CPU;
const GTT: u32 = raw::PDDGPU_GEM_DOMAIN_GTT;
const VRAM: u32 = raw::PDDGPU_GEM_DOMAIN_VRAM;

/// What is wrong with the arguments, on a given card.
type Spoil = fn(&mut drm_pddgpu_gem_create, &Device, &Limits);

/// The largest buffers that each domain could ever hold, in bytes.
struct Limits {
    vram: u64,
    gtt: u64,
    cpu: u64,
}

/// Arguments that are refused: each is a small change to good ones (one page in VRAM).
const REFUSED: &[(&str, Errno, Spoil)] = &[
    ("zero_size", Errno::INVAL, |a, _, _| a.size = 0),
    ("size_that_overflows", Errno::INVAL, |a, _, _| {
        a.size = u64::MAX
    }),
    ("size_that_just_overflows", Errno::INVAL, |a, _, _| {
        a.size = u64::MAX - PAGE + 2
    }),
    (
        "size_that_just_does_not_overflow",
        Errno::TOOBIG,
        |a, _, _| a.size = u64::MAX - PAGE + 1,
    ),
    ("negative_size", Errno::TOOBIG, |a, _, _| a.size = 1 << 63),
    ("size_above_vram", Errno::TOOBIG, |a, _, l| {
        a.size = l.vram + PAGE
    }),
    ("size_above_vram_by_a_byte", Errno::TOOBIG, |a, _, l| {
        a.size = l.vram + 1
    }),
    ("size_above_gtt", Errno::TOOBIG, |a, _, l| {
        (a.domain, a.size) = (GTT, l.gtt + PAGE)
    }),
    ("size_above_cpu", Errno::TOOBIG, |a, _, l| {
        (a.domain, a.size) = (CPU, l.cpu + PAGE)
    }),
    ("size_above_all_domains", Errno::TOOBIG, |a, _, l| {
        (a.domain, a.size) = (VRAM | GTT | CPU, l.vram.max(l.gtt).max(l.cpu) + PAGE);
    }),
    ("size_of_32_bits_gone_round", Errno::TOOBIG, |a, _, _| {
        a.size = (1 << 44) + PAGE
    }),
    (
        "required_cpu_access_above_aperture",
        Errno::TOOBIG,
        |a, d, _| {
            a.flags = raw::PDDGPU_GEM_CREATE_CPU_ACCESS_REQUIRED;
            a.size = d.visible_size + PAGE;
        },
    ),
    ("alignment_not_a_power_of_two", Errno::INVAL, |a, _, _| {
        a.alignment = 12288
    }),
    ("odd_alignment", Errno::INVAL, |a, _, _| a.alignment = 4097),
    (
        "small_alignment_not_a_power_of_two",
        Errno::INVAL,
        |a, _, _| a.alignment = 3,
    ),
    ("alignment_above_limit", Errno::INVAL, |a, d, _| {
        a.alignment = 2 * d.max_alignment
    }),
    ("alignment_of_33_bits", Errno::INVAL, |a, _, _| {
        a.alignment = 1 << 32
    }),
    ("alignment_of_64_bits", Errno::INVAL, |a, _, _| {
        a.alignment = 1 << 63
    }),
    ("all_ones_alignment", Errno::INVAL, |a, _, _| {
        a.alignment = u64::MAX
    }),
    ("no_domain", Errno::INVAL, |a, _, _| a.domain = 0),
    ("unknown_domain", Errno::INVAL, |a, _, _| a.domain = 8),
    (
        "unknown_domain_beside_a_known_one",
        Errno::INVAL,
        |a, _, _| a.domain = VRAM | (1 << 31),
    ),
    ("retired_flag_2", Errno::INVAL, |a, _, _| a.flags = 1 << 2),
    ("retired_flag_3", Errno::INVAL, |a, _, _| a.flags = 1 << 3),
    ("retired_flag_5", Errno::INVAL, |a, _, _| a.flags = 1 << 5),
    ("retired_flag_6", Errno::INVAL, |a, _, _| a.flags = 1 << 6),
    ("unknown_flag_8", Errno::INVAL, |a, _, _| a.flags = 1 << 8),
    ("unknown_flag_31", Errno::INVAL, |a, _, _| a.flags = 1 << 31),
    ("contradictory_flags", Errno::INVAL, |a, _, _| {
        a.flags = raw::PDDGPU_GEM_CREATE_CPU_ACCESS_REQUIRED | raw::PDDGPU_GEM_CREATE_NO_CPU_ACCESS;
    }),
    ("padding", Errno::INVAL, |a, _, _| a.pad = 1),
];

pub fn tests() -> Vec<Trial> {
    let mut tests = trials!(card_trial:
        puts_buffers_where_they_are_wanted,
        prefers_vram_then_gtt_then_cpu,
        rounds_sizes_up_to_pages,
        takes_every_combination_of_good_flags,
        honours_alignment,
        gives_contiguous_buffers_one_range,
        fills_a_domain_with_one_buffer,
        never_reuses_an_open_handle,
        closes_a_handle_once,
        rejects_arguments_that_cannot_be_read,
        rejects_unknown_ioctls,
    );
    tests.extend(REFUSED.iter().map(|&(what, errno, spoil)| {
        let name = format!("{}::rejects_{what}", module_path!());
        card_trial(&name, Box::new(move |bench| refused(bench, errno, spoil)))
    }));
    tests
}

fn refused(bench: &Bench, errno: Errno, spoil: Spoil) -> Result<()> {
    let limits = Limits {
        vram: bench.heap(Domain::Vram)?.usable,
        gtt: bench.heap(Domain::Gtt)?.usable,
        cpu: bench.device.max_cpu_size,
    };
    let before = bench.card.heaps()?;
    let good = drm_pddgpu_gem_create {
        size: PAGE,
        domain: VRAM,
        ..Default::default()
    };
    let mut args = good;
    bench.card.raw().gem_create(&mut args)?;
    bench.card.raw().gem_close(args.handle)?;

    let mut args = good;
    spoil(&mut args, &bench.device, &limits);
    let result = bench.card.raw().gem_create(&mut args);
    ensure!(result == Err(errno), "{args:?}: {result:?}");
    ensure!(args.handle == 0, "a handle came back: {args:?}");
    eventually(|| {
        let now = bench.card.heaps()?;
        ensure!(now == before, "memory is still in use: {now:?}");
        Ok(())
    })
}

fn puts_buffers_where_they_are_wanted(bench: &Bench) -> Result<()> {
    for domain in Domain::ALL {
        let buffer = bench.card.create(Create::new(1 << 20, domain.into()))?;
        ensure!(buffer.handle() != 0, "0 is no handle");
        let info = buffer.info()?;
        ensure!(info.placement == domain, "wanted {domain}: {info:?}");
        let device = &bench.device;
        let window = match domain {
            Domain::Vram => Some((device.vram_start, device.vram_size)),
            Domain::Gtt => Some((device.gtt_start, device.gtt_size)),
            Domain::Cpu => None,
        };
        match (window, info.gpu_addr) {
            (Some((start, size)), Some(addr)) => {
                ensure!(
                    addr >= start && addr + info.size <= start + size,
                    "{info:?}"
                );
            }
            (None, None) => {}
            _ => anyhow::bail!("{domain}: {info:?}"),
        }
    }
    Ok(())
}

fn prefers_vram_then_gtt_then_cpu(bench: &Bench) -> Result<()> {
    for (domains, expected) in [
        (Domains::all(), Domain::Vram),
        (Domains::VRAM | Domains::GTT, Domain::Vram),
        (Domains::VRAM | Domains::CPU, Domain::Vram),
        (Domains::GTT | Domains::CPU, Domain::Gtt),
    ] {
        let info = bench.card.create(Create::new(PAGE, domains))?.info()?;
        ensure!(info.placement == expected, "{domains}: {info:?}");
        ensure!(info.domains == domains, "{domains}: {info:?}");
    }
    Ok(())
}

fn rounds_sizes_up_to_pages(bench: &Bench) -> Result<()> {
    for domain in Domain::ALL {
        for (size, rounded) in [
            (1, 4096),
            (4095, 4096),
            (4096, 4096),
            (4097, 8192),
            (70000, 73728),
        ] {
            let buffer = bench.card.create(Create::new(size, domain.into()))?;
            ensure!(
                buffer.size() == rounded,
                "{domain}: {size} became {}",
                buffer.size()
            );
            ensure!(
                buffer.info()?.size == rounded,
                "{domain}: {size}: {:?}",
                buffer.info()?
            );
        }
    }
    Ok(())
}

fn takes_every_combination_of_good_flags(bench: &Bench) -> Result<()> {
    for bits in 0..=CreateFlags::all().bits() {
        let Some(flags) = CreateFlags::from_bits(bits) else {
            continue;
        };
        if flags.contains(CreateFlags::CPU_ACCESS_REQUIRED | CreateFlags::NO_CPU_ACCESS) {
            continue;
        }
        for domain in Domain::ALL {
            let create = Create::new(3 * PAGE, domain.into()).flags(flags);
            let info = bench.card.create(create)?.info()?;
            ensure!(info.flags == flags, "{domain} {flags}: {info:?}");
            ensure!(info.placement == domain, "{domain} {flags}: {info:?}");
        }
    }
    Ok(())
}

fn honours_alignment(bench: &Bench) -> Result<()> {
    for domain in [Domain::Vram, Domain::Gtt] {
        for flags in [
            CreateFlags::VRAM_CONTIGUOUS,
            CreateFlags::VRAM_CONTIGUOUS | CreateFlags::CPU_ACCESS_REQUIRED,
        ] {
            for alignment in [0, 1, 2048, 4096, 64 << 10, 1 << 20] {
                // What lies in between keeps a lucky place from hiding a broken alignment.
                let page = Create::new(PAGE, domain.into()).flags(flags);
                let _between = bench.card.create(page)?;
                for size in [PAGE, 3 * PAGE, 96 << 10, 1 << 20] {
                    let create = page.alignment(alignment);
                    let info = bench.card.create(Create { size, ..create })?.info()?;
                    let given = alignment.max(PAGE);
                    ensure!(info.alignment == given, "{alignment}: {info:?}");
                    let addr = info.gpu_addr.unwrap_or(1);
                    ensure!(addr % given == 0, "{domain} {alignment}: {info:?}");
                }
            }
        }
    }
    Ok(())
}

fn gives_contiguous_buffers_one_range(bench: &Bench) -> Result<()> {
    let flags = CreateFlags::VRAM_CONTIGUOUS | CreateFlags::CPU_ACCESS_REQUIRED;
    let piece = Create::new(64 << 10, Domains::VRAM).flags(flags);
    // Holes that are too small for what comes then.
    let pieces: Vec<_> = (0..32)
        .map(|_| bench.card.create(piece))
        .collect::<Result<_, _>>()?;
    let _kept: Vec<_> = pieces.into_iter().step_by(2).collect();
    for size in [PAGE, 192 << 10, 1 << 20, (1 << 20) + PAGE] {
        let info = bench.card.create(Create { size, ..piece })?.info()?;
        ensure!(info.gpu_addr.is_some(), "{size}: {info:?}");
        ensure!(info.placement == Domain::Vram, "{size}: {info:?}");
    }
    Ok(())
}

/// What is just not refused has to work.
fn fills_a_domain_with_one_buffer(bench: &Bench) -> Result<()> {
    let empty = bench.heap(Domain::Vram)?;
    let size = empty.usable;
    let buffer = bench
        .card
        .create(Create::new(size, Domains::VRAM).flags(CreateFlags::NO_CPU_ACCESS))?;
    let info = buffer.info()?;
    ensure!(
        info.placement == Domain::Vram && info.size == size,
        "{info:?}"
    );
    let heap = bench.heap(Domain::Vram)?;
    ensure!(heap.used == heap.reserved + size, "{heap:?}");
    ensure!(
        info.visible == heap.visible_used - empty.visible_used,
        "{info:?} {heap:?}"
    );

    // The room that the first one leaves is had at once, whatever is still to be done to it.
    let required = CreateFlags::CPU_ACCESS_REQUIRED;
    let size = (empty.visible_total - empty.visible_used).min(size);
    drop(buffer);
    let info = bench
        .card
        .create(Create::new(size, Domains::VRAM).flags(required))?
        .info()?;
    ensure!(
        info.placement == Domain::Vram && info.visible == size,
        "{info:?}"
    );
    Ok(())
}

fn never_reuses_an_open_handle(bench: &Bench) -> Result<()> {
    let create = Create::new(PAGE, Domains::CPU);
    let buffers: Vec<_> = (0..100)
        .map(|_| bench.card.create(create))
        .collect::<Result<_, _>>()?;
    let mut handles: Vec<_> = buffers.iter().map(|buffer| buffer.handle()).collect();
    handles.sort_unstable();
    handles.dedup();
    ensure!(handles.len() == 100, "{handles:?}");
    Ok(())
}

fn closes_a_handle_once(bench: &Bench) -> Result<()> {
    let mut args = drm_pddgpu_gem_create {
        size: PAGE,
        domain: GTT,
        ..Default::default()
    };
    bench.card.raw().gem_create(&mut args)?;
    bench.card.raw().gem_close(args.handle)?;
    for handle in [args.handle, 0, 12345] {
        let result = bench.card.raw().gem_close(handle);
        ensure!(result == Err(Errno::INVAL), "{handle}: {result:?}");
    }
    Ok(())
}

/// An ioctl with any number and an address where there is nothing.
struct Bad(Opcode);

// SAFETY: Nothing is at the address, so that the kernel can neither read nor write there.
unsafe impl Ioctl for Bad {
    type Output = ();
    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        self.0
    }

    fn as_ptr(&mut self) -> *mut c_void {
        std::ptr::without_provenance_mut(8)
    }

    unsafe fn output_from_ptr(_: IoctlOutput, _: *mut c_void) -> rustix::io::Result<()> {
        Ok(())
    }
}

fn rejects_arguments_that_cannot_be_read(bench: &Bench) -> Result<()> {
    for opcode in [
        raw::PDDGPU_IOCTL_GEM_CREATE,
        raw::PDDGPU_IOCTL_GEM_MMAP,
        raw::PDDGPU_IOCTL_GEM_INFO,
        raw::PDDGPU_IOCTL_GEM_WAIT,
        raw::PDDGPU_IOCTL_GEM_MOVE,
        raw::PDDGPU_IOCTL_QUERY,
        raw::PDDGPU_IOCTL_GEM_COPY,
        raw::PDDGPU_IOCTL_GEM_FILL,
        raw::PDDGPU_IOCTL_GEM_ADVISE,
        raw::PDDGPU_IOCTL_GEM_SET_PRIORITY,
        raw::PDDGPU_IOCTL_RESERVE,
        raw::PDDGPU_IOCTL_SUBSCRIBE,
        raw::PDDGPU_IOCTL_GEM_SET_LABEL,
    ] {
        // SAFETY: As for `Bad`.
        let result = unsafe { ioctl(&bench.card, Bad(opcode)) };
        ensure!(result == Err(Errno::FAULT), "{opcode:#x}: {result:?}");
    }
    Ok(())
}

fn rejects_unknown_ioctls(bench: &Bench) -> Result<()> {
    let last = raw::PDDGPU_IOCTL_GEM_SET_LABEL;
    for opcode in [last + 1, last + 2, (last & !0xff) | 0x9f] {
        // SAFETY: As for `Bad`.
        let result = unsafe { ioctl(&bench.card, Bad(opcode)) };
        ensure!(result == Err(Errno::INVAL), "{opcode:#x}: {result:?}");
    }
    Ok(())
}
