// SPDX-License-Identifier: GPL-2.0

//! Cards whose ID the driver is told at run time.

use anyhow::{ensure, Result};
use libtest_mimic::Trial;

use crate::support::{driver::Driver, fixture::trials, nodes::use_every_ioctl, second::Second};

pub fn tests() -> Vec<Trial> {
    trials!(driver_trial: binds_a_card_of_another_id)
}

fn binds_a_card_of_another_id(_: &Driver) -> Result<()> {
    let second = Second::bind()?;
    use_every_ioctl(&second.open()?)?;
    second.unbind()?;
    ensure!(second.card()?.is_none(), "unbound, but still there");
    Ok(())
}
