// SPDX-License-Identifier: GPL-2.0

//! What an administrator and a failing card do while programs run: unbinding, removing, killing,
//! and faults of the card.

use std::{fs, path::Path, sync::atomic::Ordering::Relaxed};

use pddgpu::virtual_card::{Injection, VirtualCard};
use pddgpu_e2e::support::random::Random;

use crate::shared::{Shared, STREAMS};

/// The card, and who uses it.
pub struct Machine {
    /// The card's address on the PCI bus.
    pub slot: String,
    pub shared: &'static Shared,
}

/// A kind of measure.
pub struct Kind {
    pub name: &'static str,
    pub weight: usize,
    /// Carries it out. It may fail.
    pub run: fn(&Machine, &mut Random),
}

pub const KINDS: &[Kind] = &[
    Kind::new("unbind", 4, |machine, _| machine.driver("unbind")),
    Kind::new("bind", 8, |machine, _| machine.driver("bind")),
    Kind::new("remove", 1, remove),
    Kind::new("rescan", 4, rescan),
    Kind::new("kill", 4, kill),
    Kind::new("fault", 8, fault),
];

impl Kind {
    const fn new(name: &'static str, weight: usize, run: fn(&Machine, &mut Random)) -> Self {
        Self { name, weight, run }
    }
}

impl Machine {
    /// Writes the card's address to a file of the driver.
    pub fn driver(&self, file: &str) {
        // Refused if the card is bound, unbound or gone already.
        let _ = fs::write(
            Path::new("/sys/bus/pci/drivers/pddgpu").join(file),
            &self.slot,
        );
    }

    /// Whether the driver has the card.
    pub fn is_bound(&self) -> bool {
        Path::new("/sys/bus/pci/drivers/pddgpu")
            .join(&self.slot)
            .exists()
    }

    /// Has the bus find the card, and the driver take it.
    pub fn restore(&self) {
        if !Path::new("/sys/bus/pci/devices").join(&self.slot).exists() {
            let _ = fs::write("/sys/bus/pci/rescan", "1");
        }
        if !self.is_bound() {
            self.driver("bind");
        }
    }
}

fn remove(machine: &Machine, _random: &mut Random) {
    let path = format!("/sys/bus/pci/devices/{}/remove", machine.slot);
    let _ = fs::write(path, "1");
}

fn rescan(_machine: &Machine, _random: &mut Random) {
    let _ = fs::write("/sys/bus/pci/rescan", "1");
}

fn kill(machine: &Machine, random: &mut Random) {
    let program = machine.shared.programs[random.below(STREAMS)].load(Relaxed);
    if program > 1 {
        // SAFETY: It is a process of this program, or one that was and is not waited for yet.
        unsafe { libc::kill(program as i32, libc::SIGKILL) };
    }
}

fn fault(_machine: &Machine, random: &mut Random) {
    let Ok(Some(mut card)) = VirtualCard::find() else {
        return;
    };
    let packets = random.below(20) as u64;
    let injection = match random.below(8) {
        0 => Injection::Hang {
            packets,
            bytes: random.below(1 << 20) as u64 & !3,
        },
        1 | 2 => Injection::Corrupt { packets },
        3 => Injection::SlowDown {
            factor: 1 + random.below(200) as u64,
        },
        4 | 5 => Injection::Ecc {
            offset: random.below(64 << 20) as u64,
        },
        6 => {
            let _ = card.clear_injections();
            return;
        }
        _ => Injection::LoseInterrupts {
            count: random.below(20) as u64,
        },
    };
    // A card without ECC refuses what others report.
    let _ = card.inject(injection);
}
