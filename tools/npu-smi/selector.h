// SPDX-License-Identifier: Apache-2.0
// -i: which devices. Indices and ranges, UUIDs, or PCI addresses; one kind in a call.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace npu::smi {

struct Selector {
  bool all = false;
  std::vector<uint32_t> indices;   // ascending, each once
  std::vector<std::string> names;  // UUIDs or PCI addresses, lower case
};

// Nothing: |text| is no selector; *error says why.
std::optional<Selector> parse_selector(const std::string& text, std::string* error);

}  // namespace npu::smi
