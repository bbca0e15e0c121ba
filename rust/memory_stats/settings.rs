// SPDX-License-Identifier: GPL-2.0

//! The settings, which root can change in debugfs.

use core::ops::RangeInclusive;

use kernel::{
    prelude::*,
    sync::atomic::Relaxed,
    time::Msecs, //
};

use crate::{
    abstractions::stackdepot,
    memory_stats::{
        counters::Counter,
        stats::{
            MemoryStats,
            Stats, //
        }, //
    }, //
};

impl MemoryStats {
    /// ms between leak checks; 0 if they are off.
    pub(crate) fn get_leak_check_interval(&self) -> u64 {
        self.leak_check_interval.get()
    }

    /// Age, in ms, from which a buffer is a suspected leak.
    pub(crate) fn suspected_after(&self) -> u64 {
        self.suspected_after.get()
    }

    /// Sets the age, in ms, from which a buffer is a suspected leak.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it is above the age of a confirmed leak.
    pub(crate) fn set_suspected_after(&self, ms: u64) -> Result {
        set_within(&self.suspected_after, ms, 0..=self.confirmed_after())
    }

    /// Age, in ms, from which a buffer is a confirmed leak.
    pub(crate) fn confirmed_after(&self) -> u64 {
        self.confirmed_after.get()
    }

    /// Sets the age, in ms, from which a buffer is a confirmed leak.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it is below the age of a suspected leak, or 2^32 or above.
    pub(crate) fn set_confirmed_after(&self, ms: u64) -> Result {
        set_within(
            &self.confirmed_after,
            ms,
            self.suspected_after()..=u32::MAX.into(),
        )
    }

    /// Percentage of a heap above which its usage is warned about.
    pub(crate) fn limit_percent(&self) -> u64 {
        self.limit_percent.get()
    }

    /// Sets the percentage of a heap above which its usage is warned about.
    ///
    /// # Errors
    ///
    /// `EINVAL` for more than 100.
    pub(crate) fn set_limit_percent(&self, percent: u64) -> Result {
        set_within(&self.limit_percent, percent, 0..=100)?;
        self.limits.iter().for_each(|limit| limit.set(percent));
        Ok(())
    }

    /// Whether a stack trace is saved with each new buffer.
    pub(crate) fn keeps_traces(&self) -> bool {
        self.keep_traces.load(Relaxed)
    }

    /// Sets whether a stack trace is saved with each new buffer.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn keep_traces(&self, keep: bool) -> Result {
        if keep {
            stackdepot::init()?;
        }
        self.keep_traces.store(keep, Relaxed);
        Ok(())
    }
}

impl Stats {
    /// Sets the ms between leak checks; 0 turns them off. The next check is that much from now.
    ///
    /// # Errors
    ///
    /// `EINVAL` for 2^31 and more.
    pub(crate) fn set_leak_check_interval(&self, ms: u64) -> Result {
        let interval = i32::try_from(ms)?;

        self.leak_check_interval.set(interval.into());
        if interval > 0 {
            // CAST: Not negative.
            self.kick(interval as Msecs);
        }
        Ok(())
    }
}

fn set_within(setting: &Counter, value: u64, range: RangeInclusive<u64>) -> Result {
    if !range.contains(&value) {
        return Err(EINVAL);
    }
    setting.set(i64::try_from(value)?);
    Ok(())
}
