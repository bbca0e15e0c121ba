// SPDX-License-Identifier: GPL-2.0

//! Users other than root.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
};

use anyhow::Result;

/// The user that is not root.
pub const USER: u32 = 1000;

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
