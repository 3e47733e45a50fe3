// SPDX-License-Identifier: Apache-2.0
// One NPU as ggml sees it: a device, its kind of memory, and what all users of it in this process share (context, operators).
// Thread safety: all functions. Nothing is opened before ggml asks for memory or a stream.
#ifndef INTEGRATIONS_GGML_DEVICE_H_
#define INTEGRATIONS_GGML_DEVICE_H_

#include <npu/npu.h>
#include <npu/npu_tensor.h>

#include <mutex>
#include <string>

#include "integrations/ggml/abi.h"

namespace npu::ggml {

class Device {
 public:
  Device(ggml_backend_reg_t registration, uint32_t index);

  // The head of the object that ggml holds is the object's begin: pointers convert both ways.
  ggml_backend_dev_t handle() { return reinterpret_cast<ggml_backend_dev_t>(&head_); }
  static Device& of(ggml_backend_dev_t handle);
  ggml_backend_buffer_type_t buffer_type() {
    return reinterpret_cast<ggml_backend_buffer_type_t>(&buffer_type_);
  }
  static Device& of(ggml_backend_buffer_type_t type);

  // Opens device, context and operators the first time. False: said on stderr why.
  bool open();
  npuContext context() const { return context_; }
  npuOps ops() const { return ops_; }
  uint32_t index() const { return index_; }
  const char* name() const { return name_.c_str(); }
  const char* description();
  void memory(size_t* free_bytes, size_t* total_bytes);

 private:
  bool open_locked();

  DeviceHead head_;
  BufferType buffer_type_;
  const uint32_t index_;
  const std::string name_;
  std::mutex mutex_;
  bool is_open_ = false;
  npuDevice device_ = nullptr;
  npuContext context_ = nullptr;
  npuOps ops_ = nullptr;
  npuDeviceInfo info_{};
};

inline constexpr char kBackendName[] = "NPU";
extern const BufferTypeTable kBufferTypeTable;  // buffer.cpp
ggml_backend_t make_stream(Device& device);     // stream.cpp

// A device address as ggml carries it. ggml adds offsets to it and never looks behind it.
inline void* to_ggml(npuDevPtr address) {
  return reinterpret_cast<void*>(static_cast<uintptr_t>(address));
}
inline npuDevPtr to_npu(const void* address) { return reinterpret_cast<uintptr_t>(address); }

// Says on stderr what failed in libnpu, and returns false.
bool say_failure(const char* what);
bool say_ops_failure(const char* what);

}  // namespace npu::ggml

#endif  // INTEGRATIONS_GGML_DEVICE_H_
