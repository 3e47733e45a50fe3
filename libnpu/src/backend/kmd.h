// SPDX-License-Identifier: Apache-2.0
// The road through the kernel driver: calls are ioctls of an accel node, doorbells a page of the device's BAR.
#pragma once

#include <memory>

#include "libnpu/src/backend/accel_node.h"
#include "libnpu/src/backend/backend.h"

namespace npu {

Result<std::unique_ptr<Backend>> open_kmd(const AccelNode& node);

}  // namespace npu
