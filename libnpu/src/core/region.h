// SPDX-License-Identifier: Apache-2.0
// Region: which memory an object is made of.
#pragma once

namespace npu {

enum class Region { kSystem, kHbm };

}  // namespace npu
