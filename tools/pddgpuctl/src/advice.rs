// SPDX-License-Identifier: GPL-2.0

//! What would be right, if a creation failed.

use anyhow::{ensure, Error, Result};
use pddgpu::{Buffer, Card, Create, CreateFlags, Domain, Domains, Heap};
use rustix::io::Errno;

use crate::output::units::size;

/// Creates a buffer. An error comes with what the card could have created.
pub fn create(card: &Card, create: Create) -> Result<Buffer> {
    let both = CreateFlags::CPU_ACCESS_REQUIRED | CreateFlags::NO_CPU_ACCESS;
    ensure!(
        !create.flags.contains(both),
        "cpu-access-required and no-cpu-access exclude each other"
    );
    let device = card.device()?;
    ensure!(
        create.alignment <= device.max_alignment,
        "an alignment of {} is too large: this card aligns to {} at most",
        size(create.alignment),
        size(device.max_alignment)
    );
    card.create(create).map_err(|error| {
        let heaps = match error.errno() {
            Some(Errno::TOOBIG | Errno::NOSPC) => card.heaps().unwrap_or_default(),
            _ => return error.into(),
        };
        let of_domain = |domain| heaps.iter().find(|heap| heap.domain == domain);
        let rooms = domains(create.domains).filter_map(|domain| {
            let heap = of_domain(domain)?;
            Some(match error.errno() {
                Some(Errno::TOOBIG) => {
                    let most = largest(heap, create.flags).min(match domain {
                        Domain::Cpu => device.max_cpu_size,
                        _ => u64::MAX,
                    });
                    format!("{domain} takes up to {}", size(most))
                }
                _ => format!("{domain} has {} free", size(free(heap))),
            })
        });
        let rooms: Vec<_> = rooms.collect();
        let what = format!("a buffer of {}: {}", size(create.size), rooms.join(", "));
        Error::new(error).context(what)
    })
}

fn domains(mask: Domains) -> impl Iterator<Item = Domain> {
    let all = Domain::ALL.into_iter();
    all.filter(move |&domain| mask.contains(domain.into()))
}

/// Bytes of the largest buffer that a heap can hold.
fn largest(heap: &Heap, flags: CreateFlags) -> u64 {
    if flags.contains(CreateFlags::CPU_ACCESS_REQUIRED) {
        heap.usable.min(heap.visible_total)
    } else {
        heap.usable
    }
}

/// Bytes that buffers could still take up.
fn free(heap: &Heap) -> u64 {
    let taken = heap.used.saturating_sub(heap.reserved);
    heap.usable.saturating_sub(taken)
}
