// SPDX-License-Identifier: GPL-2.0

//! What somebody who is not root may do.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
};

use anyhow::{ensure, Result};
use libtest_mimic::Trial;

use crate::{
    child::{Child, Part},
    fixture::{trials, Bench},
};

/// The user that is not root.
pub const USER: u32 = 1000;

pub fn tests() -> Vec<Trial> {
    trials!(card_trial: user_may_use_an_open_render_node, user_may_not_open_a_closed_node)
}

/// A file that everybody may use until this is dropped.
pub struct Opened {
    path: PathBuf,
    before: Permissions,
}

impl Opened {
    pub fn set(path: PathBuf, mode: u32) -> Result<Self> {
        let before = fs::metadata(&path)?.permissions();
        fs::set_permissions(&path, Permissions::from_mode(mode))?;
        Ok(Self { path, before })
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        // Were it to fail, the node would be more open than before, and no other test minds.
        let _ = fs::set_permissions(&self.path, self.before.clone());
    }
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
