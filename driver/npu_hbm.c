// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * DOC: device memory
 *
 * A buddy allocator of 64 KiB granules, the kernel's own, over the whole HBM. Objects come from the top, page tables
 * from the bottom, so that small long-lived tables do not break up large pages. Memory is cleared by the device
 * (mailbox HBM_CLEAR) before it is handed out, never trusted to be clean from its last owner: the command also mends
 * what an uncorrectable error left behind.
 *
 * Rejected: clearing when memory is freed (a device that has died in between hands out old data after its reset), and
 * clearing through BAR2 (64 GiB over PCIe).
 *
 * DOC: pages that go bad
 *
 * A 64 KiB page with an uncorrectable error is retired: the allocator hands it to us and we keep it. Is it in use, that
 * happens when its owner frees it. The list lives as long as the module; the board's own table takes over at power-on.
 *
 * DOC: tables
 *
 * Page tables are pieces of 4096, 256 or 128 bytes of 64 KiB chunks, one size a chunk. Every chunk has a copy in host
 * memory that the driver reads and changes; the device gets each word by a store through BAR2 and nothing is ever read
 * back. So a change costs no round trip over PCIe, memory errors in a table cannot mislead the driver, and the word
 * behind a freed piece serves to queue it for retirement without an allocation. Rejected: reading tables through BAR2
 * (about a microsecond a word, three to five words for each page of a VM_BIND). An uncorrectable error in a table is made
 * good from the copy (npu_table_mend()); its page goes when the last table has left it.
 */
#include <linux/bitmap.h>
#include <linux/slab.h>

#include <drm/drm_managed.h>

#include "npu_drv.h"

/* A clear command is not longer than that, so that others get at the mailbox in between. */
#define NPU_HBM_CLEAR_BYTES (256ULL << 20)
/* A device that reports more is itself what is broken; the search below is linear. */
#define NPU_BAD_PAGES_MAX 4096u
#define NPU_CHUNK_PIECES (NPU_PAGE_64K / NPU_PT_SPLIT_BYTES)
/* What one error destroys (docs/ras.md); no table is smaller. */
#define NPU_ECC_LINE_BYTES 64u

/* From the bottom of what BAR2 shows. */
#define NPU_HBM_TABLES BIT(31)

struct npu_bad_page {
	struct list_head link; /* npu_device.ras.bad_pages */
	u64 offset;
	struct npu_hbm hbm; /* the page, once it is ours */
	bool taken;
};

struct npu_table_chunk {
	struct list_head link; /* npu_tables.partial while a piece is free */
	struct npu_hbm hbm;
	u64 offset;
	u32 piece_bytes, used;
	u64 *shadow; /* 64 KiB */
	DECLARE_BITMAP(taken, NPU_CHUNK_PIECES);
	DECLARE_BITMAP(out, NPU_CHUNK_PIECES); /* no table any more: the copy holds something else */
};

/* ------------------------------------------------------------------------------------------------- blocks -- */
u64 npu_hbm_block_offset(struct npu_device *npu, struct gpu_buddy_block *block)
{
	return gpu_buddy_block_offset(block);
}

u64 npu_hbm_block_bytes(struct npu_device *npu, struct gpu_buddy_block *block)
{
	return gpu_buddy_block_size(&npu->hbm_mm.mm, block);
}

/* One block of a power of two, cut down to `bytes`. */
static int npu_hbm_take_one(struct npu_device *npu, u64 bytes, u64 align, unsigned long flags, struct list_head *blocks)
{
	struct gpu_buddy *mm = &npu->hbm_mm.mm;
	u64 whole;
	int err;

	lockdep_assert_held(&npu->hbm_mm.lock);
	if (bytes > 1ULL << 62)
		return -ENOSPC;
	whole = max(roundup_pow_of_two(bytes), align);
	/* The largest block that can exist; the allocator of older kernels has a BUG_ON() for more. */
	if (whole > rounddown_pow_of_two(mm->size))
		return -ENOSPC;
	err = gpu_buddy_alloc_blocks(mm, 0, mm->size, whole, whole, blocks, flags);
	if (err || whole == bytes)
		return err;
	err = gpu_buddy_block_trim(mm, NULL, bytes, blocks);
	if (err)
		gpu_buddy_free_list(mm, blocks, 0);
	return err;
}

static int npu_hbm_take_locked(struct npu_device *npu, u64 bytes, u64 align, u32 flags, struct list_head *blocks)
{
	struct gpu_buddy *mm = &npu->hbm_mm.mm;
	u64 visible = min(mm->size, ALIGN_DOWN(npu->hbm_cpu_bytes, NPU_PAGE_64K));

	lockdep_assert_held(&npu->hbm_mm.lock);
	if (!npu->hbm_mm.ready)
		return -ENODEV;
	if (bytes > mm->avail)
		return -ENOSPC;
	if (flags & NPU_HBM_TABLES)
		return gpu_buddy_alloc_blocks(mm, 0, visible, bytes, align, blocks, GPU_BUDDY_RANGE_ALLOCATION);
	if ((flags & NPU_HBM_CONTIGUOUS) || !IS_ALIGNED(bytes, align))
		return npu_hbm_take_one(npu, bytes, align, GPU_BUDDY_TOPDOWN_ALLOCATION, blocks);
	return gpu_buddy_alloc_blocks(mm, 0, mm->size, bytes, align, blocks, GPU_BUDDY_TOPDOWN_ALLOCATION);
}

static int npu_hbm_take(struct npu_device *npu, u64 bytes, u64 align, u32 flags, struct npu_hbm *out)
{
	int err;

	INIT_LIST_HEAD(&out->blocks);
	out->bytes = bytes;
	mutex_lock(&npu->hbm_mm.lock);
	err = npu_hbm_take_locked(npu, bytes, align, flags, &out->blocks);
	mutex_unlock(&npu->hbm_mm.lock);
	return err;
}

/* Tries to get bad pages that the last free may have released. */
static void npu_hbm_catch_bad(struct npu_device *npu)
{
	struct gpu_buddy *mm = &npu->hbm_mm.mm;
	struct npu_bad_page *bad, *previous;

	lockdep_assert_held(&npu->hbm_mm.lock);
	/* Those that are not ours yet stand behind the others. */
	list_for_each_entry_safe_reverse(bad, previous, &npu->ras.bad_pages, link) {
		if (bad->taken)
			break;
		bad->taken = !gpu_buddy_alloc_blocks(mm, bad->offset, bad->offset + NPU_PAGE_64K, NPU_PAGE_64K,
						     NPU_PAGE_64K, &bad->hbm.blocks, GPU_BUDDY_RANGE_ALLOCATION);
		if (bad->taken)
			list_move(&bad->link, &npu->ras.bad_pages);
	}
}

static void npu_hbm_give(struct npu_device *npu, struct npu_hbm *hbm)
{
	mutex_lock(&npu->hbm_mm.lock);
	gpu_buddy_free_list(&npu->hbm_mm.mm, &hbm->blocks, 0);
	npu_hbm_catch_bad(npu);
	mutex_unlock(&npu->hbm_mm.lock);
	hbm->bytes = 0;
}

static int npu_hbm_clear_run(struct npu_device *npu, u64 offset, u64 bytes)
{
	int err = 0;

	while (bytes && !err) {
		const u64 step = min(bytes, NPU_HBM_CLEAR_BYTES);

		if (fatal_signal_pending(current))
			return -EINTR;
		err = npu_mbox_call(npu, NPU_MBOX_HBM_CLEAR, NULL, offset, step);
		offset += step;
		bytes -= step;
	}
	/* Whatever the device says: it did not clear memory that exists. */
	return err ? -EIO : 0;
}

/* Clears all of it; blocks that lie side by side by one command. */
static int npu_hbm_clear(struct npu_device *npu, struct npu_hbm *hbm)
{
	struct gpu_buddy_block *block;
	u64 offset = 0, bytes = 0;
	int err;

	list_for_each_entry(block, &hbm->blocks, link) {
		const u64 at = npu_hbm_block_offset(npu, block);
		const u64 size = npu_hbm_block_bytes(npu, block);

		if (bytes && offset + bytes == at) {
			bytes += size;
			continue;
		}
		if (bytes && at + size == offset) {
			offset = at;
			bytes += size;
			continue;
		}
		err = npu_hbm_clear_run(npu, offset, bytes);
		if (err)
			return err;
		offset = at;
		bytes = size;
	}
	return npu_hbm_clear_run(npu, offset, bytes);
}

static int npu_hbm_alloc_any(struct npu_device *npu, u64 bytes, u64 align, u32 flags, struct npu_hbm *out)
{
	int err;

	align = max(align, NPU_PAGE_64K);
	INIT_LIST_HEAD(&out->blocks);
	if (!bytes || !IS_ALIGNED(bytes, NPU_PAGE_64K) || !is_power_of_2(align))
		return -EINVAL;
	err = npu_hbm_take(npu, bytes, align, flags, out);
	if (err == -ENOSPC) {
		/* Perhaps the memory is there and only waits for the device to let go of it. */
		npu_retire_flush(npu);
		err = npu_hbm_take(npu, bytes, align, flags, out);
	}
	if (err)
		return err;
	err = npu_hbm_clear(npu, out);
	if (err)
		npu_hbm_give(npu, out);
	return err;
}

int npu_hbm_alloc(struct npu_device *npu, u64 bytes, u64 align, u32 flags, struct npu_hbm *out)
{
	int err = npu_hbm_alloc_any(npu, bytes, align, flags & NPU_HBM_CONTIGUOUS, out);

	if (err)
		return err;
	mutex_lock(&npu->hbm_mm.lock);
	npu->hbm_mm.object_bytes += bytes;
	mutex_unlock(&npu->hbm_mm.lock);
	return 0;
}

void npu_hbm_free(struct npu_device *npu, struct npu_hbm *hbm)
{
	mutex_lock(&npu->hbm_mm.lock);
	npu->hbm_mm.object_bytes -= hbm->bytes;
	mutex_unlock(&npu->hbm_mm.lock);
	npu_hbm_give(npu, hbm);
}

void npu_hbm_stats(struct npu_device *npu, u64 *free_bytes, u64 *largest_free)
{
	mutex_lock(&npu->hbm_mm.lock);
	*free_bytes = npu->hbm_mm.ready ? npu->hbm_mm.mm.avail : 0;
	mutex_unlock(&npu->hbm_mm.lock);
	*largest_free = *free_bytes;
}

/* ---------------------------------------------------------------------------------------------- bad pages -- */
void npu_hbm_retire_page(struct npu_device *npu, u64 offset)
{
	struct npu_bad_page *bad, *old;
	bool known = false;
	u32 count = 0;

	offset = ALIGN_DOWN(offset, NPU_PAGE_64K);
	bad = kzalloc(sizeof(*bad), GFP_KERNEL);
	if (!bad)
		return;
	bad->offset = offset;
	INIT_LIST_HEAD(&bad->hbm.blocks);
	mutex_lock(&npu->hbm_mm.lock);
	/* The device may be what is broken: its addresses are looked at. */
	if (!npu->hbm_mm.ready || offset >= npu->hbm_mm.mm.size)
		known = true;
	list_for_each_entry(old, &npu->ras.bad_pages, link) {
		known |= old->offset == offset;
		count++;
	}
	known |= count >= NPU_BAD_PAGES_MAX;
	if (!known) {
		list_add_tail(&bad->link, &npu->ras.bad_pages);
		npu_hbm_catch_bad(npu);
	}
	mutex_unlock(&npu->hbm_mm.lock);
	if (known) {
		kfree(bad);
		return;
	}
	mutex_lock(&npu->ras.lock);
	npu->ras.retired_pages++;
	mutex_unlock(&npu->ras.lock);
	drm_warn(&npu->drm, "device memory at 0x%llx has an uncorrectable error: the page is taken out of use\n", offset);
}

static void npu_hbm_drop_bad(struct npu_device *npu)
{
	struct npu_bad_page *bad, *next;

	lockdep_assert_held(&npu->hbm_mm.lock);
	list_for_each_entry_safe(bad, next, &npu->ras.bad_pages, link) {
		list_del(&bad->link);
		gpu_buddy_free_list(&npu->hbm_mm.mm, &bad->hbm.blocks, 0);
		kfree(bad);
	}
}

/* ------------------------------------------------------------------------------------------------- tables -- */
static void npu_chunk_free(struct npu_device *npu, struct npu_table_chunk *chunk)
{
	if (!list_empty(&chunk->hbm.blocks))
		npu_hbm_give(npu, &chunk->hbm);
	kvfree(chunk->shadow);
	kfree(chunk);
}

/* Without tables.lock: the allocation may give back retired tables first. */
static int npu_chunk_create(struct npu_device *npu, u32 piece_bytes, struct npu_table_chunk **out)
{
	struct npu_table_chunk *chunk = kzalloc(sizeof(*chunk), GFP_KERNEL);
	int err = -ENOMEM;

	if (!chunk)
		return err;
	INIT_LIST_HEAD(&chunk->link);
	INIT_LIST_HEAD(&chunk->hbm.blocks);
	chunk->piece_bytes = piece_bytes;
	chunk->shadow = kvzalloc(NPU_PAGE_64K, GFP_KERNEL_ACCOUNT);
	if (chunk->shadow)
		err = npu_hbm_alloc_any(npu, NPU_PAGE_64K, NPU_PAGE_64K, NPU_HBM_TABLES, &chunk->hbm);
	if (err) {
		npu_chunk_free(npu, chunk);
		return err;
	}
	chunk->offset = npu_hbm_block_offset(npu, list_first_entry(&chunk->hbm.blocks, struct gpu_buddy_block, link));
	*out = chunk;
	return 0;
}

static u64 npu_chunk_take(struct npu_table_chunk *chunk)
{
	const u32 pieces = NPU_PAGE_64K / chunk->piece_bytes;
	const u32 piece = find_first_zero_bit(chunk->taken, pieces);

	__set_bit(piece, chunk->taken);
	__clear_bit(piece, chunk->out);
	chunk->used++;
	if (chunk->used == pieces)
		list_del_init(&chunk->link);
	return chunk->offset + (u64)piece * chunk->piece_bytes;
}

int npu_table_alloc(struct npu_device *npu, u32 bytes, u64 *offset)
{
	struct npu_tables *tables = &npu->tables;
	const int class = npu_pt_size_class(bytes);
	struct npu_table_chunk *chunk;
	int err;

	if (class < 0)
		return -EINVAL;
	mutex_lock(&tables->lock);
	if (list_empty(&tables->partial[class])) {
		mutex_unlock(&tables->lock);
		err = npu_chunk_create(npu, bytes, &chunk);
		if (err)
			return err;
		mutex_lock(&tables->lock);
		err = xa_err(xa_store(&tables->chunks, chunk->offset / NPU_PAGE_64K, chunk, GFP_KERNEL));
		if (err) {
			mutex_unlock(&tables->lock);
			npu_chunk_free(npu, chunk);
			return err;
		}
		list_add(&chunk->link, &tables->partial[class]);
	}
	chunk = list_first_entry(&tables->partial[class], struct npu_table_chunk, link);
	*offset = npu_chunk_take(chunk);
	mutex_unlock(&tables->lock);
	return 0;
}

void npu_table_free(struct npu_device *npu, u64 offset, u32 bytes)
{
	struct npu_tables *tables = &npu->tables;
	const int class = npu_pt_size_class(bytes);
	struct npu_table_chunk *chunk;
	u32 piece;

	if (WARN_ON_ONCE(class < 0))
		return;
	mutex_lock(&tables->lock);
	chunk = xa_load(&tables->chunks, offset / NPU_PAGE_64K);
	piece = (offset & (NPU_PAGE_64K - 1)) / bytes;
	if (WARN_ON_ONCE(!chunk || chunk->piece_bytes != bytes || !test_bit(piece, chunk->taken))) {
		mutex_unlock(&tables->lock);
		return;
	}
	__clear_bit(piece, chunk->taken);
	chunk->used--;
	list_move(&chunk->link, &tables->partial[class]);
	if (chunk->used) {
		mutex_unlock(&tables->lock);
		return;
	}
	list_del_init(&chunk->link);
	xa_erase(&tables->chunks, offset / NPU_PAGE_64K);
	mutex_unlock(&tables->lock);
	npu_chunk_free(npu, chunk);
}

u64 *npu_table_word(struct npu_device *npu, u64 offset)
{
	/* A chunk stays while a piece of it has an owner, and the caller is one. */
	struct npu_table_chunk *chunk = xa_load(&npu->tables.chunks, offset / NPU_PAGE_64K);

	return chunk ? &chunk->shadow[(offset & (NPU_PAGE_64K - 1)) / sizeof(u64)] : NULL;
}

void npu_table_write(struct npu_device *npu, u64 offset, u64 value)
{
	u64 *word = npu_table_word(npu, offset);

	if (WARN_ON_ONCE(!word))
		return;
	WRITE_ONCE(*word, value); /* before the device's: npu_line_write() looks here again after it has written there */
	/*
	 * What a new table holds, before the pointer to it. A leaf points to nothing that was stored here, so leaves
	 * may leave the write-combining buffer in any order; npu_mmu_publish() empties it.
	 */
	if (npu_pt_is_table(value))
		wmb(); /* the device reads an entry before the table behind it */
	writeq(value, npu->hbm + offset);
}

u64 *npu_table_take_copy(struct npu_device *npu, u64 offset)
{
	struct npu_tables *tables = &npu->tables;
	struct npu_table_chunk *chunk;

	mutex_lock(&tables->lock);
	chunk = xa_load(&tables->chunks, offset / NPU_PAGE_64K);
	if (chunk)
		__set_bit((offset & (NPU_PAGE_64K - 1)) / chunk->piece_bytes, chunk->out);
	mutex_unlock(&tables->lock);
	return npu_table_word(npu, offset);
}

/* --------------------------------------------------------------------------------- tables that were damaged -- */
void npu_table_damaged(struct npu_device *npu, u64 offset)
{
	struct npu_tables *tables = &npu->tables;

	mutex_lock(&npu->hbm_mm.lock);
	/* More at once than there is room for: walks of those fault, and their owners make new address spaces. */
	if (npu->hbm_mm.ready && tables->damage_count < NPU_TABLE_DAMAGES) {
		tables->damages[tables->damage_count++] = ALIGN_DOWN(offset, NPU_ECC_LINE_BYTES);
		queue_work(npu->wq, &tables->mend_work);
	}
	mutex_unlock(&npu->hbm_mm.lock);
}

static bool npu_table_next_damage(struct npu_device *npu, u64 *offset)
{
	struct npu_tables *tables = &npu->tables;
	bool any;

	mutex_lock(&npu->hbm_mm.lock);
	any = tables->damage_count;
	if (any)
		*offset = tables->damages[--tables->damage_count];
	mutex_unlock(&npu->hbm_mm.lock);
	return any;
}

/*
 * The owner may change a word meanwhile, under a lock that is not known here. He stores into the copy first; so either his store to the
 * device comes last, or the copy has changed when it is looked at again.
 */
static void npu_line_write(struct npu_device *npu, const u64 *words, u64 offset)
{
	u64 value;
	u32 i;

	for (i = 0; i < NPU_ECC_LINE_BYTES / sizeof(u64); i++) {
		do {
			value = READ_ONCE(words[i]);
			writeq(value, npu->hbm + offset + i * sizeof(u64));
			mb(); /* out of the write-combining buffer before the second look */
		} while (READ_ONCE(words[i]) != value);
	}
	/* A read comes back after the stores before it have arrived. */
	readq(npu->hbm + offset);
}

/*
 * The device mends memory only by clearing it; for the moment until it is written, walks that lead here fault as they would have done
 * anyhow. No translation that was made before is wrong, so nothing is flushed.
 */
static void npu_table_mend(struct npu_device *npu, u64 offset)
{
	const u64 at = offset & (NPU_PAGE_64K - 1);
	struct npu_tables *tables = &npu->tables;
	struct npu_table_chunk *chunk;

	mutex_lock(&tables->lock);
	chunk = xa_load(&tables->chunks, offset / NPU_PAGE_64K);
	if (chunk && test_bit(at / chunk->piece_bytes, chunk->taken) &&
	    !test_bit(at / chunk->piece_bytes, chunk->out) &&
	    !npu_mbox_call(npu, NPU_MBOX_HBM_CLEAR, NULL, offset, NPU_ECC_LINE_BYTES)) {
		npu_line_write(npu, &chunk->shadow[at / sizeof(u64)], offset);
		tables->mended++;
	}
	mutex_unlock(&tables->lock);
}

static void npu_table_mend_work(struct work_struct *work)
{
	struct npu_device *npu = container_of(work, struct npu_device, tables.mend_work);
	u64 offset;
	int idx;

	while (npu_table_next_damage(npu, &offset)) {
		if (npu_enter_always(npu, &idx))
			return;
		npu_table_mend(npu, offset);
		npu_leave(npu, idx);
	}
}

static void npu_tables_forget(struct npu_device *npu)
{
	struct npu_tables *tables = &npu->tables;
	struct npu_table_chunk *chunk;
	unsigned long index;

	mutex_lock(&tables->lock);
	tables->generation++;
	xa_for_each(&tables->chunks, index, chunk) {
		xa_erase(&tables->chunks, index);
		list_del_init(&chunk->link);
		npu_chunk_free(npu, chunk);
	}
	mutex_unlock(&tables->lock);
}

void npu_table_reset(struct npu_device *npu)
{
	lockdep_assert_held_write(&npu->reset_lock);
	/* Among what waits are tables, whose way back leads through their chunks. */
	npu_retire_all(npu);
	npu_tables_forget(npu);
}

/* -------------------------------------------------------------------------------------------- begin, end -- */
/* Everything that had device memory is gone: objects hold the drm_device through their file or dma-buf. */
static void npu_hbm_release(struct drm_device *drm, void *unused)
{
	struct npu_device *npu = to_npu(drm);

	npu_tables_forget(npu);
	mutex_lock(&npu->hbm_mm.lock);
	npu_hbm_drop_bad(npu);
	drm_WARN_ON(drm, npu->hbm_mm.object_bytes);
	gpu_buddy_fini(&npu->hbm_mm.mm);
	mutex_unlock(&npu->hbm_mm.lock);
	xa_destroy(&npu->tables.chunks);
}

int npu_hbm_init(struct npu_device *npu)
{
	const u64 bytes = ALIGN_DOWN(npu->id.hbm_bytes, NPU_PAGE_64K);
	u32 i;
	int err;

	mutex_init(&npu->tables.lock);
	xa_init(&npu->tables.chunks);
	INIT_WORK(&npu->tables.mend_work, npu_table_mend_work);
	for (i = 0; i < NPU_PT_SIZE_CLASSES; i++)
		INIT_LIST_HEAD(&npu->tables.partial[i]);
	if (!bytes || npu->hbm_cpu_bytes < NPU_PAGE_64K) {
		drm_err(&npu->drm, "no device memory: HBM_BYTES is 0x%llx, BAR%u shows 0x%llx bytes of it\n",
			npu->id.hbm_bytes, NPU_BAR_HBM, npu->hbm_cpu_bytes);
		return -ENODEV;
	}
	err = gpu_buddy_init(&npu->hbm_mm.mm, bytes, NPU_PAGE_64K);
	if (err)
		return err;
	npu->hbm_mm.bytes = bytes;
	npu->hbm_mm.ready = true;
	return drmm_add_action_or_reset(&npu->drm, npu_hbm_release, NULL);
}

void npu_hbm_fini(struct npu_device *npu)
{
	mutex_lock(&npu->hbm_mm.lock);
	npu->hbm_mm.ready = false;
	mutex_unlock(&npu->hbm_mm.lock);
}
