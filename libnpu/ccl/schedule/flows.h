// SPDX-License-Identifier: Apache-2.0
// Flows: messages under way. Those that take the same links form a bundle: they share one rate, so what each has got since it started is read off one counter.
// A change costs as much as there are bundles, not flows; a group of thousands has few, once it is folded.
#pragma once

#include <cstdint>
#include <map>
#include <queue>
#include <vector>

#include "libnpu/ccl/schedule/fair_share.h"

namespace npu::ccl {

class Flows {
 public:
  // A flow of which no more than the part |tolerance| is left when another one ends, ends with it.
  Flows(const std::vector<double>& capacities, double tolerance)
      : sharing_(capacities), tolerance_(tolerance), carried_bytes_(capacities.size()) {}

  // The bundle of what takes |links|, at least one.
  uint32_t bundle_of(const std::vector<uint32_t>& links);
  void start(uint32_t bundle, uint32_t message, double bytes);
  bool empty() const { return active_.empty(); }
  // What the next change costs.
  size_t bundles() const { return active_.size(); }
  double tolerance() const { return tolerance_; }
  void raise_tolerance(double tolerance) { tolerance_ = tolerance; }
  // Until the next flow ends; infinity if there is none.
  double next_end_s();
  // |elapsed_s| later: the messages that have ended, in the order in which they started where they ended together.
  std::vector<uint32_t> advance(double elapsed_s);
  // By link: bytes of all flows that have started.
  const std::vector<double>& carried_bytes() const { return carried_bytes_; }

 private:
  struct Flow {
    double end_bytes;  // of Bundle::served_bytes
    double bytes;
    uint64_t number;
    uint32_t message;
    bool operator>(const Flow& other) const {
      return end_bytes != other.end_bytes ? end_bytes > other.end_bytes : number > other.number;
    }
  };
  struct Bundle {
    std::vector<uint32_t> links;
    double served_bytes = 0;  // to each flow, since there were none
    double bytes_per_s = 0;
    std::priority_queue<Flow, std::vector<Flow>, std::greater<>> flows;
  };

  void share();

  FairShare sharing_;
  double tolerance_;
  std::vector<double> carried_bytes_;
  std::vector<Bundle> bundles_;
  std::map<std::vector<uint32_t>, uint32_t> numbers_;  // of bundles, by their links
  std::vector<uint32_t> active_;                       // bundles with flows
  std::vector<FairShare::Flow> shares_;
  uint64_t started_ = 0;
  bool changed_ = false;  // flows, since share()
};

}  // namespace npu::ccl
