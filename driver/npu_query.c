// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * DEV_QUERY: what the device is, has, measures, and who uses it.
 *
 * Contents are those of firmware-model/server/client_query.cpp. A wedged device still answers; what only the running device knows is
 * then LOST or 0. Answers of the mailbox are kept for 10 ms: asking often costs the asker, not the mailbox that all share.
 */
#include <linux/cred.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sort.h>

#include "npu_drv.h"

#define NPU_METRIC_FRESH_MS 10
#define NPU_FEATURES (NPU_FEATURE_HBM_MMAP | NPU_FEATURE_COPY_SYNC | NPU_FEATURE_PERF | NPU_FEATURE_USERPTR)

void npu_query_init_limits(struct npu_device *npu)
{
	const u64 ram_bytes = (u64)totalram_pages() << PAGE_SHIFT;
	struct npu_limits *l = &npu->limits;

	l->va_end = NPU_VA_USER_END;
	l->hbm_bytes_max = npu->id.hbm_bytes;
	l->pinned_bytes_max = (ram_bytes - ram_bytes / 4) & ~(NPU_PAGE_2M - 1);
	l->bo_bytes_max = max(l->hbm_bytes_max, l->pinned_bytes_max) & ~(NPU_PAGE_2M - 1);
	l->queues_max = NPU_FILE_QUEUES_MAX;
	l->queues_device_max = npu->id.max_queues;
	l->vms_max = NPU_FILE_VMS_MAX;
	l->bos_max = NPU_FILE_BOS_MAX;
	l->mrs_max = 0;
	l->notifies_max = NPU_FILE_NOTIFIES_MAX;
	l->bind_ops_max = NPU_MAX_BIND_OPS;
	l->wait_conditions_max = NPU_MAX_WAIT_CONDITIONS;
	l->copy_ops_max = NPU_MAX_COPY_OPS;
	l->copy_syncs_max = NPU_MAX_COPY_SYNCS;
	l->perf_counters_max = NPU_MAX_PERF_COUNTERS;
	l->ring_log2_min = NPU_RING_LOG2_MIN;
	l->ring_log2_max = NPU_RING_LOG2_MAX;
	l->timeout_ms_default = NPU_TIMEOUT_MS_DEFAULT;
	l->timeout_ms_max = NPU_TIMEOUT_MS_MAX;
}

/* ------------------------------------------------------------------------------------------------- metrics -- */
static struct npu_metric npu_metric_valid(u32 id, u64 value)
{
	return (struct npu_metric){
		.id = id,
		.flags = NPU_METRIC_FLAG_VALID,
		.value = min_t(u64, value, S64_MAX),
	};
}

static struct npu_metric npu_metric_none(u32 id, u32 flag)
{
	return (struct npu_metric){ .id = id, .flags = flag };
}

static int npu_metric_row(u32 id)
{
	switch (id) {
#define NPU_METRIC(number, NAME, key, unit, kind, exporter, doc) \
	case number:                                             \
		return NPU_METRIC_ROW_##NAME;
#include "uapi/spec/metrics.def"
	default:
		return -1;
	}
}

static struct npu_metric npu_metric_ask(struct npu_device *npu, u32 id)
{
	struct npu_metric metric = npu_metric_none(id, NPU_METRIC_FLAG_LOST);
	u64 value;
	int err;

	err = npu_mbox_call(npu, NPU_MBOX_METRIC, &value, id);
	if (!err) {
		metric.flags = NPU_METRIC_FLAG_VALID;
		metric.value = (s64)value;
	} else if (err == -ENOENT || err == -EOPNOTSUPP) {
		metric.flags = NPU_METRIC_FLAG_UNSUPPORTED;
	} else if (err == -EBUSY) {
		metric.flags = NPU_METRIC_FLAG_NOT_YET;
	}
	return metric;
}

/* A sensor or counter of the device. */
static struct npu_metric npu_metric_device(struct npu_device *npu, u32 id)
{
	struct npu_metric_cache *cache = &npu->metrics;
	const int row = npu_metric_row(id);
	struct npu_metric metric;
	ktime_t now;

	if (row < 0)
		return npu_metric_none(id, NPU_METRIC_FLAG_UNSUPPORTED);
	mutex_lock(&cache->lock);
	now = ktime_get();
	if (!cache->rows[row].at || ktime_ms_delta(now, cache->rows[row].at) >= NPU_METRIC_FRESH_MS) {
		cache->rows[row].metric = npu_metric_ask(npu, id);
		cache->rows[row].at = now;
	}
	metric = cache->rows[row].metric;
	mutex_unlock(&cache->lock);
	return metric;
}

static struct npu_metric npu_metric_register(struct npu_device *npu, u32 id, enum npu_reg reg)
{
	const u64 value = npu_read64(npu, reg);

	return value == U64_MAX ? npu_metric_none(id, NPU_METRIC_FLAG_LOST) : npu_metric_valid(id, value);
}

static struct npu_metric npu_metric_memory(struct npu_device *npu, u32 id)
{
	const u64 used = READ_ONCE(npu->hbm_mm.object_bytes);
	u64 free, largest;

	if (id == NPU_METRIC_MEMORY_TOTAL)
		return npu_metric_valid(id, npu->id.hbm_bytes);
	if (id == NPU_METRIC_MEMORY_USED)
		return npu_metric_valid(id, used);
	npu_hbm_stats(npu, &free, &largest);
	/* The two numbers are of two moments. */
	return npu_metric_valid(id, npu->id.hbm_bytes - min(npu->id.hbm_bytes, free + used));
}

static struct npu_metric npu_metric_ecc(struct npu_device *npu, u32 id)
{
	u64 value;

	mutex_lock(&npu->ras.lock);
	value = id == NPU_METRIC_ECC_SBE ? npu->ras.sbe : npu->ras.dbe;
	mutex_unlock(&npu->ras.lock);
	return npu_metric_valid(id, value);
}

/* What only the device knows; inside npu_enter(). */
static struct npu_metric npu_metric_hardware(struct npu_device *npu, u32 id)
{
	switch (id) {
	case NPU_METRIC_LAUNCHES:
		return npu_metric_register(npu, id, NPU_REG_LAUNCHES);
	case NPU_METRIC_COMMANDS:
		return npu_metric_register(npu, id, NPU_REG_COMMANDS);
	case NPU_METRIC_DEVICE_TIME:
		return npu_metric_register(npu, id, NPU_REG_TIME_PS);
	case NPU_METRIC_FAULTS:
		return npu_metric_register(npu, id, NPU_REG_FAULTS);
	default:
		return npu_metric_device(npu, id);
	}
}

static struct npu_metric npu_metric_get(struct npu_device *npu, u32 id, bool entered)
{
	switch (id) {
	case NPU_METRIC_MEMORY_TOTAL:
	case NPU_METRIC_MEMORY_USED:
	case NPU_METRIC_MEMORY_RESERVED:
		return npu_metric_memory(npu, id);
	case NPU_METRIC_UPTIME:
		return npu_metric_valid(id, ktime_to_ns(ktime_sub(ktime_get(), npu->boot_time)));
	case NPU_METRIC_QUEUES_USED:
		return npu_metric_valid(id, atomic_read(&npu->live_queues));
	case NPU_METRIC_CONTEXTS_USED:
		return npu_metric_valid(id, atomic_read(&npu->vms));
	case NPU_METRIC_RESETS:
		return npu_metric_valid(id, READ_ONCE(npu->epoch));
	case NPU_METRIC_ECC_SBE:
	case NPU_METRIC_ECC_DBE:
		return npu_metric_ecc(npu, id);
	default:
		return entered ? npu_metric_hardware(npu, id) : npu_metric_none(id, NPU_METRIC_FLAG_LOST);
	}
}

struct npu_metric npu_metric_read(struct npu_device *npu, u32 id)
{
	return npu_metric_get(npu, id, READ_ONCE(npu->state) == NPU_STATE_READY);
}

/* ------------------------------------------------------------------------------------------------- answers -- */
/*
 * Rows of a query. They are made inside npu_enter() and copied out after npu_leave(): user memory may be slow, or never come, and a
 * reset must not wait for it.
 */
struct npu_rows {
	void *elems; /* kvfree() */
	u32 count;
	u32 bytes; /* of one */
};

static void *npu_rows_alloc(struct npu_rows *rows, u32 count, u32 bytes)
{
	rows->elems = kvcalloc(count, bytes, GFP_KERNEL_ACCOUNT);
	rows->count = count;
	rows->bytes = bytes;
	return rows->elems;
}

/* As many as there is room for; the count becomes what exists. */
static int npu_rows_put(const struct npu_rows *rows, struct npu_dev_query *args)
{
	const u32 written = min(rows->count, args->out.count);
	int err;
	u32 i;

	for (i = 0; i < written; i++) {
		err = npu_array_put(&args->out, i, rows->elems + (size_t)i * rows->bytes, rows->bytes);
		if (err)
			return err;
	}
	args->out.count = rows->count;
	return 0;
}

static u32 npu_health(struct npu_device *npu)
{
	switch (READ_ONCE(npu->state)) {
	case NPU_STATE_READY:
		return READ_ONCE(npu->ras.dbe) ? NPU_HEALTH_DEGRADED : NPU_HEALTH_OK;
	case NPU_STATE_RESETTING:
		return NPU_HEALTH_RESETTING;
	default:
		return NPU_HEALTH_WEDGED;
	}
}

static void npu_query_pci(struct pci_dev *pdev, struct npu_dev_info *info)
{
	info->pci_domain = pci_domain_nr(pdev->bus);
	info->pci_bus = pdev->bus->number;
	info->pci_devfn = pdev->devfn;
	info->pci_vendor = pdev->vendor;
	info->pci_device = pdev->device;
	info->pci_subvendor = pdev->subsystem_vendor;
	info->pci_subdevice = pdev->subsystem_device;
	info->pci_revision = pdev->revision;
}

static int npu_query_device(struct npu_device *npu, struct npu_rows *rows)
{
	const struct npu_identity *id = &npu->id;
	struct npu_dev_info *info = npu_rows_alloc(rows, 1, sizeof(*info));

	if (!info)
		return -ENOMEM;
	memcpy(info->name, id->name, sizeof(info->name));
	memcpy(info->uuid, id->uuid, sizeof(info->uuid));
	memcpy(info->fw_build_id, id->fw_build_id, sizeof(info->fw_build_id));
	info->features[0] = NPU_FEATURES;
	info->epoch = READ_ONCE(npu->epoch);
	info->page_sizes = NPU_PAGE_4K | NPU_PAGE_64K | NPU_PAGE_2M;
	info->hbm_bytes = id->hbm_bytes;
	info->l1_bytes = id->l1_bytes;
	info->l2_bytes = id->l2_bytes;
	info->acc_bytes = id->acc_bytes;
	info->uapi_major = NPU_UAPI_MAJOR;
	info->uapi_minor = NPU_UAPI_MINOR;
	info->fw_abi_major = id->fw_abi >> 16;
	info->fw_abi_minor = id->fw_abi & 0xffff;
	info->isa_major = id->isa >> 16;
	info->isa_minor = id->isa & 0xffff;
	info->platform = id->platform;
	info->health = npu_health(npu);
	info->clusters = id->clusters;
	info->tiles_per_cluster = id->tiles_per_cluster;
	info->ports = id->ports;
	info->va_bits = NPU_VA_BITS;
	info->core_clock_khz = id->core_clock_khz;
	info->hbm_clock_khz = id->hbm_clock_khz;
	info->doorbell_page_bytes = NPU_DOORBELL_PAGE_BYTES;
	info->index = npu->index;
	npu_query_pci(npu->pdev, info);
	return 0;
}

static int npu_query_engines(struct npu_device *npu, struct npu_rows *rows, bool entered)
{
	struct npu_engine_info *engines = npu_rows_alloc(rows, 2, sizeof(*engines));
	u32 i;

	if (!engines)
		return -ENOMEM;
	for (i = 0; i < 2; i++) {
		engines[i].engine_class = i == 0 ? NPU_QUEUE_COMPUTE : NPU_QUEUE_COPY;
		engines[i].cluster = ~0u;
		engines[i].queues_max = npu->id.max_queues;
		engines[i].queues_used = atomic_read(&npu->live_queues);
		engines[i].ring_align_bytes = NPU_PAGE_4K;
	}
	engines[0].tiles = npu->id.clusters * npu->id.tiles_per_cluster;
	if (entered)
		engines[0].busy_ns = npu_read64(npu, NPU_REG_BUSY_PS) / 1000;
	return 0;
}

/* What is left to a user of the share that npu_charge() lets it have. */
static u64 npu_query_left(u64 limit, kuid_t uid, const atomic64_t *used)
{
	const u64 share = uid_eq(uid, GLOBAL_ROOT_UID) ? limit : limit / 2;

	return share - min_t(u64, share, atomic64_read(used));
}

static int npu_query_regions(struct npu_file *file, struct npu_rows *rows, bool entered)
{
	struct npu_region_info *regions = npu_rows_alloc(rows, 2, sizeof(*regions));
	const struct npu_limits *limits = &file->npu->limits;
	const struct npu_user *user = file->user;
	u64 largest;

	if (!regions)
		return -ENOMEM;
	regions[0].region = NPU_REGION_SYSTEM;
	regions[0].size_bytes = limits->pinned_bytes_max;
	regions[0].free_bytes = npu_query_left(limits->pinned_bytes_max, user->uid, &user->system_bytes);
	regions[0].largest_free_bytes = regions[0].free_bytes;
	regions[0].cpu_visible_bytes = regions[0].size_bytes;
	regions[0].page_bytes = NPU_PAGE_4K;
	regions[1].region = NPU_REGION_HBM;
	regions[1].size_bytes = file->npu->id.hbm_bytes;
	/* What was given back before this call counts as free, though the device may take a moment to let go of it. */
	if (entered)
		npu_retire_flush(file->npu);
	npu_hbm_stats(file->npu, &regions[1].free_bytes, &largest);
	/* An object may consist of many pieces: all that is free, as far as the user's quota goes. */
	regions[1].largest_free_bytes = min(regions[1].free_bytes,
					    npu_query_left(limits->hbm_bytes_max, user->uid, &user->hbm_bytes));
	regions[1].cpu_visible_bytes = file->npu->hbm_cpu_bytes;
	regions[1].page_bytes = NPU_PAGE_64K;
	return 0;
}

/* While the device is away its links are down, as far as anybody can tell. */
static int npu_query_ports(struct npu_device *npu, struct npu_rows *rows, bool entered)
{
	const u32 count = READ_ONCE(npu->id.ports);
	struct npu_port_info *ports;
	u32 i;

	if (!count)
		return 0;
	ports = npu_rows_alloc(rows, count, sizeof(*ports));
	if (!ports)
		return -ENOMEM;
	for (i = 0; i < count; i++) {
		ports[i].index = i;
		/* A device that stops answering is seen by the mailbox, which asks for a reset. */
		if (entered && npu_port_describe(npu, i, &ports[i]))
			entered = false;
	}
	return 0;
}

static int npu_query_limits(struct npu_device *npu, struct npu_rows *rows)
{
	struct npu_limits *limits = npu_rows_alloc(rows, 1, sizeof(*limits));

	if (!limits)
		return -ENOMEM;
	*limits = npu->limits;
	return 0;
}

static const u32 npu_metric_ids[NPU_METRIC_COUNT] = {
#define NPU_METRIC(number, NAME, key, unit, kind, exporter, doc) [NPU_METRIC_ROW_##NAME] = number,
#include "uapi/spec/metrics.def"
};

static int npu_query_metrics(struct npu_device *npu, struct npu_rows *rows, bool entered)
{
	struct npu_metric *metrics = npu_rows_alloc(rows, NPU_METRIC_COUNT, sizeof(*metrics));
	u32 i;

	if (!metrics)
		return -ENOMEM;
	for (i = 0; i < NPU_METRIC_COUNT; i++)
		metrics[i] = npu_metric_get(npu, npu_metric_ids[i], entered);
	return 0;
}

/* ------------------------------------------------------------------------------------------------- clients -- */
static void npu_file_process(struct npu_file *file, struct npu_client_info *out)
{
	struct task_struct *task;
	struct pid *pid;

	static_assert(NPU_COMM_BYTES == TASK_COMM_LEN);
	rcu_read_lock();
	pid = rcu_dereference(file->drm_file->pid);
	out->pid = pid_vnr(pid);
	task = pid_task(pid, PIDTYPE_TGID);
	if (task)
		get_task_comm(out->comm, task);
	rcu_read_unlock();
}

void npu_file_usage(struct npu_file *file, struct npu_client_info *out)
{
	struct npu_queue *queue;
	struct npu_vm *vm;
	unsigned long id;

	memset(out, 0, sizeof(*out));
	npu_file_process(file, out);
	out->uid = from_kuid_munged(current_user_ns(), file->user->uid);
	out->hbm_bytes = atomic64_read(&file->hbm_bytes);
	out->system_bytes = atomic64_read(&file->system_bytes);
	mutex_lock(&file->lock);
	out->busy_ns = file->ended_busy_ns;
	out->launches = file->ended_commands;
	mutex_unlock(&file->lock);
	/* Under the lock of a table nothing leaves it. */
	xa_lock(&file->vms);
	xa_for_each(&file->vms, id, vm) {
		out->vms++;
		out->hbm_bytes += READ_ONCE(vm->table_bytes);
	}
	xa_unlock(&file->vms);
	xa_lock(&file->queues);
	xa_for_each(&file->queues, id, queue) {
		out->queues++;
		/* The page belongs to the process: it can falsify its own row, and no other. */
		out->busy_ns += READ_ONCE(queue->ctrl->time_ps) / 1000;
		out->launches += READ_ONCE(queue->ctrl->completed);
	}
	xa_unlock(&file->queues);
}

static int npu_client_compare(const void *a, const void *b)
{
	const struct npu_client_info *left = a, *right = b;

	return left->pid < right->pid ? -1 : left->pid > right->pid;
}

/* Files of one process are one row. */
static void npu_client_add(struct npu_client_info *rows, u32 *count, const struct npu_client_info *row)
{
	u32 i;

	for (i = 0; i < *count; i++) {
		if (rows[i].pid != row->pid || rows[i].uid != row->uid)
			continue;
		rows[i].queues += row->queues;
		rows[i].vms += row->vms;
		rows[i].hbm_bytes += row->hbm_bytes;
		rows[i].system_bytes += row->system_bytes;
		rows[i].busy_ns += row->busy_ns;
		rows[i].launches += row->launches;
		return;
	}
	if (*count < NPU_MAX_QUERY_ELEMS)
		rows[(*count)++] = *row;
}

/* A user sees his own processes, root all. */
static int npu_query_clients(struct npu_device *npu, struct npu_rows *rows)
{
	struct npu_client_info *clients = npu_rows_alloc(rows, NPU_MAX_QUERY_ELEMS, sizeof(*clients));
	const kuid_t viewer = current_euid();
	struct npu_client_info row;
	struct npu_file *file;

	if (!clients)
		return -ENOMEM;
	rows->count = 0;
	mutex_lock(&npu->files_lock);
	list_for_each_entry(file, &npu->files, link) {
		if (!uid_eq(viewer, GLOBAL_ROOT_UID) && !uid_eq(viewer, file->user->uid))
			continue;
		npu_file_usage(file, &row);
		npu_client_add(clients, &rows->count, &row);
	}
	mutex_unlock(&npu->files_lock);
	sort(clients, rows->count, sizeof(*clients), npu_client_compare, NULL);
	return 0;
}

static int npu_query_run(struct npu_file *file, u32 type, struct npu_rows *rows, bool entered)
{
	struct npu_device *npu = file->npu;

	switch (type) {
	case NPU_QUERY_DEVICE:
		return npu_query_device(npu, rows);
	case NPU_QUERY_ENGINES:
		return npu_query_engines(npu, rows, entered);
	case NPU_QUERY_REGIONS:
		return npu_query_regions(file, rows, entered);
	case NPU_QUERY_PORTS:
		return npu_query_ports(npu, rows, entered);
	case NPU_QUERY_LIMITS:
		return npu_query_limits(npu, rows);
	case NPU_QUERY_METRICS:
		return npu_query_metrics(npu, rows, entered);
	case NPU_QUERY_CLIENTS:
		return npu_query_clients(npu, rows);
	default:
		return -EINVAL;
	}
}

int npu_dev_query_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct npu_device *npu = to_npu(drm);
	struct npu_dev_query *args = data;
	struct npu_rows rows = {};
	int err, idx;
	bool entered;

	/* Says that a reset runs, instead of waiting for its end. */
	err = npu_enter_try(npu, &idx);
	if (err == -ENODEV)
		return err;
	entered = !err;
	err = npu_query_run(drm_file->driver_priv, args->type, &rows, entered);
	if (entered)
		npu_leave(npu, idx);
	if (!err)
		err = npu_rows_put(&rows, args);
	kvfree(rows.elems);
	return err;
}
