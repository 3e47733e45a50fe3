// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * DOC: user-mode queues
 *
 * Ring, control block and doorbell belong to the process; commands never pass through here. The kernel makes a queue, ends it,
 * keeps its memory mapped, and says why it died. It believes the device's own counters (mailbox QUEUE_PROGRESS, QUEUE_SUBMITTED)
 * and its event records; of the control page it reads words only where the answer concerns nobody but the owner.
 *
 * Life: a queue has a reference from the id table of its file and one from the device's number table; both go in
 * npu_queue_end(), by whichever of QUEUE_DESTROY and close comes first. Sleepers, notifications and works hold references of
 * their own, so the object may live on, dead and off the device. A number is given away only after the device has answered
 * QUEUE_DESTROY and the event ring was drained: no record of the old queue can hit the new one.
 *
 * Death by a fault is recorded in a work, because it takes vm.lock, which is held over allocations; the interrupt thread also
 * signals dma_fences and must never wait for one. Rejected: vm.lock in the interrupt thread with every allocation below vm.lock as
 * GFP_NOWAIT, which makes binds fail under memory pressure.
 */
#include <linux/cred.h>

#include "npu_drv.h"
#include "npu_trace.h"

#define NPU_SUSPEND_DEADLINE_MS 30000u
#define NPU_SUSPEND_ANSWER_MS 1u
#define NPU_SUSPEND_POLL_LAST_MS 64u

/* Only who may renice may overtake others. */
static bool npu_may_use_priority(u32 priority)
{
	return priority != NPU_PRIO_HIGH || uid_eq(current_euid(), GLOBAL_ROOT_UID) || capable(CAP_SYS_NICE);
}

/* --------------------------------------------------------------------------------------------- references -- */
static void npu_queue_release(struct kref *ref)
{
	struct npu_queue *queue = container_of(ref, struct npu_queue, ref);

	/* One that was never alive may lack either. */
	if (queue->ctrl_bo)
		drm_gem_object_put(&queue->ctrl_bo->base);
	if (queue->vm)
		npu_vm_put(queue->vm);
	npu_user_put(queue->npu, queue->user);
	mutex_destroy(&queue->lock);
	mutex_destroy(&queue->notify_lock);
	kfree(queue);
}

void npu_queue_put(struct npu_queue *queue)
{
	if (queue)
		kref_put(&queue->ref, npu_queue_release);
}

struct npu_queue *npu_queue_lookup(struct npu_file *file, u32 id)
{
	struct npu_queue *queue;

	xa_lock(&file->queues);
	queue = xa_load(&file->queues, id);
	if (queue)
		kref_get(&queue->ref);
	xa_unlock(&file->queues);
	return queue;
}

struct npu_queue *npu_queue_by_number(struct npu_device *npu, u32 number)
{
	struct npu_queue *queue;
	unsigned long flags;

	xa_lock_irqsave(&npu->queues, flags);
	queue = xa_load(&npu->queues, number);
	if (queue)
		kref_get(&queue->ref);
	xa_unlock_irqrestore(&npu->queues, flags);
	return queue;
}

/* ------------------------------------------------------------------------------------- the device's counts -- */
u64 npu_queue_completed(struct npu_queue *queue)
{
	u64 completed;

	mutex_lock(&queue->lock);
	if (queue->on_device &&
	    npu_mbox_call(queue->npu, NPU_MBOX_QUEUE_PROGRESS, &completed, queue->number) == 0)
		queue->last_completed = completed;
	completed = queue->last_completed;
	mutex_unlock(&queue->lock);
	return completed;
}

u64 npu_queue_submitted(struct npu_queue *queue)
{
	u64 submitted = 0;

	mutex_lock(&queue->lock);
	if (!queue->on_device ||
	    npu_mbox_call(queue->npu, NPU_MBOX_QUEUE_SUBMITTED, &submitted, queue->number))
		submitted = queue->last_completed;
	mutex_unlock(&queue->lock);
	return submitted;
}

bool npu_queue_busy(struct npu_queue *queue, u64 *completed)
{
	u64 submitted = npu_queue_submitted(queue);

	/* Submitted first: what is completed in between makes a busy queue look idle, never an idle one busy for ever. */
	*completed = npu_queue_completed(queue);
	return submitted > *completed;
}

/* A command to the queue, if the device still has it. -ECANCELED: it has not. */
static int npu_queue_command(struct npu_queue *queue, enum npu_mbox cmd, u64 arg)
{
	int err = -ECANCELED;

	mutex_lock(&queue->lock);
	if (queue->on_device && !npu_queue_dead(queue))
		err = npu_mbox_call(queue->npu, cmd, NULL, queue->number, arg);
	mutex_unlock(&queue->lock);
	return err;
}

/* READY or SUSPENDED, unless it is dead. */
static int npu_queue_set_state(struct npu_queue *queue, enum npu_queue_state state)
{
	int err = 0;

	spin_lock_irq(&queue->npu->queues_lock);
	if (NPU_QUEUE_STATE_IS_DEAD(queue->state))
		err = -ECANCELED;
	else
		/* nothing stands before it; npu_queue_dead() reads the state so */
		smp_store_release(&queue->state, state);
	spin_unlock_irq(&queue->npu->queues_lock);
	return err;
}

/* --------------------------------------------------------------------------------------------------- death -- */
static void npu_queue_fill_fault(struct npu_queue *queue, const struct npu_event_record *record,
				 struct npu_fault *fault)
{
	*fault = (struct npu_fault){
		.dva = record->address_dva,
		.seq = record->value,
		.time_ns = ktime_get_ns(),
		.queue_id = queue->id,
		.status = record->status,
		.reason = NPU_FAULT_NONE,
		.module = record->module,
		.pc = record->pc,
		.line = record->line,
		.group = record->group,
		.kernel = record->kernel,
		.tile = record->tile,
		.access = record->access,
		.engine = record->engine,
	};
}

static u32 npu_queue_vm_id(struct npu_queue *queue, struct npu_file *file)
{
	struct npu_vm *vm;
	unsigned long id;

	xa_for_each(&file->vms, id, vm)
		if (vm == queue->vm)
			return id;
	return 0;
}

/* What the owner is told. The file cannot go while queues_lock is held and queue->file names it. */
static void npu_queue_send_events(struct npu_queue *queue, u64 seq)
{
	struct npu_file *file = queue->file;
	struct npu_event_vm_fault fault = {};
	struct npu_event_queue_error error = {};

	lockdep_assert_held(&queue->npu->queues_lock);
	if (!file)
		return;
	if (queue->fault.status == NPU_ST_VM_FAULT) {
		fault.vm_id = npu_queue_vm_id(queue, file);
		fault.fault = queue->fault;
		npu_event_send(file, &fault.base, NPU_EVENT_TYPE_VM_FAULT, sizeof(fault), NPU_EVENT_MASK_VM_FAULT);
	}
	error.queue_id = queue->id;
	error.state = queue->state;
	error.status = queue->status;
	error.seq = seq;
	npu_event_send(file, &error.base, NPU_EVENT_TYPE_QUEUE_ERROR, sizeof(error), NPU_EVENT_MASK_QUEUE_ERROR);
}

void npu_queue_died(struct npu_queue *queue, enum npu_queue_state state, int status, u32 flags,
		    const struct npu_event_record *record)
{
	struct npu_device *npu = queue->npu;
	struct npu_fault fault = {};

	if (npu_queue_dead(queue))
		return;
	if (record && status == NPU_ST_VM_FAULT) {
		npu_queue_fill_fault(queue, record, &fault);
		npu_vm_record_fault(queue->vm, &fault);
	}
	spin_lock_irq(&npu->queues_lock);
	if (NPU_QUEUE_STATE_IS_DEAD(queue->state)) {
		spin_unlock_irq(&npu->queues_lock);
		return;
	}
	queue->status = status;
	queue->flags = flags;
	queue->fault = fault;
	/* pairs with driver/npu_drv.h : npu_queue_dead */
	smp_store_release(&queue->state, state);
	npu_queue_send_events(queue, record ? record->value : 0);
	spin_unlock_irq(&npu->queues_lock);
	if (state != NPU_QUEUE_STATE_FAULTED) {
		/* The device no longer writes this page; its owner may look there first. */
		WRITE_ONCE(queue->ctrl->error_status, status);
		/* the status first: whoever sees the state reads it */
		smp_store_release(&queue->ctrl->state, (u32)state);
		/* the state first: whoever sees that it is dead reads it */
		smp_store_release(&queue->ctrl->live, 0ull);
	}
	trace_npu_queue_dead(queue);
	npu_queue_progress(queue);
}

void npu_queue_progress(struct npu_queue *queue)
{
	struct npu_device *npu = queue->npu;

	wake_up_all(&queue->wait);
	/* Pairs with the barrier of set_current_state() in npu_wait.c: either it sees the new words, or we see it. */
	if (wq_has_sleeper(&npu->any_progress))
		wake_up_all(&npu->any_progress);
	npu_notify_progress(queue);
}

static void npu_queue_fault_work(struct work_struct *work)
{
	struct npu_queue *queue = container_of(work, struct npu_queue, fault_work);
	const struct npu_event_record *record = &queue->fault_record;

	npu_queue_died(queue, NPU_QUEUE_STATE_FAULTED, record->status, 0, record);
	npu_queue_put(queue);
}

void npu_queue_faulted(struct npu_queue *queue, const struct npu_event_record *record)
{
	struct npu_device *npu = queue->npu;
	bool first;

	spin_lock_irq(&npu->queues_lock);
	first = !queue->faulted && !NPU_QUEUE_STATE_IS_DEAD(queue->state);
	if (first) {
		queue->faulted = true;
		queue->fault_record = *record;
		/* A death has a reason, whatever a newer firmware says. */
		if (record->status >= 0)
			queue->fault_record.status = NPU_ST_INTERNAL;
		kref_get(&queue->ref);
	}
	spin_unlock_irq(&npu->queues_lock);
	if (first) {
		atomic64_inc(&npu->faults);
		queue_work(npu->wq, &queue->fault_work);
	}
}

/*
 * A record of its death may be among those that were lost. Its own control page says so; the page belongs to the owner, who can end
 * his own queue by a lie in it, and nothing else.
 */
void npu_queue_overflowed(struct npu_queue *queue)
{
	struct npu_event_record record = {
		.type = NPU_EVENT_QUEUE_FAULT,
		.queue = queue->number,
	};

	if (READ_ONCE(queue->ctrl->state) == NPU_QUEUE_STATE_FAULTED) {
		record.status = READ_ONCE(queue->ctrl->error_status);
		record.value = READ_ONCE(queue->ctrl->error_seq);
		/* Where it happened was in the record. */
		if (record.status == NPU_ST_VM_FAULT)
			record.access = NPU_ACCESS_NONE;
		npu_queue_faulted(queue, &record);
	}
	npu_queue_progress(queue);
}

/* Takes it off the device; the running command is cancelled. Afterwards the device touches none of its memory. */
static int npu_queue_take_off(struct npu_queue *queue)
{
	int err = 0;

	npu_queue_completed(queue);
	mutex_lock(&queue->lock);
	if (queue->on_device)
		err = npu_mbox_call(queue->npu, NPU_MBOX_QUEUE_DESTROY, NULL, queue->number);
	/*
	 * Without an answer the mailbox is dead: no queue can be made before the reset that takes this one, so its number and slot
	 * may be given back all the same.
	 */
	queue->on_device = false;
	mutex_unlock(&queue->lock);
	if (!err || err == -ENOENT)
		return 0;
	drm_dbg(&queue->npu->drm, "queue %u cannot be ended: %d\n", queue->number, err);
	npu_reset_schedule(queue->npu, NPU_RESET_FIRMWARE, NULL);
	return -EIO;
}

int npu_queue_kill(struct npu_queue *queue, int status)
{
	int err = npu_queue_take_off(queue);

	if (!err)
		npu_queue_died(queue, NPU_QUEUE_STATE_KILLED, status, 0, NULL);
	return err;
}

void npu_queue_lose_all(struct npu_device *npu, struct npu_queue *guilty)
{
	struct npu_queue *queue;
	unsigned long number;

	for (number = 1; number < npu->id.max_queues; number++) {
		queue = npu_queue_by_number(npu, number);
		if (!queue)
			continue;
		mutex_lock(&queue->lock);
		queue->on_device = false;
		mutex_unlock(&queue->lock);
		if (queue == guilty)
			npu_queue_died(queue, NPU_QUEUE_STATE_LOST, NPU_ST_WATCHDOG, NPU_QUEUE_GUILTY, NULL);
		else
			npu_queue_died(queue, NPU_QUEUE_STATE_LOST, NPU_ST_CANCELED, NPU_QUEUE_INNOCENT, NULL);
		npu_queue_put(queue);
	}
}

/* ---------------------------------------------------------------------------------------------- end of life -- */
/* Gives back what npu_queue_place() took. The device has let go of it, or will never answer again before a reset. */
static void npu_queue_unplace(struct npu_file *file, struct npu_queue *queue)
{
	struct npu_device *npu = queue->npu;

	/* Whoever looks through the table under queues_lock needs no references. */
	spin_lock_irq(&npu->queues_lock);
	xa_erase(&npu->queues, queue->number);
	spin_unlock_irq(&npu->queues_lock);
	/* A drain that found it before is over: the last reference is not dropped under events.lock. */
	mutex_lock(&npu->events.lock);
	mutex_unlock(&npu->events.lock);
	ida_free(&npu->queue_numbers, queue->number);
	npu_doorbell_put(file, queue->doorbell_slot);
	npu_refund(npu, queue->user, NPU_RES_QUEUES, 1);
	atomic_dec(&file->queue_count);
}

static void npu_queue_unpin(struct npu_queue *queue)
{
	npu_vm_unpin(queue->vm, &queue->ring_pin);
	npu_vm_unpin(queue->vm, &queue->ctrl_pin);
	atomic_dec(&queue->vm->users);
}

/*
 * The end, whoever asked for it: nobody finds the queue by its id any more, and the caller's is the table's reference.
 * `entered`: inside npu_enter(); else the device is gone.
 */
static void npu_queue_end(struct npu_file *file, struct npu_queue *queue, bool entered)
{
	struct npu_device *npu = queue->npu;

	trace_npu_queue_destroy(queue);
	spin_lock_irq(&npu->queues_lock);
	queue->file = NULL; /* the owner asked for it: no event */
	spin_unlock_irq(&npu->queues_lock);
	if (entered) {
		npu_queue_take_off(queue);
		npu_event_irq(npu); /* its last records, while its number still means it */
	} else {
		mutex_lock(&queue->lock);
		queue->on_device = false;
		mutex_unlock(&queue->lock);
	}
	npu_queue_died(queue, NPU_QUEUE_STATE_KILLED, NPU_ST_CANCELED, 0, NULL);
	mutex_lock(&file->lock);
	file->ended_commands += queue->last_completed;
	file->ended_busy_ns += READ_ONCE(queue->ctrl->time_ps) / 1000;
	mutex_unlock(&file->lock);
	npu_queue_unpin(queue);
	npu_queue_unplace(file, queue);
	/* Works hold references, and must not be the last to: what a queue gives back may be gone when the file is. */
	flush_work(&queue->fault_work);
	flush_work(&queue->notify_work);
	atomic_dec(&npu->live_queues);
	npu_queue_put(queue); /* the number table's */
	npu_queue_put(queue); /* the file's */
}

void npu_queue_close_all(struct npu_file *file)
{
	struct npu_device *npu = file->npu;
	struct npu_queue *queue;
	unsigned long id;
	bool entered;
	int idx;

	entered = npu_enter_always(npu, &idx) == 0;
	xa_for_each(&file->queues, id, queue) {
		xa_erase(&file->queues, id);
		npu_queue_end(file, queue, entered);
	}
	if (entered)
		npu_leave(npu, idx);
}

/* ------------------------------------------------------------------------------------------------- creation -- */
static struct npu_queue *npu_queue_alloc(struct npu_file *file, const struct npu_queue_create *args)
{
	struct npu_device *npu = file->npu;
	struct npu_queue *queue = kzalloc(sizeof(*queue), GFP_KERNEL_ACCOUNT);

	if (!queue)
		return NULL;
	kref_init(&queue->ref);
	queue->npu = npu;
	queue->priority = args->priority;
	queue->ring_log2 = args->ring_log2;
	queue->timeout_ms = args->timeout_ms ?: npu->limits.timeout_ms_default;
	queue->epoch = npu->epoch;
	queue->ctrl_offset = args->ctrl_offset;
	queue->ring_pin.dva = args->ring_dva;
	queue->ring_pin.bytes = npu_ring_bytes(args->ring_log2);
	queue->ctrl_pin.dva = args->ctrl_dva;
	queue->ctrl_pin.bytes = npu_ctrl_bytes(args->ring_log2);
	queue->watched_since = ktime_get();
	queue->state = NPU_QUEUE_STATE_READY;
	mutex_init(&queue->lock);
	mutex_init(&queue->notify_lock);
	INIT_LIST_HEAD(&queue->notifies);
	INIT_WORK(&queue->notify_work, npu_notify_work);
	INIT_WORK(&queue->fault_work, npu_queue_fault_work);
	init_waitqueue_head(&queue->wait);
	return queue;
}

/* Ring and control block are where the arguments say, and stay there from here on. */
static int npu_queue_pin(struct npu_queue *queue, const struct npu_queue_create *args)
{
	struct npu_vm *vm = queue->vm;
	int err;

	if (!(queue->ctrl_bo->flags & NPU_BO_SYNC))
		return -EINVAL;
	if (npu_validate_span(args->ctrl_offset, queue->ctrl_pin.bytes, queue->ctrl_bo->base.size))
		return -EINVAL;
	mutex_lock(&vm->lock);
	err = -ENOENT;
	if (vm->ended) /* VM_DESTROY was faster */
		goto unlock;
	err = -EINVAL;
	if (!npu_vm_covers(vm, args->ring_dva, queue->ring_pin.bytes) ||
	    !npu_vm_maps(vm, queue->ctrl_bo, args->ctrl_offset, args->ctrl_dva, queue->ctrl_pin.bytes))
		goto unlock;
	/* Two queues that complete into one control block would wake each other's sleepers for nothing, or never. */
	err = -EBUSY;
	if (npu_vm_pinned(vm, args->ctrl_dva, queue->ctrl_pin.bytes))
		goto unlock;
	npu_vm_pin(vm, &queue->ring_pin);
	npu_vm_pin(vm, &queue->ctrl_pin);
	atomic_inc(&vm->users);
	err = 0;
unlock:
	mutex_unlock(&vm->lock);
	return err;
}

/* Quota, number, doorbell slot. */
static int npu_queue_place(struct npu_file *file, struct npu_queue *queue)
{
	struct npu_device *npu = queue->npu;
	int err;

	atomic_inc(&file->queue_count);
	err = npu_charge(file, NPU_RES_QUEUES, 1);
	if (err)
		goto uncount;
	err = ida_alloc_range(&npu->queue_numbers, 1, npu->id.max_queues - 1, GFP_KERNEL);
	if (err < 0)
		goto refund;
	queue->number = err;
	mutex_lock(&file->lock);
	err = npu_doorbell_get(file, &queue->doorbell_slot);
	mutex_unlock(&file->lock);
	if (err)
		goto free_number;
	err = xa_err(xa_store_irq(&npu->queues, queue->number, queue, GFP_KERNEL));
	if (err)
		goto put_slot;
	kref_get(&queue->ref);
	return 0;

put_slot:
	npu_doorbell_put(file, queue->doorbell_slot);
free_number:
	ida_free(&npu->queue_numbers, queue->number);
refund:
	npu_refund(npu, queue->user, NPU_RES_QUEUES, 1);
uncount:
	atomic_dec(&file->queue_count);
	return err;
}

/* The device writes these words of the control page; a new queue starts from zero. */
static void npu_queue_clear_ctrl(struct npu_queue *queue)
{
	u64 *words = &queue->ctrl->completed;
	u32 i;

	for (i = 0; i < 8; i++)
		WRITE_ONCE(words[i], 0);
	WRITE_ONCE(queue->ctrl->live, 0);
}

static int npu_queue_start(struct npu_file *file, struct npu_queue *queue, const struct npu_queue_create *args)
{
	const u64 goes_on = !!(args->flags & NPU_QUEUE_FLAG_CONTINUE);
	const u64 shape = args->ring_log2 | (u64)args->priority << 8 | (u64)args->queue_class << 16 | goes_on << 24 |
			  (u64)queue->net.mtu_bytes << 32;
	const u64 doorbell = (u64)file->doorbell_page << 16 | queue->doorbell_slot;
	const u64 number = queue->number;
	int err;

	npu_queue_clear_ctrl(queue);
	mutex_lock(&queue->lock);
	err = npu_mbox_call(queue->npu, NPU_MBOX_QUEUE_CREATE, NULL, number, queue->vm->context, args->ring_dva,
			    args->ctrl_dva, shape, doorbell, 0, queue->net.port_mask);
	queue->on_device = !err;
	/* A queue that died already (its owner guessed the slot and rings) stays so. */
	if (!err && (args->flags & NPU_QUEUE_FLAG_SUSPENDED) &&
	    !npu_queue_set_state(queue, NPU_QUEUE_STATE_SUSPENDED)) {
		/* It answers at once, unless a command runs already: likewise his own business. */
		err = npu_mbox_try(queue->npu, NPU_MBOX_QUEUE_SUSPEND, &number, 1, NULL, NPU_SUSPEND_ANSWER_MS);
		queue->stopping = err == -ETIME;
		err = queue->stopping ? 0 : err;
	}
	mutex_unlock(&queue->lock);
	/* A number that the device still knows means that driver and firmware disagree; nothing the caller could mend. */
	return err == -EBUSY || err == -ENOENT ? -EIO : err;
}

/* From here on others find it. The id is reserved before anything is told of it. */
static int npu_queue_publish(struct npu_file *file, struct npu_queue *queue, const struct npu_queue_create *args)
{
	struct npu_device *npu = queue->npu;
	int err;

	err = npu_queue_place(file, queue);
	if (err)
		return err;
	spin_lock_irq(&npu->queues_lock);
	queue->file = file;
	spin_unlock_irq(&npu->queues_lock);
	atomic_inc(&npu->live_queues);
	err = npu_queue_start(file, queue, args);
	if (!err)
		return 0;
	npu_queue_take_off(queue);
	npu_event_irq(npu);
	spin_lock_irq(&npu->queues_lock);
	queue->file = NULL;
	spin_unlock_irq(&npu->queues_lock);
	npu_queue_unplace(file, queue);
	flush_work(&queue->fault_work);
	atomic_dec(&npu->live_queues);
	npu_queue_put(queue);
	return err;
}

/* `queue` has its VM and control object; on success it is alive and has an id. */
static int npu_queue_make(struct npu_file *file, struct npu_queue *queue, const struct npu_queue_create *args)
{
	int err;

	err = npu_queue_pin(queue, args);
	if (err)
		return err;
	queue->ctrl = npu_bo_vaddr(queue->ctrl_bo, args->ctrl_offset);
	if (!queue->ctrl) {
		err = -ENOMEM;
		goto unpin;
	}
	mutex_lock(&file->lock);
	err = xa_alloc_cyclic(&file->queues, &queue->id, NULL, XA_LIMIT(1, INT_MAX), &file->next_queue,
			      GFP_KERNEL_ACCOUNT);
	mutex_unlock(&file->lock);
	if (err < 0)
		goto unpin;
	err = npu_queue_publish(file, queue, args);
	if (err)
		goto free_id;
	kref_get(&queue->ref);
	xa_store(&file->queues, queue->id, queue, 0); /* its place is reserved: cannot fail */
	return 0;

free_id:
	xa_erase(&file->queues, queue->id);
unpin:
	npu_queue_unpin(queue);
	return err;
}

/* Class NET: the ports are there, and lead where the caller says. */
static int npu_queue_read_net(struct npu_device *npu, const struct npu_queue_create *args, struct npu_queue_net *net)
{
	struct npu_port_info info;
	u32 port;
	int err;

	if (args->queue_class != NPU_QUEUE_NET)
		return 0;
	err = npu_array_get(&args->params, 0, net, sizeof(*net));
	if (!err)
		err = npu_validate_queue_net(net, &npu->limits);
	for (port = 0; !err && port < NPU_MAX_PORTS; port++) {
		if (!(net->port_mask & BIT_ULL(port)))
			continue;
		err = port < npu->id.ports ? npu_port_describe(npu, port, &info) : -EINVAL;
		if (!err && (!(info.flags & NPU_PORT_FLAG_PEER) ||
			     memcmp(info.peer_uuid, net->remote_uuid, sizeof(net->remote_uuid))))
			err = -EINVAL;
	}
	return err;
}

static int npu_queue_find_places(struct npu_file *file, struct npu_queue *queue, const struct npu_queue_create *args)
{
	queue->vm = npu_vm_lookup(file, args->vm_id);
	queue->ctrl_bo = npu_bo_lookup(file, args->ctrl_handle);
	if (!queue->vm || !queue->ctrl_bo)
		return -ENOENT;
	return npu_vm_lost(queue->vm) ? -ECANCELED : 0;
}

int npu_queue_create_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct npu_file *file = drm_file->driver_priv;
	struct npu_device *npu = to_npu(drm);
	struct npu_queue_create *args = data;
	struct npu_queue *queue;
	int err, idx;

	if (args->engine_mask & ~1ULL)
		return -EINVAL;
	if (!npu_may_use_priority(args->priority))
		return -EACCES;
	err = npu_enter(npu, &idx);
	if (err)
		return err;
	queue = npu_queue_alloc(file, args);
	err = queue ? npu_queue_read_net(npu, args, &queue->net) : -ENOMEM;
	if (!err)
		err = npu_queue_find_places(file, queue, args);
	if (!err) {
		queue->user = file->user;
		kref_get(&file->user->ref);
		err = npu_queue_make(file, queue, args);
	}
	/* The reset takes the VM too. */
	if (npu_cut_short(npu, err))
		err = -ECANCELED;
	npu_leave(npu, idx);
	if (!err) {
		args->queue_id = queue->id;
		args->doorbell_slot = queue->doorbell_slot;
		args->doorbell_token = NPU_MMAP_DOORBELL;
		trace_npu_queue_create(queue);
		npu_watchdog_kick(npu);
	}
	npu_queue_put(queue);
	return err;
}

int npu_queue_destroy_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct npu_file *file = drm_file->driver_priv;
	struct npu_device *npu = to_npu(drm);
	struct npu_queue_destroy *args = data;
	struct npu_queue *queue;
	int err, idx;

	err = npu_enter(npu, &idx);
	if (err)
		return err;
	/* Whoever takes it out of the table ends it. A queue that is being made has no entry yet: its reserved place stays. */
	xa_lock(&file->queues);
	queue = xa_load(&file->queues, args->queue_id);
	if (queue)
		__xa_erase(&file->queues, args->queue_id);
	xa_unlock(&file->queues);
	if (queue)
		npu_queue_end(file, queue, true);
	npu_leave(npu, idx);
	return queue ? 0 : -ENOENT;
}

/* -------------------------------------------------------------------------------------------- QUERY and SET -- */
/* A reference to the queue, inside npu_enter(). */
static int npu_queue_enter(struct npu_file *file, u32 id, struct npu_queue **out, int *idx)
{
	struct npu_queue *queue = npu_queue_lookup(file, id);
	int err;

	if (!queue)
		return -ENOENT;
	err = npu_enter(file->npu, idx);
	if (err)
		npu_queue_put(queue);
	else
		*out = queue;
	return err;
}

int npu_queue_query_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct npu_device *npu = to_npu(drm);
	struct npu_queue_query *args = data;
	struct npu_queue *queue;
	int err, idx;

	err = npu_queue_enter(drm_file->driver_priv, args->queue_id, &queue, &idx);
	if (err)
		return err;
	/* A process that saw the death in its control page finds it here too. */
	npu_event_irq(npu);
	flush_work(&queue->fault_work);
	args->completed = npu_queue_completed(queue);
	npu_leave(npu, idx);
	args->progress = args->completed;
	args->epoch = queue->epoch;
	args->fetched = READ_ONCE(queue->ctrl->fetched);
	args->busy_ns = READ_ONCE(queue->ctrl->time_ps) / 1000;
	spin_lock_irq(&npu->queues_lock);
	args->state = queue->state;
	args->status = queue->status;
	args->flags = queue->flags;
	args->fault = queue->fault;
	spin_unlock_irq(&npu->queues_lock);
	npu_queue_put(queue);
	return 0;
}

/* State and device change together: queue.lock is held over both. */
static int npu_queue_run(struct npu_queue *queue)
{
	int err = -ECANCELED;

	mutex_lock(&queue->lock);
	if (queue->on_device && !npu_queue_dead(queue))
		err = npu_mbox_call(queue->npu, NPU_MBOX_QUEUE_RESUME, NULL, queue->number);
	if (!err) {
		WRITE_ONCE(queue->stopping, false);
		err = npu_queue_set_state(queue, NPU_QUEUE_STATE_READY);
	}
	mutex_unlock(&queue->lock);
	return err;
}

/*
 * Asks the device to stop it, and says whether it has: 0, -ETIME (a command still runs), or an error. Asking again is harmless, and the
 * answer is the device's, not the control page's.
 */
static int npu_queue_ask_stop(struct npu_queue *queue, bool first)
{
	struct npu_device *npu = queue->npu;
	const u64 number = queue->number;
	int err, idx;

	err = npu_enter(npu, &idx);
	if (err)
		return err;
	mutex_lock(&queue->lock);
	if (!queue->on_device || npu_queue_dead(queue))
		err = -ECANCELED;
	else if (!first && READ_ONCE(queue->state) != NPU_QUEUE_STATE_SUSPENDED)
		err = -EBUSY; /* another thread said RUN meanwhile */
	else
		err = npu_queue_set_state(queue, NPU_QUEUE_STATE_SUSPENDED);
	if (!err) {
		err = npu_mbox_try(npu, NPU_MBOX_QUEUE_SUSPEND, &number, 1, NULL, NPU_SUSPEND_ANSWER_MS);
		WRITE_ONCE(queue->stopping, err == -ETIME);
	}
	mutex_unlock(&queue->lock);
	if (npu_cut_short(npu, err))
		err = -ECANCELED;
	npu_leave(npu, idx);
	return err;
}

static int npu_queue_suspend(struct npu_queue *queue)
{
	const unsigned long deadline =
		jiffies + msecs_to_jiffies(npu_scaled_ms(queue->npu, NPU_SUSPEND_DEADLINE_MS));
	unsigned int ms = 1;
	int err;

	err = npu_queue_ask_stop(queue, true);
	while (err == -ETIME && !time_after(jiffies, deadline)) {
		if (wait_event_interruptible_timeout(queue->wait, npu_queue_dead(queue),
						     msecs_to_jiffies(ms)) < 0)
			return -ERESTARTSYS;
		ms = min(ms * 2, NPU_SUSPEND_POLL_LAST_MS);
		err = npu_queue_ask_stop(queue, false);
	}
	return err;
}

static void npu_queue_set_timeout(struct npu_queue *queue, u32 timeout_ms)
{
	WRITE_ONCE(queue->timeout_ms, timeout_ms ?: queue->npu->limits.timeout_ms_default);
	WRITE_ONCE(queue->watched_since, ktime_get());
	npu_watchdog_kick(queue->npu);
}

/* All but SUSPEND, which waits. */
static int npu_queue_set_now(struct npu_queue *queue, const struct npu_queue_set *args)
{
	int err = 0;

	if (args->what & NPU_QUEUE_SET_PRIORITY) {
		err = npu_may_use_priority(args->priority) ?
			      npu_queue_command(queue, NPU_MBOX_QUEUE_PRIORITY, args->priority) :
			      -EACCES;
		if (!err)
			WRITE_ONCE(queue->priority, args->priority);
	}
	if (!err && (args->what & NPU_QUEUE_SET_TIMEOUT)) {
		if (npu_queue_dead(queue))
			return -ECANCELED;
		npu_queue_set_timeout(queue, args->timeout_ms);
	}
	if (!err && (args->what & NPU_QUEUE_SET_RUN))
		err = npu_queue_run(queue);
	return err;
}

int npu_queue_set_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct npu_device *npu = to_npu(drm);
	struct npu_queue_set *args = data;
	struct npu_queue *queue;
	int err, idx;

	err = npu_queue_enter(drm_file->driver_priv, args->queue_id, &queue, &idx);
	if (err)
		return err;
	err = npu_queue_set_now(queue, args);
	/* The reset takes the queue too. */
	if (npu_cut_short(npu, err))
		err = -ECANCELED;
	npu_leave(npu, idx);
	if (!err && (args->what & NPU_QUEUE_SET_SUSPEND))
		err = npu_queue_suspend(queue);
	npu_queue_put(queue);
	return err;
}

/* No queue drives a port; NPU_FEATURE_PORTS says so. */
int npu_mr_create_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	return -EOPNOTSUPP;
}

int npu_mr_destroy_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	return -EOPNOTSUPP;
}
