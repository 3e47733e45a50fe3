// SPDX-License-Identifier: Apache-2.0
//
// Opening and closing of the device, and memory of its context.
#include "samples/llm/npu_session.h"

#include "samples/llm/npu_error.h"

namespace npu::llm {

Result<std::unique_ptr<NpuSession>> NpuSession::open(const std::string& selector,
                                                     uint32_t ring_entries) {
  std::unique_ptr<NpuSession> session(new NpuSession);
  if (auto bad = session->start(selector, ring_entries)) return *bad;
  return session;
}

Failure NpuSession::start(const std::string& selector, uint32_t ring_entries) {
  npuResult result = npuInit();
  if (result != NPU_OK) return npu_error(result, "preparing libnpu");
  initialised_ = true;
  result = npuDeviceOpen(selector.empty() ? nullptr : selector.c_str(), &device_);
  if (result != NPU_OK) return npu_error(result, "opening the NPU");
  info_.struct_size = sizeof(info_);
  result = npuDeviceGetInfo(device_, &info_);
  if (result != NPU_OK) return npu_error(result, "reading the NPU's description");
  result = npuContextCreate(device_, &context_);
  if (result != NPU_OK) return npu_error(result, "creating a context");
  npuQueueInfo queue_info{};
  queue_info.struct_size = sizeof(queue_info);
  queue_info.ring_entries = ring_entries;
  result = npuQueueCreate(context_, &queue_info, &queue_);
  if (result != NPU_OK) return npu_error(result, "creating a queue");
  result = npuOpsCreate(context_, nullptr, &ops_);
  if (result != NPU_OK) return npu_ops_error(result, "loading the operators");
  return {};
}

NpuSession::~NpuSession() {
  npuOpsDestroy(ops_);
  npuDeviceClose(device_);
  if (initialised_) npuShutdown();
}

Result<npuDevPtr> NpuSession::allocate(npuMemKind kind, uint64_t size_bytes) {
  npuDevPtr ptr = 0;
  const npuResult result = npuMemAlloc(context_, kind, size_bytes, &ptr);
  if (result != NPU_OK) return npu_error(result, "allocating memory for the model");
  return ptr;
}

Failure NpuSession::release(npuDevPtr ptr) {
  const npuResult result = npuMemFree(context_, ptr);
  if (result != NPU_OK) return npu_error(result, "freeing memory of the NPU");
  return {};
}

Failure NpuSession::copy_to_device(npuDevPtr to, const void* from, uint64_t size_bytes) {
  const npuResult result = npuMemCopyToDevice(context_, to, from, size_bytes);
  if (result != NPU_OK) return npu_error(result, "copying weights to the NPU");
  return {};
}

Result<void*> NpuSession::map(npuDevPtr ptr, uint64_t size_bytes) {
  void* host = nullptr;
  const npuResult result = npuMemMap(context_, ptr, size_bytes, &host);
  if (result != NPU_OK) return npu_error(result, "mapping memory that the NPU shares");
  return host;
}

Failure NpuSession::wait(uint64_t value) {
  const npuResult result = npuQueueWait(queue_, value, NPU_TIMEOUT_INFINITE);
  if (result == NPU_OK) return {};
  const Error error = npu_queue_error(result, queue_);
  constexpr int64_t kResetTimeoutNs = 10'000'000'000;
  npuQueueReset(queue_, kResetTimeoutNs);
  return error;
}

}  // namespace npu::llm
