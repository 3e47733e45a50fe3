// SPDX-License-Identifier: Apache-2.0
// Objects that most cases need.
#include "tests/uapi/parity/session.h"

#include <time.h>

#include <cstdio>

#include "uapi/npu_validate.h"
#include "uapi/npu_wire.h"

namespace npu::parity {

int64_t in_ms(int64_t ms) {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000ll + now.tv_nsec + ms * 1'000'000;
}

std::string number(uint64_t value) {
  char text[32];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
  return text;
}

int Session::logged_bytes(const std::string& name, uint32_t nr, Bytes* args,
                          const std::vector<ArrayArg>& arrays, int fd) {
  Bytes before = *args;
  const int error = file_->call(nr, args, arrays, fd);
  npu_call_desc desc{};
  if (fd >= 0 && npu_call_describe(nr, &desc) != 0 && has_fd(before, desc)) {
    std::memcpy(before.data() + desc.fd_offset, &fd, sizeof fd);
  }
  log_->add(name, outcome_of(nr, error, before, *args));
  return error;
}

uint32_t Session::vm() {
  npu_vm_create args{};
  must(NPU_CALL_VM_CREATE, &args);
  return args.vm_id;
}

npu_bo_create Session::object(uint64_t bytes, uint32_t region, uint32_t flags, uint32_t vm_id) {
  npu_bo_create args{};
  args.size_bytes = bytes;
  args.region = region;
  args.flags = flags;
  args.vm_id = vm_id;
  must(NPU_CALL_BO_CREATE, &args);
  return args;
}

int Session::bind(uint32_t vm, uint32_t handle, uint64_t dva, uint64_t bytes, uint32_t flags) {
  npu_bind_op op{};
  op.kind = NPU_BIND_MAP;
  op.flags = flags;
  op.bo_handle = handle;
  op.dva = dva;
  op.size_bytes = bytes;
  npu_vm_bind args{};
  args.vm_id = vm;
  const ArrayArg ops = make_array(&args.ops, &args, std::vector{op});
  return silent(NPU_CALL_VM_BIND, &args, {ops});
}

int Session::unbind(uint32_t vm, uint64_t dva, uint64_t bytes) {
  npu_bind_op op{};
  op.kind = NPU_BIND_UNMAP;
  op.dva = dva;
  op.size_bytes = bytes;
  npu_vm_bind args{};
  args.vm_id = vm;
  const ArrayArg ops = make_array(&args.ops, &args, std::vector{op});
  return silent(NPU_CALL_VM_BIND, &args, {ops});
}

QueueParts Session::queue_memory(uint32_t vm, uint64_t dva_shift) {
  QueueParts parts;
  const npu_bo_create ring = object(npu_ring_bytes(kRingLog2), NPU_REGION_SYSTEM);
  const npu_bo_create ctrl = object(npu_ctrl_bytes(kRingLog2), NPU_REGION_SYSTEM, NPU_BO_SYNC);
  parts.ring_handle = ring.handle;
  parts.args.vm_id = vm;
  parts.args.priority = NPU_PRIO_NORMAL;
  parts.args.ring_dva = kRingDva + dva_shift;
  parts.args.ctrl_dva = kCtrlDva + dva_shift;
  parts.args.ctrl_handle = ctrl.handle;
  parts.args.ring_log2 = kRingLog2;
  if (bind(vm, ring.handle, parts.args.ring_dva, ring.size_bytes) != 0 ||
      bind(vm, ctrl.handle, parts.args.ctrl_dva, ctrl.size_bytes) != 0) {
    throw std::runtime_error("the memory of a queue cannot be mapped");
  }
  parts.ring = file_->map(ring.map_token, ring.size_bytes);
  parts.ctrl = file_->map(ctrl.map_token, ctrl.size_bytes);
  return parts;
}

QueueParts Session::queue(uint32_t vm, uint64_t dva_shift) {
  QueueParts parts = queue_memory(vm, dva_shift);
  npu_queue_create args = parts.args;
  must(NPU_CALL_QUEUE_CREATE, &args);
  parts.id = args.queue_id;
  parts.slot = args.doorbell_slot;
  parts.token = args.doorbell_token;
  return parts;
}

void Session::destroy_queue(uint32_t id) {
  npu_queue_destroy args{};
  args.queue_id = id;
  silent(NPU_CALL_QUEUE_DESTROY, &args);
}

void Session::submit(QueueParts* queue, const void* command) {
  const uint64_t slot = queue->submitted % (1u << kRingLog2);
  std::memcpy(queue->ring->data() + slot * NPU_CMD_BYTES, command, NPU_CMD_BYTES);
  file_->ring(queue->token, queue->slot, ++queue->submitted);
}

int Session::wait_completed(const QueueParts& queue, uint64_t count, npu_wait* out,
                            int64_t timeout_ms) {
  npu_cond cond{};
  cond.op = NPU_COND_GE;
  cond.bo_handle = queue.args.ctrl_handle;
  cond.queue_id = queue.id;
  cond.offset = offsetof(npu_queue_ctrl, completed);
  cond.value = count;
  cond.mask = ~0ull;
  npu_wait wait{};
  wait.deadline_ns = in_ms(timeout_ms);
  const ArrayArg conds = make_array(&wait.conds, &wait, std::vector{cond});
  const int error = silent(NPU_CALL_WAIT, &wait, {conds});
  if (out != nullptr) *out = wait;
  return error;
}

}  // namespace npu::parity
