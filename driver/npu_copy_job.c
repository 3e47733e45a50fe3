// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Jobs of the driver's own queue: from the call to their place in a stream, and what they hold afterwards. npu_copy.c
 * has the essay.
 */
#include <linux/dma-resv.h>
#include <linux/slab.h>

#include <drm/drm_exec.h>

#include "npu_copy.h"

/* Of one user at a time; who wants more waits for own jobs. Windows cost HBM for page tables, 1/512 of their size. */
#define NPU_COPY_USER_JOBS 256
#define NPU_COPY_USER_BYTES (16LL << 30)

#define NPU_COPY_MAP_BYTES (256ULL << 20) /* in one step, so that others get at the address space in between */

/* -------------------------------------------------------------------------------------------------- fences -- */
static const char *npu_copy_fence_driver(struct dma_fence *fence)
{
	return "npu";
}

static const char *npu_copy_fence_timeline(struct dma_fence *fence)
{
	return "copy";
}

/* Fences are held by other drivers, and their operations are code of this module. */
static void npu_copy_fence_release(struct dma_fence *fence)
{
	kfree_rcu(container_of(fence, struct npu_copy_fence, base), base.rcu);
	module_put(THIS_MODULE);
}

static const struct dma_fence_ops npu_copy_fence_ops = {
	.get_driver_name = npu_copy_fence_driver,
	.get_timeline_name = npu_copy_fence_timeline,
	.release = npu_copy_fence_release,
};

/* ------------------------------------------------------------------------------------------------ windows -- */
static bool npu_copy_try_reserve(struct npu_copy_job *job)
{
	struct npu_copy *copy = job->copy;
	struct npu_user *user = job->user;
	s64 jobs, bytes;

	spin_lock(&copy->room_lock);
	jobs = atomic64_read(&user->copy_jobs);
	bytes = atomic64_read(&user->copy_bytes);
	/* The only one goes through, however large it is. */
	job->reserved = !jobs || (jobs < NPU_COPY_USER_JOBS && bytes + (s64)job->window_bytes <= NPU_COPY_USER_BYTES);
	if (job->reserved) {
		atomic64_inc(&user->copy_jobs);
		atomic64_add(job->window_bytes, &user->copy_bytes);
	}
	spin_unlock(&copy->room_lock);
	return job->reserved;
}

static void npu_copy_unreserve(struct npu_copy_job *job)
{
	struct npu_copy *copy = job->copy;

	if (!job->reserved)
		return;
	job->reserved = false;
	spin_lock(&copy->room_lock);
	atomic64_dec(&job->user->copy_jobs);
	atomic64_sub(job->window_bytes, &job->user->copy_bytes);
	spin_unlock(&copy->room_lock);
	wake_up_all(&copy->room);
}

struct npu_copy_piece {
	u64 address;
	bool seen;
};

static int npu_copy_one_piece(void *arg, u64 address, u64 bytes, bool is_hbm)
{
	struct npu_copy_piece *piece = arg;

	if (piece->seen)
		return -E2BIG;
	piece->address = address;
	piece->seen = true;
	return 0;
}

/* Which objects need a window, and how large. */
static void npu_copy_plan(struct npu_copy_job *job)
{
	u32 i;

	for (i = 0; i < job->object_count; i++) {
		struct npu_copy_object *object = &job->objects[i];
		const bool hbm = npu_bo_is_hbm(object->bo);
		const u64 page = hbm ? NPU_PAGE_64K : NPU_PAGE_4K;
		struct npu_copy_piece piece = {};

		if (hbm && !npu_bo_walk_pieces(object->bo, object->begin, object->end - object->begin,
						  npu_copy_one_piece, &piece)) {
			object->direct = true;
			object->base = NPU_KERNEL_HBM_DVA + piece.address - object->begin;
			continue;
		}
		object->begin = round_down(object->begin, page);
		object->end = round_up(object->end, page);
		object->window_bytes = object->end - object->begin;
		job->window_bytes += object->window_bytes;
	}
}

static int npu_copy_map_window(struct npu_copy_job *job, struct npu_copy_object *object)
{
	struct npu_copy *copy = job->copy;
	int err;

	mutex_lock(&copy->windows_lock);
	/* From the bottom: tables of places that were used before are still there. */
	err = drm_mm_insert_node_in_range(&copy->windows, &object->window, ALIGN(object->window_bytes, NPU_PAGE_2M),
					  NPU_PAGE_2M, 0, 0, U64_MAX, DRM_MM_INSERT_LOW);
	mutex_unlock(&copy->windows_lock);
	if (err)
		return err;
	object->base = object->window.start - object->begin;
	while (object->mapped_bytes < object->window_bytes) {
		const u64 bytes = min(object->window_bytes - object->mapped_bytes, NPU_COPY_MAP_BYTES);

		if (fatal_signal_pending(current))
			return -EINTR;
		err = npu_vm_kernel_map(job->vm, object->bo, object->begin + object->mapped_bytes,
					object->window.start + object->mapped_bytes, bytes);
		if (err)
			return err;
		object->mapped_bytes += bytes;
	}
	return 0;
}

/* Inside npu_enter(). What is mapped when it fails is undone by npu_copy_unmap(). */
static int npu_copy_map(struct npu_copy_job *job)
{
	u32 i;
	int err;

	if (!job->copy->vm)
		return -EIO;
	job->vm = npu_vm_get(job->copy->vm);
	for (i = 0; i < job->object_count; i++) {
		struct npu_copy_object *object = &job->objects[i];

		if (npu_bo_lost(object->bo))
			return -ECANCELED;
		err = object->direct ? 0 : npu_copy_map_window(job, object);
		if (err)
			return err;
	}
	for (i = 0; i < job->step_count; i++) {
		struct npu_copy_step *step = &job->steps[i];

		step->dst += job->objects[step->dst_object].base;
		if (!step->fill)
			step->src += job->objects[step->src_object].base;
	}
	return 0;
}

/* hw: inside npu_enter(); else the device forgot all of it. */
static void npu_copy_unmap(struct npu_copy_job *job, bool hw)
{
	struct npu_copy *copy = job->copy;
	u32 i;

	for (i = 0; i < job->object_count; i++) {
		struct npu_copy_object *object = &job->objects[i];

		if (!drm_mm_node_allocated(&object->window))
			continue;
		mutex_lock(&job->map_lock);
		if (hw && object->mapped_bytes)
			npu_vm_kernel_unmap(job->vm, object->window.start, object->mapped_bytes);
		object->mapped_bytes = 0;
		mutex_unlock(&job->map_lock);
		mutex_lock(&copy->windows_lock);
		drm_mm_remove_node(&object->window);
		mutex_unlock(&copy->windows_lock);
	}
}

/* ------------------------------------------------------------------------------------------- end of a job -- */
static void npu_copy_free_waits(struct npu_copy_job *job)
{
	struct npu_copy_wait *wait, *next;

	list_for_each_entry_safe(wait, next, &job->waits, link) {
		/* Afterwards its callback is not running either. */
		dma_fence_remove_callback(wait->fence, &wait->cb);
		dma_fence_put(wait->fence);
		kfree(wait);
	}
	INIT_LIST_HEAD(&job->waits);
}

/* What the job holds but its fence and its end, which the caller may still look at. */
static void npu_copy_release(struct npu_copy_job *job)
{
	u32 object_count, i;

	npu_copy_free_waits(job);
	mutex_lock(&job->map_lock);
	object_count = job->object_count;
	job->object_count = 0;
	mutex_unlock(&job->map_lock);
	for (i = 0; i < object_count; i++)
		drm_gem_object_put(&job->objects[i].bo->base);
	for (i = 0; i < job->signal_count; i++) {
		if (job->signals[i].syncobj)
			drm_syncobj_put(job->signals[i].syncobj);
		dma_fence_chain_free(job->signals[i].chain);
	}
	job->signal_count = 0;
	npu_copy_unreserve(job);
	if (job->vm)
		npu_vm_put(job->vm);
	job->vm = NULL;
	npu_user_put(job->copy->npu, job->user);
	job->user = NULL;
}

static void npu_copy_job_free(struct kref *ref)
{
	struct npu_copy_job *job = container_of(ref, struct npu_copy_job, ref);

	if (job->published)
		dma_fence_put(&job->fence->base);
	else
		kfree(job->fence);
	kvfree(job->objects);
	kvfree(job->steps);
	kvfree(job->signals);
	kfree(job);
}

static void npu_copy_job_put(struct npu_copy_job *job)
{
	kref_put(&job->ref, npu_copy_job_free);
}

static void npu_copy_cleanup_work(struct work_struct *work)
{
	struct npu_copy_job *job = container_of(to_delayed_work(work), struct npu_copy_job, cleanup);
	struct npu_copy *copy = job->copy;
	struct npu_device *npu = copy->npu;
	int idx, err;

	if (job->window_bytes) {
		err = npu_enter_always(npu, &idx);
		if (err == -EAGAIN) {
			/* A reset is under way, and what it makes of the windows is not known yet. */
			queue_delayed_work(npu->wq, &job->cleanup, msecs_to_jiffies(NPU_COPY_TICK_MS));
			return;
		}
		npu_copy_unmap(job, !err);
		if (!err)
			npu_leave(npu, idx);
	}
	npu_copy_release(job);
	npu_copy_job_put(job);
	/* The device outlives it: its workqueue does, and npu_copy_fini() waits. */
	if (atomic_dec_and_test(&copy->jobs))
		wake_up_all(&copy->idle);
}

/* ---------------------------------------------------------------------------------------- what a call asks for -- */
static struct npu_copy_job *npu_copy_job_alloc(struct npu_file *file, const struct npu_copy_submit *args)
{
	struct npu_copy_job *job = kzalloc(sizeof(*job), GFP_KERNEL_ACCOUNT);

	if (!job)
		return NULL;
	kref_init(&job->ref);
	mutex_init(&job->map_lock);
	job->copy = file->npu->copy;
	INIT_LIST_HEAD(&job->waits);
	INIT_LIST_HEAD(&job->link);
	init_waitqueue_head(&job->wait);
	INIT_DELAYED_WORK(&job->cleanup, npu_copy_cleanup_work);
	kref_get(&file->user->ref);
	job->user = file->user;
	job->fence = kzalloc(sizeof(*job->fence), GFP_KERNEL_ACCOUNT);
	job->steps = kvcalloc(args->ops.count, sizeof(*job->steps), GFP_KERNEL_ACCOUNT);
	job->objects = kvcalloc(2 * args->ops.count, sizeof(*job->objects), GFP_KERNEL_ACCOUNT);
	job->signals = kvcalloc(args->signals.count, sizeof(*job->signals), GFP_KERNEL_ACCOUNT);
	if (!job->fence || !job->steps || !job->objects || !job->signals) {
		npu_copy_release(job);
		npu_copy_job_put(job);
		return NULL;
	}
	return job;
}

/* Adds a range of an object; the job takes the reference. Its index. */
static u32 npu_copy_add_object(struct npu_copy_job *job, struct npu_bo *bo, u64 offset, u64 bytes, bool written)
{
	struct npu_copy_object *object;
	u32 i;

	/* Most calls go through few objects. */
	for (i = job->object_count; i-- > 0;) {
		object = &job->objects[i];
		if (object->bo != bo)
			continue;
		drm_gem_object_put(&bo->base);
		object->begin = min(object->begin, offset);
		object->end = max(object->end, offset + bytes);
		object->written |= written;
		return i;
	}
	job->objects[job->object_count] = (struct npu_copy_object){
		.bo = bo,
		.begin = offset,
		.end = offset + bytes,
		.written = written,
	};
	return job->object_count++;
}

/* One side of an operation. */
static int npu_copy_find(struct npu_copy_job *job, struct npu_file *file, u32 handle, u64 offset, u64 bytes,
			 bool written, u32 *index)
{
	struct npu_bo *bo = npu_bo_lookup(file, handle);
	int err;

	if (!bo)
		return -ENOENT;
	err = npu_validate_span(offset, bytes, bo->base.size);
	if (!err && written && bo->readonly)
		err = -EACCES;
	if (!err && npu_bo_lost(bo))
		err = -ECANCELED;
	if (err)
		drm_gem_object_put(&bo->base);
	else
		*index = npu_copy_add_object(job, bo, offset, bytes, written);
	return err;
}

static int npu_copy_add_step(struct npu_copy_job *job, struct npu_file *file, const struct npu_copy_op *op)
{
	struct npu_copy_step *step = &job->steps[job->step_count];
	int err;

	err = npu_validate_copy_op(op, &file->npu->limits);
	if (err)
		return err;
	*step = (struct npu_copy_step){
		.src = op->src_offset,
		.dst = op->dst_offset,
		.bytes = op->size_bytes,
		.pattern = op->pattern,
		.fill = op->kind == NPU_COPY_FILL,
	};
	err = npu_copy_find(job, file, op->dst_handle, op->dst_offset, op->size_bytes, true, &step->dst_object);
	if (!err && !step->fill)
		err = npu_copy_find(job, file, op->src_handle, op->src_offset, op->size_bytes, false,
				    &step->src_object);
	if (!err)
		job->step_count++;
	return err;
}

static int npu_copy_read_ops(struct npu_copy_job *job, struct npu_file *file, const struct npu_array *array)
{
	struct npu_copy_op *ops;
	int err = 0;
	u32 i;

	ops = kvmalloc_array(array->count, sizeof(*ops), GFP_KERNEL_ACCOUNT);
	if (!ops)
		return -ENOMEM;
	/* All of them are read before one is looked at: which error a call gives does not depend on the road. */
	for (i = 0; i < array->count && !err; i++)
		err = npu_array_get(array, i, &ops[i], sizeof(ops[i]));
	for (i = 0; i < array->count && !err; i++)
		err = npu_copy_add_step(job, file, &ops[i]);
	kvfree(ops);
	return err;
}

/* Takes the reference, also when it fails. */
static int npu_copy_add_wait(struct npu_copy_job *job, struct dma_fence *fence)
{
	struct npu_copy_wait *wait = kzalloc(sizeof(*wait), GFP_KERNEL_ACCOUNT);

	if (!wait) {
		dma_fence_put(fence);
		return -ENOMEM;
	}
	INIT_LIST_HEAD(&wait->cb.node);
	wait->job = job;
	wait->fence = fence;
	list_add_tail(&wait->link, &job->waits);
	return 0;
}

/* A point that nobody has submitted yet is refused: a fence that may never come must not stand before ours. */
static int npu_copy_read_waits(struct npu_copy_job *job, struct npu_file *file, const struct npu_array *array)
{
	struct dma_fence *fence;
	struct npu_sync sync;
	int err = 0;
	u32 i;

	for (i = 0; i < array->count && !err; i++) {
		err = npu_array_get(array, i, &sync, sizeof(sync));
		if (!err)
			err = npu_validate_sync(&sync, &file->npu->limits);
		if (!err)
			err = drm_syncobj_find_fence(file->drm_file, sync.handle, sync.value, 0, &fence);
		if (!err)
			err = npu_copy_add_wait(job, fence);
	}
	return err;
}

static int npu_copy_read_signals(struct npu_copy_job *job, struct npu_file *file, const struct npu_array *array)
{
	struct npu_copy_signal *signal;
	struct npu_sync sync;
	int err;
	u32 i;

	for (i = 0; i < array->count; i++) {
		signal = &job->signals[i];
		err = npu_array_get(array, i, &sync, sizeof(sync));
		if (!err)
			err = npu_validate_sync(&sync, &file->npu->limits);
		if (err)
			return err;
		signal->point = sync.value;
		signal->syncobj = drm_syncobj_find(file->drm_file, sync.handle);
		if (!signal->syncobj)
			return -ENOENT;
		job->signal_count = i + 1;
		if (!(sync.flags & NPU_SYNC_TIMELINE))
			continue;
		signal->chain = dma_fence_chain_alloc();
		if (!signal->chain)
			return -ENOMEM;
	}
	return 0;
}

/* ------------------------------------------------------------------------------------------------- streams -- */
static struct npu_copy_stream *npu_copy_stream_get(struct npu_copy *copy, const struct npu_file *owner)
{
	struct npu_copy_stream *stream, *fresh = kzalloc(sizeof(*fresh), GFP_KERNEL_ACCOUNT);
	bool cookie;

	if (!fresh)
		return NULL;
	INIT_LIST_HEAD(&fresh->jobs);
	fresh->owner = owner;
	fresh->context = dma_fence_context_alloc(1);
	cookie = npu_copy_lock(copy);
	list_for_each_entry(stream, &copy->streams, link) {
		if (stream->owner == owner)
			goto found;
	}
	stream = fresh;
	fresh = NULL;
	list_add_tail(&stream->link, &copy->streams);
found:
	stream->users++;
	npu_copy_unlock(copy, cookie);
	kfree(fresh);
	return stream;
}

static void npu_copy_stream_put(struct npu_copy *copy, struct npu_copy_stream *stream)
{
	const bool cookie = npu_copy_lock(copy);

	stream->users--;
	npu_copy_drop_stream(stream);
	npu_copy_unlock(copy, cookie);
}

/* --------------------------------------------------------------------------------------------- publishing -- */
static int npu_copy_lock_objects(struct npu_copy_job *job, struct drm_exec *exec)
{
	u32 i;
	int err;

	for (i = 0; i < job->object_count; i++) {
		err = drm_exec_prepare_obj(exec, &job->objects[i].bo->base, 1);
		if (err)
			return err;
	}
	return 0;
}

/* Whose memory goes from here on finds the job in its stream. pairs with driver/npu_bo.c : npu_bo_revoke_next */
static int npu_copy_check_objects(struct npu_copy_job *job)
{
	u32 i;

	for (i = 0; i < job->object_count; i++) {
		dma_resv_assert_held(job->objects[i].bo->base.resv);
		if (npu_bo_lost(job->objects[i].bo))
			return -ECANCELED;
	}
	return 0;
}

/* What others do with the objects comes first. Jobs of the own stream are in order anyway. */
static int npu_copy_wait_for_others(struct npu_copy_job *job)
{
	struct dma_resv_iter cursor;
	struct dma_fence *fence;
	u32 i;
	int err;

	for (i = 0; i < job->object_count; i++) {
		const struct npu_copy_object *object = &job->objects[i];

		dma_resv_for_each_fence(&cursor, object->bo->base.resv, dma_resv_usage_rw(object->written), fence) {
			if (fence->context == job->stream->context || dma_fence_is_signaled(fence))
				continue;
			err = npu_copy_add_wait(job, dma_fence_get(fence));
			if (err)
				return err;
		}
	}
	return 0;
}

/* All objects locked. From here on the fence will signal. */
static void npu_copy_enter_stream(struct npu_copy_job *job)
{
	struct npu_copy_stream *stream = job->stream;
	struct npu_copy *copy = job->copy;
	struct dma_fence *fence = &job->fence->base;
	struct npu_copy_wait *wait;
	bool cookie;
	u32 i;

	/* The call's own, until it has registered them all. */
	atomic_set(&job->waits_left, 1);
	list_for_each_entry(wait, &job->waits, link)
		atomic_inc(&job->waits_left);
	__module_get(THIS_MODULE);
	spin_lock_init(&job->fence->lock);
	kref_get(&job->ref);
	atomic_inc(&copy->jobs);
	cookie = npu_copy_lock(copy);
	dma_fence_init(fence, &npu_copy_fence_ops, &job->fence->lock, stream->context, ++stream->seqno);
	job->published = true;
	list_add_tail(&job->link, &stream->jobs);
	/* Under the lock: a later fence of this stream replaces an earlier one, never the other way round. */
	for (i = 0; i < job->object_count; i++)
		dma_resv_add_fence(job->objects[i].bo->base.resv, fence,
				   job->objects[i].written ? DMA_RESV_USAGE_WRITE : DMA_RESV_USAGE_READ);
	npu_copy_unlock(copy, cookie);
	for (i = 0; i < job->signal_count; i++) {
		struct npu_copy_signal *signal = &job->signals[i];

		if (signal->chain)
			drm_syncobj_add_point(signal->syncobj, signal->chain, fence, signal->point);
		else
			drm_syncobj_replace_fence(signal->syncobj, fence);
		signal->chain = NULL;
	}
}

static int npu_copy_publish(struct npu_copy_job *job)
{
	struct drm_exec exec;
	int err = 0;

	drm_exec_init(&exec, DRM_EXEC_INTERRUPTIBLE_WAIT | DRM_EXEC_IGNORE_DUPLICATES, job->object_count);
	drm_exec_until_all_locked(&exec) {
		err = npu_copy_lock_objects(job, &exec);
		drm_exec_retry_on_contention(&exec);
		if (err)
			break;
	}
	if (!err)
		err = npu_copy_check_objects(job);
	if (!err)
		err = npu_copy_wait_for_others(job);
	if (!err)
		npu_copy_enter_stream(job);
	drm_exec_fini(&exec);
	return err;
}

static void npu_copy_wait_signalled(struct dma_fence *fence, struct dma_fence_cb *cb)
{
	struct npu_copy_wait *wait = container_of(cb, struct npu_copy_wait, cb);
	struct npu_copy *copy = wait->job->copy;

	if (atomic_dec_and_test(&wait->job->waits_left))
		queue_work(copy->wq, &copy->run_work);
}

/* The job may end at any time now, but is not cleaned up before its waits are registered. */
static void npu_copy_begin(struct npu_copy_job *job)
{
	struct npu_copy *copy = job->copy;
	struct npu_copy_wait *wait;
	bool cookie;

	list_for_each_entry(wait, &job->waits, link) {
		if (dma_fence_add_callback(wait->fence, &wait->cb, npu_copy_wait_signalled))
			atomic_dec(&job->waits_left);
	}
	atomic_dec(&job->waits_left);
	queue_delayed_work(copy->wq, &copy->watch_work, msecs_to_jiffies(NPU_COPY_TICK_MS));
	npu_watchdog_kick(copy->npu);
	cookie = npu_copy_lock(copy);
	job->registered = true;
	if (job->ended)
		queue_delayed_work(copy->npu->wq, &job->cleanup, 0);
	else
		npu_copy_run(copy);
	npu_copy_unlock(copy, cookie);
}

/* ---------------------------------------------------------------------------- an object whose memory goes -- */
static bool npu_copy_touches(const struct npu_copy_job *job, const struct npu_bo *bo)
{
	u32 i;

	for (i = 0; i < job->object_count; i++)
		if (job->objects[i].bo == bo)
			return true;
	return false;
}

/* Ends one job that has not: no chunk of it is issued any more. A reference, or NULL: none is left. */
static struct npu_copy_job *npu_copy_cancel_next(struct npu_copy *copy, const struct npu_bo *bo)
{
	const bool cookie = npu_copy_lock(copy);
	struct npu_copy_stream *stream;
	struct npu_copy_job *job;

	npu_copy_run(copy); /* what the device is through with has not failed */
	list_for_each_entry(stream, &copy->streams, link) {
		list_for_each_entry(job, &stream->jobs, link) {
			if (!job->err && npu_copy_touches(job, bo))
				goto found;
		}
	}
	npu_copy_unlock(copy, cookie);
	return NULL;
found:
	kref_get(&job->ref);
	job->err = -ECANCELED;
	npu_copy_finish(copy);
	npu_copy_unlock(copy, cookie);
	return job;
}

/*
 * Chunks that the device has already meet nothing: the queue stops at them and is made anew. The window's place stays
 * the job's until then.
 */
static void npu_copy_forget_in(struct npu_copy_job *job, const struct npu_bo *bo)
{
	u32 i;

	mutex_lock(&job->map_lock);
	for (i = 0; i < job->object_count; i++) {
		struct npu_copy_object *object = &job->objects[i];

		if (object->bo != bo || !object->mapped_bytes)
			continue;
		npu_vm_kernel_unmap(job->vm, object->window.start, object->mapped_bytes);
		object->mapped_bytes = 0;
	}
	mutex_unlock(&job->map_lock);
}

bool npu_copy_forget_object(struct npu_bo *bo)
{
	struct npu_copy *copy = to_npu(bo->base.dev)->copy;
	struct npu_copy_job *job;
	bool any = false;

	while ((job = npu_copy_cancel_next(copy, bo))) {
		npu_copy_forget_in(job, bo);
		npu_copy_job_put(job);
		any = true;
	}
	return any;
}

/* -------------------------------------------------------------------------------------------- COPY_SUBMIT -- */
static int npu_copy_submit(struct npu_copy_job *job, struct npu_file *file)
{
	struct npu_copy *copy = job->copy;
	struct npu_copy_stream *stream;
	int idx, err;

	npu_copy_plan(job);
	if (wait_event_interruptible(copy->room, npu_copy_try_reserve(job)))
		return -ERESTARTSYS;
	stream = npu_copy_stream_get(copy, file);
	if (!stream)
		return -ENOMEM;
	job->stream = stream;
	err = npu_enter(copy->npu, &idx);
	if (!err) {
		err = npu_copy_map(job);
		if (!err)
			err = npu_copy_publish(job);
		if (err)
			npu_copy_unmap(job, true);
		else
			npu_copy_begin(job);
		/* As for copies that a reset finds under way. */
		if (npu_cut_short(copy->npu, err))
			err = -ECANCELED;
		npu_leave(copy->npu, idx);
	}
	npu_copy_stream_put(copy, stream);
	return err;
}

static bool npu_copy_ended(struct npu_copy_job *job)
{
	return smp_load_acquire(&job->ended); /* pairs with driver/npu_copy.c : npu_copy_end */
}

static int npu_copy_wait_end(struct npu_copy_job *job)
{
	struct npu_copy *copy = job->copy;
	bool cookie, taken_back;

	if (!wait_event_interruptible(job->wait, npu_copy_ended(job)))
		return job->err;
	cookie = npu_copy_lock(copy);
	taken_back = !job->begun && !job->ended;
	if (taken_back) {
		job->cancelled = true;
		npu_copy_finish(copy);
	}
	npu_copy_unlock(copy, cookie);
	if (taken_back)
		return -ERESTARTSYS;
	/* It is on its way, and is finite. */
	if (wait_event_killable(job->wait, npu_copy_ended(job)))
		return -EINTR;
	return job->err;
}

int npu_copy_submit_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct npu_file *file = drm_file->driver_priv;
	struct npu_copy_submit *args = data;
	struct npu_copy_job *job;
	int err;

	job = npu_copy_job_alloc(file, args);
	if (!job)
		return -ENOMEM;
	err = npu_copy_read_ops(job, file, &args->ops);
	if (!err)
		err = npu_copy_read_waits(job, file, &args->waits);
	if (!err)
		err = npu_copy_read_signals(job, file, &args->signals);
	if (!err)
		err = npu_copy_submit(job, file);
	if (err)
		npu_copy_release(job);
	else if (args->flags & NPU_COPY_WAIT)
		err = npu_copy_wait_end(job);
	npu_copy_job_put(job);
	return err;
}
