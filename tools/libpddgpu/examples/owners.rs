// SPDX-License-Identifier: GPL-2.0

//! Whose each byte of VRAM is.
//!
//! `cargo run -p pddgpu --example owners`

use pddgpu::{Card, Result};

fn main() -> Result<()> {
    let card = Card::find()?;
    for owner in card.owners()? {
        println!("{:>12} {:?} {}", owner.vram, owner.kind, owner.command);
    }
    Ok(())
}
