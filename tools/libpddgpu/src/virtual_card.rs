// SPDX-License-Identifier: GPL-2.0

//! The virtual card's own view of itself, over its control channel.
//!
//! Only a VM whose card is the virtual one has this channel. What is read here comes out of the
//! card's memory and registers without help from the driver and the CPU's mappings. It can
//! therefore prove what they did. `vdev/README.md` describes the requests.

pub mod pages;

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Write},
    path::Path,
};

use serde::Serialize;
use serde_json::{json, Map, Value};

use crate::error::{Error, Result};

/// The channel of the VM's first card.
pub const CHANNEL: &str = "/dev/virtio-ports/org.pddgpu.card";

/// Bytes of VRAM that one request reads or writes at most.
const MAX_REQUEST: usize = 1 << 20;

/// An open control channel. Only one can be open at a time.
#[derive(Debug)]
pub struct VirtualCard {
    channel: BufReader<File>,
}

/// A fault that the card can be told to have. Apart from [`SlowDown`](Self::SlowDown) each happens
/// once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Injection {
    /// The engine hangs while it executes a packet.
    Hang {
        /// Packets that it executes before.
        packets: u64,
        /// Bytes of the packet that it moves before it hangs.
        bytes: u64,
    },
    /// The engine reads garbage instead of a packet.
    Corrupt {
        /// Packets that it reads before.
        packets: u64,
    },
    /// The engine takes at least `factor` × (10 µs + bytes ÷ 4 GB/s) for each packet.
    SlowDown {
        /// 1 lets it work as fast as it can.
        factor: u64,
    },
    /// Interrupts do not arrive.
    LoseInterrupts {
        /// How many interrupts are lost.
        count: u64,
    },
    /// A page of VRAM loses its content, and the card reports an uncorrectable memory error.
    Ecc {
        /// VRAM offset of a byte in that page.
        offset: u64,
    },
}

/// What the card's identification registers say instead of the truth. Sizes and addresses are in
/// bytes.
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
    /// The VRAM_END register. If it is not given, it follows from the start and the size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vram_end: Option<u64>,
    /// The GTT_END register. If it is not given, it follows from the start and the size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gtt_end: Option<u64>,
}

impl VirtualCard {
    /// Opens the channel of the VM's first card. `None` if this machine has no such channel, or has
    /// it for root only and the caller is somebody else.
    pub fn find() -> Result<Option<Self>> {
        use io::ErrorKind::{NotFound, PermissionDenied};

        match Self::open(CHANNEL) {
            Ok(card) => Ok(Some(card)),
            Err(Error::File { cause, .. })
                if matches!(cause.kind(), NotFound | PermissionDenied) =>
            {
                Ok(None)
            }
            Err(e) => Err(e),
        }
    }

    /// Opens the channel at a path.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(Error::from_file(path))?;
        Ok(Self {
            channel: BufReader::new(file),
        })
    }

    /// Reads `len` bytes of VRAM from `offset` on.
    pub fn read_vram(&mut self, offset: u64, len: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        for (index, part) in bytes.chunks_mut(MAX_REQUEST).enumerate() {
            let at = offset + (index * MAX_REQUEST) as u64;
            let args = json!({"offset": at, "len": part.len()});
            self.read("read_vram", args, part)?;
        }
        Ok(bytes)
    }

    /// Writes VRAM from `offset` on.
    pub fn write_vram(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        for (index, part) in bytes.chunks(MAX_REQUEST).enumerate() {
            let at = offset + (index * MAX_REQUEST) as u64;
            let args = json!({"offset": at, "bytes": part.len()});
            self.send("write_vram", args, part)?;
            self.receive("write_vram")?;
        }
        Ok(())
    }

    /// Sets `len` bytes of VRAM from `offset` on to one value.
    pub fn fill_vram(&mut self, offset: u64, len: u64, byte: u8) -> Result<()> {
        let args = json!({"offset": offset, "len": len, "byte": byte});
        self.request("fill_vram", args).map(drop)
    }

    /// Searches `len` bytes of VRAM from `offset` on for `bytes`. Gives the VRAM offsets at which
    /// they are, at most `limit` of them.
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

    /// Reads a register of `width` bytes.
    pub fn read_reg(&mut self, offset: u64, width: u32) -> Result<u64> {
        let answer = self.request("read_reg", json!({"offset": offset, "width": width}))?;
        answer
            .get("value")
            .and_then(Value::as_u64)
            .ok_or_else(|| unexpected("no value"))
    }

    /// Writes a register of `width` bytes, as the guest would.
    pub fn write_reg(&mut self, offset: u64, width: u32, value: u64) -> Result<()> {
        let args = json!({"offset": offset, "width": width, "value": value});
        self.request("write_reg", args).map(drop)
    }

    /// Reads at most 1 MiB of the guest's memory at a bus address.
    pub fn read_dma(&mut self, address: u64, len: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        let args = json!({"address": address, "len": len});
        self.read("read_dma", args, &mut bytes)?;
        Ok(bytes)
    }

    /// Raises the card's interrupt, whatever its registers say. Tells whether somebody gets it.
    pub fn interrupt(&mut self) -> Result<bool> {
        let answer = self.request("irq", json!({}))?;
        answer
            .get("delivered")
            .and_then(Value::as_bool)
            .ok_or_else(|| unexpected("not told whether it was delivered"))
    }

    /// The value of one of the card's counters. They begin at 0 when the card starts.
    pub fn counter(&mut self, name: &str) -> Result<u64> {
        let answer = self.request("counters", json!({}))?;
        let value = answer.get("counters").and_then(|all| all.get(name));
        value
            .and_then(Value::as_u64)
            .ok_or_else(|| unexpected(format!("no counter {name}")))
    }

    /// Makes a fault happen.
    pub fn inject(&mut self, injection: Injection) -> Result<()> {
        let (op, args) = match injection {
            Injection::Hang { packets, bytes } => {
                ("inject_hang", json!({"packets": packets, "bytes": bytes}))
            }
            Injection::Corrupt { packets } => ("corrupt_packet", json!({"packets": packets})),
            Injection::SlowDown { factor } => ("slow_down", json!({"factor": factor})),
            Injection::LoseInterrupts { count } => ("lose_interrupt", json!({"count": count})),
            Injection::Ecc { offset } => ("inject_ecc", json!({"offset": offset})),
        };
        self.request(op, args).map(drop)
    }

    /// Takes back all faults that have not happened yet.
    pub fn clear_injections(&mut self) -> Result<()> {
        self.request("clear_injections", json!({})).map(drop)
    }

    /// Pulls the card out of its slot, or plugs it in again as after power-on. The machine is not told.
    pub fn set_gone(&mut self, gone: bool) -> Result<()> {
        self.request("unplug", json!({"gone": gone})).map(drop)
    }

    /// Changes what the card says it is from the next reset or probe on. An `Identity::default()`
    /// takes all changes back.
    pub fn set_identity(&mut self, identity: &Identity) -> Result<()> {
        self.request("set_identity", json!({"identity": identity}))
            .map(drop)
    }

    /// Has the card lie as a seed chooses, or tell the truth from now on.
    pub fn set_hostile(&mut self, seed: Option<u64>) -> Result<()> {
        self.request("hostile", json!({"seed": seed})).map(drop)
    }

    /// How many lies the card has told since it started.
    pub fn lies(&mut self) -> Result<u64> {
        let answer = self.request("counters", json!({}))?;
        let counters = answer.get("counters").and_then(Value::as_object);
        let counters = counters.ok_or_else(|| unexpected("no counters"))?;
        let lies = counters
            .iter()
            .filter(|(name, _)| name.starts_with("lies_"));
        Ok(lies.filter_map(|(_, count)| count.as_u64()).sum())
    }

    /// Makes a request that transfers no data, and gives the answer.
    fn request(&mut self, op: &str, args: Value) -> Result<Map<String, Value>> {
        self.send(op, args, &[])?;
        self.receive(op)
    }

    /// Makes a request whose answer is followed by exactly as many bytes as there is room for.
    fn read(&mut self, op: &str, args: Value, data: &mut [u8]) -> Result<()> {
        let answer = self.request(op, args)?;
        if answer.get("bytes") != Some(&data.len().into()) {
            return Err(unexpected("another number of bytes"));
        }
        self.channel
            .read_exact(data)
            .map_err(Error::from_file(CHANNEL))
    }

    /// Sends the line of a request and the data that belongs to it.
    fn send(&mut self, op: &str, mut args: Value, data: &[u8]) -> Result<()> {
        args["op"] = op.into();
        let channel = self.channel.get_mut();
        channel
            .write_all(format!("{args}\n").as_bytes())
            .and_then(|()| channel.write_all(data))
            .map_err(Error::from_file(CHANNEL))
    }

    /// Receives the line that answers the request `op`.
    fn receive(&mut self, op: &str) -> Result<Map<String, Value>> {
        let mut line = String::new();
        self.channel
            .read_line(&mut line)
            .map_err(Error::from_file(CHANNEL))?;
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
