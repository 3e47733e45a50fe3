// SPDX-License-Identifier: Apache-2.0
#include "libnpu/ccl/schedule/fair_share.h"

#include <algorithm>
#include <limits>

namespace npu::ccl {

FairShare::FairShare(std::vector<double> capacities)
    : capacities_(std::move(capacities)), open_(capacities_.size()), users_(capacities_.size()) {}

void FairShare::share(std::span<Flow> flows) {
  // Links that fill up together must do so in one round in spite of rounding.
  constexpr double kSame = 1 + 1e-12;
  left_ = capacities_;
  for (uint32_t link : used_) users_[link].clear();
  used_.clear();
  for (uint32_t i = 0; i < flows.size(); i++) {
    flows[i].rate = -1;
    for (uint32_t link : flows[i].links) {
      if (users_[link].empty()) used_.push_back(link);
      users_[link].push_back(i);
    }
  }
  for (uint32_t link : used_) {
    open_[link] = 0;
    for (uint32_t user : users_[link]) open_[link] += flows[user].number;
  }
  for (;;) {
    double level = std::numeric_limits<double>::infinity();
    for (uint32_t link : used_) {
      if (open_[link] != 0) level = std::min(level, left_[link] / open_[link]);
    }
    if (level == std::numeric_limits<double>::infinity()) return;
    const double same = level * kSame;
    std::vector<uint32_t> full;
    for (uint32_t link : used_) {
      if (open_[link] != 0 && left_[link] <= same * open_[link]) full.push_back(link);
    }
    for (uint32_t link : full) {
      for (uint32_t user : users_[link]) {
        if (flows[user].rate >= 0) continue;
        flows[user].rate = level;
        for (uint32_t other : flows[user].links) {
          left_[other] = std::max(0.0, left_[other] - level * flows[user].number);
          open_[other] -= flows[user].number;
        }
      }
    }
  }
}

}  // namespace npu::ccl
