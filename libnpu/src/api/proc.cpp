// SPDX-License-Identifier: Apache-2.0
// Functions by name, for programs that load the library at run time.
#include "libnpu/src/api/proc.h"

#include <algorithm>
#include <cstring>

#include "libnpu/src/api/guard.h"

using namespace npu;
using api::guard;

namespace {

constexpr uint32_t kLibraryVersion = NPU_VERSION_MAJOR << 16 | NPU_VERSION_MINOR;

Status find(const char* name, uint32_t version, npuProc* out) {
  if (version > kLibraryVersion) {
    return fail(NPU_ERROR_VERSION_SKEW, "the program wants release %u.%u, the library is %d.%d",
                version >> 16, version & 0xffff, NPU_VERSION_MAJOR, NPU_VERSION_MINOR);
  }
  const api::Function* end = api::kFunctions + api::kFunctionCount;
  const api::Function* found = std::lower_bound(
      api::kFunctions, end, name,
      [](const api::Function& row, const char* key) { return std::strcmp(row.name, key) < 0; });
  if (found == end || std::strcmp(found->name, name) != 0) {
    return fail(NPU_ERROR_NOT_FOUND, "the library has no function '%.64s'", name);
  }
  if (found->since > version) {
    return fail(NPU_ERROR_NOT_FOUND, "%s came with release %u.%u, the program wants %u.%u", name,
                found->since >> 16, found->since & 0xffff, version >> 16, version & 0xffff);
  }
  *out = found->address;
  return Status::ok();
}

}  // namespace

extern "C" npuResult npuGetProcAddress(const char* name, uint32_t version, npuProc* out_proc) {
  if (out_proc != nullptr) *out_proc = nullptr;
  return guard(__func__, NPU_ARGS(name, version, out_proc), [&]() -> Status {
    NPU_TRY(api::need(name, "name"));
    NPU_TRY(api::need(out_proc, "out_proc"));
    return find(name, version, out_proc);
  });
}
