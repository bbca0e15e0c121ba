// SPDX-License-Identifier: GPL-2.0

//! The packets of the command ring.

/// Bytes of a packet.
pub const PACKET_LEN: u64 = 32;

/// A packet that is well-formed; what its addresses lead to is not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet {
    /// Does nothing.
    Nop,
    /// Copies `len` bytes.
    Copy {
        /// GPU address to read from.
        src: u64,
        /// GPU address to write to.
        dst: u64,
        /// Bytes.
        len: u64,
    },
    /// Repeats a word.
    Fill {
        /// The word.
        word: u32,
        /// GPU address to write to.
        dst: u64,
        /// Bytes.
        len: u64,
    },
    /// Tells that everything before it is done.
    Fence {
        /// The value to store.
        value: u64,
        /// GPU address to store it at.
        dst: u64,
        /// Whether to post an entry to the interrupt ring.
        post: bool,
    },
}

/// The packet is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadPacket;

const NOP: u32 = 0;
const COPY: u32 = 1;
const FILL: u32 = 2;
const FENCE: u32 = 3;

/// FENCE: post an entry.
const FLAG_POST: u32 = 1 << 0;

impl Packet {
    /// Takes a packet apart. `fill` says whether the card has the packet FILL.
    pub fn decode(bytes: &[u8; PACKET_LEN as usize], fill: bool) -> Result<Packet, BadPacket> {
        let dword = |index: usize| {
            let at = 4 * index;
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let qword = |index| u64::from(dword(index)) | (u64::from(dword(index + 1)) << 32);
        let (src, dst, len) = (qword(2), qword(4), qword(6));
        let (opcode, flags) = (dword(0) & 0xff, dword(0) >> 8);
        let known_flags = if opcode == FENCE { FLAG_POST } else { 0 };
        if flags & !known_flags != 0 || dword(1) != 0 {
            return Err(BadPacket);
        }

        let packet = match opcode {
            NOP => Packet::Nop,
            COPY => Packet::Copy { src, dst, len },
            FILL if fill => Packet::Fill {
                word: src as u32,
                dst,
                len,
            },
            FENCE => Packet::Fence {
                value: src,
                dst,
                post: flags & FLAG_POST != 0,
            },
            _ => return Err(BadPacket),
        };
        let aligned = match packet {
            Packet::Nop => true,
            Packet::Copy { src, dst, len } => (src | dst | len) % 4 == 0,
            Packet::Fill { dst, len, .. } => (dst | len) % 4 == 0,
            Packet::Fence { dst, .. } => dst % 8 == 0,
        };
        // A high half that FILL does not use is reserved, as dword 1 is.
        let value_fits = opcode != FILL || src >> 32 == 0;
        if aligned && value_fits {
            Ok(packet)
        } else {
            Err(BadPacket)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(dwords: [u32; 8]) -> Result<Packet, BadPacket> {
        let mut bytes = [0; 32];
        for (four, dword) in bytes.chunks_exact_mut(4).zip(dwords) {
            four.copy_from_slice(&dword.to_le_bytes());
        }
        Packet::decode(&bytes, true)
    }

    #[test]
    fn packets() {
        let table = [
            ([0, 0, 1, 2, 3, 4, 5, 6], Packet::Nop),
            (
                [1, 0, 4, 1, 8, 2, 12, 3],
                Packet::Copy {
                    src: 0x1_0000_0004,
                    dst: 0x2_0000_0008,
                    len: 0x3_0000_000c,
                },
            ),
            (
                [2, 0, 0xffff_ffff, 0, 4, 1, 8, 0],
                Packet::Fill {
                    word: 0xffff_ffff,
                    dst: 0x1_0000_0004,
                    len: 8,
                },
            ),
            (
                [3, 0, 1, 2, 8, 1, 7, 7],
                Packet::Fence {
                    value: 0x2_0000_0001,
                    dst: 0x1_0000_0008,
                    post: false,
                },
            ),
            (
                [0x103, 0, 1, 0, 0, 0, 0, 0],
                Packet::Fence {
                    value: 1,
                    dst: 0,
                    post: true,
                },
            ),
        ];
        for (dwords, packet) in table {
            assert_eq!(decode(dwords), Ok(packet), "{dwords:x?}");
        }
    }

    #[test]
    fn bad_packets() {
        let table = [
            [4, 0, 0, 0, 0, 0, 0, 0],
            [0xff, 0, 0, 0, 0, 0, 0, 0],
            [u32::MAX; 8],
            // Reserved bits and flags without a meaning.
            [0, 1, 0, 0, 0, 0, 0, 0],
            [0x100, 0, 0, 0, 0, 0, 0, 0],
            [0x101, 0, 0, 0, 0, 0, 0, 0],
            [0x203, 0, 0, 0, 0, 0, 0, 0],
            [0x10003, 0, 0, 0, 0, 0, 0, 0],
            [2, 0, 0, 1, 0, 0, 0, 0],
            // Alignment.
            [1, 0, 2, 0, 0, 0, 4, 0],
            [1, 0, 0, 0, 1, 0, 4, 0],
            [1, 0, 0, 0, 0, 0, 3, 0],
            [2, 0, 0, 0, 2, 0, 4, 0],
            [2, 0, 0, 0, 0, 0, 6, 0],
            [3, 0, 0, 0, 4, 0, 0, 0],
        ];
        for dwords in table {
            assert_eq!(decode(dwords), Err(BadPacket), "{dwords:x?}");
        }
    }

    #[test]
    fn cards_without_fill() {
        let mut bytes = [0; 32];
        bytes[0] = 2;
        assert!(Packet::decode(&bytes, true).is_ok());
        assert_eq!(Packet::decode(&bytes, false), Err(BadPacket));
    }
}
