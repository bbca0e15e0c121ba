// SPDX-License-Identifier: GPL-2.0

//! The function's PCI configuration space: 4 KiB of bytes, each with a mask of the bits that can
//! be written.
//!
//! QEMU emulates the BARs and MSI towards the guest and takes the rest from here, but it also
//! passes every write on; so this holds a complete, working configuration space.

use crate::options::Card;

/// Bytes of configuration space of a PCI Express function.
pub const LEN: u64 = 4096;

const VENDOR_ID: u16 = 0x1af4;

/// Display controller, other.
const CLASS: u32 = 0x03_80_00;

const COMMAND: usize = 0x04;
const COMMAND_MEMORY: u8 = 1 << 1;
const COMMAND_MASTER: u8 = 1 << 2;
const STATUS: usize = 0x06;
const REVISION: usize = 0x08;
const CACHE_LINE: usize = 0x0c;
const BAR0: usize = 0x10;
const BAR2: usize = 0x18;
const SUBSYSTEM: usize = 0x2c;
const CAPABILITIES: usize = 0x34;
const INTERRUPT_LINE: usize = 0x3c;

const POWER: usize = 0x40;
const MSI: usize = 0x50;
const EXPRESS: usize = 0x70;
/// The upper byte of Device Control, and its bit that resets the function.
const DEVICE_CONTROL: usize = EXPRESS + 0x09;
const INITIATE_RESET: u8 = 1 << 7;

/// A configuration space.
pub struct PciConfig {
    bytes: Vec<u8>,
    /// The bytes at power-on.
    initial: Vec<u8>,
    writable: Vec<u8>,
}

impl PciConfig {
    /// The configuration space of `card` at power-on.
    pub fn new(card: &Card) -> Self {
        let mut config = PciConfig {
            bytes: vec![0; LEN as usize],
            initial: Vec::new(),
            writable: vec![0; LEN as usize],
        };

        config.put(0x00, &VENDOR_ID.to_le_bytes());
        config.put(0x02, &card.device_id.to_le_bytes());
        // Memory space, bus master, parity error response, SERR#, interrupt disable.
        config.allow(COMMAND, &0x0546_u16.to_le_bytes());
        // There is a list of capabilities.
        config.put(STATUS, &0x0010_u16.to_le_bytes());
        config.put(
            REVISION,
            &((CLASS << 8) | (card.identity.chip_rev & 0xff)).to_le_bytes(),
        );
        config.allow(CACHE_LINE, &[0xff]);
        config.put(SUBSYSTEM, &VENDOR_ID.to_le_bytes());
        config.put(SUBSYSTEM + 2, &card.device_id.to_le_bytes());
        config.allow(INTERRUPT_LINE, &[0xff]);

        if card.registers_len > 0 {
            // The address bits below the length are 0 for good: that is how software sizes a BAR.
            config.allow(BAR0, &(!(card.registers_len as u32 - 1)).to_le_bytes());
        }
        if card.aperture_len > 0 {
            // 64 bits, prefetchable.
            config.put(BAR2, &0xc_u32.to_le_bytes());
            config.allow(BAR2, &(!(card.aperture_len - 1)).to_le_bytes());
        }

        config.put(CAPABILITIES, &[POWER as u8]);
        config.add_power(MSI);
        config.add_msi(EXPRESS);
        config.add_express();
        config.initial = config.bytes.clone();
        config
    }

    /// Puts every byte back to its value at power-on.
    pub fn power_on(&mut self) {
        self.bytes.clone_from(&self.initial);
    }

    fn put(&mut self, offset: usize, bytes: &[u8]) {
        self.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    fn allow(&mut self, offset: usize, mask: &[u8]) {
        self.writable[offset..offset + mask.len()].copy_from_slice(mask);
    }

    /// Power management, version 3; D0 and D3hot, neither of which loses state.
    fn add_power(&mut self, next: usize) {
        self.put(POWER, &[0x01, next as u8, 0x03, 0x00, 0x08]);
        self.allow(POWER + 4, &[0x03]);
    }

    /// MSI: one vector, 64-bit addresses, no masking.
    fn add_msi(&mut self, next: usize) {
        self.put(MSI, &[0x05, next as u8, 0x80, 0x00]);
        // Enable and the number of vectors software has enabled.
        self.allow(MSI + 2, &[0x71]);
        self.allow(MSI + 4, &[0xfc, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        self.allow(MSI + 12, &[0xff, 0xff]);
    }

    /// PCI Express, version 2: an endpoint on a 16-lane link at 8 GT/s.
    fn add_express(&mut self) {
        self.put(EXPRESS, &[0x10, 0x00, 0x02, 0x00]);
        // Device: role-based error reporting, function level reset; control as a device comes out of
        // reset.
        self.put(EXPRESS + 0x04, &0x1000_8000_u32.to_le_bytes());
        self.put(EXPRESS + 0x08, &0x2810_u16.to_le_bytes());
        self.allow(EXPRESS + 0x08, &0x7fff_u16.to_le_bytes());
        // Link: capabilities, then control, then status.
        self.put(EXPRESS + 0x0c, &0x0103_u32.to_le_bytes());
        self.allow(EXPRESS + 0x10, &0x00c3_u16.to_le_bytes());
        self.put(EXPRESS + 0x12, &0x0103_u16.to_le_bytes());
        // Link, second part: the speeds there are and the one to aim at.
        self.put(EXPRESS + 0x2c, &0x000e_u32.to_le_bytes());
        self.put(EXPRESS + 0x30, &0x0003_u16.to_le_bytes());
    }

    /// Reads any bytes; ones beyond the end.
    pub fn read(&self, offset: u64, data: &mut [u8]) {
        for (at, byte) in (offset..=u64::MAX).zip(data) {
            *byte = usize::try_from(at)
                .ok()
                .and_then(|at| self.bytes.get(at))
                .map_or(0xff, |b| *b);
        }
    }

    /// Writes any bytes, as far as they exist and can be written. Returns whether that resets the
    /// function; then they are as at power-on.
    #[must_use = "the rest of the function has to be reset, too"]
    pub fn write(&mut self, offset: u64, data: &[u8]) -> bool {
        for (at, new) in (offset..LEN).zip(data) {
            if at as usize == DEVICE_CONTROL && new & INITIATE_RESET != 0 {
                self.power_on();
                return true;
            }
            let mask = self.writable[at as usize];
            let byte = &mut self.bytes[at as usize];
            *byte = (*byte & !mask) | (new & mask);
        }
        false
    }

    /// Whether the function answers accesses to its BARs.
    pub fn memory_enabled(&self) -> bool {
        self.bytes[COMMAND] & COMMAND_MEMORY != 0
    }

    /// Whether the function may start accesses of its own.
    pub fn bus_master(&self) -> bool {
        self.bytes[COMMAND] & COMMAND_MASTER != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;
    use clap::Parser;

    fn config(line: &str) -> PciConfig {
        let words = "vdev --socket s --control c"
            .split(' ')
            .chain(line.split_whitespace());
        PciConfig::new(&Options::try_parse_from(words).unwrap().card().unwrap())
    }

    fn read32(config: &PciConfig, offset: u64) -> u32 {
        let mut data = [0; 4];
        config.read(offset, &mut data);
        u32::from_le_bytes(data)
    }

    #[test]
    fn identity() {
        let config = config("--chip pdd3000");
        assert_eq!(read32(&config, 0x00), 0x10f3_1af4);
        assert_eq!(read32(&config, 0x04), 0x0010_0000);
        assert_eq!(read32(&config, 0x08), 0x0380_0010);
        assert_eq!(read32(&config, 0x2c), 0x10f3_1af4);
        assert_eq!(read32(&config, 0x3c), 0, "no interrupt pin");
    }

    #[test]
    fn bars_can_be_sized() {
        let table = [
            ("", 0xffff_0000, 0xf000_000c, 0xffff_ffff),
            (
                "--chip pdd3000 --visible 8G",
                0xffff_0000,
                0x0000_000c,
                0xffff_fffe,
            ),
            ("--odd small-registers --odd no-aperture", 0xffff_f000, 0, 0),
            (
                "--odd no-registers --visible 1M",
                0,
                0xfff0_000c,
                0xffff_ffff,
            ),
        ];
        for (line, bar0, bar2, bar3) in table {
            let mut config = config(line);
            for offset in (0x10..0x28).step_by(4) {
                let _ = config.write(offset, &[0xff; 4]);
            }
            let bars: Vec<u32> = (0x10..0x28)
                .step_by(4)
                .map(|o| read32(&config, o))
                .collect();
            assert_eq!(bars, [bar0, 0, bar2, bar3, 0, 0], "{line}");
        }
    }

    #[test]
    fn capabilities_are_a_list_that_ends() {
        let config = config("");
        let mut ids = Vec::new();
        let mut at = u64::from(read32(&config, 0x34) & 0xff);
        while at != 0 {
            assert!(at >= 0x40 && at % 4 == 0 && ids.len() < 10);
            let header = read32(&config, at);
            ids.push(header & 0xff);
            at = u64::from((header >> 8) & 0xff);
        }
        assert_eq!(ids, [0x01, 0x05, 0x10]);
        assert_eq!(read32(&config, 0x100), 0, "no extended capabilities");
    }

    #[test]
    fn only_writable_bits_change() {
        let mut config = config("");
        let before: Vec<u32> = (0..LEN).step_by(4).map(|o| read32(&config, o)).collect();
        let mut ones = [0xff; LEN as usize];
        ones[DEVICE_CONTROL] = !INITIATE_RESET;
        assert!(!config.write(0, &ones));
        assert_eq!(read32(&config, 0x00), before[0]);
        assert_eq!(read32(&config, 0x04), 0x0010_0546);
        assert_eq!(read32(&config, 0x50), 0x00f1_7005);
        assert_eq!(read32(&config, 0x54), 0xffff_fffc);
        assert_eq!(read32(&config, 0x5c), 0x0000_ffff);
        assert!(config.memory_enabled() && config.bus_master());
        let _ = config.write(0, &[0; LEN as usize]);
        assert_eq!(read32(&config, 0x04), 0x0010_0000);
        assert!(!config.memory_enabled() && !config.bus_master());
    }

    #[test]
    fn a_function_can_be_reset() {
        let mut config = config("");
        assert!(read32(&config, EXPRESS as u64 + 4) & (1 << 28) != 0, "FLR");
        assert!(!config.write(COMMAND as u64, &[0x06]));
        assert!(config.memory_enabled());
        let control = read32(&config, EXPRESS as u64 + 8) | (1 << 15);
        assert!(config.write(EXPRESS as u64 + 8, &control.to_le_bytes()));
        assert!(!config.memory_enabled() && !config.bus_master());
        assert_eq!(
            read32(&config, EXPRESS as u64 + 8) & (1 << 15),
            0,
            "reads 0"
        );
    }

    #[test]
    fn accesses_beyond_the_end() {
        let mut config = config("");
        let mut data = [0; 8];
        config.read(LEN - 4, &mut data);
        assert_eq!(data, [0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
        config.read(u64::MAX - 3, &mut data);
        assert_eq!(data, [0xff; 8]);
        let _ = config.write(LEN - 4, &[1; 8]);
        let _ = config.write(u64::MAX, &[1; 8]);
    }
}
