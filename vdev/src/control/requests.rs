// SPDX-License-Identifier: GPL-2.0

//! What the control socket's requests mean; `README.md` is their reference.

use std::collections::BTreeMap;

use anyhow::{bail, ensure, Context, Error, Result};
use serde::Deserialize;
use serde_json::{json, Map, Value};

use crate::device::{Region, SharedDevice};
use crate::engine::hostile::Hostile;
use crate::engine::injections::{Hang, Injections};
use crate::memory::scan;
use crate::memory::vram::Vram;
use crate::regs::identity::IdentityOverride;

/// Bytes of data that one request can read or write.
pub const DATA_MAX: u64 = 1 << 20;

/// Bytes of the longest pattern that `find_vram` looks for.
pub const PATTERN_MAX: u64 = 4096;

/// Places that `find_vram` reports unless the request says otherwise.
const FIND_LIMIT: usize = 16;

fn find_limit() -> usize {
    FIND_LIMIT
}

/// A request. Offsets are into VRAM or BAR0, lengths and widths in bytes.
#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
enum Request {
    Info {},
    ReadVram {
        offset: u64,
        len: u64,
    },
    WriteVram {
        offset: u64,
        bytes: u64,
    },
    FillVram(FillVram),
    HashVram {
        offset: u64,
        len: u64,
    },
    FindVram(FindVram),
    ReadReg {
        offset: u64,
        width: usize,
    },
    WriteReg(WriteReg),
    ReadDma {
        address: u64,
        len: u64,
    },
    WriteDma {
        address: u64,
        bytes: u64,
    },
    Counters {},
    SetIdentity {
        #[serde(default)]
        identity: IdentityOverride,
    },
    Irq {},
    InjectEcc {
        offset: u64,
    },
    InjectHang(Hang),
    CorruptPacket {
        #[serde(default)]
        packets: u64,
    },
    SlowDown {
        factor: u64,
    },
    LoseInterrupt {
        count: u64,
    },
    ClearInjections {},
    Unplug {
        gone: bool,
    },
    Hostile {
        seed: Option<u64>,
    },
}

/// What of a request line tells that data follows it, however wrong the rest of the line is.
#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
enum Announcement {
    WriteVram {
        bytes: u64,
    },
    WriteDma {
        bytes: u64,
    },
    #[serde(other)]
    Nothing,
}

/// A response: a line, with its end, and the data that follows it.
#[derive(Debug)]
pub struct Response {
    pub line: String,
    pub data: Vec<u8>,
}

impl Response {
    fn new(fields: Map<String, Value>, data: Vec<u8>) -> Self {
        let line = format!("{}\n", Value::Object(fields));
        Self { line, data }
    }

    /// Says why a request was not carried out.
    pub fn refusal(error: &Error) -> Self {
        let fields = json!({ "ok": false, "error": format!("{error:#}") });
        Self::new(object(fields), Vec::new())
    }
}

/// Bytes of data that follow a request line, also one that will be refused. None do if the line does
/// not tell in good order.
pub fn announced(line: &[u8]) -> u64 {
    match serde_json::from_slice(line) {
        Ok(Announcement::WriteVram { bytes } | Announcement::WriteDma { bytes }) => bytes,
        Ok(Announcement::Nothing) | Err(_) => 0,
    }
}

/// Answers one request: a line, and the data that came after it.
pub fn answer(device: &SharedDevice, line: &[u8], data: &[u8]) -> Response {
    let result = serde_json::from_slice(line)
        .context("not a request")
        .and_then(|request| execute(device, request, data));
    match result {
        Ok((mut fields, data)) => {
            fields.insert("ok".into(), true.into());
            Response::new(fields, data)
        }
        Err(error) => Response::refusal(&error),
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        other => Map::from_iter([(String::from("value"), other)]),
    }
}

/// A buffer for the `len` bytes of data of a response.
fn buffer(len: u64) -> Result<Vec<u8>> {
    ensure!(
        len <= DATA_MAX,
        "len: at most {DATA_MAX} bytes in one request"
    );
    Ok(vec![0; len as usize])
}

/// The data of a request, unless the client went before it had sent what it announced.
fn whole(data: &[u8], bytes: u64) -> Result<&[u8]> {
    let came = data.len();
    ensure!(came as u64 == bytes, "bytes: {came} of {bytes} came");
    Ok(data)
}

/// The bytes of a pattern.
fn pattern(text: &str) -> Result<Vec<u8>> {
    ensure!(
        text.len() as u64 <= 2 * PATTERN_MAX,
        "hex: at most {PATTERN_MAX} bytes"
    );
    let pattern = hex::decode(text).context("hex")?;
    ensure!(
        pattern.iter().any(|byte| *byte != 0),
        "hex: zeroes only are everywhere"
    );
    Ok(pattern)
}

/// Carries out a request. Returns the fields of the response, and its data.
fn execute(
    device: &SharedDevice,
    request: Request,
    data: &[u8],
) -> Result<(Map<String, Value>, Vec<u8>)> {
    // VRAM is used without the card's lock, so that a long search does not hold up the guest.
    let vram = device.lock().vram().clone();
    let mut read = Vec::new();
    let mut fields = json!({});
    match request {
        Request::Info {} => fields = info(device),
        Request::Counters {} => fields = json!({ "counters": counters(device) }),
        Request::ReadVram { offset, len } => {
            read = buffer(len)?;
            vram.read(offset, &mut read)?;
            fields = json!({ "bytes": len });
        }
        Request::WriteVram { offset, bytes } => vram.write(offset, whole(data, bytes)?)?,
        Request::FillVram(fill) => vram.fill(fill.offset, fill.len, fill.pattern()?)?,
        Request::HashVram { offset, len } => {
            let hash = scan::hash(&vram, vram.check(offset, len)?)?;
            fields = json!({ "sha256": hex::encode(hash) });
        }
        Request::FindVram(find) => fields = json!({ "offsets": find.execute(&vram)? }),
        Request::ReadReg { offset, width } => {
            fields = json!({ "value": read_register(device, offset, width)? });
        }
        Request::WriteReg(write) => write.execute(device)?,
        Request::ReadDma { address, len } => {
            read = buffer(len)?;
            device.lock().memory().dma().read(address, &mut read)?;
            fields = json!({ "bytes": len });
        }
        Request::WriteDma { address, bytes } => {
            let data = whole(data, bytes)?;
            device.lock().memory().dma().write(address, data)?;
        }
        Request::SetIdentity { identity } => device.lock().registers.override_identity(&identity),
        Request::Irq {} => fields = json!({ "delivered": device.lock().interrupt() }),
        Request::InjectEcc { offset } => {
            vram.check(offset, 1)?;
            fields = json!({ "reported": device.lock().report_ecc(offset) });
        }
        Request::InjectHang(hang) => device.lock().injections.hang = Some(hang),
        Request::CorruptPacket { packets } => device.lock().injections.corrupt = Some(packets),
        Request::SlowDown { factor } => {
            ensure!(factor > 0, "factor: at least 1");
            device.lock().injections.slowdown = factor;
        }
        Request::LoseInterrupt { count } => device.lock().injections.lose_interrupts = count,
        Request::ClearInjections {} => device.lock().injections = Injections::default(),
        Request::Unplug { gone } => device.lock().set_gone(gone),
        Request::Hostile { seed } => device.lock().hostile = Hostile::new(seed),
    }
    Ok((object(fields), read))
}

/// A range of VRAM to be filled with a byte or a word.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FillVram {
    offset: u64,
    len: u64,
    byte: Option<u8>,
    u32: Option<u32>,
}

impl FillVram {
    fn pattern(&self) -> Result<[u8; 4]> {
        match (self.byte, self.u32) {
            (Some(byte), None) => Ok([byte; 4]),
            (None, Some(word)) => Ok(word.to_le_bytes()),
            _ => bail!("either byte or u32"),
        }
    }
}

/// A pattern to be looked for in a range of VRAM.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FindVram {
    hex: String,
    offset: Option<u64>,
    len: Option<u64>,
    #[serde(default = "find_limit")]
    limit: usize,
}

impl FindVram {
    fn execute(&self, vram: &Vram) -> Result<Vec<u64>> {
        let pattern = pattern(&self.hex)?;
        let offset = self.offset.unwrap_or(0);
        let len = self
            .len
            .unwrap_or_else(|| vram.len().saturating_sub(offset));
        let range = vram.check(offset, len)?;
        Ok(scan::find(vram, &pattern, range, self.limit)?)
    }
}

/// A write to a register.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WriteReg {
    offset: u64,
    width: usize,
    value: u64,
}

impl WriteReg {
    fn execute(&self, device: &SharedDevice) -> Result<()> {
        ensure!(self.width <= 8, "width: at most 8");
        let data = &self.value.to_le_bytes()[..self.width];
        device.lock().write(Region::Registers, self.offset, data);
        Ok(())
    }
}

fn read_register(device: &SharedDevice, offset: u64, width: usize) -> Result<u64> {
    ensure!(width <= 8, "width: at most 8");
    let mut data = [0; 8];
    device
        .lock()
        .read(Region::Registers, offset, &mut data[..width]);
    Ok(u64::from_le_bytes(data))
}

fn counters(device: &SharedDevice) -> Map<String, Value> {
    let device = device.lock();
    let mut counters = object(json!(device.counters));
    let dma = device.memory().dma();
    counters.insert("dma_mappings".into(), dma.count().into());
    counters.insert("dma_bytes".into(), dma.bytes().into());
    counters
}

fn info(device: &SharedDevice) -> Value {
    let device = device.lock();
    json!({
        "chip": device.chip().name(),
        "vram_bytes": device.vram().len(),
        "visible_bytes": device.vram().visible_len(),
        "registers_len": device.region_len(Region::Registers),
        "aperture_len": device.region_len(Region::Aperture),
        "aperture_open": device.vram().is_open(),
        "memory_enabled": device.config.memory_enabled(),
        "bus_master": device.config.bus_master(),
        "msi_enabled": device.msi.enabled(),
        "engine_hung": device.is_hung(),
        "registers": device.registers.dump().collect::<BTreeMap<_, _>>(),
    })
}

#[cfg(test)]
mod tests;
