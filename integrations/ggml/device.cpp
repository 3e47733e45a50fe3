// SPDX-License-Identifier: Apache-2.0
// The table of a device, and its opening.
#include "integrations/ggml/device.h"

#include <cstdio>
#include <cstring>

#include "integrations/ggml/event.h"
#include "integrations/ggml/lower.h"

namespace npu::ggml {
namespace {

const char* get_name(ggml_backend_dev_t dev) { return Device::of(dev).name(); }
const char* get_description(ggml_backend_dev_t dev) { return Device::of(dev).description(); }
void get_memory(ggml_backend_dev_t dev, size_t* free_bytes, size_t* total_bytes) {
  Device::of(dev).memory(free_bytes, total_bytes);
}
// ggml gives layers of a model only to devices that call themselves a GPU; an ACCEL works on the CPU's memory.
enum ggml_backend_dev_type get_type(ggml_backend_dev_t) { return GGML_BACKEND_DEVICE_TYPE_GPU; }

void get_props(ggml_backend_dev_t dev, ggml_backend_dev_props* props) {
  Device& device = Device::of(dev);
  *props = {};
  props->name = device.name();
  props->description = device.description();
  device.memory(&props->memory_free, &props->memory_total);
  props->type = GGML_BACKEND_DEVICE_TYPE_GPU;
  props->caps.async = true;
  props->caps.events = true;
}

ggml_backend_t init_backend(ggml_backend_dev_t dev, const char*) {
  Device& device = Device::of(dev);
  return device.open() ? make_stream(device) : nullptr;
}

ggml_backend_buffer_type_t get_buffer_type(ggml_backend_dev_t dev) {
  return Device::of(dev).buffer_type();
}

bool supports_buft(ggml_backend_dev_t dev, ggml_backend_buffer_type_t type) {
  return type == Device::of(dev).buffer_type();
}

constexpr DeviceTable kDeviceTable = {
    .get_name = get_name,
    .get_description = get_description,
    .get_memory = get_memory,
    .get_type = get_type,
    .get_props = get_props,
    .init_backend = init_backend,
    .get_buffer_type = get_buffer_type,
    .get_host_buffer_type = nullptr,
    .buffer_from_host_ptr = nullptr,
    .supports_op = [](ggml_backend_dev_t, const ggml_tensor* op) { return is_supported(op); },
    .supports_buft = supports_buft,
    .offload_op = nullptr,
    .event_new = event_new,
    .event_free = event_free,
    .event_synchronize = event_synchronize,
};

}  // namespace

Device::Device(ggml_backend_reg_t registration, uint32_t index)
    : head_{kDeviceTable, registration, this},
      buffer_type_{kBufferTypeTable, reinterpret_cast<ggml_backend_dev_t>(&head_), this},
      index_(index),
      name_("NPU" + std::to_string(index)) {}

Device& Device::of(ggml_backend_dev_t handle) {
  return *static_cast<Device*>(reinterpret_cast<DeviceHead*>(handle)->context);
}

Device& Device::of(ggml_backend_buffer_type_t type) {
  return *static_cast<Device*>(reinterpret_cast<BufferType*>(type)->context);
}

bool Device::open() {
  std::lock_guard lock(mutex_);
  if (!is_open_) is_open_ = open_locked();
  return is_open_;
}

bool Device::open_locked() {
  if (npuInit() != NPU_OK) return say_failure("the library could not be started");
  const std::string selector = std::to_string(index_);
  if (device_ == nullptr && npuDeviceOpen(selector.c_str(), &device_) != NPU_OK)
    return say_failure("the device could not be opened");
  info_.struct_size = sizeof(info_);
  if (npuDeviceGetInfo(device_, &info_) != NPU_OK) return say_failure("no answer of the device");
  if (context_ == nullptr && npuContextCreate(device_, &context_) != NPU_OK)
    return say_failure("no context on the device");
  if (ops_ == nullptr && npuOpsCreate(context_, nullptr, &ops_) != NPU_OK)
    return say_ops_failure("the operators could not be loaded");
  return true;
}

const char* Device::description() { return open() ? info_.name : "NPU"; }

void Device::memory(size_t* free_bytes, size_t* total_bytes) {
  uint64_t free = 0;
  uint64_t total = 0;
  if (open() && npuMemGetInfo(context_, &free, &total) != NPU_OK)
    say_failure("the free memory is not known");
  *free_bytes = free;
  *total_bytes = total;
}

bool say_failure(const char* what) {
  npuErrorInfo info{};
  info.struct_size = sizeof(info);
  npuErrorGetInfo(&info);
  std::fprintf(stderr, "ggml-npu: %s: %s (%s)\n", what, info.text, info.remedy);
  return false;
}

bool say_ops_failure(const char* what) {
  std::fprintf(stderr, "ggml-npu: %s: %s\n", what, npuOpsGetErrorText());
  return false;
}

}  // namespace npu::ggml
