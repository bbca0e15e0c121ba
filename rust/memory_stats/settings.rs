// SPDX-License-Identifier: GPL-2.0

//! What root may set.

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
    /// ms between leak checks, 0 if there are none.
    pub(crate) fn get_leak_check_interval(&self) -> u64 {
        self.leak_check_interval.get()
    }

    /// ms after which a buffer is suspected.
    pub(crate) fn suspected_after(&self) -> u64 {
        self.suspected_after.get()
    }

    /// Sets the ms after which a buffer is suspected.
    ///
    /// # Errors
    ///
    /// `EINVAL` for more than it takes to be confirmed.
    pub(crate) fn set_suspected_after(&self, ms: u64) -> Result {
        set_within(&self.suspected_after, ms, 0..=self.confirmed_after())
    }

    /// ms after which a leak is confirmed.
    pub(crate) fn confirmed_after(&self) -> u64 {
        self.confirmed_after.get()
    }

    /// Sets the ms after which a leak is confirmed.
    ///
    /// # Errors
    ///
    /// `EINVAL` for less than it takes to be suspected, or 2^32 and more.
    pub(crate) fn set_confirmed_after(&self, ms: u64) -> Result {
        set_within(
            &self.confirmed_after,
            ms,
            self.suspected_after()..=u32::MAX.into(),
        )
    }

    /// Percent of a heap that may be taken up without a warning.
    pub(crate) fn limit_percent(&self) -> u64 {
        self.limit_percent.get()
    }

    /// Sets the percent of a heap that may be taken up without a warning.
    ///
    /// # Errors
    ///
    /// `EINVAL` for more than 100.
    pub(crate) fn set_limit_percent(&self, percent: u64) -> Result {
        set_within(&self.limit_percent, percent, 0..=100)?;
        self.limits.iter().for_each(|limit| limit.set(percent));
        Ok(())
    }

    /// Whether the calls that create buffers are kept.
    pub(crate) fn keeps_traces(&self) -> bool {
        self.keep_traces.load(Relaxed)
    }

    /// Has the calls that create buffers kept from now on, or not.
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
    /// Sets the ms between leak checks, 0 for none. It counts from now.
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
