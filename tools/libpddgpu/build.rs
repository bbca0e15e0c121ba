// SPDX-License-Identifier: GPL-2.0

//! Makes the raw ABI from the driver's own header, so that there is only one copy of it.

use std::{env, path::PathBuf, process::Command};

/// Where libdrm's development package puts the `drm.h` that the header includes.
const LIBDRM_INCLUDE: &str = "/usr/include/libdrm";

/// The structures that queries are answered with. The derived traits let the library read them
/// from bytes, and deriving them fails if a structure has bytes that are in no field.
const ANSWERS: [&str; 13] = [
    "drm_pddgpu_query_device",
    "drm_pddgpu_heap",
    "drm_pddgpu_query_memory_stats",
    "pddgpu_memory_stats_info",
    "drm_pddgpu_heap_stats",
    "drm_pddgpu_time_stats",
    "drm_pddgpu_move_stats",
    "drm_pddgpu_failure_stats",
    "drm_pddgpu_leak",
    "drm_pddgpu_budget",
    "drm_event",
    "drm_pddgpu_event",
    "drm_pddgpu_owner",
];

const TRAITS: &str = "zerocopy::FromBytes,zerocopy::IntoBytes,zerocopy::Immutable";

fn main() {
    let header = "uapi.h";
    println!("cargo::rerun-if-changed={header}");
    println!("cargo::rerun-if-changed=../../include/uapi/drm/pddgpu_drm.h");

    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("uapi.rs");
    let status = Command::new("bindgen")
        .arg(header)
        .arg("--output")
        .arg(&out)
        .args(["--allowlist-item", "(DRM_|drm_)?(PDDGPU|pddgpu)_.*"])
        .args(["--with-derive-default", "--with-derive-eq"])
        .arg("--with-derive-custom-struct")
        .arg(format!("({})={TRAITS}", ANSWERS.join("|")))
        .arg("--")
        .arg(format!("-I{LIBDRM_INCLUDE}"))
        .status()
        .unwrap_or_else(|e| panic!("cannot run bindgen: {e}"));
    assert!(
        status.success(),
        "bindgen failed: {status}; it needs libdrm's headers in {LIBDRM_INCLUDE}"
    );
}
