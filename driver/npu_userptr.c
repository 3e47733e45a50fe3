// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * DOC: memory of a process as an object
 *
 * The pages are pinned for as long as the object lives (FOLL_LONGTERM, so they are moved out of memory that must stay
 * movable), and count against RLIMIT_MEMLOCK by way of mm->pinned_vm, as RDMA counts them, besides the quota of
 * system memory. CAP_IPC_LOCK lifts the former.
 *
 * Rejected: MMU notifiers instead of pins. When the kernel takes such a page away, the device would have to stop
 * every queue that can reach it.
 */
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "npu_drv.h"

#define NPU_PIN_PAGES 65536ul /* in one step, so that a signal gets through */

static int npu_userptr_account(struct npu_bo *bo)
{
	const unsigned long pages = bo->base.size >> PAGE_SHIFT;
	const unsigned long limit = rlimit(RLIMIT_MEMLOCK) >> PAGE_SHIFT;
	struct mm_struct *mm = current->mm;

	if ((unsigned long)atomic64_add_return(pages, &mm->pinned_vm) > limit && !capable(CAP_IPC_LOCK)) {
		atomic64_sub(pages, &mm->pinned_vm);
		drm_dbg(bo->base.dev, "%lu pages would pass RLIMIT_MEMLOCK (%lu); remedy: ulimit -l\n", pages, limit);
		return -EDQUOT;
	}
	mmgrab(mm);
	bo->mm = mm;
	return 0;
}

/* Pins all of it, or nothing. */
static int npu_userptr_pin(struct npu_bo *bo, unsigned long address)
{
	const unsigned int flags = FOLL_LONGTERM | (bo->readonly ? 0 : FOLL_WRITE);
	const unsigned long count = bo->base.size >> PAGE_SHIFT;
	unsigned long done = 0;
	struct page **pages;
	long got = -EINTR;

	pages = kvmalloc_array(count, sizeof(*pages), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!pages)
		return -ENOMEM;
	while (done < count && !fatal_signal_pending(current)) {
		got = pin_user_pages_fast(address + (done << PAGE_SHIFT), min(count - done, NPU_PIN_PAGES), flags,
					  pages + done);
		if (got <= 0)
			break;
		done += got;
		cond_resched();
	}
	if (done < count) {
		unpin_user_pages(pages, done);
		kvfree(pages);
		return got < 0 ? got : -EINTR;
	}
	bo->pages = pages;
	return 0;
}

void npu_userptr_release(struct npu_bo *bo)
{
	const unsigned long count = bo->base.size >> PAGE_SHIFT;

	if (bo->pages) {
		unpin_user_pages_dirty_lock(bo->pages, count, !bo->readonly);
		kvfree(bo->pages);
	}
	if (bo->mm) {
		atomic64_sub(count, &bo->mm->pinned_vm);
		mmdrop(bo->mm);
	}
}

static struct npu_bo *npu_userptr_create(struct npu_file *file, const struct npu_bo_create_userptr *args)
{
	struct npu_bo *bo = npu_bo_alloc(file->npu, NPU_BO_KIND_USERPTR, args->size_bytes);
	int err;

	if (IS_ERR(bo))
		return bo;
	bo->readonly = args->flags & NPU_USERPTR_READONLY;
	bo->flags = NPU_BO_NO_MMAP; /* the process has its own mapping */
	err = npu_bo_charge(file, bo);
	if (!err)
		err = npu_userptr_account(bo);
	if (!err)
		err = npu_userptr_pin(bo, args->address);
	if (!err)
		err = npu_bo_map_pages(bo);
	if (err) {
		npu_bo_abandon(bo);
		return ERR_PTR(err);
	}
	return bo;
}

int npu_bo_create_userptr_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct npu_file *file = drm_file->driver_priv;
	struct npu_bo_create_userptr *args = data;
	struct npu_bo *bo;
	u32 handle;
	int err;

	/* A file is the other road's way. */
	if (args->fd != -1)
		return -EOPNOTSUPP;
	if (args->address > TASK_SIZE_MAX || args->size_bytes > TASK_SIZE_MAX - args->address)
		return -EFAULT;
	if ((u32)atomic_read(&file->bos) >= file->npu->limits.bos_max)
		return -EDQUOT;
	bo = npu_userptr_create(file, args);
	if (IS_ERR(bo))
		return PTR_ERR(bo);
	err = drm_gem_handle_create(drm_file, &bo->base, &handle);
	drm_gem_object_put(&bo->base);
	if (err)
		return err;
	args->handle = handle;
	return 0;
}
