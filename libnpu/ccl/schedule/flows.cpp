// SPDX-License-Identifier: Apache-2.0
#include "libnpu/ccl/schedule/flows.h"

#include <algorithm>
#include <limits>

namespace npu::ccl {

uint32_t Flows::bundle_of(const std::vector<uint32_t>& links) {
  const auto [at, added] = numbers_.try_emplace(links, static_cast<uint32_t>(bundles_.size()));
  if (added) bundles_.emplace_back().links = links;
  return at->second;
}

void Flows::start(uint32_t number, uint32_t message, double bytes) {
  Bundle& bundle = bundles_[number];
  if (bundle.flows.empty()) {
    bundle.served_bytes = 0;
    active_.push_back(number);
  }
  bundle.flows.push({bundle.served_bytes + bytes, bytes, started_++, message});
  for (uint32_t link : bundle.links) carried_bytes_[link] += bytes;
  changed_ = true;
}

void Flows::share() {
  if (!changed_) return;
  shares_.clear();
  for (uint32_t number : active_) {
    const Bundle& bundle = bundles_[number];
    shares_.push_back({bundle.links, 0, static_cast<uint32_t>(bundle.flows.size())});
  }
  sharing_.share(shares_);
  for (size_t i = 0; i < active_.size(); i++) bundles_[active_[i]].bytes_per_s = shares_[i].rate;
  changed_ = false;
}

double Flows::next_end_s() {
  share();
  double next_s = std::numeric_limits<double>::infinity();
  for (uint32_t number : active_) {
    const Bundle& bundle = bundles_[number];
    const double left = std::max(0.0, bundle.flows.top().end_bytes - bundle.served_bytes);
    next_s = std::min(next_s, left / bundle.bytes_per_s);
  }
  return next_s;
}

std::vector<uint32_t> Flows::advance(double elapsed_s) {
  std::vector<Flow> ended;
  for (uint32_t number : active_) {
    Bundle& bundle = bundles_[number];
    bundle.served_bytes += elapsed_s * bundle.bytes_per_s;
    while (!bundle.flows.empty()) {
      const Flow& flow = bundle.flows.top();
      if (flow.end_bytes - bundle.served_bytes > flow.bytes * tolerance_) break;
      ended.push_back(flow);
      bundle.flows.pop();
    }
  }
  std::erase_if(active_, [&](uint32_t number) { return bundles_[number].flows.empty(); });
  changed_ = changed_ || !ended.empty();
  std::sort(ended.begin(), ended.end(),
            [](const Flow& a, const Flow& b) { return a.number < b.number; });
  std::vector<uint32_t> messages;
  for (const Flow& flow : ended) messages.push_back(flow.message);
  return messages;
}

}  // namespace npu::ccl
