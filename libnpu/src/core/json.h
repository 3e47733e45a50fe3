// SPDX-License-Identifier: Apache-2.0
// Texts as JSON.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace npu {

// |text|, at most |bytes_most| of it, between quotes of JSON or dot. What is not printable ASCII becomes a question mark.
std::string json_quoted(const char* text, size_t bytes_most = SIZE_MAX);

// "0x1f", with the quotes: JSON has no such numbers.
std::string json_hex(uint64_t value);

}  // namespace npu
