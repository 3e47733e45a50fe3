// SPDX-License-Identifier: Apache-2.0
// What ggml asks for when it has loaded this library: whether it fits, and the list of devices.
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "integrations/ggml/comm.h"
#include "integrations/ggml/device.h"

namespace npu::ggml {
namespace {

// Versions of ggml whose tables are those of abi.h. Another one may have inserted a slot, and calls through the wrong slot end the process.
constexpr const char* kKnownVersions[] = {"0.27."};

bool is_known_version() {
  const char* version = ggml_version();
  for (const char* known : kKnownVersions) {
    if (std::strncmp(version, known, std::strlen(known)) == 0) return true;
  }
  std::fprintf(stderr,
               "ggml-npu: not used: this is ggml %s, the backend was written for 0.27.x. Rebuild "
               "it for your ggml (docs/ggml.md).\n",
               version);
  return false;
}

using Devices = std::vector<std::unique_ptr<Device>>;

const char* get_name(ggml_backend_reg_t) { return kBackendName; }

Devices& devices_of(ggml_backend_reg_t registration) {
  return *static_cast<Devices*>(reinterpret_cast<Registration*>(registration)->context);
}

size_t get_device_count(ggml_backend_reg_t registration) { return devices_of(registration).size(); }

ggml_backend_dev_t get_device(ggml_backend_reg_t registration, size_t index) {
  Devices& devices = devices_of(registration);
  return index < devices.size() ? devices[index]->handle() : nullptr;
}

void* get_proc_address(ggml_backend_reg_t, const char* name) {
  return name != nullptr ? find_comm_function(name) : nullptr;
}

// Made once and never ended: ggml keeps its backends until the process ends, and so may threads that still use them then.
ggml_backend_reg_t make_registration() {
  auto* devices = new Devices;
  auto* made = new Registration{kApiVersion,
                                {.get_name = get_name,
                                 .get_device_count = get_device_count,
                                 .get_device = get_device,
                                 .get_proc_address = get_proc_address},
                                devices};
  const auto handle = reinterpret_cast<ggml_backend_reg_t>(made);
  uint32_t count = 0;
  if (npuDeviceGetCount(&count) != NPU_OK) say_failure("the devices could not be counted");
  for (uint32_t i = 0; i < count; ++i) devices->push_back(std::make_unique<Device>(handle, i));
  return handle;
}

}  // namespace
}  // namespace npu::ggml

extern "C" {

// 0: ggml does not use this library.
__attribute__((visibility("default"))) int ggml_backend_score(void) {
  return npu::ggml::is_known_version() ? 1 : 0;
}

__attribute__((visibility("default"))) ggml_backend_reg_t ggml_backend_init(void) {
  if (!npu::ggml::is_known_version()) return nullptr;
  static const ggml_backend_reg_t made = npu::ggml::make_registration();
  return made;
}

}  // extern "C"
