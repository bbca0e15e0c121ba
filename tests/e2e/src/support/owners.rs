// SPDX-License-Identifier: GPL-2.0

//! The balance sheet of a card.

use anyhow::{ensure, Result};
use pddgpu::{Card, Owner, OwnerKind};

/// The owners, of whom there is one for each byte.
pub fn balanced(card: &Card) -> Result<Vec<Owner>> {
    let owners = card.owners()?;
    for heap in card.heaps()? {
        let sum: u64 = owners.iter().map(|owner| owner.bytes(heap.domain)).sum();
        ensure!(
            sum == heap.total,
            "{sum} of {} bytes of {}: {owners:#?}",
            heap.total,
            heap.domain
        );
    }
    let nobody = of(&owners, OwnerKind::None);
    ensure!(nobody == 0, "{nobody} bytes are nobody's: {owners:#?}");
    Ok(owners)
}

/// Bytes of VRAM of a kind.
pub fn of(owners: &[Owner], kind: OwnerKind) -> u64 {
    let of_kind = owners.iter().filter(|owner| owner.kind == kind);
    of_kind.map(|owner| owner.vram).sum()
}

/// Bytes that buffers have, or that are on their way to or from them.
pub fn in_use(owners: &[Owner]) -> u64 {
    let used = owners.iter().filter(|owner| owner.kind.is_used());
    used.map(|owner| owner.vram + owner.gtt + owner.cpu + owner.hop)
        .sum()
}
