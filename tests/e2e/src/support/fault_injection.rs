// SPDX-License-Identifier: GPL-2.0

//! Allocations that fail, on a kernel that can have them fail.
//!
//! Only allocations that the driver makes or has made for it count: those with a function of its in
//! the stack.

use std::{fs, ops::Range, path::Path};

use anyhow::{ensure, Context, Result};

/// The file of a thread that says which of its allocations fails.
pub const NTH: &str = "/proc/thread-self/fail-nth";

const DEBUGFS: &str = "/sys/kernel/debug";
const CACHES: &str = "/sys/kernel/slab";

/// Chooses which allocations can fail. Returns whether this kernel can have any fail.
pub fn prepare() -> Result<bool> {
    if !Path::new(NTH).exists() {
        return Ok(false);
    }
    let symbols = Symbols::read()?;
    let required = symbols.range("[pddgpu]")?;
    // DRM puts a device that it did not get: put_device(ERR_PTR(-ENOMEM)) in
    // drm_minor_alloc_release().
    let rejected = symbols.range("drm_sysfs_minor_alloc")?;
    for (attribute, settings) in [
        ("failslab", &[("ignore-gfp-wait", "N")][..]),
        (
            "fail_page_alloc",
            &[
                ("ignore-gfp-wait", "N"),
                ("ignore-gfp-highmem", "N"),
                ("min-order", "0"),
            ],
        ),
    ] {
        for (file, value) in settings {
            set(attribute, file, value)?;
        }
        // A stack that is printed looks like a bug.
        set(attribute, "verbose", "0")?;
        set(attribute, "stacktrace-depth", "32")?;
        for (file, value) in [
            ("require-start", required.start),
            ("require-end", required.end),
            ("reject-start", rejected.start),
            ("reject-end", rejected.end),
        ] {
            set(attribute, file, &value.to_string())?;
        }
    }
    // An interrupt's folder in /proc loses files unnoticed when they are made, but not when they are
    // removed: register_irq_proc().
    for cache in fs::read_dir(CACHES).context(CACHES)? {
        let cache = cache?;
        let fails = cache.file_name() != "proc_dir_entry";
        let path = cache.path().join("failslab");
        fs::write(&path, u8::from(fails).to_string())
            .with_context(|| path.display().to_string())?;
    }
    set("failslab", "cache-filter", "Y")?;
    // Copies to and from user space would count too: none has these in its stack.
    set("fail_usercopy", "stacktrace-depth", "0")?;
    set("fail_usercopy", "require-start", "1")?;
    Ok(true)
}

fn set(attribute: &str, file: &str, value: &str) -> Result<()> {
    let path = Path::new(DEBUGFS).join(attribute).join(file);
    fs::write(&path, value).with_context(|| path.display().to_string())
}

/// Where functions are in the kernel's memory.
struct Symbols(Vec<(u64, String)>);

impl Symbols {
    fn read() -> Result<Self> {
        let mut symbols = Vec::new();
        for line in fs::read_to_string("/proc/kallsyms")?.lines() {
            let mut words = line.splitn(3, ' ');
            if let (Some(address), Some("t" | "T"), Some(name)) =
                (words.next(), words.next(), words.next())
            {
                symbols.push((u64::from_str_radix(address, 16)?, name.to_owned()));
            }
        }
        symbols.sort();
        ensure!(
            symbols.first().is_some_and(|(address, _)| *address != 0),
            "/proc/kallsyms hides addresses"
        );
        Ok(Self(symbols))
    }

    /// From the first to the last symbol that ends so, and to the next one.
    fn range(&self, end: &str) -> Result<Range<u64>> {
        let is_one = |(_, name): &(u64, String)| name.ends_with(end);
        let first = self.0.iter().position(is_one);
        let last = self.0.iter().rposition(is_one);
        let (first, last) = first.zip(last).with_context(|| format!("no {end}"))?;
        let (start, last) = (self.0[first].0, self.0[last].0);
        let next = self.0.iter().map(|(address, _)| *address);
        let next = next.filter(|&address| address > last).min();
        // Of a module that is the last one, the last function's length is not told.
        Ok(start..next.unwrap_or(u64::MAX))
    }
}
