// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * DOC: errors that the device reports by itself
 *
 * The device writes records into a ring and raises vector 3. Each is counted and kept among the last 64 (sysfs, the
 * dump of a reset). An uncorrectable memory error takes its 64 KiB page out of use; a fatal one asks for a reset. The
 * work that read the poison faults on its own and is told by its queue, so nothing here looks for the owner of a page.
 *
 * The ring has no reader's index: a driver that is slow is overtaken. A record is therefore copied, and its number
 * looked at before and after the copy. Everything in it is hostile until bounded: the device may be what is broken.
 */
#include "npu_drv.h"

static_assert((NPU_ERROR_ENTRIES & (NPU_ERROR_ENTRIES - 1)) == 0);

#define NPU_RAS_RING_BYTES (NPU_ERROR_ENTRIES * sizeof(struct npu_error_record))

const char *npu_error_name(u32 type)
{
	switch (type) {
#define NPU_ERROR(nr, NAME, key, severity, doc) \
	case nr:                                \
		return key;
#include "uapi/spec/ras.def"
	default:
		return "unknown";
	}
}

int npu_ras_init(struct npu_device *npu)
{
	npu->ras.records = dmam_alloc_coherent(npu->drm.dev, NPU_RAS_RING_BYTES, &npu->ras.iova, GFP_KERNEL);
	return npu->ras.records ? 0 : -ENOMEM;
}

int npu_ras_start(struct npu_device *npu)
{
	mutex_lock(&npu->ras.lock);
	memset(npu->ras.records, 0, NPU_RAS_RING_BYTES);
	npu->ras.head = 0;
	mutex_unlock(&npu->ras.lock);
	return npu_mbox_call(npu, NPU_MBOX_ERROR_RING, NULL, npu->ras.iova, NPU_ERROR_ENTRIES);
}

/* The ring goes with the device (devres); nobody may drain it from here on. */
void npu_ras_fini(struct npu_device *npu)
{
	mutex_lock(&npu->ras.lock);
	npu->ras.records = NULL;
	mutex_unlock(&npu->ras.lock);
}

/* Copies the next record; false: there is none yet. *lost counts records that were overwritten unread. */
static bool npu_ras_next(struct npu_device *npu, struct npu_error_record *record, u64 *lost)
{
	const u64 want = npu->ras.head + 1;
	const struct npu_error_record *slot;
	u64 seq;

	lockdep_assert_held(&npu->ras.lock);
	slot = &npu->ras.records[npu->ras.head % NPU_ERROR_ENTRIES];
	seq = READ_ONCE(slot->seq);
	if (seq < want)
		return false;
	/* The number was stored last: what it numbers is read after it, and it again after that. */
	dma_rmb();
	memcpy(record, slot, sizeof(*record));
	dma_rmb();
	if (seq == want && READ_ONCE(slot->seq) == want) {
		npu->ras.head = want;
		return true;
	}
	/* Overtaken: the oldest record that may still be whole is in the next slot. */
	seq = max(seq, want + NPU_ERROR_ENTRIES);
	*lost += seq - NPU_ERROR_ENTRIES - npu->ras.head;
	npu->ras.head = seq - NPU_ERROR_ENTRIES;
	record->type = 0;
	return true;
}

static enum npu_reset_cause npu_ras_cause(u32 type)
{
	switch (type) {
	case NPU_ERROR_ECC_SBE:
	case NPU_ERROR_ECC_DBE:
		return NPU_RESET_ECC;
	case NPU_ERROR_THERMAL:
	case NPU_ERROR_THERMAL_STOP:
		return NPU_RESET_THERMAL;
	default:
		return NPU_RESET_FIRMWARE;
	}
}

static void npu_ras_count(struct npu_device *npu, const struct npu_error_record *record)
{
	const u32 count = max(record->count, 1u);

	lockdep_assert_held(&npu->ras.lock);
	if (record->type == NPU_ERROR_ECC_SBE)
		npu->ras.sbe += count;
	if (record->type == NPU_ERROR_ECC_DBE)
		npu->ras.dbe += count;
	npu->ras.log[npu->ras.total % ARRAY_SIZE(npu->ras.log)] = *record;
	npu->ras.total++;
}

/* Outside ras.lock: retiring a page takes the allocator's lock and counts under ours. */
static void npu_ras_act(struct npu_device *npu, const struct npu_error_record *record)
{
	if (record->type == NPU_ERROR_ECC_DBE && record->address < npu->id.hbm_bytes) {
		npu_hbm_retire_page(npu, ALIGN_DOWN(record->address, NPU_PAGE_64K));
		npu_table_damaged(npu, record->address);
	}
	/* A severity that is not known counts as the worst. */
	if (record->severity >= NPU_SEVERITY_FATAL) {
		drm_err(&npu->drm, "fatal error %s (unit %d, address 0x%llx, info 0x%llx): the device will be reset\n",
			npu_error_name(record->type), (s32)record->unit, record->address, record->info[0]);
		npu_reset_schedule(npu, npu_ras_cause(record->type), NULL);
	} else if (record->severity == NPU_SEVERITY_RECOVERABLE) {
		dev_warn_ratelimited(npu->drm.dev, "error %s (unit %d, address 0x%llx): work that needs it fails\n",
				     npu_error_name(record->type), (s32)record->unit, record->address);
	} else {
		drm_dbg(&npu->drm, "corrected error %s, address 0x%llx, count %u\n", npu_error_name(record->type),
			record->address, record->count);
	}
}

void npu_ras_irq(struct npu_device *npu)
{
	struct npu_error_record record;
	u64 lost = 0;
	u32 budget;
	bool more;

	/* A whole ring at most: a device that writes as fast as it is read must not hold this thread for ever. */
	for (budget = NPU_ERROR_ENTRIES; budget; budget--) {
		mutex_lock(&npu->ras.lock);
		more = npu->ras.records && npu_ras_next(npu, &record, &lost);
		if (more && record.type)
			npu_ras_count(npu, &record);
		mutex_unlock(&npu->ras.lock);
		if (!more)
			break;
		if (record.type)
			npu_ras_act(npu, &record);
	}
	if (lost)
		dev_warn_ratelimited(npu->drm.dev, "%llu error records were overwritten unread\n", lost);
}

int npu_ras_inject(struct npu_device *npu, enum npu_inject fault, u64 place, u64 count)
{
	int idx, err;

	/* No file is open for it: who enters a sleeping device would wait for somebody else to wake it. */
	err = npu_pm_get(npu);
	if (err)
		return err;
	err = npu_enter(npu, &idx);
	if (!err) {
		err = npu_mbox_call(npu, NPU_MBOX_INJECT, NULL, fault, place, count);
		npu_leave(npu, idx);
	}
	npu_pm_put(npu);
	return err;
}
