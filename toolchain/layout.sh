# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
#
# Where everything lies. Sourced by the scripts of toolchain/ and vm/.
#
# An artefact's name holds a hash of all that decides its content, so that a
# checkout which changes the recipe never meets what another recipe made, and
# checkouts which agree share.

suite=trixie
series=7.3

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cache=${PDDGPU_CACHE:-${XDG_CACHE_HOME:-${HOME:?}/.cache}/pddgpu}
mkdir -p "$cache/log" "$cache/home" "$cache/cargo"
cache=$(cd "$cache" && pwd -P)

# content_key FILE-OF-TOOLCHAIN|=STRING…
content_key() {
	local part
	for part in "$@"; do
		case $part in
		=*) printf '%s\n' "$part" ;;
		*) printf '%s\n' "$part"; cat "$repo/toolchain/$part" ;;
		esac
	done | sha256sum | cut -c1-12
}

root_dir=$cache/root-$suite-$(content_key packages backports.pref make-root)
# What only the documentation needs is in a root of its own, which nothing else waits for.
doc_root_dir=$cache/docroot-$suite-$(content_key packages-doc backports.pref make-root)
# So is what only packages are made and checked with.
deb_root_dir=$cache/debroot-$suite-$(content_key packages-deb backports.pref make-root)

# The machine that packages are installed on to test them.
machine_dir=$cache/machine-$suite-$(content_key ../tests/install/make-machine)

# Sets release, version, stock_dir, kernel_dir and debug_dir from the version written
# down, fails when there is none yet.
kernel_layout() {
	[ -s "$cache/kernel-version" ] || return 1
	read -r release version <"$cache/kernel-version"
	stock_dir=$cache/stock-$release-$(content_key modules fetch-kernel "=$version")
	kernel_dir=$cache/kernel-$release-$(content_key make-kernel ../dkms/make-metadata \
		../dkms/rustc-metadata extract-image \
		"=${root_dir##*/}" "=${stock_dir##*/}")
	debug_dir=$cache/debug-$release-$(content_key make-debug-kernel debug.config \
		"=${root_dir##*/}" "=${stock_dir##*/}")
}

# What is built from this very checkout.
checkout=$(printf %s "$repo" | sha256sum | cut -c1-12)
target_dir=$cache/target-$checkout
module_dir=$cache/module-$checkout
doc_dir=$module_dir/doc
deb_dir=$module_dir/deb
