// SPDX-License-Identifier: GPL-2.0

//! The card as a process: started, plugged in by a vfio-user client as QEMU would, looked at
//! through the control socket, and gone when the client goes.

mod support;

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{eventfd, EventfdFlags};
use serde_json::json;
use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_DATA_EVENTFD, VFIO_IRQ_SET_DATA_NONE,
    VFIO_PCI_BAR0_REGION_INDEX, VFIO_PCI_BAR2_REGION_INDEX, VFIO_PCI_CONFIG_REGION_INDEX,
    VFIO_PCI_INTX_IRQ_INDEX, VFIO_PCI_MSI_IRQ_INDEX,
};
use vm_memory::{Bytes, VolatileMemory};

use support::*;

#[test]
fn regions_and_registers() {
    let card = Card::start("--chip pdd3000");
    let mut client = card.plug();
    let len = |index| client.region(index).unwrap().size;
    assert_eq!(len(VFIO_PCI_BAR0_REGION_INDEX), 64 << 10);
    assert_eq!(len(VFIO_PCI_BAR2_REGION_INDEX), 256 * MIB);
    assert_eq!(len(VFIO_PCI_CONFIG_REGION_INDEX), 4096);
    for index in [1, 3, 4, 5, 6, 8] {
        assert_eq!(len(index), 0, "{index}");
    }
    assert_eq!(
        client.get_irq_info(VFIO_PCI_INTX_IRQ_INDEX).unwrap().count,
        0
    );
    assert_eq!(
        client.get_irq_info(VFIO_PCI_MSI_IRQ_INDEX).unwrap().count,
        1
    );

    let mut ids = [0; 4];
    client
        .region_read(VFIO_PCI_CONFIG_REGION_INDEX, 0, &mut ids)
        .unwrap();
    assert_eq!(ids, [0xf4, 0x1a, 0xf3, 0x10]);
    assert_eq!(read32(&mut client, 0), 0x3000);
    let mut size = [0; 8];
    client
        .region_read(VFIO_PCI_BAR0_REGION_INDEX, 0x10, &mut size)
        .unwrap();
    assert_eq!(u64::from_le_bytes(size), 8 << 30);
    // Regions that the card does not have, and offsets beyond those that it has.
    let mut data = [0; 4];
    client.region_read(1, 0, &mut data).unwrap();
    assert_eq!(data, [0xff; 4]);
    client.region_write(1, 0, &data).unwrap();
    client
        .region_read(VFIO_PCI_BAR2_REGION_INDEX, u64::MAX, &mut data)
        .unwrap();
    assert_eq!(data, [0xff; 4]);
    drop(client);
    assert!(card.ends());
}

#[test]
fn the_mapped_aperture_is_vram_while_enabled() {
    let card = Card::start("--vram 16M --visible 4M");
    let mut client = card.plug();
    let mut control = card.control();
    let map = map_aperture(&client);
    assert_eq!(guest_read(&map, 4 * MIB - 8), [0xff; 8]);

    write32(&mut client, MC_FB_CTRL, 1);
    assert_eq!(guest_read(&map, 0), [0; 8]);
    guest_write(&map, 4 * MIB - 4, b"last");
    assert_eq!(control.vram(4 * MIB - 4, 6), b"last\0\0");
    let write = json!({ "op": "write_vram", "offset": 4 * MIB - 8, "bytes": 4 });
    control.write(&write, b"card");
    assert_eq!(&guest_read(&map, 4 * MIB - 8), b"cardlast");
    let found = control.ask(&json!({ "op": "find_vram", "hex": hex::encode(b"cardlast") }));
    assert_eq!(found["offsets"], json!([4 * MIB - 8]));

    write32(&mut client, MC_FB_CTRL, 0);
    assert_eq!(guest_read(&map, 4 * MIB - 8), [0xff; 8]);
    guest_write(&map, 4 * MIB - 8, b"lost");
    assert_eq!(control.vram(4 * MIB - 8, 8), b"cardlast");
    write32(&mut client, MC_FB_CTRL, 1);
    assert_eq!(&guest_read(&map, 4 * MIB - 8), b"cardlast");

    write32(&mut client, RESET, 0x5253_5421);
    assert_eq!(guest_read(&map, 4 * MIB - 8), [0xff; 8]);
    write32(&mut client, MC_FB_CTRL, 1);
    client.reset().unwrap();
    assert_eq!(read32(&mut client, MC_FB_CTRL), 0);
    assert_eq!(guest_read(&map, 4 * MIB - 8), [0xff; 8]);
    write32(&mut client, MC_FB_CTRL, 1);
    assert_ne!(&guest_read(&map, 4 * MIB - 8), b"cardlast", "not lost");
}

#[test]
fn gating_a_full_aperture_takes_little_time() {
    let card = Card::start("--chip pdd3000");
    let mut client = card.plug();
    let mut control = card.control();
    write32(&mut client, MC_FB_CTRL, 1);
    let fill = json!({ "op": "fill_vram", "offset": 0, "len": 256 * MIB, "u32": 0x0123_4567 });
    control.ask(&fill);
    let start = Instant::now();
    write32(&mut client, MC_FB_CTRL, 0);
    let closing = start.elapsed();
    let start = Instant::now();
    write32(&mut client, MC_FB_CTRL, 1);
    let opening = start.elapsed();
    println!("256 MiB of data: closed in {closing:?}, opened in {opening:?}");
    assert!(closing + opening < Duration::from_secs(5));
    let map = map_aperture(&client);
    assert_eq!(
        guest_read(&map, 256 * MIB - 4),
        0x0123_4567_u32.to_le_bytes()
    );
}

#[test]
fn interrupts_reach_the_eventfd() {
    let card = Card::start("--vram 4M --visible 4M");
    let mut client = card.plug();
    let mut control = card.control();
    assert_eq!(control.ask(&json!({ "op": "irq" }))["delivered"], false);

    let mut event = File::from(eventfd(0, EventfdFlags::NONBLOCK).unwrap());
    let flags = VFIO_IRQ_SET_ACTION_TRIGGER | VFIO_IRQ_SET_DATA_EVENTFD;
    client
        .set_irqs(VFIO_PCI_MSI_IRQ_INDEX, flags, 0, 1, &[event.as_raw_fd()])
        .unwrap();
    assert_eq!(control.ask(&json!({ "op": "irq" }))["delivered"], true);
    assert_eq!(control.ask(&json!({ "op": "irq" }))["delivered"], true);
    let mut count = [0; 8];
    event.read_exact(&mut count).unwrap();
    assert_eq!(u64::from_ne_bytes(count), 2);

    let flags = VFIO_IRQ_SET_ACTION_TRIGGER | VFIO_IRQ_SET_DATA_NONE;
    client
        .set_irqs(VFIO_PCI_MSI_IRQ_INDEX, flags, 0, 0, &[])
        .unwrap();
    assert_eq!(control.ask(&json!({ "op": "irq" }))["delivered"], false);
    let counters = control.ask(&json!({ "op": "counters" }));
    assert_eq!(counters["counters"]["irqs"], 2);
    assert_eq!(counters["counters"]["irqs_lost"], 2);
}

#[test]
fn the_card_reaches_guest_memory() {
    let card = Card::start("--vram 4M --visible 4M");
    let mut client = card.plug();
    let mut control = card.control();
    let ram = tempfile::tempfile().unwrap();
    ram.set_len(0x4000).unwrap();
    ram.write_all_at(b"guest", 0x2ff0).unwrap();
    client
        .dma_map(0x1000, 0x10_0000, 0x3000, ram.as_raw_fd())
        .unwrap();

    let read = json!({ "op": "read_dma", "address": 0x10_1ff0, "len": 5 });
    assert_eq!(control.read(&read), b"guest");
    let write = json!({ "op": "write_dma", "address": 0x10_1ff0, "bytes": 5 });
    control.write(&write, b"card!");
    let mut data = [0; 5];
    ram.read_exact_at(&mut data, 0x2ff0).unwrap();
    assert_eq!(&data, b"card!");

    let counters = &control.ask(&json!({ "op": "counters" }))["counters"];
    assert_eq!(
        (&counters["dma_mappings"], &counters["dma_bytes"]),
        (&json!(1), &json!(0x3000))
    );
    client.dma_unmap(0x10_0000, 0x3000).unwrap();
    let counters = &control.ask(&json!({ "op": "counters" }))["counters"];
    assert_eq!(
        (&counters["dma_mappings"], &counters["dma_bytes"]),
        (&json!(0), &json!(0))
    );
}

#[test]
fn identities_change_while_plugged_in() {
    let card = Card::start("");
    let mut client = card.plug();
    card.control()
        .ask(&json!({ "op": "set_identity", "identity": { "chip_id": 0x4000 } }));
    assert_eq!(read32(&mut client, 0), 0x4000);
    card.control().ask(&json!({ "op": "set_identity" }));
    assert_eq!(read32(&mut client, 0), 0x2000);
}

#[test]
fn several_control_clients_and_rude_ones() {
    let card = Card::start("--vram 4M --visible 4M");
    let mut patient = card.control();
    let mut rude = UnixStream::connect(card.path("control")).unwrap();
    let mut reader = BufReader::new(rude.try_clone().unwrap());
    for line in ["\n", "null\n", "\u{fffd}\0\n", "{\"op\":\"irq\"\n"] {
        rude.write_all(line.as_bytes()).unwrap();
        let mut answer = String::new();
        reader.read_line(&mut answer).unwrap();
        assert!(answer.contains("\"ok\":false"), "{line:?}: {answer}");
    }
    // A line without end is refused rather than kept; the connection then goes, maybe before all
    // of the line is sent.
    let _ = rude.write_all(&[b'x'; 32 << 10]);
    let mut answer = String::new();
    reader.read_line(&mut answer).unwrap();
    assert!(answer.contains("too long"), "{answer}");
    assert_eq!(patient.ask(&json!({ "op": "info" }))["chip"], "pdd2000");
}

/// Bytes of every value in no simple order, line ends and what is no UTF-8 among them.
fn noise(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 151 + i / 256) as u8).collect()
}

#[test]
fn data_of_every_size_arrives_as_it_is() {
    let card = Card::start("--vram 4M --visible 4M");
    let mut client = card.plug();
    let mut control = card.control();
    write32(&mut client, MC_FB_CTRL, 1);
    let map = map_aperture(&client);
    let ram = tempfile::tempfile().unwrap();
    ram.set_len(2 * MIB).unwrap();
    client
        .dma_map(0, 0x10_0000, 2 * MIB, ram.as_raw_fd())
        .unwrap();

    let mib = MIB as usize;
    for len in [0, 1, 2, 511, 4096, 8191, 8193, mib - 1, mib] {
        for data in [noise(len), vec![b'\n'; len]] {
            // The guest sees what the card writes, with nothing before or after it.
            let mut seen = vec![0; len + 2];
            let expected = [&[7], &data[..], &[7]].concat();

            guest_write(&map, 4095, &vec![7; len + 2]);
            let write = json!({ "op": "write_vram", "offset": 4096, "bytes": len });
            control.write(&write, &data);
            map.as_volatile_slice().read_slice(&mut seen, 4095).unwrap();
            assert!(seen == expected, "{len} bytes of VRAM written");
            let read = control.vram(4096, len as u64);
            assert!(read == data, "{len} bytes of VRAM read");

            ram.write_all_at(&vec![7; len + 2], 4095).unwrap();
            let write = json!({ "op": "write_dma", "address": 0x10_1000, "bytes": len });
            control.write(&write, &data);
            ram.read_exact_at(&mut seen, 4095).unwrap();
            assert!(seen == expected, "{len} bytes of memory written");
            let read = json!({ "op": "read_dma", "address": 0x10_1000, "len": len });
            assert!(control.read(&read) == data, "{len} bytes of memory read");
        }
    }
}

#[test]
fn refused_requests_leave_the_connection_in_step() {
    let card = Card::start("--vram 4M --visible 4M");
    let mut control = card.control();
    // Taken for requests, this data would raise interrupts.
    let data = b"{\"op\":\"irq\"}\n".repeat(50);
    let bytes = data.len();
    for request in [
        json!({ "op": "write_vram", "offset": 4 * MIB - 1, "bytes": bytes }),
        json!({ "op": "write_vram", "offset": -1, "bytes": bytes }),
        json!({ "op": "write_vram", "bytes": bytes }),
        json!({ "op": "write_vram", "offset": 0, "bytes": bytes, "hex": "00" }),
        json!({ "op": "write_dma", "address": 0, "bytes": bytes }),
    ] {
        control.refused(&request, &data);
        assert_eq!(control.ask(&json!({ "op": "info" }))["chip"], "pdd2000");
    }
    let read = json!({ "op": "read_vram", "offset": 4 * MIB - 1, "len": 2 });
    assert!(control.refused(&read, &[]).contains("not within"));
    let read = json!({ "op": "read_vram", "offset": 0, "len": MIB + 1 });
    assert!(control.refused(&read, &[]).contains("at most 1048576"));
    assert_eq!(control.counter("irqs_lost"), 0);
    assert_eq!(control.vram(0, 16), [0; 16]);
}

#[test]
fn too_much_data_ends_the_connection() {
    let card = Card::start("--vram 4M --visible 4M");
    for bytes in [MIB + 1, u64::MAX] {
        for request in [
            json!({ "op": "write_vram", "offset": 0, "bytes": bytes }),
            json!({ "op": "write_dma", "address": 0, "bytes": bytes }),
        ] {
            let mut control = card.control();
            control.send(&request, b"{\"op\":\"info\"}\n");
            control.stop_sending();
            let (response, _) = control.response();
            let error = response["error"].as_str().unwrap();
            assert!(error.contains("at most 1048576"), "{request}: {error}");
            assert!(control.ended(), "{request}");
        }
    }
}

#[test]
fn data_that_breaks_off_is_not_written() {
    let card = Card::start("--vram 4M --visible 4M");
    let mut control = card.control();
    let write = json!({ "op": "write_vram", "offset": 0, "bytes": 5 });
    control.send(&write, b"car");
    control.stop_sending();
    let (response, _) = control.response();
    assert_eq!(response["error"], "bytes: 3 of 5 came");
    assert!(control.ended());
    assert_eq!(card.control().vram(0, 5), [0; 5]);
}

#[test]
fn patterns_have_a_longest() {
    let card = Card::start("--vram 4M --visible 4M");
    let mut control = card.control();
    let pattern = noise(4097);
    let write = json!({ "op": "write_vram", "offset": 77, "bytes": pattern.len() });
    control.write(&write, &pattern);
    let find = |len: usize| json!({ "op": "find_vram", "hex": hex::encode(&pattern[..len]) });
    assert_eq!(control.ask(&find(4096))["offsets"], json!([77]));
    assert!(control.refused(&find(4097), &[]).contains("at most 4096"));
    assert_eq!(control.ask(&find(4096))["offsets"], json!([77]));
}

#[test]
fn odd_cards_can_be_plugged_in() {
    for (line, registers, aperture) in [
        ("--odd no-registers", 0, 256 * MIB),
        ("--odd small-registers", 4096, 256 * MIB),
        ("--odd no-aperture", 64 << 10, 0),
        ("--vram 2M --odd large-aperture", 64 << 10, 4 * MIB),
        ("--unchecked --vram 0 --gtt 0", 64 << 10, 4096),
    ] {
        let card = Card::start(line);
        let client = card.plug();
        assert_eq!(
            client.region(VFIO_PCI_BAR0_REGION_INDEX).unwrap().size,
            registers,
            "{line}"
        );
        assert_eq!(
            client.region(VFIO_PCI_BAR2_REGION_INDEX).unwrap().size,
            aperture,
            "{line}"
        );
        client.shutdown().unwrap();
        assert!(card.ends(), "{line}");
    }
}

#[test]
fn bad_options_and_busy_sockets_are_errors() {
    let run = |line: &str, card: &Card| {
        let socket = card.path("other");
        let output = Command::new(env!("CARGO_BIN_EXE_pddgpu-vdev"))
            .args(["--socket".as_ref(), socket.as_os_str()])
            .args(["--control".as_ref(), card.path("control").as_os_str()])
            .args(line.split_whitespace())
            .output()
            .unwrap();
        assert!(!output.status.success(), "{line}");
        assert!(output.stdout.is_empty(), "{line}");
        String::from_utf8(output.stderr).unwrap()
    };
    let card = Card::start("--vram 4M --visible 4M");
    assert!(run("--vram 9G", &card).contains("--vram"));
    assert!(run("--visible 3M", &card).contains("power of two"));
    assert!(run("--odd pink", &card).contains("no-aperture"));
    assert!(run("--vram 4M --visible 4M", &card).contains("cannot listen"));
    // Somebody who was killed leaves sockets behind; they are no obstacle.
    let mut card = card;
    card.process.kill().unwrap();
    card.process.wait().unwrap();
    assert!(card.path("control").exists());
    let mut next = Command::new(env!("CARGO_BIN_EXE_pddgpu-vdev"))
        .args(["--vram", "4M", "--visible", "4M", "--socket"])
        .arg(card.path("vfio"))
        .arg("--control")
        .arg(card.path("control"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(next.stdout.take().unwrap())
        .read_line(&mut first)
        .unwrap();
    assert_eq!(first, "ready\n");
    card.process = next;
}
