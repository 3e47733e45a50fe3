/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The one place that accepts or refuses the arguments of a call: kernel, device server and fuzzers compile this file.
 *
 * npu_validate_<call>(args, limits) looks at one struct, npu_validate_<element>(element, limits) at one element of its
 * arrays. 0, or a negative errno: EINVAL for a value that no device accepts, ENOENT for the id 0, E2BIG for an array
 * longer than the limit, ENOSPC for a size beyond the limit. They know nothing of objects: that a handle exists, who
 * owns it and that a range fits its object is for the caller to check (npu_validate_span(), npu_validate_bind_bo()).
 *
 * Everything is read once from memory that the other side must not be able to change: pass a copy.
 * Pure functions; no locks, no allocation, no libc.
 */
#ifndef NPU_UAPI_VALIDATE_H
#define NPU_UAPI_VALIDATE_H

#include <linux/errno.h>
#include <linux/types.h>

#include "npu_accel.h"
#include "npu_metrics.h"

/* ------------------------------------------------------------------------------------------------ pieces -- */

/* [offset, offset + size) is not empty, does not wrap and ends at or before `total`. */
static inline int npu_validate_span(__u64 offset, __u64 size, __u64 total)
{
	if (size == 0 || offset > total || size > total - offset)
		return -EINVAL;
	return 0;
}

/* A range of user addresses, both ends multiples of `align` (a power of two), below `va_end`. */
static inline int npu_validate_va(__u64 dva, __u64 size, __u64 align, __u64 va_end)
{
	if (((dva | size) & (align - 1)) != 0 || dva < NPU_VA_MIN)
		return -EINVAL;
	return npu_validate_span(dva, size, va_end);
}

static inline int npu_validate_id(__u32 id)
{
	return id == 0 ? -ENOENT : 0;
}

/* An array as announced: `least` to `most` elements of at least `elem_bytes` (their size in version 1.0). */
static inline int npu_validate_array(const struct npu_array *array, __u32 elem_bytes, __u32 least,
				     __u32 most)
{
	if (array->count < least)
		return -EINVAL;
	if (array->count == 0)
		return array->stride != 0 || array->ptr != 0 ? -EINVAL : 0;
	if (array->count > most)
		return -E2BIG;
	if (array->stride < elem_bytes || array->stride > NPU_MAX_STRIDE || array->stride % 8 != 0)
		return -EINVAL;
	return array->ptr % 8 != 0 ? -EINVAL : 0;
}

/* Visible text that ends with a NUL; after the NUL only zeros. */
static inline int npu_validate_label(const char *label, __u32 bytes)
{
	__u32 i = 0;

	while (i < bytes && label[i] != 0) {
		unsigned char c = (unsigned char)label[i];

		if (c < 0x20 || c == 0x7f)
			return -EINVAL;
		i++;
	}
	if (i == bytes)
		return -EINVAL;
	for (; i < bytes; i++)
		if (label[i] != 0)
			return -EINVAL;
	return 0;
}

/* Sizes that QUEUE_CREATE's ring_log2 stands for. */
static inline __u64 npu_ring_bytes(__u32 ring_log2)
{
	return (__u64)NPU_CMD_BYTES << ring_log2;
}

static inline __u64 npu_ctrl_bytes(__u32 ring_log2)
{
	return NPU_CTRL_BYTES + ((__u64)NPU_COMPLETION_BYTES << ring_log2);
}

static inline __u64 npu_region_page_bytes(__u32 region)
{
	return region == NPU_REGION_HBM ? NPU_PAGE_64K : NPU_PAGE_4K;
}

/* --------------------------------------------------------------------------------------------- DEV_QUERY -- */
static inline int npu_validate_dev_query(const struct npu_dev_query *a, const struct npu_limits *lim)
{
	__u32 most = 0;

	(void)lim;
	switch (a->type) {
#define NPU_QUERY(nr, NAME, elem, max_count, doc) \
	case NPU_QUERY_##NAME:                    \
		most = max_count;                 \
		break;
#include "spec/calls.def"
	default:
		return -EINVAL;
	}
	if (a->flags != 0)
		return -EINVAL;
	return npu_validate_array(&a->out, 8, 0, most);
}

/* ---------------------------------------------------------------------------------------- address spaces -- */
static inline int npu_validate_vm_create(const struct npu_vm_create *a, const struct npu_limits *lim)
{
	if (a->flags != 0 || a->vm_id != 0)
		return -EINVAL;
	if (a->va_end == 0)
		return 0;
	if (a->va_end % NPU_PAGE_2M != 0 || a->va_end > lim->va_end)
		return -EINVAL;
	return 0;
}

static inline int npu_validate_vm_destroy(const struct npu_vm_destroy *a, const struct npu_limits *lim)
{
	(void)lim;
	if (a->pad != 0)
		return -EINVAL;
	return npu_validate_id(a->vm_id);
}

static inline int npu_validate_vm_bind(const struct npu_vm_bind *a, const struct npu_limits *lim)
{
	if (a->flags != 0 || a->failed_index != 0 || a->pad != 0)
		return -EINVAL;
	if (a->vm_id == 0)
		return -ENOENT;
	return npu_validate_array(&a->ops, sizeof(struct npu_bind_op), 1, lim->bind_ops_max);
}

/* Also give npu_validate_bind_bo() the object of a MAP, and check dva + size against the end of this VM. */
static inline int npu_validate_bind_op(const struct npu_bind_op *op, const struct npu_limits *lim)
{
	if (op->kind >= NPU_BIND_KIND_COUNT || (op->flags & ~NPU_BIND_FLAGS_ALL) != 0 || op->pad != 0)
		return -EINVAL;
	if ((op->flags & NPU_BIND_EXEC) != 0 && (op->flags & NPU_BIND_READONLY) == 0)
		return -EINVAL;
	if (npu_validate_va(op->dva, op->size_bytes, NPU_PAGE_4K, lim->va_end) != 0)
		return -EINVAL;
	if (op->kind == NPU_BIND_UNMAP)
		return op->bo_handle != 0 || op->bo_offset != 0 || op->flags != 0 ? -EINVAL : 0;
	if (op->bo_handle == 0)
		return -ENOENT;
	if (op->bo_offset % NPU_PAGE_4K != 0)
		return -EINVAL;
	return npu_validate_span(op->bo_offset, op->size_bytes, lim->bo_bytes_max);
}

/* Second half for MAP: alignment by the region of the object, and the range inside it. */
static inline int npu_validate_bind_bo(const struct npu_bind_op *op, __u32 region, __u64 bo_bytes)
{
	__u64 page = npu_region_page_bytes(region);

	if (((op->dva | op->size_bytes | op->bo_offset) & (page - 1)) != 0)
		return -EINVAL;
	return npu_validate_span(op->bo_offset, op->size_bytes, bo_bytes);
}

static inline int npu_validate_vm_query(const struct npu_vm_query *a, const struct npu_limits *lim)
{
	(void)lim;
	if (a->state != 0 || a->mapped_bytes != 0 || a->table_bytes != 0 || a->faults_total != 0)
		return -EINVAL;
	if (a->vm_id == 0)
		return -ENOENT;
	return npu_validate_array(&a->faults, 8, 0, NPU_MAX_FAULTS);
}

/* -------------------------------------------------------------------------------------------- objects -- */
static inline int npu_validate_bo_system(const struct npu_bo_create *a)
{
	if ((a->flags & (NPU_BO_CONTIGUOUS | NPU_BO_HUGE)) != 0 || a->align_log2 != 0)
		return -EINVAL;
	if ((a->flags & NPU_BO_SYNC) != 0 && (a->flags & NPU_BO_NO_MMAP) != 0)
		return -EINVAL;
	return 0;
}

static inline int npu_validate_bo_hbm(const struct npu_bo_create *a)
{
	if ((a->flags & NPU_BO_SYNC) != 0 || a->caching == NPU_CACHING_WB)
		return -EINVAL;
	if (a->align_log2 != 0 && (a->align_log2 < 16 || a->align_log2 > 30))
		return -EINVAL;
	return 0;
}

static inline int npu_validate_bo_create(const struct npu_bo_create *a, const struct npu_limits *lim)
{
	if (a->region >= NPU_REGION_COUNT || (a->flags & ~NPU_BO_FLAGS_ALL) != 0 ||
	    a->caching >= NPU_CACHING_COUNT)
		return -EINVAL;
	if (a->handle != 0 || a->pad != 0 || a->map_token != 0 || a->size_bytes == 0)
		return -EINVAL;
	/* The largest object is a multiple of the largest page, so rounding up cannot pass it. */
	if (a->size_bytes > (lim->bo_bytes_max & ~(NPU_PAGE_2M - 1)))
		return -ENOSPC;
	return a->region == NPU_REGION_HBM ? npu_validate_bo_hbm(a) : npu_validate_bo_system(a);
}

static inline int npu_validate_bo_create_userptr(const struct npu_bo_create_userptr *a,
						 const struct npu_limits *lim)
{
	if ((a->flags & ~NPU_USERPTR_READONLY) != 0 || a->handle != 0 || a->pad != 0 || a->fd < -1)
		return -EINVAL;
	if (((a->address | a->size_bytes) & (NPU_PAGE_4K - 1)) != 0)
		return -EINVAL;
	if (npu_validate_span(a->address, a->size_bytes, ~(__u64)0) != 0)
		return -EINVAL;
	return a->size_bytes > lim->bo_bytes_max ? -ENOSPC : 0;
}

static inline int npu_validate_bo_info(const struct npu_bo_info *a, const struct npu_limits *lim)
{
	(void)lim;
	if (a->flags != 0 || a->region != 0 || a->state != 0 || a->size_bytes != 0 ||
	    a->page_bytes != 0 || a->map_token != 0)
		return -EINVAL;
	return npu_validate_id(a->handle);
}

static inline int npu_validate_bo_set_label(const struct npu_bo_set_label *a,
					    const struct npu_limits *lim)
{
	(void)lim;
	if (a->pad != 0 || npu_validate_label(a->label, NPU_LABEL_BYTES) != 0)
		return -EINVAL;
	return npu_validate_id(a->handle);
}

/* --------------------------------------------------------------------------------------------- queues -- */
static inline int npu_validate_queue_memory(const struct npu_queue_create *a,
					    const struct npu_limits *lim)
{
	__u64 ring = npu_ring_bytes(a->ring_log2);
	/* A mapping is whole pages, so the control block's last page belongs to it. */
	__u64 ctrl = npu_ctrl_bytes(a->ring_log2);

	if (a->ring_dva % NPU_PAGE_4K != 0 || npu_validate_va(a->ring_dva, ring, 64, lim->va_end) != 0)
		return -EINVAL;
	if (a->ctrl_dva % NPU_PAGE_4K != 0 || npu_validate_va(a->ctrl_dva, ctrl, 64, lim->va_end) != 0)
		return -EINVAL;
	if (a->ring_dva < a->ctrl_dva + ctrl && a->ctrl_dva < a->ring_dva + ring)
		return -EINVAL;
	if (a->ctrl_offset % NPU_PAGE_4K != 0)
		return -EINVAL;
	return npu_validate_span(a->ctrl_offset, ctrl, lim->bo_bytes_max);
}

static inline int npu_validate_queue_create(const struct npu_queue_create *a,
					    const struct npu_limits *lim)
{
	__u32 params = a->queue_class == NPU_QUEUE_NET ? 1 : 0;

	if (a->queue_class >= NPU_QUEUE_CLASS_COUNT || (a->flags & ~NPU_QUEUE_FLAGS_ALL) != 0 ||
	    a->priority >= NPU_PRIO_COUNT)
		return -EINVAL;
	if (a->queue_id != 0 || a->doorbell_slot != 0 || a->pad != 0 || a->doorbell_token != 0)
		return -EINVAL;
	if (a->ring_log2 < NPU_RING_LOG2_MIN || a->ring_log2 > NPU_RING_LOG2_MAX ||
	    a->ring_log2 < lim->ring_log2_min || a->ring_log2 > lim->ring_log2_max)
		return -EINVAL;
	if (a->timeout_ms > lim->timeout_ms_max || npu_validate_queue_memory(a, lim) != 0)
		return -EINVAL;
	if (a->params.count != params)
		return -EINVAL;
	if (npu_validate_array(&a->params, sizeof(struct npu_queue_net), 0, 1) != 0)
		return -EINVAL;
	return a->vm_id == 0 || a->ctrl_handle == 0 ? -ENOENT : 0;
}

static inline int npu_validate_queue_net(const struct npu_queue_net *net, const struct npu_limits *lim)
{
	(void)lim;
	if (net->port_mask == 0 || net->remote_queue != 0)
		return -EINVAL;
	if (net->mtu_bytes < NPU_NET_MTU_MIN || net->mtu_bytes > NPU_NET_MTU_MAX)
		return -EINVAL;
	return 0;
}

static inline int npu_validate_queue_destroy(const struct npu_queue_destroy *a,
					     const struct npu_limits *lim)
{
	(void)lim;
	if (a->pad != 0)
		return -EINVAL;
	return npu_validate_id(a->queue_id);
}

static inline int npu_validate_queue_query(const struct npu_queue_query *a,
					   const struct npu_limits *lim)
{
	const unsigned char *fault = (const unsigned char *)&a->fault;
	unsigned char any = 0;
	__u32 i;

	(void)lim;
	for (i = 0; i < sizeof(a->fault); i++)
		any |= fault[i];
	if (any != 0 || a->state != 0 || a->status != 0 || a->flags != 0 || a->epoch != 0 ||
	    a->fetched != 0 || a->completed != 0 || a->progress != 0 || a->busy_ns != 0)
		return -EINVAL;
	return npu_validate_id(a->queue_id);
}

static inline int npu_validate_queue_set(const struct npu_queue_set *a, const struct npu_limits *lim)
{
	if (a->what == 0 || (a->what & ~NPU_QUEUE_SET_ALL) != 0)
		return -EINVAL;
	if ((a->what & NPU_QUEUE_SET_RUN) != 0 && (a->what & NPU_QUEUE_SET_SUSPEND) != 0)
		return -EINVAL;
	if ((a->what & NPU_QUEUE_SET_PRIORITY) != 0 ? a->priority >= NPU_PRIO_COUNT : a->priority != 0)
		return -EINVAL;
	if ((a->what & NPU_QUEUE_SET_TIMEOUT) != 0 ? a->timeout_ms > lim->timeout_ms_max : a->timeout_ms != 0)
		return -EINVAL;
	return npu_validate_id(a->queue_id);
}

/* ---------------------------------------------------------------------------------------------- waits -- */
static inline int npu_validate_cond(const struct npu_cond *cond, const struct npu_limits *lim)
{
	if (cond->op >= NPU_COND_OP_COUNT || cond->pad != 0)
		return -EINVAL;
	if (cond->op == NPU_COND_QUEUE_IDLE) {
		if (cond->bo_handle != 0 || cond->offset != 0 || cond->value != 0 || cond->mask != 0)
			return -EINVAL;
		return npu_validate_id(cond->queue_id);
	}
	if (cond->offset % 8 != 0 || npu_validate_span(cond->offset, 8, lim->bo_bytes_max) != 0)
		return -EINVAL;
	if (cond->mask == 0 || (cond->value & ~cond->mask) != 0)
		return -EINVAL;
	return npu_validate_id(cond->bo_handle);
}

static inline int npu_validate_wait(const struct npu_wait *a, const struct npu_limits *lim)
{
	if ((a->flags & ~NPU_WAIT_FLAGS_ALL) != 0 || a->first_index != 0 || a->status != 0 ||
	    a->pad != 0 || a->deadline_ns < 0)
		return -EINVAL;
	return npu_validate_array(&a->conds, sizeof(struct npu_cond), 1, lim->wait_conditions_max);
}

static inline int npu_validate_notify(const struct npu_notify *a, const struct npu_limits *lim)
{
	const struct npu_cond *c = &a->cond;

	if ((a->flags & ~NPU_NOTIFY_FLAGS_ALL) != 0 || a->cookie == 0)
		return -EINVAL;
	if ((a->flags & NPU_NOTIFY_ADD) != 0) {
		if ((a->flags & NPU_NOTIFY_REMOVE) != 0 || a->fd < 0)
			return -EINVAL;
		return npu_validate_cond(c, lim);
	}
	if (a->flags != NPU_NOTIFY_REMOVE || a->fd != -1)
		return -EINVAL;
	if (c->op != 0 || c->bo_handle != 0 || c->queue_id != 0 || c->pad != 0 || c->offset != 0 ||
	    c->value != 0 || c->mask != 0)
		return -EINVAL;
	return 0;
}

/* --------------------------------------------------------------------------------------------- copies -- */
static inline int npu_validate_copy_op(const struct npu_copy_op *op, const struct npu_limits *lim)
{
	if (op->kind >= NPU_COPY_KIND_COUNT || op->flags != 0)
		return -EINVAL;
	if (npu_validate_span(op->dst_offset, op->size_bytes, lim->bo_bytes_max) != 0)
		return -EINVAL;
	if (op->kind == NPU_COPY_FILL) {
		if (op->src_handle != 0 || op->src_offset != 0 ||
		    ((op->dst_offset | op->size_bytes) & 7) != 0)
			return -EINVAL;
		return npu_validate_id(op->dst_handle);
	}
	if (op->pattern != 0)
		return -EINVAL;
	if (npu_validate_span(op->src_offset, op->size_bytes, lim->bo_bytes_max) != 0)
		return -EINVAL;
	if (op->src_handle == 0 || op->dst_handle == 0)
		return -ENOENT;
	if (op->src_handle == op->dst_handle && op->src_offset < op->dst_offset + op->size_bytes &&
	    op->dst_offset < op->src_offset + op->size_bytes)
		return -EINVAL;
	return 0;
}

static inline int npu_validate_sync(const struct npu_sync *sync, const struct npu_limits *lim)
{
	(void)lim;
	if ((sync->flags & ~NPU_SYNC_TIMELINE) != 0)
		return -EINVAL;
	/* Point 0 of a time line has always passed; to wait for it or to signal it is a mistake. */
	if (((sync->flags & NPU_SYNC_TIMELINE) != 0) != (sync->value != 0))
		return -EINVAL;
	return npu_validate_id(sync->handle);
}

static inline int npu_validate_copy_submit(const struct npu_copy_submit *a,
					   const struct npu_limits *lim)
{
	int wait = (a->flags & NPU_COPY_WAIT) != 0;
	int err;

	if ((a->flags & ~NPU_COPY_FLAGS_ALL) != 0 || a->pad != 0)
		return -EINVAL;
	if (wait == (a->signals.count != 0))
		return -EINVAL;
	err = npu_validate_array(&a->ops, sizeof(struct npu_copy_op), 1, lim->copy_ops_max);
	if (err == 0)
		err = npu_validate_array(&a->waits, sizeof(struct npu_sync), 0, lim->copy_syncs_max);
	if (err == 0)
		err = npu_validate_array(&a->signals, sizeof(struct npu_sync), 0, lim->copy_syncs_max);
	return err;
}

/* ------------------------------------------------------------------- registrations, counters, events -- */
static inline int npu_validate_mr_create(const struct npu_mr_create *a, const struct npu_limits *lim)
{
	if (a->access == 0 || (a->access & ~NPU_MR_ACCESS_ALL) != 0)
		return -EINVAL;
	if (a->mr_id != 0 || a->pad != 0 || a->remote_key != 0)
		return -EINVAL;
	if (npu_validate_va(a->dva, a->size_bytes, 64, lim->va_end) != 0)
		return -EINVAL;
	return npu_validate_id(a->vm_id);
}

static inline int npu_validate_mr_destroy(const struct npu_mr_destroy *a, const struct npu_limits *lim)
{
	(void)lim;
	if (a->pad != 0)
		return -EINVAL;
	return npu_validate_id(a->mr_id);
}

static inline int npu_validate_perf_open(const struct npu_perf_open *a, const struct npu_limits *lim)
{
	if (a->flags != 0 || a->fd != -1 || a->record_bytes != 0 || a->pad != 0)
		return -EINVAL;
	if (a->period_ns < NPU_PERF_PERIOD_MIN_NS || a->period_ns > NPU_PERF_PERIOD_MAX_NS)
		return -EINVAL;
	return npu_validate_array(&a->counters, sizeof(struct npu_perf_counter), 1,
				  lim->perf_counters_max);
}

static inline int npu_validate_perf_counter(const struct npu_perf_counter *counter,
					    const struct npu_limits *lim)
{
	(void)lim;
	return counter->flags != 0 || !npu_metric_exists(counter->metric_id) ? -EINVAL : 0;
}

static inline int npu_validate_event_mask(const struct npu_event_mask *a, const struct npu_limits *lim)
{
	(void)lim;
	return (a->mask & ~NPU_EVENT_MASK_ALL) != 0 || a->previous != 0 ? -EINVAL : 0;
}

/* Any call by its number; `args` points to its whole struct. ENOTTY: there is no such call. */
static inline int npu_validate_call(__u32 nr, const void *args, const struct npu_limits *lim)
{
	switch (nr) {
#define NPU_CALL(number, NAME, name, dir, min_bytes, doc) \
	case number:                                      \
		return npu_validate_##name((const struct npu_##name *)args, lim);
#include "spec/calls.def"
	default:
		return -ENOTTY;
	}
}

#endif
