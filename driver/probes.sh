#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Writes npu_config.h: which of the interfaces that change between kernels (stable ones too) this kernel has.
#
#   probes.sh <npu_config.h> <srctree> <compiler> <flags of the module>
#
# Each snippet is compiled with the module's own flags, warnings as errors. The first one must compile: when it does not, the
# flags or the headers are broken and every other answer would be a wrong "no", so the build ends. The answers are kept
# until compiler, flags, this file or the kernel's headers change; the header is written only when its text changed.
set -eu
out=$1 srctree=$2
shift 2

key=$({
	echo "$*"
	"$1" --version
	cat "$0" "$srctree"/include/drm/*.h "$srctree"/include/linux/*.h
	cat include/generated/autoconf.h "$srctree"/include/generated/autoconf.h 2>/dev/null || :
} | sha256sum | cut -d' ' -f1)
if [ -f "$out" ] && grep -q "^/\* key $key \*/$" "$out"; then
	exit 0
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/npu-probes.XXXXXX")
trap 'rm -rf "$work"' EXIT INT TERM

# snippet NAME 'headers' 'statements of a function'
names=
snippet() {
	names="$names $1"
	{
		for header in linux/module.h $2; do
			echo "#include <$header>"
		done
		echo "void npu_probe(void *p);"
		echo "void npu_probe(void *p)"
		echo "{"
		echo "	$3"
		echo "}"
	} > "$work/$1.c"
}

snippet CANARY 'drm/drm_drv.h drm/drm_accel.h drm/drm_file.h drm/drm_gem.h drm/drm_gpuvm.h' \
	'drm_gpuvm_put(p);'
snippet HAVE_GPU_BUDDY 'linux/gpu_buddy.h' \
	'struct gpu_buddy *mm = p; gpu_buddy_fini(mm);'
snippet HAVE_DRIVER_GEM_GPUVA 'drm/drm_drv.h' \
	'*(u32 *)p = DRIVER_GEM_GPUVA;'
snippet HAVE_GPUVM_MAP_REQ 'drm/drm_gpuvm.h' \
	'const struct drm_gpuvm_map_req *req = p; (void)drm_gpuvm_sm_map(p, p, req);'
snippet HAVE_GPUVM_BO_OBTAIN_LOCKED 'drm/drm_gpuvm.h' \
	'(void)drm_gpuvm_bo_obtain_locked(p, p);'
snippet HAVE_GEM_VMAP_TAKES_LOCK 'drm/drm_gem.h linux/iosys-map.h' \
	'(void)drm_gem_vmap_unlocked(p, p);'
snippet HAVE_FDINFO_PRINT_SIZE 'drm/drm_file.h' \
	'drm_fdinfo_print_size(p, "a", "b", "c", 1);'
snippet HAVE_HRTIMER_SETUP 'linux/hrtimer.h' \
	'hrtimer_setup(p, NULL, CLOCK_MONOTONIC, HRTIMER_MODE_REL);'

compile() {
	name=$1
	shift
	if "$@" -Werror -c -o "$work/$name.o" "$work/$name.c" > "$work/$name.log" 2>&1; then
		: > "$work/$name.yes"
	fi
}

compile CANARY "$@"
if [ ! -e "$work/CANARY.yes" ]; then
	echo "probes.sh: a snippet that every supported kernel compiles does not compile. Compiler, flags or kernel headers are broken:" >&2
	cat "$work/CANARY.log" >&2
	echo "probes.sh: remedy: install the headers of the kernel that KDIR names, complete and with CONFIG_DRM_ACCEL, and the compiler that built it" >&2
	exit 1
fi

running=0
for name in $names; do
	[ "$name" = CANARY ] && continue
	compile "$name" "$@" &
	running=$((running + 1))
	if [ $((running % 4)) -eq 0 ]; then
		wait
	fi
done
wait

{
	echo "/* key $key */"
	echo "/* Written by probes.sh. */"
	for name in $names; do
		[ "$name" = CANARY ] && continue
		if [ -e "$work/$name.yes" ]; then
			echo "#define NPU_$name 1"
		else
			echo "/* no $name */"
		fi
	done
} > "$work/config.h"
if ! cmp -s "$work/config.h" "$out"; then
	cp "$work/config.h" "$out.tmp.$$"
	mv "$out.tmp.$$" "$out"
fi
