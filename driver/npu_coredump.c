// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The dump that support needs: text, versions first, taken before a reset destroys what it shows. It lies at
 * /sys/class/devcoredump/ until somebody reads and clears it, or for five minutes. Addresses of the device are in it,
 * content of memory is not.
 */
#include <linux/devcoredump.h>
#include <linux/utsname.h>
#include <linux/vmalloc.h>

#include "npu_drv.h"

#define NPU_COREDUMP_MAX_BYTES (256u << 10)

void npu_print_versions(struct npu_device *npu, struct drm_printer *p)
{
	const struct npu_identity *id = &npu->id;

	drm_printf(p, "kernel: %s\n", init_utsname()->release);
	drm_printf(p, "uapi: %u.%u\n", NPU_UAPI_MAJOR, NPU_UAPI_MINOR);
	drm_printf(p, "firmware: abi %u.%u build %*phN\n", id->fw_abi >> 16, id->fw_abi & 0xffff,
		   (int)sizeof(id->fw_build_id), id->fw_build_id);
	drm_printf(p, "chip: %s uuid %pUb abi %u.%u isa %u.%u platform %u\n", id->name, id->uuid, id->abi >> 16,
		   id->abi & 0xffff, id->isa >> 16, id->isa & 0xffff, id->platform);
	drm_printf(p, "device: %s accel%u state %u epoch %llu last reset cause %u\n", pci_name(npu->pdev), npu->index,
		   READ_ONCE(npu->state), READ_ONCE(npu->epoch), npu->reset_cause);
}

/* Reading WO registers means nothing. Inside drm_dev_enter(), device awake. */
void npu_print_registers(struct npu_device *npu, struct drm_printer *p)
{
#define NPU_REG_READ_RO 1
#define NPU_REG_READ_RW 1
#define NPU_REG_READ_W1C 1
#define NPU_REG_READ_WO 0
#define NPU_REG(offset, bits, NAME, access, reset, doc)                                                 \
	if (NPU_REG_READ_##access)                                                                      \
		drm_printf(p, "  0x%03x %-18s 0x%llx\n", offset, #NAME,                                 \
			   (bits) == 64 ? npu_read64(npu, NPU_REG_##NAME) : npu_read32(npu, NPU_REG_##NAME));
#include "uapi/spec/regs.def"
}

static void npu_print_fault(struct drm_printer *p, const struct npu_fault *fault)
{
	drm_printf(p,
		   "    fault: status %d dva 0x%llx reason %u access %u command %llu module %u kernel %u pc %u line %u tile %u group %u\n",
		   fault->status, fault->dva, fault->reason, fault->access, fault->seq, fault->module, fault->kernel,
		   fault->pc, fault->line, fault->tile, fault->group);
}

/* What the driver knows of each queue. The device is not asked: it may be what hangs. */
void npu_print_queues(struct npu_device *npu, struct drm_printer *p)
{
	struct npu_queue *entry, *queue;
	struct npu_fault fault;
	unsigned long number;
	int status, state;
	u32 flags;

	xa_for_each(&npu->queues, number, entry) {
		queue = npu_queue_by_number(npu, number);
		if (!queue)
			continue;
		spin_lock_irq(&npu->queues_lock);
		state = queue->state;
		status = queue->status;
		flags = queue->flags;
		fault = queue->fault;
		spin_unlock_irq(&npu->queues_lock);
		drm_printf(p,
			   "  %lu: id %u context %u state %d status %d flags 0x%x prio %u ring 2^%u epoch %llu progress %llu\n",
			   number, queue->id, queue->vm->context, state, status, flags, queue->priority, queue->ring_log2,
			   queue->epoch, queue->watched_progress);
		if (fault.status)
			npu_print_fault(p, &fault);
		npu_queue_put(queue);
	}
}

/* Newest first. */
void npu_print_errors(struct npu_device *npu, struct drm_printer *p)
{
	const struct npu_error_record *record;
	u64 n;

	mutex_lock(&npu->ras.lock);
	drm_printf(p, "  total %llu, ecc single-bit %llu double-bit %llu, retired pages %u\n", npu->ras.total,
		   npu->ras.sbe, npu->ras.dbe, npu->ras.retired_pages);
	for (n = npu->ras.total; n && npu->ras.total - n < ARRAY_SIZE(npu->ras.log); n--) {
		record = &npu->ras.log[(n - 1) % ARRAY_SIZE(npu->ras.log)];
		drm_printf(p,
			   "  %llu: %s severity %u time %llu ps address 0x%llx unit %d count %u info 0x%llx 0x%llx 0x%llx\n",
			   n, npu_error_name(record->type), record->severity, record->time_ps, record->address,
			   (s32)record->unit, record->count, record->info[0], record->info[1], record->info[2]);
	}
	mutex_unlock(&npu->ras.lock);
}

static void npu_coredump_print(struct npu_device *npu, const char *why, struct drm_printer *p)
{
	int idx;

	drm_printf(p, "**** NPU coredump 1 ****\nreason: %s\ntime: %lld ns since boot\n", why,
		   ktime_to_ns(ktime_get_boottime()));
	npu_print_versions(npu, p);
	drm_printf(p, "faults: %lld, interrupts: %lld, live queues: %d\n", atomic64_read(&npu->faults),
		   atomic64_read(&npu->irqs), atomic_read(&npu->live_queues));
	if (drm_dev_enter(&npu->drm, &idx)) {
		drm_puts(p, "registers:\n");
		npu_print_registers(npu, p);
		drm_dev_exit(idx);
	}
	drm_puts(p, "queues:\n");
	npu_print_queues(npu, p);
	drm_puts(p, "errors:\n");
	npu_print_errors(npu, p);
}

/* Gives up without memory: a dump is less than the reset that waits for it. */
void npu_coredump_take(struct npu_device *npu, const char *why)
{
	struct drm_print_iterator iter = { .remain = NPU_COREDUMP_MAX_BYTES };
	struct drm_printer p;

	iter.data = vzalloc(NPU_COREDUMP_MAX_BYTES);
	if (!iter.data)
		return;
	p = drm_coredump_printer(&iter);
	npu_coredump_print(npu, why, &p);
	/* Takes the memory over. */
	dev_coredumpv(npu->drm.dev, iter.data, NPU_COREDUMP_MAX_BYTES - iter.remain, GFP_KERNEL);
}
