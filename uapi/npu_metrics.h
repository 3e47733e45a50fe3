/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Metrics of the device as enums and, on demand, as a table; the rows are in spec/metrics.def. */
#ifndef NPU_UAPI_METRICS_H
#define NPU_UAPI_METRICS_H

#include <linux/types.h>

enum npu_metric_id {
#define NPU_METRIC(id, NAME, key, unit, kind, exporter, doc) NPU_METRIC_##NAME = id,
#include "spec/metrics.def"
	NPU_METRIC_ID_END = 0x100, /* ids are smaller than this */
};

/* How many metrics there are. */
enum npu_metric_row {
#define NPU_METRIC(id, NAME, key, unit, kind, exporter, doc) NPU_METRIC_ROW_##NAME,
#include "spec/metrics.def"
	NPU_METRIC_COUNT,
};

enum npu_metric_unit {
#define NPU_METRIC_UNIT(nr, NAME, symbol, mul, div, base) NPU_METRIC_UNIT_##NAME = nr,
#include "spec/metrics.def"
};

enum npu_metric_kind {
	NPU_METRIC_KIND_GAUGE = 0,
	NPU_METRIC_KIND_COUNTER = 1,
};

/* bits of THROTTLE_REASONS */
#define NPU_THROTTLE_IDLE (1u << 0) /* clock lowered since there is no work */
#define NPU_THROTTLE_POWER_CAP (1u << 1)
#define NPU_THROTTLE_THERMAL (1u << 2)
#define NPU_THROTTLE_ADMIN (1u << 3) /* clock limited by an administrator */
#define NPU_THROTTLE_HW_SLOWDOWN (1u << 4) /* external alarm: supply or board */

/* 1: some row has this id. */
static inline int npu_metric_exists(__u32 id)
{
	switch (id) {
#define NPU_METRIC(number, NAME, key, unit, kind, exporter, doc) case number:
#include "spec/metrics.def"
		return 1;
	default:
		return 0;
	}
}

/* The table in the order of the rows; one copy for each file that asks for it. */
#ifdef NPU_METRICS_WANT_TABLE
struct npu_metric_info {
	__u32 id; /* enum npu_metric_id */
	__u32 unit; /* enum npu_metric_unit */
	__u32 kind; /* enum npu_metric_kind */
	__u32 pad;
	const char *name; /* "MEMORY_TOTAL" */
	const char *json_key;
	const char *exporter_name;
	const char *doc;
};

struct npu_metric_unit_info {
	const char *symbol;
	const char *base; /* base unit of exporters: value * mul / div */
	__s64 mul;
	__s64 div;
};

static const struct npu_metric_info npu_metric_table[NPU_METRIC_COUNT] = {
#define NPU_METRIC(id, NAME, key, unit, kind, exporter, doc) \
	{ id, NPU_METRIC_UNIT_##unit, NPU_METRIC_KIND_##kind, 0, #NAME, key, exporter, doc },
#include "spec/metrics.def"
};

/* Indexed by enum npu_metric_unit. */
static const struct npu_metric_unit_info npu_metric_unit_table[] = {
#define NPU_METRIC_UNIT(nr, NAME, symbol, mul, div, base) { symbol, base, mul, div },
#include "spec/metrics.def"
};
#endif

#endif
