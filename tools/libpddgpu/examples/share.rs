// SPDX-License-Identifier: GPL-2.0

//! One client gives a buffer to another one, as a dma-buf. Both see the same memory.
//!
//! `cargo run -p pddgpu --example share`

use pddgpu::{Card, Create, Domains, Result};

fn main() -> Result<()> {
    let giver = Card::find()?;
    let buffer = giver.create(Create::new(4096, Domains::GTT))?;
    buffer.set_label(c"shared")?;
    buffer.map()?.write(0, b"hello");

    // The file may be sent to another process through a socket.
    let file = buffer.export(true)?;
    drop(buffer);

    let taker = Card::open(giver.path())?;
    let taken = taker.import(&file)?;
    let content = taken.map()?.to_vec();
    println!("{}", String::from_utf8_lossy(&content[..5]));
    Ok(())
}
