// SPDX-License-Identifier: GPL-2.0

//! What somebody who is not root may do.

use anyhow::{ensure, Result};
use libtest_mimic::Trial;

use crate::support::{
    child::{Child, Part},
    fixture::{trials, Bench},
    user::{Opened, USER},
};

pub fn tests() -> Vec<Trial> {
    trials!(card_trial: user_may_use_an_open_render_node, user_may_not_open_a_closed_node)
}

fn user_may_use_an_open_render_node(bench: &Bench) -> Result<()> {
    let _node = Opened::set(bench.card.path().into(), 0o666)?;
    Child::start(Part::Unprivileged, bench.card.path(), Some(USER))?.finish()
}

fn user_may_not_open_a_closed_node(bench: &Bench) -> Result<()> {
    let _node = Opened::set(bench.card.path().into(), 0o600)?;
    let child = Child::start(Part::Unprivileged, bench.card.path(), Some(USER))?;
    ensure!(child.finish().is_err(), "a user opened a node of mode 0600");
    Ok(())
}
