// SPDX-License-Identifier: Apache-2.0
// The table of handles: slot's number plus one in the low half, the slot's generation in the high half. All functions are safe in any thread.
#pragma once

#include "libnpu/ccl/communicator.h"

namespace npu::ccl {

npuResult add_handle(CommunicatorPtr communicator, npuCclComm* out);
// INVALID_HANDLE with its text: no such handle.
npuResult find_handle(npuCclComm handle, CommunicatorPtr* out);
npuResult take_handle(npuCclComm handle, CommunicatorPtr* out);

}  // namespace npu::ccl
