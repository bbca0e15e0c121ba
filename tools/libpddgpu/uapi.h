/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What bindgen reads: the ABI, and the ioctl numbers as constants, because the
 * macros they are made of take a sizeof() that bindgen cannot evaluate.
 */
#include "../../include/uapi/drm/pddgpu_drm.h"

static const unsigned int PDDGPU_IOCTL_GEM_CREATE = DRM_IOCTL_PDDGPU_GEM_CREATE;
static const unsigned int PDDGPU_IOCTL_GEM_MMAP = DRM_IOCTL_PDDGPU_GEM_MMAP;
static const unsigned int PDDGPU_IOCTL_GEM_INFO = DRM_IOCTL_PDDGPU_GEM_INFO;
static const unsigned int PDDGPU_IOCTL_GEM_WAIT = DRM_IOCTL_PDDGPU_GEM_WAIT;
static const unsigned int PDDGPU_IOCTL_GEM_MOVE = DRM_IOCTL_PDDGPU_GEM_MOVE;
static const unsigned int PDDGPU_IOCTL_QUERY = DRM_IOCTL_PDDGPU_QUERY;
static const unsigned int PDDGPU_IOCTL_GEM_COPY = DRM_IOCTL_PDDGPU_GEM_COPY;
static const unsigned int PDDGPU_IOCTL_GEM_FILL = DRM_IOCTL_PDDGPU_GEM_FILL;
static const unsigned int PDDGPU_IOCTL_GEM_ADVISE = DRM_IOCTL_PDDGPU_GEM_ADVISE;
static const unsigned int PDDGPU_IOCTL_GEM_SET_PRIORITY = DRM_IOCTL_PDDGPU_GEM_SET_PRIORITY;
static const unsigned int PDDGPU_IOCTL_RESERVE = DRM_IOCTL_PDDGPU_RESERVE;
static const unsigned int PDDGPU_IOCTL_SUBSCRIBE = DRM_IOCTL_PDDGPU_SUBSCRIBE;
static const unsigned int PDDGPU_IOCTL_GEM_SET_LABEL = DRM_IOCTL_PDDGPU_GEM_SET_LABEL;
