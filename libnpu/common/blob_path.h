// SPDX-License-Identifier: Apache-2.0
// Where a library's blob lies.
#pragma once

#include <string>

namespace npu::common {

// What the environment's |variable| names, else |file| in a folder above the file that this code was loaded from; empty: none.
std::string blob_path(const char* variable, const char* file);

}  // namespace npu::common
