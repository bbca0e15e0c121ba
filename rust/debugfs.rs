// SPDX-License-Identifier: GPL-2.0

//! The files of this driver in the card's debugfs directory. Only root can access them.

mod gem_info;
mod gtt_mm;
mod owners;

use kernel::prelude::*;

use crate::{
    abstractions::drm::{
        debugfs::{
            parse_number,
            Command,
            Dir,
            List,
            Report,
            Setting, //
        },
        drm_print,
        Printer, //
    },
    device::{
        PddgpuDevice,
        PddgpuDrm, //
    },
    memory_stats::leak_walk::{
        Found,
        WalkByProcess, //
    },
    mgr::vram_mgr::PageStatus, //
};

use self::{
    gem_info::GemInfo,
    gtt_mm::GttMm,
    owners::Owners, //
};

/// Creates all files.
pub(crate) fn init(dir: &Dir<'_, PddgpuDrm>) {
    dir.report::<VramMm>();
    dir.list::<GttMm>();
    dir.list::<GemInfo>();
    dir.list::<Owners>();
    dir.command::<VramReserve>();
    dir.report::<Engine>();
    dir.report::<Stats>();
    dir.list::<Leaks>();
    dir.setting::<LeakCheckInterval>();
    dir.setting::<SuspectedAfter>();
    dir.setting::<ConfirmedAfter>();
    dir.setting::<LimitPercent>();
    dir.setting::<LeakTraces>();
    dir.command::<StatsReset>();
}

/// `pddgpu_vram_mm`: the VRAM manager's state.
struct VramMm;

impl Report for VramMm {
    type Driver = PddgpuDrm;
    const NAME: &'static CStr = c"pddgpu_vram_mm";

    fn show(dev: &PddgpuDevice, p: &Printer) -> Result {
        dev.vram.print(p);
        Ok(())
    }
}

/// `pddgpu_engine`: what the copy engine has done.
struct Engine;

impl Report for Engine {
    type Driver = PddgpuDrm;
    const NAME: &'static CStr = c"pddgpu_engine";

    fn show(dev: &PddgpuDevice, p: &Printer) -> Result {
        match &dev.engine {
            Some(engine) => engine.print(p),
            None => drm_print!(p, "none: the CPU moves memory\n"),
        }
        Ok(())
    }
}

/// `pddgpu_memory_stats`: all counters.
struct Stats;

impl Report for Stats {
    type Driver = PddgpuDrm;
    const NAME: &'static CStr = c"pddgpu_memory_stats";

    fn show(dev: &PddgpuDevice, p: &Printer) -> Result {
        dev.stats.print(p);
        Ok(())
    }
}

/// `pddgpu_leaks`: suspected and confirmed leaks by process.
struct Leaks;

impl List for Leaks {
    type Driver = PddgpuDrm;
    const NAME: &'static CStr = c"pddgpu_leaks";
    type Cursor = WalkByProcess;
    type Item = Found;

    fn start(dev: &PddgpuDevice) -> Result<WalkByProcess> {
        Ok(WalkByProcess::new(&dev.stats))
    }

    fn next(dev: &PddgpuDevice, walk: &mut WalkByProcess) -> Result<Option<Found>> {
        walk.next(&dev.stats)
    }

    fn print(_dev: &PddgpuDevice, found: &Found, p: &Printer) {
        found.print(p);
    }
}

/// `pddgpu_stats_reset`: writing anything resets the counters. Live buffers and bytes stay.
struct StatsReset;

impl Command for StatsReset {
    type Driver = PddgpuDrm;
    const NAME: &'static CStr = c"pddgpu_stats_reset";

    fn run(dev: &PddgpuDevice, _words: &str) -> Result {
        dev.stats.reset();
        Ok(())
    }
}

/// `pddgpu_leak_check_interval_ms`: time between leak checks, 0 for none.
struct LeakCheckInterval;

impl Setting for LeakCheckInterval {
    type Driver = PddgpuDrm;
    const NAME: &'static CStr = c"pddgpu_leak_check_interval_ms";

    fn get(dev: &PddgpuDevice) -> u64 {
        dev.stats.get_leak_check_interval()
    }

    fn set(dev: &PddgpuDevice, ms: u64) -> Result {
        // The leak check stops when the card is unplugged, and must not be started again.
        let _entered = dev.enter()?;

        dev.stats.set_leak_check_interval(ms)
    }
}

/// `pddgpu_leak_suspected_ms`: age from which a buffer is suspected.
struct SuspectedAfter;

impl Setting for SuspectedAfter {
    type Driver = PddgpuDrm;
    const NAME: &'static CStr = c"pddgpu_leak_suspected_ms";

    fn get(dev: &PddgpuDevice) -> u64 {
        dev.stats.suspected_after()
    }

    fn set(dev: &PddgpuDevice, ms: u64) -> Result {
        dev.stats.set_suspected_after(ms)
    }
}

/// `pddgpu_leak_confirmed_ms`: age from which a leak is confirmed.
struct ConfirmedAfter;

impl Setting for ConfirmedAfter {
    type Driver = PddgpuDrm;
    const NAME: &'static CStr = c"pddgpu_leak_confirmed_ms";

    fn get(dev: &PddgpuDevice) -> u64 {
        dev.stats.confirmed_after()
    }

    fn set(dev: &PddgpuDevice, ms: u64) -> Result {
        dev.stats.set_confirmed_after(ms)
    }
}

/// `pddgpu_usage_limit_percent`: how full a heap may get without a warning.
struct LimitPercent;

impl Setting for LimitPercent {
    type Driver = PddgpuDrm;
    const NAME: &'static CStr = c"pddgpu_usage_limit_percent";

    fn get(dev: &PddgpuDevice) -> u64 {
        dev.stats.limit_percent()
    }

    fn set(dev: &PddgpuDevice, percent: u64) -> Result {
        dev.stats.set_limit_percent(percent)
    }
}

/// `pddgpu_leak_traces`: 1 to save a stack trace with each new buffer, 0 not to.
struct LeakTraces;

impl Setting for LeakTraces {
    type Driver = PddgpuDrm;
    const NAME: &'static CStr = c"pddgpu_leak_traces";

    fn get(dev: &PddgpuDevice) -> u64 {
        dev.stats.keeps_traces().into()
    }

    fn set(dev: &PddgpuDevice, keep: u64) -> Result {
        match keep {
            0 | 1 => dev.stats.keep_traces(keep == 1),
            _ => Err(EINVAL),
        }
    }
}

/// `pddgpu_vram_reserve`: reserves a range of VRAM, or queries a page.
///
/// Writing `START SIZE`, in bytes from the start of VRAM, reserves that range: no buffer is
/// allocated there any more. Writing `START` alone queries the page at that offset. The write
/// succeeds if the page is reserved, fails with `EBUSY` if the reservation is pending because a
/// buffer still has the page, and fails with `ENOENT` if the page was never reserved.
struct VramReserve;

impl Command for VramReserve {
    type Driver = PddgpuDrm;
    const NAME: &'static CStr = c"pddgpu_vram_reserve";

    fn run(dev: &PddgpuDevice, words: &str) -> Result {
        let mut words = words.split_ascii_whitespace().map(parse_number);
        let start = words.next().ok_or(EINVAL)??;
        let size = words.next().transpose()?;

        if words.next().is_some() {
            return Err(EINVAL);
        }
        match size {
            Some(size) => dev
                .vram
                .reserve_range(start..start.checked_add(size).ok_or(EINVAL)?),
            None => match dev.vram.query_page_status(start) {
                Some(PageStatus::Reserved) => Ok(()),
                Some(PageStatus::Pending) => Err(EBUSY),
                None => Err(ENOENT),
            },
        }
    }
}
