// SPDX-License-Identifier: GPL-2.0

//! The card taken away from the driver.

use anyhow::{ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::{gem_list, Card, Create, CreateFlags, Domain};
use rustix::io::Errno;

use crate::support::{
    child::{Child, Part},
    controller::{parts_enabled, MC_CONTROLS},
    driver::{self, Driver},
    fixture::trials,
    nodes::use_every_ioctl,
    patience::eventually,
};

pub fn tests() -> Vec<Trial> {
    trials!(driver_trial:
        unbinds_an_idle_card_and_binds_it_again,
        files_and_mappings_outlive_the_card,
        the_card_may_go_while_it_is_used,
        a_client_may_die_without_its_card,
        the_module_outlives_the_last_file,
    )
}

/// Checks that the card works like new.
fn check_fresh(driver: &Driver) -> Result<()> {
    ensure!(driver.is_bound(), "bound, but not there");
    ensure!(
        parts_enabled()? == MC_CONTROLS.len(),
        "bound, but not enabled"
    );
    let card = Card::find()?;
    for heap in card.heaps()? {
        ensure!(heap.used == heap.reserved, "not empty: {heap:?}");
    }
    use_every_ioctl(&card)
}

fn unbinds_an_idle_card_and_binds_it_again(driver: &Driver) -> Result<()> {
    for _ in 0..3 {
        let node = Card::find()?.path().to_owned();
        driver.unbind()?;
        ensure!(
            !driver.is_bound() && !node.exists(),
            "unbound, but still there"
        );
        ensure!(parts_enabled()? == 0, "unbound, but still enabled");
        driver.bind().context("bind")?;
        check_fresh(driver)?;
    }
    Ok(())
}

fn files_and_mappings_outlive_the_card(driver: &Driver) -> Result<()> {
    let node = Card::find()?.path().to_owned();
    let mut child = Child::start(Part::OutliveCard, &node, None)?;
    child.listen()?;
    driver.unbind()?;
    ensure!(parts_enabled()? == 0, "unbound, but still enabled");

    // The card does not wait for its old clients.
    driver.bind().context("bind, with files still open")?;
    check_fresh(driver)?;
    child.finish()?;
    check_fresh(driver)
}

fn the_card_may_go_while_it_is_used(driver: &Driver) -> Result<()> {
    for _ in 0..5 {
        let node = Card::find()?.path().to_owned();
        let mut clients = Vec::new();
        for _ in 0..3 {
            clients.push(Child::start(Part::UseUntilGone, &node, None)?);
        }
        for client in &mut clients {
            client.listen()?;
        }
        driver.unbind()?;
        for client in clients {
            client.finish()?;
        }
        driver.bind().context("bind")?;
        check_fresh(driver)?;
    }
    Ok(())
}

fn a_client_may_die_without_its_card(driver: &Driver) -> Result<()> {
    let node = Card::find()?.path().to_owned();
    let mut child = Child::start(Part::Hold, &node, None)?;
    child.listen()?;
    driver.unbind()?;
    child.kill()?;
    driver.bind().context("bind")?;
    check_fresh(driver)
}

fn the_module_outlives_the_last_file(driver: &Driver) -> Result<()> {
    let card = Card::find()?;
    let buffer = card.create(
        Create::new(1 << 20, Domain::Vram.into()).flags(CreateFlags::CPU_ACCESS_REQUIRED),
    )?;
    let map = buffer.map()?;
    map.to_vec();
    let debugfs = gem_list::debugfs_dir(&card)?;
    driver.unbind()?;
    ensure!(!debugfs.exists(), "{} is still there", debugfs.display());
    let result = driver::unload();
    ensure!(result.is_err(), "unloaded under an open file");
    let result = buffer.info();
    ensure!(
        result.as_ref().err().and_then(|e| e.errno()) == Some(Errno::NODEV),
        "{result:?}"
    );

    drop((buffer, card, map));
    eventually(|| Ok(driver::unload()?)).context("unload, with nothing open any more")?;
    driver::load()?;
    check_fresh(driver)
}
