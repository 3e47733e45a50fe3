// SPDX-License-Identifier: Apache-2.0
// The C ABI of the device: trampolines to class Device, nothing else. No exception leaves.
#include "firmware-model/device/npu_device.h"

#include <cstdio>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <utility>

#include "firmware-model/device/device.h"

struct npu_device {
  std::unique_ptr<npu::model::Device> impl;
};

namespace {

void copy_text(const std::string& text, char* out, size_t bytes) {
  if (out != nullptr && bytes != 0) std::snprintf(out, bytes, "%s", text.c_str());
}

}  // namespace

npu_device* npu_device_create(const npu_device_config* config, const npu_device_ports* ports,
                              char* error, size_t error_bytes) {
  try {
    std::string text = "config and ports must not be NULL";
    std::unique_ptr<npu::model::Device> impl;
    if (config != nullptr && ports != nullptr) {
      impl = npu::model::Device::create(*config, *ports, &text);
    }
    if (impl != nullptr) return new npu_device{std::move(impl)};
    copy_text(text, error, error_bytes);
  } catch (const std::exception& failure) {
    copy_text(std::string("the host has no room for the device (") + failure.what() +
                  "); free memory or lower the profile's sizes",
              error, error_bytes);
  }
  return nullptr;
}

void npu_device_destroy(npu_device* device) { delete device; }

int npu_device_mmio_read(npu_device* device, uint32_t bar, uint64_t offset, uint32_t size,
                         uint64_t* out_value) {
  *out_value = ~uint64_t{0};
  return device->impl->read(bar, offset, size, out_value) ? 0 : -1;
}

int npu_device_mmio_write(npu_device* device, uint32_t bar, uint64_t offset, uint32_t size,
                          uint64_t value) {
  return device->impl->write(bar, offset, size, value) ? 0 : -1;
}

void npu_device_reset(npu_device* device) { device->impl->reset(); }
uint64_t npu_device_host_changed(npu_device* device) { return device->impl->host_changed(); }

int npu_device_mailbox(npu_device* device, uint32_t command, const uint64_t args[8],
                       uint64_t* out_result) {
  uint64_t result = 0;
  const int status = device->impl->mailbox(command, std::span<const uint64_t, 8>(args, 8), &result);
  if (out_result != nullptr) *out_result = result;
  return status;
}

void npu_device_port_traffic(npu_device* device, uint32_t port, const npu_port_traffic* other_end) {
  device->impl->hear_traffic(port, *other_end);
}

void* npu_device_hbm(npu_device* device) { return device->impl->hbm(); }

int npu_device_set_doorbells(npu_device* device, uint32_t page, void* slots, void* aux) {
  return device->impl->set_doorbells(page, slots, aux) ? 0 : -1;
}

int npu_device_wake_fd(npu_device* device) { return device->impl->wake_fd(); }

int npu_device_page_wake_fd(npu_device* device, uint32_t page) {
  return device->impl->page_wake_fd(page);
}

int npu_device_kernel_name(npu_device* device, uint32_t context, uint32_t module, uint32_t kernel,
                           char* name, size_t name_bytes) {
  const auto found = device->impl->module(context, module);
  if (found == nullptr || kernel >= found->kernels.size()) return -1;
  copy_text(found->kernels[kernel]->program.name, name, name_bytes);
  return 0;
}

int npu_device_source_line(npu_device* device, uint32_t context, uint32_t module, uint32_t line_id,
                           char* file, size_t file_bytes, uint32_t* out_line) {
  const auto found = device->impl->module(context, module);
  if (found == nullptr) return -1;
  const npu::model::SourcePlace place = found->place(line_id);
  if (place.file.empty()) return -1;
  copy_text(place.file, file, file_bytes);
  *out_line = place.line;
  return 0;
}
