// SPDX-License-Identifier: GPL-2.0

//! The virtual card's own view of itself, over its control channel.
//!
//! Only a guest that runs beside the virtual card has the channel. What is read here comes from the
//! card's memory and registers, past the driver and the CPU's mappings, so that it can prove what
//! they did. `vdev/README.md` describes the requests.

pub mod pages;

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Write},
    path::Path,
};

use serde::Serialize;
use serde_json::{json, Map, Value};

use crate::{Error, Result};

/// The channel of the VM's first card.
pub const CHANNEL: &str = "/dev/virtio-ports/org.pddgpu.card";

/// Bytes of VRAM that go into one request.
const PIECE: usize = 1 << 20;

/// An open control channel; there can be one at a time.
#[derive(Debug)]
pub struct VirtualCard {
    channel: BufReader<File>,
}

/// What can be made to go wrong. It happens once, but for [`SlowDown`](Self::SlowDown).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// The engine hangs after so many packets, and so many bytes of the next.
    Hang {
        /// Packets that it still executes.
        packets: u64,
        /// Bytes of the next that it still moves.
        bytes: u64,
    },
    /// The engine gets garbage for a packet.
    Corrupt {
        /// Packets that are good before it.
        packets: u64,
    },
    /// The engine takes time: for each packet at least `factor` × (10 µs + bytes ÷ 4 GB/s).
    SlowDown {
        /// 1 is as fast as it can.
        factor: u64,
    },
    /// Interrupts do not arrive.
    LoseInterrupts {
        /// How many.
        count: u64,
    },
    /// VRAM loses the content of a page.
    Ecc {
        /// VRAM offset of a byte in it.
        offset: u64,
    },
}

/// What the card says it is, where that is not to be the truth. Sizes and addresses in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// The CHIP_ID register.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chip_id: Option<u32>,
    /// The CHIP_REV register.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chip_rev: Option<u32>,
    /// The FEATURES register.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub features: Option<u32>,
    /// The VRAM_SIZE register.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vram_size: Option<u64>,
    /// The GTT_SIZE register.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gtt_size: Option<u64>,
    /// The VRAM_START register.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vram_start: Option<u64>,
    /// The GTT_START register.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gtt_start: Option<u64>,
    /// The VRAM_END register, if it is not to follow from the start and the size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vram_end: Option<u64>,
    /// The GTT_END register, if it is not to follow from the start and the size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gtt_end: Option<u64>,
}

impl VirtualCard {
    /// Opens the channel of the VM's first card; nothing if this machine has none.
    pub fn find() -> Result<Option<Self>> {
        match Self::open(CHANNEL) {
            Ok(card) => Ok(Some(card)),
            Err(Error::File { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Opens a channel.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(Error::file(path))?;
        Ok(Self {
            channel: BufReader::new(file),
        })
    }

    /// Reads VRAM from `offset` on.
    pub fn read_vram(&mut self, offset: u64, len: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        for (index, piece) in bytes.chunks_mut(PIECE).enumerate() {
            let at = offset + (index * PIECE) as u64;
            let args = json!({"offset": at, "len": piece.len()});
            self.read("read_vram", args, piece)?;
        }
        Ok(bytes)
    }

    /// Writes VRAM from `offset` on.
    pub fn write_vram(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        for (index, piece) in bytes.chunks(PIECE).enumerate() {
            let at = offset + (index * PIECE) as u64;
            let args = json!({"offset": at, "bytes": piece.len()});
            self.send("write_vram", args, piece)?;
            self.receive("write_vram")?;
        }
        Ok(())
    }

    /// Sets `len` bytes of VRAM from `offset` on to one value.
    pub fn fill_vram(&mut self, offset: u64, len: u64, byte: u8) -> Result<()> {
        let args = json!({"offset": offset, "len": len, "byte": byte});
        self.request("fill_vram", args).map(drop)
    }

    /// Looks for bytes in `len` bytes of VRAM from `offset` on and tells where, up to `limit` times.
    pub fn find_vram(
        &mut self,
        bytes: &[u8],
        offset: u64,
        len: u64,
        limit: usize,
    ) -> Result<Vec<u64>> {
        let args = json!({
            "hex": hex::encode(bytes), "offset": offset, "len": len, "limit": limit,
        });
        let answer = self.request("find_vram", args)?;
        let offsets = answer.get("offsets").and_then(Value::as_array);
        offsets
            .and_then(|offsets| offsets.iter().map(Value::as_u64).collect())
            .ok_or_else(|| unexpected("no list of offsets"))
    }

    /// Reads a register; `width` in bytes.
    pub fn read_reg(&mut self, offset: u64, width: u32) -> Result<u64> {
        let answer = self.request("read_reg", json!({"offset": offset, "width": width}))?;
        answer
            .get("value")
            .and_then(Value::as_u64)
            .ok_or_else(|| unexpected("no value"))
    }

    /// Writes a register as the guest would; `width` in bytes.
    pub fn write_reg(&mut self, offset: u64, width: u32, value: u64) -> Result<()> {
        let args = json!({"offset": offset, "width": width, "value": value});
        self.request("write_reg", args).map(drop)
    }

    /// Reads the guest's memory at a bus address; at most 1 MiB of it.
    pub fn read_dma(&mut self, address: u64, len: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        let args = json!({"address": address, "len": len});
        self.read("read_dma", args, &mut bytes)?;
        Ok(bytes)
    }

    /// What the card has counted under this name since its start.
    pub fn counter(&mut self, name: &str) -> Result<u64> {
        let answer = self.request("counters", json!({}))?;
        let value = answer.get("counters").and_then(|all| all.get(name));
        value
            .and_then(Value::as_u64)
            .ok_or_else(|| unexpected(format!("no counter {name}")))
    }

    /// Has something go wrong.
    pub fn inject(&mut self, mishap: Mishap) -> Result<()> {
        let (op, args) = match mishap {
            Mishap::Hang { packets, bytes } => {
                ("inject_hang", json!({"packets": packets, "bytes": bytes}))
            }
            Mishap::Corrupt { packets } => ("corrupt_packet", json!({"packets": packets})),
            Mishap::SlowDown { factor } => ("slow_down", json!({"factor": factor})),
            Mishap::LoseInterrupts { count } => ("lose_interrupt", json!({"count": count})),
            Mishap::Ecc { offset } => ("inject_ecc", json!({"offset": offset})),
        };
        self.request(op, args).map(drop)
    }

    /// Takes back all that was to go wrong and has not happened yet.
    pub fn clear_injections(&mut self) -> Result<()> {
        self.request("clear_injections", json!({})).map(drop)
    }

    /// Changes what the card says it is, from the next reset or probe on. The default takes all
    /// changes back.
    pub fn set_identity(&mut self, identity: &Identity) -> Result<()> {
        self.request("set_identity", json!({"identity": identity}))
            .map(drop)
    }

    fn request(&mut self, op: &str, args: Value) -> Result<Map<String, Value>> {
        self.send(op, args, &[])?;
        self.receive(op)
    }

    /// Makes a request that is answered with as much data as there is room for.
    fn read(&mut self, op: &str, args: Value, data: &mut [u8]) -> Result<()> {
        let answer = self.request(op, args)?;
        if answer.get("bytes") != Some(&data.len().into()) {
            return Err(unexpected("another number of bytes"));
        }
        self.channel.read_exact(data).map_err(Error::file(CHANNEL))
    }

    fn send(&mut self, op: &str, mut args: Value, data: &[u8]) -> Result<()> {
        args["op"] = op.into();
        let channel = self.channel.get_mut();
        channel
            .write_all(format!("{args}\n").as_bytes())
            .and_then(|()| channel.write_all(data))
            .map_err(Error::file(CHANNEL))
    }

    /// Receives the line that answers `op`.
    fn receive(&mut self, op: &str) -> Result<Map<String, Value>> {
        let mut line = String::new();
        self.channel
            .read_line(&mut line)
            .map_err(Error::file(CHANNEL))?;
        let answer: Map<String, Value> = serde_json::from_str(&line).map_err(unexpected)?;
        if answer.get("ok") == Some(&Value::Bool(true)) {
            Ok(answer)
        } else {
            let why = answer
                .get("error")
                .map_or("no reason given".into(), Value::to_string);
            Err(Error::VirtualCard(format!("{op}: {why}")))
        }
    }
}

fn unexpected(why: impl std::fmt::Display) -> Error {
    Error::Unexpected(format!("the virtual card's answer makes no sense: {why}"))
}
