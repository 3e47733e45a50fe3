// SPDX-License-Identifier: Apache-2.0
// Sentences about faults.
#include "libnpu/src/api/explain.h"

#include <cstdio>
#include <string>

#include "libnpu/src/api/fault.h"
#include "libnpu/src/core/context.h"
#include "libnpu/src/core/error.h"

namespace npu::api {
namespace {

using Ull = unsigned long long;

const char* access_name(uint8_t access) {
  switch (access) {
    case NPU_ACCESS_READ:
      return "read";
    case NPU_ACCESS_WRITE:
      return "write";
    case NPU_ACCESS_EXEC:
      return "fetch";
    default:
      return "access";
  }
}

bool is_work_fault(npuResult code) {
  return code <= -300 && code > -400 && code != NPU_ERROR_CANCELED;
}

}  // namespace

npuFault translate_fault(Context& context, const Fault& fault) {
  const FaultPlace place = context.place_of(fault);
  npuFault out{};
  out.code = fault.code;
  out.value = fault.value;
  std::snprintf(out.kernel, sizeof out.kernel, "%s", place.kernel.c_str());
  out.pc = fault.record.pc;
  out.source_line = place.line;
  std::snprintf(out.source_file, sizeof out.source_file, "%s", place.file.c_str());
  out.tile = fault.record.tile;
  out.access = fault.record.access;
  out.group = fault.record.group;
  out.address = fault.record.result;
  std::snprintf(out.message, sizeof out.message, "%s", place.message.c_str());
  out.origin_queue = reinterpret_cast<npuQueue>(static_cast<uintptr_t>(fault.origin.queue));
  out.origin_value = fault.origin.value;
  out.origin_code = fault.origin.code;
  return out;
}

Status explain(Queue& queue, Status status, uint64_t value) {
  if (!is_work_fault(status.code())) return status;
  // A queue that has stopped has one fault; of one that goes on only the command itself matters.
  const bool own = queue.goes_on_after_errors() && value != UINT64_MAX;
  const auto fault = own ? queue.fault_in(value, value) : queue.fault();
  if (!fault.has_value() || fault->code != status.code()) return status;
  const FaultPlace place = queue.context().place_of(*fault);
  const StatusText* text = find_status_text(status.code());
  const char* cause = text != nullptr ? text->cause : "the work failed";
  std::string where;
  if (fault->code == NPU_ERROR_VM_FAULT || fault->code == NPU_ERROR_MEMORY_POISON) {
    char address[64];
    std::snprintf(address, sizeof address, ": %s of 0x%llx", access_name(fault->record.access),
                  Ull{fault->record.result});
    where = address;
  }
  if (!place.message.empty()) where = ": " + place.message;
  if (fault->origin.queue != 0) {
    const StatusText* origin = find_status_text(fault->origin.code);
    where = " with " + std::string(origin != nullptr ? origin->name : "an unknown error") +
            " at command " + std::to_string(fault->origin.value) + " of another queue";
  }
  if (place.kernel.empty()) {
    return fail(status.code(), "%s%s (command %llu of the queue)", cause, where.c_str(),
                Ull{fault->value});
  }
  std::string source;
  if (place.line != 0) source = ", " + place.file + ":" + std::to_string(place.line);
  return fail(status.code(),
              "%s%s, in kernel '%s' on tile %u at instruction %u%s (command %llu of the queue)",
              cause, where.c_str(), place.kernel.c_str(), fault->record.tile, fault->record.pc,
              source.c_str(), Ull{fault->value});
}

}  // namespace npu::api
