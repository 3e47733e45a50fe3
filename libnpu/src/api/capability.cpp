// SPDX-License-Identifier: Apache-2.0
// Capabilities by name: a new property of a device needs no new function and no larger struct.
#include <npu/npu_device.h>

#include <cstring>
#include <iterator>

#include "libnpu/src/api/guard.h"
#include "libnpu/src/core/device.h"
#include "uapi/npu_accel.h"

using namespace npu;
using api::guard;

namespace {

constexpr int64_t pair(uint32_t major, uint32_t minor) { return int64_t{major} << 16 | minor; }
constexpr int64_t has(const npu_dev_info& info, uint64_t feature) {
  return (info.features[0] & feature) != 0;
}

struct Capability {
  const char* name;
  int64_t (*value)(const npu_dev_info& info, const npu_limits& limits, const Backend& backend);
};

constexpr Capability kCapabilities[] = {
#define NPU_CAPABILITY(name, expression, doc)                                               \
  {name,                                                                                    \
   []([[maybe_unused]] const npu_dev_info& info, [[maybe_unused]] const npu_limits& limits, \
      [[maybe_unused]] const Backend& backend) -> int64_t {                                 \
     return static_cast<int64_t>(expression);                                               \
   }},
#include "libnpu/src/api/capability.def"
};

}  // namespace

extern "C" {

npuResult npuDeviceGetCapability(npuDevice device, const char* name, int64_t* out_value) {
  if (out_value != nullptr) *out_value = 0;
  return guard(__func__, NPU_ARGS(device, name, out_value), [&]() -> Status {
    NPU_TRY(api::need(name, "name"));
    NPU_TRY(api::need(out_value, "out_value"));
    Pin<Device> pin;
    NPU_TRY(api::take(pin, device, "device"));
    for (const Capability& capability : kCapabilities) {
      if (std::strcmp(capability.name, name) != 0) continue;
      *out_value = capability.value(pin->info(), pin->limits(), pin->backend());
      return Status::ok();
    }
    return fail(NPU_ERROR_NOT_FOUND, "no capability of this library is called '%.64s'", name);
  });
}

npuResult npuDeviceGetCapabilityName(uint32_t number, const char** out_name) {
  if (out_name != nullptr) *out_name = nullptr;
  return guard(__func__, NPU_ARGS(number, out_name), [&]() -> Status {
    NPU_TRY(api::need(out_name, "out_name"));
    if (number >= std::size(kCapabilities)) {
      return fail(NPU_ERROR_NOT_FOUND, "there are %zu capabilities", std::size(kCapabilities));
    }
    *out_name = kCapabilities[number].name;
    return Status::ok();
  });
}

}  // extern "C"
