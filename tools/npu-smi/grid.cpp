// SPDX-License-Identifier: Apache-2.0
// Laying out a Grid.
#include "tools/npu-smi/grid.h"

#include <algorithm>

namespace npu::smi {

std::string Grid::text() const {
  std::vector<size_t> widths(sides_.size(), 0);
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); i++) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const auto& row : rows_) {
    std::string line;
    for (size_t i = 0; i < row.size(); i++) {
      const std::string pad(widths[i] - row[i].size(), ' ');
      line += (i == 0 ? "" : "  ") + (sides_[i] == 'r' ? pad + row[i] : row[i] + pad);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

}  // namespace npu::smi
