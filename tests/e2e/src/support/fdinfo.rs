// SPDX-License-Identifier: GPL-2.0

//! What `/proc/self/fdinfo` says of an open card.

use std::{
    collections::HashMap,
    fs,
    os::fd::{AsFd, AsRawFd},
};

use anyhow::{Context, Result};

/// The lines of an open file, by their keys.
pub struct Fdinfo(HashMap<String, String>);

impl Fdinfo {
    /// Reads them.
    pub fn of(file: impl AsFd) -> Result<Self> {
        let path = format!("/proc/self/fdinfo/{}", file.as_fd().as_raw_fd());
        let text = fs::read_to_string(&path).context(path)?;
        let lines = text.lines().filter_map(|line| line.split_once(':'));
        Ok(Self(
            lines
                .map(|(key, value)| (key.to_owned(), value.trim().to_owned()))
                .collect(),
        ))
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Result<&str> {
        let value = self.0.get(key);
        Ok(value.with_context(|| format!("no {key} in {:?}", self.0))?)
    }

    /// A value in bytes.
    pub fn bytes(&self, key: &str) -> Result<u64> {
        let value = self.get(key)?;
        let (number, shift) = match value.split_once(' ') {
            Some((number, "KiB")) => (number, 10),
            Some((number, "MiB")) => (number, 20),
            _ => (value, 0),
        };
        let number: u64 = number.parse().with_context(|| format!("{key}: {value}"))?;
        Ok(number << shift)
    }

    /// A value in ns.
    pub fn ns(&self, key: &str) -> Result<u64> {
        let value = self.get(key)?;
        let number = value.strip_suffix(" ns").context("not in ns")?;
        number.parse().with_context(|| format!("{key}: {value}"))
    }
}
