// SPDX-License-Identifier: Apache-2.0
// Which rank this process is: by variables, else by the PMIx server that started it.
#pragma once

#include <npu/npu_ccl.h>

#include <chrono>

namespace npu::ccl {

// Everything but struct_size.
npuResult get_world(std::chrono::milliseconds timeout, npuCclWorld* out);

// The parts of it. NOT_FOUND without a text: this is not what tells.
npuResult world_of_variables(npuCclWorld* out);
npuResult world_of_pmix(std::chrono::milliseconds timeout, npuCclWorld* out);

}  // namespace npu::ccl
