// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * DOC: objects
 *
 * Memory that a file holds by a handle and address spaces map. All of it exists from creation on and never moves, so
 * a page table or a ring may show it without a lock. Whatever the kind, the device's view is one sorted array of
 * runs: a lookup costs a binary search, however much memory is scattered.
 *
 *   system    pages of the GEM object's shmem file, DMA mapped
 *   HBM       blocks of npu_hbm.c
 *   userptr   pinned pages of a process (npu_userptr.c)
 *   import    sg table of another driver's dma-buf (npu_prime.c)
 *
 * Rejected: the shmem helper of DRM, whose interface changed in every second release; eviction and a shrinker:
 * user-mode queues give no point in time at which memory could be taken away. Rejected too: write-combining for
 * system memory. The device is coherent, so it would only make the kernel change the attributes of its linear map
 * page by page; NPU_CACHING_WC is taken as the hint that it is.
 *
 * DOC: the end of an object
 *
 * The last reference queues it with npu_retire(): its memory goes when every access that began before has ended. A
 * device that leaves with objects still alive loses their DMA mappings at once (npu_bo_unplug()), because the PCI
 * device may be gone when the last file is closed.
 */
#include <linux/highmem.h>
#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include <drm/drm_prime.h>

#include "npu_drv.h"

/* The uapi's smallest page is a page of the process. */
static_assert(PAGE_SIZE == NPU_PAGE_4K);

/*
 * Guards npu_bos, and each DMA mapping against being undone twice. Around a foreign dma-buf's resv; taken with none
 * of our locks held.
 */
static DEFINE_MUTEX(npu_bos_lock);
static LIST_HEAD(npu_bos);

static struct npu_device *npu_bo_device(const struct npu_bo *bo)
{
	return to_npu(bo->base.dev);
}

/* -------------------------------------------------------------------------------------------------- runs -- */
/* Index of the run that holds offset. */
static u32 npu_bo_run_at(const struct npu_bo *bo, u64 offset)
{
	u32 low = 0, high = bo->run_count;

	while (high - low > 1) {
		const u32 mid = low + (high - low) / 2;

		if (bo->runs[mid].start <= offset)
			low = mid;
		else
			high = mid;
	}
	return low;
}

int npu_bo_walk_pieces(struct npu_bo *bo, u64 offset, u64 bytes, npu_bo_piece_fn fn, void *arg)
{
	const u64 end = offset + bytes;
	u32 i;
	int err;

	if (WARN_ON_ONCE(npu_validate_span(offset, bytes, bo->base.size)))
		return -EINVAL;
	for (i = npu_bo_run_at(bo, offset); offset < end; i++) {
		const u64 stop = min(bo->runs[i + 1].start, end);

		err = fn(arg, bo->runs[i].address + (offset - bo->runs[i].start), stop - offset, npu_bo_is_hbm(bo));
		if (err)
			return err;
		offset = stop;
	}
	return 0;
}

/* Builds the array in two walks over the same pieces: count, then fill. */
struct npu_run_builder {
	struct npu_bo *bo;
	u64 offset;
	u64 next; /* address behind the last piece */
	u32 count;
	bool fill;
};

static void npu_run_add(struct npu_run_builder *b, u64 address, u64 bytes)
{
	bytes = min(bytes, b->bo->base.size - b->offset);
	if (!bytes)
		return;
	if (!b->count || address != b->next) {
		if (b->fill)
			b->bo->runs[b->count] = (struct npu_bo_run){ .start = b->offset, .address = address };
		b->count++;
	}
	b->next = address + bytes;
	b->offset += bytes;
}

static int npu_run_walk(struct npu_run_builder *b)
{
	struct npu_bo *bo = b->bo;
	struct gpu_buddy_block *block;
	struct scatterlist *sg;
	unsigned int i;

	b->offset = 0;
	b->count = 0;
	if (npu_bo_is_hbm(bo)) {
		list_for_each_entry(block, &bo->hbm.blocks, link)
			npu_run_add(b, npu_hbm_block_offset(npu_bo_device(bo), block),
				    npu_hbm_block_bytes(npu_bo_device(bo), block));
	} else {
		for_each_sgtable_dma_sg(bo->sgt, sg, i) {
			/* Another driver's table may hold anything. */
			if (!IS_ALIGNED(sg_dma_address(sg) | sg_dma_len(sg), PAGE_SIZE) ||
			    sg_dma_address(sg) + sg_dma_len(sg) > NPU_PTE_ADDRESS_END)
				return -EINVAL;
			npu_run_add(b, sg_dma_address(sg), sg_dma_len(sg));
		}
	}
	return b->offset == bo->base.size ? 0 : -EINVAL;
}

static int npu_bo_build_runs(struct npu_bo *bo)
{
	struct npu_run_builder b = { .bo = bo };
	int err;

	err = npu_run_walk(&b);
	if (err)
		return err;
	bo->runs = kvmalloc_array((size_t)b.count + 1, sizeof(*bo->runs), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!bo->runs)
		return -ENOMEM;
	bo->run_count = b.count;
	b.fill = true;
	err = npu_run_walk(&b);
	bo->runs[bo->run_count] = (struct npu_bo_run){ .start = bo->base.size };
	return err;
}

/* ------------------------------------------------------------------------------------------- DMA mappings -- */
static enum dma_data_direction npu_bo_direction(const struct npu_bo *bo)
{
	return bo->readonly ? DMA_TO_DEVICE : DMA_BIDIRECTIONAL;
}

/* The table is DMA mapped. Inside drm_dev_enter(), so that npu_bo_unplug() finds the object. Builds the runs. */
int npu_bo_use_sgt(struct npu_bo *bo, struct sg_table *sgt)
{
	mutex_lock(&npu_bos_lock);
	bo->sgt = sgt;
	list_add(&bo->link, &npu_bos);
	mutex_unlock(&npu_bos_lock);
	return npu_bo_build_runs(bo);
}

/* The import fails, and the table goes back to whom it came from. */
void npu_bo_forget_sgt(struct npu_bo *bo)
{
	mutex_lock(&npu_bos_lock);
	list_del_init(&bo->link);
	bo->sgt = NULL;
	mutex_unlock(&npu_bos_lock);
}

struct npu_bo *npu_bo_revoke_next(struct npu_device *peer)
{
	struct npu_bo *bo, *found = NULL;

	mutex_lock(&npu_bos_lock);
	list_for_each_entry(bo, &npu_bos, link) {
		/* One without references is in no address space. */
		if (bo->peer != peer || bo->revoked || !kref_get_unless_zero(&bo->base.refcount))
			continue;
		drm_dev_get(bo->base.dev);
		/* Whoever binds or copies it from here on sees that under resv. */
		/* pairs with driver/npu_vm.c : npu_bind_prepare */
		/* pairs with driver/npu_copy_job.c : npu_copy_check_objects */
		dma_resv_lock(bo->base.resv, NULL);
		WRITE_ONCE(bo->revoked, true);
		dma_resv_unlock(bo->base.resv);
		found = bo;
		break;
	}
	mutex_unlock(&npu_bos_lock);
	return found;
}

static void npu_bo_detach(struct npu_bo *bo)
{
	drm_prime_gem_destroy(&bo->base, bo->sgt);
	bo->base.import_attach = NULL;
}

/* Undoes what npu_bo_use_sgt() was given. An import that failed is undone by DRM, which still has the attachment. */
static void npu_bo_dma_unmap(struct npu_bo *bo)
{
	lockdep_assert_held(&npu_bos_lock);
	if (list_empty(&bo->link))
		return;
	list_del_init(&bo->link);
	if (bo->kind != NPU_BO_KIND_IMPORT)
		dma_unmap_sgtable(&npu_bo_device(bo)->pdev->dev, bo->sgt, npu_bo_direction(bo), NPU_BO_DMA_ATTRS);
	else if (bo->base.import_attach)
		npu_bo_detach(bo);
}

void npu_bo_unplug(struct npu_device *npu)
{
	struct npu_bo *bo, *next;

	mutex_lock(&npu_bos_lock);
	list_for_each_entry_safe(bo, next, &npu_bos, link) {
		if (npu_bo_device(bo) == npu)
			npu_bo_dma_unmap(bo);
	}
	mutex_unlock(&npu_bos_lock);
}

/* A bounce buffer between host and device: neither sees what the other writes while the mapping lasts. */
static bool npu_bo_bounced(struct npu_bo *bo, struct sg_table *sgt)
{
	struct device *dev = &npu_bo_device(bo)->pdev->dev;
	struct scatterlist *sg;
	unsigned int i;

	/*
	 * An IOMMU maps whole pages as they are; the question below has only one answer behind it on kernels that
	 * check DMA.
	 */
	if (device_iommu_mapped(dev))
		return false;
	for_each_sgtable_dma_sg(sgt, sg, i)
		if (dma_need_sync(dev, sg_dma_address(sg)))
			return true;
	return false;
}

static int npu_bo_dma_map(struct npu_bo *bo, struct sg_table *sgt)
{
	struct npu_device *npu = npu_bo_device(bo);
	struct device *dev = &npu->pdev->dev;
	int idx, err;

	if (!drm_dev_enter(&npu->drm, &idx))
		return -ENODEV;
	err = dma_map_sgtable(dev, sgt, npu_bo_direction(bo), NPU_BO_DMA_ATTRS);
	if (!err && npu_bo_bounced(bo, sgt)) {
		drm_dbg(&npu->drm, "memory behind a bounce buffer; remedy: boot without swiotlb=force\n");
		dma_unmap_sgtable(dev, sgt, npu_bo_direction(bo), NPU_BO_DMA_ATTRS);
		err = -EOPNOTSUPP;
	}
	/* From here on the table is the object's, whatever fails. */
	if (!err)
		err = npu_bo_use_sgt(bo, sgt);
	drm_dev_exit(idx);
	return err;
}

int npu_bo_map_pages(struct npu_bo *bo)
{
	struct sg_table *sgt;
	int err;

	sgt = drm_prime_pages_to_sg(bo->base.dev, bo->pages, bo->base.size >> PAGE_SHIFT);
	if (IS_ERR(sgt))
		return PTR_ERR(sgt);
	err = npu_bo_dma_map(bo, sgt);
	if (!bo->sgt) {
		sg_free_table(sgt);
		kfree(sgt);
	}
	return err;
}

/* --------------------------------------------------------------------------------------------- begin, end -- */
static const struct drm_gem_object_funcs npu_bo_funcs;
static void npu_bo_free_work(struct work_struct *work);

struct npu_bo *npu_bo_alloc(struct npu_device *npu, enum npu_bo_kind kind, u64 bytes)
{
	struct npu_bo *bo = kzalloc(sizeof(*bo), GFP_KERNEL_ACCOUNT);
	int err = 0;

	if (!bo)
		return ERR_PTR(-ENOMEM);
	bo->kind = kind;
	bo->caching = kind == NPU_BO_KIND_HBM ? NPU_CACHING_WC : NPU_CACHING_WB;
	bo->epoch = READ_ONCE(npu->epoch);
	INIT_LIST_HEAD(&bo->link);
	INIT_LIST_HEAD(&bo->hbm.blocks);
	INIT_WORK(&bo->free_work, npu_bo_free_work);
	bo->base.funcs = &npu_bo_funcs;
	if (kind == NPU_BO_KIND_SYSTEM)
		err = drm_gem_object_init(&npu->drm, &bo->base, bytes);
	else
		drm_gem_private_object_init(&npu->drm, &bo->base, bytes);
	if (err) {
		drm_gem_object_release(&bo->base);
		kfree(bo);
		return ERR_PTR(err);
	}
	return bo;
}

int npu_bo_charge(struct npu_file *file, struct npu_bo *bo)
{
	int err;

	err = npu_charge(file, npu_bo_is_hbm(bo) ? NPU_RES_HBM : NPU_RES_SYSTEM, bo->base.size);
	if (err)
		return err;
	kref_get(&file->user->ref);
	bo->user = file->user;
	npu_bo_count(bo);
	return 0;
}

void npu_bo_count(struct npu_bo *bo)
{
	bo->counted = true;
	atomic_inc(&npu_bo_device(bo)->objects);
}

static void npu_bo_refund(struct npu_bo *bo)
{
	struct npu_device *npu = npu_bo_device(bo);

	if (!bo->user)
		return;
	npu_refund(npu, bo->user, npu_bo_is_hbm(bo) ? NPU_RES_HBM : NPU_RES_SYSTEM, bo->base.size);
	npu_user_put(npu, bo->user);
	bo->user = NULL;
}

/* The device has let go of it, or never knew of it. Undoes whatever of its making was done. */
static void npu_bo_destroy(struct npu_bo *bo)
{
	struct npu_device *npu = npu_bo_device(bo);
	const bool counted = bo->counted;

	if (!npu_bo_is_hbm(bo)) {
		mutex_lock(&npu_bos_lock);
		npu_bo_dma_unmap(bo);
		mutex_unlock(&npu_bos_lock);
	}
	if (bo->vaddr)
		vunmap(bo->vaddr);
	if (bo->sgt && bo->kind != NPU_BO_KIND_IMPORT) {
		sg_free_table(bo->sgt);
		kfree(bo->sgt);
	}
	if (bo->kind == NPU_BO_KIND_SYSTEM && bo->pages)
		drm_gem_put_pages(&bo->base, bo->pages, true, true);
	if (bo->kind == NPU_BO_KIND_USERPTR)
		npu_userptr_release(bo);
	if (!list_empty(&bo->hbm.blocks))
		npu_hbm_free(npu, &bo->hbm);
	if (bo->dummy)
		__free_page(bo->dummy);
	kvfree(bo->runs);
	drm_gem_object_release(&bo->base);
	/* The last use of the foreign resv was above. */
	if (bo->dmabuf)
		fput(bo->dmabuf);
	kfree(bo);
	if (counted)
		atomic_dec(&npu->objects);
}

void npu_bo_abandon(struct npu_bo *bo)
{
	npu_bo_refund(bo);
	npu_bo_destroy(bo);
}

static void npu_bo_free_work(struct work_struct *work)
{
	npu_bo_destroy(container_of(work, struct npu_bo, free_work));
}

/*
 * HBM goes at once: somebody may be waiting for it (npu_retire_flush()). The rest takes locks of memory management
 * and of other drivers, which must not happen under vm.lock.
 */
static void npu_bo_retired(struct npu_device *npu, struct npu_retired *retired)
{
	struct npu_bo *bo = container_of(retired, struct npu_bo, retired);

	if (npu_bo_is_hbm(bo))
		npu_bo_destroy(bo);
	else
		queue_work(npu->wq, &bo->free_work);
}

/* The last reference: no handle, no mapping, no VM. */
static void npu_bo_free(struct drm_gem_object *obj)
{
	struct npu_bo *bo = to_npu_bo(obj);

	drm_gem_free_mmap_offset(obj);
	npu_bo_refund(bo);
	bo->retired.fn = npu_bo_retired;
	npu_retire(npu_bo_device(bo), &bo->retired);
}

/* ------------------------------------------------------------------------------------- what DRM asks for -- */
static atomic64_t *npu_bo_sum(struct npu_bo *bo, struct npu_file *file)
{
	return npu_bo_is_hbm(bo) ? &file->hbm_bytes : &file->system_bytes;
}

/* Each handle of a file counts, imports too. */
static int npu_bo_open(struct drm_gem_object *obj, struct drm_file *drm_file)
{
	struct npu_file *file = drm_file->driver_priv;

	if ((u32)atomic_inc_return(&file->bos) > file->npu->limits.bos_max) {
		atomic_dec(&file->bos);
		return -EDQUOT;
	}
	atomic64_add(obj->size, npu_bo_sum(to_npu_bo(obj), file));
	return 0;
}

static void npu_bo_close(struct drm_gem_object *obj, struct drm_file *drm_file)
{
	struct npu_file *file = drm_file->driver_priv;

	atomic64_sub(obj->size, npu_bo_sum(to_npu_bo(obj), file));
	atomic_dec(&file->bos);
}

static enum drm_gem_object_status npu_bo_status(struct drm_gem_object *obj)
{
	return npu_bo_lost(to_npu_bo(obj)) ? 0 : DRM_GEM_OBJECT_RESIDENT;
}

static void npu_bo_print_info(struct drm_printer *p, unsigned int indent, const struct drm_gem_object *obj)
{
	const struct npu_bo *bo = container_of(obj, const struct npu_bo, base);
	static const char *const kinds[] = { "system", "hbm", "userptr", "import" };

	drm_printf_indent(p, indent, "kind=%s flags=0x%x runs=%u%s\n", kinds[bo->kind], bo->flags, bo->run_count,
			  npu_bo_lost(bo) ? " lost" : "");
}

static const struct drm_gem_object_funcs npu_bo_funcs = {
	.free = npu_bo_free,
	.open = npu_bo_open,
	.close = npu_bo_close,
	.print_info = npu_bo_print_info,
	.export = npu_bo_export,
	.pin = npu_bo_pin,
	.get_sg_table = npu_bo_get_sg_table,
	.vmap = npu_bo_vmap,
	.vunmap = npu_bo_vunmap,
	.mmap = npu_bo_mmap,
	.status = npu_bo_status,
	.vm_ops = &npu_bo_vm_ops,
};

struct npu_bo *npu_bo_lookup(struct npu_file *file, u32 handle)
{
	struct drm_gem_object *obj = drm_gem_object_lookup(file->drm_file, handle);

	return obj ? to_npu_bo(obj) : NULL;
}

void *npu_bo_vaddr(struct npu_bo *bo, u64 offset)
{
	if (!bo->vaddr || offset >= bo->base.size)
		return NULL;
	return bo->vaddr + offset;
}

static int npu_bo_read_hbm(struct npu_bo *bo, u64 offset, u64 *value)
{
	struct npu_device *npu = npu_bo_device(bo);
	const struct npu_bo_run *run = &bo->runs[npu_bo_run_at(bo, offset)];
	const u64 at = run->address + (offset - run->start);
	enum npu_state state;
	int idx;

	if (at >= npu->hbm_cpu_bytes)
		return -EOPNOTSUPP;
	if (!drm_dev_enter(&npu->drm, &idx))
		return -ENODEV;
	*value = readq(npu->hbm + at);
	/*
	 * A reset leaves READY before it touches the device and counts the epoch up before it comes back, so a word
	 * that was read across a reset is found out. pairs with driver/npu_reset.c : npu_set_state
	 */
	smp_rmb();
	state = smp_load_acquire(&npu->state); /* then the epoch */
	drm_dev_exit(idx);
	if (state == NPU_STATE_WEDGED)
		return -EIO;
	return state != NPU_STATE_READY || npu_bo_lost(bo) ? -ECANCELED : 0;
}

int npu_bo_read_word(struct npu_bo *bo, u64 offset, u64 *value)
{
	void *page;

	if (npu_validate_span(offset, sizeof(*value), bo->base.size) || offset % sizeof(*value))
		return -EINVAL;
	if (npu_bo_is_hbm(bo))
		return npu_bo_read_hbm(bo, offset, value);
	if (!bo->pages)
		return -EOPNOTSUPP; /* another driver's memory need not have a kernel mapping */
	page = kmap_local_page(bo->pages[offset >> PAGE_SHIFT]);
	*value = READ_ONCE(*(u64 *)(page + offset_in_page(offset)));
	kunmap_local(page);
	return 0;
}

/* ------------------------------------------------------------------------------------------------- making -- */
static int npu_bo_back_system(struct npu_bo *bo)
{
	struct page **pages;

	/* DRM's array of pages would be larger than the kernel allocates. */
	if (bo->base.size >> PAGE_SHIFT > INT_MAX / sizeof(*pages))
		return -ENOMEM;
	/* Fails rather than calling the OOM killer for a size that somebody made up. */
	mapping_set_gfp_mask(bo->base.filp->f_mapping, GFP_HIGHUSER | __GFP_RETRY_MAYFAIL | __GFP_NOWARN);
	pages = drm_gem_get_pages(&bo->base);
	if (IS_ERR(pages))
		return PTR_ERR(pages) == -EINTR ? -EINTR : -ENOMEM;
	bo->pages = pages;
	if (bo->flags & NPU_BO_SYNC) {
		bo->vaddr = vmap(pages, bo->base.size >> PAGE_SHIFT, VM_MAP, PAGE_KERNEL);
		if (!bo->vaddr)
			return -ENOMEM;
	}
	return npu_bo_map_pages(bo);
}

static int npu_bo_back_hbm(struct npu_bo *bo, u32 align_log2)
{
	struct npu_device *npu = npu_bo_device(bo);
	u64 align = bo->flags & NPU_BO_HUGE ? NPU_PAGE_2M : NPU_PAGE_64K;
	u32 flags = bo->flags & NPU_BO_CONTIGUOUS ? NPU_HBM_CONTIGUOUS : 0;
	bool again;
	int idx, err;

	/* A place that is asked for is the place of one piece. */
	if (1ULL << align_log2 > NPU_PAGE_64K)
		flags |= NPU_HBM_CONTIGUOUS;
	align = max(align, 1ULL << align_log2);
	do {
		err = npu_enter(npu, &idx);
		if (err)
			return err;
		bo->epoch = READ_ONCE(npu->epoch);
		err = npu_hbm_alloc(npu, bo->base.size, align, flags, &bo->hbm);
		again = npu_cut_short(npu, err); /* while it was being cleared: nobody has seen it yet */
		npu_leave(npu, idx);
	} while (again);
	if (err) {
		INIT_LIST_HEAD(&bo->hbm.blocks);
		return err;
	}
	return npu_bo_build_runs(bo);
}

/* All of it lies where BAR2 shows it. */
bool npu_bo_visible(const struct npu_bo *bo)
{
	const u64 visible = npu_bo_device(bo)->hbm_cpu_bytes;
	u32 i;

	for (i = 0; i < bo->run_count; i++) {
		const u64 bytes = bo->runs[i + 1].start - bo->runs[i].start;

		if (bytes > visible || bo->runs[i].address > visible - bytes)
			return false;
	}
	return true;
}

static int npu_bo_make_mappable(struct npu_bo *bo)
{
	if ((bo->flags & NPU_BO_NO_MMAP) || (npu_bo_is_hbm(bo) && !npu_bo_visible(bo)))
		return 0;
	return drm_gem_create_mmap_offset(&bo->base);
}

static u64 npu_bo_map_token(struct npu_bo *bo)
{
	return drm_mm_node_allocated(&bo->base.vma_node.vm_node) ? drm_vma_node_offset_addr(&bo->base.vma_node) : 0;
}

static u64 npu_bo_page_bytes(const struct npu_bo *bo)
{
	if (!npu_bo_is_hbm(bo))
		return NPU_PAGE_4K;
	return bo->flags & NPU_BO_HUGE ? NPU_PAGE_2M : NPU_PAGE_64K;
}

static struct npu_bo *npu_bo_create(struct npu_file *file, const struct npu_bo_create *args, u64 exclusive_vm)
{
	const bool hbm = args->region == NPU_REGION_HBM;
	u64 page = npu_region_page_bytes(args->region);
	struct npu_bo *bo;
	int err;

	if (args->flags & NPU_BO_HUGE)
		page = NPU_PAGE_2M;
	bo = npu_bo_alloc(file->npu, hbm ? NPU_BO_KIND_HBM : NPU_BO_KIND_SYSTEM, ALIGN(args->size_bytes, page));
	if (IS_ERR(bo))
		return bo;
	bo->flags = args->flags;
	bo->exclusive_vm = exclusive_vm;
	err = npu_bo_charge(file, bo);
	if (!err)
		err = hbm ? npu_bo_back_hbm(bo, args->align_log2) : npu_bo_back_system(bo);
	if (!err)
		err = npu_bo_make_mappable(bo);
	if (err) {
		npu_bo_abandon(bo);
		return ERR_PTR(err);
	}
	return bo;
}

int npu_bo_create_kernel(struct npu_device *npu, u64 bytes, struct npu_bo **out)
{
	struct npu_bo *bo = npu_bo_alloc(npu, NPU_BO_KIND_SYSTEM, bytes);
	int err;

	if (IS_ERR(bo))
		return PTR_ERR(bo);
	bo->flags = NPU_BO_SYNC | NPU_BO_NO_MMAP;
	err = npu_bo_back_system(bo);
	if (err) {
		npu_bo_abandon(bo);
		return err;
	}
	*out = bo;
	return 0;
}

/* -------------------------------------------------------------------------------------------------- calls -- */
int npu_bo_create_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct npu_file *file = drm_file->driver_priv;
	struct npu_bo_create *args = data;
	u64 bytes, token, exclusive_vm = 0;
	struct npu_vm *vm;
	struct npu_bo *bo;
	u32 handle;
	int err;

	/* One instance of each region. */
	if (args->region_mask & ~1u)
		return -EINVAL;
	if (args->vm_id) {
		vm = npu_vm_lookup(file, args->vm_id);
		if (!vm)
			return -ENOENT;
		exclusive_vm = vm->serial;
		npu_vm_put(vm);
	}
	if ((u32)atomic_read(&file->bos) >= file->npu->limits.bos_max)
		return -EDQUOT;
	bo = npu_bo_create(file, args, exclusive_vm);
	if (IS_ERR(bo))
		return PTR_ERR(bo);
	bytes = bo->base.size;
	token = npu_bo_map_token(bo);
	/* From here on another thread may guess the handle and close it. */
	err = drm_gem_handle_create(drm_file, &bo->base, &handle);
	drm_gem_object_put(&bo->base);
	if (err)
		return err;
	args->size_bytes = bytes;
	args->handle = handle;
	args->map_token = token;
	return 0;
}

int npu_bo_info_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct npu_bo_info *args = data;
	struct npu_bo *bo;

	bo = npu_bo_lookup(drm_file->driver_priv, args->handle);
	if (!bo)
		return -ENOENT;
	args->flags = bo->flags;
	args->region = npu_bo_is_hbm(bo) || bo->peer ? NPU_REGION_HBM : NPU_REGION_SYSTEM;
	args->state = npu_bo_lost(bo) ? NPU_BO_LOST : NPU_BO_READY;
	args->size_bytes = bo->base.size;
	args->page_bytes = npu_bo_page_bytes(bo);
	args->map_token = npu_bo_map_token(bo);
	drm_gem_object_put(&bo->base);
	return 0;
}

int npu_bo_set_label_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct npu_bo_set_label *args = data;
	struct npu_bo *bo;
	int err;

	bo = npu_bo_lookup(drm_file->driver_priv, args->handle);
	if (!bo)
		return -ENOENT;
	err = dma_resv_lock_interruptible(bo->base.resv, NULL);
	if (!err) {
		memcpy(bo->label, args->label, sizeof(bo->label));
		dma_resv_unlock(bo->base.resv);
	}
	drm_gem_object_put(&bo->base);
	return err;
}
