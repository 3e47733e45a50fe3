/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Every difference between kernels, in one place: the rest of the driver has no #if and writes the newest name.
 *
 * DOC: why probes
 *
 * Stable kernels change interfaces of DRM too (the buddy allocator moved between 6.12.100 and 6.12.101), so a version
 * number says little about a kernel; distributions backport besides. probes.sh compiles one snippet for each row below
 * and writes npu_config.h. Rejected: LINUX_VERSION_CODE (wrong on stable and distribution kernels), copies of kernel
 * files (they rot).
 */
#ifndef NPU_COMPAT_H
#define NPU_COMPAT_H

#include <linux/hrtimer.h>
#include <linux/module.h>

#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_gem.h>
#include <drm/drm_gpuvm.h>
#include <drm/drm_print.h>

#include <npu_config.h> /* written by probes.sh */

#ifdef NPU_HAVE_GPU_BUDDY
#include <linux/gpu_buddy.h>
#else
#include <drm/drm_buddy.h>
#define gpu_buddy drm_buddy
#define gpu_buddy_block drm_buddy_block
#define gpu_buddy_init drm_buddy_init
#define gpu_buddy_fini drm_buddy_fini
#define gpu_buddy_alloc_blocks drm_buddy_alloc_blocks
#define gpu_buddy_block_trim drm_buddy_block_trim
#define gpu_buddy_free_block drm_buddy_free_block
#define gpu_buddy_free_list drm_buddy_free_list
#define gpu_buddy_reset_clear drm_buddy_reset_clear
#define gpu_buddy_block_offset drm_buddy_block_offset
#define gpu_buddy_block_order drm_buddy_block_order
#define gpu_buddy_block_size drm_buddy_block_size
#define gpu_buddy_block_is_free drm_buddy_block_is_free
#define gpu_buddy_block_is_clear drm_buddy_block_is_clear
#define GPU_BUDDY_RANGE_ALLOCATION DRM_BUDDY_RANGE_ALLOCATION
#define GPU_BUDDY_TOPDOWN_ALLOCATION DRM_BUDDY_TOPDOWN_ALLOCATION
#define GPU_BUDDY_CONTIGUOUS_ALLOCATION DRM_BUDDY_CONTIGUOUS_ALLOCATION
#define GPU_BUDDY_CLEAR_ALLOCATION DRM_BUDDY_CLEAR_ALLOCATION
#define GPU_BUDDY_CLEARED DRM_BUDDY_CLEARED
#define GPU_BUDDY_TRIM_DISABLE DRM_BUDDY_TRIM_DISABLE
#endif

/* Kernels that lack the flag give GPUVA lists to every GEM driver. */
#ifndef NPU_HAVE_DRIVER_GEM_GPUVA
#define DRIVER_GEM_GPUVA 0
#endif

static inline int npu_gpuvm_sm_map(struct drm_gpuvm *vm, void *priv, u64 addr, u64 range, struct drm_gem_object *obj,
				   u64 offset)
{
#ifdef NPU_HAVE_GPUVM_MAP_REQ
	const struct drm_gpuvm_map_req req = {
		.map.va.addr = addr,
		.map.va.range = range,
		.map.gem.obj = obj,
		.map.gem.offset = offset,
	};

	return drm_gpuvm_sm_map(vm, priv, &req);
#else
	return drm_gpuvm_sm_map(vm, priv, addr, range, obj, offset);
#endif
}

static inline struct drm_gpuva_ops *npu_gpuvm_sm_map_ops_create(struct drm_gpuvm *vm, u64 addr, u64 range,
								struct drm_gem_object *obj, u64 offset)
{
#ifdef NPU_HAVE_GPUVM_MAP_REQ
	const struct drm_gpuvm_map_req req = {
		.map.va.addr = addr,
		.map.va.range = range,
		.map.gem.obj = obj,
		.map.gem.offset = offset,
	};

	return drm_gpuvm_sm_map_ops_create(vm, &req);
#else
	return drm_gpuvm_sm_map_ops_create(vm, addr, range, obj, offset);
#endif
}

/* Only the name changed: the caller holds the object's resv on all kernels. */
#ifndef NPU_HAVE_GPUVM_BO_OBTAIN_LOCKED
#define drm_gpuvm_bo_obtain_locked drm_gpuvm_bo_obtain
#endif

/* Takes the resv lock itself, whatever the kernel calls it. */
#ifdef NPU_HAVE_GEM_VMAP_TAKES_LOCK
#define drm_gem_vmap drm_gem_vmap_unlocked
#define drm_gem_vunmap drm_gem_vunmap_unlocked
#endif

#ifndef NPU_HAVE_FDINFO_PRINT_SIZE
static inline void drm_fdinfo_print_size(struct drm_printer *p, const char *prefix, const char *stat,
					 const char *region, u64 size)
{
	drm_printf(p, "%s-%s-%s:\t%llu KiB\n", prefix, stat, region, size >> 10);
}
#endif

#ifndef NPU_HAVE_HRTIMER_SETUP
static inline void hrtimer_setup(struct hrtimer *timer, enum hrtimer_restart (*fn)(struct hrtimer *), clockid_t clock,
				 enum hrtimer_mode mode)
{
	hrtimer_init(timer, clock, mode);
	timer->function = fn;
}
#endif

/*
 * MODULE_IMPORT_NS() takes a word on old kernels and a string on new ones; a wrong form fails only at the link. This
 * one is right on all.
 */
#define NPU_IMPORT_NS(ns) MODULE_INFO(import_ns, ns)

#endif
