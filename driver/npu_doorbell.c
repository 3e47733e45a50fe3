// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * DOC: doorbells
 *
 * One 4 KiB page of BAR0 for each open file, 512 slots of 64 bits, one slot a queue. The device ties a slot to its queue, so a
 * process rings only its own queues however it misuses its page.
 *
 * A mapping is revocable. Its pages come from a fault handler: the real page while the device is active, else a page of
 * memory that belongs to the file, into which stores vanish. Before a reset, and when the device leaves, every mapping is
 * taken away; after a reset once more, so that those who met the memory find the device again. No process sees a signal.
 *
 * Rejected: io_remap_pfn_range() at mmap() time, which leaves stores of a process running into a device that is being reset, or
 * into the page of the next owner; and SIGBUS, since a process cannot help it that the device resets.
 */
#include <linux/mm.h>

#include "npu_drv.h"

static unsigned long npu_doorbell_pfn(struct npu_file *file)
{
	return PHYS_PFN(file->npu->regs_phys + NPU_BAR0_DOORBELLS) + file->doorbell_page;
}

/*
 * The device's page of this file, and the memory that stands in for it. Both stay until the file is closed. Under doorbell_lock, not
 * file.lock, which is held over waits for the device: mmap() calls this with the mmap_lock of the process.
 */
static int npu_doorbell_page_get(struct npu_file *file)
{
	struct npu_device *npu = file->npu;
	int page = 0;

	mutex_lock(&npu->doorbell_lock);
	if (file->doorbell_page >= 0)
		goto unlock;
	if (!file->doorbell_dummy)
		file->doorbell_dummy = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	page = file->doorbell_dummy ? ida_alloc_range(&npu->doorbell_pages, 1, npu->id.doorbell_pages - 1, GFP_KERNEL) :
				      -ENOMEM;
	if (page > 0)
		file->doorbell_page = page;
unlock:
	mutex_unlock(&npu->doorbell_lock);
	return min(page, 0);
}

int npu_doorbell_get(struct npu_file *file, u32 *slot)
{
	unsigned long free;
	int err;

	lockdep_assert_held(&file->lock);
	err = npu_doorbell_page_get(file);
	if (err)
		return err;
	free = find_first_zero_bit(file->doorbell_slots, NPU_DOORBELL_SLOTS);
	if (free >= NPU_DOORBELL_SLOTS)
		return -ENOSPC;
	__set_bit(free, file->doorbell_slots);
	*slot = free;
	return 0;
}

void npu_doorbell_put(struct npu_file *file, u32 slot)
{
	mutex_lock(&file->lock);
	__clear_bit(slot, file->doorbell_slots);
	mutex_unlock(&file->lock);
}

/* The file is closing: its queues have gone, and a mapping would have kept it open. */
void npu_doorbell_fini(struct npu_file *file)
{
	if (file->doorbell_page >= 0)
		ida_free(&file->npu->doorbell_pages, file->doorbell_page);
	if (file->doorbell_dummy)
		__free_page(file->doorbell_dummy);
}

/*
 * mmap_lock or the VMA's lock is held. doorbell_lock makes the look at the state and the insertion one step for
 * npu_doorbell_revoke_all().
 */
static vm_fault_t npu_doorbell_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct npu_file *file = vma->vm_private_data;
	struct npu_device *npu = file->npu;
	pgprot_t prot = vma->vm_page_prot;
	unsigned long pfn;
	vm_fault_t ret;

	mutex_lock(&npu->doorbell_lock);
	if (READ_ONCE(npu->state) == NPU_STATE_READY && !drm_dev_is_unplugged(&npu->drm)) {
		pfn = npu_doorbell_pfn(file);
		prot = pgprot_noncached(prot);
	} else {
		pfn = page_to_pfn(file->doorbell_dummy);
	}
	ret = vmf_insert_pfn_prot(vma, vmf->address, pfn, prot);
	mutex_unlock(&npu->doorbell_lock);
	return ret;
}

static const struct vm_operations_struct npu_doorbell_vm_ops = {
	.fault = npu_doorbell_fault,
};

/* The VMA holds the open file, so `file` outlives it. */
int npu_doorbell_mmap(struct npu_file *file, struct vm_area_struct *vma)
{
	int err;

	/* Larger pages would show the doorbells of other files too. */
	BUILD_BUG_ON(PAGE_SIZE != NPU_DOORBELL_PAGE_BYTES);
	if (vma->vm_pgoff != NPU_MMAP_DOORBELL >> PAGE_SHIFT || vma_pages(vma) != 1)
		return -EINVAL;
	/* A private copy would swallow what is rung; nothing in it can be executed. */
	if (!(vma->vm_flags & VM_SHARED) || (vma->vm_flags & VM_EXEC))
		return -EINVAL;
	err = npu_doorbell_page_get(file);
	if (err)
		return err;
	vm_flags_mod(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP, VM_MAYEXEC);
	vma->vm_ops = &npu_doorbell_vm_ops;
	vma->vm_private_data = file;
	return 0;
}

void npu_doorbell_revoke_all(struct npu_device *npu)
{
	mutex_lock(&npu->doorbell_lock);
	/* All open files of the device share this mapping, and the page has the same offset in each. */
	unmap_mapping_range(npu->drm.anon_inode->i_mapping, NPU_MMAP_DOORBELL, PAGE_SIZE, 1);
	mutex_unlock(&npu->doorbell_lock);
}

void npu_doorbell_ring_kernel(struct npu_device *npu, u64 value)
{
	/* writeq() orders itself behind the stores of the command. */
	writeq(value, npu->regs + NPU_BAR0_DOORBELLS);
}
