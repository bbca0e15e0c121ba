// SPDX-License-Identifier: GPL-2.0

//! Memory of the machine that no card has anything to do with.

use std::{fs, path::Path};

use anyhow::{ensure, Result};
use pddgpu_e2e::support::random::Random;

/// Bytes of this process's memory that are watched.
const WATCHED: usize = 64 << 20;

/// Folders whose files are watched. They are in memory.
const FOLDERS: [&str; 2] = ["/usr/bin", "/usr/lib"];

/// What the memory holds.
pub struct Canary {
    words: Vec<u64>,
    files: u64,
}

impl Canary {
    /// Fills memory, and reads files.
    ///
    /// # Errors
    ///
    /// If a file cannot be read.
    pub fn new() -> Result<Self> {
        let mut random = Random::new(0xca9a_5e5e);
        Ok(Self {
            words: (0..WATCHED / 8).map(|_| random.next_u64()).collect(),
            files: files()?,
        })
    }

    /// Checks that all is as it was.
    ///
    /// # Errors
    ///
    /// If it is not, or a file cannot be read.
    pub fn check(&self) -> Result<()> {
        let mut random = Random::new(0xca9a_5e5e);
        let changed = self
            .words
            .iter()
            .filter(|word| **word != random.next_u64())
            .count();
        ensure!(changed == 0, "{changed} words of memory have changed");
        ensure!(files()? == self.files, "files in memory have changed");
        Ok(())
    }
}

/// A sum over all files (FNV-1a).
fn files() -> Result<u64> {
    let mut sum = 0xcbf2_9ce4_8422_2325;
    for folder in FOLDERS {
        add_folder(&mut sum, Path::new(folder))?;
    }
    Ok(sum)
}

fn add_folder(sum: &mut u64, folder: &Path) -> Result<()> {
    let mut paths: Vec<_> = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    paths.sort();
    for path in paths.iter().filter(|path| !path.is_symlink()) {
        if path.is_dir() {
            add_folder(sum, path)?;
            continue;
        }
        let bytes = fs::read(path)?;
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            *sum = (*sum ^ u64::from_le_bytes(word)).wrapping_mul(0x100_0000_01b3);
        }
    }
    Ok(())
}
