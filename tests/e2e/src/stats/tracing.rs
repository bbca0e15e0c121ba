// SPDX-License-Identifier: GPL-2.0

//! The trace events, read as people read them: through tracefs.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    process,
    str::FromStr,
    time::{Duration, Instant},
};

use anyhow::{ensure, Context, Result};
use libtest_mimic::Trial;
use pddgpu::{gem_list, Create, CreateFlags, Domain, Domains};

use crate::support::{
    driver::{load, slot, unload, Driver},
    fixture::{skip, trials, Bench},
    patience::eventually,
};

/// What every event tells, in these units.
const EVENTS: [(&str, &[&str]); 6] = [
    (
        "pddgpu_bo_create",
        &[
            "id=%llu",
            "size=%llu B",
            "domains=%s",
            "flags=%s",
            "placement=%s",
            "duration=%llu ns",
        ],
    ),
    (
        "pddgpu_bo_free",
        &[
            "id=%llu",
            "size=%llu B",
            "lifetime=%llu ns",
            "duration=%llu ns",
        ],
    ),
    (
        "pddgpu_bo_move",
        &[
            "id=%llu",
            "size=%llu B",
            "from=%s",
            "to=%s",
            "evict=%d",
            "duration=%llu ns",
            "ret=%d",
        ],
    ),
    (
        "pddgpu_bo_evict",
        &["id=%llu", "size=%llu B", "from=%s", "to=%s"],
    ),
    ("pddgpu_bo_label", &["id=%llu", "label=%s"]),
    (
        "pddgpu_leak",
        &[
            "id=%llu",
            "size=%llu B",
            "state=%s",
            "age=%llu ms",
            "pid=%d",
            "comm=%s",
        ],
    ),
];

/// Time between two ticks of the kernel, at most.
const TICK: Duration = Duration::from_millis(10);

pub fn tests() -> Vec<Trial> {
    let mut trials = trials!(card_trial:
        formats_name_fields_and_units,
        says_nothing_unless_enabled,
        tells_of_a_buffers_life,
        tells_of_moves,
        tells_of_evictions,
        tells_of_leaks,
        filters_by_field,
    );
    trials.extend(trials!(driver_trial: unloads_while_enabled));
    trials
}

/// A trace of its own, beside whatever else is traced.
struct Trace(PathBuf);

/// A line of it.
#[derive(Debug)]
struct Event {
    name: String,
    fields: HashMap<String, String>,
}

impl Trace {
    /// Starts to listen to all events of the driver.
    fn start() -> Result<Self> {
        let trace = Self::silent()?;
        trace.enable()?;
        Ok(trace)
    }

    /// Listens to nothing yet.
    fn silent() -> Result<Self> {
        let path = PathBuf::from("/sys/kernel/tracing/instances/pddgpu-e2e");
        fs::create_dir(&path).with_context(|| path.display().to_string())?;
        Ok(Self(path))
    }

    fn enable(&self) -> Result<()> {
        self.write("enable", "1")
    }

    /// Writes to a file of the driver's events.
    fn write(&self, file: &str, text: &str) -> Result<()> {
        let path = self.0.join("events/pddgpu").join(file);
        fs::write(&path, text).with_context(|| path.display().to_string())
    }

    fn read(&self) -> Result<Vec<Event>> {
        fs::read_to_string(self.0.join("trace"))?
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(str::parse)
            .collect()
    }

    /// The events of a name about a buffer.
    fn about(&self, name: &str, id: u64) -> Result<Vec<Event>> {
        let mut events = self.read()?;
        events.retain(|event| event.name == name && event.number("id").is_ok_and(|i| i == id));
        Ok(events)
    }

    /// The one event of a name about a buffer, which the kernel may still be about to say.
    fn await_one(&self, name: &str, id: u64) -> Result<Event> {
        eventually(|| {
            let mut events = self.about(name, id)?;
            ensure!(events.len() == 1, "{name}: {events:?}");
            events.pop().context("there is one")
        })
    }

    /// The ID of the only buffer that was created with this size.
    fn id_of(&self, size: u64) -> Result<u64> {
        let mut created = self.read()?;
        created.retain(|event| {
            event.name == "pddgpu_bo_create" && event.number("size").is_ok_and(|s| s == size)
        });
        ensure!(created.len() == 1, "created: {created:?}");
        created[0].number("id")
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        // The next test fails if this does.
        let _ = fs::remove_dir(&self.0);
    }
}

impl FromStr for Event {
    type Err = anyhow::Error;

    /// Reads `TASK-PID [CPU] FLAGS TIME: NAME: KEY=VALUE UNIT KEY=VALUE …`; `comm`, which may contain
    /// anything, comes last.
    fn from_str(line: &str) -> Result<Self> {
        let (_, event) = line
            .split_once(": pddgpu_")
            .with_context(|| line.to_owned())?;
        let (name, fields) = event.split_once(": ").with_context(|| line.to_owned())?;
        let (fields, comm) = match fields.split_once(" comm=") {
            Some((fields, comm)) => (fields, Some(("comm".to_owned(), comm.to_owned()))),
            None => (fields, None),
        };
        Ok(Self {
            name: format!("pddgpu_{name}"),
            fields: fields
                .split(' ')
                .filter_map(|word| word.split_once('='))
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .chain(comm)
                .collect(),
        })
    }
}

impl Event {
    fn field(&self, key: &str) -> Result<&str> {
        let value = self.fields.get(key).map(String::as_str);
        value.with_context(|| format!("no {key}: {self:?}"))
    }

    fn number(&self, key: &str) -> Result<u64> {
        let value = self.field(key)?;
        value.parse().with_context(|| format!("{key}: {self:?}"))
    }

    /// Fails unless the fields are these.
    fn ensure(&self, expected: &[(&str, &str)]) -> Result<()> {
        for (key, value) in expected {
            ensure!(self.field(key)? == *value, "{key} is not {value}: {self:?}");
        }
        Ok(())
    }
}

fn formats_name_fields_and_units(_: &Bench) -> Result<()> {
    for (event, fields) in EVENTS {
        let folder = Path::new("/sys/kernel/tracing/events/pddgpu").join(event);
        let format = fs::read_to_string(folder.join("format")).context(event)?;
        let print = format
            .lines()
            .find_map(|line| line.strip_prefix("print fmt: "))
            .with_context(|| format!("{event}: {format}"))?;
        let expected = format!("\"dev=%s {}\"", fields.join(" "));
        ensure!(
            print.split_once(", ").is_some_and(|(f, _)| f == expected),
            "{event}: {print}"
        );
        let declared: Vec<_> = format
            .lines()
            .filter_map(|line| line.strip_prefix("\tfield:")?.split(';').next())
            .filter_map(|field| field.split_whitespace().last()?.split('[').next())
            .filter(|field| !field.starts_with("common_"))
            .collect();
        let named = fields.iter().filter_map(|field| field.split('=').next());
        for field in ["dev"].into_iter().chain(named) {
            ensure!(declared.contains(&field), "{event}: no {field}: {format}");
        }
    }
    Ok(())
}

fn says_nothing_unless_enabled(bench: &Bench) -> Result<()> {
    let trace = Trace::silent()?;
    bench
        .card
        .create(Create::new(4096, Domains::VRAM))?
        .close()?;
    let events = trace.read()?;
    ensure!(events.is_empty(), "{events:?}");
    Ok(())
}

fn tells_of_a_buffers_life(bench: &Bench) -> Result<()> {
    let trace = Trace::start()?;
    let dev = slot(&bench.card)?;
    let began = Instant::now();
    let flags = CreateFlags::VRAM_CONTIGUOUS | CreateFlags::CPU_ACCESS_REQUIRED;
    let plain = bench.card.create(Create::new(8192, Domains::CPU))?;
    let buffer = bench
        .card
        .create(Create::new(12_000, Domains::VRAM | Domains::GTT).flags(flags))?;

    let plain_id = trace.id_of(8192)?;
    trace.await_one("pddgpu_bo_create", plain_id)?.ensure(&[
        ("domains", "CPU"),
        ("flags", "-"),
        ("placement", "CPU"),
    ])?;
    let id = trace.id_of(12288)?;
    ensure!(id != plain_id, "two buffers with the ID {id}");
    let created = trace.await_one("pddgpu_bo_create", id)?;
    created.ensure(&[
        ("dev", &dev),
        ("domains", "VRAM|GTT"),
        ("flags", "CPU_ACCESS_REQUIRED|VRAM_CONTIGUOUS"),
        ("placement", &buffer.info()?.placement.to_string()),
    ])?;
    let creation = Duration::from_nanos(created.number("duration")?);
    ensure!(
        !creation.is_zero() && creation < began.elapsed(),
        "{created:?}"
    );

    ensure!(trace.about("pddgpu_bo_free", id)?.is_empty(), "still alive");
    let closed = Instant::now();
    buffer.close()?;
    let freed = trace.await_one("pddgpu_bo_free", id)?;
    freed.ensure(&[("dev", &dev), ("size", "12288")])?;
    let lifetime = Duration::from_nanos(freed.number("lifetime")?);
    // Counted in ticks of the kernel, so that it may seem to begin up to one too early.
    ensure!(
        lifetime < began.elapsed() + TICK && !lifetime.is_zero(),
        "{freed:?}"
    );
    let free = Duration::from_nanos(freed.number("duration")?);
    ensure!(!free.is_zero() && free < closed.elapsed(), "{freed:?}");
    plain.close()?;
    trace.await_one("pddgpu_bo_free", plain_id)?;
    for name in ["pddgpu_bo_move", "pddgpu_bo_evict", "pddgpu_leak"] {
        ensure!(trace.about(name, id)?.is_empty(), "{name}: it did not");
    }
    Ok(())
}

fn tells_of_moves(bench: &Bench) -> Result<()> {
    let trace = Trace::start()?;
    let buffer = bench.card.create(Create::new(
        1 << 20,
        Domains::VRAM | Domains::GTT | Domains::CPU,
    ))?;
    let id = trace.id_of(1 << 20)?;
    let mut place = Domain::Vram;
    let mut seen = 0;
    for domain in [
        Domain::Gtt,
        Domain::Cpu,
        Domain::Vram,
        Domain::Cpu,
        Domain::Gtt,
        Domain::Vram,
    ] {
        let began = Instant::now();
        buffer.move_to(domain)?;
        let elapsed = began.elapsed();
        let moves = trace.about("pddgpu_bo_move", id)?;
        ensure!(moves.len() > seen, "no word of the move to {domain}");
        // Between VRAM and CPU it goes through GTT.
        for moved in &moves[seen..] {
            moved.ensure(&[
                ("from", &place.to_string()),
                ("size", "1048576"),
                ("evict", "0"),
                ("ret", "0"),
            ])?;
            let duration = Duration::from_nanos(moved.number("duration")?);
            ensure!(duration < elapsed, "{moved:?}");
            place = moved.field("to")?.parse().map_err(anyhow::Error::msg)?;
        }
        ensure!(place == domain, "{:?}", &moves[seen..]);
        seen = moves.len();
    }
    ensure!(
        trace.about("pddgpu_bo_evict", id)?.is_empty(),
        "nothing was evicted"
    );
    Ok(())
}

fn tells_of_evictions(bench: &Bench) -> Result<()> {
    let visible = bench.device.visible_size;
    if visible > 512 << 20 {
        return skip("this card's aperture is too large for the VM's memory");
    }
    let trace = Trace::start()?;
    let create = Create::new(visible / 8, Domains::VRAM).flags(CreateFlags::CPU_ACCESS_REQUIRED);
    let mut buffers = Vec::new();
    for _ in 0..10 {
        buffers.push(bench.card.create(create)?);
    }
    let mut moved_away = 0;
    for buffer in &buffers {
        moved_away += usize::from(buffer.info()?.placement != Domain::Vram);
    }
    ensure!(moved_away >= 2, "only {moved_away} evicted");

    let events = trace.read()?;
    let of = |name: &'static str| events.iter().filter(move |event| event.name == name);
    ensure!(of("pddgpu_bo_evict").count() == moved_away, "{events:?}");
    for evicted in of("pddgpu_bo_evict") {
        evicted.ensure(&[("from", "VRAM"), ("size", &(visible / 8).to_string())])?;
        let mut moves =
            of("pddgpu_bo_move").filter(|moved| moved.fields["id"] == evicted.fields["id"]);
        let moved = moves.next().context("evicted, but not moved")?;
        moved.ensure(&[
            ("from", "VRAM"),
            ("to", evicted.field("to")?),
            ("evict", "1"),
            ("ret", "0"),
        ])?;
        ensure!(moves.next().is_none(), "{events:?}");
    }
    Ok(())
}

/// The settings of the leak detector, which are as they were when this is dropped.
struct LeakSettings(Vec<(PathBuf, String)>);

impl LeakSettings {
    /// Sets the interval between checks and the ages from which a buffer is suspected and confirmed.
    fn set(bench: &Bench, values: [u64; 3]) -> Result<Self> {
        let folder = gem_list::debugfs_dir(&bench.card)?;
        let mut this = Self(Vec::new());
        for (name, value) in ["check_interval", "suspected", "confirmed"]
            .into_iter()
            .zip(values)
        {
            let path = folder.join(format!("pddgpu_leak_{name}_ms"));
            let before = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            fs::write(&path, value.to_string()).with_context(|| path.display().to_string())?;
            this.0.push((path, before));
        }
        Ok(this)
    }
}

impl Drop for LeakSettings {
    fn drop(&mut self) {
        let restore =
            |(path, text): &(PathBuf, String)| -> io::Result<()> { fs::write(path, text) };
        // Back to front: an age must not be above the other one.
        for setting in self.0.iter().rev() {
            if let Err(error) = restore(setting) {
                eprintln!("{}: {error}", setting.0.display());
            }
        }
    }
}

fn tells_of_leaks(bench: &Bench) -> Result<()> {
    let trace = Trace::start()?;
    let _settings = LeakSettings::set(bench, [20, 100, 300])?;
    let buffer = bench.card.create(Create::new(20_480, Domains::GTT))?;
    let id = trace.id_of(20_480)?;

    let leaks = eventually(|| {
        let leaks = trace.about("pddgpu_leak", id)?;
        ensure!(leaks.len() >= 2, "{leaks:?}");
        Ok(leaks)
    })?;
    buffer.close()?;
    let leaks = eventually(|| {
        let all = trace.about("pddgpu_leak", id)?;
        ensure!(all.len() > leaks.len(), "not told to be free: {all:?}");
        Ok(all)
    })?;
    ensure!(leaks.len() == 3, "{leaks:?}");
    for (leak, (state, age)) in
        leaks
            .iter()
            .zip([("suspected", 100), ("confirmed", 300), ("freed", 300)])
    {
        leak.ensure(&[
            ("dev", &slot(&bench.card)?),
            ("size", "20480"),
            ("state", state),
            ("pid", &process::id().to_string()),
        ])?;
        ensure!(leak.field("comm")?.starts_with("pddgpu-e2e"), "{leak:?}");
        ensure!(leak.number("age")? >= age, "{leak:?}");
    }
    Ok(())
}

fn filters_by_field(bench: &Bench) -> Result<()> {
    let trace = Trace::silent()?;
    let filter = format!("placement == 2 && dev == \"{}\"", slot(&bench.card)?);
    trace.write("pddgpu_bo_create/filter", &filter)?;
    trace.write("pddgpu_bo_create/enable", "1")?;
    for domain in Domain::ALL {
        bench
            .card
            .create(Create::new(4096, domain.into()))?
            .close()?;
    }
    let events = trace.read()?;
    ensure!(events.len() == 1, "{events:?}");
    events[0].ensure(&[("placement", "GTT")])
}

fn unloads_while_enabled(_: &Driver) -> Result<()> {
    let trace = Trace::start()?;
    unload().context("unload")?;
    ensure!(
        !trace.0.join("events/pddgpu").exists(),
        "the events are still there"
    );
    load()?;
    trace.enable()?;
    let card = pddgpu::Card::find()?;
    card.create(Create::new(4096, Domains::VRAM))?.close()?;
    let id = trace.id_of(4096)?;
    trace.await_one("pddgpu_bo_free", id)?;
    Ok(())
}
