// SPDX-License-Identifier: GPL-2.0

//! What the tests and the benchmark have in common: a card as a process, the vfio-user client
//! that it is plugged into, and its control socket.

#![allow(dead_code, reason = "each of them uses its part")]

pub mod guest;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
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
    pub fn ask(&mut self, request: &Value) -> Value {
        writeln!(self.0.get_mut(), "{request}").unwrap();
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        let response: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(response["ok"], true, "{request}: {response}");
        response
    }

    /// One of the counters.
    pub fn counter(&mut self, name: &str) -> u64 {
        let answer = self.ask(&serde_json::json!({ "op": "counters" }));
        answer["counters"][name].as_u64().unwrap()
    }

    pub fn vram(&mut self, offset: u64, len: u64) -> Vec<u8> {
        let answer =
            self.ask(&serde_json::json!({ "op": "read_vram", "offset": offset, "len": len }));
        hex::decode(answer["hex"].as_str().unwrap()).unwrap()
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
