// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * DOC: sharing with other drivers
 *
 * DRM's helpers do the work. What leaves: system memory, for any device; HBM, as a handle that this device takes back
 * (so that processes can share it), but no other device attaches to it, for want of peer-to-peer DMA on kernels that
 * the driver supports. What does not leave: objects that belong to one VM, memory of a process, and imports (DRM
 * hands out the original of those). What comes in: whatever has DMA addresses in whole pages.
 *
 * All symbols come from drm.ko: those of the dma-buf core need MODULE_IMPORT_NS(), whose argument changed its form
 * between kernels without a compiler noticing.
 */
#include <linux/dma-buf.h>
#include <linux/fs.h>
#include <linux/iosys-map.h>
#include <linux/vmalloc.h>

#include <drm/drm_prime.h>

#include "npu_drv.h"

struct dma_buf *npu_bo_export(struct drm_gem_object *obj, int flags)
{
	struct npu_bo *bo = to_npu_bo(obj);

	if (bo->exclusive_vm)
		return ERR_PTR(-EPERM);
	if (bo->kind != NPU_BO_KIND_SYSTEM && bo->kind != NPU_BO_KIND_HBM)
		return ERR_PTR(-EOPNOTSUPP);
	return drm_gem_prime_export(obj, flags);
}

/* Another device attaches. */
int npu_bo_pin(struct drm_gem_object *obj)
{
	return to_npu_bo(obj)->kind == NPU_BO_KIND_SYSTEM ? 0 : -EOPNOTSUPP;
}

struct sg_table *npu_bo_get_sg_table(struct drm_gem_object *obj)
{
	struct npu_bo *bo = to_npu_bo(obj);

	if (bo->kind != NPU_BO_KIND_SYSTEM)
		return ERR_PTR(-EOPNOTSUPP);
	return drm_prime_pages_to_sg(obj->dev, bo->pages, obj->size >> PAGE_SHIFT);
}

int npu_bo_vmap(struct drm_gem_object *obj, struct iosys_map *map)
{
	struct npu_bo *bo = to_npu_bo(obj);
	void *vaddr = bo->vaddr;

	if (bo->kind != NPU_BO_KIND_SYSTEM)
		return -EOPNOTSUPP;
	if (!vaddr)
		vaddr = vmap(bo->pages, obj->size >> PAGE_SHIFT, VM_MAP, PAGE_KERNEL);
	if (!vaddr)
		return -ENOMEM;
	iosys_map_set_vaddr(map, vaddr);
	return 0;
}

void npu_bo_vunmap(struct drm_gem_object *obj, struct iosys_map *map)
{
	if (map->vaddr != to_npu_bo(obj)->vaddr)
		vunmap(map->vaddr);
}

/* An attachment is made only while npu_bo_unplug() would still find it. */
struct drm_gem_object *npu_gem_prime_import(struct drm_device *drm, struct dma_buf *dmabuf)
{
	struct drm_gem_object *obj;
	int idx;

	if (!drm_dev_enter(drm, &idx))
		return ERR_PTR(-ENODEV);
	obj = drm_gem_prime_import(drm, dmabuf);
	drm_dev_exit(idx);
	return obj;
}

struct drm_gem_object *npu_gem_prime_import_sg_table(struct drm_device *drm, struct dma_buf_attachment *attach,
						     struct sg_table *sgt)
{
	struct npu_device *npu = to_npu(drm);
	const u64 bytes = attach->dmabuf->size;
	struct npu_bo *bo;
	int err;

	if (!bytes || bytes > npu->limits.bo_bytes_max || !IS_ALIGNED(bytes, PAGE_SIZE))
		return ERR_PTR(-EINVAL);
	bo = npu_bo_alloc(npu, NPU_BO_KIND_IMPORT, bytes);
	if (IS_ERR(bo))
		return ERR_CAST(bo);
	npu_bo_count(bo);
	bo->flags = NPU_BO_NO_MMAP; /* its own driver maps it */
	/* Its resv becomes ours and must outlive every fence in it. */
	get_file(attach->dmabuf->file);
	bo->dmabuf = attach->dmabuf->file;
	err = npu_bo_use_sgt(bo, sgt);
	if (err) {
		npu_bo_abandon(bo);
		return ERR_PTR(err);
	}
	return &bo->base;
}
