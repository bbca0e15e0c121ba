// SPDX-License-Identifier: GPL-2.0

//! The module's coming and going.

use std::path::Path;

use anyhow::{ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::{gem_list, Card, Create, CreateFlags, Domain};
use rustix::io::Errno;

use crate::support::{
    controller::{parts_enabled, MC_CONTROLS},
    driver::{is_loaded, load, unload, Driver},
    fixture::trials,
    nodes::use_every_ioctl,
};

pub fn tests() -> Vec<Trial> {
    trials!(driver_trial: unloads_and_loads_again, stays_while_a_file_is_open)
}

fn unloads_and_loads_again(driver: &Driver) -> Result<()> {
    for _ in 0..3 {
        let (node, debugfs) = {
            let card = Card::find()?;
            for domain in Domain::ALL {
                let create = Create::new(1 << 20, domain.into());
                let buffer = card.create(create.flags(CreateFlags::CPU_ACCESS_REQUIRED))?;
                buffer.map()?.write(0, &[1; 4096]);
            }
            (card.path().to_owned(), gem_list::debugfs_dir(&card)?)
        };
        ensure!(
            parts_enabled()? == MC_CONTROLS.len(),
            "bound, but not enabled"
        );

        unload().context("unload")?;
        ensure!(!is_loaded() && !driver.folder.exists(), "still there");
        ensure!(
            !Path::new(&node).exists() && !debugfs.exists(),
            "its files are still there"
        );
        ensure!(parts_enabled()? == 0, "unloaded, but still enabled");

        load()?;
        ensure!(
            is_loaded() && driver.is_bound(),
            "loaded, but without a card"
        );
        use_every_ioctl(&Card::find()?)?;
    }
    Ok(())
}

fn stays_while_a_file_is_open(_: &Driver) -> Result<()> {
    let card = Card::find()?;
    let result = unload();
    ensure!(
        matches!(result, Err(Errno::BUSY | Errno::WOULDBLOCK)),
        "{result:?}"
    );
    use_every_ioctl(&card)?;

    // A mapping keeps the file open, and so does the buffer's module.
    let map = card.create(Create::new(4096, Domain::Cpu.into()))?.map()?;
    drop(card);
    let result = unload();
    ensure!(
        matches!(result, Err(Errno::BUSY | Errno::WOULDBLOCK)),
        "with a mapping: {result:?}"
    );
    drop(map);
    Ok(())
}
