// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * DOC: sharing with other drivers
 *
 * DRM's helpers do the work. What leaves: system memory, for any device; HBM, for this device and for its peers. What
 * does not leave: objects that belong to one VM, memory of a process, and imports (DRM hands out the original of
 * those). What comes in: whatever has DMA addresses in whole pages.
 *
 * DOC: peers
 *
 * Another device of this driver reads and writes HBM through BAR2 of the one that owns it. It may where the kernel
 * knows that the bus between them carries such accesses (pci_p2pdma_distance(); never on kernels without
 * CONFIG_PCI_P2PDMA). HBM has no struct pages, so that the exporter maps physical ranges.
 *
 * Objects never move, but an exporter is reset, unplugged, or sleeps. npu_prime_revoke() then takes its memory out of
 * the address spaces of all importers and ends their copies (npu_copy.c), flushes their TLBs and waits for what was
 * under way. Their objects are LOST for good: a queue that touches the addresses faults, a bind or a copy fails.
 * Whoever imports meanwhile is found out when the object is in the list (npu_prime_peer_ready()). Pages of the exporter
 * cannot have a new owner before: the importer's object holds them until its own device has let go.
 *
 * An attachment keeps the exporter awake, as an open file does. The exporter's user stays charged for the memory.
 *
 * Rejected: importers of other drivers, which would have to follow move_notify() from within our reset, on kernels
 * that lack it (CONFIG_DMABUF_MOVE_NOTIFY); then dynamic attachments serve nobody, and both sides being one driver it
 * can take the locks in its own order.
 */
#include <linux/dma-buf.h>
#include <linux/fs.h>
#include <linux/iosys-map.h>
#include <linux/jiffies.h>
#include <linux/pci-p2pdma.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>
#include <linux/vmalloc.h>

#include <drm/drm_prime.h>

#include "npu_drv.h"

/* A segment of a scatter list counts its bytes in 32 bits. */
#define NPU_PEER_SEGMENT_BYTES SZ_1G
#define NPU_PEER_QUIESCE_MS 500u

/* ---------------------------------------------------------------------------------------- HBM for other devices -- */
static int npu_peer_attach(struct dma_buf *dmabuf, struct dma_buf_attachment *attach)
{
	struct npu_bo *bo = to_npu_bo(dmabuf->priv);
	struct npu_device *npu = to_npu(bo->base.dev);

	if (attach->dev->driver != &npu_pci_driver.driver || !npu_bo_visible(bo) ||
	    pci_p2pdma_distance(npu->pdev, attach->dev, false) < 0)
		return -EOPNOTSUPP;
	return npu_pm_get(npu);
}

static void npu_peer_detach(struct dma_buf *dmabuf, struct dma_buf_attachment *attach)
{
	struct npu_bo *bo = to_npu_bo(dmabuf->priv);

	npu_pm_put(to_npu(bo->base.dev));
}

/* Two walks over the same segments: count, then map. */
struct npu_peer_walk {
	struct npu_device *npu;
	struct dma_buf_attachment *attach;
	enum dma_data_direction dir;
	struct scatterlist *sg; /* the next one to be filled; NULL: count */
	unsigned int count; /* segments so far */
};

static int npu_peer_piece(void *arg, u64 address, u64 bytes, bool is_hbm)
{
	struct npu_peer_walk *walk = arg;
	u64 part;

	for (; bytes; address += part, bytes -= part) {
		part = min_t(u64, bytes, NPU_PEER_SEGMENT_BYTES);
		if (walk->sg) {
			const dma_addr_t at = dma_map_resource(walk->attach->dev, walk->npu->hbm_phys + address, part,
							       walk->dir, NPU_BO_DMA_ATTRS);

			if (dma_mapping_error(walk->attach->dev, at))
				return -ENOMEM;
			sg_set_page(walk->sg, NULL, part, 0);
			sg_dma_address(walk->sg) = at;
			sg_dma_len(walk->sg) = part;
			walk->sg = sg_next(walk->sg);
		}
		walk->count++;
	}
	return 0;
}

static void npu_peer_unmap_segments(struct dma_buf_attachment *attach, struct sg_table *sgt, unsigned int count,
				    enum dma_data_direction dir)
{
	struct scatterlist *sg;
	unsigned int i;

	for_each_sg(sgt->sgl, sg, count, i)
		dma_unmap_resource(attach->dev, sg_dma_address(sg), sg_dma_len(sg), dir, NPU_BO_DMA_ATTRS);
}

static int npu_peer_map_segments(struct npu_bo *bo, struct dma_buf_attachment *attach, struct sg_table *sgt,
				 enum dma_data_direction dir)
{
	struct npu_peer_walk walk = { .npu = to_npu(bo->base.dev), .attach = attach, .dir = dir };
	int err;

	npu_bo_walk_pieces(bo, 0, bo->base.size, npu_peer_piece, &walk);
	err = sg_alloc_table(sgt, walk.count, GFP_KERNEL_ACCOUNT);
	if (err)
		return err;
	walk.sg = sgt->sgl;
	walk.count = 0;
	err = npu_bo_walk_pieces(bo, 0, bo->base.size, npu_peer_piece, &walk);
	if (err) {
		npu_peer_unmap_segments(attach, sgt, walk.count, dir);
		sg_free_table(sgt);
	}
	return err;
}

static struct sg_table *npu_peer_map(struct dma_buf_attachment *attach, enum dma_data_direction dir)
{
	struct npu_bo *bo = to_npu_bo(attach->dmabuf->priv);
	struct npu_device *npu = to_npu(bo->base.dev);
	struct sg_table *sgt;
	int idx, err;

	if (!drm_dev_enter(&npu->drm, &idx))
		return ERR_PTR(-ENODEV);
	sgt = kzalloc(sizeof(*sgt), GFP_KERNEL_ACCOUNT);
	err = sgt ? npu_peer_map_segments(bo, attach, sgt, dir) : -ENOMEM;
	drm_dev_exit(idx);
	if (!err)
		return sgt;
	kfree(sgt);
	return ERR_PTR(err);
}

/* Also when the exporter has gone: its addresses belong to the importer's mappings until then. */
static void npu_peer_unmap(struct dma_buf_attachment *attach, struct sg_table *sgt, enum dma_data_direction dir)
{
	npu_peer_unmap_segments(attach, sgt, sgt->nents, dir);
	sg_free_table(sgt);
	kfree(sgt);
}

static const struct dma_buf_ops npu_hbm_dmabuf_ops = {
	.attach = npu_peer_attach,
	.detach = npu_peer_detach,
	.map_dma_buf = npu_peer_map,
	.unmap_dma_buf = npu_peer_unmap,
	.release = drm_gem_dmabuf_release,
	.mmap = drm_gem_dmabuf_mmap,
	.vmap = drm_gem_dmabuf_vmap,
	.vunmap = drm_gem_dmabuf_vunmap,
};

static struct dma_buf *npu_hbm_export(struct drm_gem_object *obj, int flags)
{
	struct dma_buf_export_info info = {
		.exp_name = KBUILD_MODNAME,
		.owner = THIS_MODULE,
		.ops = &npu_hbm_dmabuf_ops,
		.size = obj->size,
		.flags = flags,
		.priv = obj,
		.resv = obj->resv,
	};

	return drm_gem_dmabuf_export(obj->dev, &info);
}

/* -------------------------------------------------------------------------------------------- what leaves -- */
struct dma_buf *npu_bo_export(struct drm_gem_object *obj, int flags)
{
	struct npu_bo *bo = to_npu_bo(obj);

	if (bo->exclusive_vm)
		return ERR_PTR(-EPERM);
	if (npu_bo_is_hbm(bo))
		return npu_hbm_export(obj, flags);
	if (bo->kind != NPU_BO_KIND_SYSTEM)
		return ERR_PTR(-EOPNOTSUPP);
	return drm_gem_prime_export(obj, flags);
}

/* Another device attaches to system memory. */
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

/* ------------------------------------------------------------------------------------------ what comes in -- */
/* The object is in the list of those that npu_prime_revoke() finds: was it too late for a reset of the exporter? */
static int npu_prime_peer_ready(struct npu_bo *origin)
{
	struct npu_device *peer = to_npu(origin->base.dev);

	/* Who revokes has written the state first. pairs with driver/npu_reset.c : npu_set_state */
	if (smp_load_acquire(&peer->state) != NPU_STATE_READY || npu_bo_lost(origin))
		return -ECANCELED;
	return 0;
}

/* Takes one object of a peer out of the importer's address spaces. */
static void npu_prime_revoke_object(struct npu_bo *bo, unsigned long deadline)
{
	struct npu_device *npu = to_npu(bo->base.dev);
	bool mapped;
	int idx;

	/* A device that is being reset itself forgets all of them, and may be waiting for us. */
	if (npu_enter_try(npu, &idx))
		return;
	mapped = npu_vm_forget_object(bo);
	mapped |= npu_copy_forget_object(bo);
	if (mapped)
		npu_retire_quiesce(npu, deadline);
	npu_leave(npu, idx);
}

void npu_prime_revoke(struct npu_device *npu)
{
	const unsigned long deadline = jiffies + msecs_to_jiffies(NPU_PEER_QUIESCE_MS) + 1;
	struct drm_device *drm;
	struct npu_bo *bo;

	while ((bo = npu_bo_revoke_next(npu))) {
		/* An object does not hold its device; that it was in the list did. */
		drm = bo->base.dev;
		npu_prime_revoke_object(bo, deadline);
		drm_gem_object_put(&bo->base);
		drm_dev_put(drm);
	}
}

/* An attachment is made only while npu_bo_unplug() would still find it. */
struct drm_gem_object *npu_gem_prime_import(struct drm_device *drm, struct dma_buf *dmabuf)
{
	struct drm_gem_object *obj;
	int idx;

	if (dmabuf->ops == &npu_hbm_dmabuf_ops && to_npu_bo(dmabuf->priv)->base.dev == drm) {
		obj = dmabuf->priv;
		drm_gem_object_get(obj);
		return obj;
	}
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
	struct npu_bo *origin = NULL;
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
	if (attach->dmabuf->ops == &npu_hbm_dmabuf_ops) {
		origin = to_npu_bo(attach->dmabuf->priv);
		bo->peer = to_npu(origin->base.dev);
	}
	/* DRM writes the same afterwards; who finds the object in the list needs it now. */
	bo->base.resv = attach->dmabuf->resv;
	err = npu_bo_use_sgt(bo, sgt);
	if (!err && origin)
		err = npu_prime_peer_ready(origin);
	if (!err)
		return &bo->base;
	/* DRM undoes the mapping; somebody who revokes may hold the object. */
	npu_bo_forget_sgt(bo);
	drm_gem_object_put(&bo->base);
	return ERR_PTR(err);
}
