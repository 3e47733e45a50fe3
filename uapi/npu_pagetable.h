/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Page tables of the device MMU: their format, the walk that the device does, and the changes that their owner makes.
 * Pure C on top of five callbacks: the kernel driver, the device server and the device core compile the same file.
 *
 *   bits 47..39  L3  512 entries (root)   512 GiB each
 *        38..30  L2  512 entries            1 GiB
 *        29..21  L1  512 entries            2 MiB    leaf or L0 table
 *        20..16  L0   32 entries           64 KiB    leaf or split table
 *        15..12       16 entries            4 KiB    leaf (decision 0002: host memory is scattered in 4 KiB pages)
 *
 * Entries are 64 bits, little-endian. An entry without VALID means "nothing here", whatever its other bits are.
 *   bit 0 VALID | 1 LEAF | 2 SPLIT (table pointer in L0) | 3 WRITE | 4 EXEC | 5 SYSTEM (0: HBM offset, 1: host iova)
 *   6..11 zero, but bits 7..11 belong to a table's address | 12..51 address | 52..63 zero
 * A table lies in HBM at a multiple of its size; a page begins at a multiple of its size. WRITE, EXEC and SYSTEM stand
 * only with LEAF. Whoever breaks a rule gets a fault, never a wrong address: tables may be written by a hostile driver.
 *
 * Changing: npu_pt_prepare_*() for every operation of a batch, then npu_pt_commit_*() for each in the same order, then
 * npu_pt_compact() for each range. Prepare allocates tables and links them, split so that every address still
 * translates as before; it may fail. Commit only writes leaves into tables that exist. Compact unlinks what is empty
 * and joins what fits a larger page; it is also the way back after a failed prepare.
 *
 * Thread safety: one writer for each root at a time. The device may walk meanwhile: every visible change is one 64-bit
 * store, made after the table behind it is complete, so write64 must be a single store with release order. After
 * commit, before memory is given away, the owner flushes the TLB and waits until old walks have ended; free_table must
 * hold tables back likewise.
 */
#ifndef NPU_UAPI_PAGETABLE_H
#define NPU_UAPI_PAGETABLE_H

#include <linux/types.h>

#include "npu_accel.h"
#include "npu_validate.h" /* ranges, errno */

#define NPU_PTE_VALID (1ULL << 0)
#define NPU_PTE_LEAF (1ULL << 1)
#define NPU_PTE_SPLIT (1ULL << 2)
#define NPU_PTE_WRITE (1ULL << 3)
#define NPU_PTE_EXEC (1ULL << 4)
#define NPU_PTE_SYSTEM (1ULL << 5)
#define NPU_PTE_FLAGS (NPU_PTE_WRITE | NPU_PTE_EXEC | NPU_PTE_SYSTEM)
#define NPU_PTE_PAGE_MASK 0x000ffffffffff000ULL /* address of a page */
#define NPU_PTE_TABLE_MASK 0x000fffffffffff80ULL /* address of a table */
#define NPU_PTE_ADDRESS_END (1ULL << 52)

#define NPU_PT_TABLE_BYTES 4096 /* L3, L2, L1 */
#define NPU_PT_TABLE_ENTRIES 512
#define NPU_PT_L0_BYTES 256
#define NPU_PT_L0_ENTRIES 32
#define NPU_PT_SPLIT_BYTES 128
#define NPU_PT_SPLIT_ENTRIES 16

#define NPU_PT_L3_SPAN (1ULL << 39)
#define NPU_PT_L2_SPAN (1ULL << 30)
#define NPU_PT_VA_END (1ULL << NPU_VA_BITS)

struct npu_pt_ops {
	void *ctx;
	__u64 hbm_bytes; /* tables and HBM pages must end at or below it */
	/* 0, or anything else when the offset cannot be read. Called with multiples of 8 inside hbm_bytes only. */
	int (*read64)(void *ctx, __u64 hbm_offset, __u64 *value);
	/* The members below are for changing; a device that only walks leaves them NULL. */
	void (*write64)(void *ctx, __u64 hbm_offset, __u64 value);
	/* 0 and a free piece of `bytes` (4096, 256 or 128), aligned to its size, content of no matter; or -ENOSPC, -ENOMEM. */
	int (*alloc_table)(void *ctx, __u32 bytes, __u64 *hbm_offset);
	void (*free_table)(void *ctx, __u64 hbm_offset, __u32 bytes);
};

/* A translation: [pa, pa + bytes_left) is contiguous. */
struct npu_pt_hit {
	__u64 pa; /* HBM offset or host iova */
	__u64 bytes_left; /* to the end of the page */
	__u64 page_bytes; /* 4 KiB, 64 KiB or 2 MiB */
	__u64 flags; /* NPU_PTE_WRITE, EXEC, SYSTEM */
};

/* Tables have three sizes; whoever hands out pieces keeps them apart by these. Less than 0: no table has this size. */
#define NPU_PT_SIZE_CLASSES 3
static inline int npu_pt_size_class(__u32 bytes)
{
	switch (bytes) {
	case NPU_PT_TABLE_BYTES:
		return 0;
	case NPU_PT_L0_BYTES:
		return 1;
	case NPU_PT_SPLIT_BYTES:
		return 2;
	default:
		return -1;
	}
}

/* -------------------------------------------------------------------------------------------------- walk -- */
static inline int npu_pt_is_table(__u64 pte)
{
	return (pte & (NPU_PTE_VALID | NPU_PTE_LEAF)) == NPU_PTE_VALID;
}

static inline int npu_pt_is_leaf(__u64 pte)
{
	return (pte & (NPU_PTE_VALID | NPU_PTE_LEAF)) == (NPU_PTE_VALID | NPU_PTE_LEAF);
}

/* NPU_FAULT_NONE and the table's offset, when a valid non-leaf entry points to a proper table of `bytes`. */
static inline int npu_pt_table(const struct npu_pt_ops *ops, __u64 pte, __u64 bytes, __u64 *table)
{
	__u64 split = bytes == NPU_PT_SPLIT_BYTES ? NPU_PTE_SPLIT : 0;
	__u64 address = pte & NPU_PTE_TABLE_MASK;

	if ((pte & ~NPU_PTE_TABLE_MASK) != (NPU_PTE_VALID | split) || (address & (bytes - 1)) != 0)
		return NPU_FAULT_RESERVED;
	if (bytes > ops->hbm_bytes || address > ops->hbm_bytes - bytes)
		return NPU_FAULT_RANGE;
	*table = address;
	return NPU_FAULT_NONE;
}

/* The same for a leaf whose page has `bytes`. */
static inline int npu_pt_leaf(const struct npu_pt_ops *ops, __u64 pte, __u64 dva, __u64 bytes,
			      struct npu_pt_hit *out)
{
	__u64 address = pte & NPU_PTE_PAGE_MASK;

	if ((pte & ~(NPU_PTE_PAGE_MASK | NPU_PTE_FLAGS)) != (NPU_PTE_VALID | NPU_PTE_LEAF) ||
	    (address & (bytes - 1)) != 0)
		return NPU_FAULT_RESERVED;
	if ((pte & NPU_PTE_SYSTEM) == 0 && (bytes > ops->hbm_bytes || address > ops->hbm_bytes - bytes))
		return NPU_FAULT_RANGE;
	out->pa = address | (dva & (bytes - 1));
	out->bytes_left = bytes - (dva & (bytes - 1));
	out->page_bytes = bytes;
	out->flags = pte & NPU_PTE_FLAGS;
	return NPU_FAULT_NONE;
}

/*
 * Translates one address. Reads at most five entries, each once. Returns enum npu_fault_reason: NONE and *out, or
 * NOT_PRESENT, RESERVED or RANGE; permissions are the caller's part, see npu_pt_permits().
 */
static inline int npu_pt_walk(const struct npu_pt_ops *ops, __u64 root, __u64 dva, struct npu_pt_hit *out)
{
	__u64 table = root;
	__u64 pte = 0;
	__u32 shift;
	int fault;

	if (dva >= NPU_PT_VA_END)
		return NPU_FAULT_RANGE;
	fault = npu_pt_table(ops, root | NPU_PTE_VALID, NPU_PT_TABLE_BYTES, &table);
	if (fault != NPU_FAULT_NONE)
		return fault;
	for (shift = 39; shift >= 21; shift -= 9) {
		if (ops->read64(ops->ctx, table + ((dva >> shift) & 511) * 8, &pte) != 0)
			return NPU_FAULT_RANGE;
		if ((pte & NPU_PTE_VALID) == 0)
			return NPU_FAULT_NOT_PRESENT;
		if (shift == 21 && npu_pt_is_leaf(pte))
			return npu_pt_leaf(ops, pte, dva, NPU_PAGE_2M, out);
		fault = npu_pt_table(ops, pte, shift == 21 ? NPU_PT_L0_BYTES : NPU_PT_TABLE_BYTES, &table);
		if (fault != NPU_FAULT_NONE)
			return fault;
	}
	if (ops->read64(ops->ctx, table + ((dva >> 16) & 31) * 8, &pte) != 0)
		return NPU_FAULT_RANGE;
	if ((pte & NPU_PTE_VALID) == 0)
		return NPU_FAULT_NOT_PRESENT;
	if (npu_pt_is_leaf(pte))
		return npu_pt_leaf(ops, pte, dva, NPU_PAGE_64K, out);
	fault = npu_pt_table(ops, pte, NPU_PT_SPLIT_BYTES, &table);
	if (fault != NPU_FAULT_NONE)
		return fault;
	if (ops->read64(ops->ctx, table + ((dva >> 12) & 15) * 8, &pte) != 0)
		return NPU_FAULT_RANGE;
	if ((pte & NPU_PTE_VALID) == 0)
		return NPU_FAULT_NOT_PRESENT;
	return npu_pt_leaf(ops, pte, dva, NPU_PAGE_4K, out);
}

/* 1: a page with these flags may be used so (enum npu_fault_access). */
static inline int npu_pt_permits(__u64 flags, __u32 access)
{
	switch (access) {
	case NPU_ACCESS_READ:
		return 1;
	case NPU_ACCESS_WRITE:
		return (flags & NPU_PTE_WRITE) != 0;
	case NPU_ACCESS_EXEC:
		return (flags & NPU_PTE_EXEC) != 0;
	default:
		return 0;
	}
}

/* -------------------------------------------------------------------------------- changing: small steps -- */
static inline __u64 npu_pt_min(__u64 a, __u64 b)
{
	return a < b ? a : b;
}

/* The owner's own tables must be sound: anything else is corrupted memory, -EIO. */
static inline int npu_pt_read(const struct npu_pt_ops *ops, __u64 slot, __u64 *pte)
{
	return ops->read64(ops->ctx, slot, pte) != 0 ? -EIO : 0;
}

static inline int npu_pt_follow(const struct npu_pt_ops *ops, __u64 pte, __u64 bytes, __u64 *table)
{
	return npu_pt_table(ops, pte, bytes, table) != NPU_FAULT_NONE ? -EIO : 0;
}

/* A new table behind `slot`, whose old entry is a leaf (spread over `entries` smaller pages) or not valid. */
static inline int npu_pt_grow(const struct npu_pt_ops *ops, __u64 slot, __u64 old, __u32 bytes,
			      __u64 page, __u64 *table)
{
	__u64 step = npu_pt_is_leaf(old) ? page : 0;
	__u64 value = npu_pt_is_leaf(old) ? old : 0;
	__u64 split = bytes == NPU_PT_SPLIT_BYTES ? NPU_PTE_SPLIT : 0;
	__u32 i;
	int err;

	err = ops->alloc_table(ops->ctx, bytes, table);
	if (err != 0)
		return err;
	for (i = 0; i < bytes / 8; i++)
		ops->write64(ops->ctx, *table + i * 8, value + i * step);
	ops->write64(ops->ctx, slot, *table | NPU_PTE_VALID | split);
	return 0;
}

/*
 * Finds the L1 entry of dva: *skip is 0. With `create`, missing tables are made; without it, *skip is the span of the
 * entry that is missing, and there is no *slot.
 */
static inline int npu_pt_find_l1(const struct npu_pt_ops *ops, __u64 root, __u64 dva, int create,
				 __u64 *slot, __u64 *skip)
{
	__u64 table = root;
	__u32 shift;

	*skip = 0;
	*slot = 0;
	for (shift = 39; shift > 21; shift -= 9) {
		__u64 at = table + ((dva >> shift) & 511) * 8;
		__u64 pte;
		int err = npu_pt_read(ops, at, &pte);

		if (err != 0)
			return err;
		if ((pte & NPU_PTE_VALID) != 0) {
			err = npu_pt_follow(ops, pte, NPU_PT_TABLE_BYTES, &table);
		} else if (create) {
			err = npu_pt_grow(ops, at, 0, NPU_PT_TABLE_BYTES, 0, &table);
		} else {
			*skip = 1ULL << shift;
			return 0;
		}
		if (err != 0)
			return err;
	}
	*slot = table + ((dva >> 21) & 511) * 8;
	return 0;
}

/* Makes the tables below one L1 entry that [dva, dva + size), inside one 2 MiB, needs for leaves at pa. */
static inline int npu_pt_prepare_2m(const struct npu_pt_ops *ops, __u64 slot, __u64 dva, __u64 size, __u64 pa)
{
	__u64 end = dva + size;
	__u64 table, next, pte;
	int err = npu_pt_read(ops, slot, &pte);

	if (err != 0)
		return err;
	if (npu_pt_is_table(pte))
		err = npu_pt_follow(ops, pte, NPU_PT_L0_BYTES, &table);
	else if (size == NPU_PAGE_2M && pa % NPU_PAGE_2M == 0)
		return 0;
	else
		err = npu_pt_grow(ops, slot, pte, NPU_PT_L0_BYTES, NPU_PAGE_64K, &table);
	for (; err == 0 && dva < end; pa += next - dva, dva = next) {
		__u64 at = table + ((dva >> 16) & 31) * 8;
		__u64 split;

		next = npu_pt_min((dva | (NPU_PAGE_64K - 1)) + 1, end);
		if (next - dva == NPU_PAGE_64K && pa % NPU_PAGE_64K == 0)
			continue;
		err = npu_pt_read(ops, at, &pte);
		if (err != 0 || npu_pt_is_table(pte))
			continue;
		err = npu_pt_grow(ops, at, pte, NPU_PT_SPLIT_BYTES, NPU_PAGE_4K, &split);
	}
	return err;
}

/* Writes the leaves below one L1 entry; bits 0: clears them. */
static inline int npu_pt_commit_2m(const struct npu_pt_ops *ops, __u64 slot, __u64 dva, __u64 size, __u64 pa,
				   __u64 bits)
{
	__u64 end = dva + size;
	__u64 table, next, pte;
	int err = npu_pt_read(ops, slot, &pte);

	if (err != 0)
		return err;
	if (!npu_pt_is_table(pte)) {
		/* Still empty, and only a later operation of the batch maps here. */
		if (bits == 0 && (pte & NPU_PTE_VALID) == 0)
			return 0;
		if (size != NPU_PAGE_2M || pa % NPU_PAGE_2M != 0)
			return -EIO;
		ops->write64(ops->ctx, slot, bits != 0 ? pa | bits : 0);
		return 0;
	}
	err = npu_pt_follow(ops, pte, NPU_PT_L0_BYTES, &table);
	for (; err == 0 && dva < end; pa += next - dva, dva = next) {
		__u64 at = table + ((dva >> 16) & 31) * 8;
		__u64 split, i;

		next = npu_pt_min((dva | (NPU_PAGE_64K - 1)) + 1, end);
		err = npu_pt_read(ops, at, &pte);
		if (err != 0)
			continue;
		if (!npu_pt_is_table(pte)) {
			if (bits == 0 && (pte & NPU_PTE_VALID) == 0)
				continue;
			if (next - dva != NPU_PAGE_64K || pa % NPU_PAGE_64K != 0)
				return -EIO;
			ops->write64(ops->ctx, at, bits != 0 ? pa | bits : 0);
			continue;
		}
		err = npu_pt_follow(ops, pte, NPU_PT_SPLIT_BYTES, &split);
		for (i = 0; err == 0 && i < next - dva; i += NPU_PAGE_4K)
			ops->write64(ops->ctx, split + (((dva + i) >> 12) & 15) * 8,
				     bits != 0 ? (pa + i) | bits : 0);
	}
	return err;
}

/* What a table of leaves can become: 0 no change, 1 all empty, 2 one larger page (then *pte is its entry). */
static inline int npu_pt_join(const struct npu_pt_ops *ops, __u64 table, __u32 entries, __u64 page, __u64 *pte)
{
	__u64 first, entry, valid;
	__u32 i;

	if (npu_pt_read(ops, table, &first) != 0)
		return 0;
	valid = first & NPU_PTE_VALID;
	if (valid != 0 && (!npu_pt_is_leaf(first) ||
			   ((first & NPU_PTE_PAGE_MASK) & (page * entries - 1)) != 0))
		return 0;
	for (i = 1; i < entries; i++) {
		if (npu_pt_read(ops, table + i * 8, &entry) != 0)
			return 0;
		if (valid == 0 ? (entry & NPU_PTE_VALID) != 0 : entry != first + i * page)
			return 0;
	}
	*pte = valid != 0 ? first : 0;
	return valid != 0 ? 2 : 1;
}

/* Compacts what hangs below one L1 entry. */
static inline void npu_pt_compact_2m(const struct npu_pt_ops *ops, __u64 slot)
{
	__u64 table, split, pte;
	__u32 i;

	if (npu_pt_read(ops, slot, &pte) != 0 || !npu_pt_is_table(pte) ||
	    npu_pt_follow(ops, pte, NPU_PT_L0_BYTES, &table) != 0)
		return;
	for (i = 0; i < NPU_PT_L0_ENTRIES; i++) {
		__u64 at = table + i * 8;

		if (npu_pt_read(ops, at, &pte) != 0 || !npu_pt_is_table(pte) ||
		    npu_pt_follow(ops, pte, NPU_PT_SPLIT_BYTES, &split) != 0 ||
		    npu_pt_join(ops, split, NPU_PT_SPLIT_ENTRIES, NPU_PAGE_4K, &pte) == 0)
			continue;
		ops->write64(ops->ctx, at, pte);
		ops->free_table(ops->ctx, split, NPU_PT_SPLIT_BYTES);
	}
	if (npu_pt_join(ops, table, NPU_PT_L0_ENTRIES, NPU_PAGE_64K, &pte) == 0)
		return;
	ops->write64(ops->ctx, slot, pte);
	ops->free_table(ops->ctx, table, NPU_PT_L0_BYTES);
}

/* Frees the L2 (span 512 GiB) or L1 (span 1 GiB) tables of the range that have become empty. */
static inline void npu_pt_prune(const struct npu_pt_ops *ops, __u64 root, __u64 dva, __u64 end, __u64 span)
{
	for (; dva < end; dva = (dva | (span - 1)) + 1) {
		__u64 slot = root + (dva >> 39) * 8;
		__u64 table, entry, pte;
		__u32 i;

		if (npu_pt_read(ops, slot, &pte) != 0 || (pte & NPU_PTE_VALID) == 0) {
			/* Nothing in these 512 GiB: the loop's step then goes on behind them. */
			dva |= NPU_PT_L3_SPAN - 1;
			continue;
		}
		if (npu_pt_follow(ops, pte, NPU_PT_TABLE_BYTES, &table) != 0)
			continue;
		if (span == NPU_PT_L2_SPAN) {
			slot = table + ((dva >> 30) & 511) * 8;
			if (npu_pt_read(ops, slot, &pte) != 0 || (pte & NPU_PTE_VALID) == 0 ||
			    npu_pt_follow(ops, pte, NPU_PT_TABLE_BYTES, &table) != 0)
				continue;
		}
		for (i = 0; i < NPU_PT_TABLE_ENTRIES; i++)
			if (npu_pt_read(ops, table + i * 8, &entry) != 0 || (entry & NPU_PTE_VALID) != 0)
				break;
		if (i < NPU_PT_TABLE_ENTRIES)
			continue;
		ops->write64(ops->ctx, slot, 0);
		ops->free_table(ops->ctx, table, NPU_PT_TABLE_BYTES);
	}
}

/* -------------------------------------------------------------------------------- changing: whole ranges -- */
static inline int npu_pt_check_range(__u64 dva, __u64 size)
{
	if (((dva | size) & (NPU_PAGE_4K - 1)) != 0)
		return -EINVAL;
	return npu_validate_span(dva, size, NPU_PT_VA_END);
}

/* The step that both phases share: each 2 MiB of the range in turn. bits: see npu_pt_commit_2m. */
static inline int npu_pt_each_2m(const struct npu_pt_ops *ops, __u64 root, __u64 dva, __u64 size, __u64 pa,
				 int commit, int create, __u64 bits)
{
	__u64 end = dva + size;
	__u64 next, slot, skip;

	for (; dva < end; pa += next - dva, dva = next) {
		int err = npu_pt_find_l1(ops, root, dva, create, &slot, &skip);

		if (err != 0)
			return err;
		if (skip != 0) {
			next = npu_pt_min((dva | (skip - 1)) + 1, end);
			continue;
		}
		next = npu_pt_min((dva | (NPU_PAGE_2M - 1)) + 1, end);
		err = commit ? npu_pt_commit_2m(ops, slot, dva, next - dva, pa, bits)
			     : npu_pt_prepare_2m(ops, slot, dva, next - dva, pa);
		if (err != 0)
			return err;
	}
	return 0;
}

/*
 * Phase 1 of mapping [dva, dva + size) to [pa, pa + size); flags: NPU_PTE_WRITE, EXEC, SYSTEM. -EINVAL, the allocator's
 * error, or -EIO: tables are corrupted.
 */
static inline int npu_pt_prepare_map(const struct npu_pt_ops *ops, __u64 root, __u64 dva, __u64 size, __u64 pa,
				     __u64 flags)
{
	__u64 pa_end = (flags & NPU_PTE_SYSTEM) != 0 ? NPU_PTE_ADDRESS_END
						     : npu_pt_min(ops->hbm_bytes, NPU_PTE_ADDRESS_END);

	if (npu_pt_check_range(dva, size) != 0 || (flags & ~NPU_PTE_FLAGS) != 0 ||
	    (pa & (NPU_PAGE_4K - 1)) != 0 || npu_validate_span(pa, size, pa_end) != 0)
		return -EINVAL;
	return npu_pt_each_2m(ops, root, dva, size, pa, 0, 1, 0);
}

/*
 * Phase 2, with the same arguments. It replaces what was mapped there. 0 always, unless phase 1 was left out or the
 * tables were corrupted since: then -EIO, and the address space must be given up.
 */
static inline int npu_pt_commit_map(const struct npu_pt_ops *ops, __u64 root, __u64 dva, __u64 size, __u64 pa,
				    __u64 flags)
{
	return npu_pt_each_2m(ops, root, dva, size, pa, 1, 0,
			      flags | NPU_PTE_VALID | NPU_PTE_LEAF);
}

/* Phase 1 of unmapping: splits the larger pages at both ends. Errors as npu_pt_prepare_map(). */
static inline int npu_pt_prepare_unmap(const struct npu_pt_ops *ops, __u64 root, __u64 dva, __u64 size)
{
	if (npu_pt_check_range(dva, size) != 0)
		return -EINVAL;
	return npu_pt_each_2m(ops, root, dva, size, dva, 0, 0, 0);
}

/* Phase 2 of unmapping; as npu_pt_commit_map(). */
static inline int npu_pt_commit_unmap(const struct npu_pt_ops *ops, __u64 root, __u64 dva, __u64 size)
{
	return npu_pt_each_2m(ops, root, dva, size, dva, 1, 0, 0);
}

/* Phase 3, and the way back after a failed phase 1: no translation changes. */
static inline void npu_pt_compact(const struct npu_pt_ops *ops, __u64 root, __u64 dva, __u64 size)
{
	__u64 end = dva + size;
	__u64 at = dva;
	__u64 slot, skip;

	while (at < end) {
		int err = npu_pt_find_l1(ops, root, at, 0, &slot, &skip);

		if (err != 0)
			return;
		if (skip == 0) {
			npu_pt_compact_2m(ops, slot);
			skip = NPU_PAGE_2M;
		}
		at = (at | (skip - 1)) + 1;
	}
	npu_pt_prune(ops, root, dva, end, NPU_PT_L2_SPAN);
	npu_pt_prune(ops, root, dva, end, NPU_PT_L3_SPAN);
}

/* An empty root table. */
static inline int npu_pt_create(const struct npu_pt_ops *ops, __u64 *root)
{
	__u32 i;
	int err = ops->alloc_table(ops->ctx, NPU_PT_TABLE_BYTES, root);

	for (i = 0; err == 0 && i < NPU_PT_TABLE_ENTRIES; i++)
		ops->write64(ops->ctx, *root + i * 8, 0);
	return err;
}

/*
 * Unmaps everything and frees every table, the root too; the device must not walk it any more. Tables behind a
 * corrupted entry are leaked.
 */
static inline void npu_pt_destroy(const struct npu_pt_ops *ops, __u64 root)
{
	/* The range ends at table borders, so this never needs phase 1. */
	if (npu_pt_commit_unmap(ops, root, 0, NPU_PT_VA_END) == 0)
		npu_pt_compact(ops, root, 0, NPU_PT_VA_END);
	ops->free_table(ops->ctx, root, NPU_PT_TABLE_BYTES);
}

#endif
