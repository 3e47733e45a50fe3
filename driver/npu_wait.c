// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * DOC: waiting for memory words
 *
 * WAIT sleeps until 64-bit words of objects have values, or queues are idle or dead; NOTIFY adds to an eventfd instead.
 *
 * Lost wake-ups. A sleeper first enters itself at the wait queues, then asks the devices' queues for an interrupt (interrupt_at in the
 * control page, as firmware-model/server/condition.cpp does), then looks at its conditions, then sleeps. Either the device sees the
 * request, or the look sees the device's store. Of the two CPUs involved, either the waker sees the sleeper in the wait queue, or
 * the sleeper sees what the waker saw. Words that no queue announces (a CPU writes them, or another process's queue) are looked at after 1,
 * 2, 4, ... 64 ms, and when any queue moves.
 *
 * Nothing is trusted: interrupt_at and completed are memory of the user, who can cheat himself out of an interrupt and nobody else. When
 * his queue dies, or the device goes, he is woken all the same. QUEUE_IDLE comes from the device's own state.
 *
 * No lock is held while asleep, and no reset waits for a sleeper: each look enters the device on its own, without waiting.
 *
 * Rejected: dma_fences for words (user-mode work may never end), and a futex on the user's page (the kernel would have to fault it in to
 * look at it).
 */
#include <linux/eventfd.h>
#include <linux/hrtimer.h>
#include <linux/sched/signal.h>

#include "npu_drv.h"

#define NPU_POLL_FIRST_MS 1u
#define NPU_POLL_LAST_MS 64u
#define NPU_ARM_TRIES 8u
#define NPU_WAIT_SLACK_NS (50u * NSEC_PER_USEC)

/* One condition with what it looks at. */
struct npu_look {
	struct npu_cond cond;
	struct npu_bo *bo; /* NULL for QUEUE_IDLE */
	struct npu_queue *queue; /* NULL: no queue announces the word */
	u64 submitted; /* of QUEUE_IDLE, as of the last look */
	bool again; /* the device could not be asked: look again soon */
};

enum npu_found {
	NPU_FOUND_FALSE,
	NPU_FOUND_TRUE,
	NPU_FOUND_DEAD, /* the queue, or the object by a reset */
};

/* --------------------------------------------------------------------------------------------- conditions -- */
static void npu_look_put(struct npu_look *look)
{
	if (look->bo)
		drm_gem_object_put(&look->bo->base);
	npu_queue_put(look->queue);
}

/* look->cond is filled in. Inside npu_enter(). On failure the caller puts what there is. */
static int npu_look_make(struct npu_file *file, struct npu_look *look)
{
	const struct npu_cond *cond = &look->cond;
	u64 word;
	int err;

	err = npu_validate_cond(cond, &file->npu->limits);
	if (err)
		return err;
	if (cond->queue_id) {
		look->queue = npu_queue_lookup(file, cond->queue_id);
		if (!look->queue)
			return -ENOENT;
	}
	if (cond->op == NPU_COND_QUEUE_IDLE)
		return 0;
	look->bo = npu_bo_lookup(file, cond->bo_handle);
	if (!look->bo)
		return -ENOENT;
	if (npu_validate_span(cond->offset, 8, look->bo->base.size))
		return -EINVAL;
	/* Memory that the kernel cannot see at all; that it is lost is for the looks to find. */
	return npu_bo_read_word(look->bo, cond->offset, &word) == -EOPNOTSUPP ? -EOPNOTSUPP : 0;
}

static bool npu_cond_holds(const struct npu_cond *cond, u64 word)
{
	const u64 value = word & cond->mask;

	switch (cond->op) {
	case NPU_COND_GE:
		return value >= cond->value;
	case NPU_COND_EQ:
		return value == cond->value;
	default:
		return value != cond->value;
	}
}

static enum npu_found npu_look_idle(struct npu_look *look)
{
	struct npu_device *npu = look->queue->npu;
	enum npu_found found = NPU_FOUND_FALSE;
	u64 completed;
	int idx;

	if (npu_queue_dead(look->queue))
		return NPU_FOUND_TRUE;
	/* A device that cannot be entered is being reset, or lost: then the queue is about to die, and wakes us. */
	if (npu_enter_try(npu, &idx)) {
		look->again = true;
		return NPU_FOUND_FALSE;
	}
	look->submitted = npu_queue_submitted(look->queue);
	completed = npu_queue_completed(look->queue);
	if (completed >= look->submitted)
		found = NPU_FOUND_TRUE;
	npu_leave(npu, idx);
	return found;
}

static enum npu_found npu_look_at(struct npu_look *look)
{
	bool dead, read;
	u64 word;

	look->again = false;
	if (look->cond.op == NPU_COND_QUEUE_IDLE)
		return npu_look_idle(look);
	/* Dead is read before the word: a value that was written before the death is then never missed. */
	dead = look->queue && npu_queue_dead(look->queue);
	read = npu_bo_read_word(look->bo, look->cond.offset, &word) == 0;
	if (read && npu_cond_holds(&look->cond, word))
		return NPU_FOUND_TRUE;
	/* A word that cannot be read is in HBM which a reset has taken, or is taking. */
	return dead || !read ? NPU_FOUND_DEAD : NPU_FOUND_FALSE;
}

static bool npu_look_polls(const struct npu_look *look)
{
	return !look->queue || look->again;
}

/*
 * Makes the device raise an interrupt when the queue has completed `value`. It fires once for each value of the word: one that
 * was reached is spent, one that lies between fires first and is followed by another look.
 */
static void npu_arm_interrupt(struct npu_queue_ctrl *ctrl, u64 value)
{
	const u64 completed = READ_ONCE(ctrl->completed);
	u64 now = READ_ONCE(ctrl->interrupt_at);
	u32 tries = 0;

	while (now <= completed || now > value) {
		if (try_cmpxchg64(&ctrl->interrupt_at, &now, value))
			break;
		/* A user who changes it all the time does not keep the kernel here. */
		if (++tries == NPU_ARM_TRIES) {
			WRITE_ONCE(ctrl->interrupt_at, value);
			break;
		}
	}
	/*
	 * The request before the look at the words; the device stores completed, then looks at interrupt_at.
	 * pairs with firmware-model/device/command_processor.cpp : CommandProcessor::interrupt_when_asked
	 */
	mb();
}

static void npu_look_arm(struct npu_look *look)
{
	struct npu_queue *queue = look->queue;
	const struct npu_cond *cond = &look->cond;
	u64 value;

	if (!queue || npu_queue_dead(queue))
		return;
	/* Any step of the queue may matter, unless the condition is about the very word that counts them. */
	value = READ_ONCE(queue->ctrl->completed) + 1;
	if (cond->op == NPU_COND_QUEUE_IDLE && look->submitted)
		value = look->submitted;
	else if (cond->op == NPU_COND_GE && cond->mask == U64_MAX && look->bo == queue->ctrl_bo &&
		 cond->offset == queue->ctrl_offset + offsetof(struct npu_queue_ctrl, completed) && cond->value)
		value = cond->value;
	npu_arm_interrupt(queue->ctrl, value);
}

/* ----------------------------------------------------------------------------------------------- the sleeper -- */
struct npu_sleeper {
	struct task_struct *task;
	bool woken;
};

static int npu_sleeper_wake(struct wait_queue_entry *entry, unsigned int mode, int flags, void *key)
{
	struct npu_sleeper *sleeper = entry->private;

	/* pairs with driver/npu_wait.c : npu_sleeper_sleep */
	WRITE_ONCE(sleeper->woken, true);
	return wake_up_process(sleeper->task); /* a full barrier before it looks at the task */
}

static void npu_sleeper_sleep(struct npu_sleeper *sleeper, ktime_t until)
{
	set_current_state(TASK_INTERRUPTIBLE);
	/* pairs with driver/npu_wait.c : npu_sleeper_wake */
	if (!READ_ONCE(sleeper->woken))
		schedule_hrtimeout_range(&until, NPU_WAIT_SLACK_NS, HRTIMER_MODE_ABS);
	__set_current_state(TASK_RUNNING);
}

struct npu_wait_run {
	struct npu_device *npu;
	struct npu_wait *args; /* as they came until something is known */
	struct npu_look *looks;
	struct wait_queue_entry *entries; /* one for each look */
	u32 count;
	struct npu_sleeper sleeper;
};

static wait_queue_head_t *npu_wait_head(struct npu_wait_run *run, u32 i)
{
	struct npu_queue *queue = run->looks[i].queue;

	return queue ? &queue->wait : &run->npu->any_progress;
}

static void npu_wait_enlist(struct npu_wait_run *run)
{
	u32 i;

	run->sleeper.task = current;
	for (i = 0; i < run->count; i++) {
		init_waitqueue_func_entry(&run->entries[i], npu_sleeper_wake);
		run->entries[i].private = &run->sleeper;
		add_wait_queue(npu_wait_head(run, i), &run->entries[i]);
	}
}

static void npu_wait_delist(struct npu_wait_run *run)
{
	u32 i;

	for (i = 0; i < run->count; i++)
		remove_wait_queue(npu_wait_head(run, i), &run->entries[i]);
}

/* 0: nothing known of. The device left, or will not come back. */
static int npu_wait_state(struct npu_wait_run *run)
{
	switch (READ_ONCE(run->npu->state)) {
	case NPU_STATE_GONE:
		return -ENODEV;
	case NPU_STATE_WEDGED:
		return -EIO;
	default:
		return drm_dev_is_unplugged(&run->npu->drm) ? -ENODEV : 0;
	}
}

static int npu_wait_dead(struct npu_wait_run *run, u32 i)
{
	struct npu_queue *queue = run->looks[i].queue;
	const bool by_queue = queue && npu_queue_dead(queue);
	int err = by_queue ? 0 : npu_wait_state(run);

	if (err)
		return err;
	run->args->first_index = i;
	run->args->status = by_queue ? READ_ONCE(queue->status) : NPU_ST_CONTEXT_LOST;
	return -ECANCELED;
}

/* 1: not over. Else the result, and the outputs are filled in. */
static int npu_wait_look(struct npu_wait_run *run)
{
	const bool all = run->args->flags & NPU_WAIT_FLAG_ALL;
	u32 held = 0, first = U32_MAX, i;
	int err;

	for (i = 0; i < run->count; i++) {
		switch (npu_look_at(&run->looks[i])) {
		case NPU_FOUND_DEAD:
			return npu_wait_dead(run, i);
		case NPU_FOUND_TRUE:
			first = min(first, i);
			held++;
			break;
		case NPU_FOUND_FALSE:
			break;
		}
		if (held == run->count || (held && !all)) {
			run->args->first_index = first;
			return 0;
		}
	}
	err = npu_wait_state(run);
	if (err)
		return err;
	if (run->args->deadline_ns > (s64)ktime_get_ns())
		return 1;
	run->args->first_index = first;
	return -ETIME;
}

/* When to look again though nobody calls. */
static ktime_t npu_wait_until(struct npu_wait_run *run, unsigned int *poll_ms)
{
	ktime_t until = ns_to_ktime(run->args->deadline_ns);
	bool polls = false;
	ktime_t poll;
	u32 i;

	for (i = 0; i < run->count; i++)
		polls |= npu_look_polls(&run->looks[i]);
	if (!polls)
		return until;
	poll = ktime_add_ms(ktime_get(), *poll_ms);
	*poll_ms = min(2 * *poll_ms, NPU_POLL_LAST_MS);
	return ktime_before(poll, until) ? poll : until;
}

static int npu_wait_sleep(struct npu_wait_run *run)
{
	unsigned int poll_ms = NPU_POLL_FIRST_MS;
	int result;
	u32 i;

	npu_wait_enlist(run);
	npu_watchdog_kick(run->npu); /* it finds what hangs, and interrupts that were lost */
	do {
		smp_store_mb(run->sleeper.woken, false); /* before the look: who wakes after it is not forgotten */
		for (i = 0; i < run->count; i++)
			npu_look_arm(&run->looks[i]);
		result = npu_wait_look(run);
		if (result != 1)
			break;
		if (signal_pending(current)) {
			result = -ERESTARTSYS;
			break;
		}
		npu_sleeper_sleep(&run->sleeper, npu_wait_until(run, &poll_ms));
		cond_resched();
	} while (true);
	npu_wait_delist(run);
	return result;
}

static int npu_wait_make(struct npu_wait_run *run, struct npu_file *file)
{
	int err = 0, idx;
	u32 i;

	/* User memory may be slow, or never come: not inside npu_enter(). */
	for (i = 0; i < run->count && !err; i++)
		err = npu_array_get(&run->args->conds, i, &run->looks[i].cond, sizeof(run->looks[i].cond));
	err = err ?: npu_enter(run->npu, &idx);
	if (err)
		return err;
	for (i = 0; i < run->count && !err; i++)
		err = npu_look_make(file, &run->looks[i]);
	npu_leave(run->npu, idx);
	return err;
}

int npu_wait_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct npu_wait_run run = {
		.npu = to_npu(drm),
		.args = data,
	};
	int err = -ENOMEM;
	u32 i;

	run.count = run.args->conds.count;
	run.looks = kcalloc(run.count, sizeof(*run.looks), GFP_KERNEL_ACCOUNT);
	run.entries = kcalloc(run.count, sizeof(*run.entries), GFP_KERNEL_ACCOUNT);
	if (!run.looks || !run.entries)
		goto free;
	err = npu_wait_make(&run, drm_file->driver_priv);
	if (!err)
		err = npu_wait_look(&run);
	if (err == 1)
		err = npu_wait_sleep(&run);
	for (i = 0; i < run.count; i++)
		npu_look_put(&run.looks[i]);
free:
	kfree(run.entries);
	kfree(run.looks);
	return err;
}

/* ------------------------------------------------------------------------------------------- notifications -- */
/* One NOTIFY. In the list of its queue, or in that of the words which the file polls. */
struct npu_notify_entry {
	struct list_head link;
	struct npu_look look;
	struct eventfd_ctx *eventfd;
	u64 cookie;
	bool oneshot;
	bool held; /* the condition was true when it was looked at last */
	bool spent; /* one-shot, and signalled */
};

static void npu_notify_free(struct npu_notify_entry *entry)
{
	if (entry->eventfd)
		eventfd_ctx_put(entry->eventfd);
	npu_look_put(&entry->look);
	kfree(entry);
}

/* The lock of the list that it is in is held. What cannot come true any more signals too: the owner looks, and finds out. */
static void npu_notify_look(struct npu_notify_entry *entry)
{
	bool holds;

	if (entry->spent)
		return;
	holds = npu_look_at(&entry->look) != NPU_FOUND_FALSE;
	if (!holds && entry->look.queue) {
		npu_look_arm(&entry->look);
		holds = npu_look_at(&entry->look) != NPU_FOUND_FALSE;
	}
	if (holds && !entry->held) {
		eventfd_signal(entry->eventfd);
		WRITE_ONCE(entry->spent, entry->oneshot);
	}
	entry->held = holds;
}

void npu_notify_work(struct work_struct *work)
{
	struct npu_queue *queue = container_of(work, struct npu_queue, notify_work);
	struct npu_notify_entry *entry;

	mutex_lock(&queue->notify_lock);
	list_for_each_entry(entry, &queue->notifies, link)
		npu_notify_look(entry);
	mutex_unlock(&queue->notify_lock);
	npu_queue_put(queue);
}

void npu_notify_progress(struct npu_queue *queue)
{
	/* pairs with driver/npu_wait.c : npu_notify_enlist */
	smp_mb();
	if (!atomic_read(&queue->notify_count))
		return;
	kref_get(&queue->ref);
	/*
	 * In a work: QUEUE_IDLE asks the mailbox, for which the interrupt thread must not wait. Not on our workqueue: however many
	 * of these there are, a reset finds a worker.
	 */
	if (!queue_work(system_dfl_wq, &queue->notify_work))
		npu_queue_put(queue); /* never the last: the caller has one */
}

/* file.notify_lock is held. */
static void npu_notify_enlist(struct npu_file *file, struct npu_notify_entry *entry)
{
	struct npu_queue *queue = entry->look.queue;

	lockdep_assert_held(&file->notify_lock);
	if (!queue) {
		list_add_tail(&entry->link, &file->polled);
		npu_notify_look(entry);
		file->poll_ms = NPU_POLL_FIRST_MS;
		mod_delayed_work(system_dfl_wq, &file->poll_work, msecs_to_jiffies(file->poll_ms));
		return;
	}
	mutex_lock(&queue->notify_lock);
	list_add_tail(&entry->link, &queue->notifies);
	atomic_inc(&queue->notify_count);
	/* pairs with driver/npu_wait.c : npu_notify_progress */
	smp_mb__after_atomic();
	npu_notify_look(entry);
	mutex_unlock(&queue->notify_lock);
	npu_watchdog_kick(file->npu);
}

/* file.notify_lock is held. Nobody looks at it afterwards. */
static void npu_notify_remove(struct npu_file *file, unsigned long key, struct npu_notify_entry *entry)
{
	struct npu_queue *queue = entry->look.queue;

	lockdep_assert_held(&file->notify_lock);
	xa_erase(&file->notifies, key);
	file->notify_count--;
	if (queue) {
		mutex_lock(&queue->notify_lock);
		list_del(&entry->link);
		atomic_dec(&queue->notify_count);
		mutex_unlock(&queue->notify_lock);
	} else {
		list_del(&entry->link);
	}
	npu_notify_free(entry);
}

static void npu_notify_drop_spent(struct npu_file *file)
{
	struct npu_notify_entry *entry;
	unsigned long key;

	lockdep_assert_held(&file->notify_lock);
	xa_for_each(&file->notifies, key, entry)
		if (READ_ONCE(entry->spent))
			npu_notify_remove(file, key, entry);
}

static void npu_notify_poll(struct work_struct *work)
{
	struct npu_file *file = container_of(to_delayed_work(work), struct npu_file, poll_work);
	struct npu_notify_entry *entry;

	mutex_lock(&file->notify_lock);
	list_for_each_entry(entry, &file->polled, link)
		npu_notify_look(entry);
	npu_notify_drop_spent(file);
	file->poll_ms = min(2 * file->poll_ms, NPU_POLL_LAST_MS);
	if (!list_empty(&file->polled))
		queue_delayed_work(system_dfl_wq, &file->poll_work, msecs_to_jiffies(file->poll_ms));
	mutex_unlock(&file->notify_lock);
}

static struct npu_notify_entry *npu_notify_find(struct npu_file *file, u64 cookie, unsigned long *key)
{
	struct npu_notify_entry *entry;

	lockdep_assert_held(&file->notify_lock);
	xa_for_each(&file->notifies, *key, entry)
		if (entry->cookie == cookie)
			return entry;
	return NULL;
}

static int npu_notify_make(struct npu_file *file, const struct npu_notify *args, struct npu_notify_entry *entry)
{
	struct eventfd_ctx *eventfd;
	int err, idx;

	err = npu_enter(file->npu, &idx);
	if (err)
		return err;
	entry->look.cond = args->cond;
	err = npu_look_make(file, &entry->look);
	npu_leave(file->npu, idx);
	if (err)
		return err;
	/* Whatever else it is, it is not an eventfd: a bad argument. */
	eventfd = eventfd_ctx_fdget(args->fd);
	if (IS_ERR(eventfd))
		return -EINVAL;
	entry->eventfd = eventfd;
	entry->cookie = args->cookie;
	entry->oneshot = args->flags & NPU_NOTIFY_ONESHOT;
	return 0;
}

static int npu_notify_add(struct npu_file *file, const struct npu_notify *args)
{
	struct npu_notify_entry *entry;
	unsigned long key;
	int err = 0;
	u32 id;

	mutex_lock(&file->notify_lock);
	/* A spent one can still be removed by its cookie until somebody adds another. */
	npu_notify_drop_spent(file);
	if (npu_notify_find(file, args->cookie, &key))
		err = -EBUSY;
	mutex_unlock(&file->notify_lock);
	if (err)
		return err;
	entry = kzalloc(sizeof(*entry), GFP_KERNEL_ACCOUNT);
	if (!entry)
		return -ENOMEM;
	err = npu_notify_make(file, args, entry);
	if (err)
		goto free;
	mutex_lock(&file->notify_lock);
	if (npu_notify_find(file, args->cookie, &key)) /* another thread was faster */
		err = -EBUSY;
	else if (file->notify_count >= file->npu->limits.notifies_max)
		err = -EDQUOT;
	else
		err = xa_alloc(&file->notifies, &id, entry, xa_limit_31b, GFP_KERNEL_ACCOUNT);
	if (!err) {
		file->notify_count++;
		npu_notify_enlist(file, entry);
	}
	mutex_unlock(&file->notify_lock);
	if (!err)
		return 0;
free:
	npu_notify_free(entry);
	return err;
}

int npu_notify_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct npu_file *file = drm_file->driver_priv;
	struct npu_notify_entry *entry;
	struct npu_notify *args = data;
	unsigned long key;

	if (args->flags & NPU_NOTIFY_ADD)
		return npu_notify_add(file, args);
	mutex_lock(&file->notify_lock);
	entry = npu_notify_find(file, args->cookie, &key);
	if (entry)
		npu_notify_remove(file, key, entry);
	mutex_unlock(&file->notify_lock);
	return entry ? 0 : -ENOENT;
}

void npu_notify_open(struct npu_file *file)
{
	mutex_init(&file->notify_lock);
	xa_init_flags(&file->notifies, XA_FLAGS_ALLOC);
	INIT_LIST_HEAD(&file->polled);
	INIT_DELAYED_WORK(&file->poll_work, npu_notify_poll);
}

void npu_notify_close_all(struct npu_file *file)
{
	struct npu_notify_entry *entry;
	unsigned long key;

	/* Its works of queues need no file, only the entries that go here; this one arms itself under the lock, so it is stopped first. */
	cancel_delayed_work_sync(&file->poll_work);
	mutex_lock(&file->notify_lock);
	xa_for_each(&file->notifies, key, entry)
		npu_notify_remove(file, key, entry);
	mutex_unlock(&file->notify_lock);
	xa_destroy(&file->notifies);
	mutex_destroy(&file->notify_lock);
}
