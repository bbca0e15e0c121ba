// SPDX-License-Identifier: GPL-2.0

//! What root reads under the card's DRM directory in debugfs.

use kernel::{
    fmt,
    prelude::*, //
};

use crate::{
    bo::{
        BoPlacement,
        CreateFlag,
        CreateFlags,
        Domain,
        Domains, //
    },
    driver::{
        PddgpuDevice,
        PddgpuDrm, //
    },
    drm::{
        debugfs::{
            Command,
            Dir,
            Report, //
        },
        drm_print,
        Printer, //
    },
    vram_mgr::PageStatus, //
};

/// Makes all files.
pub(crate) fn init(dir: &Dir<'_, PddgpuDrm>) {
    dir.report::<VramMm>();
    dir.report::<GttMm>();
    dir.report::<GemInfo>();
    dir.command::<VramReserve>();
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

/// `pddgpu_vram_reserve`: takes a range of VRAM out of use, or asks about a page.
///
/// `START SIZE`, in bytes from the start of VRAM, withholds a range from buffers for good. `START`
/// alone asks what became of a page: the write succeeds if it is reserved, fails with `EBUSY` if it
/// still waits for a buffer to go, and with `ENOENT` if it was never to be reserved.
struct VramReserve;

impl Command for VramReserve {
    type Driver = PddgpuDrm;
    const NAME: &'static CStr = c"pddgpu_vram_reserve";

    fn run(dev: &PddgpuDevice, words: &str) -> Result {
        let mut words = words.split_ascii_whitespace().map(parse_bytes);
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

/// A number, in decimal or with `0x` in hexadecimal.
fn parse_bytes(word: &str) -> Result<u64> {
    match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => word.parse(),
    }
    .map_err(|_| EINVAL)
}

/// `pddgpu_gtt_mm`: the GTT manager's state.
struct GttMm;

impl Report for GttMm {
    type Driver = PddgpuDrm;
    const NAME: &'static CStr = c"pddgpu_gtt_mm";

    fn show(dev: &PddgpuDevice, p: &Printer) -> Result {
        dev.gtt.print(p);
        Ok(())
    }
}

/// `pddgpu_gem_info`: every buffer, by client.
struct GemInfo;

impl Report for GemInfo {
    type Driver = PddgpuDrm;
    const NAME: &'static CStr = c"pddgpu_gem_info";

    fn show(dev: &PddgpuDevice, p: &Printer) -> Result {
        dev.for_each_file(|file| {
            let client = file.client();

            drm_print!(
                p,
                "client {} pid {} command {}\n",
                file.client_id(),
                client.pid,
                client.comm()
            );
            drm_print!(
                p,
                "{:>10} {:>14} {:<12} {:<9} {:>4} {:>14} {:>18} flags\n",
                "handle",
                "size",
                "domains",
                "placement",
                "pins",
                "visible",
                "gpu_addr"
            );
            file.for_each_handle(|handle, bo| {
                let locked = bo.reserve()?;
                let placement = BoPlacement::of(&locked);

                drm_print!(
                    p,
                    "{:>10} {:>14} {:<12} {:<9} {:>4} {:>14} {:>18} {}\n",
                    handle,
                    bo.size(),
                    domain_names(bo.domains),
                    placement.domain.map_or("-", Domain::name),
                    locked.pin_count(),
                    placement.visible,
                    GpuAddr(placement.gpu_addr),
                    FlagNames(bo.flags)
                );
                Ok(())
            })
        })
    }
}

fn domain_names(domains: Domains) -> &'static str {
    let has = |domain| domains.contains(domain);

    match (has(Domain::Vram), has(Domain::Gtt), has(Domain::Cpu)) {
        (true, true, true) => "VRAM|GTT|CPU",
        (true, true, false) => "VRAM|GTT",
        (true, false, true) => "VRAM|CPU",
        (true, false, false) => "VRAM",
        (false, true, true) => "GTT|CPU",
        (false, true, false) => "GTT",
        (false, false, true) => "CPU",
        (false, false, false) => "-",
    }
}

/// A GPU address, or `-`.
struct GpuAddr(Option<u64>);

impl fmt::Display for GpuAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => f.write_fmt(fmt!("{:#018x}", address)),
            None => f.pad("-"),
        }
    }
}

/// The names of flags with `|` between them, or `-`.
struct FlagNames(CreateFlags);

impl fmt::Display for FlagNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names = CreateFlag::ALL
            .into_iter()
            .filter(|(flag, _)| self.0.contains(*flag))
            .map(|(_, name)| name);

        f.write_str(names.next().unwrap_or("-"))?;
        names.try_for_each(|name| {
            f.write_str("|")?;
            f.write_str(name)
        })
    }
}
