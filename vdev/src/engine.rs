// SPDX-License-Identifier: GPL-2.0

//! The engines: the memory controller, the command processor, the interrupt ring, and the thread on
//! which bytes are moved.

pub mod command_processor;
pub mod hostile;
pub mod injections;
pub mod interrupt_ring;
pub mod memory_controller;
pub mod packet;
pub mod parts;
pub mod thread;
