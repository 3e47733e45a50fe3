/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What the two files of the driver's own queue share: npu_copy.c runs it, npu_copy_job.c makes and ends its jobs. */
#ifndef NPU_COPY_H
#define NPU_COPY_H

#include <linux/dma-fence.h>
#include <linux/dma-fence-chain.h>

#include <drm/drm_mm.h>
#include <drm/drm_syncobj.h>

#include "npu_drv.h"

#define NPU_COPY_RING_LOG2 NPU_RING_LOG2_MIN
#define NPU_COPY_SLOTS (1u << NPU_COPY_RING_LOG2)
#define NPU_COPY_RING_BYTES (NPU_COPY_SLOTS * NPU_CMD_BYTES)
#define NPU_COPY_MEMORY_BYTES (NPU_COPY_RING_BYTES + NPU_CTRL_BYTES + NPU_COPY_SLOTS * NPU_COMPLETION_BYTES)
#define NPU_COPY_IN_FLIGHT 16u
#define NPU_COPY_CHUNK_BYTES (16ULL << 20)

/* The driver's address space: own memory, then windows on objects, then all of the HBM. */
#define NPU_COPY_RING_DVA NPU_PAGE_2M
#define NPU_COPY_WINDOWS_BEGIN (1ULL << 30)
#define NPU_COPY_WINDOWS_END NPU_KERNEL_HBM_DVA

#define NPU_COPY_TICK_MS 250u
#define NPU_COPY_STALL_MS 10000u /* no chunk takes as long */

static_assert(NPU_COPY_IN_FLIGHT <= NPU_COPY_SLOTS);
static_assert(NPU_COPY_RING_DVA + NPU_COPY_MEMORY_BYTES <= NPU_COPY_WINDOWS_BEGIN);

/* Outlives its job: syncobjs and reservation objects hold it. */
struct npu_copy_fence {
	struct dma_fence base;
	spinlock_t lock; /* the fence's own */
};

struct npu_copy_job;

/* Jobs of one file, in order. Lives while it has jobs or somebody who is about to add one. */
struct npu_copy_stream {
	struct list_head link; /* npu_copy.streams */
	const struct npu_file *owner; /* only compared, never followed */
	struct list_head jobs; /* npu_copy_job.link */
	u32 users;
	u64 context, seqno; /* of fences */
};

/* An object and the range that a job touches of it. */
struct npu_copy_object {
	struct npu_bo *bo; /* a reference */
	u64 begin, end;
	bool written;
	bool direct; /* one piece of HBM: needs no window */
	u64 base; /* device address of offset 0 of the object */
	struct drm_mm_node window;
	u64 window_bytes, mapped_bytes;
};

struct npu_copy_step {
	u64 src, dst; /* offsets in the objects, then device addresses */
	u64 bytes;
	u64 pattern;
	u32 src_object, dst_object;
	bool fill;
};

struct npu_copy_wait {
	struct list_head link; /* npu_copy_job.waits */
	struct npu_copy_job *job;
	struct dma_fence *fence; /* a reference */
	struct dma_fence_cb cb;
};

struct npu_copy_signal {
	struct drm_syncobj *syncobj; /* a reference */
	struct dma_fence_chain *chain; /* of a time line; NULL once it is used */
	u64 point;
};

struct npu_copy_job {
	struct kref ref; /* the queue's, and the caller's */
	struct npu_copy *copy;
	struct npu_user *user; /* a reference */
	struct npu_vm *vm; /* a reference; where the windows are */
	struct npu_copy_stream *stream;
	struct npu_copy_fence *fence; /* a reference once it is published; memory before */
	bool published;
	struct npu_copy_object *objects;
	u32 object_count;
	struct mutex map_lock; /* once it is published: windows go, and objects with them; around vm.lock */
	struct npu_copy_step *steps;
	u32 step_count;
	struct list_head waits;
	struct npu_copy_signal *signals;
	u32 signal_count;
	u64 window_bytes;
	bool reserved;

	struct list_head link; /* npu_copy_stream.jobs; and all below under copy.lock */
	atomic_t waits_left; /* lockless: fences that have not signalled, and one while the call registers them */
	u32 next; /* step and offset of the chunk to issue */
	u64 offset;
	u32 in_flight;
	int err;
	bool begun, cancelled;
	bool registered; /* the call has registered the waits: the job may be cleaned up */

	bool ended; /* written last, release */
	wait_queue_head_t wait; /* for ended */
	struct delayed_work cleanup;
};

/* One command on the ring. */
struct npu_copy_chunk {
	struct npu_copy_job *job;
	u32 step;
	u64 offset;
};

struct npu_copy {
	struct npu_device *npu;
	struct npu_vm *vm; /* changes under reset_lock (write); read inside npu_enter() */
	struct npu_bo *memory; /* ring, control page, records */
	struct npu_cmd *ring;
	struct npu_queue_ctrl *ctrl;
	struct npu_completion *records;

	struct mutex lock; /* guards the members down to moved_at, and the jobs of streams */
	struct list_head streams; /* whose turn is next comes first */
	struct npu_copy_chunk chunks[NPU_COPY_SLOTS];
	u64 submitted, reaped;
	bool running; /* the queue is on the device and may be rung */
	bool broken; /* it stopped at a fault, restart_work makes it anew */
	ktime_t moved_at; /* last progress, or the begin of what is waited for */

	struct workqueue_struct *wq; /* on the way to signals: has a rescuer */
	struct work_struct run_work;
	struct delayed_work watch_work;
	struct work_struct restart_work; /* on npu_device.wq */

	spinlock_t room_lock; /* guards npu_user.copy_jobs and copy_bytes */
	wait_queue_head_t room;
	struct mutex windows_lock; /* guards windows */
	struct drm_mm windows;
	atomic_t jobs; /* published and not cleaned up */
	wait_queue_head_t idle;
};

/* Everything under copy.lock is on the way to signals. */
static inline bool npu_copy_lock(struct npu_copy *copy)
{
	const bool cookie = dma_fence_begin_signalling();

	mutex_lock(&copy->lock);
	return cookie;
}

static inline void npu_copy_unlock(struct npu_copy *copy, bool cookie)
{
	mutex_unlock(&copy->lock);
	dma_fence_end_signalling(cookie);
}

/* copy.lock held: takes note of what has ended, ends jobs, issues what is next. */
void npu_copy_run(struct npu_copy *copy);
void npu_copy_finish(struct npu_copy *copy);
/* Lets go of it when nobody needs it. */
void npu_copy_drop_stream(struct npu_copy_stream *stream);

#endif
