// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The driver as DRM sees it: calls, open files, quotas, and the way to the hardware.
 *
 * DOC: calls
 *
 * The table of ioctls is made from spec/calls.def; its wrappers run npu_validate_<call>() before a call, so no call looks at
 * an argument that the uapi refuses. DRM copies structs in and out and fills up short ones; what it would cut off from a long
 * one must be zero (E2BIG), which npu_ioctl() checks before DRM sees the call.
 *
 * DOC: the reset lock
 *
 * npu_enter() is the only reader of reset_lock and the reset worker its writer: a call either sees the device of one epoch
 * from begin to end or finds out at its beginning. Rejected: a check of the epoch at each register access, which finds the
 * reset only after the damage.
 *
 * DOC: versions of the uapi
 *
 * 1.0  first version
 */
#include <linux/compat.h>
#include <linux/poll.h>
#include <linux/uaccess.h>

#include <drm/drm_accel.h>
#include <drm/drm_ioctl.h>
#include <drm/drm_managed.h>
#include <drm/drm_prime.h>

#include "npu_drv.h"
#include "uapi/npu_ioctl.h"

/* ------------------------------------------------------------------------------------- way to the hardware -- */
/* reset_lock is held for reading; on success it stays so, else it is let go. */
static int npu_enter_locked(struct npu_device *npu, int *idx)
{
	int err = 0;

	lockdep_assert_held_read(&npu->reset_lock);
	switch (READ_ONCE(npu->state)) {
	case NPU_STATE_READY:
		if (!drm_dev_enter(&npu->drm, idx))
			err = -ENODEV;
		break;
	case NPU_STATE_RESETTING:
		err = -EAGAIN;
		break;
	case NPU_STATE_WEDGED:
		err = -EIO;
		break;
	default:
		err = -ENODEV;
	}
	if (err)
		up_read(&npu->reset_lock);
	return err;
}

/* Between the halves of a reset the lock is free, but nobody may enter: sleep and bus resets take their time. */
static bool npu_may_enter(struct npu_device *npu)
{
	return READ_ONCE(npu->state) != NPU_STATE_RESETTING;
}

int npu_enter(struct npu_device *npu, int *idx)
{
	int err;

	do {
		if (wait_event_interruptible(npu->state_wait, npu_may_enter(npu)) ||
		    down_read_interruptible(&npu->reset_lock))
			return -ERESTARTSYS;
		err = npu_enter_locked(npu, idx);
	} while (err == -EAGAIN);
	return err;
}

int npu_enter_always(struct npu_device *npu, int *idx)
{
	int err;

	do {
		wait_event(npu->state_wait, npu_may_enter(npu));
		down_read(&npu->reset_lock);
		err = npu_enter_locked(npu, idx);
	} while (err == -EAGAIN);
	return err;
}

int npu_enter_try(struct npu_device *npu, int *idx)
{
	return down_read_trylock(&npu->reset_lock) ? npu_enter_locked(npu, idx) : -EAGAIN;
}

void npu_leave(struct npu_device *npu, int idx)
{
	drm_dev_exit(idx);
	up_read(&npu->reset_lock);
}

/* ----------------------------------------------------------------------------------------- arrays of calls -- */
/* Address of element i, which lies beside no other: an array that wraps is not readable. */
static int npu_array_at(const struct npu_array *array, u32 i, void __user **at)
{
	u64 address;

	if (WARN_ON_ONCE(i >= array->count))
		return -EINVAL;
	if (check_add_overflow(array->ptr, (u64)array->stride * i, &address))
		return -EFAULT;
	*at = u64_to_user_ptr(address);
	return 0;
}

int npu_array_get(const struct npu_array *array, u32 i, void *elem, size_t known)
{
	void __user *at;
	int err = npu_array_at(array, i, &at);

	return err ?: copy_struct_from_user(elem, known, at, array->stride);
}

int npu_array_put(const struct npu_array *array, u32 i, const void *elem, size_t known)
{
	size_t common = min_t(size_t, known, array->stride);
	void __user *at;
	int err = npu_array_at(array, i, &at);

	if (err)
		return err;
	if (copy_to_user(at, elem, common) || clear_user(at + common, array->stride - common))
		return -EFAULT;
	return 0;
}

/* ------------------------------------------------------------------------------------------------- quotas -- */
int npu_user_get(struct npu_device *npu, kuid_t uid, struct npu_user **out)
{
	struct npu_user *user, *fresh = kzalloc(sizeof(*fresh), GFP_KERNEL_ACCOUNT);

	if (!fresh)
		return -ENOMEM;
	mutex_lock(&npu->users_lock);
	list_for_each_entry(user, &npu->users, link) {
		if (!uid_eq(user->uid, uid))
			continue;
		kref_get(&user->ref);
		mutex_unlock(&npu->users_lock);
		kfree(fresh);
		*out = user;
		return 0;
	}
	kref_init(&fresh->ref);
	fresh->uid = uid;
	list_add(&fresh->link, &npu->users);
	mutex_unlock(&npu->users_lock);
	*out = fresh;
	return 0;
}

/* users_lock held by kref_put_mutex(), so that npu_user_get() never finds a dead one. */
static void npu_user_release(struct kref *ref)
{
	struct npu_user *user = container_of(ref, struct npu_user, ref);

	list_del(&user->link);
	kfree(user);
}

void npu_user_put(struct npu_device *npu, struct npu_user *user)
{
	if (user && kref_put_mutex(&user->ref, npu_user_release, &npu->users_lock))
		mutex_unlock(&npu->users_lock);
}

/* The sum of a user, and how much it may be: half the device, so that there is room for a second one; root has all. */
static atomic64_t *npu_user_sum(struct npu_device *npu, struct npu_user *user, enum npu_resource res, u64 *limit)
{
	const u64 share = uid_eq(user->uid, GLOBAL_ROOT_UID) ? 1 : 2;

	switch (res) {
	case NPU_RES_HBM:
		*limit = npu->limits.hbm_bytes_max / share;
		return &user->hbm_bytes;
	case NPU_RES_SYSTEM:
		*limit = npu->limits.pinned_bytes_max / share;
		return &user->system_bytes;
	case NPU_RES_QUEUES:
		*limit = npu->limits.queues_device_max / share;
		return &user->queues;
	default:
		*limit = npu->id.max_contexts / share;
		return &user->vms;
	}
}

/* What a file may have of things that are counted; of bytes it may have what its user may. */
static bool npu_file_may(struct npu_file *file, enum npu_resource res)
{
	struct npu_vm *vm;
	unsigned long id;
	u32 count = 0;

	if (res == NPU_RES_QUEUES) /* npu_queue_place() has counted this one */
		return atomic_read(&file->queue_count) <= file->npu->limits.queues_max;
	if (res != NPU_RES_VMS)
		return true;
	xa_for_each(&file->vms, id, vm)
		count++;
	return count < file->npu->limits.vms_max;
}

int npu_charge(struct npu_file *file, enum npu_resource res, u64 amount)
{
	atomic64_t *sum;
	u64 limit;

	if (!npu_file_may(file, res))
		return -EDQUOT;
	sum = npu_user_sum(file->npu, file->user, res, &limit);
	if (amount > limit)
		return -EDQUOT;
	if ((u64)atomic64_add_return(amount, sum) > limit) {
		atomic64_sub(amount, sum);
		return -EDQUOT;
	}
	return 0;
}

void npu_refund(struct npu_device *npu, struct npu_user *user, enum npu_resource res, u64 amount)
{
	u64 limit;

	atomic64_sub(amount, npu_user_sum(npu, user, res, &limit));
}

/* ------------------------------------------------------------------------------------------------- files -- */
static int npu_open(struct drm_device *drm, struct drm_file *drm_file)
{
	struct npu_device *npu = to_npu(drm);
	struct npu_file *file = kzalloc(sizeof(*file), GFP_KERNEL_ACCOUNT);
	int err;

	if (!file)
		return -ENOMEM;
	err = npu_user_get(npu, current_euid(), &file->user);
	if (err)
		goto free;
	err = npu_pm_get(npu);
	/* A wedged device can be opened, to be asked what it is. */
	if (err && READ_ONCE(npu->state) != NPU_STATE_WEDGED)
		goto put_user;
	file->awake = !err;
	file->npu = npu;
	file->drm_file = drm_file;
	mutex_init(&file->lock);
	mutex_init(&file->read_lock);
	xa_init_flags(&file->vms, XA_FLAGS_ALLOC1);
	xa_init_flags(&file->queues, XA_FLAGS_ALLOC1);
	INIT_LIST_HEAD(&file->perfs);
	file->doorbell_page = -1;
	npu_notify_open(file);
	drm_file->driver_priv = file;
	mutex_lock(&npu->files_lock);
	list_add_tail(&file->link, &npu->files);
	mutex_unlock(&npu->files_lock);
	return 0;

put_user:
	npu_user_put(npu, file->user);
free:
	kfree(file);
	return err;
}

/*
 * Gives back everything that the file owns, in whatever state it is: streams and notifications first (they look at queues), then queues,
 * then address spaces, then the doorbell page, which no mapping shows any more: a mapping holds the file open.
 */
static void npu_postclose(struct drm_device *drm, struct drm_file *drm_file)
{
	struct npu_device *npu = to_npu(drm);
	struct npu_file *file = drm_file->driver_priv;

	mutex_lock(&npu->files_lock);
	list_del(&file->link);
	mutex_unlock(&npu->files_lock);
	npu_perf_close_all(file);
	npu_notify_close_all(file);
	npu_queue_close_all(file);
	npu_vm_close_all(file);
	npu_doorbell_fini(file);
	if (file->awake)
		npu_pm_put(npu);
	npu_user_put(npu, file->user);
	xa_destroy(&file->vms);
	xa_destroy(&file->queues);
	mutex_destroy(&file->lock);
	mutex_destroy(&file->read_lock);
	kfree(file);
}

/*
 * DRM throws away the events of a file before it calls postclose, and an event that is sent between would stay for ever: from here
 * on nobody sends.
 */
static int npu_release(struct inode *inode, struct file *filp)
{
	struct drm_file *drm_file = filp->private_data;
	struct npu_file *file = drm_file->driver_priv;
	struct npu_device *npu = file->npu;

	spin_lock_irq(&npu->events_lock);
	file->event_mask = 0;
	spin_unlock_irq(&npu->events_lock);
	return drm_release(inode, filp);
}

static void npu_show_fdinfo(struct drm_printer *p, struct drm_file *drm_file)
{
	struct npu_file *file = drm_file->driver_priv;
	struct npu_client_info row;

	npu_file_usage(file, &row);
	drm_printf(p, "drm-engine-compute:\t%llu ns\n", row.busy_ns);
	drm_fdinfo_print_size(p, "drm", "total", "hbm", row.hbm_bytes);
	drm_fdinfo_print_size(p, "drm", "resident", "hbm", row.hbm_bytes);
	drm_fdinfo_print_size(p, "drm", "total", "system", row.system_bytes);
	drm_fdinfo_print_size(p, "drm", "resident", "system", row.system_bytes);
	drm_printf(p, "npu-queues:\t%u\n", row.queues);
	drm_printf(p, "npu-vms:\t%u\n", row.vms);
	drm_printf(p, "npu-launches:\t%llu\n", row.launches);
}

/* -------------------------------------------------------------------------------------------------- calls -- */
#define NPU_CALL(nr, NAME, name, dir, min_bytes, doc)                                            \
	static int npu_##name##_checked(struct drm_device *drm, void *data, struct drm_file *f)  \
	{                                                                                        \
		return npu_validate_##name(data, &to_npu(drm)->limits) ?:                        \
		       npu_##name##_ioctl(drm, data, f);                                         \
	}
#include "uapi/spec/calls.def"

/* `name` is a parameter of NPU_CALL, so its rows cannot name the member. */
#define NPU_IOCTL(command, function, text) { .cmd = (command), .func = (function), .name = (text) }

static const struct drm_ioctl_desc npu_ioctls[] = {
#define NPU_CALL(nr, NAME, name, dir, min_bytes, doc) \
	[nr] = NPU_IOCTL(NPU_IOWR(NAME, name), npu_##name##_checked, "NPU_" #NAME),
#include "uapi/spec/calls.def"
};

/* Sizes of each call's struct: when the call appeared, and now. */
static const struct {
	u16 least, known;
} npu_call_bytes[] = {
#define NPU_CALL(nr, NAME, name, dir, min_bytes, doc) [nr] = { min_bytes, sizeof(struct npu_##name) },
#include "uapi/spec/calls.def"
};

static_assert(ARRAY_SIZE(npu_ioctls) == NPU_CALL_COUNT);

/*
 * What DRM does not look at: the direction bits (without them it would pass zeros, or keep the answer), the least size, and the tail
 * beyond what it copies. 0 for what is not a call of ours.
 */
static int npu_check_cmd(struct npu_device *npu, unsigned int cmd, unsigned long arg)
{
	const unsigned int nr = _IOC_NR(cmd) - DRM_COMMAND_BASE;
	const unsigned int bytes = _IOC_SIZE(cmd);
	int zero;

	if (_IOC_TYPE(cmd) != DRM_IOCTL_BASE || nr >= NPU_CALL_COUNT)
		return 0;
	if (_IOC_DIR(cmd) != (_IOC_READ | _IOC_WRITE) || bytes < npu_call_bytes[nr].least)
		return -EINVAL;
	if (bytes > npu_call_bytes[nr].known) {
		zero = check_zeroed_user((const void __user *)arg + npu_call_bytes[nr].known,
					 bytes - npu_call_bytes[nr].known);
		if (zero <= 0)
			return zero ?: -E2BIG;
	}
	if (READ_ONCE(npu->state) == NPU_STATE_GONE)
		return -ENODEV;
	return READ_ONCE(npu->state) == NPU_STATE_WEDGED && nr != NPU_CALL_DEV_QUERY ? -EIO : 0;
}

static struct npu_device *npu_of_file(struct file *filp)
{
	struct drm_file *drm_file = filp->private_data;

	return ((struct npu_file *)drm_file->driver_priv)->npu;
}

static long npu_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	int err = npu_check_cmd(npu_of_file(filp), cmd, arg);

	return err ?: drm_ioctl(filp, cmd, arg);
}

/* Our structs are the same for 32-bit programs; some of DRM's own are not. */
static long npu_compat_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	long (*const core)(struct file *filp, unsigned int cmd, unsigned long arg) = drm_compat_ioctl;
	int err = npu_check_cmd(npu_of_file(filp), cmd, (unsigned long)compat_ptr(arg));

	if (err)
		return err;
	return core ? core(filp, cmd, arg) : -ENOTTY;
}

static bool npu_gone(struct file *filp)
{
	return READ_ONCE(npu_of_file(filp)->state) == NPU_STATE_GONE;
}

/* read_lock held, so that nobody else takes the event that was waited for. */
static int npu_read_wait(struct file *filp, bool block)
{
	struct drm_file *drm_file = filp->private_data;
	int err = 0;

	/* pairs with driver/npu_reset.c : npu_wake_readers */
	if (block)
		err = wait_event_interruptible(drm_file->event_wait,
					       !list_empty(&drm_file->event_list) || npu_gone(filp));
	if (err || !list_empty(&drm_file->event_list))
		return err;
	return npu_gone(filp) ? -ENODEV : -EAGAIN;
}

/*
 * DRM's read waits for an event, which no device sends any more once it is gone, and several readers would race for one. So only who
 * knows that there is one calls it. What was sent before the device left can still be read.
 */
static ssize_t npu_read(struct file *filp, char __user *buffer, size_t count, loff_t *offset)
{
	struct npu_file *file = ((struct drm_file *)filp->private_data)->driver_priv;
	const bool block = !(filp->f_flags & O_NONBLOCK);
	ssize_t result;

	if (!block) {
		/* Somebody waits already: there is none. */
		if (!mutex_trylock(&file->read_lock))
			return -EAGAIN;
	} else if (mutex_lock_interruptible(&file->read_lock)) {
		return -ERESTARTSYS;
	}
	result = npu_read_wait(filp, block);
	if (!result)
		result = drm_read(filp, buffer, count, offset);
	mutex_unlock(&file->read_lock);
	return result;
}

static __poll_t npu_poll(struct file *filp, struct poll_table_struct *wait)
{
	const __poll_t events = drm_poll(filp, wait);

	return npu_gone(filp) ? events | EPOLLHUP | EPOLLERR : events;
}

static const struct file_operations npu_fops = {
	.owner = THIS_MODULE,
	.open = accel_open,
	.release = npu_release,
	.unlocked_ioctl = npu_ioctl,
	.compat_ioctl = npu_compat_ioctl,
	.poll = npu_poll,
	.read = npu_read,
	.llseek = noop_llseek,
	.mmap = npu_mmap,
	.show_fdinfo = drm_show_fdinfo,
	.fop_flags = FOP_UNSIGNED_OFFSET,
};

const struct drm_driver npu_drm_driver = {
	.driver_features = DRIVER_GEM | DRIVER_COMPUTE_ACCEL | DRIVER_SYNCOBJ | DRIVER_SYNCOBJ_TIMELINE | DRIVER_GEM_GPUVA,
	.open = npu_open,
	.postclose = npu_postclose,
	.gem_prime_import = npu_gem_prime_import,
	.gem_prime_import_sg_table = npu_gem_prime_import_sg_table,
	.show_fdinfo = npu_show_fdinfo,
	.ioctls = npu_ioctls,
	.num_ioctls = ARRAY_SIZE(npu_ioctls),
	.fops = &npu_fops,
	.name = NPU_DRIVER_NAME,
	.desc = "Accelerator for neural networks",
	.major = NPU_UAPI_MAJOR,
	.minor = NPU_UAPI_MINOR,
};

/* ------------------------------------------------------------------------------------------------- device -- */
static void npu_device_release(struct drm_device *drm, void *unused)
{
	struct npu_device *npu = to_npu(drm);

	cancel_delayed_work_sync(&npu->watchdog_work); /* a kick may have come after npu_reset_fini() */
	/* Works give references back: what they held is looked for after the last of them. */
	destroy_workqueue(npu->wq);
	drm_WARN_ON(drm, !list_empty(&npu->files));
	drm_WARN_ON(drm, !list_empty(&npu->users));
	drm_WARN_ON(drm, !xa_empty(&npu->queues));
	xa_destroy(&npu->queues);
	ida_destroy(&npu->queue_numbers);
	ida_destroy(&npu->contexts);
	ida_destroy(&npu->doorbell_pages);
}

int npu_device_init(struct npu_device *npu)
{
	mutex_init(&npu->reset_mutex);
	init_rwsem(&npu->reset_lock);
	init_waitqueue_head(&npu->state_wait);
	mutex_init(&npu->mbox.lock);
	init_completion(&npu->mbox.done);
	mutex_init(&npu->events.lock);
	mutex_init(&npu->ras.lock);
	npu_port_setup(npu);
	INIT_LIST_HEAD(&npu->ras.bad_pages);
	mutex_init(&npu->hbm_mm.lock);
	ida_init(&npu->contexts);
	ida_init(&npu->doorbell_pages);
	ida_init(&npu->queue_numbers);
	spin_lock_init(&npu->queues_lock);
	xa_init_flags(&npu->queues, XA_FLAGS_LOCK_IRQ);
	init_waitqueue_head(&npu->any_progress);
	mutex_init(&npu->doorbell_lock);
	mutex_init(&npu->perf_lock);
	mutex_init(&npu->metrics.lock);
	mutex_init(&npu->files_lock);
	INIT_LIST_HEAD(&npu->files);
	spin_lock_init(&npu->events_lock);
	mutex_init(&npu->users_lock);
	INIT_LIST_HEAD(&npu->users);
	/* Fences of copies may wait for a reset, so it needs a worker without any memory. */
	npu->wq = alloc_workqueue("npu", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!npu->wq)
		return -ENOMEM;
	npu_reset_init(npu);
	return drmm_add_action_or_reset(&npu->drm, npu_device_release, NULL);
}

/* ------------------------------------------------------------------------------------------------- module -- */
static int __init npu_init(void)
{
	return pci_register_driver(&npu_pci_driver);
}

static void __exit npu_exit(void)
{
	pci_unregister_driver(&npu_pci_driver);
}

module_init(npu_init);
module_exit(npu_exit);

MODULE_DESCRIPTION("Driver of the NPU");
MODULE_LICENSE("Dual MIT/GPL");
