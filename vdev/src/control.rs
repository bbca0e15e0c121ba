// SPDX-License-Identifier: GPL-2.0

//! What the control socket's requests mean; `README.md` is their reference.

use std::collections::BTreeMap;

use anyhow::{ensure, Context, Result};
use serde::Deserialize;
use serde_json::{json, Map, Value};

use crate::device::{Region, SharedDevice};
use crate::injections::{Hang, Injections};
use crate::registers::IdentityOverride;
use crate::scan;

/// Bytes that one request can read or write.
const DATA_MAX: u64 = 1 << 20;

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
        hex: String,
    },
    FillVram {
        offset: u64,
        len: u64,
        byte: Option<u8>,
        u32: Option<u32>,
    },
    HashVram {
        offset: u64,
        len: u64,
    },
    FindVram {
        hex: String,
        offset: Option<u64>,
        len: Option<u64>,
        #[serde(default = "find_limit")]
        limit: usize,
    },
    ReadReg {
        offset: u64,
        width: usize,
    },
    WriteReg {
        offset: u64,
        width: usize,
        value: u64,
    },
    ReadDma {
        address: u64,
        len: u64,
    },
    WriteDma {
        address: u64,
        hex: String,
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
    InjectHang {
        #[serde(default)]
        packets: u64,
        #[serde(default)]
        bytes: u64,
    },
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
}

/// Answers one request line with one response, without its line end.
pub fn answer(device: &SharedDevice, line: &[u8]) -> String {
    let result = serde_json::from_slice(line)
        .context("not a request")
        .and_then(|request| execute(device, request));
    let response = match result {
        Ok(mut fields) => {
            fields.insert("ok".into(), true.into());
            fields
        }
        Err(error) => object(json!({ "ok": false, "error": format!("{error:#}") })),
    };
    Value::Object(response).to_string()
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        other => Map::from_iter([(String::from("value"), other)]),
    }
}

/// A buffer for `len` bytes of a response.
fn buffer(len: u64) -> Result<Vec<u8>> {
    ensure!(
        len <= DATA_MAX,
        "len: at most {DATA_MAX} bytes in one request"
    );
    Ok(vec![0; len as usize])
}

/// The bytes of a request.
fn bytes(text: &str) -> Result<Vec<u8>> {
    ensure!(
        text.len() as u64 <= 2 * DATA_MAX,
        "hex: at most {DATA_MAX} bytes in one request"
    );
    hex::decode(text).context("hex")
}

fn execute(device: &SharedDevice, request: Request) -> Result<Map<String, Value>> {
    // VRAM is used without the card's lock, so that a long search does not hold up the guest.
    let vram = device.lock().vram().clone();
    let response = match request {
        Request::Info {} => info(device),
        Request::ReadVram { offset, len } => {
            let mut data = buffer(len)?;
            vram.read(offset, &mut data)?;
            json!({ "hex": hex::encode(data) })
        }
        Request::WriteVram { offset, hex } => {
            vram.write(offset, &bytes(&hex)?)?;
            json!({})
        }
        Request::FillVram {
            offset,
            len,
            byte,
            u32,
        } => {
            let pattern = match (byte, u32) {
                (Some(byte), None) => [byte; 4],
                (None, Some(word)) => word.to_le_bytes(),
                _ => anyhow::bail!("either byte or u32"),
            };
            vram.fill(offset, len, pattern)?;
            json!({})
        }
        Request::HashVram { offset, len } => {
            let range = vram.check(offset, len)?;
            json!({ "sha256": hex::encode(scan::hash(&vram, range)?) })
        }
        Request::FindVram {
            hex,
            offset,
            len,
            limit,
        } => {
            let pattern = bytes(&hex)?;
            ensure!(
                pattern.iter().any(|byte| *byte != 0),
                "hex: zeroes only are everywhere"
            );
            let offset = offset.unwrap_or(0);
            let len = len.unwrap_or_else(|| vram.len().saturating_sub(offset));
            let range = vram.check(offset, len)?;
            json!({ "offsets": scan::find(&vram, &pattern, range, limit)? })
        }
        Request::ReadReg { offset, width } => {
            ensure!(width <= 8, "width: at most 8");
            let mut data = [0; 8];
            device
                .lock()
                .read(Region::Registers, offset, &mut data[..width]);
            json!({ "value": u64::from_le_bytes(data) })
        }
        Request::WriteReg {
            offset,
            width,
            value,
        } => {
            ensure!(width <= 8, "width: at most 8");
            device
                .lock()
                .write(Region::Registers, offset, &value.to_le_bytes()[..width]);
            json!({})
        }
        Request::ReadDma { address, len } => {
            let mut data = buffer(len)?;
            device.lock().memory().dma().read(address, &mut data)?;
            json!({ "hex": hex::encode(data) })
        }
        Request::WriteDma { address, hex } => {
            let data = bytes(&hex)?;
            device.lock().memory().dma().write(address, &data)?;
            json!({})
        }
        Request::Counters {} => {
            let device = device.lock();
            let mut counters = object(json!(device.counters));
            let dma = device.memory().dma();
            counters.insert("dma_mappings".into(), dma.count().into());
            counters.insert("dma_bytes".into(), dma.bytes().into());
            json!({ "counters": counters })
        }
        Request::SetIdentity { identity } => {
            device.lock().registers.override_identity(&identity);
            json!({})
        }
        Request::InjectEcc { offset } => {
            vram.check(offset, 1)?;
            json!({ "reported": device.lock().report_ecc(offset) })
        }
        Request::InjectHang { packets, bytes } => {
            device.lock().injections.hang = Some(Hang { packets, bytes });
            json!({})
        }
        Request::CorruptPacket { packets } => {
            device.lock().injections.corrupt = Some(packets);
            json!({})
        }
        Request::SlowDown { factor } => {
            ensure!(factor > 0, "factor: at least 1");
            device.lock().injections.slowdown = factor;
            json!({})
        }
        Request::LoseInterrupt { count } => {
            device.lock().injections.lose_interrupts = count;
            json!({})
        }
        Request::ClearInjections {} => {
            device.lock().injections = Injections::default();
            json!({})
        }
        Request::Irq {} => json!({ "delivered": device.lock().interrupt() }),
    };
    Ok(object(response))
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
