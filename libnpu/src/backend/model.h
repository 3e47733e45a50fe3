// SPDX-License-Identifier: Apache-2.0
// The road to the device model: a connected socket, and the memory shared through it.
#pragma once

#include "libnpu/src/backend/backend.h"
#include "libnpu/src/backend/unique_fd.h"

namespace npu {

// Says HELLO on |socket| for device |index|.
Result<std::unique_ptr<Backend>> open_model(UniqueFd socket, uint32_t index);

// Asks how many devices the server behind |socket| has. 0 or an errno.
int ask_device_count(UniqueFd socket, uint32_t* out);

}  // namespace npu
