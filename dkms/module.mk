# SPDX-License-Identifier: GPL-2.0
#
# make -f dkms/module.mk RELEASE=…: builds the module for a kernel that prepare-kernel has
# prepared.

KERNELS := $(or $(PDDGPU_KERNELS),/var/cache/pddgpu-dkms)

pddgpu.ko:
	$(MAKE) -C $(KERNELS)/$(RELEASE) $(shell cat $(KERNELS)/$(RELEASE).tools) M=$(CURDIR) \
		CONFIG_DRM_PDDGPU=m modules

.PHONY: pddgpu.ko
