// SPDX-License-Identifier: GPL-2.0
/*
 * ttm_buffers: fills the VRAM of a card that samples/ttm drives twice over with dumb
 * buffers, and checks that new ones are zero, that each keeps what was written to it
 * while others push it out to system memory, and that all of it is given back.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xf86drm.h>

#define COUNT 32
#define WIDTH 256
#define HEIGHT 1024
#define SIZE (WIDTH * HEIGHT * 4UL)

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static int open_sample(void)
{
	char path[32];

	for (int i = 0; i < 16; i++) {
		snprintf(path, sizeof(path), "/dev/dri/card%d", i);

		int fd = open(path, O_RDWR);
		drmVersion *version = fd < 0 ? NULL : drmGetVersion(fd);
		bool found = version && strcmp(version->name, "ttm_sample") == 0;

		drmFreeVersion(version);
		if (found)
			return fd;
		if (fd >= 0)
			close(fd);
	}
	fail("no card of ttm_sample");
	return -1;
}

static uint32_t *create(int fd, uint32_t *handle)
{
	struct drm_mode_create_dumb create = { .width = WIDTH, .height = HEIGHT, .bpp = 32 };
	struct drm_mode_map_dumb map = { 0 };

	if (drmIoctl(fd, DRM_IOCTL_MODE_CREATE_DUMB, &create))
		fail("CREATE_DUMB");
	*handle = create.handle;
	map.handle = create.handle;
	if (drmIoctl(fd, DRM_IOCTL_MODE_MAP_DUMB, &map))
		fail("MAP_DUMB");

	uint32_t *words = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, map.offset);

	if (words == MAP_FAILED)
		fail("mmap");
	return words;
}

static void check(const uint32_t *words, uint32_t expected, const char *what)
{
	for (unsigned int i = 0; i < SIZE / 4; i++) {
		if (words[i] != expected) {
			printf("FAILED  %s: word %u is %#x, not %#x\n", what, i, words[i], expected);
			exit(1);
		}
	}
}

static void round_of_buffers(int fd, uint32_t seed)
{
	uint32_t *words[COUNT], handles[COUNT];

	for (uint32_t i = 0; i < COUNT; i++) {
		words[i] = create(fd, &handles[i]);
		check(words[i], 0, "a new buffer");
		for (unsigned int at = 0; at < SIZE / 4; at++)
			words[i][at] = seed + i;
	}
	for (uint32_t i = 0; i < COUNT; i++)
		check(words[i], seed + i, "a buffer that was pushed out");
	for (uint32_t i = 0; i < COUNT; i++) {
		munmap(words[i], SIZE);
		drmCloseBufferHandle(fd, handles[i]);
	}
}

int main(void)
{
	int fd = open_sample();

	/* If memory were lost, the last rounds would find none. */
	for (uint32_t i = 0; i < 4; i++)
		round_of_buffers(fd, 1000 * (i + 1));
	close(fd);
	printf("ok      %u buffers of %lu KiB, four times\n", COUNT, SIZE / 1024);
	return 0;
}
