// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * DOC: giving memory back
 *
 * Memory that the device could reach is given away in three steps, in this order: it is taken out of all page tables,
 * the TLB is flushed (npu_mmu_publish()), and then every access that began before must end. The device answers the last
 * question with a ticket (mailbox QUIESCE): once the register QUIESCED has reached it, nothing that began earlier is
 * under way. npu_retire() queues what to do then; a work takes one ticket for all that has come together and looks at
 * the register until it is reached.
 *
 * Who cannot wait for the work, because an allocation failed while memory is on its way back, runs the same step itself
 * (npu_retire_flush()).
 *
 * A device that is reset, unplugged or given up makes no accesses, so everything is given back at once. What the device
 * did not confirm to have forgotten (a flush without an answer) waits for exactly that: npu_retire_at_reset().
 *
 * Rejected: waiting inside VM_BIND and GEM_CLOSE. Both would last as long as the longest access, and a free that comes
 * from another thread's last reference would wait with that thread's locks held. Rejected too: dma_fences for it: they
 * would make memory management wait for work of user-mode queues.
 */
#include <linux/delay.h>

#include "npu_drv.h"

#define NPU_RETIRE_DELAY_MS_MIN 1u
#define NPU_RETIRE_DELAY_MS_MAX 100u
#define NPU_RETIRE_FLUSH_MS 500u

/* Runs fn() of all entries. The entry is gone when fn() returns. */
static void npu_retire_run(struct npu_device *npu, struct list_head *done)
{
	struct npu_retired *what, *next;

	list_for_each_entry_safe(what, next, done, link) {
		list_del(&what->link);
		what->fn(npu, what);
		cond_resched();
	}
}

/* Gives what has come together its ticket. */
static void npu_retire_take_ticket(struct npu_device *npu)
{
	struct npu_retire *retire = &npu->retire;
	struct npu_retired *what;
	LIST_HEAD(batch);
	u64 ticket = 0;
	int err;

	lockdep_assert_held(&retire->step);
	mutex_lock(&retire->lock);
	list_splice_init(&retire->fresh, &batch);
	mutex_unlock(&retire->lock);
	if (list_empty(&batch))
		return;
	/* The ticket is younger than every entry of the batch: they were queued before it is asked for. */
	err = npu_mbox(npu, NPU_MBOX_QUIESCE, NULL, 0, &ticket);
	if (err) {
		drm_dbg(&npu->drm, "no ticket for retired memory: %d\n", err);
		mutex_lock(&retire->lock);
		list_splice(&batch, &retire->fresh);
		mutex_unlock(&retire->lock);
		return;
	}
	list_for_each_entry(what, &batch, link)
		what->ticket = ticket;
	list_splice_tail(&batch, &retire->waiting);
}

/* One look. True: something was given back. */
static bool npu_retire_step(struct npu_device *npu)
{
	struct npu_retire *retire = &npu->retire;
	struct npu_retired *what, *next;
	LIST_HEAD(done);
	u64 reached;
	bool any;

	lockdep_assert_held(&retire->step);
	npu_retire_take_ticket(npu);
	if (list_empty(&retire->waiting))
		return false;
	reached = npu_read64(npu, NPU_REG_QUIESCED);
	/* All ones is what a bus without a device reads, and no ticket. */
	if (reached == U64_MAX)
		return false;
	list_for_each_entry_safe(what, next, &retire->waiting, link) {
		if (what->ticket > reached)
			break;
		list_move_tail(&what->link, &done);
	}
	any = !list_empty(&done);
	npu_retire_run(npu, &done);
	return any;
}

static bool npu_retire_waits(struct npu_device *npu)
{
	struct npu_retire *retire = &npu->retire;
	bool waits;

	lockdep_assert_held(&retire->step);
	mutex_lock(&retire->lock);
	waits = !list_empty(&retire->fresh);
	mutex_unlock(&retire->lock);
	return waits || !list_empty(&retire->waiting);
}

static void npu_retire_later(struct npu_device *npu, unsigned int ms)
{
	queue_delayed_work(npu->wq, &npu->retire.work, msecs_to_jiffies(ms));
}

/* Inside npu_enter(). */
static void npu_retire_look(struct npu_device *npu)
{
	struct npu_retire *retire = &npu->retire;
	bool any, waits;

	mutex_lock(&retire->step);
	any = npu_retire_step(npu);
	waits = npu_retire_waits(npu);
	retire->delay_ms = any || !waits ? NPU_RETIRE_DELAY_MS_MIN :
					   min(2 * retire->delay_ms, NPU_RETIRE_DELAY_MS_MAX);
	mutex_unlock(&retire->step);
	if (waits)
		npu_retire_later(npu, retire->delay_ms);
}

static void npu_retire_work(struct work_struct *work)
{
	struct npu_device *npu = container_of(to_delayed_work(work), struct npu_device, retire.work);
	int idx, err;

	err = npu_enter(npu, &idx);
	if (!err) {
		npu_retire_look(npu);
		npu_leave(npu, idx);
	} else if (err == -ENODEV || READ_ONCE(npu->state) == NPU_STATE_WEDGED) {
		npu_retire_all(npu);
	} else {
		npu_retire_later(npu, NPU_RETIRE_DELAY_MS_MAX);
	}
}

/* False: the device is stopped for good, and the caller acts at once. */
static bool npu_retire_queue(struct npu_device *npu, struct npu_retired *what, struct list_head *list)
{
	struct npu_retire *retire = &npu->retire;
	bool queued;

	mutex_lock(&retire->lock);
	queued = !retire->stopped;
	if (queued) {
		list_add_tail(&what->link, list);
		/* A moment later, so that one ticket serves many. */
		npu_retire_later(npu, NPU_RETIRE_DELAY_MS_MIN);
	}
	mutex_unlock(&retire->lock);
	return queued;
}

void npu_retire(struct npu_device *npu, struct npu_retired *what)
{
	if (!npu_retire_queue(npu, what, &npu->retire.fresh))
		what->fn(npu, what);
}

void npu_retire_at_reset(struct npu_device *npu, struct npu_retired *what)
{
	if (!npu_retire_queue(npu, what, &npu->retire.stuck))
		what->fn(npu, what);
}

void npu_retire_flush(struct npu_device *npu)
{
	struct npu_retire *retire = &npu->retire;
	const unsigned long deadline = jiffies + msecs_to_jiffies(npu_scaled_ms(npu, NPU_RETIRE_FLUSH_MS)) + 1;
	bool waits, late;

	do {
		/* Asked before the look: whoever was kept off the CPU looks once more. */
		late = time_after(jiffies, deadline);
		/* Held while others give back, so what they took off the lists is free when it is ours. */
		mutex_lock(&retire->step);
		npu_retire_step(npu);
		waits = npu_retire_waits(npu);
		mutex_unlock(&retire->step);
		if (!waits || late || fatal_signal_pending(current) || READ_ONCE(npu->mbox.dead))
			break;
		usleep_range(50, 200);
	} while (true);
}

void npu_retire_quiesce(struct npu_device *npu, unsigned long deadline)
{
	u64 ticket, reached;
	bool late;

	if (npu_mbox(npu, NPU_MBOX_QUIESCE, NULL, 0, &ticket))
		return;
	do {
		late = time_after(jiffies, deadline);
		reached = npu_read64(npu, NPU_REG_QUIESCED);
		if (reached >= ticket || late || READ_ONCE(npu->mbox.dead))
			break;
		usleep_range(50, 200);
	} while (true);
}

void npu_retire_all(struct npu_device *npu)
{
	struct npu_retire *retire = &npu->retire;
	LIST_HEAD(done);

	mutex_lock(&retire->step);
	mutex_lock(&retire->lock);
	list_splice_init(&retire->waiting, &done);
	list_splice_tail_init(&retire->fresh, &done);
	list_splice_tail_init(&retire->stuck, &done);
	mutex_unlock(&retire->lock);
	npu_retire_run(npu, &done);
	mutex_unlock(&retire->step);
}

void npu_retire_init(struct npu_device *npu)
{
	struct npu_retire *retire = &npu->retire;

	mutex_init(&retire->step);
	mutex_init(&retire->lock);
	INIT_LIST_HEAD(&retire->fresh);
	INIT_LIST_HEAD(&retire->waiting);
	INIT_LIST_HEAD(&retire->stuck);
	retire->delay_ms = NPU_RETIRE_DELAY_MS_MIN;
	INIT_DELAYED_WORK(&retire->work, npu_retire_work);
}

void npu_retire_fini(struct npu_device *npu)
{
	struct npu_retire *retire = &npu->retire;

	mutex_lock(&retire->lock);
	retire->stopped = true;
	mutex_unlock(&retire->lock);
	cancel_delayed_work_sync(&retire->work);
	npu_retire_all(npu);
}
