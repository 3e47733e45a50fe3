// SPDX-License-Identifier: Apache-2.0
// npu_prof.h, counters and clocks: check, call, translate.
#include <npu/npu_prof.h>

#include <cstdio>
#include <cstring>
#include <iterator>

#include "libnpu/src/api/guard.h"
#include "libnpu/src/core/context.h"
#include "libnpu/src/core/device.h"
#include "libnpu/src/core/queue.h"
#include "uapi/npu_accel.h"
#define NPU_METRICS_WANT_TABLE
#include "uapi/npu_metrics.h"

using namespace npu;
using api::guard;

namespace {

// How often the clocks are read; the closest reading counts.
constexpr int kClockReadings = 5;

struct QueueCounter {
  const char* name;
  const char* unit;
  uint64_t Queue::Counters::*value;
};

constexpr QueueCounter kQueueCounters[] = {
    {"commands_submitted", "", &Queue::Counters::submitted},
    {"commands_completed", "", &Queue::Counters::completed},
    {"commands_failed", "", &Queue::Counters::failed},
    {"device_time_ps", "ps", &Queue::Counters::time_ps},
};

npuProfCounter read_now(int64_t value, bool only_grows, const char* unit) {
  npuProfCounter counter{};
  counter.only_grows = only_grows ? 1 : 0;
  counter.value = value;
  counter.time_ns = Deadline::now_ns();
  std::snprintf(counter.unit, sizeof counter.unit, "%s", unit);
  return counter;
}

Status read_clock(Device& device, npuProfClock* out) {
  out->is_virtual = device.info().platform != NPU_PLATFORM_SILICON ? 1 : 0;
  out->error_ns = UINT64_MAX;
  for (int i = 0; i < kClockReadings; i++) {
    npu_metric metric{};
    const int64_t before_ns = Deadline::now_ns();
    NPU_TRY(device.read_metric(NPU_METRIC_DEVICE_TIME, &metric));
    const int64_t after_ns = Deadline::now_ns();
    const auto error_ns = static_cast<uint64_t>((after_ns - before_ns + 1) / 2);
    if (error_ns >= out->error_ns) continue;
    out->error_ns = error_ns;
    out->host_ns = before_ns + (after_ns - before_ns) / 2;
    out->device_ps = static_cast<uint64_t>(metric.value);
  }
  return Status::ok();
}

}  // namespace

extern "C" {

npuResult npuProfGetClock(npuDevice device, npuProfClock* inout_clock) {
  return guard(__func__, NPU_ARGS(device, inout_clock), [&]() -> Status {
    Pin<Device> pin;
    NPU_TRY(api::take(pin, device, "device"));
    NPU_TRY(api::check_out_struct(inout_clock, "inout_clock"));
    npuProfClock clock{};
    NPU_TRY(read_clock(*pin, &clock));
    api::write_struct(inout_clock, clock);
    return Status::ok();
  });
}

npuResult npuProfGetCounterName(uint32_t number, const char** out_name) {
  return guard(__func__, NPU_ARGS(number, out_name), [&]() -> Status {
    NPU_TRY(api::need(out_name, "out_name"));
    *out_name = nullptr;
    if (number >= NPU_METRIC_COUNT) {
      return fail(NPU_ERROR_NOT_FOUND, "there are %d counters of a device", NPU_METRIC_COUNT);
    }
    *out_name = npu_metric_table[number].json_key;
    return Status::ok();
  });
}

npuResult npuProfGetQueueCounterName(uint32_t number, const char** out_name) {
  return guard(__func__, NPU_ARGS(number, out_name), [&]() -> Status {
    NPU_TRY(api::need(out_name, "out_name"));
    *out_name = nullptr;
    if (number >= std::size(kQueueCounters)) {
      return fail(NPU_ERROR_NOT_FOUND, "there are %zu counters of a queue",
                  std::size(kQueueCounters));
    }
    *out_name = kQueueCounters[number].name;
    return Status::ok();
  });
}

npuResult npuProfGetCounter(npuDevice device, const char* name, npuProfCounter* inout_counter) {
  return guard(__func__, NPU_ARGS(device, name, inout_counter), [&]() -> Status {
    Pin<Device> pin;
    NPU_TRY(api::take(pin, device, "device"));
    NPU_TRY(api::need(name, "name"));
    NPU_TRY(api::check_out_struct(inout_counter, "inout_counter"));
    for (const npu_metric_info& row : npu_metric_table) {
      if (std::strcmp(row.json_key, name) != 0) continue;
      npu_metric metric{};
      NPU_TRY(pin->read_metric(row.id, &metric));
      api::write_struct(inout_counter, read_now(metric.value, row.kind == NPU_METRIC_KIND_COUNTER,
                                                npu_metric_unit_table[row.unit].symbol));
      return Status::ok();
    }
    return fail(NPU_ERROR_NOT_FOUND, "no counter of a device is called '%.64s'", name);
  });
}

npuResult npuProfGetQueueCounter(npuQueue queue, const char* name, npuProfCounter* inout_counter) {
  return guard(__func__, NPU_ARGS(queue, name, inout_counter), [&]() -> Status {
    Pin<Queue> pin;
    NPU_TRY(api::take(pin, queue, "queue"));
    NPU_TRY(api::need(name, "name"));
    NPU_TRY(api::check_out_struct(inout_counter, "inout_counter"));
    for (const QueueCounter& row : kQueueCounters) {
      if (std::strcmp(row.name, name) != 0) continue;
      const auto value = static_cast<int64_t>(pin->counters().*row.value);
      api::write_struct(inout_counter, read_now(value, true, row.unit));
      return Status::ok();
    }
    return fail(NPU_ERROR_NOT_FOUND, "no counter of a queue is called '%.64s'", name);
  });
}

}  // extern "C"
