// SPDX-License-Identifier: Apache-2.0
// The handles of communicators. All functions are safe in any thread.
#pragma once

#include "libnpu/ccl/communicator.h"

namespace npu::ccl {

npuResult add_handle(CommunicatorPtr communicator, npuCclComm* out);
// INVALID_HANDLE with its text: no such handle.
npuResult find_handle(npuCclComm handle, CommunicatorPtr* out);
npuResult take_handle(npuCclComm handle, CommunicatorPtr* out);

}  // namespace npu::ccl
