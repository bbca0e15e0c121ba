// SPDX-License-Identifier: GPL-2.0

//! Cards whose ID the driver is told at run time.

use std::fs;

use anyhow::{ensure, Context, Result};
use libtest_mimic::Trial;

use crate::support::{
    driver::{card_at, device_id, Driver, UNKNOWN, VENDOR},
    fixture::{skip, trials},
    nodes::use_every_ioctl,
};

pub fn tests() -> Vec<Trial> {
    trials!(driver_trial: binds_a_card_of_another_id)
}

/// The address of a card whose ID the driver does not know.
fn stranger() -> Result<Option<String>> {
    for entry in fs::read_dir("/sys/bus/pci/devices")? {
        let path = entry?.path();
        if device_id(&path).as_deref() == Some(UNKNOWN) {
            let slot = path.file_name().context("a device has a name")?;
            return Ok(Some(slot.to_string_lossy().into_owned()));
        }
    }
    Ok(None)
}

fn binds_a_card_of_another_id(driver: &Driver) -> Result<()> {
    let Some(address) = stranger()? else {
        return skip("the VM has no further card of another ID");
    };
    let id = format!("{VENDOR} {UNKNOWN}").replace("0x", "");
    driver.write("new_id", &id).context("new_id")?;

    let result = use_card_at(&address);
    driver.write("remove_id", &id).context("remove_id")?;
    driver.write("unbind", &address).context("unbind")?;
    result?;
    ensure!(card_at(&address)?.is_none(), "unbound, but still there");
    Ok(())
}

fn use_card_at(address: &str) -> Result<()> {
    let card = card_at(address)?.with_context(|| format!("no card at {address}"))?;
    use_every_ioctl(&card)
}
