/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What bindgen reads: the driver's own user-space interface, and as constants
 * the macros of it that bindgen does not evaluate.
 */
#include "../../include/uapi/drm/pddgpu_drm.h"

const __u32 RUST_CONST_HELPER_DRM_IOCTL_PDDGPU_GEM_CREATE = DRM_IOCTL_PDDGPU_GEM_CREATE;
const __u32 RUST_CONST_HELPER_DRM_IOCTL_PDDGPU_GEM_MMAP = DRM_IOCTL_PDDGPU_GEM_MMAP;
const __u32 RUST_CONST_HELPER_DRM_IOCTL_PDDGPU_GEM_INFO = DRM_IOCTL_PDDGPU_GEM_INFO;
const __u32 RUST_CONST_HELPER_DRM_IOCTL_PDDGPU_GEM_WAIT = DRM_IOCTL_PDDGPU_GEM_WAIT;
const __u32 RUST_CONST_HELPER_DRM_IOCTL_PDDGPU_GEM_MOVE = DRM_IOCTL_PDDGPU_GEM_MOVE;
const __u32 RUST_CONST_HELPER_DRM_IOCTL_PDDGPU_QUERY = DRM_IOCTL_PDDGPU_QUERY;
