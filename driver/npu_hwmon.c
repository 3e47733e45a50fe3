// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Sensors for lm-sensors and its like, each one a row of spec/metrics.def. A sleeping device is not woken to be
 * measured: ENODATA.
 */
#include <linux/hwmon.h>
#include <linux/hwmon-sysfs.h>

#include "npu_drv.h"

/* The metric of an attribute, and what one of its units is in hwmon's. */
struct npu_hwmon_row {
	enum hwmon_sensor_types type;
	u32 attr;
	int channel;
	u32 metric;
	long factor;
};

static const struct npu_hwmon_row npu_hwmon_rows[] = {
	{ hwmon_temp, hwmon_temp_input, 0, NPU_METRIC_TEMP_DIE, 1 },
	{ hwmon_temp, hwmon_temp_max, 0, NPU_METRIC_TEMP_WARN, 1 },
	{ hwmon_temp, hwmon_temp_crit, 0, NPU_METRIC_TEMP_SHUTDOWN, 1 },
	{ hwmon_temp, hwmon_temp_input, 1, NPU_METRIC_TEMP_HBM, 1 },
	{ hwmon_power, hwmon_power_input, 0, NPU_METRIC_POWER, 1000 }, /* mW -> uW */
	{ hwmon_power, hwmon_power_cap, 0, NPU_METRIC_POWER_CAP, 1000 },
	{ hwmon_energy, hwmon_energy_input, 0, NPU_METRIC_ENERGY, 1 },
};

static const struct {
	enum hwmon_sensor_types type;
	int channel;
	const char *label;
} npu_hwmon_labels[] = {
	{ hwmon_temp, 0, "die" },
	{ hwmon_temp, 1, "hbm" },
	{ hwmon_power, 0, "board" },
	{ hwmon_energy, 0, "board" },
};

static const struct npu_hwmon_row *npu_hwmon_row(enum hwmon_sensor_types type, u32 attr, int channel)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(npu_hwmon_rows); i++)
		if (npu_hwmon_rows[i].type == type && npu_hwmon_rows[i].attr == attr &&
		    npu_hwmon_rows[i].channel == channel)
			return &npu_hwmon_rows[i];
	return NULL;
}

static const char *npu_hwmon_label(enum hwmon_sensor_types type, int channel)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(npu_hwmon_labels); i++)
		if (npu_hwmon_labels[i].type == type && npu_hwmon_labels[i].channel == channel)
			return npu_hwmon_labels[i].label;
	return NULL;
}

static bool npu_hwmon_is_label(enum hwmon_sensor_types type, u32 attr)
{
	return (type == hwmon_temp && attr == hwmon_temp_label) || (type == hwmon_power && attr == hwmon_power_label) ||
	       (type == hwmon_energy && attr == hwmon_energy_label);
}

/* 0, ENODATA (asleep, or no value now), EOPNOTSUPP (no such sensor), or why the device cannot be asked. */
static int npu_hwmon_metric(struct npu_device *npu, u32 id, s64 *value)
{
	struct npu_metric metric;
	int idx, err;

	if (!npu_pm_get_if_awake(npu))
		return -ENODATA;
	err = npu_enter(npu, &idx);
	if (!err) {
		metric = npu_metric_read(npu, id);
		npu_leave(npu, idx);
		*value = metric.value;
		if (metric.flags & NPU_METRIC_FLAG_UNSUPPORTED)
			err = -EOPNOTSUPP;
		else if (!(metric.flags & NPU_METRIC_FLAG_VALID))
			err = -ENODATA;
	}
	npu_pm_put(npu);
	return err;
}

static umode_t npu_hwmon_is_visible(const void *data, enum hwmon_sensor_types type, u32 attr, int channel)
{
	/* hwmon hands out what npu_hwmon_init() gave it; only this table is const, not the device. */
	struct npu_device *npu = (struct npu_device *)data;
	const struct npu_hwmon_row *row;
	s64 value;

	if (npu_hwmon_is_label(type, attr)) {
		if (!npu_hwmon_label(type, channel))
			return 0;
		attr = type == hwmon_temp    ? hwmon_temp_input
		       : type == hwmon_power ? hwmon_power_input
					     : hwmon_energy_input;
	}
	row = npu_hwmon_row(type, attr, channel);
	if (!row || npu_hwmon_metric(npu, row->metric, &value) == -EOPNOTSUPP)
		return 0;
	return 0444;
}

static int npu_hwmon_read(struct device *dev, enum hwmon_sensor_types type, u32 attr, int channel, long *out)
{
	const struct npu_hwmon_row *row = npu_hwmon_row(type, attr, channel);
	s64 value;
	int err;

	if (!row)
		return -EOPNOTSUPP;
	err = npu_hwmon_metric(dev_get_drvdata(dev), row->metric, &value);
	if (!err)
		*out = clamp_t(s64, value, LONG_MIN / row->factor, LONG_MAX / row->factor) * row->factor;
	return err;
}

static int npu_hwmon_read_string(struct device *dev, enum hwmon_sensor_types type, u32 attr, int channel,
				 const char **out)
{
	*out = npu_hwmon_is_label(type, attr) ? npu_hwmon_label(type, channel) : NULL;
	return *out ? 0 : -EOPNOTSUPP;
}

static const struct hwmon_ops npu_hwmon_ops = {
	.is_visible = npu_hwmon_is_visible,
	.read = npu_hwmon_read,
	.read_string = npu_hwmon_read_string,
};

static const struct hwmon_channel_info *const npu_hwmon_channels[] = {
	HWMON_CHANNEL_INFO(temp, HWMON_T_INPUT | HWMON_T_MAX | HWMON_T_CRIT | HWMON_T_LABEL,
			   HWMON_T_INPUT | HWMON_T_LABEL),
	HWMON_CHANNEL_INFO(power, HWMON_P_INPUT | HWMON_P_CAP | HWMON_P_LABEL),
	HWMON_CHANNEL_INFO(energy, HWMON_E_INPUT | HWMON_E_LABEL),
	NULL
};

static const struct hwmon_chip_info npu_hwmon_chip = {
	.ops = &npu_hwmon_ops,
	.info = npu_hwmon_channels,
};

/*
 * hwmon's core has no type for clocks; the names are those that other accelerators use. The index is the metric's id.
 */
static ssize_t npu_freq_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	s64 khz;
	int err = npu_hwmon_metric(dev_get_drvdata(dev), to_sensor_dev_attr(attr)->index, &khz);

	return err ?: sysfs_emit(buf, "%lld\n", clamp_t(s64, khz, 0, LLONG_MAX / 1000) * 1000);
}

static ssize_t npu_freq_label_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", to_sensor_dev_attr(attr)->index == NPU_METRIC_CORE_CLOCK ? "core" : "hbm");
}

static SENSOR_DEVICE_ATTR_RO(freq1_input, npu_freq, NPU_METRIC_CORE_CLOCK);
static SENSOR_DEVICE_ATTR_RO(freq1_label, npu_freq_label, NPU_METRIC_CORE_CLOCK);
static SENSOR_DEVICE_ATTR_RO(freq2_input, npu_freq, NPU_METRIC_MEMORY_CLOCK);
static SENSOR_DEVICE_ATTR_RO(freq2_label, npu_freq_label, NPU_METRIC_MEMORY_CLOCK);

static struct attribute *npu_freq_attrs[] = {
	&sensor_dev_attr_freq1_input.dev_attr.attr,
	&sensor_dev_attr_freq1_label.dev_attr.attr,
	&sensor_dev_attr_freq2_input.dev_attr.attr,
	&sensor_dev_attr_freq2_label.dev_attr.attr,
	NULL
};
ATTRIBUTE_GROUPS(npu_freq);

int npu_hwmon_init(struct npu_device *npu)
{
	if (!IS_REACHABLE(CONFIG_HWMON))
		return 0;
	npu->hwmon =
		devm_hwmon_device_register_with_info(&npu->pdev->dev, "npu", npu, &npu_hwmon_chip, npu_freq_groups);
	return PTR_ERR_OR_ZERO(npu->hwmon);
}
