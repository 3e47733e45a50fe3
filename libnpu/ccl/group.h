// SPDX-License-Identifier: Apache-2.0
// The group of this thread: calls between npuCclGroupStart and npuCclGroupEnd.
#pragma once

#include <functional>

#include "libnpu/ccl/communicator.h"

namespace npu::ccl {

// Submits the call, or keeps it for the end of the group.
npuResult call(const CommunicatorPtr& communicator, Request request);
// Waits until the communicator has started, or leaves that to the end of the group.
npuResult await_start(const CommunicatorPtr& communicator);
bool in_group();
// Does |work| now, or at the end of the group, before it waits for communicators to start.
npuResult later(std::function<npuResult()> work);
void group_start();
npuResult group_end();

}  // namespace npu::ccl
