# SPDX-License-Identifier: GPL-2.0
#
# make help tells what there is. The kernel module itself is described in Kbuild.
#
# With KDIR, the module is built by that kernel's kbuild with the tools of this
# machine. Everything else takes place in the build root (toolchain/), for Debian's
# stock kernel, with all output in the cache.

RUN ?=
SUITE ?=
KERNEL ?= stock
COMPILE ?=
SECONDS ?= 600
SEED ?=
ROUND ?=
COVERAGE ?=
SEEDS ?= 500
FIRST ?= 0
rust_files = $(shell find rust tests/kunit tests/debug_kernel -name '*.rs' ! -name '*_generated.rs' 2>/dev/null)
# The kernel's own: programs for user space follow other rules.
c_files = $(shell find c_shims include samples/ttm tests -name '*.[ch]' ! -path 'tests/samples/*' ! -path 'tests/bench/*')
shell_files = $(shell grep -rlE '^(.!/bin/(ba)?sh|. shellcheck shell=)' toolchain dkms vdev vm tests .ci)

help:
	@echo 'Use it:'
	@echo '  make run                boots the VM with a card and runs the demonstration'
	@echo '  make shell              boots it for a shell (RUN="--chip pdd3000 …": vm/run options)'
	@echo '  make modules            builds pddgpu.ko for the stock kernel'
	@echo '  make KDIR=DIR modules   builds it for another kernel, in this folder'
	@echo '  make man                writes manual pages and shell completions of the programs'
	@echo '  make deb                makes Debian packages and checks them with lintian'
	@echo
	@echo 'Test it:'
	@echo '  make test               runs every test but the VM tests on the debug kernel'
	@echo '  make test-debug         runs those'
	@echo '  make kunit              runs the KUnit suites there (SUITE=glob, or suite.case)'
	@echo '  make selftest-checkers  shows that the debug kernel finds mistakes'
	@echo '  make fuzz               runs random programs (KERNEL=stock|debug SECONDS=600 SEED= ROUND= COVERAGE=1)'
	@echo '  make hostile            has the card lie (KERNEL=stock|debug SEEDS=500 FIRST=0)'
	@echo '  make test-igt           runs the generic tests of igt-gpu-tools (KERNEL=stock|debug)'
	@echo '  make test-install       installs, upgrades and purges the packages on a new Debian'
	@echo '  make test-kernels       builds the driver for other kernels, and writes docs/kernels.md'
	@echo '  make test-samples       runs samples/ttm, a small TTM driver, in the VM'
	@echo '  make test-tools         runs gputop, lsgpu, drm_info, nvtop and promtool on the card'
	@echo '  make coverage           tells which lines and branches the tests reach'
	@echo
	@echo 'Measure it:'
	@echo '  make bench              counts what every operation costs, for docs/benchmarks.md'
	@echo '  make bench-compare BASE=COMMIT'
	@echo '                          counts it for a commit and for what is here, side by side'
	@echo '  make bench-profile      tells in which functions the instructions are'
	@echo '  make bench-stats        counts what the statistics cost'
	@echo '  make bench-move         measures moves by the card and by the CPU'
	@echo '  make bench-copy         counts what copies cost that signal a syncobj'
	@echo '  make bench-fdinfo       counts what it costs to ask for the figures of a client'
	@echo
	@echo 'Check the source:'
	@echo '  make floors             checks that imports go down, and that nothing is too long'
	@echo '  make clippy             checks the Rust code'
	@echo '  make rustfmtcheck       checks its format; make rustfmt mends it'
	@echo '  make checkpatch         checks the C code'
	@echo '  make shellcheck         checks the scripts'
	@echo
	@echo 'Send it:'
	@echo '  make patches            writes the driver as patches for the kernel (COMPILE=compile)'
	@echo
	@echo 'Document it:'
	@echo '  make doc                builds the documentation and checks its links'
	@echo '  make pictures           draws the pictures of the documentation'
	@echo
	@echo 'Prepare and clean up:'
	@echo '  make prepare            makes the build root and the kernel build tree only'
	@echo '  make clean              removes what was built from this folder'

ifdef KDIR
modules:
	$(MAKE) -C $(KDIR) M=$(CURDIR) CONFIG_DRM_PDDGPU=m modules
else
modules:
	@toolchain/build module stock
	@echo "built $$(toolchain/build module-path stock)"
endif

run:
	@vm/run $(RUN) -- pddgpuctl demo

shell:
	@vm/run $(RUN) -- sh -i

test:
	@toolchain/test

test-debug:
	@toolchain/test debug

kunit:
	@vm/kunit $(SUITE)

selftest-checkers:
	@tests/debug_kernel/run

fuzz:
	@tests/fuzz/run --kernel "$(KERNEL)" --seconds "$(SECONDS)" --seed "$(SEED)" --round "$(ROUND)" \
		--coverage "$(COVERAGE)"

hostile:
	@tests/fuzz/hostile --kernel "$(KERNEL)" --seeds "$(SEEDS)" --first "$(FIRST)"

test-igt:
	@tests/igt/run --kernel "$(KERNEL)"

test-tools:
	@tests/tools/run

coverage:
	@tests/coverage/run

bench:
	@tests/bench/table

bench-compare:
	@tests/bench/compare "$(BASE)"

bench-profile:
	@tests/bench/profile

bench-stats:
	@tests/bench/stats

bench-move:
	@tests/bench/move

bench-copy:
	@tests/bench/copy

bench-fdinfo:
	@tests/bench/fdinfo

man:
	@toolchain/enter cargo run --quiet -p pddgpu-manual -- "$$(toolchain/where target)/manual"

deb:
	@toolchain/make-deb

test-install:
	@tests/install/run

test-kernels:
	@tests/kernels/run

test-samples:
	@tests/samples/run

patches:
	@upstream/run $(COMPILE)

prepare:
	@toolchain/prepare

doc:
	@toolchain/doc

pictures:
	@toolchain/doc pictures

clippy:
	@toolchain/build clippy

floors:
	@tests/floors/floors_test.py
	@tests/floors/floors.py
	@tests/floors/sizes_test.py
	@tests/floors/sizes.py

rustfmt:
	@toolchain/enter rustfmt --edition 2021 $(rust_files)
	@toolchain/enter cargo fmt --all

rustfmtcheck:
	@toolchain/enter rustfmt --check --edition 2021 $(rust_files)
	@toolchain/enter cargo fmt --all --check

# Without a git folder it leaves out a check of its own that needs further packages.
checkpatch:
	@source=$$(toolchain/where source) && \
	toolchain/enter env GIT_DIR=/nonexistent perl $$source/scripts/checkpatch.pl --root=$$source \
		--strict --terse --show-types --no-summary --file $(c_files)

shellcheck:
	@toolchain/enter shellcheck -x -P SCRIPTDIR:toolchain $(shell_files)

clean:
ifdef KDIR
	$(MAKE) -C $(KDIR) M=$(CURDIR) clean
endif
	rm -rf "$$(toolchain/where target)" "$$(toolchain/where module)"

.PHONY: help modules run shell deb test test-debug test-igt test-tools test-install test-kernels test-samples patches kunit selftest-checkers fuzz hostile coverage bench bench-compare bench-profile bench-stats bench-move bench-copy bench-fdinfo man prepare doc pictures clippy floors rustfmt rustfmtcheck checkpatch shellcheck clean
