// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Attributes in the folder npu/ of the PCI device, described in docs/sysfs.md. A folder of its own, since the PCI core
 * has a `reset` too, which is another one. Reading wakes nothing: all of it is what the driver knows anyway.
 */
#include <linux/capability.h>

#include "npu_drv.h"

static struct npu_device *npu_of(struct device *dev)
{
	return dev_get_drvdata(dev);
}

static ssize_t fw_version_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%*phN\n", (int)sizeof(npu_of(dev)->id.fw_build_id), npu_of(dev)->id.fw_build_id);
}
static DEVICE_ATTR_RO(fw_version);

static ssize_t fw_abi_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	const u32 abi = READ_ONCE(npu_of(dev)->id.fw_abi);

	return sysfs_emit(buf, "%u.%u\n", abi >> 16, abi & 0xffff);
}
static DEVICE_ATTR_RO(fw_abi);

static ssize_t uuid_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%pUb\n", npu_of(dev)->id.uuid);
}
static DEVICE_ATTR_RO(uuid);

static ssize_t name_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", npu_of(dev)->id.name);
}
static DEVICE_ATTR_RO(name);

static ssize_t epoch_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", READ_ONCE(npu_of(dev)->epoch));
}
static DEVICE_ATTR_RO(epoch);

static ssize_t state_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	static const char *const names[] = {
		[NPU_STATE_READY] = "ready",
		[NPU_STATE_RESETTING] = "resetting",
		[NPU_STATE_WEDGED] = "wedged",
		[NPU_STATE_GONE] = "gone",
	};
	struct npu_device *npu = npu_of(dev);
	const char *name = names[READ_ONCE(npu->state)];

	if (READ_ONCE(npu->state) == NPU_STATE_RESETTING) {
		if (npu_pm_get_if_awake(npu))
			npu_pm_put(npu);
		else
			name = "asleep";
	}
	return sysfs_emit(buf, "%s\n", name);
}
static DEVICE_ATTR_RO(state);

/* Waits for the end, and answers as the reset did: EIO when the device is wedged. */
static ssize_t reset_store(struct device *dev, struct device_attribute *attr, const char *buf, size_t count)
{
	struct npu_device *npu = npu_of(dev);
	bool yes;
	int err;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	err = kstrtobool(buf, &yes);
	if (err || !yes)
		return -EINVAL;
	err = npu_pm_get(npu);
	if (err)
		return err;
	err = npu_reset_now(npu, NPU_RESET_ADMIN);
	npu_pm_put(npu);
	return err ?: count;
}
static DEVICE_ATTR_WO(reset);

static struct attribute *npu_device_attrs[] = {
	&dev_attr_name.attr,
	&dev_attr_uuid.attr,
	&dev_attr_fw_version.attr,
	&dev_attr_fw_abi.attr,
	&dev_attr_epoch.attr,
	&dev_attr_state.attr,
	&dev_attr_reset.attr,
	NULL
};

static const struct attribute_group npu_device_group = {
	.name = "npu",
	.attrs = npu_device_attrs,
};

#define NPU_RAS_ATTR(attribute, member, format)                                                          \
	static ssize_t attribute##_show(struct device *dev, struct device_attribute *attr, char *buf)    \
	{                                                                                                \
		return sysfs_emit(buf, format "\n", READ_ONCE(npu_of(dev)->ras.member));                 \
	}                                                                                                \
	static DEVICE_ATTR_RO(attribute)

NPU_RAS_ATTR(ecc_sbe, sbe, "%llu");
NPU_RAS_ATTR(ecc_dbe, dbe, "%llu");
NPU_RAS_ATTR(retired_pages, retired_pages, "%u");
NPU_RAS_ATTR(errors_total, total, "%llu");

/* The newest first, as many as a page holds: time, type, severity, address, unit, count. */
static ssize_t error_log_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct npu_device *npu = npu_of(dev);
	const struct npu_error_record *record;
	int at = 0;
	u64 n;

	mutex_lock(&npu->ras.lock);
	for (n = npu->ras.total; n && npu->ras.total - n < ARRAY_SIZE(npu->ras.log); n--) {
		record = &npu->ras.log[(n - 1) % ARRAY_SIZE(npu->ras.log)];
		at += sysfs_emit_at(buf, at, "%llu %s %u 0x%llx %d %u\n", record->time_ps, npu_error_name(record->type),
				    record->severity, record->address, (s32)record->unit, record->count);
	}
	mutex_unlock(&npu->ras.lock);
	return at;
}
static DEVICE_ATTR_RO(error_log);

static struct attribute *npu_ras_attrs[] = {
	&dev_attr_ecc_sbe.attr,
	&dev_attr_ecc_dbe.attr,
	&dev_attr_retired_pages.attr,
	&dev_attr_errors_total.attr,
	&dev_attr_error_log.attr,
	NULL
};

static const struct attribute_group npu_ras_group = {
	.name = "npu_ras",
	.attrs = npu_ras_attrs,
};

const struct attribute_group *npu_sysfs_groups[] = {
	&npu_device_group,
	&npu_ras_group,
	NULL
};
