// SPDX-License-Identifier: Apache-2.0
// Opening devices and asking them what they are.
#include "libnpu/src/core/device.h"

#include <cstdio>
#include <cstring>
#include <iterator>

#include "libnpu/src/backend/calls.h"
#include "libnpu/src/core/error.h"
#include "libnpu/src/core/handle.h"
#include "libnpu/src/core/uuid.h"
#include "uapi/npu_accel.h"
#include "uapi/npu_metrics.h"

namespace npu {
namespace {

Status not_found(const char* selector) {
  return fail(NPU_ERROR_NO_DEVICE, "no device is called '%.64s'", selector);
}

// True for a decimal number that fits.
bool parse_index(const char* text, uint32_t* out) {
  uint64_t value = 0;
  for (const char* c = text; *c != '\0'; c++) {
    if (*c < '0' || *c > '9') return false;
    value = value * 10 + static_cast<uint64_t>(*c - '0');
    if (value > 0xffff) return false;
  }
  *out = static_cast<uint32_t>(value);
  return *text != '\0';
}

}  // namespace

Device::Device(std::unique_ptr<Backend> backend, int64_t spin_ns)
    : Object(kKind),
      backend_(std::move(backend)),
      spin_ns_(spin_ns),
      info_(std::make_unique<npu_dev_info>()),
      limits_(std::make_unique<npu_limits>()) {}

Device::~Device() = default;

Result<Ref<Device>> Device::adopt(std::unique_ptr<Backend> backend, int64_t spin_ns) {
  Ref<Device> device = Ref<Device>::adopt(new Device(std::move(backend), spin_ns));
  NPU_TRY(device->refresh(device->info_.get()));
  const int error = query_one(device->backend(), NPU_QUERY_LIMITS, device->limits_.get());
  if (error != 0) return fail_call(error, "asking the device for its limits");
  const npu_dev_info& info = device->info();
  if (info.uapi_major != NPU_UAPI_MAJOR) {
    return fail(NPU_ERROR_VERSION_SKEW, "the library speaks uapi %d.%d, the device %u.%u",
                NPU_UAPI_MAJOR, NPU_UAPI_MINOR, info.uapi_major, info.uapi_minor);
  }
  return device;
}

Result<Ref<Device>> Device::open(const Environment& environment, const char* selector,
                                 int64_t spin_ns) {
  NPU_TRY_ASSIGN(Ref<Device> device, find(environment, selector, spin_ns));
  if (environment.exec_timeout_ms > device->limits().timeout_ms_max) {
    return fail(NPU_ERROR_BAD_ENVIRONMENT, "NPU_EXEC_TIMEOUT_MS is %u, the device allows %u",
                environment.exec_timeout_ms, device->limits().timeout_ms_max);
  }
  device->exec_timeout_ms_ = environment.exec_timeout_ms;
  return device;
}

Result<Ref<Device>> Device::find(const Environment& environment, const char* selector,
                                 int64_t spin_ns) {
  uint32_t index = 0;
  if (selector == nullptr || parse_index(selector, &index)) {
    NPU_TRY_ASSIGN(std::unique_ptr<Backend> backend, open_backend(environment, index));
    return adopt(std::move(backend), spin_ns);
  }
  if (std::strncmp(selector, "NPU-", 4) != 0) {
    return fail(NPU_ERROR_INVALID_ARGUMENT,
                "selector '%.64s' is neither an index nor a UUID (NPU-...)", selector);
  }
  NPU_TRY_ASSIGN(const uint32_t count, count_devices(environment));
  for (index = 0; index < count; index++) {
    NPU_TRY_ASSIGN(std::unique_ptr<Backend> backend, open_backend(environment, index));
    NPU_TRY_ASSIGN(Ref<Device> device, adopt(std::move(backend), spin_ns));
    char uuid[kUuidTextBytes];
    format_uuid(device->info().uuid, uuid);
    if (std::strcmp(uuid, selector) == 0) return device;
  }
  return not_found(selector);
}

Status Device::refresh(npu_dev_info* out) {
  const int error = query_one(*backend_, NPU_QUERY_DEVICE, out);
  return error == 0 ? Status::ok() : fail_call(error, "asking the device what it is");
}

Status Device::read_metric(uint32_t id, npu_metric* out) {
  npu_metric rows[NPU_METRIC_COUNT] = {};
  uint32_t count = NPU_METRIC_COUNT;
  if (const int error = query_some(*backend_, NPU_QUERY_METRICS, rows, &count); error != 0) {
    return fail_call(error, "reading the metrics");
  }
  for (uint32_t i = 0; i < count && i < NPU_METRIC_COUNT; i++) {
    if (rows[i].id != id || (rows[i].flags & NPU_METRIC_FLAG_VALID) == 0) continue;
    *out = rows[i];
    return Status::ok();
  }
  return fail(NPU_ERROR_NOT_SUPPORTED, "this device does not measure metric 0x%x", id);
}

Status Device::memory_info(uint64_t* out_free_bytes, uint64_t* out_total_bytes) {
  npu_region_info regions[8] = {};
  uint32_t count = std::size(regions);
  if (const int error = query_some(*backend_, NPU_QUERY_REGIONS, regions, &count); error != 0) {
    return fail_call(error, "asking the device for its memory");
  }
  for (uint32_t i = 0; i < count && i < std::size(regions); i++) {
    if (regions[i].region != NPU_REGION_HBM) continue;
    *out_free_bytes += regions[i].free_bytes;
    *out_total_bytes += regions[i].size_bytes;
  }
  return Status::ok();
}

void Device::end(HandleTable& handles) {
  for (const Ref<Object>& child : children_.close()) {
    handles.remove(child->handle(), child->kind());
    child->end(handles);
  }
}

}  // namespace npu
