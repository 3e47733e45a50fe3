// SPDX-License-Identifier: Apache-2.0
// Grid: a text table whose columns are as wide as their widest cell.
#pragma once

#include <string>
#include <vector>

namespace npu::smi {

class Grid {
 public:
  // One letter a column: 'l' or 'r' for the side that cells lean to.
  explicit Grid(std::string sides) : sides_(std::move(sides)) {}
  // As many cells as columns.
  void row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  std::string text() const;

 private:
  const std::string sides_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace npu::smi
