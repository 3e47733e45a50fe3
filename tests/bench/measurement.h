// SPDX-License-Identifier: Apache-2.0
// Measurement: one number, the peer's number of the same run, and their ratio; rounds of both take turns.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace npu::bench {

struct Measurement {
  std::string name;
  double value = 0;
  std::string unit = {};
  std::string peer = {};  // empty: none on this machine
  std::optional<double> peer_value = {};
  std::optional<double> goal = {};  // of the ratio
  bool smaller_is_better = true;
};

// > 1: better than the peer.
std::optional<double> ratio_of(const Measurement& measurement);

// One line for people on stdout, and |folder|/<name>.json.
bool publish(const Measurement& measurement, const std::string& folder);

// Seconds that one call of a body takes, as the median of |rounds|; the two take turns, so that a busy machine slows down both. A body without function is absent.
struct Paired {
  double ours_s = 0;
  std::optional<double> peer_s;
};
using Body = std::function<double()>;  // runs a round and returns seconds per unit of work
Paired measure_paired(int rounds, const Body& ours, const Body& peer);

double median(std::vector<double> values);

// Wall seconds of |body| divided by |count|.
template <typename F>
double seconds_per(int count, F body) {
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < count; i++) body();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  return took.count() / count;
}

}  // namespace npu::bench
