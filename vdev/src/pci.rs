// SPDX-License-Identifier: GPL-2.0

//! The card as a PCI function: configuration space, the interrupt, and the protocol to QEMU.

pub mod config;
pub mod msi;
pub mod vfio_user;
