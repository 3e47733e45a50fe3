// SPDX-License-Identifier: Apache-2.0
#include "libnpu/ccl/handles.h"

#include "libnpu/common/handle_table.h"

namespace npu::ccl {
namespace {

using Table = common::HandleTable<npuCclComm, Communicator>;

Table& table() {
  static Table* const made = new Table;
  return *made;
}

npuResult found(CommunicatorPtr communicator, CommunicatorPtr* out) {
  if (communicator == nullptr) {
    return fail(NPU_ERROR_INVALID_HANDLE,
                "comm is NULL, was destroyed, or is no communicator of this process");
  }
  *out = std::move(communicator);
  return NPU_OK;
}

}  // namespace

npuResult add_handle(CommunicatorPtr communicator, npuCclComm* out) {
  const npuCclComm handle = table().add(std::move(communicator));
  if (handle == nullptr) return fail(NPU_ERROR_QUOTA, "there are %zu communicators", Table::kMost);
  *out = handle;
  return NPU_OK;
}

npuResult find_handle(npuCclComm handle, CommunicatorPtr* out) {
  return found(table().find(handle), out);
}

npuResult take_handle(npuCclComm handle, CommunicatorPtr* out) {
  return found(table().take(handle), out);
}

}  // namespace npu::ccl
