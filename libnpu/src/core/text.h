// SPDX-License-Identifier: Apache-2.0
// Texts by printf's rules, as long as they come out. Thread safety: pure.
#pragma once

#include <string>

namespace npu {

[[gnu::format(printf, 1, 2)]] std::string formatted(const char* format, ...);

}  // namespace npu
