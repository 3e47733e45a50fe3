// SPDX-License-Identifier: Apache-2.0
// Counts of live objects, and the names of their kinds.
#include "libnpu/src/core/object.h"

namespace npu {

std::atomic<int64_t> Object::live_{0};

const char* kind_name(Kind kind) {
  switch (kind) {
    case Kind::kDevice:
      return "device";
    case Kind::kContext:
      return "context";
    case Kind::kQueue:
      return "queue";
    case Kind::kEvent:
      return "event";
    case Kind::kModule:
      return "module";
    case Kind::kKernel:
      return "kernel";
    case Kind::kMemPool:
      return "pool";
    case Kind::kMemHandle:
      return "memory handle";
    case Kind::kPreparedLaunch:
      return "prepared launch";
    case Kind::kSemaphore:
      return "semaphore";
    case Kind::kGraph:
      return "graph";
    case Kind::kGraphExec:
      return "executable graph";
  }
  return "object";
}

}  // namespace npu
