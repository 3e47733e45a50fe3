// SPDX-License-Identifier: Apache-2.0
// What npu-fw inspect prints of a blob.
#pragma once

#include <string>

#include "tools/isa/blob.h"

namespace npu::isa {

std::string describe_text(const Blob& blob);
std::string describe_json(const Blob& blob);

}  // namespace npu::isa
