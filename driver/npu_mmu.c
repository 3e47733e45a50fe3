// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * DOC: page tables of an address space
 *
 * uapi/npu_pagetable.h knows the format and how to change tables in two phases; this file gives it memory (npu_hbm.c),
 * tells the device what changed, and keeps what was taken out until the device has let go of it.
 *
 * A table that is taken out cannot be given away before the TLB is flushed, nor may taking out fail for want of memory.
 * The copy in host memory that stands behind each table is no longer read then, so the record that queues it lies
 * there.
 *
 * Tables are charged to their user twice: as HBM, and as system memory for that copy. Without the second, half of the
 * HBM in tables would be that much host memory which no quota counts.
 *
 * The driver's own address space shows host memory to its queue in windows. Copies must work when the HBM is full of
 * objects, and a copy should not cost the allocation of tables; so the first windows have their tables from the
 * beginning and keep them.
 *
 * When a flush is not answered, driver and device disagree about what is mapped. The address space is given up (LOST
 * for its owner), everything it ever mapped stays allocated until the reset that is asked for. Rejected: trying again:
 * the mailbox has waited for its whole deadline already.
 */
#include "npu_copy.h"

/*
 * Windows whose tables are never given back: so much of the driver's address space for each byte of HBM; the tables are
 * 1/512 of it.
 */
#define NPU_KEPT_SHARE 64
#define NPU_KEPT_BYTES_MIN (16ULL << 20)
#define NPU_KEPT_BYTES_MAX BIT_ULL(30)

/* Lies in the copy of the table itself. */
struct npu_freed_table {
	struct npu_retired retired;
	u64 offset;
	u32 bytes;
};

static_assert(sizeof(struct npu_freed_table) <= NPU_PT_SPLIT_BYTES);

/* --------------------------------------------------------------------------------- what npu_pagetable.h asks for -- */
static int npu_mmu_read64(void *ctx, __u64 offset, __u64 *value)
{
	struct npu_vm *vm = ctx;
	const u64 *word = npu_table_word(vm->npu, offset);

	/* An operation may walk half a million words, and a call thousands of operations. */
	if ((++vm->reads & 0xfff) == 0)
		cond_resched();
	if (!word)
		return -EIO;
	*value = *word;
	return 0;
}

static void npu_mmu_write64(void *ctx, __u64 offset, __u64 value)
{
	struct npu_vm *vm = ctx;

	npu_table_write(vm->npu, offset, value);
}

static void npu_mmu_refund(struct npu_vm *vm, u64 bytes)
{
	WRITE_ONCE(vm->table_bytes, vm->table_bytes - bytes);
	if (!vm->user)
		return;
	npu_refund(vm->npu, vm->user, NPU_RES_SYSTEM, bytes);
	npu_refund(vm->npu, vm->user, NPU_RES_HBM, bytes);
}

static int npu_mmu_charge(struct npu_vm *vm, u64 bytes)
{
	int err;

	if (vm->user) {
		/* Nobody to pay: memory is taken away from the VM, not asked for. */
		if (!vm->charging)
			return -EDQUOT;
		err = npu_charge(vm->charging, NPU_RES_HBM, bytes);
		if (err)
			return err;
		err = npu_charge(vm->charging, NPU_RES_SYSTEM, bytes);
		if (err) {
			npu_refund(vm->npu, vm->user, NPU_RES_HBM, bytes);
			return err;
		}
	}
	WRITE_ONCE(vm->table_bytes, vm->table_bytes + bytes);
	return 0;
}

static int npu_mmu_alloc_table(void *ctx, __u32 bytes, __u64 *offset)
{
	struct npu_vm *vm = ctx;
	u64 at;
	int err;

	err = npu_mmu_charge(vm, bytes);
	if (err)
		return err;
	err = npu_table_alloc(vm->npu, bytes, &at);
	if (err) {
		npu_mmu_refund(vm, bytes);
		return err;
	}
	*offset = at;
	return 0;
}

static void npu_mmu_table_retired(struct npu_device *npu, struct npu_retired *retired)
{
	struct npu_freed_table *freed = container_of(retired, struct npu_freed_table, retired);

	npu_table_free(npu, freed->offset, freed->bytes);
}

static void npu_mmu_free_table(void *ctx, __u64 offset, __u32 bytes)
{
	struct npu_vm *vm = ctx;
	struct npu_freed_table *freed = (struct npu_freed_table *)npu_table_take_copy(vm->npu, offset);

	if (WARN_ON_ONCE(!freed))
		return;
	npu_mmu_refund(vm, bytes);
	freed->retired.fn = npu_mmu_table_retired;
	freed->offset = offset;
	freed->bytes = bytes;
	list_add_tail(&freed->retired.link, &vm->freed_tables);
}

static void npu_mmu_retire_tables(struct npu_vm *vm)
{
	struct npu_freed_table *freed, *next;

	list_for_each_entry_safe(freed, next, &vm->freed_tables, retired.link) {
		list_del(&freed->retired.link);
		npu_retire(vm->npu, &freed->retired);
	}
}

/* -------------------------------------------------------------------------------------- life of a VM's tables -- */
bool npu_mmu_valid(const struct npu_vm *vm)
{
	return vm->has_root && vm->generation == READ_ONCE(vm->npu->tables.generation);
}

int npu_mmu_create(struct npu_vm *vm)
{
	struct npu_device *npu = vm->npu;
	u64 root;
	int err;

	lockdep_assert_held(&vm->lock);
	vm->pt = (struct npu_pt_ops){
		.ctx = vm,
		.hbm_bytes = npu->hbm_mm.bytes,
		.read64 = npu_mmu_read64,
		.write64 = npu_mmu_write64,
		.alloc_table = npu_mmu_alloc_table,
		.free_table = npu_mmu_free_table,
	};
	vm->epoch = READ_ONCE(npu->epoch);
	vm->generation = READ_ONCE(npu->tables.generation);
	err = npu_pt_create(&vm->pt, &root);
	if (err)
		return err;
	vm->root = root;
	vm->has_root = true;
	err = npu_mmu_publish(vm, false);
	if (err)
		return err;
	if (npu_mbox_call(npu, NPU_MBOX_CONTEXT_CREATE, NULL, vm->context, root))
		return -EIO;
	vm->has_context = true;
	return 0;
}

bool npu_mmu_destroy(struct npu_vm *vm, bool hw)
{
	struct npu_device *npu = vm->npu;
	const bool valid = npu_mmu_valid(vm);

	lockdep_assert_held(&vm->lock);
	if (hw && valid && vm->has_context &&
	    npu_mbox_call(npu, NPU_MBOX_CONTEXT_DESTROY, NULL, vm->context))
		return false;
	if (hw && valid) {
		npu_pt_destroy(&vm->pt, vm->root);
		npu_mmu_retire_tables(vm);
	}
	/* Void since a reset, or the device is stopped: their memory goes with all tables. */
	INIT_LIST_HEAD(&vm->freed_tables);
	npu_mmu_refund(vm, vm->table_bytes);
	vm->has_context = false;
	vm->has_root = false;
	return true;
}

void npu_mmu_give_up(struct npu_vm *vm)
{
	lockdep_assert_held(&vm->lock);
	WRITE_ONCE(vm->epoch, NPU_EPOCH_NONE);
	npu_reset_schedule(vm->npu, NPU_RESET_FIRMWARE, NULL);
}

int npu_mmu_publish(struct npu_vm *vm, bool flush)
{
	struct npu_device *npu = vm->npu;

	lockdep_assert_held(&vm->lock);
	/* Empties the write-combining buffer; what follows is ordered behind it on its way to the device. */
	wmb();
	if (!flush && list_empty(&vm->freed_tables)) {
		/* A read comes back after the stores before it have arrived. */
		readq(npu->hbm + vm->root);
		return 0;
	}
	if (npu_mbox_call(npu, NPU_MBOX_TLB_FLUSH, NULL, vm->context)) {
		npu_mmu_give_up(vm);
		return -EIO;
	}
	npu_mmu_retire_tables(vm);
	return 0;
}

/* ------------------------------------------------------------------------------------------------- mapping -- */
struct npu_mmu_walk {
	struct npu_vm *vm;
	u64 dva;
	u64 flags;
	bool commit;
};

static int npu_mmu_piece(void *arg, u64 address, u64 bytes, bool is_hbm)
{
	struct npu_mmu_walk *walk = arg;
	const u64 flags = walk->flags | (is_hbm ? 0 : NPU_PTE_SYSTEM);
	struct npu_vm *vm = walk->vm;
	int err;

	if (walk->commit)
		err = npu_pt_commit_map(&vm->pt, vm->root, walk->dva, bytes, address, flags);
	else
		err = npu_pt_prepare_map(&vm->pt, vm->root, walk->dva, bytes, address, flags);
	walk->dva += bytes;
	return err;
}

static int npu_mmu_map(struct npu_vm *vm, struct npu_bo *bo, u64 offset, u64 dva, u64 bytes, u32 bind_flags,
		       bool commit)
{
	struct npu_mmu_walk walk = { .vm = vm, .dva = dva, .commit = commit };

	if (!(bind_flags & NPU_BIND_READONLY))
		walk.flags |= NPU_PTE_WRITE;
	if (bind_flags & NPU_BIND_EXEC)
		walk.flags |= NPU_PTE_EXEC;
	return npu_bo_walk_pieces(bo, offset, bytes, npu_mmu_piece, &walk);
}

int npu_mmu_prepare(struct npu_vm *vm, struct npu_bo *bo, u64 offset, u64 dva, u64 bytes, u32 bind_flags)
{
	lockdep_assert_held(&vm->lock);
	if (!bo)
		return npu_pt_prepare_unmap(&vm->pt, vm->root, dva, bytes);
	return npu_mmu_map(vm, bo, offset, dva, bytes, bind_flags, false);
}

int npu_mmu_commit(struct npu_vm *vm, struct npu_bo *bo, u64 offset, u64 dva, u64 bytes, u32 bind_flags)
{
	int err;

	lockdep_assert_held(&vm->lock);
	if (!bo)
		err = npu_pt_commit_unmap(&vm->pt, vm->root, dva, bytes);
	else
		err = npu_mmu_map(vm, bo, offset, dva, bytes, bind_flags, true);
	WARN_ONCE(err, "npu: page tables changed between the phases of a bind: %d\n", err);
	return err;
}

void npu_mmu_compact(struct npu_vm *vm, u64 dva, u64 bytes)
{
	lockdep_assert_held(&vm->lock);
	npu_pt_compact(&vm->pt, vm->root, dva, bytes);
}

/* ----------------------------------------------------------------------------- the driver's own address space -- */
/*
 * Makes the tables of the first windows: an address that suits no larger page needs all of them. After a reset the HBM
 * may be so full of lost objects, and a page of it so newly bad, that there is no room: then windows get their tables
 * when there is.
 */
static void npu_vm_keep_windows(struct npu_vm *vm)
{
	const u64 bytes = clamp(vm->npu->hbm_mm.bytes / NPU_KEPT_SHARE, NPU_KEPT_BYTES_MIN, NPU_KEPT_BYTES_MAX);
	const u64 begin = NPU_COPY_WINDOWS_BEGIN;
	const u64 size = ALIGN_DOWN(bytes, NPU_PAGE_2M);

	if (npu_pt_prepare_map(&vm->pt, vm->root, begin, size, NPU_PAGE_4K, NPU_PTE_SYSTEM))
		npu_mmu_compact(vm, begin, size);
	else
		vm->kept_end = begin + size;
}

static int npu_vm_map_hbm(struct npu_vm *vm)
{
	const u64 bytes = vm->npu->hbm_mm.bytes;
	int err;

	err = npu_pt_prepare_map(&vm->pt, vm->root, NPU_KERNEL_HBM_DVA, bytes, 0, NPU_PTE_WRITE);
	if (!err)
		err = npu_pt_commit_map(&vm->pt, vm->root, NPU_KERNEL_HBM_DVA, bytes, 0, NPU_PTE_WRITE);
	return err;
}

int npu_vm_create_kernel(struct npu_device *npu, struct npu_vm **out)
{
	struct npu_vm *vm;
	int err;

	if (npu->hbm_mm.bytes > NPU_VA_USER_END - NPU_KERNEL_HBM_DVA)
		return -EINVAL;
	vm = npu_vm_alloc(npu, NPU_VA_USER_END);
	if (!vm)
		return -ENOMEM;
	mutex_lock(&vm->lock);
	err = npu_mmu_create(vm) ?: npu_vm_map_hbm(vm);
	if (!err) {
		npu_vm_keep_windows(vm);
		err = npu_mmu_publish(vm, false);
	}
	mutex_unlock(&vm->lock);
	if (err) {
		npu_vm_put(vm);
		return err;
	}
	*out = vm;
	return 0;
}

static void npu_vm_kernel_compact(struct npu_vm *vm, u64 dva, u64 bytes)
{
	const u64 from = max(dva, vm->kept_end);

	if (from < dva + bytes)
		npu_mmu_compact(vm, from, dva + bytes - from);
}

/* Inside drm_dev_enter(), vm.lock held. */
static void npu_vm_kernel_take_out(struct npu_vm *vm, u64 dva, u64 bytes)
{
	int err;

	err = npu_mmu_prepare(vm, NULL, 0, dva, bytes, 0);
	if (!err)
		err = npu_mmu_commit(vm, NULL, 0, dva, bytes, 0);
	if (err) {
		npu_mmu_give_up(vm);
		return;
	}
	npu_vm_kernel_compact(vm, dva, bytes);
	npu_mmu_publish(vm, true);
}

static int npu_vm_kernel_put_in(struct npu_vm *vm, struct npu_bo *bo, u64 offset, u64 dva, u64 bytes)
{
	const u32 flags = bo->readonly ? NPU_BIND_READONLY : 0;
	int err;

	err = npu_mmu_prepare(vm, bo, offset, dva, bytes, flags);
	if (err) {
		npu_vm_kernel_compact(vm, dva, bytes);
		npu_mmu_publish(vm, false);
		return err;
	}
	err = npu_mmu_commit(vm, bo, offset, dva, bytes, flags);
	if (!err)
		return npu_mmu_publish(vm, false);
	npu_mmu_give_up(vm);
	return err;
}

int npu_vm_kernel_map(struct npu_vm *vm, struct npu_bo *bo, u64 offset, u64 dva, u64 bytes)
{
	int idx, err;

	if (!drm_dev_enter(&vm->npu->drm, &idx))
		return -ENODEV;
	mutex_lock(&vm->lock);
	err = npu_vm_lost(vm) || !npu_mmu_valid(vm) ? -ECANCELED : 0;
	if (!err)
		err = npu_vm_kernel_put_in(vm, bo, offset, dva, bytes);
	mutex_unlock(&vm->lock);
	drm_dev_exit(idx);
	return err;
}

void npu_vm_kernel_unmap(struct npu_vm *vm, u64 dva, u64 bytes)
{
	int idx;

	if (!drm_dev_enter(&vm->npu->drm, &idx))
		return;
	mutex_lock(&vm->lock);
	if (!npu_vm_lost(vm) && npu_mmu_valid(vm))
		npu_vm_kernel_take_out(vm, dva, bytes);
	mutex_unlock(&vm->lock);
	drm_dev_exit(idx);
}
