// SPDX-License-Identifier: Apache-2.0
//
// NpuSession: one device with a context, a queue and the operators; owns all that is made in them.
#ifndef SAMPLES_LLM_NPU_SESSION_H_
#define SAMPLES_LLM_NPU_SESSION_H_

#include <npu/npu.h>
#include <npu/npu_ops.h>

#include <cstdint>
#include <memory>
#include <string>

#include "samples/llm/result.h"

namespace npu::llm {

/// Allocations are not given back one by one: they end with the session's context.
class NpuSession {
 public:
  /// `selector`: as for npuDeviceOpen, empty for the first device. `ring_entries`: commands whose
  /// times stay readable, a power of two.
  static Result<std::unique_ptr<NpuSession>> open(const std::string& selector,
                                                  uint32_t ring_entries);
  ~NpuSession();
  NpuSession(const NpuSession&) = delete;
  NpuSession& operator=(const NpuSession&) = delete;

  npuQueue queue() const { return queue_; }
  npuOps ops() const { return ops_; }
  const npuDeviceInfo& device() const { return info_; }

  Result<npuDevPtr> allocate(npuMemKind kind, uint64_t size_bytes);
  /// Allows the memory to be used again after the work submitted so far.
  Failure release(npuDevPtr ptr);
  /// A copy by the host, done on return.
  Failure copy_to_device(npuDevPtr to, const void* from, uint64_t size_bytes);
  /// The host's view of a whole allocation; ends with it.
  Result<void*> map(npuDevPtr ptr, uint64_t size_bytes);
  /// Waits for `value` of the queue. After a failure the queue is made usable again.
  Failure wait(uint64_t value);

 private:
  NpuSession() = default;
  Failure start(const std::string& selector, uint32_t ring_entries);

  bool initialised_ = false;
  npuDevice device_ = nullptr;
  npuContext context_ = nullptr;
  npuQueue queue_ = nullptr;
  npuOps ops_ = nullptr;
  npuDeviceInfo info_{};
};

}  // namespace npu::llm

#endif  // SAMPLES_LLM_NPU_SESSION_H_
