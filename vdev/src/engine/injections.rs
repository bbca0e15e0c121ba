// SPDX-License-Identifier: GPL-2.0

//! Mishaps that a test has asked for and that are still to come.

use std::time::Duration;

use serde::Deserialize;

/// When the engine is to hang.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hang {
    /// Packets that it still executes.
    pub packets: u64,
    /// Bytes of the packet after those that it still moves.
    pub bytes: u64,
}

/// What is to go wrong. It outlives resets, which are part of what tests inject it for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Injections {
    /// The engine is to hang.
    pub hang: Option<Hang>,
    /// How many packets are still to be fetched before one that is garbage.
    pub corrupt: Option<u64>,
    /// How many times slower than its nominal speed the engine is; below 2 it is as fast as it
    /// can be.
    pub slowdown: u64,
    /// How many MSIs are still to be lost.
    pub lose_interrupts: u64,
}

/// Nanoseconds that a packet takes at the nominal speed, besides its bytes.
const PACKET_NANOS: u64 = 10_000;

/// Bytes that are moved in a nanosecond at the nominal speed.
const BYTES_PER_NANO: u64 = 4;

impl Injections {
    /// Whether the packet that has been fetched is garbage.
    pub fn corrupts(&mut self) -> bool {
        match self.corrupt {
            Some(0) => {
                self.corrupt = None;
                true
            }
            Some(packets) => {
                self.corrupt = Some(packets - 1);
                false
            }
            None => false,
        }
    }

    /// Whether the MSI that is raised is lost.
    pub fn loses_interrupt(&mut self) -> bool {
        let loses = self.lose_interrupts > 0;
        self.lose_interrupts = self.lose_interrupts.saturating_sub(1);
        loses
    }

    /// What a packet takes before its bytes are moved, if the engine is slow.
    pub fn packet_delay(&self) -> Option<Duration> {
        self.delay(PACKET_NANOS)
    }

    /// What moving `bytes` takes, if the engine is slow.
    pub fn delay_of(&self, bytes: u64) -> Option<Duration> {
        self.delay(bytes / BYTES_PER_NANO)
    }

    fn delay(&self, nanos: u64) -> Option<Duration> {
        (self.slowdown > 1).then(|| Duration::from_nanos(nanos.saturating_mul(self.slowdown)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_happens_as_often_as_asked() {
        let mut injections = Injections {
            corrupt: Some(2),
            lose_interrupts: 2,
            ..Default::default()
        };
        let corrupts: Vec<_> = (0..4).map(|_| injections.corrupts()).collect();
        assert_eq!(corrupts, [false, false, true, false]);
        let loses: Vec<_> = (0..4).map(|_| injections.loses_interrupt()).collect();
        assert_eq!(loses, [true, true, false, false]);
    }

    #[test]
    fn slow_engines_take_time() {
        let mut injections = Injections::default();
        assert_eq!(injections.packet_delay(), None);
        injections.slowdown = 100;
        assert_eq!(injections.packet_delay(), Some(Duration::from_millis(1)));
        assert_eq!(
            injections.delay_of(4_000_000),
            Some(Duration::from_millis(100))
        );
        injections.slowdown = u64::MAX;
        assert!(injections.delay_of(u64::MAX).is_some());
    }
}
