// SPDX-License-Identifier: GPL-2.0

//! What the control socket's requests mean; `README.md` is their reference.

use std::collections::BTreeMap;

use anyhow::{ensure, Context, Result};
use serde::Deserialize;
use serde_json::{json, Map, Value};

use crate::device::{Region, SharedDevice};
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
            device.lock().dma.read(address, &mut data)?;
            json!({ "hex": hex::encode(data) })
        }
        Request::WriteDma { address, hex } => {
            device.lock().dma.write(address, &bytes(&hex)?)?;
            json!({})
        }
        Request::Counters {} => {
            let device = device.lock();
            let mut counters = object(json!(device.counters));
            counters.insert("dma_mappings".into(), device.dma.count().into());
            counters.insert("dma_bytes".into(), device.dma.bytes().into());
            json!({ "counters": counters })
        }
        Request::SetIdentity { identity } => {
            device.lock().registers.override_identity(&identity);
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
        "registers": device.registers.dump().collect::<BTreeMap<_, _>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::tests::{device, Noise};

    fn shared() -> SharedDevice {
        SharedDevice::new(device(""))
    }

    fn ask(device: &SharedDevice, request: &str) -> Value {
        serde_json::from_str(&answer(device, request.as_bytes())).unwrap()
    }

    #[test]
    fn requests_and_their_answers() {
        let device = shared();
        let table = [
            (
                r#"{"op":"read_vram","offset":0,"len":2}"#,
                r#"{"hex":"0000"}"#,
            ),
            (r#"{"op":"write_vram","offset":1,"hex":"0a0B"}"#, "{}"),
            (
                r#"{"op":"read_vram","offset":0,"len":4}"#,
                r#"{"hex":"000a0b00"}"#,
            ),
            (r#"{"op":"fill_vram","offset":2,"len":1,"byte":255}"#, "{}"),
            (
                r#"{"op":"fill_vram","offset":4,"len":6,"u32":67305985}"#,
                "{}",
            ),
            (
                r#"{"op":"read_vram","offset":0,"len":11}"#,
                r#"{"hex":"000aff0001020304010200"}"#,
            ),
            (r#"{"op":"find_vram","hex":"0102"}"#, r#"{"offsets":[4,8]}"#),
            (
                r#"{"op":"find_vram","hex":"0102","limit":1}"#,
                r#"{"offsets":[4]}"#,
            ),
            (
                r#"{"op":"find_vram","hex":"0102","offset":5}"#,
                r#"{"offsets":[8]}"#,
            ),
            (
                r#"{"op":"find_vram","hex":"0102","offset":5,"len":4}"#,
                r#"{"offsets":[]}"#,
            ),
            (
                r#"{"op":"hash_vram","offset":1,"len":1}"#,
                r#"{"sha256":"01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b"}"#,
            ),
            (
                r#"{"op":"read_reg","offset":0,"width":4}"#,
                r#"{"value":8192}"#,
            ),
            (
                r#"{"op":"read_reg","offset":0,"width":2}"#,
                r#"{"value":0}"#,
            ),
            (
                r#"{"op":"write_reg","offset":264,"width":4,"value":1}"#,
                "{}",
            ),
            (
                r#"{"op":"read_reg","offset":264,"width":8}"#,
                r#"{"value":1}"#,
            ),
            (
                r#"{"op":"set_identity","identity":{"chip_id":16384,"vram_size":0}}"#,
                "{}",
            ),
            (
                r#"{"op":"read_reg","offset":0,"width":4}"#,
                r#"{"value":16384}"#,
            ),
            (
                r#"{"op":"read_reg","offset":16,"width":8}"#,
                r#"{"value":0}"#,
            ),
            (r#"{"op":"set_identity"}"#, "{}"),
            (
                r#"{"op":"read_reg","offset":0,"width":4}"#,
                r#"{"value":8192}"#,
            ),
            (r#"{"op":"irq"}"#, r#"{"delivered":false}"#),
        ];
        for (request, fields) in table {
            let mut expected = object(serde_json::from_str(fields).unwrap());
            expected.insert("ok".into(), true.into());
            assert_eq!(ask(&device, request), Value::Object(expected), "{request}");
        }
    }

    #[test]
    fn requests_that_fail() {
        let device = shared();
        let table = [
            ("", "not a request"),
            ("[]", "not a request"),
            ("{}", "op"),
            (r#"{"op":"dance"}"#, "dance"),
            (r#"{"op":"info","more":1}"#, "more"),
            (r#"{"op":"read_vram","offset":0}"#, "len"),
            (r#"{"op":"read_vram","offset":-1,"len":1}"#, "-1"),
            (r#"{"op":"read_vram","offset":0,"len":1048577}"#, "at most"),
            (
                r#"{"op":"read_vram","offset":4194304,"len":1}"#,
                "not within",
            ),
            (
                r#"{"op":"read_vram","offset":18446744073709551615,"len":1}"#,
                "not within",
            ),
            (r#"{"op":"write_vram","offset":0,"hex":"0"}"#, "hex"),
            (r#"{"op":"write_vram","offset":0,"hex":"xy"}"#, "hex"),
            (
                r#"{"op":"write_vram","offset":4194303,"hex":"0000"}"#,
                "not within",
            ),
            (r#"{"op":"fill_vram","offset":0,"len":1}"#, "either"),
            (
                r#"{"op":"fill_vram","offset":0,"len":1,"byte":0,"u32":0}"#,
                "either",
            ),
            (
                r#"{"op":"fill_vram","offset":0,"len":4194305,"byte":0}"#,
                "not within",
            ),
            (
                r#"{"op":"hash_vram","offset":0,"len":4194305}"#,
                "not within",
            ),
            (r#"{"op":"find_vram","hex":""}"#, "zeroes"),
            (r#"{"op":"find_vram","hex":"0000"}"#, "zeroes"),
            (
                r#"{"op":"find_vram","hex":"01","offset":4194305}"#,
                "not within",
            ),
            (r#"{"op":"read_reg","offset":0,"width":9}"#, "width"),
            (
                r#"{"op":"write_reg","offset":0,"width":9,"value":0}"#,
                "width",
            ),
            (
                r#"{"op":"read_dma","address":0,"len":1}"#,
                "nothing is mapped",
            ),
            (
                r#"{"op":"write_dma","address":0,"hex":"00"}"#,
                "nothing is mapped",
            ),
            (r#"{"op":"set_identity","chip_id":1}"#, "chip_id"),
            (r#"{"op":"set_identity","identity":{"chip":1}}"#, "chip"),
        ];
        for (request, complaint) in table {
            let response = ask(&device, request);
            assert_eq!(response["ok"], false, "{request}");
            let error = response["error"].as_str().unwrap();
            assert!(error.contains(complaint), "{request}: {error}");
        }
    }

    #[test]
    fn info_and_counters_say_what_is() {
        let device = shared();
        let info = ask(&device, r#"{"op":"info"}"#);
        for (name, value) in [
            ("chip", json!("pdd2000")),
            ("vram_bytes", json!(4 << 20)),
            ("visible_bytes", json!(1 << 20)),
            ("aperture_len", json!(1 << 20)),
            ("registers_len", json!(65536)),
            ("aperture_open", json!(false)),
            ("msi_enabled", json!(false)),
        ] {
            assert_eq!(info[name], value, "{name}");
        }
        assert_eq!(info["registers"]["VRAM_START"], json!(0x10_0000_0000_u64));

        ask(
            &device,
            r#"{"op":"write_reg","offset":8,"width":4,"value":1381192737}"#,
        );
        ask(&device, r#"{"op":"read_reg","offset":272,"width":8}"#);
        let counters = &ask(&device, r#"{"op":"counters"}"#)["counters"];
        for (name, value) in [
            ("register_writes", 1),
            ("register_resets", 1),
            ("register_reads", 1),
            ("unlisted_reads", 2),
            ("dma_mappings", 0),
            ("dma_bytes", 0),
        ] {
            assert_eq!(counters[name], value, "{name}");
        }
    }

    #[test]
    fn garbage_never_hurts() {
        let device = shared();
        let seed = br#"{"op":"fill_vram","offset":0,"len":4096,"u32":1}"#;
        let mut noise = Noise(7);
        for _ in 0..5000 {
            let mut line = seed.to_vec();
            for _ in 0..noise.next() % 4 {
                let at = (noise.next() % line.len() as u64) as usize;
                line[at] = noise.next() as u8;
            }
            let response: Value = serde_json::from_str(&answer(&device, &line)).unwrap();
            assert!(response["ok"].is_boolean());
        }
    }
}
