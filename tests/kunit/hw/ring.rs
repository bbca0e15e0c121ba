// SPDX-License-Identifier: GPL-2.0

//! The rings: how much has room.

use kernel::prelude::*;

use super::*;

#[kunit_tests(pddgpu_ring)]
mod tests {
    use super::*;
    use crate::kunit::check_eq;

    /// A ring of 4 KiB has 128 packets, one of which stays free.
    #[test]
    fn room() -> Result {
        for (wptr, rptr, room) in [
            (0, 0, 127),
            (32, 32, 127),
            (32, 0, 126),
            (4064, 0, 0),
            (0, 32, 0),
            (0, 64, 1),
            (64, 4064, 124),
            (4064, 4064, 127),
        ] {
            let mut ring = CommandRing::new(&(0x10000..0x11000))?;

            ring.wptr = wptr;
            ring.rptr = rptr;
            check_eq!(ring.room(), room, "{} and {}", wptr, rptr);
        }
        Ok(())
    }

    #[test]
    fn one_packet_of_any_ring_stays_free() -> Result {
        for (size, room) in [
            (32, 0),
            (64, 1),
            (0x1_0000, 2047),
            (0x8000_0000, (1 << 26) - 1),
        ] {
            // Wherever in VRAM it is.
            for base in [0, 0x1000, 1 << 33] {
                let ring = CommandRing::new(&(base..base + size))?;

                check_eq!(ring.room(), room, "{:#x} bytes at {:#x}", size, base);
                check_eq!(ring.base, base);
            }
        }
        Ok(())
    }

    /// The card's read pointer is not believed blindly: arithmetic with a wild one would overflow.
    #[test]
    fn read_pointers_are_those_of_packets() -> Result {
        let ring = CommandRing::new(&(0x10000..0x11000))?;

        for (rptr, good) in [
            (0, true),
            (32, true),
            (4064, true),
            (4, false),
            (4095, false),
            (4080, false),
            (4096, false),
            (u32::MAX, false),
            (0x8000_0000, false),
        ] {
            check_eq!(ring.check_rptr(rptr).is_some(), good, "{:#x}", rptr);
        }
        Ok(())
    }

    #[test]
    fn rings_of_4_gib_are_refused() -> Result {
        for (place, good) in [
            (0..(1u64 << 32) - 1, true),
            (0..1 << 32, false),
            (1 << 32..1 << 33, false),
            (0..1 << 40, false),
        ] {
            let expected = if good { None } else { Some(EINVAL) };

            check_eq!(CommandRing::new(&place).err(), expected, "{:#x?}", place);
            check_eq!(InterruptRing::new(&place).err(), expected, "{:#x?}", place);
        }
        Ok(())
    }

    #[test]
    fn pages_are_those_of_the_gpu() -> Result {
        for (address, expected) in [
            (0, 0),
            (0x1000, 1),
            (0x100_0000_5000, 0x1000_0005),
            ((1 << 44) - 0x1000, u32::MAX),
        ] {
            check_eq!(page(address), expected, "{:#x}", address);
        }
        Ok(())
    }
}
