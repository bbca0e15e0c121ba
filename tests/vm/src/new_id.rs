// SPDX-License-Identifier: GPL-2.0

//! Cards whose ID the driver is told at run time.

use std::fs;

use anyhow::{ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::Card;

use crate::{
    driver::{slot, Driver},
    fixture::{skip, trials},
    nodes::use_every_ioctl,
};

const VENDOR: &str = "0x1af4";
const CLASS: &str = "0x038000";

pub fn tests() -> Vec<Trial> {
    trials!(driver_trial: binds_a_card_of_another_id)
}

/// A card that has the right vendor and class, but no driver: its address and its device ID.
fn stranger() -> Result<Option<(String, String)>> {
    for entry in fs::read_dir("/sys/bus/pci/devices")? {
        let path = entry?.path();
        let read = |file: &str| fs::read_to_string(path.join(file)).map(|s| s.trim().to_owned());
        if read("vendor")? == VENDOR && read("class")? == CLASS && !path.join("driver").exists() {
            let slot = path.file_name().context("a device has a name")?;
            return Ok(Some((slot.to_string_lossy().into_owned(), read("device")?)));
        }
    }
    Ok(None)
}

fn binds_a_card_of_another_id(driver: &Driver) -> Result<()> {
    let Some((address, device)) = stranger()? else {
        return skip("the VM has no further card of another ID");
    };
    let id = format!("1af4 {}", device.trim_start_matches("0x"));
    driver.write("new_id", &id).context("new_id")?;

    let result = use_card_at(&address);
    driver.write("remove_id", &id).context("remove_id")?;
    driver.write("unbind", &address).context("unbind")?;
    result?;
    ensure!(card_at(&address)?.is_none(), "unbound, but still there");
    Ok(())
}

fn card_at(address: &str) -> Result<Option<Card>> {
    for card in Card::all()? {
        if slot(&card)? == address {
            return Ok(Some(card));
        }
    }
    Ok(None)
}

fn use_card_at(address: &str) -> Result<()> {
    let card = card_at(address)?.with_context(|| format!("no card at {address}"))?;
    use_every_ioctl(&card)
}
