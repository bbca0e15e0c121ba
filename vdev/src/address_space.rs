// SPDX-License-Identifier: GPL-2.0

//! Constants of the addresses that the card uses.

/// Number of bits of a GPU address and of a bus address.
pub const ADDRESS_BITS: u32 = 44;

/// Bytes of a page of the card and of the host.
pub const PAGE_SIZE: u64 = 4 << 10;
