/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The user-space interface of the PDDGPU DRM driver, version 1.
 *
 * Every structure is the same for 32-bit and 64-bit callers. Padding must be
 * zero. New fields are only ever added at the end, and a zero there means what
 * the kernel did before the field existed.
 */
#ifndef _UAPI_PDDGPU_DRM_H_
#define _UAPI_PDDGPU_DRM_H_

#include "drm.h"

#if defined(__cplusplus)
extern "C" {
#endif

/**
 * DOC: memory domains
 *
 * Where a buffer may live. A mask with several domains names them all; the
 * order of preference is always VRAM, GTT, CPU.
 *
 * %PDDGPU_GEM_DOMAIN_CPU: system memory the card has no address for.
 *
 * %PDDGPU_GEM_DOMAIN_GTT: system memory with an address in the card's GTT
 * window.
 *
 * %PDDGPU_GEM_DOMAIN_VRAM: memory on the card.
 */
#define PDDGPU_GEM_DOMAIN_CPU	0x1
#define PDDGPU_GEM_DOMAIN_GTT	0x2
#define PDDGPU_GEM_DOMAIN_VRAM	0x4

/**
 * DOC: creation flags
 *
 * %PDDGPU_GEM_CREATE_CPU_ACCESS_REQUIRED: while in VRAM, the buffer lies wholly
 * inside the CPU's aperture. Not together with NO_CPU_ACCESS.
 *
 * %PDDGPU_GEM_CREATE_NO_CPU_ACCESS: the buffer can never be mapped by the CPU.
 *
 * %PDDGPU_GEM_CREATE_VRAM_CLEARED: VRAM is zeroed before the buffer is handed
 * out. Memory user space can reach always is; the flag is accepted so that
 * programs may say that they rely on it.
 *
 * %PDDGPU_GEM_CREATE_VRAM_CONTIGUOUS: while in VRAM, the buffer is one range of
 * addresses.
 *
 * Bits 2, 3, 5 and 6 are retired and stay rejected for ever.
 */
#define PDDGPU_GEM_CREATE_CPU_ACCESS_REQUIRED	(1 << 0)
#define PDDGPU_GEM_CREATE_NO_CPU_ACCESS		(1 << 1)
#define PDDGPU_GEM_CREATE_VRAM_CLEARED		(1 << 4)
#define PDDGPU_GEM_CREATE_VRAM_CONTIGUOUS	(1 << 7)

/**
 * define PDDGPU_GPU_ADDR_NONE - what &drm_pddgpu_gem_info.gpu_addr holds for a
 * buffer the card cannot address as one range
 */
#define PDDGPU_GPU_ADDR_NONE	(~0ULL)

#define DRM_PDDGPU_GEM_CREATE	0x00
#define DRM_PDDGPU_GEM_MMAP	0x01
#define DRM_PDDGPU_GEM_INFO	0x02
#define DRM_PDDGPU_GEM_WAIT	0x03
#define DRM_PDDGPU_GEM_MOVE	0x04
#define DRM_PDDGPU_QUERY	0x05

#define DRM_IOCTL_PDDGPU_GEM_CREATE \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_PDDGPU_GEM_CREATE, struct drm_pddgpu_gem_create)
#define DRM_IOCTL_PDDGPU_GEM_MMAP \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_PDDGPU_GEM_MMAP, struct drm_pddgpu_gem_mmap)
#define DRM_IOCTL_PDDGPU_GEM_INFO \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_PDDGPU_GEM_INFO, struct drm_pddgpu_gem_info)
#define DRM_IOCTL_PDDGPU_GEM_WAIT \
	DRM_IOW(DRM_COMMAND_BASE + DRM_PDDGPU_GEM_WAIT, struct drm_pddgpu_gem_wait)
#define DRM_IOCTL_PDDGPU_GEM_MOVE \
	DRM_IOW(DRM_COMMAND_BASE + DRM_PDDGPU_GEM_MOVE, struct drm_pddgpu_gem_move)
#define DRM_IOCTL_PDDGPU_QUERY \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_PDDGPU_QUERY, struct drm_pddgpu_query)

/**
 * struct drm_pddgpu_gem_create - create a buffer
 *
 * The buffer's memory reads as zero until something is written to it.
 *
 * Errors: -EINVAL for a size of 0 or one that overflows when rounded up, for an
 * alignment that is no power of two or above 1 MiB, for a domain mask of 0 or
 * with unknown bits, for an unknown or contradictory flag, for padding that is
 * not zero. -E2BIG for a size no domain in the mask could ever hold. -ENOSPC
 * when a domain could hold it but nothing more can be evicted. -ENOMEM when
 * system memory is short. -ENODEV after the card was removed.
 */
struct drm_pddgpu_gem_create {
	/**
	 * @size: in: bytes wanted; out: bytes given, rounded up to pages of
	 * 4096 bytes.
	 */
	__u64 size;
	/**
	 * @alignment: in: of the GPU address, in bytes: a power of two up to
	 * 1 MiB; less than a page, 0 included, means a page.
	 */
	__u64 alignment;
	/** @domain: in: mask of PDDGPU_GEM_DOMAIN_*. */
	__u32 domain;
	/** @flags: in: mask of PDDGPU_GEM_CREATE_*. */
	__u32 flags;
	/** @handle: out: the buffer's handle in this file. */
	__u32 handle;
	/** @pad: must be zero. */
	__u32 pad;
};

/**
 * struct drm_pddgpu_gem_mmap - get the offset at which to mmap() a buffer
 *
 * Errors: -EINVAL for padding that is not zero. -ENOENT for an unknown handle.
 * -EPERM for a buffer created with NO_CPU_ACCESS. -ENODEV after the card was
 * removed.
 */
struct drm_pddgpu_gem_mmap {
	/** @handle: in: the buffer. */
	__u32 handle;
	/** @pad: must be zero. */
	__u32 pad;
	/** @offset: out: offset for mmap() on the DRM file. */
	__u64 offset;
};

/**
 * struct drm_pddgpu_gem_info - ask about a buffer
 *
 * Errors: -EINVAL for padding that is not zero. -ENOENT for an unknown handle.
 * -ENODEV after the card was removed.
 */
struct drm_pddgpu_gem_info {
	/** @handle: in: the buffer. */
	__u32 handle;
	/** @pad: must be zero. */
	__u32 pad;
	/** @size: out: in bytes, as rounded up at creation. */
	__u64 size;
	/** @alignment: out: in bytes, at least a page. */
	__u64 alignment;
	/** @domains: out: the domains the buffer was created for. */
	__u32 domains;
	/** @flags: out: the flags the buffer was created with. */
	__u32 flags;
	/**
	 * @placement: out: the one domain the buffer is in now. Eviction may
	 * have taken it outside @domains.
	 */
	__u32 placement;
	/** @pad2: must be zero. */
	__u32 pad2;
	/**
	 * @gpu_addr: out: address of the buffer's first byte as the card sees
	 * it, or %PDDGPU_GPU_ADDR_NONE when it has none or lies in several
	 * ranges.
	 */
	__u64 gpu_addr;
	/**
	 * @visible: out: how many of the buffer's bytes the CPU can reach where
	 * they are now: all of them outside VRAM.
	 */
	__u64 visible;
};

/**
 * struct drm_pddgpu_gem_wait - wait until nothing works on a buffer any more
 *
 * Errors: -EINVAL for padding that is not zero. -ENOENT for an unknown handle.
 * -ETIME when the time has come and the buffer is still busy. -ENODEV after the
 * card was removed. -EINTR by a signal (libdrm's drmIoctl() starts again).
 */
struct drm_pddgpu_gem_wait {
	/** @handle: in: the buffer. */
	__u32 handle;
	/** @pad: must be zero. */
	__u32 pad;
	/**
	 * @timeout_ns: in: CLOCK_MONOTONIC time, in ns, at which to give up;
	 * one in the past, negative ones included, only asks.
	 */
	__s64 timeout_ns;
};

/**
 * struct drm_pddgpu_gem_move - migrate a buffer now
 *
 * The content comes along. The domains the buffer was created for stay as they
 * are.
 *
 * Errors: -EINVAL for a domain that is not exactly one known bit. -ENOENT for
 * an unknown handle. -EBUSY for a pinned buffer. -E2BIG for a buffer that the
 * domain could never hold. -ENOSPC when there is no room and nothing more can
 * be evicted. -ENOMEM when system memory is short. -ENODEV after the card was
 * removed. -EINTR by a signal (libdrm's drmIoctl() starts again). After an error
 * the buffer keeps its content; where it is now, GEM_INFO tells.
 */
struct drm_pddgpu_gem_move {
	/** @handle: in: the buffer. */
	__u32 handle;
	/** @domain: in: exactly one of PDDGPU_GEM_DOMAIN_*. */
	__u32 domain;
};

/** define DRM_PDDGPU_QUERY_DEVICE - answers with &struct drm_pddgpu_query_device */
#define DRM_PDDGPU_QUERY_DEVICE		0
/** define DRM_PDDGPU_QUERY_HEAPS - answers with &struct drm_pddgpu_query_heaps */
#define DRM_PDDGPU_QUERY_HEAPS		1

/**
 * struct drm_pddgpu_query - ask about the device
 *
 * A structure that grows stays readable by older programs: the kernel fills as
 * much of it as fits in @size bytes.
 *
 * Errors: -EINVAL for an unknown query. -EFAULT when @data cannot be written.
 * -ENODEV after the card was removed.
 */
struct drm_pddgpu_query {
	/** @query: in: one of DRM_PDDGPU_QUERY_*. */
	__u32 query;
	/**
	 * @size: in: bytes at @data, or 0 to ask how many there are; out: bytes
	 * written, or with 0 going in, bytes there are.
	 */
	__u32 size;
	/** @data: in: user-space address of the answer. */
	__u64 data;
};

#define DRM_PDDGPU_FEATURE_GART		(1 << 0)
#define DRM_PDDGPU_FEATURE_COPY		(1 << 1)
#define DRM_PDDGPU_FEATURE_FILL		(1 << 2)
#define DRM_PDDGPU_FEATURE_ECC		(1 << 3)

/**
 * struct drm_pddgpu_query_device - the card and the limits it sets
 */
struct drm_pddgpu_query_device {
	/** @chip_id: 0x1000, 0x2000 or 0x3000. */
	__u32 chip_id;
	/** @chip_rev: bits 7:4 major, 3:0 minor. */
	__u32 chip_rev;
	/** @features: mask of DRM_PDDGPU_FEATURE_*, as the card reports them. */
	__u32 features;
	/** @pad: zero. */
	__u32 pad;
	/** @vram_start: GPU address of the first byte of VRAM. */
	__u64 vram_start;
	/** @vram_size: bytes of VRAM. */
	__u64 vram_size;
	/** @visible_size: bytes of VRAM the CPU can reach. */
	__u64 visible_size;
	/** @gtt_start: GPU address of the first byte of the GTT window. */
	__u64 gtt_start;
	/** @gtt_size: bytes of GTT address space. */
	__u64 gtt_size;
	/** @max_cpu_size: bytes of the largest buffer in the CPU domain. */
	__u64 max_cpu_size;
	/** @max_alignment: bytes. */
	__u64 max_alignment;
};

/**
 * struct drm_pddgpu_heap - one kind of memory and how much of it is in use
 */
struct drm_pddgpu_heap {
	/** @domain: the PDDGPU_GEM_DOMAIN_* this is about. */
	__u32 domain;
	/** @pad: zero. */
	__u32 pad;
	/** @total: bytes there are. */
	__u64 total;
	/** @usable: bytes that buffers of user space may take up, in all. */
	__u64 usable;
	/** @used: bytes in use, @reserved among them. */
	__u64 used;
	/** @reserved: bytes withheld from buffers: reserved ranges. */
	__u64 reserved;
	/** @visible_total: bytes of @total that the CPU can reach. */
	__u64 visible_total;
	/** @visible_used: bytes of @used that the CPU can reach. */
	__u64 visible_used;
};

/**
 * struct drm_pddgpu_query_heaps - all heaps, in order of preference
 */
struct drm_pddgpu_query_heaps {
	/** @num_heaps: how many entries follow. */
	__u32 num_heaps;
	/** @heap_size: bytes from one entry to the next. */
	__u32 heap_size;
	/** @heaps: the entries. */
	struct drm_pddgpu_heap heaps[];
};

#if defined(__cplusplus)
}
#endif

#endif /* _UAPI_PDDGPU_DRM_H_ */
