// SPDX-License-Identifier: Apache-2.0
// Public functions: windows.
#include <npu/npu_ccl.h>

#include <cstring>

#include "libnpu/ccl/group.h"
#include "libnpu/ccl/guard.h"
#include "libnpu/ccl/handles.h"

namespace {

using namespace npu::ccl;

npuResult register_window(const CommunicatorPtr& communicator, npuDevPtr base, uint64_t bytes,
                          npuCclWindow* out) {
  // A group does those of one communicator one after the other: a rank that has yet to call any of them keeps what it is told of few.
  if (in_group() && communicator->is_registering()) {
    return later([=] { return register_window(communicator, base, bytes, out); });
  }
  std::shared_ptr<Registration> begun;
  NPU_CCL_TRY(communicator->offer_window(base, bytes, &begun));
  return later([communicator, begun, out] {
    NPU_CCL_TRY(communicator->import_windows(begun.get()));
    return later([communicator, begun, out] { return communicator->add_window(begun.get(), out); });
  });
}

}  // namespace

npuResult npuCclCommWindowRegister(npuCclComm comm, npuDevPtr ptr, uint64_t size_bytes,
                                   uint32_t flags, npuCclWindow* out_window) {
  return guarded([&]() -> npuResult {
    if (out_window == nullptr) return fail(NPU_ERROR_INVALID_ARGUMENT, "out_window is NULL");
    *out_window = 0;
    if (flags != 0) return fail(NPU_ERROR_RESERVED_NOT_ZERO, "flags is not 0");
    CommunicatorPtr communicator;
    NPU_CCL_TRY(find_handle(comm, &communicator));
    return register_window(communicator, ptr, size_bytes, out_window);
  });
}

npuResult npuCclCommWindowDeregister(npuCclComm comm, npuCclWindow window) {
  return guarded([&]() -> npuResult {
    CommunicatorPtr communicator;
    NPU_CCL_TRY(find_handle(comm, &communicator));
    return communicator->remove_window(window);
  });
}

npuResult npuCclCommWindowGetInfo(npuCclComm comm, npuCclWindow window,
                                  npuCclWindowInfo* inout_info) {
  return guarded([&]() -> npuResult {
    if (inout_info == nullptr) return fail(NPU_ERROR_INVALID_ARGUMENT, "inout_info is NULL");
    npuCclWindowInfo answer{};
    NPU_CCL_TRY(read_info(inout_info, &answer));
    CommunicatorPtr communicator;
    NPU_CCL_TRY(find_handle(comm, &communicator));
    WindowPtr found;
    NPU_CCL_TRY(communicator->find_window(window, &found));
    answer = {inout_info->struct_size,
              found->is_mapped ? 1u : 0u,
              found->base_dva,
              found->size_bytes,
              {}};
    found->reason.copy(answer.reason, sizeof(answer.reason) - 1);
    std::memcpy(inout_info, &answer, answer.struct_size);
    return NPU_OK;
  });
}
