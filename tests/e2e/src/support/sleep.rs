// SPDX-License-Identifier: GPL-2.0

//! Sleep of the system, from which the machine's clock wakes it.

use std::{fs, path::Path};

use anyhow::{Context, Result};

/// A kind of sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sleep {
    /// To idle: devices rest, the processors idle, power stays.
    Idle,
    /// To memory (S3): everything but memory loses power.
    Deep,
    /// Sleep that ends at a stage (`pm_test`) before the system would sleep.
    Test(&'static str),
}

/// Stages at which sleep can end, from the first to the last.
pub const STAGES: [&str; 5] = ["freezer", "devices", "platform", "processors", "core"];

const STATE: &str = "/sys/power/state";
const KIND: &str = "/sys/power/mem_sleep";
const STAGE: &str = "/sys/power/pm_test";
/// How long a test stays at its stage, in seconds.
const STAGE_SECONDS: &str = "/sys/module/suspend/parameters/pm_test_delay";
const ALARM: &str = "/sys/class/rtc/rtc0/wakealarm";
/// A line to the machine's host, which calls on it when the machine's own clock cannot wake it.
const LINE: &str = "/dev/ttyS1";

/// Seconds until the machine is woken. The clock counts whole ones.
const SECONDS: u32 = 2;

fn write(path: &str, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("{text} to {path}"))
}

/// Whether a file lists a word, which may be in brackets.
fn has(path: &str, word: &str) -> bool {
    fs::read_to_string(path).is_ok_and(|text| {
        text.split_whitespace()
            .any(|found| found.trim_matches(['[', ']']) == word)
    })
}

impl Sleep {
    /// Whether this machine can sleep so.
    pub fn is_possible(self) -> bool {
        match self {
            // Whoever starts the machine so that it can sleep deeply calls on it, too.
            Self::Idle | Self::Deep => has(KIND, "deep"),
            Self::Test(stage) => {
                let is_deep = ["processors", "core"].contains(&stage);
                has(STAGE, stage) && (!is_deep || has(KIND, "deep"))
            }
        }
    }

    /// Has the system sleep, and returns when it is awake again.
    ///
    /// # Errors
    ///
    /// If it did not sleep; the cause is that of the kernel.
    pub fn sleep(self) -> Result<()> {
        let (kind, stage) = match self {
            Self::Idle => ("s2idle", "none"),
            Self::Deep => ("deep", "none"),
            Self::Test(stage) if has(KIND, "deep") => ("deep", stage),
            Self::Test(stage) => ("s2idle", stage),
        };
        write(KIND, kind)?;
        if Path::new(STAGE).exists() {
            write(STAGE, stage)?;
            write(STAGE_SECONDS, "0")?;
        }
        match self {
            Self::Idle => write(LINE, &format!("call {SECONDS}\n"))?,
            Self::Deep => {
                write(ALARM, "0")?;
                write(ALARM, &format!("+{SECONDS}"))?;
            }
            Self::Test(_) => (),
        }
        let result = write(STATE, "mem");
        if self == Self::Idle {
            write(LINE, "awake\n")?;
        }
        if stage != "none" {
            write(STAGE, "none")?;
        }
        result
    }
}
