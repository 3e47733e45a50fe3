// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * DOC: objects in a process
 *
 * System memory is mapped page by page from its array and stays what it is, come what may. HBM is mapped through
 * BAR2, write-combining, and may be taken away: before a reset, and when the device leaves. Whoever touches it then
 * finds a page of the object that stands in for all of it, as DRM demands of a device that is unplugged: no process
 * gets a signal for what it cannot help. A reset loses the content of HBM, so a LOST object shows that page for the
 * rest of its life.
 *
 * One fault maps the neighbours too, up to 256 KiB. Rejected: remap_pfn_range() at mmap() time, which cannot be
 * undone by a later fault and costs page tables for what is never touched; one stand-in page for all objects, in
 * which processes could read what others write.
 */
#include <linux/mm.h>
#include <linux/rwsem.h>

#include <drm/drm_vma_manager.h>

#include "npu_drv.h"

#define NPU_FAULT_PAGES 64u

/*
 * Read: a fault looks at the state of the device and maps HBM as one step; write: mappings are taken away. Leaf,
 * under mmap_lock.
 */
static DECLARE_RWSEM(npu_hbm_maps);

/* Pages of the VMA around the fault, [first, end), as offsets in the object. */
struct npu_around {
	struct vm_area_struct *vma;
	unsigned long first, end;
	unsigned long base; /* page of the object at vm_start */
};

static struct npu_around npu_fault_around(const struct vm_fault *vmf, const struct drm_gem_object *obj)
{
	struct vm_area_struct *vma = vmf->vma;
	const unsigned long node = drm_vma_node_start(&obj->vma_node);
	const unsigned long page = vmf->pgoff - node;
	struct npu_around around = { .vma = vma, .base = vma->vm_pgoff - node };

	around.first = max(around.base, round_down(page, NPU_FAULT_PAGES));
	around.end = min(around.base + vma_pages(vma), round_down(page, NPU_FAULT_PAGES) + NPU_FAULT_PAGES);
	return around;
}

static unsigned long npu_around_address(const struct npu_around *around, unsigned long page)
{
	return around->vma->vm_start + ((page - around->base) << PAGE_SHIFT);
}

/* The page that faulted decides; a neighbour that cannot be mapped now faults later. */
static vm_fault_t npu_fault_system(struct vm_fault *vmf, struct npu_bo *bo)
{
	const struct npu_around around = npu_fault_around(vmf, &bo->base);
	const unsigned long fault = vmf->pgoff - drm_vma_node_start(&bo->base.vma_node);
	unsigned long page;
	vm_fault_t ret;

	ret = vmf_insert_pfn(vmf->vma, vmf->address, page_to_pfn(bo->pages[fault]));
	for (page = around.first; page < around.end && ret == VM_FAULT_NOPAGE; page++) {
		if (page == fault)
			continue;
		if (vmf_insert_pfn(vmf->vma, npu_around_address(&around, page), page_to_pfn(bo->pages[page])) !=
		    VM_FAULT_NOPAGE)
			break;
	}
	return ret;
}

struct npu_fault_piece {
	struct npu_device *npu;
	struct npu_around around;
	unsigned long page;
	pgprot_t prot;
	vm_fault_t ret;
};

static int npu_fault_hbm_piece(void *arg, u64 address, u64 bytes, bool is_hbm)
{
	struct npu_fault_piece *f = arg;

	for (; bytes; address += PAGE_SIZE, bytes -= PAGE_SIZE) {
		f->ret = vmf_insert_pfn_prot(f->around.vma, npu_around_address(&f->around, f->page),
					     PHYS_PFN(f->npu->hbm_phys + address), f->prot);
		if (f->ret != VM_FAULT_NOPAGE)
			return -EFAULT;
		f->page++;
	}
	return 0;
}

static vm_fault_t npu_fault_hbm(struct vm_fault *vmf, struct npu_bo *bo)
{
	struct npu_fault_piece f = {
		.npu = to_npu(bo->base.dev),
		.around = npu_fault_around(vmf, &bo->base),
		.prot = pgprot_writecombine(vmf->vma->vm_page_prot),
	};
	const unsigned long fault = vmf->pgoff - drm_vma_node_start(&bo->base.vma_node);

	/* First the page that faulted: it decides. */
	f.page = fault;
	npu_bo_walk_pieces(bo, (u64)fault << PAGE_SHIFT, PAGE_SIZE, npu_fault_hbm_piece, &f);
	if (f.ret == VM_FAULT_NOPAGE) {
		f.page = f.around.first;
		npu_bo_walk_pieces(bo, (u64)f.around.first << PAGE_SHIFT,
				      (u64)(f.around.end - f.around.first) << PAGE_SHIFT, npu_fault_hbm_piece, &f);
		f.ret = VM_FAULT_NOPAGE;
	}
	return f.ret;
}

static vm_fault_t npu_fault_dummy(struct vm_fault *vmf, struct npu_bo *bo)
{
	struct page *page = READ_ONCE(bo->dummy);

	if (!page) {
		struct page *fresh = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);

		if (!fresh)
			return VM_FAULT_OOM;
		/* Two threads may fault at once: all mappings of an object show the same page. */
		page = cmpxchg(&bo->dummy, NULL, fresh);
		if (page)
			__free_page(fresh);
		else
			page = fresh;
	}
	return vmf_insert_pfn(vmf->vma, vmf->address, page_to_pfn(page));
}

static bool npu_hbm_reachable(struct npu_bo *bo)
{
	struct npu_device *npu = to_npu(bo->base.dev);

	lockdep_assert_held(&npu_hbm_maps);
	/* pairs with driver/npu_mmap.c : npu_bo_revoke_hbm */
	return smp_load_acquire(&npu->state) == NPU_STATE_READY && !npu_bo_lost(bo) && !drm_dev_is_unplugged(&npu->drm);
}

static vm_fault_t npu_bo_fault_hbm(struct vm_fault *vmf, struct npu_bo *bo)
{
	vm_fault_t ret;

	down_read(&npu_hbm_maps);
	ret = npu_hbm_reachable(bo) ? npu_fault_hbm(vmf, bo) : npu_fault_dummy(vmf, bo);
	up_read(&npu_hbm_maps);
	return ret;
}

static vm_fault_t npu_bo_fault(struct vm_fault *vmf)
{
	struct drm_gem_object *obj = vmf->vma->vm_private_data;
	struct npu_bo *bo = to_npu_bo(obj);

	/* mremap() may have made a VMA that is longer than the object. */
	if (vmf->pgoff - drm_vma_node_start(&obj->vma_node) >= obj->size >> PAGE_SHIFT)
		return VM_FAULT_SIGBUS;
	return npu_bo_is_hbm(bo) ? npu_bo_fault_hbm(vmf, bo) : npu_fault_system(vmf, bo);
}

const struct vm_operations_struct npu_bo_vm_ops = {
	.fault = npu_bo_fault,
	.open = drm_gem_vm_open,
	.close = drm_gem_vm_close,
};

int npu_bo_mmap(struct drm_gem_object *obj, struct vm_area_struct *vma)
{
	struct npu_bo *bo = to_npu_bo(obj);

	/* By way of its dma-buf an object without a mmap offset would come here too. */
	if ((bo->flags & NPU_BO_NO_MMAP) || bo->kind == NPU_BO_KIND_USERPTR || bo->kind == NPU_BO_KIND_IMPORT)
		return -EACCES;
	/* A private mapping would copy pages at the first store, and go on without the device. */
	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	if (npu_bo_is_hbm(bo)) {
		/* DRM hangs a dma-buf's file on the same address_space; from another nothing could be taken away. */
		if (vma->vm_file->f_mapping != obj->dev->anon_inode->i_mapping)
			return -EOPNOTSUPP;
		vm_flags_set(vma, VM_IO);
		vma->vm_page_prot = pgprot_writecombine(vm_get_page_prot(vma->vm_flags));
	}
	vm_flags_set(vma, VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	return 0;
}

int npu_mmap(struct file *filp, struct vm_area_struct *vma)
{
	struct drm_file *drm_file = filp->private_data;

	if (vma->vm_pgoff >= NPU_MMAP_DOORBELL >> PAGE_SHIFT)
		return npu_doorbell_mmap(drm_file->driver_priv, vma);
	return drm_gem_mmap(filp, vma);
}

void npu_bo_revoke_hbm(struct npu_device *npu)
{
	/*
	 * Who faulted before has mapped before the pages are taken away; who faults later sees the state or epoch
	 * that the caller wrote.
	 */
	down_write(&npu_hbm_maps); /* pairs with driver/npu_mmap.c : npu_hbm_reachable */
	/*
	 * Objects of system memory lose theirs too and map them again: telling them apart would cost a list of HBM
	 * objects.
	 */
	unmap_mapping_range(npu->drm.anon_inode->i_mapping, 0, 0, 1);
	up_write(&npu_hbm_maps);
}
