// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * DOC: the driver's own queue
 *
 * COPY_SUBMIT makes jobs for one queue of the device that belongs to the driver: number 0, context 0, doorbell page
 * 0. It is the only place of the driver that makes dma_fences; user-mode queues must not (nobody bounds their work),
 * copies between objects of known size may.
 *
 * All that can fail or wait for memory happens in the call: objects are looked up and mapped into the driver's
 * address space, the fence and the links of time lines are allocated. Then the job is published: in its stream, in
 * the reservation objects, in the syncobjs. From there to the signal nothing allocates, and nothing takes a lock
 * under which somebody allocates; lockdep checks it (dma_fence_begin_signalling()). What follows the signal
 * (unmapping, last references) is a work of its own.
 *
 * Jobs of one file form a stream and run in order, each once the fences it waits for have signalled. Streams take
 * turns, a chunk of at most 16 MiB at a time, so a long copy does not hold up a short one. The queue itself is in
 * order, so a stream's fences signal in order too.
 *
 * A copy that fails (a poisoned line of HBM) stops the queue. It is made anew; the job at fault ends with EIO, chunks
 * behind it were not run and run again. A queue that stands still is the watchdog's: the device is reset, and every
 * job ends with ECANCELED. So every fence signals.
 *
 * NPU_COPY_WAIT can be interrupted until the first chunk is on its way: the job is taken back and the call starts
 * again. Later only death ends the wait, because a copy that ran in part must not run twice.
 *
 * Rejected: drm_sched: one ring that is fed in order needs none of it, and its interface changes in every release. A
 * window of fixed size into which each chunk is mapped when its turn comes: tables and TLB flushes then lie on the
 * way to the signal. One order for all files: a user's fence from elsewhere would hold up everybody.
 *
 * HBM of a peer is copied as all else is. When it goes (npu_prime.c), jobs that touch it end with ECANCELED and their
 * windows are emptied, so that a chunk which the device has already stops the queue as above. A job that is being made
 * meanwhile finds the object LOST under its resv, just before it is published.
 *
 * Locks: copy.lock guards streams, jobs in them and the ring; npu_copy_job.map_lock what is in the windows of a job;
 * room_lock the sums of users; windows_lock the addresses. The last two are leaves.
 */
#include <linux/slab.h>

#include <drm/drm_managed.h>

#include "npu_copy.h"

/* ------------------------------------------------------------------------------------------------ the ring -- */
static u32 npu_copy_in_flight(const struct npu_copy *copy)
{
	return copy->submitted - copy->reaped;
}

/* Nothing of it is left to issue. */
static bool npu_copy_issued(const struct npu_copy_job *job)
{
	return job->err || job->cancelled || job->next == job->step_count;
}

static void npu_copy_write_command(struct npu_cmd *slot, const struct npu_copy_step *step, u64 offset, u64 bytes)
{
	if (step->fill) {
		const struct npu_cmd_fill fill = {
			.op = NPU_CMD_FILL,
			.dst_dva = step->dst + offset,
			.width_bytes = bytes,
			.pattern = step->pattern,
			.pattern_bytes = sizeof(step->pattern),
			.height = 1,
		};

		memcpy(slot, &fill, sizeof(fill));
	} else {
		const struct npu_cmd_copy command = {
			.op = NPU_CMD_COPY,
			.src_dva = step->src + offset,
			.dst_dva = step->dst + offset,
			.width_bytes = bytes,
			.height = 1,
			.depth = 1,
		};

		memcpy(slot, &command, sizeof(command));
	}
}

static void npu_copy_issue(struct npu_copy *copy, struct npu_copy_job *job)
{
	const struct npu_copy_step *step = &job->steps[job->next];
	const u64 bytes = min(step->bytes - job->offset, NPU_COPY_CHUNK_BYTES);
	const u32 slot = copy->submitted % NPU_COPY_SLOTS;

	lockdep_assert_held(&copy->lock);
	if (!npu_copy_in_flight(copy))
		copy->moved_at = ktime_get();
	npu_copy_write_command(&copy->ring[slot], step, job->offset, bytes);
	copy->chunks[slot] = (struct npu_copy_chunk){ .job = job, .step = job->next, .offset = job->offset };
	copy->submitted++;
	job->begun = true;
	job->in_flight++;
	job->offset += bytes;
	if (job->offset == step->bytes) {
		job->offset = 0;
		job->next++;
	}
}

/* The stream's next job with a chunk to issue; NULL: none, or its fences have not signalled. */
static struct npu_copy_job *npu_copy_ready(struct npu_copy_stream *stream)
{
	struct npu_copy_job *job;

	list_for_each_entry(job, &stream->jobs, link) {
		if (!npu_copy_issued(job))
			return atomic_read(&job->waits_left) ? NULL : job;
	}
	return NULL;
}

/* The next chunk of the first stream that has one; that stream is last in turn then. */
static bool npu_copy_issue_next(struct npu_copy *copy)
{
	struct npu_copy_stream *stream;
	struct npu_copy_job *job;

	list_for_each_entry(stream, &copy->streams, link) {
		job = npu_copy_ready(stream);
		if (!job)
			continue;
		npu_copy_issue(copy, job);
		list_move_tail(&stream->link, &copy->streams);
		return true;
	}
	return false;
}

static void npu_copy_pump(struct npu_copy *copy)
{
	const u64 before = copy->submitted;

	lockdep_assert_held(&copy->lock);
	if (!copy->running)
		return;
	while (npu_copy_in_flight(copy) < NPU_COPY_IN_FLIGHT && npu_copy_issue_next(copy))
		;
	if (copy->submitted != before)
		npu_doorbell_ring_kernel(copy->npu, copy->submitted);
	if (!npu_copy_in_flight(copy))
		return;
	WRITE_ONCE(copy->ctrl->interrupt_at, copy->reaped + 1);
	mb(); /* the device has one between completed and its look at interrupt_at: one of us sees what the other wrote */
	if (READ_ONCE(copy->ctrl->completed) > copy->reaped)
		queue_work(copy->wq, &copy->run_work);
}

/*
 * The queue has stopped: what was not run goes back to its job. Somebody is to blame, or the same would happen again.
 */
static void npu_copy_break(struct npu_copy *copy, bool blamed)
{
	struct npu_copy_job *job;

	lockdep_assert_held(&copy->lock);
	copy->running = false;
	copy->broken = true;
	copy->moved_at = ktime_get();
	if (!blamed && npu_copy_in_flight(copy)) {
		job = copy->chunks[copy->reaped % NPU_COPY_SLOTS].job;
		job->err = job->err ?: -EIO;
	}
	while (npu_copy_in_flight(copy)) {
		const struct npu_copy_chunk *chunk = &copy->chunks[--copy->submitted % NPU_COPY_SLOTS];

		chunk->job->next = chunk->step;
		chunk->job->offset = chunk->offset;
		chunk->job->in_flight--;
	}
	queue_work(copy->npu->wq, &copy->restart_work);
}

/* Takes note of completed commands. False: one of them failed, and the queue has stopped behind it. */
static bool npu_copy_reap(struct npu_copy *copy)
{
	u64 completed;
	bool good = true;

	lockdep_assert_held(&copy->lock);
	if (!copy->running)
		return true;
	completed = READ_ONCE(copy->ctrl->completed);
	dma_rmb(); /* the device has written the records below before completed */
	/* A device that is broken must not lead us out of the ring. */
	completed = min(completed, copy->submitted);
	for (; copy->reaped < completed; copy->reaped++) {
		const u32 slot = copy->reaped % NPU_COPY_SLOTS;
		struct npu_copy_job *job = copy->chunks[slot].job;
		const s32 status = READ_ONCE(copy->records[slot].status);

		job->in_flight--;
		copy->moved_at = ktime_get();
		if (status != NPU_ST_OK) {
			drm_dbg(&copy->npu->drm, "a copy failed: status %d\n", status);
			/* Cancelled: a reset found it running. One that has ended before met what was taken away. */
			if (!job->err)
				job->err = status == NPU_ST_CANCELED ? -ECANCELED : -EIO;
			good = false;
		}
	}
	return good;
}

/* The job has left its stream's front: tells everybody. */
static void npu_copy_end(struct npu_copy *copy, struct npu_copy_job *job)
{
	struct dma_fence *fence = &job->fence->base;

	lockdep_assert_held(&copy->lock);
	list_del(&job->link);
	if (job->cancelled && !job->err)
		job->err = -ECANCELED;
	if (job->err)
		dma_fence_set_error(fence, job->err);
	dma_fence_signal(fence);
	smp_store_release(&job->ended, true); /* pairs with driver/npu_copy_job.c : npu_copy_ended */
	wake_up_all(&job->wait);
	/* A reset may end a job whose call is still at it; then the call does the rest. */
	if (job->registered)
		queue_delayed_work(copy->npu->wq, &job->cleanup, 0);
}

void npu_copy_drop_stream(struct npu_copy_stream *stream)
{
	if (stream->users || !list_empty(&stream->jobs))
		return;
	list_del(&stream->link);
	kfree(stream);
}

/* Ends what is over, in the order of each stream: a later fence never signals before an earlier one. */
void npu_copy_finish(struct npu_copy *copy)
{
	struct npu_copy_stream *stream, *next_stream;
	struct npu_copy_job *job, *next_job;

	lockdep_assert_held(&copy->lock);
	list_for_each_entry_safe(stream, next_stream, &copy->streams, link) {
		list_for_each_entry_safe(job, next_job, &stream->jobs, link) {
			if (!npu_copy_issued(job) || job->in_flight)
				break;
			npu_copy_end(copy, job);
		}
		npu_copy_drop_stream(stream);
	}
}

void npu_copy_run(struct npu_copy *copy)
{
	lockdep_assert_held(&copy->lock);
	if (!npu_copy_reap(copy))
		npu_copy_break(copy, true);
	npu_copy_finish(copy);
	npu_copy_pump(copy);
}

static void npu_copy_run_work(struct work_struct *work)
{
	struct npu_copy *copy = container_of(work, struct npu_copy, run_work);
	const bool cookie = npu_copy_lock(copy);

	npu_copy_run(copy);
	npu_copy_unlock(copy, cookie);
}

/* --------------------------------------------------------------------------------------- what the device says -- */
void npu_copy_progress(struct npu_device *npu)
{
	struct npu_copy *copy = npu->copy;
	bool cookie;

	if (!copy)
		return;
	cookie = npu_copy_lock(copy);
	npu_copy_run(copy);
	npu_copy_unlock(copy, cookie);
}

void npu_copy_fault(struct npu_device *npu, const struct npu_event_record *record)
{
	struct npu_copy *copy = npu->copy;
	bool cookie, good;

	if (!copy)
		return;
	cookie = npu_copy_lock(copy);
	/* The queue that it speaks of may have been made anew: then nothing failed, and it is alive. */
	if (copy->running && READ_ONCE(copy->ctrl->state) >= NPU_QUEUE_STATE_FAULTED) {
		good = npu_copy_reap(copy);
		npu_copy_break(copy, !good);
	}
	npu_copy_run(copy);
	npu_copy_unlock(copy, cookie);
}

bool npu_copy_busy(struct npu_device *npu)
{
	return npu->copy && atomic_read(&npu->copy->jobs);
}

/* Ends every job. The device does not run the queue. */
static void npu_copy_end_all(struct npu_copy *copy, int err)
{
	struct npu_copy_stream *stream;
	struct npu_copy_job *job;

	lockdep_assert_held(&copy->lock);
	copy->running = false;
	copy->broken = false;
	while (npu_copy_in_flight(copy)) {
		job = copy->chunks[--copy->submitted % NPU_COPY_SLOTS].job;
		job->in_flight--;
		job->err = err;
	}
	list_for_each_entry(stream, &copy->streams, link) {
		list_for_each_entry(job, &stream->jobs, link) {
			/* What has ended on the device and waits only for its turn has not failed. */
			if (!npu_copy_issued(job))
				job->err = err;
		}
	}
	npu_copy_finish(copy);
}

/* Looks after lost interrupts, a queue that stands still, and one that is not made anew. */
static void npu_copy_watch_work(struct work_struct *work)
{
	struct npu_copy *copy = container_of(to_delayed_work(work), struct npu_copy, watch_work);
	struct npu_device *npu = copy->npu;
	const bool cookie = npu_copy_lock(copy);
	bool stalled, again;

	npu_copy_run(copy);
	stalled = (copy->broken || npu_copy_in_flight(copy)) &&
		  ktime_ms_delta(ktime_get(), copy->moved_at) >= npu_scaled_ms(npu, NPU_COPY_STALL_MS);
	if (stalled && copy->broken) {
		/*
		 * The device stopped the queue by itself, so nothing of it touches memory: the fences need not wait
		 * for the reset.
		 */
		npu_copy_end_all(copy, -EIO);
	} else if (stalled) {
		copy->moved_at = ktime_get();
	}
	again = !list_empty(&copy->streams);
	npu_copy_unlock(copy, cookie);
	if (stalled) {
		drm_err(&npu->drm, "the driver's own queue stands still\n");
		npu_reset_schedule(npu, NPU_RESET_WATCHDOG, NULL);
	}
	if (again)
		queue_delayed_work(copy->wq, &copy->watch_work, msecs_to_jiffies(NPU_COPY_TICK_MS));
}

/* --------------------------------------------------------------------------------------------- begin, end -- */
/* Puts the queue on the device, empty. Nobody else touches ring or control page: running is false. */
static int npu_copy_start_queue(struct npu_copy *copy)
{
	const u64 shape = NPU_COPY_RING_LOG2 | NPU_PRIO_NORMAL << 8 | NPU_QUEUE_COPY << 16;
	bool cookie;
	int err;

	memset(copy->ring, 0, NPU_COPY_MEMORY_BYTES);
	err = npu_mbox_call(copy->npu, NPU_MBOX_QUEUE_CREATE, NULL, NPU_COPY_QUEUE, 0, NPU_COPY_RING_DVA,
			    NPU_COPY_RING_DVA + NPU_COPY_RING_BYTES, shape, 0, 0);
	if (err)
		return err;
	cookie = npu_copy_lock(copy);
	copy->submitted = 0;
	copy->reaped = 0;
	copy->broken = false;
	copy->running = true;
	npu_copy_run(copy);
	npu_copy_unlock(copy, cookie);
	return 0;
}

/* After a fault. Not on the way to signals: it takes the reset lock, and npu_copy_watch_work() does not wait for it. */
static void npu_copy_restart_work(struct work_struct *work)
{
	struct npu_copy *copy = container_of(work, struct npu_copy, restart_work);
	struct npu_device *npu = copy->npu;
	bool cookie, broken;
	int idx, err;

	/* A reset makes the queue anew, and a device that is gone needs none. */
	if (npu_enter_always(npu, &idx))
		return;
	cookie = npu_copy_lock(copy);
	broken = copy->broken;
	npu_copy_unlock(copy, cookie);
	if (broken) {
		err = npu_mbox_call(npu, NPU_MBOX_QUEUE_DESTROY, NULL, NPU_COPY_QUEUE);
		if (!err)
			err = npu_copy_start_queue(copy);
		if (err)
			npu_reset_schedule(npu, NPU_RESET_FIRMWARE, NULL);
	}
	npu_leave(npu, idx);
}

void npu_copy_stop(struct npu_device *npu, int err)
{
	struct npu_copy *copy = npu->copy;
	bool cookie;

	if (!copy)
		return;
	cookie = npu_copy_lock(copy);
	npu_copy_reap(copy);
	npu_copy_end_all(copy, err);
	npu_copy_unlock(copy, cookie);
}

/* Under reset_lock (write), or in probe: the device has no context and no queue of ours. */
int npu_copy_restart(struct npu_device *npu)
{
	struct npu_copy *copy = npu->copy;
	struct npu_vm *vm;
	int err;

	if (copy->vm)
		npu_vm_put(copy->vm);
	copy->vm = NULL;
	err = npu_vm_create_kernel(npu, &vm);
	if (err)
		return err;
	copy->vm = vm;
	err = npu_vm_kernel_map(vm, copy->memory, 0, NPU_COPY_RING_DVA, NPU_COPY_MEMORY_BYTES);
	return err ?: npu_copy_start_queue(copy);
}

static void npu_copy_init_struct(struct npu_copy *copy, struct npu_device *npu)
{
	copy->npu = npu;
	mutex_init(&copy->lock);
	INIT_LIST_HEAD(&copy->streams);
	INIT_WORK(&copy->run_work, npu_copy_run_work);
	INIT_DELAYED_WORK(&copy->watch_work, npu_copy_watch_work);
	INIT_WORK(&copy->restart_work, npu_copy_restart_work);
	spin_lock_init(&copy->room_lock);
	init_waitqueue_head(&copy->room);
	mutex_init(&copy->windows_lock);
	drm_mm_init(&copy->windows, NPU_COPY_WINDOWS_BEGIN, NPU_COPY_WINDOWS_END - NPU_COPY_WINDOWS_BEGIN);
	init_waitqueue_head(&copy->idle);
}

int npu_copy_init(struct npu_device *npu)
{
	struct npu_copy *copy;
	int err;

	/* As long as the drm_device: calls that began before remove() may still look at it. */
	copy = drmm_kzalloc(&npu->drm, sizeof(*copy), GFP_KERNEL);
	if (!copy)
		return -ENOMEM;
	copy->wq = alloc_workqueue("npu-copy", WQ_UNBOUND | WQ_HIGHPRI | WQ_MEM_RECLAIM, 0);
	if (!copy->wq)
		return -ENOMEM;
	npu_copy_init_struct(copy, npu);
	npu->copy = copy;
	err = npu_bo_create_kernel(npu, NPU_COPY_MEMORY_BYTES, &copy->memory);
	if (err)
		return err;
	copy->ring = npu_bo_vaddr(copy->memory, 0);
	copy->ctrl = npu_bo_vaddr(copy->memory, NPU_COPY_RING_BYTES);
	copy->records = npu_bo_vaddr(copy->memory, NPU_COPY_RING_BYTES + NPU_CTRL_BYTES);
	return npu_copy_restart(npu);
}

void npu_copy_fini(struct npu_device *npu)
{
	struct npu_copy *copy = npu->copy;

	if (!copy)
		return;
	npu_copy_stop(npu, -ENODEV);
	/* Cleaned up to the last: from then on no callback of a fence and no work leads here. */
	wait_event(copy->idle, !atomic_read(&copy->jobs));
	cancel_work_sync(&copy->restart_work);
	cancel_delayed_work_sync(&copy->watch_work);
	destroy_workqueue(copy->wq);
	if (copy->vm)
		npu_vm_put(copy->vm);
	copy->vm = NULL;
	if (copy->memory)
		drm_gem_object_put(&copy->memory->base);
	drm_mm_takedown(&copy->windows);
}
