// SPDX-License-Identifier: GPL-2.0

//! The card copies a buffer, and a syncobj tells when it has done so.
//!
//! `cargo run -p pddgpu --example copy`

use pddgpu::{Card, Create, CreateFlags, Deadline, Domains, Result, Syncobj};

fn main() -> Result<()> {
    const SIZE: u64 = 1 << 20;
    let card = Card::find()?;
    let source = card.create(Create::new(SIZE, Domains::GTT))?;
    let target = Create::new(SIZE, Domains::VRAM).flags(CreateFlags::CPU_ACCESS_REQUIRED);
    let target = card.create(target)?;
    source.map()?.write(0, b"hello");

    let done = Syncobj::new(&card)?;
    source.copy_to(0, &target, 0, SIZE, &[done.signal_after(0)])?;
    done.wait(0, Deadline::NEVER)?;
    let content = target.map()?.to_vec();
    println!("{}", String::from_utf8_lossy(&content[..5]));
    Ok(())
}
