// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * DOC: when something does not end
 *
 * The ladder, mildest first. A queue that has work by the device's own count and makes no progress for its timeout is taken off the
 * device (QUEUE_DESTROY cancels the running command; nobody else notices). A device that does not answer that, or whose
 * firmware has died, is reset: HBM, address spaces and queues are lost, epoch + 1, open files stay. A device that does not come
 * back three times in a row is wedged. One that leaves is gone.
 *
 * The watchdog looks every 250 ms while a queue is busy, every second while queues exist; without queues it does not run. At each look it
 * also drains the rings, so an interrupt that was lost costs a look and never a waiter. It asks the mailbox for two numbers of each of
 * up to 64 queues, round robin: what it costs is bounded, however many queues there are.
 *
 * A reset has two halves, stop and start; sleep and resets of the bus use them with time between. From the begin of the first to the end of
 * the second the state is RESETTING and npu_enter() waits.
 *
 * The device is halted and the fences of copies are ended before reset_lock is taken: who holds it for reading may be waiting in
 * memory reclaim for just such a fence, of a copy on a device that hangs. Calls that are inside then see a dead mailbox. Only with
 * the lock for writing, when none is inside any more, the epoch moves and the device is made anew.
 *
 * Rejected: a timer for each queue, armed at each doorbell: doorbells do not pass through the kernel. Time since submission as
 * the measure instead of progress: a long job is not a hung one.
 */
#include <linux/kobject.h>
#include <linux/sched/mm.h>

#include "npu_drv.h"
#include "npu_trace.h"

#define NPU_WATCHDOG_BUSY_MS 250u
#define NPU_WATCHDOG_IDLE_MS 1000u
#define NPU_WATCHDOG_QUEUES 64u
#define NPU_HEARTBEAT_MS 2000u
#define NPU_RESET_ATTEMPTS 3u

static const char *npu_reset_cause_name(enum npu_reset_cause cause)
{
	switch (cause) {
	case NPU_RESET_ADMIN:
		return "an administrator asked for it";
	case NPU_RESET_WATCHDOG:
		return "a queue hangs and cannot be ended";
	case NPU_RESET_FIRMWARE:
		return "firmware has died";
	case NPU_RESET_ECC:
		return "uncorrectable memory errors";
	case NPU_RESET_THERMAL:
		return "too hot";
	case NPU_RESET_BUS:
		return "the bus was reset";
	}
	return "unknown";
}

/* --------------------------------------------------------------------------------------------- what is told -- */
static void npu_uevent(struct npu_device *npu, char *what)
{
	char epoch[32];
	char *env[3] = { what, epoch, NULL };

	snprintf(epoch, sizeof(epoch), "NPU_EPOCH=%llu", npu->epoch);
	/* The node of an accel device; drm_dev_wedged_event() would follow the primary node, which there is none of. */
	kobject_uevent_env(&npu->drm.accel->kdev->kobj, KOBJ_CHANGE, env);
}

static void npu_reset_tell(struct npu_device *npu, u64 old_epoch)
{
	struct npu_event_device_reset event = {
		.old_epoch = old_epoch,
		.new_epoch = npu->epoch,
		.cause = npu->reset_cause,
		.health = npu->state == NPU_STATE_READY ? NPU_HEALTH_OK : NPU_HEALTH_WEDGED,
	};

	npu_event_send_all(npu, &event.base, NPU_EVENT_TYPE_DEVICE_RESET, sizeof(event), NPU_EVENT_MASK_DEVICE_RESET);
}

/* ------------------------------------------------------------------------------------------ the two halves -- */
static void npu_set_state(struct npu_device *npu, enum npu_state state)
{
	lockdep_assert_held(&npu->reset_mutex);
	/* Whoever sees READY sees the epoch that belongs to it. pairs with driver/npu_bo.c : npu_bo_read_hbm */
	smp_store_release(&npu->state, state);
	/*
	 * And whoever still saw READY has read before the device is touched, or is in a list that is looked through
	 * afterwards. pairs with driver/npu_prime.c : npu_prime_peer_ready
	 */
	smp_mb();
	wake_up_all(&npu->state_wait);
	wake_up_all(&npu->any_progress);
}

/* No mapping of a process, and no other device, reaches the device from here on, until the state is READY again. */
static void npu_revoke_all(struct npu_device *npu)
{
	npu_doorbell_revoke_all(npu);
	npu_bo_revoke_hbm(npu);
	npu_prime_revoke(npu);
}

void npu_halt(struct npu_device *npu)
{
	mutex_lock(&npu->mbox.lock);
	npu->mbox.dead = true;
	if (!npu->bus_lost && npu_fw_reset_device(npu))
		pci_clear_master(npu->pdev); /* what it does now, it does to itself */
	mutex_unlock(&npu->mbox.lock);
}

/*
 * The device is halted, and every fence of ours has signalled. Takes no lock that somebody holds over an allocation, and does not enter
 * reclaim itself. `why`: of the dump, NULL for none.
 */
static void npu_reset_halt(struct npu_device *npu, const char *why)
{
	unsigned int noreclaim;

	lockdep_assert_held(&npu->reset_mutex);
	npu_set_state(npu, NPU_STATE_RESETTING);
	if (why) {
		noreclaim = memalloc_noreclaim_save();
		npu_coredump_take(npu, why);
		memalloc_noreclaim_restore(noreclaim);
	}
	npu_irq_disable(npu);
	npu_halt(npu);
	npu_copy_stop(npu, -ECANCELED);
}

/* First half. reset_lock is held for writing afterwards. */
static void npu_reset_down(struct npu_device *npu, const char *why)
{
	npu_reset_halt(npu, why);
	down_write(&npu->reset_lock);
	/* Calls that were still inside may have begun copies. */
	npu_copy_stop(npu, -ECANCELED);
	/* From here on every older object is LOST, and page faults find the memory that stands in. */
	WRITE_ONCE(npu->epoch, npu->epoch + 1);
	npu_revoke_all(npu);
}

/* What was on the device is lost. */
static void npu_reset_lose(struct npu_device *npu, struct npu_queue *guilty)
{
	lockdep_assert_held_write(&npu->reset_lock);
	npu_queue_lose_all(npu, guilty);
	npu_retire_all(npu);
}

static int npu_reset_try(struct npu_device *npu)
{
	int err;

	pci_set_master(npu->pdev);
	err = npu_fw_boot(npu);
	if (err)
		return err;
	npu_table_reset(npu);
	err = npu_event_start(npu);
	if (!err)
		err = npu_ras_start(npu);
	if (!err)
		err = npu_copy_restart(npu);
	return err;
}

static void npu_wedge_locked(struct npu_device *npu, const char *why)
{
	lockdep_assert_held_write(&npu->reset_lock);
	if (npu->state == NPU_STATE_WEDGED || npu->state == NPU_STATE_GONE)
		return;
	npu_set_state(npu, NPU_STATE_WEDGED);
	npu_revoke_all(npu);
	npu_irq_disable(npu);
	npu_halt(npu);
	pci_clear_master(npu->pdev);
	npu_copy_stop(npu, -EIO);
	npu_reset_lose(npu, NULL);
	drm_err(&npu->drm, "the device is wedged: %s. Remedy: reset its slot (echo 1 > /sys/bus/pci/devices/%s/reset), else power-cycle the machine\n",
		why, pci_name(npu->pdev));
	npu_uevent(npu, "WEDGED=bus-reset");
}

/* Second half. 0, or -EIO and the device is wedged. */
static int npu_reset_up(struct npu_device *npu, enum npu_reset_cause cause)
{
	int err = -EIO;

	lockdep_assert_held_write(&npu->reset_lock);
	WRITE_ONCE(npu->reset_cause, cause);
	npu->resets_failed = 0;
	while (err && !npu->bus_lost && npu->resets_failed < NPU_RESET_ATTEMPTS) {
		err = npu_reset_try(npu);
		if (!err)
			break;
		npu->resets_failed++;
		drm_err(&npu->drm, "reset %u of %u failed: %d\n", npu->resets_failed, NPU_RESET_ATTEMPTS, err);
		npu_halt(npu);
		npu_copy_stop(npu, -ECANCELED);
	}
	trace_npu_reset(npu, cause, err);
	if (err) {
		npu_wedge_locked(npu, "resets failed");
		return -EIO;
	}
	npu->watch = (struct npu_watch){};
	npu_irq_enable(npu);
	npu_set_state(npu, NPU_STATE_READY);
	npu_doorbell_revoke_all(npu); /* who met the stand-in page finds the device again */
	return 0;
}

void npu_reset_stop(struct npu_device *npu)
{
	int idx;

	mutex_lock(&npu->reset_mutex);
	if (npu->state != NPU_STATE_RESETTING && npu->state != NPU_STATE_GONE && drm_dev_enter(&npu->drm, &idx)) {
		npu_reset_down(npu, NULL);
		npu_reset_lose(npu, NULL);
		up_write(&npu->reset_lock);
		drm_dev_exit(idx);
	}
	mutex_unlock(&npu->reset_mutex);
}

int npu_reset_start(struct npu_device *npu, enum npu_reset_cause cause)
{
	int idx, err = -ENODEV;

	mutex_lock(&npu->reset_mutex);
	if (npu->state != NPU_STATE_RESETTING) {
		err = npu->state == NPU_STATE_READY ? 0 : npu->state == NPU_STATE_WEDGED ? -EIO : -ENODEV;
	} else if (drm_dev_enter(&npu->drm, &idx)) {
		down_write(&npu->reset_lock);
		err = npu_reset_up(npu, cause);
		up_write(&npu->reset_lock);
		npu_reset_tell(npu, npu->epoch - 1);
		drm_dev_exit(idx);
	}
	mutex_unlock(&npu->reset_mutex);
	return err;
}

void npu_wedge(struct npu_device *npu, const char *why)
{
	mutex_lock(&npu->reset_mutex);
	down_write(&npu->reset_lock);
	npu_wedge_locked(npu, why);
	up_write(&npu->reset_lock);
	mutex_unlock(&npu->reset_mutex);
}

/* --------------------------------------------------------------------------------------------- the worker -- */
/* Several may ask before it begins: one reset serves all. The first cause counts, but one that names a queue tells more. */
void npu_reset_schedule(struct npu_device *npu, enum npu_reset_cause cause, struct npu_queue *guilty)
{
	unsigned long flags;

	spin_lock_irqsave(&npu->queues_lock, flags);
	if (!npu->reset_request.asked || (guilty && !npu->reset_request.guilty)) {
		npu->reset_request.asked = true;
		npu->reset_request.cause = cause;
		npu->reset_request.guilty = guilty;
		if (guilty)
			kref_get(&guilty->ref);
	}
	spin_unlock_irqrestore(&npu->queues_lock, flags);
	queue_work(npu->wq, &npu->reset_work);
}

/* True: somebody asks. */
static bool npu_reset_peek_request(struct npu_device *npu, enum npu_reset_cause *cause)
{
	bool asked;

	spin_lock_irq(&npu->queues_lock);
	asked = npu->reset_request.asked;
	*cause = npu->reset_request.cause;
	spin_unlock_irq(&npu->queues_lock);
	return asked;
}

/* The caller gets the reference to the queue. */
static struct npu_queue *npu_reset_take_request(struct npu_device *npu, enum npu_reset_cause *cause)
{
	struct npu_queue *guilty;

	spin_lock_irq(&npu->queues_lock);
	*cause = npu->reset_request.cause;
	guilty = npu->reset_request.guilty;
	npu->reset_request.asked = false;
	npu->reset_request.guilty = NULL;
	spin_unlock_irq(&npu->queues_lock);
	return guilty;
}

static void npu_reset_whole(struct npu_device *npu, enum npu_reset_cause cause)
{
	const u64 old_epoch = npu->epoch;
	struct npu_queue *guilty;
	int err;

	drm_warn(&npu->drm, "device reset, epoch %llu: %s\n", old_epoch, npu_reset_cause_name(cause));
	trace_npu_reset(npu, cause, 1);
	npu_reset_down(npu, npu_reset_cause_name(cause));
	/* Taken when nobody is inside: what calls asked for that saw the dead mailbox belongs to this reset too. */
	guilty = npu_reset_take_request(npu, &cause);
	npu_reset_lose(npu, guilty);
	err = npu_reset_up(npu, cause);
	up_write(&npu->reset_lock);
	npu_queue_put(guilty);
	npu_reset_tell(npu, old_epoch);
	if (err)
		return;
	npu_uevent(npu, "NPU_RESET=1");
	drm_info(&npu->drm, "device reset done, epoch %llu\n", npu->epoch);
}

static void npu_reset_work(struct work_struct *work)
{
	struct npu_device *npu = container_of(work, struct npu_device, reset_work);
	enum npu_reset_cause cause;
	int idx;

	mutex_lock(&npu->reset_mutex);
	if (!npu_reset_peek_request(npu, &cause)) {
		/* An earlier reset has served it. */
	} else if (npu->state == NPU_STATE_READY && drm_dev_enter(&npu->drm, &idx)) {
		npu_reset_whole(npu, cause);
		drm_dev_exit(idx);
	} else {
		npu_queue_put(npu_reset_take_request(npu, &cause)); /* nothing that a reset would help */
	}
	mutex_unlock(&npu->reset_mutex);
}

int npu_reset_now(struct npu_device *npu, enum npu_reset_cause cause)
{
	npu_reset_schedule(npu, cause, NULL);
	flush_work(&npu->reset_work);
	switch (READ_ONCE(npu->state)) {
	case NPU_STATE_READY:
		return 0;
	case NPU_STATE_RESETTING: /* it sleeps, or its bus is being reset */
		return -EAGAIN;
	case NPU_STATE_WEDGED:
		return -EIO;
	default:
		return -ENODEV;
	}
}

/* ------------------------------------------------------------------------------------------- the watchdog -- */
/* False: firmware has died, and a reset was asked for. */
static bool npu_watch_firmware(struct npu_device *npu, ktime_t now)
{
	const u32 status = npu_read32(npu, NPU_REG_STATUS);
	const u32 heartbeat = npu_read32(npu, NPU_REG_HEARTBEAT);
	struct npu_watch *watch = &npu->watch;

	if (status == U32_MAX && npu_read32(npu, NPU_REG_ID) == U32_MAX) {
		npu_reset_schedule(npu, NPU_RESET_BUS, NULL);
		return false;
	}
	if (status != NPU_DEVICE_STATUS_READY) {
		npu_reset_schedule(npu, NPU_RESET_FIRMWARE, NULL);
		return false;
	}
	/* A watchdog that did not look for a while has seen no beats either. */
	if (heartbeat != watch->heartbeat || ktime_ms_delta(now, watch->looked_at) > 2 * NPU_WATCHDOG_IDLE_MS)
		watch->heartbeat_since = now;
	watch->heartbeat = heartbeat;
	if (ktime_ms_delta(now, watch->heartbeat_since) < npu_scaled_ms(npu, NPU_HEARTBEAT_MS))
		return true;
	drm_err(&npu->drm, "the heartbeat of the firmware stands still\n");
	npu_reset_schedule(npu, NPU_RESET_FIRMWARE, NULL);
	return false;
}

static void npu_watch_queue(struct npu_device *npu, struct npu_queue *queue, ktime_t now)
{
	u64 completed;
	bool busy;

	if (npu_queue_dead(queue))
		return;
	busy = npu_queue_busy(queue, &completed) &&
	       (READ_ONCE(queue->state) == NPU_QUEUE_STATE_READY || READ_ONCE(queue->stopping));
	if (!busy || !queue->watched_busy || completed != queue->watched_progress)
		WRITE_ONCE(queue->watched_since, now);
	queue->watched_busy = busy;
	queue->watched_progress = completed;
	npu->watch.busy |= busy;
	if (ktime_ms_delta(now, READ_ONCE(queue->watched_since)) < READ_ONCE(queue->timeout_ms))
		return;
	drm_dbg(&npu->drm, "queue %u made no progress for %u ms: killed\n", queue->number, queue->timeout_ms);
	if (npu_queue_kill(queue, NPU_ST_WATCHDOG))
		npu_reset_schedule(npu, NPU_RESET_WATCHDOG, queue);
}

/* A share of the queues, going on where the last look ended. */
static void npu_watch_queues(struct npu_device *npu, ktime_t now)
{
	struct npu_watch *watch = &npu->watch;
	struct npu_queue *queue;
	u32 looked = 0, i;

	for (i = 1; i < npu->id.max_queues && looked < NPU_WATCHDOG_QUEUES; i++) {
		watch->next_number = watch->next_number % (npu->id.max_queues - 1) + 1;
		queue = npu_queue_by_number(npu, watch->next_number);
		if (!queue)
			continue;
		npu_watch_queue(npu, queue, now);
		npu_queue_put(queue);
		looked++;
	}
}

static void npu_watchdog_look(struct npu_device *npu)
{
	const ktime_t now = ktime_get();
	unsigned int noreclaim;

	npu_event_irq(npu);
	npu_copy_progress(npu);
	npu->watch.busy = false;
	if (npu_watch_firmware(npu, now))
		npu_watch_queues(npu, now);
	npu->watch.looked_at = now;
	/* Who retires pages may allocate; fences may wait for this thread, so it must not wait for them in reclaim. */
	noreclaim = memalloc_noreclaim_save();
	npu_ras_irq(npu);
	memalloc_noreclaim_restore(noreclaim);
}

static void npu_watchdog_work(struct work_struct *work)
{
	struct npu_device *npu = container_of(to_delayed_work(work), struct npu_device, watchdog_work);
	bool again, busy = false;
	int idx, err;

	err = npu_enter_try(npu, &idx);
	if (!err) {
		npu_watchdog_look(npu);
		busy = npu->watch.busy;
		again = busy || atomic_read(&npu->live_queues);
		npu_leave(npu, idx);
	} else {
		/* A reset runs, or it sleeps; the latter has no queues. */
		again = err == -EAGAIN && atomic_read(&npu->live_queues);
	}
	if (again)
		queue_delayed_work(npu->wq, &npu->watchdog_work,
				   msecs_to_jiffies(busy ? NPU_WATCHDOG_BUSY_MS : NPU_WATCHDOG_IDLE_MS));
}

void npu_watchdog_kick(struct npu_device *npu)
{
	/* Nothing when it is on its way already: whoever kicks often must not put it off for ever. */
	if (READ_ONCE(npu->state) != NPU_STATE_GONE)
		queue_delayed_work(npu->wq, &npu->watchdog_work, msecs_to_jiffies(NPU_WATCHDOG_BUSY_MS));
}

/* ---------------------------------------------------------------------------------------------- begin, end -- */
void npu_reset_init(struct npu_device *npu)
{
	INIT_WORK(&npu->reset_work, npu_reset_work);
	INIT_DELAYED_WORK(&npu->watchdog_work, npu_watchdog_work);
	INIT_DELAYED_WORK(&npu->slot_work, npu_slot_work);
}

/* Nothing more comes for who reads events. */
static void npu_wake_readers(struct npu_device *npu)
{
	struct npu_file *file;

	mutex_lock(&npu->files_lock);
	/* The state was written before. pairs with driver/npu_drv.c : npu_read */
	list_for_each_entry(file, &npu->files, link)
		wake_up_interruptible_all(&file->drm_file->event_wait);
	mutex_unlock(&npu->files_lock);
}

void npu_reset_fini(struct npu_device *npu)
{
	enum npu_reset_cause cause;

	mutex_lock(&npu->reset_mutex);
	npu_irq_disable(npu); /* before what the handlers use goes */
	down_write(&npu->reset_lock);
	npu_set_state(npu, NPU_STATE_GONE);
	npu_revoke_all(npu);
	npu_queue_lose_all(npu, NULL);
	up_write(&npu->reset_lock);
	npu_wake_readers(npu);
	mutex_unlock(&npu->reset_mutex);
	/* All see GONE from here on, and ask for nothing more. */
	cancel_work_sync(&npu->reset_work);
	cancel_delayed_work_sync(&npu->slot_work);
	cancel_delayed_work_sync(&npu->watchdog_work);
	npu_queue_put(npu_reset_take_request(npu, &cause));
}
