// SPDX-License-Identifier: Apache-2.0
// Rows of metrics.def, from the device and from the server's own books.
#include "firmware-model/server/metrics.h"

#include <time.h>

#include <algorithm>

#include "firmware-model/server/device.h"
#include "uapi/npu_status.h"

namespace npu::model::server {
namespace {

npu_metric valid(uint32_t id, uint64_t value) {
  return {id, NPU_METRIC_FLAG_VALID, static_cast<int64_t>(std::min<uint64_t>(value, INT64_MAX))};
}

}  // namespace

int64_t monotonic_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

npu_metric Metrics::read(uint32_t id) {
  Device& d = *device_;
  switch (id) {
    case NPU_METRIC_MEMORY_USED:
      return valid(id, d.object_bytes);
    case NPU_METRIC_MEMORY_RESERVED:
      return valid(id, d.hbm().total_bytes() - d.hbm().free_bytes() - d.object_bytes);
    case NPU_METRIC_QUEUES_USED:
      return valid(id, d.queues().used());
    case NPU_METRIC_CONTEXTS_USED:
      return valid(id, d.contexts().used());
    default:
      break;
  }
  uint64_t value = 0;
  switch (d.mailbox(NPU_MBOX_METRIC, {id}, &value)) {
    case NPU_ST_OK:
      return {id, NPU_METRIC_FLAG_VALID, static_cast<int64_t>(value)};
    case NPU_ST_NOT_FOUND:
      return {id, NPU_METRIC_FLAG_UNSUPPORTED, 0};
    default:
      return {id, NPU_METRIC_FLAG_LOST, 0};
  }
}

std::vector<npu_metric> Metrics::all() {
  std::vector<npu_metric> rows;
  rows.reserve(NPU_METRIC_COUNT);
#define NPU_METRIC(id, NAME, key, unit, kind, exporter, doc) rows.push_back(read(id));
#include "uapi/spec/metrics.def"
  return rows;
}

npu_metric Metrics::one(uint32_t id) { return read(id); }

}  // namespace npu::model::server
