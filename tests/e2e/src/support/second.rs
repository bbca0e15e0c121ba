// SPDX-License-Identifier: GPL-2.0

//! The VM's second card, whose ID the driver does not know: so it is bound only for a test that wants
//! two.

use std::fs;

use anyhow::{Context, Result};
use pddgpu::Card;

use crate::support::{
    driver::{card_at, device_id, Driver, UNKNOWN, VENDOR},
    fixture::skip,
};

/// The second card, bound to the driver until this is dropped.
pub struct Second {
    driver: Driver,
    /// The card's address on the PCI bus.
    pub slot: String,
}

impl Second {
    /// Binds it. Ends a test in a VM without one.
    pub fn bind() -> Result<Self> {
        let Some(slot) = stranger()? else {
            return skip("the VM has no further card of another ID");
        };
        let driver = Driver::find()?;
        driver.write("new_id", &id()).context("new_id")?;
        Ok(Self { driver, slot })
    }

    /// The card, if the driver has it.
    pub fn card(&self) -> Result<Option<Card>> {
        card_at(&self.slot)
    }

    /// Opens it.
    pub fn open(&self) -> Result<Card> {
        self.card()?
            .with_context(|| format!("no card at {}", self.slot))
    }

    /// Takes it away from the driver, and makes the driver forget its ID.
    pub fn unbind(&self) -> Result<()> {
        self.driver.write("remove_id", &id()).context("remove_id")?;
        self.driver.write("unbind", &self.slot).context("unbind")
    }
}

impl Drop for Second {
    fn drop(&mut self) {
        // A test may have done so, or have failed because of it.
        let _ = self.unbind();
    }
}

fn id() -> String {
    format!("{VENDOR} {UNKNOWN}").replace("0x", "")
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
