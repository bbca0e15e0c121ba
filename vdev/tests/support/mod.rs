// SPDX-License-Identifier: GPL-2.0

//! What the tests and the benchmark have in common: a card as a process, the vfio-user client
//! that it is plugged into, and its control socket.

#![allow(dead_code, reason = "each of them uses its part")]

pub mod guest;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{json, Value};
use tempfile::TempDir;
use vfio_bindings::bindings::vfio::{
    VFIO_PCI_BAR0_REGION_INDEX, VFIO_PCI_BAR2_REGION_INDEX, VFIO_REGION_INFO_FLAG_MMAP,
};
use vfio_user::Client;
use vm_memory::{Bytes, MmapRegion, VolatileMemory};

pub const MIB: u64 = 1 << 20;

/// Register offsets, as `docs/hardware.md` has them.
pub const RESET: u64 = 0x008;
pub const MC_FB_CTRL: u64 = 0x108;

pub struct Card {
    pub process: Child,
    dir: TempDir,
}

impl Card {
    /// Starts a card with the options of `line` and waits until it listens.
    pub fn start(line: &str) -> Card {
        let dir = tempfile::tempdir().unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_pddgpu-vdev"))
            .arg("--socket")
            .arg(dir.path().join("vfio"))
            .arg("--control")
            .arg(dir.path().join("control"))
            .args(line.split_whitespace())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut first)
            .unwrap();
        assert_eq!(first, "ready\n");
        Card { process, dir }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn plug(&self) -> Client {
        Client::new(&self.path("vfio")).unwrap()
    }

    pub fn control(&self) -> Control {
        let stream = UnixStream::connect(self.path("control")).unwrap();
        Control(BufReader::new(stream))
    }

    /// Waits for the process to end by itself; says whether it did so without complaint.
    pub fn ends(mut self) -> bool {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(10) {
            if let Some(status) = self.process.try_wait().unwrap() {
                assert!(!self.path("vfio").exists() && !self.path("control").exists());
                return status.success();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the card outlives its client");
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        // Fails if the process has ended, which is fine.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub struct Control(BufReader<UnixStream>);

impl Control {
    /// Sends a request and its data; returns the response and its data.
    pub fn exchange(&mut self, request: &Value, data: &[u8]) -> (Value, Vec<u8>) {
        self.send(request, data);
        self.response()
    }

    /// Sends them in one piece, so that a card which ends the connection has read all that is short.
    pub fn send(&mut self, request: &Value, data: &[u8]) {
        let line = format!("{request}\n");
        let bytes = [line.as_bytes(), data].concat();
        self.0.get_mut().write_all(&bytes).unwrap();
    }

    pub fn response(&mut self) -> (Value, Vec<u8>) {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        let response: Value = serde_json::from_str(&line).unwrap();
        let mut data = vec![0; response["bytes"].as_u64().unwrap_or(0) as usize];
        self.0.read_exact(&mut data).unwrap();
        (response, data)
    }

    /// A request without data, and so its response.
    pub fn ask(&mut self, request: &Value) -> Value {
        let (response, data) = self.exchange(request, &[]);
        assert_eq!(response["ok"], true, "{request}: {response}");
        assert!(data.is_empty(), "{request}: {response}");
        response
    }

    /// A request that is refused; why.
    pub fn refused(&mut self, request: &Value, data: &[u8]) -> String {
        let (response, data) = self.exchange(request, data);
        assert_eq!(response["ok"], false, "{request}: {response}");
        assert!(data.is_empty(), "{request}: {response}");
        response["error"].as_str().unwrap().to_owned()
    }

    /// A request that writes data.
    pub fn write(&mut self, request: &Value, data: &[u8]) {
        let (response, _) = self.exchange(request, data);
        assert_eq!(response, json!({ "ok": true }), "{request}");
    }

    /// A request that reads data.
    pub fn read(&mut self, request: &Value) -> Vec<u8> {
        let (response, data) = self.exchange(request, &[]);
        let fields = json!({ "ok": true, "bytes": request["len"] });
        assert_eq!(response, fields, "{request}");
        data
    }

    /// Whether the card has ended the connection, with nothing more to say.
    pub fn ended(mut self) -> bool {
        self.0.read(&mut [0]).unwrap() == 0
    }

    /// Tells the card that no more is to come.
    pub fn stop_sending(&self) {
        self.0.get_ref().shutdown(Shutdown::Write).unwrap();
    }

    /// One of the counters.
    pub fn counter(&mut self, name: &str) -> u64 {
        let answer = self.ask(&json!({ "op": "counters" }));
        answer["counters"][name].as_u64().unwrap()
    }

    pub fn vram(&mut self, offset: u64, len: u64) -> Vec<u8> {
        self.read(&json!({ "op": "read_vram", "offset": offset, "len": len }))
    }
}

pub fn read32(client: &mut Client, offset: u64) -> u32 {
    let mut data = [0; 4];
    client
        .region_read(VFIO_PCI_BAR0_REGION_INDEX, offset, &mut data)
        .unwrap();
    u32::from_le_bytes(data)
}

pub fn write32(client: &mut Client, offset: u64, value: u32) {
    client
        .region_write(VFIO_PCI_BAR0_REGION_INDEX, offset, &value.to_le_bytes())
        .unwrap();
}

/// BAR2 as a client maps it into a guest.
pub fn map_aperture(client: &Client) -> MmapRegion {
    let region = client.region(VFIO_PCI_BAR2_REGION_INDEX).unwrap();
    assert_ne!(region.flags & VFIO_REGION_INFO_FLAG_MMAP, 0);
    assert_eq!(region.sparse_areas.len(), 1);
    assert_eq!(
        (region.sparse_areas[0].offset, region.sparse_areas[0].size),
        (0, region.size)
    );
    let file = region.file_offset.clone().unwrap();
    MmapRegion::from_file(file, region.size as usize).unwrap()
}

pub fn guest_read<const N: usize>(map: &MmapRegion, offset: u64) -> [u8; N] {
    let mut data = [0; N];
    map.as_volatile_slice()
        .read_slice(&mut data, offset as usize)
        .unwrap();
    data
}

pub fn guest_write(map: &MmapRegion, offset: u64, data: &[u8]) {
    map.as_volatile_slice()
        .write_slice(data, offset as usize)
        .unwrap();
}
