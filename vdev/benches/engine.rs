// SPDX-License-Identifier: GPL-2.0

//! How fast the engine moves memory, against `memcpy` of the same pieces in this process:
//! `cargo bench -p pddgpu-vdev`.

#[path = "../tests/support/mod.rs"]
mod support;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{memfd_create, MemfdFlags};
use rustix::time::{clock_gettime, ClockId};
use vm_memory::{FileOffset, MmapRegion, VolatileMemory};

use support::guest::*;
use support::*;

/// Bytes that are moved by each measurement, in pieces one behind the other.
const AREA: u64 = 64 * MIB;

/// Measurements, of which the fastest counts.
const ROUNDS: usize = 9;

/// Time that a measurement took on the clock and on the processor. Where others work on the
/// machine too, the latter says more.
#[derive(Clone, Copy)]
struct Took {
    clock: Duration,
    processor: Duration,
}

/// Shared memory as the card's and a guest's is.
fn memory() -> MmapRegion {
    let file = File::from(memfd_create("bench", MemfdFlags::CLOEXEC).unwrap());
    file.set_len(AREA).unwrap();
    MmapRegion::from_file(FileOffset::new(file, 0), AREA as usize).unwrap()
}

fn gib_per_second(time: Duration) -> f64 {
    AREA as f64 / time.as_secs_f64() / (1 << 30) as f64
}

fn best(mut once: impl FnMut() -> Took) -> Took {
    // The first time memory is allocated.
    let first = once();
    (0..ROUNDS).fold(first, |best, _| {
        let took = once();
        Took {
            clock: best.clock.min(took.clock),
            processor: best.processor.min(took.processor),
        }
    })
}

/// What a thread has run, by the kernel's count, in the folder of it in `/proc`.
fn processor_time(thread: &Path) -> Duration {
    let stat = fs::read_to_string(thread.join("schedstat")).unwrap();
    Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
}

/// The folder of the card's engine thread.
fn engine_thread(card: &Card) -> PathBuf {
    let tasks = fs::read_dir(format!("/proc/{}/task", card.process.id())).unwrap();
    tasks
        .map(|task| task.unwrap().path())
        .find(|task| fs::read_to_string(task.join("comm")).unwrap() == "engine\n")
        .unwrap()
}

fn memcpy(src: &MmapRegion, dst: &MmapRegion, piece: u64) -> Took {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    };
    let (start, ran) = (Instant::now(), now());
    for at in (0..AREA).step_by(piece as usize) {
        let from = src.get_slice(at as usize, piece as usize).unwrap();
        from.copy_to_volatile_slice(dst.get_slice(at as usize, piece as usize).unwrap());
    }
    Took {
        clock: start.elapsed(),
        processor: now() - ran,
    }
}

fn engine(guest: &mut Guest, thread: &Path, packet: u32, from: u64, dst: u64, piece: u64) -> Took {
    for at in (0..AREA).step_by(piece as usize) {
        let src = if packet == COPY { from + at } else { from };
        guest.push(packet, src, dst + at, piece);
    }
    guest.push_fence(FENCE_POST);
    let (start, ran) = (Instant::now(), processor_time(thread));
    guest.kick();
    assert_ne!(guest.interrupts(Duration::from_secs(60)), 0);
    let clock = start.elapsed();
    // Its time is counted when it goes to sleep, after the interrupt.
    std::thread::sleep(Duration::from_millis(2));
    Took {
        clock,
        processor: processor_time(thread) - ran,
    }
}

fn main() {
    let card = Card::start("--vram 512M --visible 256M --gtt 256M");
    let thread = engine_thread(&card);
    let mut guest = Guest::new(&card, 2 * AREA);
    let (src, dst) = (memory(), memory());
    let vram = VRAM + 2 * AREA;
    let gtt = GTT + AREA;
    guest.push(FILL, 1, vram, 2 * AREA);
    guest.run();
    src.as_volatile_slice()
        .copy_from(&vec![1_u8; AREA as usize]);

    println!(
        "{} MiB in pieces; GiB/s by the clock, and processor time against memcpy's",
        AREA >> 20
    );
    for piece in [64 << 10, 2 * MIB, AREA] {
        let plain = best(|| memcpy(&src, &dst, piece));
        println!(
            "pieces of {} KiB: memcpy {:.2}",
            piece >> 10,
            gib_per_second(plain.clock)
        );
        for (name, packet, from, to, scattered) in [
            ("VRAM to GTT", COPY, vram, gtt, false),
            ("VRAM to GTT, scattered pages", COPY, vram, gtt, true),
            ("GTT to VRAM", COPY, gtt, vram, false),
            ("GTT to VRAM, scattered pages", COPY, gtt, vram, true),
            ("VRAM to VRAM", COPY, vram, vram + AREA, false),
            ("fill VRAM", FILL, 1, vram, false),
        ] {
            let pages = guest.ram_len / 4096;
            // Every page is far from the one before; page 0, the fence's, stays.
            guest.map_pages(|page| if scattered { page * 4099 % pages } else { page });
            let took = best(|| engine(&mut guest, &thread, packet, from, to, piece));
            let ratio = took.processor.as_secs_f64() / plain.processor.as_secs_f64();
            println!(
                "{name:>32} {:6.2}  x {ratio:.2}",
                gib_per_second(took.clock)
            );
        }
    }
}
