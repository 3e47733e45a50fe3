// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * DOC: events of the device, and events for a file
 *
 * The device writes 64-byte records into a ring in host memory, seq last. Whoever drains it copies a record, and looks at seq again:
 * a ring that has gone round is noticed, never misread. Drained from the threads of two vectors, by the watchdog (a lost interrupt
 * costs a tick, never a waiter) and by calls that must see what a process has seen already; one mutex makes them take turns.
 *
 * Here nothing waits for memory or for vm.lock: the same thread signals the dma_fences of the copy queue.
 *
 * Events for a file are DRM events; DRM keeps 4 KiB of them for each file. One that does not fit is lost, and the next one says so.
 */
#include "npu_drv.h"
#include "npu_trace.h"

static_assert(sizeof(struct npu_event_record) % sizeof(u64) == 0);
static_assert(offsetof(struct npu_event_record, seq) == 0);

/* ------------------------------------------------------------------------------------------------ the ring -- */
int npu_event_init(struct npu_device *npu)
{
	npu->events.records = dmam_alloc_coherent(npu->drm.dev, NPU_EVENT_ENTRIES * sizeof(*npu->events.records),
						  &npu->events.iova, GFP_KERNEL);
	return npu->events.records ? 0 : -ENOMEM;
}

int npu_event_start(struct npu_device *npu)
{
	mutex_lock(&npu->events.lock);
	memset(npu->events.records, 0, NPU_EVENT_ENTRIES * sizeof(*npu->events.records));
	npu->events.head = 0;
	mutex_unlock(&npu->events.lock);
	return npu_mbox_call(npu, NPU_MBOX_EVENT_RING, NULL, npu->events.iova, NPU_EVENT_ENTRIES);
}

/* Records were lost, so every queue may have moved, or died. */
static void npu_event_overflow(struct npu_device *npu)
{
	struct npu_queue *queue;
	unsigned long number;

	npu_copy_progress(npu);
	npu_port_overflowed(npu);
	for (number = 1; number < npu->id.max_queues; number++) {
		queue = npu_queue_by_number(npu, number);
		if (!queue)
			continue;
		npu_queue_overflowed(queue);
		npu_queue_put(queue);
	}
}

static void npu_event_copy_queue(struct npu_device *npu, const struct npu_event_record *record)
{
	if (record->type == NPU_EVENT_QUEUE_FAULT)
		npu_copy_fault(npu, record);
	else
		npu_copy_progress(npu);
}

static void npu_event_handle(struct npu_device *npu, const struct npu_event_record *record)
{
	struct npu_queue *queue;

	lockdep_assert_held(&npu->events.lock);
	if (record->type == NPU_EVENT_OVERFLOW) {
		npu_event_overflow(npu);
		return;
	}
	if (record->type == NPU_EVENT_PORT_STATE) {
		npu_port_changed(npu, record);
		return;
	}
	if (record->type == NPU_EVENT_QUEUE_FAULT)
		trace_npu_fault(npu, record);
	if (record->queue == NPU_COPY_QUEUE) {
		npu_event_copy_queue(npu, record);
		return;
	}
	queue = npu_queue_by_number(npu, record->queue);
	if (!queue)
		return; /* the last words of a queue that has ended */
	if (record->type == NPU_EVENT_QUEUE_FAULT)
		npu_queue_faulted(queue, record);
	else
		npu_queue_progress(queue);
	npu_queue_put(queue);
}

/* Copies the record in the slot at head. 0: there is none. Else its seq, and whether the device wrote into it meanwhile. */
static u64 npu_event_copy(struct npu_device *npu, struct npu_event_record *record, bool *torn)
{
	const u64 *slot = (u64 *)&npu->events.records[npu->events.head & (NPU_EVENT_ENTRIES - 1)];
	u64 *words = (u64 *)record;
	const u64 seq = READ_ONCE(slot[0]);
	u32 i;

	if (seq <= npu->events.head)
		return 0;
	dma_rmb(); /* seq was written last: the record is complete */
	for (i = 0; i < sizeof(*record) / sizeof(u64); i++)
		words[i] = READ_ONCE(slot[i]);
	dma_rmb(); /* and is still the same */
	*torn = READ_ONCE(slot[0]) != seq;
	return seq;
}

/* One record, or the news that some are lost. False: the ring is empty. */
static bool npu_event_next(struct npu_device *npu)
{
	const struct npu_event_record overflow = { .type = NPU_EVENT_OVERFLOW };
	struct npu_event_record record;
	bool torn = false;
	u64 seq;

	seq = npu_event_copy(npu, &record, &torn);
	if (!seq)
		return false;
	if (seq != npu->events.head + 1 || torn) {
		/* The ring went round. What is in the slot is read again, unless it was whole. */
		npu->events.head = seq - 1;
		npu_event_handle(npu, &overflow);
		if (torn)
			return true;
	}
	npu->events.head = seq;
	npu_event_handle(npu, &record);
	return true;
}

void npu_event_irq(struct npu_device *npu)
{
	u32 budget = 2 * NPU_EVENT_ENTRIES; /* a device that writes for ever does not keep a thread for ever */

	mutex_lock(&npu->events.lock);
	if (npu->events.records)
		while (budget-- && npu_event_next(npu))
			;
	mutex_unlock(&npu->events.lock);
}

/* ------------------------------------------------------------------------------------------ events of a file -- */
/* What drm_read() hands out, and then frees. */
struct npu_pending_event {
	struct drm_pending_event base;
	u8 bytes[NPU_EVENT_MAX_BYTES] __aligned(8);
};

static_assert(offsetof(struct npu_pending_event, base) == 0); /* drm_read() frees by the address of base */
static_assert(offsetof(struct npu_event, type) == offsetof(struct drm_event, type));
static_assert(offsetof(struct npu_event, length) == offsetof(struct drm_event, length));

static bool npu_event_queue_up(struct npu_file *file, const struct npu_event *event)
{
	struct npu_pending_event *pending = kmalloc(sizeof(*pending), GFP_NOWAIT | __GFP_NOWARN);

	if (!pending)
		return false;
	memset(&pending->base, 0, sizeof(pending->base));
	memcpy(pending->bytes, event, event->length);
	if (drm_event_reserve_init(&file->npu->drm, file->drm_file, &pending->base,
				   (struct drm_event *)pending->bytes)) {
		kfree(pending);
		return false;
	}
	drm_send_event(&file->npu->drm, &pending->base);
	return true;
}

void npu_event_send(struct npu_file *file, struct npu_event *event, u32 type, u32 bytes, u64 mask_bit)
{
	struct npu_device *npu = file->npu;
	unsigned long flags;

	if (WARN_ON(bytes > NPU_EVENT_MAX_BYTES))
		return;
	spin_lock_irqsave(&npu->events_lock, flags);
	if (file->event_mask & mask_bit) {
		event->type = type;
		event->length = bytes;
		event->flags = file->events_lost ? NPU_EVENT_FLAG_LOST : 0;
		event->time_ns = ktime_get_ns();
		file->events_lost = !npu_event_queue_up(file, event);
	}
	spin_unlock_irqrestore(&npu->events_lock, flags);
}

void npu_event_send_all(struct npu_device *npu, struct npu_event *event, u32 type, u32 bytes, u64 mask_bit)
{
	struct npu_file *file;

	mutex_lock(&npu->files_lock);
	list_for_each_entry(file, &npu->files, link)
		npu_event_send(file, event, type, bytes, mask_bit);
	mutex_unlock(&npu->files_lock);
}

void npu_event_lose_all(struct npu_device *npu, u64 mask_bit)
{
	struct npu_file *file;
	unsigned long flags;

	mutex_lock(&npu->files_lock);
	spin_lock_irqsave(&npu->events_lock, flags);
	list_for_each_entry(file, &npu->files, link)
		if (file->event_mask & mask_bit)
			file->events_lost = true;
	spin_unlock_irqrestore(&npu->events_lock, flags);
	mutex_unlock(&npu->files_lock);
}

int npu_event_mask_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct npu_file *file = drm_file->driver_priv;
	struct npu_event_mask *args = data;
	struct npu_device *npu = to_npu(drm);

	spin_lock_irq(&npu->events_lock);
	args->previous = file->event_mask;
	file->event_mask = args->mask;
	spin_unlock_irq(&npu->events_lock);
	return 0;
}
