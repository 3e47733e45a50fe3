// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * DOC: firmware
 *
 * The file's name holds the major version of the mailbox interface, so that two can be installed side by side and a
 * driver finds its own. Within a major, any minor from NPU_FW_ABI_MINOR_MIN on will do: a newer firmware adds commands
 * and changes none. Rejected: one exact version, which makes every update of either side break the other.
 *
 * The image is read from disk at every boot, resets included: a reset after an update runs the new one, and no copy
 * lies around that a failing device could have written over. The device checks the signature; the driver trusts nothing
 * that the booted firmware says without bounds.
 */
#include <linux/delay.h>
#include <linux/firmware.h>
#include <linux/iopoll.h>
#include <linux/stringify.h>

#include "npu_drv.h"

#define NPU_FW_FILE "npu/npu_v" __stringify(NPU_FW_ABI_MAJOR) ".bin"
#define NPU_FW_ABI_MINOR_MIN 0u
#define NPU_REG_ABI_MAJOR 1u
#define NPU_REG_ID_VALUE 0x4e505530u /* 'NPU0' */
#define NPU_FW_BOOT_MS 2000u
#define NPU_FW_RESET_MS 500u
#define NPU_FW_POLL_US 2000u

MODULE_FIRMWARE(NPU_FW_FILE);

unsigned int npu_scaled_ms(struct npu_device *npu, unsigned int ms)
{
	switch (npu->id.platform) {
	case NPU_PLATFORM_SILICON:
		return ms;
	case NPU_PLATFORM_MODEL: /* perhaps under an emulated CPU */
		return ms * 5;
	default:
		return ms * 50;
	}
}

/* Cause and remedy of a status, as spec/status.def tells them. */
static const char *npu_fw_status_text(s32 status)
{
	switch (status) {
#define NPU_STATUS(value, NAME, cause, remedy) \
	case value:                            \
		return #NAME ": " cause "; remedy: " remedy;
#include "uapi/spec/status.def"
	default:
		return "a status that this driver does not know; remedy: update the driver";
	}
}

static int npu_fw_check_device(struct npu_device *npu)
{
	const u32 id = npu_read32(npu, NPU_REG_ID);
	const u32 abi = npu_read32(npu, NPU_REG_ABI);

	if (id != NPU_REG_ID_VALUE) {
		drm_err(&npu->drm, "the ID register holds 0x%08x, not 0x%08x: %s\n", id, NPU_REG_ID_VALUE,
			id == U32_MAX ? "the device fell off the bus; remedy: reseat or power-cycle it" :
					"this is another device; remedy: bind another driver");
		return -ENODEV;
	}
	if (abi >> 16 != NPU_REG_ABI_MAJOR) {
		drm_err(&npu->drm,
			"register interface %u.%u; this driver knows %u.x. Remedy: install a driver for this chip\n",
			abi >> 16, abi & 0xffff, NPU_REG_ABI_MAJOR);
		return -EPROTO;
	}
	npu->id.abi = abi;
	npu->id.platform = npu_read32(npu, NPU_REG_PLATFORM);
	return 0;
}

int npu_fw_reset_device(struct npu_device *npu)
{
	const u32 before = npu_read32(npu, NPU_REG_EPOCH);
	u32 status;

	/* Nothing is there that could run. */
	if (before == U32_MAX && npu_read32(npu, NPU_REG_ID) == U32_MAX)
		return -ENODEV;
	npu_write32(npu, NPU_REG_CONTROL, NPU_CONTROL_RESET);
	/*
	 * READY too: a chip with firmware of its own; it is replaced all the same. EPOCH tells it from the state
	 * before.
	 */
	if (read_poll_timeout(npu_read32, status,
			      (status == NPU_DEVICE_STATUS_ROM || status == NPU_DEVICE_STATUS_READY) &&
				      npu_read32(npu, NPU_REG_EPOCH) != before,
			      NPU_FW_POLL_US, npu_scaled_ms(npu, NPU_FW_RESET_MS) * USEC_PER_MSEC, true, npu,
			      NPU_REG_STATUS)) {
		drm_err(&npu->drm, "the device does not come out of reset (STATUS 0x%x); remedy: power-cycle it\n",
			status);
		return -EIO;
	}
	return 0;
}

static int npu_fw_run(struct npu_device *npu, dma_addr_t iova, size_t bytes)
{
	u32 status;
	s32 why;

	npu_write64(npu, NPU_REG_FW_IOVA, iova);
	npu_write32(npu, NPU_REG_FW_BYTES, bytes);
	npu_write32(npu, NPU_REG_CONTROL, NPU_CONTROL_BOOT);
	if (read_poll_timeout(npu_read32, status,
			      status == NPU_DEVICE_STATUS_READY || status >= NPU_DEVICE_STATUS_FAILED, NPU_FW_POLL_US,
			      npu_scaled_ms(npu, NPU_FW_BOOT_MS) * USEC_PER_MSEC, true, npu, NPU_REG_STATUS)) {
		drm_err(&npu->drm,
			"firmware %s has not booted within %u ms (STATUS %u); remedy: power-cycle the device\n",
			NPU_FW_FILE, npu_scaled_ms(npu, NPU_FW_BOOT_MS), status);
		return -EIO;
	}
	if (status == NPU_DEVICE_STATUS_READY)
		return 0;
	why = (s32)npu_read32(npu, NPU_REG_FW_STATUS);
	drm_err(&npu->drm, "the device refuses firmware %s: %d %s\n", NPU_FW_FILE, why, npu_fw_status_text(why));
	return -EIO;
}

/* Copies the file to where the device can read it, and boots it. The device has its own copy when STATUS is READY. */
static int npu_fw_load(struct npu_device *npu)
{
	struct device *dev = npu->drm.dev;
	const struct firmware *fw;
	dma_addr_t iova;
	void *copy;
	int err;

	err = firmware_request_nowarn(&fw, NPU_FW_FILE, dev);
	if (err) {
		drm_err(&npu->drm, "cannot read firmware %s (%d); remedy: install it below /lib/firmware\n",
			NPU_FW_FILE, err);
		return err;
	}
	if (fw->size == 0 || fw->size > NPU_FW_MAX_BYTES) {
		drm_err(&npu->drm, "firmware %s has %zu bytes, not 1 to %u; remedy: install it again\n", NPU_FW_FILE,
			fw->size, NPU_FW_MAX_BYTES);
		err = -EINVAL;
		goto release;
	}
	copy = dma_alloc_coherent(dev, fw->size, &iova, GFP_KERNEL);
	if (!copy) {
		err = -ENOMEM;
		goto release;
	}
	memcpy(copy, fw->data, fw->size);
	err = npu_fw_run(npu, iova, fw->size);
	/* A device that is still booting may read on: it must stop before the memory has another owner. */
	if (err && npu_fw_reset_device(npu))
		pci_clear_master(npu->pdev);
	dma_free_coherent(dev, fw->size, copy, iova);
release:
	release_firmware(fw);
	return err;
}

static int npu_fw_check_abi(struct npu_device *npu)
{
	const u32 abi = npu_read32(npu, NPU_REG_FW_ABI);
	const u32 major = abi >> 16, minor = abi & 0xffff;

	if (major != NPU_FW_ABI_MAJOR || minor < NPU_FW_ABI_MINOR_MIN) {
		drm_err(&npu->drm,
			"firmware %s speaks ABI %u.%u; this driver needs %u.%u or a later %u.x. Remedy: install %s for ABI %u, or a driver for ABI %u\n",
			NPU_FW_FILE, major, minor, NPU_FW_ABI_MAJOR, NPU_FW_ABI_MINOR_MIN, NPU_FW_ABI_MAJOR,
			NPU_FW_FILE, NPU_FW_ABI_MAJOR, major);
		return -EPROTO;
	}
	npu->id.fw_abi = abi;
	return 0;
}

/* `words` identity words from `first` on, first byte lowest. */
static int npu_fw_identity(struct npu_device *npu, u32 first, u32 words, u8 *out)
{
	u32 i, byte;
	u64 word;
	int err;

	for (i = 0; i < words; i++) {
		err = npu_mbox_call(npu, NPU_MBOX_IDENTITY, &word, first + i);
		if (err)
			return err;
		for (byte = 0; byte < 8; byte++)
			out[8 * i + byte] = word >> (8 * byte);
	}
	return 0;
}

static int npu_fw_read_identity(struct npu_device *npu, struct npu_identity *id)
{
	u32 i, end = 0;
	u64 clock;
	int err;

	err = npu_fw_identity(npu, 0, NPU_NAME_BYTES / 8, (u8 *)id->name);
	if (!err)
		err = npu_fw_identity(npu, 4, NPU_UUID_BYTES / 8, id->uuid);
	if (!err)
		err = npu_fw_identity(npu, 6, sizeof(id->fw_build_id) / 8, id->fw_build_id);
	if (err)
		return err;
	/* The name is printed and handed out: visible ASCII, a NUL, then zeros. */
	while (end < NPU_NAME_BYTES - 1 && id->name[end] >= ' ' && id->name[end] <= '~')
		end++;
	for (i = end; i < NPU_NAME_BYTES; i++)
		id->name[i] = 0;
	if (npu_mbox_call(npu, NPU_MBOX_METRIC, &clock, NPU_METRIC_MEMORY_CLOCK_MAX) == 0)
		id->hbm_clock_khz = min_t(u64, clock, U32_MAX);
	return 0;
}

static void npu_fw_read_sizes(struct npu_device *npu, struct npu_identity *id)
{
	id->isa = npu_read32(npu, NPU_REG_ISA);
	id->clusters = npu_read32(npu, NPU_REG_CLUSTERS);
	id->tiles_per_cluster = npu_read32(npu, NPU_REG_TILES_PER_CLUSTER);
	id->l1_bytes = npu_read32(npu, NPU_REG_L1_BYTES);
	id->l2_bytes = npu_read32(npu, NPU_REG_L2_BYTES);
	id->acc_bytes = npu_read32(npu, NPU_REG_ACC_BYTES);
	id->core_clock_khz = npu_read32(npu, NPU_REG_CORE_CLOCK_KHZ);
	id->max_queues = npu_read32(npu, NPU_REG_MAX_QUEUES);
	id->max_contexts = npu_read32(npu, NPU_REG_MAX_CONTEXTS);
	id->doorbell_pages = npu_read32(npu, NPU_REG_DOORBELL_PAGES);
	/* A device that has no such register answers with ones. */
	id->ports = npu_read32(npu, NPU_REG_PORTS);
	if (id->ports > NPU_MAX_PORTS)
		id->ports = 0;
	id->hbm_bytes = npu_read64(npu, NPU_REG_HBM_BYTES);
}

/* What tables and page table entries are sized by must be sane, and must not change while objects live. */
static int npu_fw_check_sizes(struct npu_device *npu, const struct npu_identity *id)
{
	const struct npu_identity *old = &npu->id;

	if (id->hbm_bytes < NPU_PAGE_2M || id->hbm_bytes % NPU_PAGE_2M || id->hbm_bytes > NPU_KERNEL_HBM_DVA ||
	    id->max_queues < 2 || id->max_queues > 0x10000 || id->max_contexts < 2 || id->max_contexts > 0x10000 ||
	    id->doorbell_pages < 2 || id->doorbell_pages > NPU_BAR0_DOORBELL_PAGES_MAX) {
		drm_err(&npu->drm,
			"the device reports %llu bytes of HBM, %u queues, %u contexts, %u doorbell pages: out of range\n",
			id->hbm_bytes, id->max_queues, id->max_contexts, id->doorbell_pages);
		return -EIO;
	}
	if (old->hbm_bytes && (old->hbm_bytes != id->hbm_bytes || old->max_queues != id->max_queues ||
			       old->max_contexts != id->max_contexts || old->doorbell_pages != id->doorbell_pages)) {
		drm_err(&npu->drm, "the device has other sizes than before its reset; remedy: load the driver again\n");
		return -EIO;
	}
	return 0;
}

int npu_fw_boot(struct npu_device *npu)
{
	struct npu_identity id;
	int err;

	pci_set_master(npu->pdev);
	err = npu_fw_check_device(npu);
	if (!err)
		err = npu_fw_reset_device(npu);
	if (!err)
		err = npu_fw_load(npu);
	if (!err)
		err = npu_fw_check_abi(npu);
	if (err)
		return err;
	npu_mbox_revive(npu);
	id = npu->id;
	npu_fw_read_sizes(npu, &id);
	err = npu_fw_check_sizes(npu, &id);
	if (!err)
		err = npu_fw_read_identity(npu, &id);
	if (err)
		return err;
	npu->id = id;
	if (!npu->boot_time)
		npu->boot_time = ktime_get();
	return 0;
}
