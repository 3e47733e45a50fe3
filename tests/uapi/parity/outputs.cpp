// SPDX-License-Identifier: Apache-2.0
// The outputs of each call, and how much of them is the same everywhere.
#include "tests/uapi/parity/outputs.h"

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>

#include "uapi/npu_accel.h"

namespace npu::parity {
namespace {

enum class Show {
  kValue,
  kSet,     // set or 0: an id, a token
  kHidden,  // differs from run to run
};

struct Output {
  uint32_t nr;
  const char* name;
  size_t offset;
  size_t bytes;
  Show show;
  bool on_error = false;  // npu_accel.h promises it then too
};

#define OUT(NAME, name, member, show) \
  { NPU_CALL_##NAME, #member, offsetof(npu_##name, member), sizeof(npu_##name::member), show }
#define OUT_COUNT(NAME, name, member, show)                                                       \
  {                                                                                               \
    NPU_CALL_##NAME, #member ".count", offsetof(npu_##name, member) + offsetof(npu_array, count), \
        4, show                                                                                   \
  }

constexpr Output kOutputs[] = {
    OUT_COUNT(DEV_QUERY, dev_query, out, Show::kHidden),  // queries.cpp looks at it
    OUT(VM_CREATE, vm_create, vm_id, Show::kSet),
    OUT(VM_CREATE, vm_create, va_end, Show::kValue),
    {NPU_CALL_VM_BIND, "failed_index", offsetof(npu_vm_bind, failed_index), 4, Show::kValue, true},
    OUT(VM_QUERY, vm_query, state, Show::kValue),
    OUT(VM_QUERY, vm_query, mapped_bytes, Show::kValue),
    OUT(VM_QUERY, vm_query, table_bytes, Show::kSet),
    OUT(VM_QUERY, vm_query, faults_total, Show::kValue),
    OUT_COUNT(VM_QUERY, vm_query, faults, Show::kValue),
    OUT(BO_CREATE, bo_create, size_bytes, Show::kValue),
    OUT(BO_CREATE, bo_create, handle, Show::kSet),
    OUT(BO_CREATE, bo_create, map_token, Show::kSet),
    OUT(BO_CREATE_USERPTR, bo_create_userptr, handle, Show::kSet),
    OUT(BO_INFO, bo_info, flags, Show::kValue),
    OUT(BO_INFO, bo_info, region, Show::kValue),
    OUT(BO_INFO, bo_info, state, Show::kValue),
    OUT(BO_INFO, bo_info, size_bytes, Show::kValue),
    OUT(BO_INFO, bo_info, page_bytes, Show::kSet),
    OUT(BO_INFO, bo_info, map_token, Show::kSet),
    OUT(QUEUE_CREATE, queue_create, queue_id, Show::kSet),
    OUT(QUEUE_CREATE, queue_create, doorbell_slot, Show::kHidden),
    OUT(QUEUE_CREATE, queue_create, doorbell_token, Show::kSet),
    OUT(QUEUE_QUERY, queue_query, state, Show::kValue),
    OUT(QUEUE_QUERY, queue_query, status, Show::kValue),
    OUT(QUEUE_QUERY, queue_query, flags, Show::kValue),
    OUT(QUEUE_QUERY, queue_query, epoch, Show::kHidden),
    OUT(QUEUE_QUERY, queue_query, fetched, Show::kValue),
    OUT(QUEUE_QUERY, queue_query, completed, Show::kValue),
    OUT(QUEUE_QUERY, queue_query, progress, Show::kHidden),
    OUT(QUEUE_QUERY, queue_query, busy_ns, Show::kHidden),
    OUT(QUEUE_QUERY, queue_query, fault, Show::kHidden),  // lifecycle.cpp looks at it
    {NPU_CALL_WAIT, "first_index", offsetof(npu_wait, first_index), 4, Show::kValue, true},
    {NPU_CALL_WAIT, "status", offsetof(npu_wait, status), 4, Show::kValue, true},
    OUT(MR_CREATE, mr_create, mr_id, Show::kSet),
    OUT(MR_CREATE, mr_create, remote_key, Show::kSet),
    OUT(PERF_OPEN, perf_open, fd, Show::kHidden),
    OUT(PERF_OPEN, perf_open, record_bytes, Show::kValue),
    OUT(EVENT_MASK, event_mask, previous, Show::kValue),
};

uint64_t number_at(const Bytes& bytes, size_t offset, size_t size) {
  uint64_t value = 0;
  std::memcpy(&value, bytes.data() + offset, size);
  return value;
}

void print(const Output& output, const Bytes& after, std::string* text) {
  if (output.show == Show::kHidden) return;
  const uint64_t value = number_at(after, output.offset, output.bytes);
  char buffer[96];
  if (output.show == Show::kSet) {
    std::snprintf(buffer, sizeof buffer, " %s=%s", output.name, value != 0 ? "set" : "0");
  } else {
    std::snprintf(buffer, sizeof buffer, " %s=0x%llx", output.name,
                  static_cast<unsigned long long>(value));
  }
  *text += buffer;
}

}  // namespace

std::string errno_name(int error) {
  switch (error) {
    case 0:
      return "ok";
#define NAME(value) \
  case value:       \
    return #value;
      NAME(EINVAL)
      NAME(ENOENT)
      NAME(E2BIG)
      NAME(ENOSPC)
      NAME(ENOMEM)
      NAME(EBUSY)
      NAME(EDQUOT)
      NAME(ETIME)
      NAME(ECANCELED)
      NAME(EIO)
      NAME(ENODEV)
      NAME(EACCES)
      NAME(EPERM)
      NAME(EOPNOTSUPP)
      NAME(EFAULT)
#undef NAME
    default:
      return "errno-" + std::to_string(error);
  }
}

std::string outcome_of(uint32_t nr, int error, const Bytes& before, const Bytes& after) {
  std::string text = errno_name(error);
  Bytes rest = after;
  for (const Output& output : kOutputs) {
    if (output.nr != nr || output.offset + output.bytes > after.size()) continue;
    if (error != 0 && !output.on_error) continue;
    print(output, after, &text);
    std::memcpy(rest.data() + output.offset, before.data() + output.offset, output.bytes);
  }
  if (rest != before) {
    size_t at = 0;
    while (rest[at] == before[at]) at++;
    text += " CHANGED byte " + std::to_string(at);
  }
  return text;
}

}  // namespace npu::parity
