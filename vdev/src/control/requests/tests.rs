// SPDX-License-Identifier: GPL-2.0

use super::*;
use crate::device::tests::{device, Noise};

fn shared() -> SharedDevice {
    SharedDevice::new(device(""))
}

/// Makes a request; returns the response and its data.
fn exchange(device: &SharedDevice, request: &str, data: &[u8]) -> (Value, Vec<u8>) {
    assert_eq!(announced(request.as_bytes()), data.len() as u64);
    let response = answer(device, request.as_bytes(), data);
    let line = response.line.strip_suffix('\n').unwrap();
    (serde_json::from_str(line).unwrap(), response.data)
}

fn ask(device: &SharedDevice, request: &str) -> Value {
    let (response, data) = exchange(device, request, &[]);
    assert!(data.is_empty(), "{request}");
    response
}

#[test]
fn requests_with_data() {
    let device = shared();
    let read = |line, expected: &[u8]| {
        let (response, data) = exchange(&device, line, &[]);
        assert_eq!(response, json!({ "ok": true, "bytes": expected.len() }));
        assert_eq!(data, expected);
    };
    read(r#"{"op":"read_vram","offset":0,"len":2}"#, &[0, 0]);
    let write = r#"{"op":"write_vram","offset":1,"bytes":2}"#;
    let (response, data) = exchange(&device, write, b"\n\xff");
    assert_eq!(response, json!({ "ok": true }));
    assert!(data.is_empty());
    read(r#"{"op":"read_vram","offset":0,"len":4}"#, b"\0\n\xff\0");
    read(r#"{"op":"read_vram","offset":0,"len":0}"#, &[]);
    for (request, complaint) in [
        (
            r#"{"op":"write_vram","offset":4194303,"bytes":2}"#,
            "not within",
        ),
        (r#"{"op":"write_vram","offset":-1,"bytes":2}"#, "-1"),
        (r#"{"op":"write_vram","bytes":2}"#, "offset"),
        (
            r#"{"op":"write_vram","offset":1,"bytes":2,"hex":"00"}"#,
            "hex",
        ),
        (
            r#"{"op":"write_dma","address":0,"bytes":2}"#,
            "nothing is mapped",
        ),
    ] {
        let (response, data) = exchange(&device, request, b"no");
        assert_eq!(response["ok"], false, "{request}");
        let error = response["error"].as_str().unwrap();
        assert!(error.contains(complaint), "{request}: {error}");
        assert!(data.is_empty(), "{request}");
    }
    let cut = answer(&device, write.as_bytes(), b"x");
    assert!(cut.line.contains("1 of 2 came"), "{}", cut.line);
    read(r#"{"op":"read_vram","offset":0,"len":4}"#, b"\0\n\xff\0");
}

/// Makes requests one after the other; each is answered with these fields.
fn check_answers(device: &SharedDevice, table: &[(&str, &str)]) {
    for (request, fields) in table {
        let mut expected = object(serde_json::from_str(fields).unwrap());
        expected.insert("ok".into(), true.into());
        assert_eq!(ask(device, request), Value::Object(expected), "{request}");
    }
}

#[test]
fn requests_about_vram() {
    let device = shared();
    let table = [
        (r#"{"op":"fill_vram","offset":1,"len":2,"byte":10}"#, "{}"),
        (r#"{"op":"fill_vram","offset":2,"len":1,"byte":255}"#, "{}"),
        (
            r#"{"op":"fill_vram","offset":4,"len":6,"u32":67305985}"#,
            "{}",
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
    ];
    check_answers(&device, &table);
    let (_, filled) = exchange(&device, r#"{"op":"read_vram","offset":0,"len":11}"#, &[]);
    assert_eq!(filled, [0, 10, 255, 0, 1, 2, 3, 4, 1, 2, 0]);
}

#[test]
fn requests_about_registers() {
    let table = [
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
            r#"{"op":"read_reg","offset":264,"width":4}"#,
            r#"{"value":1}"#,
        ),
        (
            r#"{"op":"read_reg","offset":264,"width":8}"#,
            r#"{"value":4294967297}"#,
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
    ];
    check_answers(&shared(), &table);
}

#[test]
fn requests_that_inject() {
    let device = shared();
    let table = [
        (r#"{"op":"irq"}"#, r#"{"delivered":false}"#),
        (r#"{"op":"inject_ecc","offset":0}"#, r#"{"reported":false}"#),
        (r#"{"op":"inject_hang","packets":2,"bytes":7}"#, "{}"),
        (r#"{"op":"corrupt_packet","packets":3}"#, "{}"),
        (r#"{"op":"slow_down","factor":4}"#, "{}"),
        (r#"{"op":"lose_interrupt","count":5}"#, "{}"),
    ];
    check_answers(&device, &table);
    let injections = Injections {
        hang: Some(Hang {
            packets: 2,
            bytes: 7,
        }),
        corrupt: Some(3),
        slowdown: 4,
        lose_interrupts: 5,
    };
    assert_eq!(device.lock().injections, injections);
    ask(&device, r#"{"op":"inject_hang"}"#);
    ask(&device, r#"{"op":"corrupt_packet"}"#);
    assert_eq!(device.lock().injections.hang, Some(Hang::default()));
    assert_eq!(device.lock().injections.corrupt, Some(0));
    ask(&device, r#"{"op":"clear_injections"}"#);
    assert_eq!(device.lock().injections, Injections::default());
}

/// Makes requests that fail; the error of each has this word.
fn check_complaints(table: &[(&str, &str)]) {
    let device = shared();
    for (request, complaint) in table {
        let response = ask(&device, request);
        assert_eq!(response["ok"], false, "{request}");
        let error = response["error"].as_str().unwrap();
        assert!(error.contains(complaint), "{request}: {error}");
    }
}

#[test]
fn requests_about_vram_that_fail() {
    check_complaints(&[
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
        (r#"{"op":"write_vram","offset":0}"#, "bytes"),
        (r#"{"op":"write_vram","offset":0,"bytes":-1}"#, "-1"),
        (
            r#"{"op":"write_vram","offset":4194305,"bytes":0}"#,
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
        (r#"{"op":"find_vram","hex":"0"}"#, "hex"),
        (r#"{"op":"find_vram","hex":"xy"}"#, "hex"),
        (r#"{"op":"find_vram","hex":""}"#, "zeroes"),
        (r#"{"op":"find_vram","hex":"0000"}"#, "zeroes"),
        (
            r#"{"op":"find_vram","hex":"01","offset":4194305}"#,
            "not within",
        ),
    ]);
}

#[test]
fn other_requests_that_fail() {
    check_complaints(&[
        ("", "not a request"),
        ("[]", "not a request"),
        ("{}", "op"),
        (r#"{"op":"dance"}"#, "dance"),
        (r#"{"op":"info","more":1}"#, "more"),
        (r#"{"op":"read_reg","offset":0,"width":9}"#, "width"),
        (
            r#"{"op":"write_reg","offset":0,"width":9,"value":0}"#,
            "width",
        ),
        (
            r#"{"op":"read_dma","address":0,"len":1}"#,
            "nothing is mapped",
        ),
        (r#"{"op":"write_dma","address":0,"bytes":-1}"#, "-1"),
        (r#"{"op":"inject_ecc","offset":4194304}"#, "not within"),
        (r#"{"op":"slow_down","factor":0}"#, "factor"),
        (r#"{"op":"lose_interrupt"}"#, "count"),
        (r#"{"op":"set_identity","chip_id":1}"#, "chip_id"),
        (r#"{"op":"set_identity","identity":{"chip":1}}"#, "chip"),
    ]);
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
    ask(&device, r#"{"op":"read_reg","offset":64,"width":8}"#);
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
        let response = answer(&device, &line, &[]);
        let response: Value = serde_json::from_str(&response.line).unwrap();
        assert!(response["ok"].is_boolean());
    }
}

#[test]
fn hostility_comes_and_goes() {
    let device = shared();
    let read = || ask(&device, r#"{"op":"read_reg","offset":0,"width":4}"#)["value"].clone();
    let truth = read();
    let mut lied = 0;
    for seed in 0..50 {
        let request = format!(r#"{{"op":"hostile","seed":{seed}}}"#);
        assert_eq!(ask(&device, &request), json!({ "ok": true }));
        lied += (0..50).filter(|_| read() != truth).count() as u64;
    }
    assert_eq!(ask(&device, r#"{"op":"hostile"}"#), json!({ "ok": true }));
    assert!((0..50).all(|_| read() == truth));
    let counters = ask(&device, r#"{"op":"counters"}"#)["counters"].clone();
    assert!(lied > 100);
    assert_eq!(counters["lies_registers"], lied);
    assert_eq!(counters["lies_fences"], 0);
}
