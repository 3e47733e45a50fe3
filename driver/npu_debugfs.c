// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What is alive and who holds it, for leaks and hangs: /sys/kernel/debug/accel/<PCI address>/. Readable by root only.
 * The format is for people and may change.
 */
#include <linux/capability.h>
#include <linux/debugfs.h>
#include <linux/seq_file.h>
#include <linux/uaccess.h>

#include <drm/drm_debugfs.h>

#include "npu_drv.h"

#define NPU_INJECT_LINE_BYTES 96
#define NPU_EVENTS_SHOWN 32u

static struct npu_device *npu_of_seq(struct seq_file *m)
{
	const struct drm_debugfs_entry *entry = m->private;

	return to_npu(entry->dev);
}

/* Census: after all files are closed, everything but the driver's own is 0. */
static int npu_objects_show(struct seq_file *m, void *unused)
{
	struct npu_device *npu = npu_of_seq(m);
	u32 files = 0, fresh, waiting, stuck;
	u64 free_bytes, largest;
	struct list_head *at;

	mutex_lock(&npu->files_lock);
	list_for_each(at, &npu->files)
		files++;
	mutex_unlock(&npu->files_lock);
	mutex_lock(&npu->retire.step);
	mutex_lock(&npu->retire.lock);
	fresh = list_count_nodes(&npu->retire.fresh);
	waiting = list_count_nodes(&npu->retire.waiting);
	stuck = list_count_nodes(&npu->retire.stuck);
	mutex_unlock(&npu->retire.lock);
	mutex_unlock(&npu->retire.step);
	npu_hbm_stats(npu, &free_bytes, &largest);
	seq_printf(m, "files %u\nbos %d\nvms %d\nqueues %d\nmappings %d\n", files, atomic_read(&npu->objects),
		   atomic_read(&npu->vms), atomic_read(&npu->live_queues), atomic_read(&npu->mappings));
	seq_printf(m, "retiring_fresh %u\nretiring_waiting %u\nretiring_at_reset %u\n", fresh, waiting, stuck);
	seq_printf(m,
		   "hbm_managed_bytes %llu\nhbm_object_bytes %llu\nhbm_free_bytes %llu\nhbm_largest_free_bytes %llu\n",
		   npu->hbm_mm.bytes, npu->hbm_mm.object_bytes, free_bytes, largest);
	seq_printf(m, "retired_pages %u\ntable_lines_mended %u\nfaults %lld\ninterrupts %lld\nepoch %llu\n",
		   npu->ras.retired_pages, READ_ONCE(npu->tables.mended), atomic64_read(&npu->faults), atomic64_read(&npu->irqs), READ_ONCE(npu->epoch));
	return 0;
}

static int npu_queues_show(struct seq_file *m, void *unused)
{
	struct drm_printer p = drm_seq_file_printer(m);

	npu_print_queues(npu_of_seq(m), &p);
	return 0;
}

static int npu_errors_show(struct seq_file *m, void *unused)
{
	struct drm_printer p = drm_seq_file_printer(m);

	npu_print_errors(npu_of_seq(m), &p);
	return 0;
}

static int npu_versions_show(struct seq_file *m, void *unused)
{
	struct drm_printer p = drm_seq_file_printer(m);

	npu_print_versions(npu_of_seq(m), &p);
	return 0;
}

static int npu_registers_show(struct seq_file *m, void *unused)
{
	struct npu_device *npu = npu_of_seq(m);
	struct drm_printer p = drm_seq_file_printer(m);
	int idx, err;

	if (!npu_pm_get_if_awake(npu))
		return -ENODATA;
	err = npu_enter(npu, &idx);
	if (!err) {
		npu_print_registers(npu, &p);
		npu_leave(npu, idx);
	}
	npu_pm_put(npu);
	return err;
}

static void npu_vm_show(struct seq_file *m, struct npu_vm *vm, unsigned long id)
{
	u64 vas = 0, system = 0, hbm = 0;
	struct drm_gpuva *va;

	mutex_lock(&vm->lock);
	drm_gpuvm_for_each_va(va, &vm->base) {
		if (va == &vm->base.kernel_alloc_node)
			continue;
		vas++;
		if (va->gem.obj && npu_bo_is_hbm(to_npu_bo(va->gem.obj)))
			hbm += va->va.range;
		else
			system += va->va.range;
	}
	seq_printf(m,
		   "  vm %lu: context %u %s epoch %llu root 0x%llx mappings %llu hbm %llu system %llu tables %llu faults %llu queues %d\n",
		   id, vm->context, npu_vm_lost(vm) ? "lost" : "ready", vm->epoch, vm->root, vas, hbm, system,
		   vm->table_bytes, vm->faults_total, atomic_read(&vm->users));
	mutex_unlock(&vm->lock);
}

/* Per open file: who, what it holds, its address spaces. */
static int npu_clients_show(struct seq_file *m, void *unused)
{
	struct npu_device *npu = npu_of_seq(m);
	struct npu_client_info row;
	struct npu_file *file;
	struct npu_vm *vm;
	unsigned long id;

	mutex_lock(&npu->files_lock);
	list_for_each_entry(file, &npu->files, link) {
		npu_file_usage(file, &row);
		seq_printf(m, "pid %u uid %u comm %.*s bos %d queues %u vms %u hbm %llu system %llu busy_ns %llu\n",
			   row.pid, row.uid, NPU_COMM_BYTES, row.comm, atomic_read(&file->bos), row.queues, row.vms,
			   row.hbm_bytes, row.system_bytes, row.busy_ns);
		/* VM_DESTROY may be at it: each is held while it is shown. */
		xa_for_each(&file->vms, id, vm) {
			vm = npu_vm_lookup(file, id);
			if (!vm)
				continue;
			npu_vm_show(m, vm, id);
			npu_vm_put(vm);
		}
	}
	mutex_unlock(&npu->files_lock);
	return 0;
}

/* The newest records of the event ring as the device wrote them, the oldest of them first. */
static int npu_events_show(struct seq_file *m, void *unused)
{
	struct npu_device *npu = npu_of_seq(m);
	struct npu_event_record record;
	u64 n;

	mutex_lock(&npu->events.lock);
	seq_printf(m, "read %llu\n", npu->events.head);
	n = npu->events.head > NPU_EVENTS_SHOWN ? npu->events.head - NPU_EVENTS_SHOWN : 0;
	for (; npu->events.records && n < npu->events.head; n++) {
		record = npu->events.records[n % NPU_EVENT_ENTRIES];
		seq_printf(m, "  %llu: type %u queue %u value %llu status %d dva 0x%llx pc %u\n", record.seq,
			   record.type, record.queue, record.value, record.status, record.address_dva, record.pc);
	}
	mutex_unlock(&npu->events.lock);
	return 0;
}

static const struct drm_debugfs_info npu_debugfs_files[] = {
	{ "objects", npu_objects_show, 0 },
	{ "clients", npu_clients_show, 0 },
	{ "queues", npu_queues_show, 0 },
	{ "events", npu_events_show, 0 },
	{ "errors", npu_errors_show, 0 },
	{ "registers", npu_registers_show, 0 },
	{ "versions", npu_versions_show, 0 },
};

static const struct {
	const char *key;
	enum npu_inject fault;
} npu_injects[] = {
#define NPU_INJECT(nr, NAME, key, doc) { key, NPU_INJECT_##NAME },
#include "uapi/spec/ras.def"
};

/* One number of the line; negative ones in two's complement. No number: 0. */
static int npu_inject_number(char **line, u64 *out)
{
	char *word;
	s64 negative;
	int err;

	*out = 0;
	do {
		word = strsep(line, " \t");
	} while (word && !*word);
	if (!word)
		return 0;
	if (*word != '-')
		return kstrtou64(word, 0, out);
	err = kstrtos64(word, 0, &negative);
	*out = negative;
	return err;
}

/* "key [place [count]]", keys of spec/ras.def. */
static ssize_t npu_inject_write(struct file *filp, const char __user *from, size_t count, loff_t *pos)
{
	struct npu_device *npu = filp->private_data;
	char text[NPU_INJECT_LINE_BYTES];
	char *line = text, *key;
	u64 place, times;
	int err;
	u32 i;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (count >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, from, count))
		return -EFAULT;
	text[count] = 0;
	line = strim(text);
	key = strsep(&line, " \t");
	err = npu_inject_number(&line, &place);
	if (!err)
		err = npu_inject_number(&line, &times);
	if (err || line)
		return -EINVAL;
	for (i = 0; i < ARRAY_SIZE(npu_injects); i++)
		if (!strcmp(key, npu_injects[i].key))
			break;
	if (i == ARRAY_SIZE(npu_injects))
		return -ENOENT;
	err = npu_ras_inject(npu, npu_injects[i].fault, place, times);
	return err ?: count;
}

static const struct file_operations npu_inject_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = npu_inject_write,
	.llseek = noop_llseek,
};

void npu_debugfs_init(struct npu_device *npu)
{
	drm_debugfs_add_files(&npu->drm, npu_debugfs_files, ARRAY_SIZE(npu_debugfs_files));
	if (!IS_ERR_OR_NULL(npu->drm.debugfs_root))
		debugfs_create_file("inject", 0200, npu->drm.debugfs_root, npu, &npu_inject_fops);
}
