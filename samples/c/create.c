// SPDX-License-Identifier: GPL-2.0
/*
 * The user-space snippets of the design documents, word for word, and what
 * comes back.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xf86drm.h>

#include "pddgpu_drm.h"

static int create_in_vram(int fd, struct drm_pddgpu_gem_create *out)
{
	struct drm_pddgpu_gem_create create = {
		.size = 1024 * 1024,  // 1MB
		.domain = PDDGPU_GEM_DOMAIN_VRAM,
		.flags = PDDGPU_GEM_CREATE_VRAM_CONTIGUOUS
	};
	int ret = drmIoctl(fd, DRM_IOCTL_PDDGPU_GEM_CREATE, &create);

	*out = create;
	return ret;
}

static int create_in_gtt(int fd, struct drm_pddgpu_gem_create *out)
{
	struct drm_pddgpu_gem_create create = {
		.size = 1024 * 1024,  // 1MB
		.domain = PDDGPU_GEM_DOMAIN_GTT,
		.flags = 0
	};
	int ret = drmIoctl(fd, DRM_IOCTL_PDDGPU_GEM_CREATE, &create);

	*out = create;
	return ret;
}

static bool run(int fd, const char *name, __u32 domain,
		int (*snippet)(int fd, struct drm_pddgpu_gem_create *out))
{
	struct drm_pddgpu_gem_create create;
	struct drm_pddgpu_gem_info info = {};
	bool good;

	if (snippet(fd, &create)) {
		fprintf(stderr, "%s: GEM_CREATE: %s\n", name, strerror(errno));
		return false;
	}

	info.handle = create.handle;
	if (drmIoctl(fd, DRM_IOCTL_PDDGPU_GEM_INFO, &info)) {
		fprintf(stderr, "%s: GEM_INFO: %s\n", name, strerror(errno));
		drmCloseBufferHandle(fd, create.handle);
		return false;
	}

	printf("%s: handle %u, %llu bytes, GPU address 0x%llx\n",
	       name, create.handle, create.size, info.gpu_addr);

	good = create.size == 1024 * 1024 && info.size == create.size &&
	       info.placement == domain && info.gpu_addr != PDDGPU_GPU_ADDR_NONE;
	if (!good)
		fprintf(stderr, "%s: %llu bytes in domain 0x%x are not what was asked for\n",
			name, info.size, info.placement);

	if (drmCloseBufferHandle(fd, create.handle)) {
		fprintf(stderr, "%s: GEM_CLOSE: %s\n", name, strerror(errno));
		return false;
	}

	return good;
}

int main(void)
{
	bool vram, gtt;
	int fd;

	fd = drmOpenWithType("pddgpu", NULL, DRM_NODE_RENDER);
	if (fd < 0) {
		fprintf(stderr, "no PDDGPU card: %s\n", strerror(errno));
		return EXIT_FAILURE;
	}

	vram = run(fd, "VRAM", PDDGPU_GEM_DOMAIN_VRAM, create_in_vram);
	gtt = run(fd, "GTT", PDDGPU_GEM_DOMAIN_GTT, create_in_gtt);
	drmClose(fd);

	return vram && gtt ? EXIT_SUCCESS : EXIT_FAILURE;
}
