// SPDX-License-Identifier: GPL-2.0

//! Whose each byte is: the balance sheet of a card.
//!
//! The clients are listed first. Then the figures of one moment are noted, in which the VRAM manager
//! and the books are locked. What each client had then is read afterwards. Clients that come or go in
//! between are not listed; what belongs to them is the difference of what all clients have and what
//! the listed ones have.

use kernel::{
    prelude::*,
    sync::Arc, //
};

use crate::{
    abstractions::{
        memory,
        task::check_killed, //
    },
    client::{
        Account,
        Client,
        Holding,
        Keeper,
        Snapshot, //
    },
    device::{
        Pddgpu,
        PddgpuDevice,
        PddgpuFile, //
    },
    mgr::vram_mgr::Sheet,
    uapi::{
        self,
        Domain, //
    }, //
};

const VRAM: Account = Account::Heap(Domain::Vram);
const GTT: Account = Account::Heap(Domain::Gtt);
const CPU: Account = Account::Heap(Domain::Cpu);

/// The entries that are no clients.
const OTHERS: usize = 13;

/// Who is listed.
pub(crate) enum Listed<'a> {
    /// All clients.
    All,
    /// This one only.
    Only(&'a PddgpuFile),
}

/// One entry for each client that is listed, and one for each other purpose.
///
/// # Errors
///
/// `ENOMEM`; `EINTR` if the caller is being killed.
pub(crate) fn owners(
    dev: &PddgpuDevice,
    listed: Listed<'_>,
) -> Result<KVVec<uapi::drm_pddgpu_owner>> {
    let (mut entries, clients) = clients(dev, listed)?;
    let reader = dev.stats.ledger.reader();
    let (sheet, snapshot) = dev.vram.with_sheet(|sheet| (sheet, reader.snapshot()));
    let mut unlisted = *snapshot.of_clients();

    for (entry, client) in entries.iter_mut().zip(&clients) {
        let holding = snapshot.of_client(client);

        check_killed()?;
        unlisted = unlisted.without(&holding);
        fill(entry, &holding);
    }
    for entry in rest(dev, &sheet, &snapshot, &unlisted) {
        entries.push(entry, GFP_KERNEL)?;
    }
    Ok(entries)
}

type Clients = (KVVec<uapi::drm_pddgpu_owner>, KVVec<Arc<Client>>);

/// An entry without figures for each client.
fn clients(dev: &PddgpuDevice, listed: Listed<'_>) -> Result<Clients> {
    let (mut entries, mut clients) = (KVVec::new(), KVVec::new());

    if let Listed::Only(file) = listed {
        entries.push(client(file), GFP_KERNEL)?;
        clients.push(file.data().client.clone(), GFP_KERNEL)?;
        return Ok((entries, clients));
    }

    let mut before = None;
    while let Some((entry, data)) =
        dev.next_file(before, |file| (client(file), file.data().client.clone()))
    {
        check_killed()?;
        before = Some(entry.client);
        entries.push(entry, GFP_KERNEL)?;
        clients.push(data, GFP_KERNEL)?;
    }
    Ok((entries, clients))
}

/// An entry without figures.
fn client(file: &PddgpuFile) -> uapi::drm_pddgpu_owner {
    let process = file.client();

    uapi::drm_pddgpu_owner {
        kind: uapi::PDDGPU_OWNER_CLIENT,
        pid: process.pid.unsigned_abs(),
        client: file.client_id(),
        cgroup: process.cgroup,
        comm: process.comm,
        name: file.client_name(),
        ..Default::default()
    }
}

/// What is nobody's of those who are listed.
fn rest(
    pdev: &Pddgpu,
    sheet: &Sheet,
    snapshot: &Snapshot<'_>,
    unlisted: &Holding,
) -> [uapi::drm_pddgpu_owner; OTHERS] {
    let held = |kind, holding: &Holding| {
        let mut entry = owner(kind, 0);

        fill(&mut entry, holding);
        entry
    };
    let free_gtt = pdev.gtt.usable().saturating_sub(snapshot.total(GTT));
    let free_cpu = memory::total().saturating_sub(snapshot.total(CPU));

    [
        held(uapi::PDDGPU_OWNER_OTHERS, unlisted),
        held(uapi::PDDGPU_OWNER_DMA_BUF, snapshot.of(Keeper::DmaBuf)),
        held(uapi::PDDGPU_OWNER_MAPPING, snapshot.of(Keeper::Mapping)),
        held(uapi::PDDGPU_OWNER_KERNEL, snapshot.of(Keeper::Kernel)),
        held(uapi::PDDGPU_OWNER_ARRIVING, snapshot.of(Keeper::Arriving)),
        held(uapi::PDDGPU_OWNER_LEAVING, snapshot.of(Keeper::Leaving)),
        owner(uapi::PDDGPU_OWNER_WIPING, sheet.wiping),
        uapi::drm_pddgpu_owner {
            gtt: pdev.gtt_own(),
            ..owner(uapi::PDDGPU_OWNER_DRIVER, sheet.driver)
        },
        owner(uapi::PDDGPU_OWNER_BAD_PAGE, sheet.bad_pages),
        owner(uapi::PDDGPU_OWNER_REQUEST, sheet.requested),
        uapi::drm_pddgpu_owner {
            gtt: free_gtt,
            cpu: free_cpu,
            ..owner(uapi::PDDGPU_OWNER_CLEAN, sheet.clean)
        },
        owner(uapi::PDDGPU_OWNER_DIRTY, sheet.dirty),
        owner(
            uapi::PDDGPU_OWNER_NONE,
            sheet.buffers.saturating_sub(snapshot.total(VRAM)),
        ),
    ]
}

/// An entry with some VRAM.
fn owner(kind: u32, vram: u64) -> uapi::drm_pddgpu_owner {
    uapi::drm_pddgpu_owner {
        kind,
        vram,
        ..Default::default()
    }
}

fn fill(entry: &mut uapi::drm_pddgpu_owner, holding: &Holding) {
    entry.buffers = holding.buffers();
    entry.vram = holding.bytes(VRAM);
    entry.gtt = holding.bytes(GTT);
    entry.cpu = holding.bytes(CPU);
    entry.hop = holding.bytes(Account::Hop);
}

/// What a kind of owner is called in reports.
pub(crate) fn kind_name(kind: u32) -> &'static str {
    match kind {
        uapi::PDDGPU_OWNER_CLIENT => "client",
        uapi::PDDGPU_OWNER_DMA_BUF => "dma-buf",
        uapi::PDDGPU_OWNER_MAPPING => "mapping",
        uapi::PDDGPU_OWNER_KERNEL => "kernel",
        uapi::PDDGPU_OWNER_ARRIVING => "arriving",
        uapi::PDDGPU_OWNER_LEAVING => "leaving",
        uapi::PDDGPU_OWNER_WIPING => "wiping",
        uapi::PDDGPU_OWNER_DRIVER => "driver",
        uapi::PDDGPU_OWNER_BAD_PAGE => "bad-page",
        uapi::PDDGPU_OWNER_REQUEST => "request",
        uapi::PDDGPU_OWNER_CLEAN => "clean",
        uapi::PDDGPU_OWNER_DIRTY => "dirty",
        uapi::PDDGPU_OWNER_OTHERS => "others",
        _ => "none",
    }
}
