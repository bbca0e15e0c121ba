// SPDX-License-Identifier: GPL-2.0

//! What a card is.

use serde::Serialize;

use crate::{card::Card, error::Result, flags::Features, query::Query, raw};

/// The card and the limits it sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Device {
    /// The number of the chip: 0x1000, 0x2000 or 0x3000.
    pub chip_id: u32,
    /// The chip's revision: major, minor.
    pub chip_revision: (u8, u8),
    /// What the card can do.
    pub features: Features,
    /// GPU address of the first byte of VRAM.
    pub vram_start: u64,
    /// Bytes of VRAM.
    pub vram_size: u64,
    /// Bytes of VRAM that the CPU can reach. They are the first ones.
    pub visible_size: u64,
    /// GPU address of the first byte of the GTT window.
    pub gtt_start: u64,
    /// Bytes of GTT address space.
    pub gtt_size: u64,
    /// Bytes of the largest buffer in the CPU domain.
    pub max_cpu_size: u64,
    /// The largest alignment that may be asked for, in bytes.
    pub max_alignment: u64,
}

impl Card {
    /// Asks the driver what the card is.
    pub fn device(&self) -> Result<Device> {
        self.query(Query {
            number: raw::DRM_PDDGPU_QUERY_DEVICE,
            name: "QUERY device",
        })
        .map(Device::from_raw)
    }
}

impl Device {
    fn from_raw(device: raw::drm_pddgpu_query_device) -> Self {
        let nibble = |shift: u32| ((device.chip_rev >> shift) & 0xf) as u8;
        Self {
            chip_id: device.chip_id,
            chip_revision: (nibble(4), nibble(0)),
            features: Features::from_bits_retain(device.features),
            vram_start: device.vram_start,
            vram_size: device.vram_size,
            visible_size: device.visible_size,
            gtt_start: device.gtt_start,
            gtt_size: device.gtt_size,
            max_cpu_size: device.max_cpu_size,
            max_alignment: device.max_alignment,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_revision_is_two_numbers() {
        let device = Device::from_raw(raw::drm_pddgpu_query_device {
            chip_rev: 0xfff2_0012,
            ..Default::default()
        });
        assert_eq!(device.chip_revision, (1, 2));
    }
}
