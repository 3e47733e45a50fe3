// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * DOC: address spaces
 *
 * What is mapped where is kept in a drm_gpuvm, whose areas hold their objects, and in page tables of the device
 * (npu_mmu.c). VM_BIND changes both, all operations or none, in two phases:
 *
 *   prepare   looks at every operation, allocates every area that splitting can need, every drm_gpuvm_bo and every
 *             page table. It may fail, and then no address translates differently.
 *   commit    uses what was prepared and cannot fail. Then the TLB is flushed, and what was unmapped is let go.
 *
 * It is done when the call returns. Rejected: asynchronous binds with fences, as drivers with kernel-scheduled queues
 * have them: user-mode queues have no point in time that a fence could stand for. Rejected too: DRM's lists of
 * operations (drm_gpuvm_sm_map_ops_create()) for a whole call: they are made for the state before the call, while an
 * operation here may split what an earlier one of the same call maps.
 *
 * DOC: end of an address space
 *
 * Every area and every drm_gpuvm_bo holds a reference on the VM, so VM_DESTROY and close() empty it; the last reference
 * frees only the struct. A reset leaves the VM as LOST: its tables are void, its bookkeeping stays until it is
 * destroyed.
 *
 * Locks: vm.lock over everything; an object's resv, one at a time, for the moment in which an area is hung on it.
 * References that may be the last ones are dropped after vm.lock.
 */
#include <linux/slab.h>

#include "npu_drv.h"
#include "npu_trace.h"

/* One area of an address space. */
struct npu_va {
	struct drm_gpuva base;
	struct list_head link; /* npu_bind.spare, or npu_vm.dropped */
	struct drm_gem_object *held; /* of a dropped one: lives until the device has forgotten the area */
	u32 flags; /* NPU_BIND_* */
};

/* An UNMAP or the place for a MAP cuts at most one area at its begin and one at its end. */
#define NPU_BIND_SPARES 3u /* 2, and the new one */

struct npu_bind_step {
	struct npu_bind_op op;
	struct npu_bo *bo; /* a reference; NULL: unmap */
	struct drm_gpuvm_bo *vm_bo; /* a reference */
};

struct npu_bind {
	struct npu_vm *vm;
	struct npu_file *file;
	struct npu_bind_step *steps;
	u32 count;
	struct list_head spare;
	const struct npu_bind_step *current_step; /* of commit */
};

static struct npu_vm *to_npu_vm(struct drm_gpuvm *base)
{
	return container_of(base, struct npu_vm, base);
}

static struct npu_va *to_npu_va(struct drm_gpuva *base)
{
	return container_of(base, struct npu_va, base);
}

/* -------------------------------------------------------------------------------------------------- areas -- */
/* Hangs an area that is in the tree on its object. */
static void npu_va_link(struct npu_vm *vm, struct npu_va *va, struct drm_gpuvm_bo *vm_bo)
{
	struct drm_gem_object *obj = va->base.gem.obj;

	lockdep_assert_held(&vm->lock);
	dma_resv_lock(obj->resv, NULL);
	drm_gpuva_link(&va->base, vm_bo);
	dma_resv_unlock(obj->resv);
	vm->mapped_bytes += va->base.va.range;
	atomic_inc(&vm->npu->mappings);
}

/* Takes an area that has left the tree from its object, and keeps the object until the device has forgotten it. */
static void npu_va_drop(struct npu_vm *vm, struct npu_va *va)
{
	struct drm_gem_object *obj = va->base.gem.obj;

	lockdep_assert_held(&vm->lock);
	/* The area's own reference may be the last one and goes while resv is held. */
	drm_gem_object_get(obj);
	va->held = obj;
	dma_resv_lock(obj->resv, NULL);
	drm_gpuva_unlink(&va->base);
	dma_resv_unlock(obj->resv);
	list_add_tail(&va->link, &vm->dropped);
	vm->mapped_bytes -= va->base.va.range;
	atomic_dec(&vm->npu->mappings);
}

/* Lets go of dropped or spare areas. Without vm.lock: an object's end may take locks of other drivers. */
static void npu_va_free_list(struct npu_device *npu, struct npu_user *user, struct list_head *list)
{
	struct npu_va *va, *next;

	list_for_each_entry_safe(va, next, list, link) {
		list_del(&va->link);
		if (va->held)
			drm_gem_object_put(va->held);
		kfree(va);
		npu_refund(npu, user, NPU_RES_SYSTEM, sizeof(*va));
		cond_resched();
	}
}

static struct npu_va *npu_bind_take_spare(struct npu_bind *bind)
{
	struct npu_va *va = list_first_entry(&bind->spare, struct npu_va, link);

	list_del_init(&va->link);
	return va;
}

static int npu_vm_step_map(struct drm_gpuva_op *op, void *priv)
{
	struct npu_bind *bind = priv;
	struct npu_va *va = npu_bind_take_spare(bind);

	va->flags = bind->current_step->op.flags;
	drm_gpuva_map(&bind->vm->base, &va->base, &op->map);
	npu_va_link(bind->vm, va, bind->current_step->vm_bo);
	return 0;
}

static int npu_vm_step_remap(struct drm_gpuva_op *op, void *priv)
{
	struct npu_bind *bind = priv;
	struct npu_va *old = to_npu_va(op->remap.unmap->va);
	struct npu_va *prev = op->remap.prev ? npu_bind_take_spare(bind) : NULL;
	struct npu_va *next = op->remap.next ? npu_bind_take_spare(bind) : NULL;
	struct drm_gpuvm_bo *vm_bo = old->base.vm_bo;

	drm_gpuva_remap(prev ? &prev->base : NULL, next ? &next->base : NULL, &op->remap);
	if (prev) {
		prev->flags = old->flags;
		npu_va_link(bind->vm, prev, vm_bo);
	}
	if (next) {
		next->flags = old->flags;
		npu_va_link(bind->vm, next, vm_bo);
	}
	npu_va_drop(bind->vm, old);
	return 0;
}

static int npu_vm_step_unmap(struct drm_gpuva_op *op, void *priv)
{
	struct npu_bind *bind = priv;

	drm_gpuva_unmap(&op->unmap);
	npu_va_drop(bind->vm, to_npu_va(op->unmap.va));
	return 0;
}

/* --------------------------------------------------------------------------------------------- begin, end -- */
/* Takes the driver's own address space off the device when it can be reached; that of a user is empty by now. */
static void npu_vm_free(struct drm_gpuvm *base)
{
	struct npu_vm *vm = to_npu_vm(base);
	struct npu_device *npu = vm->npu;
	int idx;

	if (vm->has_root) {
		const bool hw = drm_dev_enter(&npu->drm, &idx);

		drm_WARN_ON(&npu->drm, vm->user);
		mutex_lock(&vm->lock);
		if (!npu_mmu_destroy(vm, hw))
			drm_dbg(&npu->drm, "the device keeps the driver's own context\n");
		mutex_unlock(&vm->lock);
		if (hw)
			drm_dev_exit(idx);
	}
	drm_WARN_ON(&npu->drm, !list_empty(&vm->dropped) || !list_empty(&vm->pins));
	npu_user_put(npu, vm->user);
	mutex_destroy(&vm->lock);
	kfree(vm);
	atomic_dec(&npu->vms);
}

static const struct drm_gpuvm_ops npu_gpuvm_ops = {
	.vm_free = npu_vm_free,
	.sm_step_map = npu_vm_step_map,
	.sm_step_remap = npu_vm_step_remap,
	.sm_step_unmap = npu_vm_step_unmap,
};

struct npu_vm *npu_vm_alloc(struct npu_device *npu, u64 va_end)
{
	static atomic64_t last_serial;
	struct npu_vm *vm = kzalloc(sizeof(*vm), GFP_KERNEL_ACCOUNT);
	struct drm_gem_object *resv;

	if (!vm)
		return NULL;
	resv = drm_gpuvm_resv_object_alloc(&npu->drm);
	if (!resv) {
		kfree(vm);
		return NULL;
	}
	vm->npu = npu;
	vm->va_end = va_end;
	vm->serial = atomic64_inc_return(&last_serial);
	vm->epoch = READ_ONCE(npu->epoch);
	mutex_init(&vm->lock);
	INIT_LIST_HEAD(&vm->pins);
	INIT_LIST_HEAD(&vm->dropped);
	INIT_LIST_HEAD(&vm->freed_tables);
	drm_gpuvm_init(&vm->base, "npu", 0, &npu->drm, resv, NPU_VA_MIN, va_end - NPU_VA_MIN, 0, 0, &npu_gpuvm_ops);
	drm_gem_object_put(resv);
	atomic_inc(&npu->vms);
	return vm;
}

/* The device is reset or stopped: nothing of it can be in use. */
static void npu_vm_remains_retired(struct npu_device *npu, struct npu_retired *remains)
{
	struct npu_vm *vm = container_of(remains, struct npu_vm, remains);

	npu_va_free_list(npu, vm->user, &vm->dropped);
	INIT_LIST_HEAD(&vm->freed_tables);
	npu_refund(npu, vm->user, NPU_RES_SYSTEM, vm->table_bytes);
	npu_refund(npu, vm->user, NPU_RES_HBM, vm->table_bytes);
	vm->table_bytes = 0;
	vm->has_root = false;
	ida_free(&npu->contexts, vm->context);
	npu_vm_put(vm);
}

/*
 * Empties it, takes it off the device and gives back what it holds. hw: inside npu_enter(); else the device is stopped
 * for good. Once for each VM that has a context number.
 */
static void npu_vm_end(struct npu_vm *vm, bool hw)
{
	struct npu_device *npu = vm->npu;
	struct drm_gpuva *base, *next;
	LIST_HEAD(dropped);
	bool gone;

	mutex_lock(&vm->lock);
	vm->ended = true;
	drm_gpuvm_for_each_va_safe(base, next, &vm->base) {
		drm_gpuva_remove(base);
		npu_va_drop(vm, to_npu_va(base));
		cond_resched();
	}
	gone = npu_mmu_destroy(vm, hw);
	if (gone)
		list_splice_init(&vm->dropped, &dropped);
	else
		npu_mmu_give_up(vm);
	mutex_unlock(&vm->lock);
	npu_refund(npu, vm->user, NPU_RES_VMS, 1);
	if (!gone) {
		vm->remains.fn = npu_vm_remains_retired;
		npu_vm_get(vm);
		npu_retire_at_reset(npu, &vm->remains);
		return;
	}
	npu_va_free_list(npu, vm->user, &dropped);
	ida_free(&npu->contexts, vm->context);
}

struct npu_vm *npu_vm_lookup(struct npu_file *file, u32 id)
{
	struct npu_vm *vm;

	/* Whoever takes it out of the table puts the table's reference afterwards. */
	xa_lock(&file->vms);
	vm = xa_load(&file->vms, id);
	if (vm)
		npu_vm_get(vm);
	xa_unlock(&file->vms);
	return vm;
}

void npu_vm_close_all(struct npu_file *file)
{
	struct npu_device *npu = file->npu;
	struct npu_vm *vm;
	unsigned long id;
	int idx, err;

	if (xa_empty(&file->vms))
		return;
	/* A reset that runs is waited for, whatever signals came: no context of the device may stay. */
	err = npu_enter_always(npu, &idx);
	xa_for_each(&file->vms, id, vm) {
		xa_erase(&file->vms, id);
		npu_vm_end(vm, !err);
		npu_vm_put(vm);
	}
	if (!err)
		npu_leave(npu, idx);
}

/* -------------------------------------------------------------------------------------- VM_CREATE, VM_DESTROY -- */
/* file.lock held: the limit of the file counts its table. */
static int npu_vm_create_user(struct npu_file *file, u64 va_end, struct npu_vm **out)
{
	struct npu_device *npu = file->npu;
	struct npu_vm *vm;
	int err, number;

	lockdep_assert_held(&file->lock);
	vm = npu_vm_alloc(npu, va_end);
	if (!vm)
		return -ENOMEM;
	err = npu_charge(file, NPU_RES_VMS, 1);
	if (err)
		goto put;
	kref_get(&file->user->ref);
	vm->user = file->user;
	number = ida_alloc_range(&npu->contexts, 1, max(npu->id.max_contexts, 1u) - 1, GFP_KERNEL);
	if (number < 0) {
		npu_refund(npu, vm->user, NPU_RES_VMS, 1);
		err = number;
		goto put;
	}
	vm->context = number;
	mutex_lock(&vm->lock);
	vm->charging = file;
	err = npu_mmu_create(vm);
	vm->charging = NULL;
	mutex_unlock(&vm->lock);
	if (!err) {
		*out = vm;
		return 0;
	}
	npu_vm_end(vm, true);
put:
	npu_vm_put(vm);
	return err;
}

/* Inside npu_enter(). Publishing comes last: from then on another thread may guess the id. */
static int npu_vm_create_id(struct npu_file *file, u64 va_end, u32 *id)
{
	struct npu_vm *vm;
	int err;

	mutex_lock(&file->lock);
	err = npu_vm_create_user(file, va_end, &vm);
	if (err)
		goto unlock;
	/* Ids are not used again soon, so that a stale one is found out. */
	err = xa_alloc_cyclic(&file->vms, id, vm, xa_limit_31b, &file->next_vm, GFP_KERNEL_ACCOUNT);
	if (err < 0) {
		npu_vm_end(vm, true);
		npu_vm_put(vm);
	} else {
		err = 0;
	}
unlock:
	mutex_unlock(&file->lock);
	return err;
}

int npu_vm_create_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct npu_file *file = drm_file->driver_priv;
	struct npu_device *npu = file->npu;
	struct npu_vm_create *args = data;
	const u64 va_end = args->va_end ?: npu->limits.va_end;
	bool again;
	int idx, err;
	u32 id;

	do {
		err = npu_enter(npu, &idx);
		if (err)
			return err;
		err = npu_vm_create_id(file, va_end, &id);
		again = npu_cut_short(npu, err);
		npu_leave(npu, idx);
	} while (again);
	if (!err) {
		args->vm_id = id;
		args->va_end = va_end;
	}
	return err;
}

int npu_vm_destroy_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct npu_file *file = drm_file->driver_priv;
	struct npu_vm_destroy *args = data;
	struct npu_vm *vm;
	int idx, err;

	err = npu_enter(file->npu, &idx);
	if (err)
		return err;
	vm = npu_vm_lookup(file, args->vm_id);
	if (!vm) {
		npu_leave(file->npu, idx);
		return -ENOENT;
	}
	mutex_lock(&vm->lock);
	if (vm->ended)
		err = -ENOENT;
	else if (atomic_read(&vm->users))
		err = -EBUSY;
	else
		vm->ended = true; /* no queue and no bind comes in any more, and this call is the one that ends it */
	mutex_unlock(&vm->lock);
	if (!err) {
		xa_erase(&file->vms, args->vm_id);
		npu_vm_end(vm, true);
		npu_vm_put(vm);
	}
	npu_vm_put(vm);
	npu_leave(file->npu, idx);
	return err;
}

/* ------------------------------------------------------------------------------------------------ VM_BIND -- */
static int npu_bind_read(struct npu_bind *bind, const struct npu_array *ops)
{
	u32 i;
	int err;

	for (i = 0; i < ops->count; i++) {
		err = npu_array_get(ops, i, &bind->steps[i].op, sizeof(bind->steps[i].op));
		if (err)
			return err;
	}
	return 0;
}

/* What can be said of an operation before anything is allocated. */
static int npu_bind_check(struct npu_bind *bind, struct npu_bind_step *step)
{
	const struct npu_bind_op *op = &step->op;
	struct npu_vm *vm = bind->vm;
	struct npu_bo *bo;
	int err;

	lockdep_assert_held(&vm->lock);
	err = npu_validate_bind_op(op, &vm->npu->limits);
	if (err)
		return err;
	if (op->dva + op->size_bytes > vm->va_end)
		return -EINVAL;
	if (op->kind == NPU_BIND_MAP) {
		bo = npu_bo_lookup(bind->file, op->bo_handle);
		if (!bo)
			return -ENOENT;
		step->bo = bo;
		err = npu_validate_bind_bo(op, npu_bo_is_hbm(bo) ? NPU_REGION_HBM : NPU_REGION_SYSTEM, bo->base.size);
		if (err)
			return err;
		if (bo->exclusive_vm && bo->exclusive_vm != vm->serial)
			return -EACCES;
		if (bo->readonly && !(op->flags & NPU_BIND_READONLY))
			return -EACCES;
		if (npu_bo_lost(bo))
			return -ECANCELED;
	}
	return npu_vm_pinned(vm, op->dva, op->size_bytes) ? -EBUSY : 0;
}

/*
 * Areas for all operations, charged as system memory of the user. Taking away must work at the quota too: an UNMAP is
 * charged without a look at it, and its sum stops the next MAP or table.
 */
static int npu_bind_add_spare(struct npu_bind *bind, u32 kind)
{
	struct npu_user *user = bind->vm->user;
	struct npu_va *va;
	int err;

	if (kind == NPU_BIND_MAP) {
		err = npu_charge(bind->file, NPU_RES_SYSTEM, sizeof(*va));
		if (err)
			return err;
	} else {
		atomic64_add(sizeof(*va), &user->system_bytes);
	}
	va = kzalloc(sizeof(*va), GFP_KERNEL_ACCOUNT);
	if (!va) {
		npu_refund(bind->vm->npu, user, NPU_RES_SYSTEM, sizeof(*va));
		return -ENOMEM;
	}
	list_add(&va->link, &bind->spare);
	return 0;
}

static int npu_bind_add_spares(struct npu_bind *bind)
{
	u32 i, n;
	int err;

	for (i = 0; i < bind->count; i++) {
		for (n = 0; n < NPU_BIND_SPARES; n++) {
			err = npu_bind_add_spare(bind, bind->steps[i].op.kind);
			if (err)
				return err;
		}
	}
	return 0;
}

static int npu_bind_prepare(struct npu_bind *bind, struct npu_bind_step *step)
{
	const struct npu_bind_op *op = &step->op;
	struct npu_vm *vm = bind->vm;
	struct drm_gpuvm_bo *vm_bo;

	lockdep_assert_held(&vm->lock);
	if (fatal_signal_pending(current))
		return -EINTR;
	if (step->bo) {
		dma_resv_lock(step->bo->base.resv, NULL);
		/* pairs with driver/npu_bo.c : npu_bo_revoke_next */
		vm_bo = step->bo->revoked ? ERR_PTR(-ECANCELED) :
					    drm_gpuvm_bo_obtain_locked(&vm->base, &step->bo->base);
		dma_resv_unlock(step->bo->base.resv);
		if (IS_ERR(vm_bo))
			return PTR_ERR(vm_bo);
		step->vm_bo = vm_bo;
	}
	return npu_mmu_prepare(vm, step->bo, op->bo_offset, op->dva, op->size_bytes, op->flags);
}

static int npu_bind_commit(struct npu_bind *bind, struct npu_bind_step *step)
{
	const struct npu_bind_op *op = &step->op;
	struct npu_vm *vm = bind->vm;
	int err;

	lockdep_assert_held(&vm->lock);
	bind->current_step = step;
	err = npu_mmu_commit(vm, step->bo, op->bo_offset, op->dva, op->size_bytes, op->flags);
	if (err)
		return err;
	if (step->bo)
		err = npu_gpuvm_sm_map(&vm->base, bind, op->dva, op->size_bytes, &step->bo->base, op->bo_offset);
	else
		err = drm_gpuvm_sm_unmap(&vm->base, bind, op->dva, op->size_bytes);
	WARN_ONCE(err, "npu: areas of an address space are out of order: %d\n", err);
	return err;
}

/* Both phases. On success, and when the VM was given up, what was unmapped is in vm->dropped. */
static int npu_bind_apply(struct npu_bind *bind, u32 *failed_index)
{
	struct npu_vm *vm = bind->vm;
	int err, flush_err;
	u32 i, tried;

	lockdep_assert_held(&vm->lock);
	for (i = 0, err = 0; i < bind->count && !err; i++) {
		err = npu_bind_prepare(bind, &bind->steps[i]);
		if (err)
			*failed_index = i;
	}
	tried = i;
	for (i = 0; i < bind->count && !err; i++) {
		err = npu_bind_commit(bind, &bind->steps[i]);
		if (err)
			npu_mmu_give_up(vm);
	}
	for (i = 0; i < tried; i++)
		npu_mmu_compact(vm, bind->steps[i].op.dva, bind->steps[i].op.size_bytes);
	flush_err = npu_mmu_publish(vm, !list_empty(&vm->dropped));
	return err ?: flush_err;
}

/* vm.lock held. What may now be let go of comes back in `dropped`. */
static int npu_bind_locked(struct npu_bind *bind, u32 *failed_index, struct list_head *dropped)
{
	struct npu_vm *vm = bind->vm;
	int err;
	u32 i;

	lockdep_assert_held(&vm->lock);
	if (vm->ended)
		return -ENOENT;
	if (npu_vm_lost(vm))
		return -ECANCELED;
	for (i = 0; i < bind->count; i++) {
		err = npu_bind_check(bind, &bind->steps[i]);
		if (err) {
			*failed_index = i;
			return err;
		}
	}
	err = npu_bind_add_spares(bind);
	if (err)
		return err;
	vm->charging = bind->file;
	err = npu_bind_apply(bind, failed_index);
	vm->charging = NULL;
	/* Given up: the device may still use it, npu_vm_end() sees to it. */
	if (!npu_vm_lost(vm))
		list_splice_init(&vm->dropped, dropped);
	return err;
}

/* Also what a failed call leaves: an unused drm_gpuvm_bo goes with its last reference, under the object's resv. */
static void npu_bind_cleanup(struct npu_bind *bind)
{
	struct npu_bo *bo;
	u32 i;

	for (i = 0; i < bind->count; i++) {
		bo = bind->steps[i].bo;
		if (!bo)
			continue;
		if (bind->steps[i].vm_bo) {
			dma_resv_lock(bo->base.resv, NULL);
			drm_gpuvm_bo_put(bind->steps[i].vm_bo);
			dma_resv_unlock(bo->base.resv);
		}
		drm_gem_object_put(&bo->base);
		cond_resched();
	}
	npu_va_free_list(bind->vm->npu, bind->vm->user, &bind->spare);
	kvfree(bind->steps);
}

/* Inside npu_enter(). */
static int npu_bind_enter(struct npu_bind *bind, u32 *failed_index, struct list_head *dropped)
{
	struct npu_vm *vm = bind->vm;
	int err;

	if (mutex_lock_interruptible(&vm->lock))
		return -ERESTARTSYS;
	err = npu_bind_locked(bind, failed_index, dropped);
	mutex_unlock(&vm->lock);
	return err;
}

static int npu_bind_run(struct npu_file *file, struct npu_vm *vm, const struct npu_array *ops, u32 *failed_index)
{
	struct npu_bind bind = { .vm = vm, .file = file };
	LIST_HEAD(dropped);
	int idx, err;

	if (npu_vm_lost(vm))
		return -ECANCELED;
	INIT_LIST_HEAD(&bind.spare);
	bind.steps = kvcalloc(ops->count, sizeof(*bind.steps), GFP_KERNEL_ACCOUNT);
	if (!bind.steps)
		return -ENOMEM;
	err = npu_bind_read(&bind, ops);
	if (!err)
		err = npu_enter(vm->npu, &idx);
	if (!err) {
		bind.count = ops->count;
		err = npu_bind_enter(&bind, failed_index, &dropped);
		/* The reset takes the VM too. */
		if (npu_cut_short(vm->npu, err))
			err = -ECANCELED;
		npu_leave(vm->npu, idx);
	}
	npu_bind_cleanup(&bind);
	npu_va_free_list(vm->npu, vm->user, &dropped);
	return err;
}

int npu_vm_bind_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct npu_file *file = drm_file->driver_priv;
	struct npu_vm_bind *args = data;
	u32 failed_index = ~0u;
	struct npu_vm *vm;
	int err = -ENOENT;

	vm = npu_vm_lookup(file, args->vm_id);
	if (vm) {
		err = npu_bind_run(file, vm, &args->ops, &failed_index);
		npu_vm_put(vm);
	}
	/* A call that starts again must find its argument as it was. */
	if (err != -ERESTARTSYS && err != -EINTR)
		args->failed_index = failed_index;
	return err;
}

/* ---------------------------------------------------------------------------- an object that goes everywhere -- */
/* The next address space by serial that has something to do with the object, or NULL: a reference. */
static struct npu_vm *npu_vm_next_of(struct npu_bo *bo, u64 after)
{
	struct npu_vm *vm, *next = NULL;
	struct drm_gpuvm_bo *vm_bo;

	dma_resv_lock(bo->base.resv, NULL);
	drm_gem_for_each_gpuvm_bo(vm_bo, &bo->base) {
		vm = to_npu_vm(vm_bo->vm);
		if (vm->serial > after && (!next || vm->serial < next->serial))
			next = vm;
	}
	if (next)
		npu_vm_get(next);
	dma_resv_unlock(bo->base.resv);
	return next;
}

/* An area is unmapped as a whole, for which no table is needed; where it is after all, the address space is given up. */
static int npu_vm_forget_area(struct npu_vm *vm, struct npu_va *va)
{
	const u64 dva = va->base.va.addr;
	const u64 bytes = va->base.va.range;
	int err;

	err = npu_mmu_prepare(vm, NULL, 0, dva, bytes, 0);
	if (!err)
		err = npu_mmu_commit(vm, NULL, 0, dva, bytes, 0);
	npu_mmu_compact(vm, dva, bytes);
	if (err)
		return err;
	drm_gpuva_remove(&va->base);
	npu_va_drop(vm, va);
	return 0;
}

static bool npu_vm_forget_in(struct npu_vm *vm, struct npu_bo *bo)
{
	struct drm_gpuva *base, *next;
	LIST_HEAD(dropped);
	bool any = false;
	int err = 0;

	mutex_lock(&vm->lock);
	if (!vm->ended && !npu_vm_lost(vm) && npu_mmu_valid(vm)) {
		drm_gpuvm_for_each_va_safe(base, next, &vm->base) {
			if (base->gem.obj != &bo->base)
				continue;
			any = true;
			err = npu_vm_forget_area(vm, to_npu_va(base));
			if (err) {
				npu_mmu_give_up(vm);
				break;
			}
		}
		if (any && !err)
			err = npu_mmu_publish(vm, true);
		/* Given up: the device may still use it, npu_vm_end() sees to it. */
		if (!err)
			list_splice_init(&vm->dropped, &dropped);
	}
	mutex_unlock(&vm->lock);
	npu_va_free_list(vm->npu, vm->user, &dropped);
	return any;
}

bool npu_vm_forget_object(struct npu_bo *bo)
{
	struct npu_vm *vm;
	bool any = false;
	u64 serial = 0;

	while ((vm = npu_vm_next_of(bo, serial))) {
		serial = vm->serial;
		any |= npu_vm_forget_in(vm, bo);
		npu_vm_put(vm);
	}
	return any;
}

/* ----------------------------------------------------------------------------------------------- VM_QUERY -- */
/* Newest first. */
static u32 npu_vm_faults(struct npu_vm *vm, struct npu_fault *out)
{
	const u32 kept = min_t(u64, vm->faults_total, NPU_MAX_FAULTS);
	u32 i;

	lockdep_assert_held(&vm->lock);
	for (i = 0; i < kept; i++)
		out[i] = vm->faults[(vm->faults_total - 1 - i) % NPU_MAX_FAULTS];
	return kept;
}

static int npu_vm_query(struct npu_vm *vm, struct npu_vm_query *args)
{
	struct npu_vm_query out = *args;
	struct npu_fault *faults;
	u32 kept, i;
	int err = 0;

	faults = kcalloc(NPU_MAX_FAULTS, sizeof(*faults), GFP_KERNEL);
	if (!faults)
		return -ENOMEM;
	mutex_lock(&vm->lock);
	out.state = npu_vm_lost(vm) ? NPU_VM_LOST : NPU_VM_READY;
	out.mapped_bytes = vm->mapped_bytes;
	out.table_bytes = vm->table_bytes;
	out.faults_total = vm->faults_total;
	kept = npu_vm_faults(vm, faults);
	mutex_unlock(&vm->lock);
	for (i = 0; i < min(kept, args->faults.count) && !err; i++)
		err = npu_array_put(&args->faults, i, &faults[i], sizeof(faults[i]));
	kfree(faults);
	if (err)
		return err;
	out.faults.count = kept;
	*args = out;
	return 0;
}

/* Looks at no hardware, so it answers during a reset too. */
int npu_vm_query_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct npu_vm *vm;
	int err;
	struct npu_vm_query *args = data;

	vm = npu_vm_lookup(drm_file->driver_priv, args->vm_id);
	if (!vm)
		return -ENOENT;
	err = npu_vm_query(vm, args);
	npu_vm_put(vm);
	return err;
}

/* ---------------------------------------------------------------------------------------- for other files -- */
bool npu_vm_covers(struct npu_vm *vm, u64 dva, u64 bytes)
{
	const u64 end = dva + bytes;
	struct drm_gpuva *va;

	lockdep_assert_held(&vm->lock);
	if (vm->ended)
		return false;
	drm_gpuvm_for_each_va_range(va, &vm->base, dva, end) {
		if (va->va.addr > dva)
			return false;
		dva = va->va.addr + va->va.range;
		if (dva >= end)
			return true;
	}
	return false;
}

bool npu_vm_maps(struct npu_vm *vm, struct npu_bo *bo, u64 offset, u64 dva, u64 bytes)
{
	const u64 end = dva + bytes;
	struct drm_gpuva *va;

	lockdep_assert_held(&vm->lock);
	if (vm->ended)
		return false;
	drm_gpuvm_for_each_va_range(va, &vm->base, dva, end) {
		if (va->va.addr > dva || va->gem.obj != &bo->base || (to_npu_va(va)->flags & NPU_BIND_READONLY))
			return false;
		if (va->gem.offset + (dva - va->va.addr) != offset)
			return false;
		offset += va->va.addr + va->va.range - dva;
		dva = va->va.addr + va->va.range;
		if (dva >= end)
			return true;
	}
	return false;
}

bool npu_vm_pinned(struct npu_vm *vm, u64 dva, u64 bytes)
{
	const struct npu_vm_pin *pin;

	lockdep_assert_held(&vm->lock);
	list_for_each_entry(pin, &vm->pins, link)
		if (pin->dva < dva + bytes && dva < pin->dva + pin->bytes)
			return true;
	return false;
}

void npu_vm_pin(struct npu_vm *vm, struct npu_vm_pin *pin)
{
	lockdep_assert_held(&vm->lock);
	list_add(&pin->link, &vm->pins);
}

void npu_vm_unpin(struct npu_vm *vm, struct npu_vm_pin *pin)
{
	mutex_lock(&vm->lock);
	list_del_init(&pin->link);
	mutex_unlock(&vm->lock);
}

void npu_vm_record_fault(struct npu_vm *vm, struct npu_fault *fault)
{
	mutex_lock(&vm->lock);
	if (fault->reason == NPU_FAULT_NONE) {
		if (fault->dva >= NPU_PT_VA_END)
			fault->reason = NPU_FAULT_RANGE;
		else if (npu_vm_covers(vm, fault->dva, 1))
			fault->reason = NPU_FAULT_PERMISSION;
		else
			fault->reason = NPU_FAULT_NOT_PRESENT;
	}
	vm->faults[vm->faults_total % NPU_MAX_FAULTS] = *fault;
	vm->faults_total++;
	mutex_unlock(&vm->lock);
}
