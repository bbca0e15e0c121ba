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
#define DRM_PDDGPU_GEM_COPY	0x06
#define DRM_PDDGPU_GEM_FILL	0x07
#define DRM_PDDGPU_GEM_ADVISE	0x08
#define DRM_PDDGPU_GEM_SET_PRIORITY	0x09
#define DRM_PDDGPU_RESERVE	0x0a
#define DRM_PDDGPU_SUBSCRIBE	0x0b
#define DRM_PDDGPU_GEM_SET_LABEL	0x0c

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
#define DRM_IOCTL_PDDGPU_GEM_COPY \
	DRM_IOW(DRM_COMMAND_BASE + DRM_PDDGPU_GEM_COPY, struct drm_pddgpu_gem_copy)
#define DRM_IOCTL_PDDGPU_GEM_FILL \
	DRM_IOW(DRM_COMMAND_BASE + DRM_PDDGPU_GEM_FILL, struct drm_pddgpu_gem_fill)
#define DRM_IOCTL_PDDGPU_GEM_ADVISE \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_PDDGPU_GEM_ADVISE, struct drm_pddgpu_gem_advise)
#define DRM_IOCTL_PDDGPU_GEM_SET_PRIORITY \
	DRM_IOW(DRM_COMMAND_BASE + DRM_PDDGPU_GEM_SET_PRIORITY, struct drm_pddgpu_gem_set_priority)
#define DRM_IOCTL_PDDGPU_RESERVE \
	DRM_IOW(DRM_COMMAND_BASE + DRM_PDDGPU_RESERVE, struct drm_pddgpu_reserve)
#define DRM_IOCTL_PDDGPU_SUBSCRIBE \
	DRM_IOW(DRM_COMMAND_BASE + DRM_PDDGPU_SUBSCRIBE, struct drm_pddgpu_subscribe)
#define DRM_IOCTL_PDDGPU_GEM_SET_LABEL \
	DRM_IOW(DRM_COMMAND_BASE + DRM_PDDGPU_GEM_SET_LABEL, struct drm_pddgpu_gem_set_label)

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
 * system memory is short. -EIO for VRAM of a card whose copy engine is broken.
 * -ENODEV after the card was removed. -EINTR by a signal (libdrm's drmIoctl()
 * starts again).
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

/** define DRM_PDDGPU_STATE_DISPLACED - it is not in the domain it should be in */
#define DRM_PDDGPU_STATE_DISPLACED	(1 << 0)
/** define DRM_PDDGPU_STATE_PURGED - its content was dropped, see GEM_ADVISE */
#define DRM_PDDGPU_STATE_PURGED		(1 << 1)
/** define DRM_PDDGPU_STATE_IMPORTED - it has the memory of another device */
#define DRM_PDDGPU_STATE_IMPORTED	(1 << 2)
/**
 * define DRM_PDDGPU_STATE_LOST - its content was lost with the card's memory
 *
 * By a reset, or because the power was gone, and the driver could not save it.
 * The buffer was zeroed then, and works as before. The bit stays for as long as
 * the buffer lives.
 */
#define DRM_PDDGPU_STATE_LOST		(1 << 3)

/**
 * struct drm_pddgpu_gem_info - ask about a buffer
 *
 * Errors: -EINVAL for padding that is not zero. -ENOENT for an unknown handle.
 * -ENODEV after the card was removed. -EINTR by a signal (libdrm's drmIoctl()
 * starts again).
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
	/**
	 * @preferred: out: the one domain the buffer should be in: the first of
	 * @domains, or where GEM_MOVE has put it since. (1.1)
	 */
	__u32 preferred;
	/** @state: out: bits of DRM_PDDGPU_STATE_*. (1.1) */
	__u32 state;
	/**
	 * @id: out: a number that no other buffer of the card has had, the same
	 * for all clients. Events name a buffer by it. (1.1)
	 */
	__u64 id;
};

/**
 * struct drm_pddgpu_gem_wait - wait until nothing works on a buffer any more
 *
 * Errors: -EINVAL for padding that is not zero. -ENOENT for an unknown handle.
 * -ETIME when the time has come and the buffer is still busy. -EIO when the
 * card's copy engine is broken. -ENODEV after the card was removed. -EINTR by a
 * signal (libdrm's drmIoctl() starts again).
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
 * The content comes along, maybe after the ioctl has returned: whoever accesses
 * it waits, and GEM_WAIT tells when it is there. The domains the buffer was
 * created for stay as they are.
 *
 * Errors: -EINVAL for a domain that is not exactly one known bit. -ENOENT for
 * an unknown handle. -EBUSY for a pinned buffer. -EFAULT for one that is not
 * needed, see GEM_ADVISE. -E2BIG for a buffer that the
 * domain could never hold. -ENOSPC when there is no room and nothing more can
 * be evicted. -ENOMEM when system memory is short. -EIO when the card's copy
 * engine is broken. -ENODEV after the card was removed. -EINTR by a signal
 * (libdrm's drmIoctl() starts again). After an error the buffer keeps its
 * content; where it is now, GEM_INFO tells. Those of &struct drm_pddgpu_sync.
 */
struct drm_pddgpu_gem_move {
	/** @handle: in: the buffer. */
	__u32 handle;
	/** @domain: in: exactly one of PDDGPU_GEM_DOMAIN_*. */
	__u32 domain;
	/**
	 * @syncs: in: user-space address of &struct drm_pddgpu_sync. Those to
	 * wait for are waited for before the ioctl returns; the others are
	 * signalled when the content has arrived.
	 */
	__u64 syncs;
	/** @num_syncs: in: how many there are at @syncs. */
	__u32 num_syncs;
	/** @pad: must be zero. */
	__u32 pad;
};

/** define DRM_PDDGPU_SYNC_WAIT - the work begins after the point is signalled */
#define DRM_PDDGPU_SYNC_WAIT		(1 << 0)
/** define DRM_PDDGPU_SYNC_SIGNAL - the point is signalled at the end of the work */
#define DRM_PDDGPU_SYNC_SIGNAL		(1 << 1)
/** define DRM_PDDGPU_MAX_SYNCS - most entries of one ioctl */
#define DRM_PDDGPU_MAX_SYNCS		1024

/**
 * struct drm_pddgpu_sync - a syncobj that work waits for, or that it signals
 *
 * Errors of the ioctls that take it: -EINVAL for more than
 * %DRM_PDDGPU_MAX_SYNCS, for no flag or an unknown one, and for a point to wait
 * for to which no work was submitted yet. -ENOENT for an unknown syncobj.
 * -EFAULT for an address that cannot be read. After an error nothing is
 * signalled.
 */
struct drm_pddgpu_sync {
	/** @handle: in: the syncobj. */
	__u32 handle;
	/** @flags: in: mask of DRM_PDDGPU_SYNC_*; with both it is waited for first. */
	__u32 flags;
	/** @point: in: the point of a timeline; 0 for a binary syncobj. */
	__u64 point;
};

/**
 * struct drm_pddgpu_gem_copy - copy bytes from one buffer to another
 *
 * The card copies after the ioctl has returned, in the order in which the
 * client has submitted copies and fills. It waits for what other devices still
 * do with the buffers, and for what other clients have submitted. On a card
 * without a copy engine the CPU copies before the ioctl returns.
 *
 * Both buffers may be closed at once. A page fault does not wait for a copy:
 * use GEM_WAIT or a syncobj.
 *
 * Errors: -EINVAL for a size of 0, for offsets and sizes that are no multiples
 * of 4 or go beyond the end of a buffer, for ranges of one buffer that overlap,
 * for a flag. -ENOENT for an unknown handle. -ENOMEM when system memory is
 * short. -EFAULT for a buffer that is not needed, see GEM_ADVISE. -EIO when the
 * card's copy engine is broken. -ENODEV after the card was removed. -EINTR by a
 * signal (libdrm's drmIoctl() starts again). Those of &struct drm_pddgpu_sync.
 */
struct drm_pddgpu_gem_copy {
	/** @src: in: the buffer to read. */
	__u32 src;
	/** @dst: in: the buffer to write, which may be the same. */
	__u32 dst;
	/** @src_offset: in: bytes into @src. */
	__u64 src_offset;
	/** @dst_offset: in: bytes into @dst. */
	__u64 dst_offset;
	/** @size: in: bytes. */
	__u64 size;
	/** @syncs: in: user-space address of &struct drm_pddgpu_sync. */
	__u64 syncs;
	/** @num_syncs: in: how many there are at @syncs. */
	__u32 num_syncs;
	/** @flags: must be zero. */
	__u32 flags;
};

/**
 * struct drm_pddgpu_gem_fill - fill bytes of a buffer with a value
 *
 * As GEM_COPY, with the same errors.
 */
struct drm_pddgpu_gem_fill {
	/** @handle: in: the buffer. */
	__u32 handle;
	/** @value: in: repeated from @offset on. */
	__u32 value;
	/** @offset: in: bytes into the buffer. */
	__u64 offset;
	/** @size: in: bytes. */
	__u64 size;
	/** @syncs: in: user-space address of &struct drm_pddgpu_sync. */
	__u64 syncs;
	/** @num_syncs: in: how many there are at @syncs. */
	__u32 num_syncs;
	/** @pad: must be zero. */
	__u32 pad;
};

/** define DRM_PDDGPU_ADVICE_WILLNEED - the content is needed, and has to be kept */
#define DRM_PDDGPU_ADVICE_WILLNEED	0
/** define DRM_PDDGPU_ADVICE_DONTNEED - the content may be dropped at any time */
#define DRM_PDDGPU_ADVICE_DONTNEED	1

/**
 * struct drm_pddgpu_gem_advise - say whether the content of a buffer is needed
 *
 * The content of a buffer that is not needed may be dropped: when memory is
 * short that is done first, before anything is moved or swapped out. The buffer
 * is *purged* then, @retained is 0, and an access by the CPU ends with SIGBUS.
 * GEM_COPY, GEM_FILL and GEM_MOVE end with -EFAULT while it is not needed. When
 * it is needed again its content is as before, or zero if it was purged.
 *
 * A buffer of which there is a dma-buf is always needed, and no dma-buf can be
 * made of one that is not.
 *
 * Errors: -EINVAL for unknown advice and for padding that is not zero. -ENOENT
 * for an unknown handle. -EBUSY for DONTNEED if there is a dma-buf of the
 * buffer. -ENODEV after the card was removed. -EINTR by a signal (libdrm's
 * drmIoctl() starts again).
 */
struct drm_pddgpu_gem_advise {
	/** @handle: in: the buffer. */
	__u32 handle;
	/** @advice: in: one of DRM_PDDGPU_ADVICE_*. */
	__u32 advice;
	/**
	 * @retained: out: 1 if the buffer has its content, 0 if it was purged
	 * since it was last needed.
	 */
	__u32 retained;
	/** @pad: must be zero. */
	__u32 pad;
};

/** define DRM_PDDGPU_PRIORITY_LOW - evicted before the client's other buffers */
#define DRM_PDDGPU_PRIORITY_LOW		(-1)
/** define DRM_PDDGPU_PRIORITY_NORMAL - what a new buffer has */
#define DRM_PDDGPU_PRIORITY_NORMAL	0
/** define DRM_PDDGPU_PRIORITY_HIGH - evicted after the client's other buffers */
#define DRM_PDDGPU_PRIORITY_HIGH	1

/**
 * struct drm_pddgpu_gem_set_priority - say how much a buffer is needed in VRAM
 *
 * Among the buffers of one client those of lower priority are evicted first,
 * and come back last. A client cannot raise itself above others by it: who has
 * more than its budget gives buffers of any priority. The buffer counts as
 * used.
 *
 * Errors: -EINVAL for an unknown priority. -ENOENT for an unknown handle.
 * -ENODEV after the card was removed. -EINTR by a signal (libdrm's drmIoctl()
 * starts again).
 */
struct drm_pddgpu_gem_set_priority {
	/** @handle: in: the buffer. */
	__u32 handle;
	/** @priority: in: one of DRM_PDDGPU_PRIORITY_*. */
	__s32 priority;
};

/**
 * struct drm_pddgpu_reserve - reserve VRAM
 *
 * As long as the client has no more than that in VRAM, none of it is evicted
 * for others. Nothing is set aside: what the client does not use others may
 * use, until it asks for it. The reservation belongs to the open file, replaces
 * the one before, and ends with the file. Buffers move as a whole: of a client
 * that has more in VRAM than it has reserved, an eviction may leave less than
 * that, by less than one buffer.
 *
 * Errors: -EINVAL for a domain other than VRAM and for padding that is not
 * zero. -ENOSPC for more than &drm_pddgpu_budget.reservable. -ENODEV after the
 * card was removed.
 */
struct drm_pddgpu_reserve {
	/** @domain: in: PDDGPU_GEM_DOMAIN_VRAM. */
	__u32 domain;
	/** @pad: must be zero. */
	__u32 pad;
	/** @size: in: bytes; 0 for none. */
	__u64 size;
};

/** define DRM_PDDGPU_EVENT_BUDGET - the budget of VRAM has changed, to @bytes */
#define DRM_PDDGPU_EVENT_BUDGET		0x80000000
/** define DRM_PDDGPU_EVENT_DISPLACED - a buffer that should be in VRAM has left it */
#define DRM_PDDGPU_EVENT_DISPLACED	0x80000001
/** define DRM_PDDGPU_EVENT_RETURNED - a buffer has come to VRAM, where it should be */
#define DRM_PDDGPU_EVENT_RETURNED	0x80000002
/** define DRM_PDDGPU_EVENT_PURGED - the content of a buffer was dropped */
#define DRM_PDDGPU_EVENT_PURGED		0x80000003
/** define DRM_PDDGPU_EVENT_LOST - the content of a buffer was lost with the card's memory */
#define DRM_PDDGPU_EVENT_LOST		0x80000004
/** define DRM_PDDGPU_EVENT_GIVEN_UP - the card's copy engine is broken for good */
#define DRM_PDDGPU_EVENT_GIVEN_UP	0x80000005

/** define DRM_PDDGPU_EVENT_BIT_BUDGET - in a mask of events: that of the budget */
#define DRM_PDDGPU_EVENT_BIT_BUDGET	(1 << 0)
/** define DRM_PDDGPU_EVENT_BIT_DISPLACED - in a mask of events */
#define DRM_PDDGPU_EVENT_BIT_DISPLACED	(1 << 1)
/** define DRM_PDDGPU_EVENT_BIT_RETURNED - in a mask of events */
#define DRM_PDDGPU_EVENT_BIT_RETURNED	(1 << 2)
/** define DRM_PDDGPU_EVENT_BIT_PURGED - in a mask of events */
#define DRM_PDDGPU_EVENT_BIT_PURGED	(1 << 3)
/** define DRM_PDDGPU_EVENT_BIT_LOST - in a mask of events */
#define DRM_PDDGPU_EVENT_BIT_LOST	(1 << 4)
/** define DRM_PDDGPU_EVENT_BIT_GIVEN_UP - in a mask of events */
#define DRM_PDDGPU_EVENT_BIT_GIVEN_UP	(1 << 5)
/** define DRM_PDDGPU_EVENTS_ALL - the mask of all events */
#define DRM_PDDGPU_EVENTS_ALL		0x3f

/**
 * struct drm_pddgpu_subscribe - ask to be told what happens to the client's memory
 *
 * Events are read from the DRM file, which poll() says to be readable then. The
 * mask replaces the one before. Sequence numbers go on.
 *
 * Errors: -EINVAL for an unknown event and for padding that is not zero.
 * -ENODEV after the card was removed.
 */
struct drm_pddgpu_subscribe {
	/** @mask: in: mask of DRM_PDDGPU_EVENT_BIT_*; 0 for none. */
	__u32 mask;
	/** @pad: must be zero. */
	__u32 pad;
	/** @threshold: in: bytes by which the budget has to change to be told. */
	__u64 threshold;
};

/**
 * struct drm_pddgpu_event - something that happened to the client's memory
 *
 * When the reader is slow, events of one type are merged: none is lost, as
 * @sequence and @count prove. What they do not have in common is 0.
 */
struct drm_pddgpu_event {
	/** @base: the type, one of DRM_PDDGPU_EVENT_*, and the length. */
	struct drm_event base;
	/**
	 * @sequence: how many events of this type the client has had, with the
	 * last one of those that this one stands for.
	 */
	__u64 sequence;
	/** @count: how many events this one stands for. */
	__u64 count;
	/**
	 * @bytes: of the buffers, of all these events together; of
	 * %DRM_PDDGPU_EVENT_BUDGET the budget as it is now.
	 */
	__u64 bytes;
	/** @buffer: &drm_pddgpu_gem_info.id of the buffer, or 0. */
	__u64 buffer;
	/** @from: the PDDGPU_GEM_DOMAIN_* where it was, or 0. */
	__u32 from;
	/** @to: the PDDGPU_GEM_DOMAIN_* where it is, or 0. */
	__u32 to;
};

/** define DRM_PDDGPU_LABEL_SIZE - most bytes of a label, the zero at its end included */
#define DRM_PDDGPU_LABEL_SIZE		64

/**
 * struct drm_pddgpu_gem_set_label - give a buffer a name
 *
 * Reports, leaks and trace events show it. It belongs to the buffer, whoever has
 * a handle of it, and takes the place of the one before.
 *
 * Errors: -EINVAL for padding that is not zero, and for a label with anything but
 * printable ASCII characters. -ENOENT for an unknown handle. -E2BIG for a label
 * without a zero among its first %DRM_PDDGPU_LABEL_SIZE bytes. -EFAULT for an
 * address that cannot be read. -ENODEV after the card was removed. After an error
 * the label is as before.
 */
struct drm_pddgpu_gem_set_label {
	/** @handle: in: the buffer. */
	__u32 handle;
	/** @pad: must be zero. */
	__u32 pad;
	/** @label: in: user-space address of a zero-terminated string, or 0 for none. */
	__u64 label;
};

/** define DRM_PDDGPU_QUERY_DEVICE - answers with &struct drm_pddgpu_query_device */
#define DRM_PDDGPU_QUERY_DEVICE		0
/** define DRM_PDDGPU_QUERY_HEAPS - answers with &struct drm_pddgpu_query_heaps */
#define DRM_PDDGPU_QUERY_HEAPS		1

/**
 * define DRM_PDDGPU_QUERY_MEMORY_STATS - answers with
 * &struct drm_pddgpu_query_memory_stats
 */
#define DRM_PDDGPU_QUERY_MEMORY_STATS	2
/** define DRM_PDDGPU_QUERY_LEAKS - answers with &struct drm_pddgpu_query_leaks */
#define DRM_PDDGPU_QUERY_LEAKS		3
/** define DRM_PDDGPU_QUERY_BUDGET - answers with &struct drm_pddgpu_query_budget */
#define DRM_PDDGPU_QUERY_BUDGET		4
/** define DRM_PDDGPU_QUERY_OWNERS - answers with &struct drm_pddgpu_query_owners */
#define DRM_PDDGPU_QUERY_OWNERS		5

/**
 * struct drm_pddgpu_query - ask about the device
 *
 * A structure that grows stays readable by older programs: the kernel fills as
 * much of it as fits in @size bytes.
 *
 * Errors: -EINVAL for an unknown query. -EFAULT when @data cannot be written.
 * -ENOMEM when system memory is short. -ENODEV after the card was removed.
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
	/** @reserved: bytes withheld from buffers: reserved ranges, and the driver's own. */
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

/**
 * struct drm_pddgpu_budget - what the calling client has of a heap, and may have
 *
 * A client is an open file. What several clients have counts for each of them.
 */
struct drm_pddgpu_budget {
	/** @domain: the PDDGPU_GEM_DOMAIN_* this is about. */
	__u32 domain;
	/** @pad: zero. */
	__u32 pad;
	/**
	 * @budget: bytes that the client could have here at present if it
	 * wanted all. It is not evicted from VRAM for others while it has no
	 * more than this and others have more than theirs.
	 */
	__u64 budget;
	/** @usage: bytes of the client's buffers that should be here. */
	__u64 usage;
	/** @resident: bytes of the client's buffers that are here. */
	__u64 resident;
	/** @displaced: bytes of @usage that are elsewhere. */
	__u64 displaced;
	/** @reservation: bytes that the client has reserved, see RESERVE. */
	__u64 reservation;
	/** @reservable: the largest reservation that the client could have now. */
	__u64 reservable;
};

/**
 * struct drm_pddgpu_query_budget - all heaps, in order of preference
 */
struct drm_pddgpu_query_budget {
	/** @num_heaps: how many entries follow. */
	__u32 num_heaps;
	/** @heap_size: bytes from one entry to the next. */
	__u32 heap_size;
	/** @heaps: the entries. */
	struct drm_pddgpu_budget heaps[];
};

/**
 * struct pddgpu_memory_stats_info - the figures most programs want
 *
 * Bytes are those of buffers; reserved ranges count as neither used nor free.
 */
struct pddgpu_memory_stats_info {
	/** @vram_used: bytes of VRAM that buffers take up now. */
	__u64 vram_used;
	/** @vram_free: bytes of VRAM that are free now. */
	__u64 vram_free;
	/** @gtt_used: bytes of GTT that buffers take up now. */
	__u64 gtt_used;
	/** @gtt_free: bytes of GTT that buffers could still take up. */
	__u64 gtt_free;
	/** @cpu_used: bytes of the CPU domain that buffers take up now. */
	__u64 cpu_used;
	/** @total_allocations: buffers created since the last reset. */
	__u64 total_allocations;
	/** @total_deallocations: buffers freed since the last reset. */
	__u64 total_deallocations;
	/** @total_moves: moves between domains since the last reset. */
	__u64 total_moves;
	/** @avg_alloc_time_ns: ns a creation took, on average since the last reset. */
	__u64 avg_alloc_time_ns;
	/** @avg_free_time_ns: ns a free took, on average since the last reset. */
	__u64 avg_free_time_ns;
	/** @avg_move_time_ns: ns a move took, on average since the last reset. */
	__u64 avg_move_time_ns;
	/** @suspected_leaks: buffers alive for so long that they are suspected. */
	__u64 suspected_leaks;
	/** @confirmed_leaks: buffers alive for so long that they count as leaked. */
	__u64 confirmed_leaks;
};

/**
 * define PDDGPU_HEAP_STATS_VISIBLE - in &drm_pddgpu_heap_stats.flags: about the
 * part of the heap that the CPU can reach
 */
#define PDDGPU_HEAP_STATS_VISIBLE	(1 << 0)

/**
 * struct drm_pddgpu_heap_stats - what buffers took from a heap and gave back
 */
struct drm_pddgpu_heap_stats {
	/** @domain: the PDDGPU_GEM_DOMAIN_* this is about. */
	__u32 domain;
	/** @flags: mask of PDDGPU_HEAP_STATS_*. */
	__u32 flags;
	/** @allocated: bytes taken since the last reset, moves included. */
	__u64 allocated;
	/** @freed: bytes given back since the last reset, moves included. */
	__u64 freed;
	/** @live: bytes taken up now. */
	__u64 live;
	/** @peak: most bytes taken up at once since the last reset. */
	__u64 peak;
};

/** define PDDGPU_TIME_BUCKETS - entries of &drm_pddgpu_time_stats.histogram */
#define PDDGPU_TIME_BUCKETS	40

/**
 * struct drm_pddgpu_time_stats - how long operations of a kind took
 */
struct drm_pddgpu_time_stats {
	/** @count: operations that succeeded since the last reset. */
	__u64 count;
	/** @total_ns: ns they took in all. */
	__u64 total_ns;
	/** @max_ns: ns the longest took. */
	__u64 max_ns;
	/**
	 * @histogram: entry i counts those that took from 2^i ns to less than
	 * 2^(i + 1) ns; the first those below 2 ns too, the last all longer
	 * ones too.
	 */
	__u64 histogram[PDDGPU_TIME_BUCKETS];
};

/**
 * struct drm_pddgpu_move_stats - moves in one direction
 */
struct drm_pddgpu_move_stats {
	/** @from: the PDDGPU_GEM_DOMAIN_* the buffers came from. */
	__u32 from;
	/** @to: the PDDGPU_GEM_DOMAIN_* they went to. */
	__u32 to;
	/** @count: moves since the last reset. */
	__u64 count;
	/** @bytes: bytes moved since the last reset. */
	__u64 bytes;
};

/**
 * struct drm_pddgpu_failure_stats - creations that failed in one way
 */
struct drm_pddgpu_failure_stats {
	/** @error: the positive errno, or 0 for all that have no entry. */
	__u32 error;
	/** @pad: zero. */
	__u32 pad;
	/** @count: how often since the last reset. */
	__u64 count;
};

/** define PDDGPU_FAILURE_KINDS - entries of @failures */
#define PDDGPU_FAILURE_KINDS	8

/**
 * struct drm_pddgpu_query_memory_stats - all counters
 */
struct drm_pddgpu_query_memory_stats {
	/** @info: the figures most programs want. */
	struct pddgpu_memory_stats_info info;
	/** @objects_live: buffers alive now. */
	__u64 objects_live;
	/** @evictions: moves the kernel made to make room, since the last reset. */
	__u64 evictions;
	/** @evicted_bytes: bytes they moved. */
	__u64 evicted_bytes;
	/** @heaps: VRAM, the CPU-visible part of VRAM, GTT, CPU. */
	struct drm_pddgpu_heap_stats heaps[4];
	/** @alloc: creations. */
	struct drm_pddgpu_time_stats alloc;
	/** @free: frees. */
	struct drm_pddgpu_time_stats free;
	/** @move: moves. */
	struct drm_pddgpu_time_stats move;
	/** @moves: by direction. */
	struct drm_pddgpu_move_stats moves[9];
	/** @failures: failed creations by errno. */
	struct drm_pddgpu_failure_stats failures[PDDGPU_FAILURE_KINDS];
};

/** define PDDGPU_LEAK_SUSPECTED - a &drm_pddgpu_leak.state */
#define PDDGPU_LEAK_SUSPECTED	1
/** define PDDGPU_LEAK_CONFIRMED - a &drm_pddgpu_leak.state */
#define PDDGPU_LEAK_CONFIRMED	2

/**
 * struct drm_pddgpu_leak - a buffer that has been alive for long
 *
 * With @handles, @mappings, @exports and @pins all zero, nothing is known that
 * keeps it alive: it is orphaned.
 */
struct drm_pddgpu_leak {
	/** @id: a number that no other buffer of the card has had. */
	__u64 id;
	/** @size: bytes. */
	__u64 size;
	/** @age_ms: ms since it was created. */
	__u64 age_ms;
	/** @client: number of the DRM client that created it, as in pddgpu_gem_info. */
	__u64 client;
	/** @pid: process that created it, in the initial PID namespace. */
	__u32 pid;
	/** @state: PDDGPU_LEAK_SUSPECTED or PDDGPU_LEAK_CONFIRMED. */
	__u32 state;
	/** @domains: the domains it was created for. */
	__u32 domains;
	/** @placement: the domain it is in now. */
	__u32 placement;
	/** @handles: handles open to it, of all clients. */
	__u32 handles;
	/** @mappings: CPU mappings of it. */
	__u32 mappings;
	/** @exports: dma-bufs made of it. */
	__u32 exports;
	/** @pins: how often it is pinned. */
	__u32 pins;
	/** @comm: name of the process that created it, zero-terminated. */
	char comm[16];
	/** @flags: mask of PDDGPU_LEAK_*_EXITED. */
	__u32 flags;
	/** @pad: zero. */
	__u32 pad;
	/** @mmap_offset: where a DRM file has it, as in /proc/PID/maps. */
	__u64 mmap_offset;
	/**
	 * @dma_buf: inode number of the dma-buf that was made of it last, as in
	 * /proc/PID/fdinfo; 0 if there is none.
	 */
	__u64 dma_buf;
	/** @label: its label, zero-terminated. */
	char label[DRM_PDDGPU_LABEL_SIZE];
};

/**
 * define PDDGPU_LEAK_CREATOR_EXITED - in &drm_pddgpu_leak.flags: the process that
 * created it has ended
 */
#define PDDGPU_LEAK_CREATOR_EXITED	(1 << 0)

/**
 * struct drm_pddgpu_query_leaks - suspected and confirmed leaks, oldest first
 *
 * Without CAP_PERFMON or CAP_SYS_ADMIN only the caller's own: those created
 * through the same open file.
 */
struct drm_pddgpu_query_leaks {
	/** @num_leaks: how many entries follow. */
	__u32 num_leaks;
	/** @leak_size: bytes from one entry to the next. */
	__u32 leak_size;
	/** @leaks: the entries. */
	struct drm_pddgpu_leak leaks[];
};

/**
 * DOC: owners
 *
 * What a part of the memory is there for. Each byte of a heap is in exactly one
 * entry of the answer to QUERY_OWNERS.
 *
 * %PDDGPU_OWNER_CLIENT: buffers of which this client has a handle. One that
 * several clients have counts for one of them.
 *
 * %PDDGPU_OWNER_DMA_BUF: buffers without a handle, of which there is a dma-buf.
 *
 * %PDDGPU_OWNER_MAPPING: buffers without either, which a process has mapped.
 *
 * %PDDGPU_OWNER_KERNEL: buffers without any of these: they are being created or
 * freed.
 *
 * %PDDGPU_OWNER_ARRIVING: taken for a buffer that is being created, or moved there.
 *
 * %PDDGPU_OWNER_LEAVING: what a buffer has left that was moved or freed, as long
 * as the card may still be at work on it.
 *
 * %PDDGPU_OWNER_WIPING: free memory that is being zeroed.
 *
 * %PDDGPU_OWNER_DRIVER: what the driver needs itself.
 *
 * %PDDGPU_OWNER_BAD_PAGE: reserved because of a memory error.
 *
 * %PDDGPU_OWNER_REQUEST: reserved by an administrator.
 *
 * %PDDGPU_OWNER_CLEAN: free, and known to be zero where it has content.
 *
 * %PDDGPU_OWNER_DIRTY: free, but not zeroed yet.
 *
 * %PDDGPU_OWNER_OTHERS: buffers of clients that are not listed: of all others for
 * a caller without CAP_PERFMON and CAP_SYS_ADMIN, and of those that come or go at
 * this moment.
 *
 * %PDDGPU_OWNER_NONE: bytes that nobody is known for. If it is not 0, the driver
 * has a bug.
 */
#define PDDGPU_OWNER_CLIENT	1
#define PDDGPU_OWNER_DMA_BUF	2
#define PDDGPU_OWNER_MAPPING	3
#define PDDGPU_OWNER_KERNEL	4
#define PDDGPU_OWNER_ARRIVING	5
#define PDDGPU_OWNER_LEAVING	6
#define PDDGPU_OWNER_WIPING	7
#define PDDGPU_OWNER_DRIVER	8
#define PDDGPU_OWNER_BAD_PAGE	9
#define PDDGPU_OWNER_REQUEST	10
#define PDDGPU_OWNER_CLEAN	11
#define PDDGPU_OWNER_DIRTY	12
#define PDDGPU_OWNER_OTHERS	13
#define PDDGPU_OWNER_NONE	14

/**
 * struct drm_pddgpu_owner - bytes that are there for one purpose
 */
struct drm_pddgpu_owner {
	/** @kind: one of PDDGPU_OWNER_*. */
	__u32 kind;
	/** @pid: process of a client, in the initial PID namespace; else 0. */
	__u32 pid;
	/** @client: number of a client, as in fdinfo; else 0. */
	__u64 client;
	/**
	 * @cgroup: inode number of the process's folder in the file system of
	 * cgroup 2; 0 if it is not known.
	 */
	__u64 cgroup;
	/** @buffers: how many buffers these bytes are of. */
	__u64 buffers;
	/** @vram: bytes of VRAM. */
	__u64 vram;
	/** @gtt: bytes of the GTT window. */
	__u64 gtt;
	/** @cpu: bytes of the CPU domain. */
	__u64 cpu;
	/**
	 * @hop: bytes of system memory that pass through GTT without an address
	 * in the window. They belong to no heap.
	 */
	__u64 hop;
	/** @comm: name of the process of a client, zero-terminated. */
	char comm[16];
	/** @name: name that a client has given itself, zero-terminated. */
	char name[64];
};

/**
 * struct drm_pddgpu_query_owners - whose each byte is
 *
 * All figures are of one moment, and the bytes of a heap in all entries together
 * are &drm_pddgpu_heap.total.
 */
struct drm_pddgpu_query_owners {
	/** @num_owners: how many entries follow. */
	__u32 num_owners;
	/** @owner_size: bytes from one entry to the next. */
	__u32 owner_size;
	/** @owners: the entries. */
	struct drm_pddgpu_owner owners[];
};

#if defined(__cplusplus)
}
#endif

#endif /* _UAPI_PDDGPU_DRM_H_ */
