// SPDX-License-Identifier: Apache-2.0
// Medians, pairing, and what is written.
#include "tests/bench/measurement.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

namespace npu::bench {
namespace {

nlohmann::ordered_json or_null(const std::optional<double>& value) {
  return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json(nullptr);
}

}  // namespace

std::optional<double> ratio_of(const Measurement& measurement) {
  if (!measurement.peer_value || measurement.value <= 0 || *measurement.peer_value <= 0) return {};
  return measurement.smaller_is_better ? *measurement.peer_value / measurement.value
                                       : measurement.value / *measurement.peer_value;
}

bool publish(const Measurement& m, const std::string& folder) {
  const std::optional<double> ratio = ratio_of(m);
  std::printf("%-34s %10.4g %-8s", m.name.c_str(), m.value, m.unit.c_str());
  if (ratio) std::printf("  %s %.4g, ratio %.2f", m.peer.c_str(), *m.peer_value, *ratio);
  if (ratio && m.goal) std::printf(" (goal %.2f%s)", *m.goal, *ratio >= *m.goal ? "" : ", MISSED");
  if (!ratio) std::printf("  no peer on this machine");
  std::printf("\n");
  std::fflush(stdout);

  nlohmann::ordered_json json;
  json["name"] = m.name;
  json["value"] = m.value;
  json["unit"] = m.unit;
  json["peer"] = m.peer.empty() || !m.peer_value ? nlohmann::ordered_json(nullptr)
                                                 : nlohmann::ordered_json(m.peer);
  json["peer_value"] = or_null(m.peer_value);
  json["ratio"] = or_null(ratio);
  json["goal"] = or_null(m.goal);
  std::ofstream file(folder + "/" + m.name + ".json");
  file << json.dump() << "\n";
  file.close();
  if (!file)
    std::fprintf(stderr, "npu_bench: '%s/%s.json' cannot be written\n", folder.c_str(),
                 m.name.c_str());
  return static_cast<bool>(file);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

Paired measure_paired(int rounds, const Body& ours, const Body& peer) {
  std::vector<double> our_times;
  std::vector<double> peer_times;
  ours();  // the first round of each only warms up
  if (peer) peer();
  for (int i = 0; i < rounds; i++) {
    our_times.push_back(ours());
    if (peer) peer_times.push_back(peer());
  }
  Paired result{median(our_times), {}};
  if (peer) result.peer_s = median(peer_times);
  return result;
}

}  // namespace npu::bench
