// SPDX-License-Identifier: GPL-2.0

//! Other programs can use the ABI's header: in C and C++, with 32 and 64 bits, beside the `drm.h` of
//! libdrm.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use pddgpu::raw;

const INCLUDES: [&str; 2] = [
    "-I/usr/include/libdrm",
    concat!("-I", env!("CARGO_MANIFEST_DIR"), "/../../include/uapi/drm"),
];

/// Compiles a program and fails with the compiler's messages if there are any.
fn compile(compiler: &str, flags: &[&str], source: &str) {
    let mut child = Command::new(compiler)
        .args(["-fsyntax-only", "-Wall", "-Wextra", "-Werror"])
        .args(INCLUDES)
        .args(flags)
        .arg("-")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("cannot run {compiler}: {e}"));
    child
        .stdin
        .take()
        .unwrap()
        .write_all(source.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let messages = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{compiler} {flags:?}:\n{messages}");
}

/// Checks the size of each structure.
fn check_sizes(check: &mut impl FnMut(&str, u64)) {
    macro_rules! sizes {
        ($($name:ident)*) => {$(
            let is = concat!("sizeof(struct ", stringify!($name), ")");
            check(is, size_of::<raw::$name>() as u64);
        )*};
    }
    sizes! {
        drm_pddgpu_gem_create
        drm_pddgpu_gem_mmap
        drm_pddgpu_gem_info
        drm_pddgpu_gem_wait
        drm_pddgpu_gem_move
        drm_pddgpu_sync
        drm_pddgpu_gem_copy
        drm_pddgpu_gem_fill
        drm_pddgpu_gem_advise
        drm_pddgpu_gem_set_priority
        drm_pddgpu_reserve
        drm_pddgpu_subscribe
        drm_pddgpu_event
        drm_pddgpu_gem_set_label
        drm_pddgpu_query
        drm_pddgpu_query_device
        drm_pddgpu_heap
        pddgpu_memory_stats_info
        drm_pddgpu_heap_stats
        drm_pddgpu_time_stats
        drm_pddgpu_move_stats
        drm_pddgpu_failure_stats
        drm_pddgpu_query_memory_stats
        drm_pddgpu_leak
        drm_pddgpu_budget
        drm_pddgpu_owner
    }
}

/// Makes a program whose compiler checks every number of the ABI against that which Rust sees.
fn program() -> String {
    let mut source = String::from(
        "#include <pddgpu_drm.h>\n\
         #ifdef __cplusplus\n\
         #define CHECK(is, must) static_assert((is) == (must), #is)\n\
         #else\n\
         #define CHECK(is, must) extern char check_it[(is) == (must) ? 1 : -1]\n\
         #endif\n",
    );
    let mut check = |is: &str, must: u64| source += &format!("CHECK({is}, {must}ULL);\n");

    check_sizes(&mut check);
    check(
        "__builtin_offsetof(struct drm_pddgpu_query_heaps, heaps)",
        std::mem::offset_of!(raw::drm_pddgpu_query_heaps, heaps) as u64,
    );
    check(
        "__builtin_offsetof(struct drm_pddgpu_query_leaks, leaks)",
        std::mem::offset_of!(raw::drm_pddgpu_query_leaks, leaks) as u64,
    );
    check(
        "__builtin_offsetof(struct drm_pddgpu_query_budget, heaps)",
        std::mem::offset_of!(raw::drm_pddgpu_query_budget, heaps) as u64,
    );
    check(
        "__builtin_offsetof(struct drm_pddgpu_query_owners, owners)",
        std::mem::offset_of!(raw::drm_pddgpu_query_owners, owners) as u64,
    );
    check("PDDGPU_GPU_ADDR_NONE", raw::GPU_ADDR_NONE);
    macro_rules! ioctls {
        ($($name:ident = $number:ident)*) => {$(
            check(stringify!($name), raw::$number.into());
        )*};
    }
    ioctls! {
        DRM_IOCTL_PDDGPU_GEM_CREATE = PDDGPU_IOCTL_GEM_CREATE
        DRM_IOCTL_PDDGPU_GEM_MMAP = PDDGPU_IOCTL_GEM_MMAP
        DRM_IOCTL_PDDGPU_GEM_INFO = PDDGPU_IOCTL_GEM_INFO
        DRM_IOCTL_PDDGPU_GEM_WAIT = PDDGPU_IOCTL_GEM_WAIT
        DRM_IOCTL_PDDGPU_GEM_MOVE = PDDGPU_IOCTL_GEM_MOVE
        DRM_IOCTL_PDDGPU_QUERY = PDDGPU_IOCTL_QUERY
        DRM_IOCTL_PDDGPU_GEM_COPY = PDDGPU_IOCTL_GEM_COPY
        DRM_IOCTL_PDDGPU_GEM_FILL = PDDGPU_IOCTL_GEM_FILL
        DRM_IOCTL_PDDGPU_GEM_ADVISE = PDDGPU_IOCTL_GEM_ADVISE
        DRM_IOCTL_PDDGPU_GEM_SET_PRIORITY = PDDGPU_IOCTL_GEM_SET_PRIORITY
        DRM_IOCTL_PDDGPU_RESERVE = PDDGPU_IOCTL_RESERVE
        DRM_IOCTL_PDDGPU_SUBSCRIBE = PDDGPU_IOCTL_SUBSCRIBE
        DRM_IOCTL_PDDGPU_GEM_SET_LABEL = PDDGPU_IOCTL_GEM_SET_LABEL
    }
    source
}

#[test]
fn c_programs_see_the_same_abi() {
    for standard in ["-std=c99", "-std=gnu11", "-std=c17"] {
        compile("cc", &["-x", "c", standard], &program());
    }
}

#[test]
fn cxx_programs_see_the_same_abi() {
    for standard in ["-std=c++11", "-std=c++14", "-std=c++17"] {
        compile("c++", &["-x", "c++", standard], &program());
    }
}

#[test]
fn programs_of_32_bits_see_the_same_abi() {
    compile(
        "cc",
        &["-m32", "-I/usr/include/x86_64-linux-gnu", "-x", "c"],
        &program(),
    );
}

/// These numbers only change in the size of a structure that has grown. It is not enough that both
/// sides agree on them.
#[test]
fn ioctl_numbers_stay() {
    assert_eq!(raw::PDDGPU_IOCTL_GEM_CREATE, 0xc020_6440);
    assert_eq!(raw::PDDGPU_IOCTL_GEM_MMAP, 0xc010_6441);
    assert_eq!(raw::PDDGPU_IOCTL_GEM_INFO, 0xc048_6442);
    assert_eq!(raw::PDDGPU_IOCTL_GEM_WAIT, 0x4010_6443);
    assert_eq!(raw::PDDGPU_IOCTL_GEM_MOVE, 0x4018_6444);
    assert_eq!(raw::PDDGPU_IOCTL_QUERY, 0xc010_6445);
    assert_eq!(raw::PDDGPU_IOCTL_GEM_COPY, 0x4030_6446);
    assert_eq!(raw::PDDGPU_IOCTL_GEM_FILL, 0x4028_6447);
    assert_eq!(raw::PDDGPU_IOCTL_GEM_ADVISE, 0xc010_6448);
    assert_eq!(raw::PDDGPU_IOCTL_GEM_SET_PRIORITY, 0x4008_6449);
    assert_eq!(raw::PDDGPU_IOCTL_RESERVE, 0x4010_644a);
    assert_eq!(raw::PDDGPU_IOCTL_SUBSCRIBE, 0x4010_644b);
}
