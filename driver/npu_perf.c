// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * DOC: streams of counter samples
 *
 * PERF_OPEN gives a file of its own: read() hands out whole records, poll() says when there is one. A timer asks a work for each sample,
 * since a sample may sleep (mailbox); while one is still being taken, ticks are left out, not made up for. A reader that is slow
 * loses records and is told how many.
 *
 * The stream belongs to the open file of the device that made it, and ends with it (its readers then find the end of the file);
 * the samples' memory belongs to the stream's own file. Two owners, so it is refcounted.
 *
 * Rejected: samples taken at read() (the rate would be the reader's), and a thread for each stream.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/poll.h>
#include <linux/uaccess.h>

#include "npu_drv.h"

#define NPU_PERF_RECORDS 64u /* that wait for the reader; a power of two */

struct npu_perf {
	struct kref ref;
	struct npu_device *npu; /* a reference */
	struct npu_file *file; /* guarded by npu_device.perf_lock; NULL once that is closed */
	struct list_head file_link; /* likewise */
	struct hrtimer timer;
	struct work_struct work;
	u64 period_ns;
	bool stopped; /* the device, or its file, has gone; only ever becomes true */

	struct mutex read_lock; /* one reader at a time */
	spinlock_t lock; /* guards the rest */
	wait_queue_head_t wait;
	u64 head, tail; /* records written, and read */
	u32 lost;
	u32 record_bytes;
	u8 *records; /* NPU_PERF_RECORDS of record_bytes */
	u8 *fresh; /* work only: the sample being taken */
	u8 *out; /* read_lock: the record being handed out */

	u32 count;
	u32 counters[NPU_MAX_PERF_COUNTERS]; /* enum npu_metric_id */
};

static void npu_perf_release(struct kref *ref)
{
	struct npu_perf *perf = container_of(ref, struct npu_perf, ref);

	drm_dev_put(&perf->npu->drm);
	mutex_destroy(&perf->read_lock);
	kfree(perf->records);
	kfree(perf->fresh);
	kfree(perf->out);
	kfree(perf);
}

/* ------------------------------------------------------------------------------------------------- samples -- */
/* -ENODEV: the device has left, there will be no more. */
static int npu_perf_sample(struct npu_perf *perf)
{
	struct npu_perf_record *record = (struct npu_perf_record *)perf->fresh;
	s64 *values = (s64 *)(record + 1);
	struct npu_device *npu = perf->npu;
	struct npu_metric metric;
	int err, idx;
	u32 i;

	memset(perf->fresh, 0, perf->record_bytes);
	record->bytes = perf->record_bytes;
	record->time_ns = ktime_get_ns();
	/* A device that is away has no values; the record says so by its bits. */
	err = npu_enter_try(npu, &idx);
	if (err)
		return err == -ENODEV ? err : 0;
	record->device_time_ps = npu_read64(npu, NPU_REG_TIME_PS);
	for (i = 0; i < perf->count; i++) {
		metric = npu_metric_read(npu, perf->counters[i]);
		if (metric.flags & NPU_METRIC_FLAG_VALID)
			record->valid |= BIT_ULL(i);
		values[i] = metric.value;
	}
	npu_leave(npu, idx);
	return 0;
}

/* Readers find the end of the file once they have read what there is. */
static void npu_perf_end(struct npu_perf *perf)
{
	WRITE_ONCE(perf->stopped, true);
	wake_up_interruptible_all(&perf->wait);
}

static void npu_perf_work(struct work_struct *work)
{
	struct npu_perf *perf = container_of(work, struct npu_perf, work);
	u32 slot;

	if (npu_perf_sample(perf)) {
		npu_perf_end(perf);
		return;
	}
	spin_lock(&perf->lock);
	if (perf->head - perf->tail == NPU_PERF_RECORDS) {
		perf->lost++;
	} else {
		((struct npu_perf_record *)perf->fresh)->lost = perf->lost;
		perf->lost = 0;
		slot = perf->head & (NPU_PERF_RECORDS - 1);
		memcpy(perf->records + slot * perf->record_bytes, perf->fresh, perf->record_bytes);
		perf->head++;
	}
	spin_unlock(&perf->lock);
	wake_up_interruptible(&perf->wait);
}

static enum hrtimer_restart npu_perf_tick(struct hrtimer *timer)
{
	struct npu_perf *perf = container_of(timer, struct npu_perf, timer);

	if (READ_ONCE(perf->stopped))
		return HRTIMER_NORESTART;
	hrtimer_forward_now(timer, ns_to_ktime(perf->period_ns));
	queue_work(system_dfl_wq, &perf->work); /* not on our own: streams must not use up the workers of a reset */
	return HRTIMER_RESTART;
}

/* No sample is taken afterwards. May be called twice. */
static void npu_perf_stop(struct npu_perf *perf)
{
	hrtimer_cancel(&perf->timer);
	cancel_work_sync(&perf->work);
	npu_perf_end(perf);
}

/* --------------------------------------------------------------------------------------------- its own file -- */
/* True: a record is in perf->out. */
static bool npu_perf_take(struct npu_perf *perf)
{
	bool any;
	u32 slot;

	lockdep_assert_held(&perf->read_lock);
	spin_lock(&perf->lock);
	any = perf->head != perf->tail;
	if (any) {
		slot = perf->tail & (NPU_PERF_RECORDS - 1);
		memcpy(perf->out, perf->records + slot * perf->record_bytes, perf->record_bytes);
		perf->tail++;
	}
	spin_unlock(&perf->lock);
	return any;
}

static bool npu_perf_readable(struct npu_perf *perf)
{
	bool any;

	spin_lock(&perf->lock);
	any = perf->head != perf->tail;
	spin_unlock(&perf->lock);
	return any;
}

/* As many whole records as are there and fit. */
static ssize_t npu_perf_read_some(struct npu_perf *perf, char __user *to, size_t bytes)
{
	ssize_t done = 0;

	if (mutex_lock_interruptible(&perf->read_lock))
		return -ERESTARTSYS;
	while (bytes - done >= perf->record_bytes && npu_perf_take(perf)) {
		if (copy_to_user(to + done, perf->out, perf->record_bytes)) {
			done = done ?: -EFAULT;
			break;
		}
		done += perf->record_bytes;
	}
	mutex_unlock(&perf->read_lock);
	return done;
}

static ssize_t npu_perf_read(struct file *filp, char __user *to, size_t bytes, loff_t *pos)
{
	struct npu_perf *perf = filp->private_data;
	ssize_t done;
	bool stopped;

	if (bytes < perf->record_bytes)
		return -EINVAL;
	bytes = min_t(size_t, bytes, NPU_PERF_RECORDS * perf->record_bytes);
	do {
		/* Asked before the look: what was taken before the end is still read. */
		stopped = READ_ONCE(perf->stopped);
		done = npu_perf_read_some(perf, to, bytes);
		if (done || stopped)
			return done;
		if (filp->f_flags & O_NONBLOCK)
			return -EAGAIN;
		if (wait_event_interruptible(perf->wait, npu_perf_readable(perf) || READ_ONCE(perf->stopped)))
			return -ERESTARTSYS;
	} while (true);
}

static __poll_t npu_perf_poll(struct file *filp, struct poll_table_struct *table)
{
	struct npu_perf *perf = filp->private_data;
	__poll_t events = 0;

	poll_wait(filp, &perf->wait, table);
	if (READ_ONCE(perf->stopped))
		events |= EPOLLHUP | EPOLLIN | EPOLLRDNORM;
	if (npu_perf_readable(perf))
		events |= EPOLLIN | EPOLLRDNORM;
	return events;
}

/* Takes the stream out of its file, once. True: the caller has the file's reference. */
static bool npu_perf_unlink(struct npu_perf *perf)
{
	bool linked;

	mutex_lock(&perf->npu->perf_lock);
	linked = perf->file;
	if (linked) {
		list_del(&perf->file_link);
		atomic_dec(&perf->file->perf_streams);
		perf->file = NULL;
	}
	mutex_unlock(&perf->npu->perf_lock);
	return linked;
}

static int npu_perf_file_release(struct inode *inode, struct file *filp)
{
	struct npu_perf *perf = filp->private_data;

	if (npu_perf_unlink(perf)) {
		npu_perf_stop(perf);
		kref_put(&perf->ref, npu_perf_release);
	}
	kref_put(&perf->ref, npu_perf_release);
	return 0;
}

static const struct file_operations npu_perf_fops = {
	.owner = THIS_MODULE,
	.release = npu_perf_file_release,
	.read = npu_perf_read,
	.poll = npu_perf_poll,
	.llseek = noop_llseek,
};

void npu_perf_close_all(struct npu_file *file)
{
	struct npu_perf *perf;

	do {
		mutex_lock(&file->npu->perf_lock);
		perf = list_first_entry_or_null(&file->perfs, struct npu_perf, file_link);
		if (perf) {
			list_del(&perf->file_link);
			perf->file = NULL;
		}
		mutex_unlock(&file->npu->perf_lock);
		if (perf) {
			npu_perf_stop(perf);
			kref_put(&perf->ref, npu_perf_release);
		}
	} while (perf);
}

/* ------------------------------------------------------------------------------------------------- PERF_OPEN -- */
static int npu_perf_read_counters(struct npu_perf *perf, const struct npu_perf_open *args)
{
	struct npu_perf_counter counter;
	int err;
	u32 i;

	for (i = 0; i < args->counters.count; i++) {
		err = npu_array_get(&args->counters, i, &counter, sizeof(counter));
		if (!err)
			err = npu_validate_perf_counter(&counter, &perf->npu->limits);
		if (err)
			return err;
		perf->counters[i] = counter.metric_id;
	}
	perf->count = args->counters.count;
	perf->record_bytes = sizeof(struct npu_perf_record) + sizeof(s64) * perf->count;
	return 0;
}

static struct npu_perf *npu_perf_alloc(struct npu_device *npu)
{
	struct npu_perf *perf = kzalloc(sizeof(*perf), GFP_KERNEL_ACCOUNT);

	if (!perf)
		return NULL;
	kref_init(&perf->ref);
	drm_dev_get(&npu->drm);
	perf->npu = npu;
	INIT_LIST_HEAD(&perf->file_link);
	INIT_WORK(&perf->work, npu_perf_work);
	hrtimer_setup(&perf->timer, npu_perf_tick, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
	mutex_init(&perf->read_lock);
	spin_lock_init(&perf->lock);
	init_waitqueue_head(&perf->wait);
	return perf;
}

static int npu_perf_alloc_records(struct npu_perf *perf)
{
	perf->records = kcalloc(NPU_PERF_RECORDS, perf->record_bytes, GFP_KERNEL_ACCOUNT);
	perf->fresh = kzalloc(perf->record_bytes, GFP_KERNEL_ACCOUNT);
	perf->out = kzalloc(perf->record_bytes, GFP_KERNEL_ACCOUNT);
	return perf->records && perf->fresh && perf->out ? 0 : -ENOMEM;
}

/* The file of the device gets a reference, and the stream begins. */
static int npu_perf_link(struct npu_perf *perf, struct npu_file *file)
{
	mutex_lock(&perf->npu->perf_lock);
	if (atomic_read(&file->perf_streams) >= NPU_FILE_PERF_MAX) {
		mutex_unlock(&perf->npu->perf_lock);
		return -EDQUOT;
	}
	atomic_inc(&file->perf_streams);
	perf->file = file;
	list_add(&perf->file_link, &file->perfs);
	kref_get(&perf->ref);
	mutex_unlock(&perf->npu->perf_lock);
	hrtimer_start(&perf->timer, ns_to_ktime(perf->period_ns), HRTIMER_MODE_REL);
	return 0;
}

/* Makes the file, which takes the caller's reference over; its number is given out last, since it cannot be taken back. */
static int npu_perf_publish(struct npu_perf *perf, struct npu_file *file, struct npu_perf_open *args)
{
	struct file *filp;
	int fd, err;

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	filp = anon_inode_getfile("[npu-perf]", &npu_perf_fops, perf, O_RDONLY | O_CLOEXEC);
	if (IS_ERR(filp)) {
		put_unused_fd(fd);
		return PTR_ERR(filp);
	}
	kref_get(&perf->ref); /* filp's */
	err = npu_perf_link(perf, file);
	if (err) {
		fput(filp);
		put_unused_fd(fd);
		return err;
	}
	args->record_bytes = perf->record_bytes;
	args->fd = fd;
	fd_install(fd, filp);
	return 0;
}

int npu_perf_open_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct npu_perf_open *args = data;
	struct npu_perf *perf = npu_perf_alloc(to_npu(drm));
	int err;

	if (!perf)
		return -ENOMEM;
	perf->period_ns = args->period_ns;
	err = npu_perf_read_counters(perf, args);
	if (!err)
		err = npu_perf_alloc_records(perf);
	if (!err)
		err = npu_perf_publish(perf, drm_file->driver_priv, args);
	kref_put(&perf->ref, npu_perf_release);
	return err;
}
