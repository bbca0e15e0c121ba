// SPDX-License-Identifier: GPL-2.0
/*
 * A plugin of QEMU that counts the instructions of a guest while a program in it wants that:
 * pddgpu-bench table --profile. At the end it writes a line for each block of instructions: the number of
 * the operation, the block's address, its instructions, and how often it was executed.
 *
 * The declarations are those of QEMU's qemu-plugin.h, of which Debian has no package.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT		__attribute__((visibility("default")))
#define BUCKETS		(1 << 16)
#define OPERATIONS	64
/* Programs of the guest are below. */
#define KERNEL_ADDRESSES 0x800000000000ull

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;

typedef void (*trans_fn)(struct qemu_plugin_tb *tb, void *data);
typedef void (*exec_fn)(unsigned int vcpu, void *data);
typedef void (*exit_fn)(void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, trans_fn fn, void *data);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, exec_fn fn, int flags,
					  void *data);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, exec_fn fn, int flags,
					    void *data);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, exit_fn fn, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *dest, size_t len);

EXPORT int qemu_plugin_version = 7;

/* A block, and how often each operation has executed it. */
struct block {
	struct block *next;
	uint64_t address;
	size_t instructions;
	uint64_t counts[OPERATIONS];
};

static struct block *blocks[BUCKETS];
/* The operation that is being counted, by the order in which they begin from 1; 0 for none. */
static unsigned int operation;
static unsigned int begun;
static const char *output = "profile";

static struct block *find_block(uint64_t address, size_t instructions)
{
	struct block **first = &blocks[(address * 0x9e3779b97f4a7c15ull) >> 48];
	struct block *block;

	/* The same code is translated again and again. */
	for (block = *first; block; block = block->next) {
		if (block->address == address && block->instructions == instructions)
			return block;
	}

	block = calloc(1, sizeof(*block));
	if (!block)
		abort();
	block->address = address;
	block->instructions = instructions;
	block->next = *first;
	*first = block;
	return block;
}

static void count(unsigned int vcpu, void *data)
{
	struct block *block = data;

	(void)vcpu;
	if (operation)
		block->counts[operation]++;
}

static void begin(unsigned int vcpu, void *data)
{
	(void)vcpu;
	(void)data;
	begun++;
	operation = begun < OPERATIONS ? begun : 0;
}

static void end(unsigned int vcpu, void *data)
{
	(void)vcpu;
	(void)data;
	operation = 0;
}

/* Whether an instruction is a no-op with this operand, which no compiler writes. */
static bool is_marker(const struct qemu_plugin_insn *insn, const char *operand)
{
	unsigned char code[16];
	size_t len = qemu_plugin_insn_data(insn, code, sizeof(code));

	return len == 7 && !memcmp(code, "\x0f\x1f\x80", 3) && !memcmp(code + 3, operand, 4);
}

static void translated(struct qemu_plugin_tb *tb, void *data)
{
	size_t instructions = qemu_plugin_tb_n_insns(tb);
	uint64_t address = qemu_plugin_tb_vaddr(tb);
	size_t i;

	(void)data;
	qemu_plugin_register_vcpu_tb_exec_cb(tb, count, 0, find_block(address, instructions));
	if (address >= KERNEL_ADDRESSES)
		return;
	for (i = 0; i < instructions; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

		if (is_marker(insn, "\x01\x13\x57\x1b"))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, begin, 0, NULL);
		else if (is_marker(insn, "\x02\x13\x57\x1b"))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, end, 0, NULL);
	}
}

static void write_counts(void *data)
{
	FILE *file = fopen(output, "w");
	struct block *block;
	size_t i, number;

	(void)data;
	if (!file) {
		perror(output);
		return;
	}
	for (i = 0; i < BUCKETS; i++) {
		for (block = blocks[i]; block; block = block->next) {
			for (number = 1; number < OPERATIONS; number++) {
				if (block->counts[number])
					fprintf(file, "%zu %" PRIx64 " %zu %" PRIu64 "\n", number,
						block->address, block->instructions,
						block->counts[number]);
			}
		}
	}
	if (fclose(file))
		perror(output);
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
	(void)info;
	if (argc > 0 && !strncmp(argv[0], "output=", 7))
		output = strdup(argv[0] + 7);
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated, NULL);
	qemu_plugin_register_atexit_cb(id, write_counts, NULL);
	return 0;
}
