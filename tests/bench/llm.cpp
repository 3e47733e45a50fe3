// SPDX-License-Identifier: Apache-2.0
// Tokens per second of samples/llm on its own model, greedy, on the host's clock. No peer with the same weights is installable as a package: it stays null.
#include <cstdio>
#include <cstring>
#include <vector>

#include "tests/bench/bench.h"
#include "tests/bench/measurement.h"
#include "tests/bench/session.h"

namespace npu::bench {
namespace {

constexpr int kRuns = 3;

// Tokens per second of the phase "decode" in a report of the sample; negative: there is none.
double run_sample(const std::string& arguments) {
  const std::string command = "NPU_DEVICE='" + default_road() + "' '" + own_folder() +
                              "/../../samples/llm/llm' --temperature 0 --count 200 " + arguments +
                              " </dev/null";
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return -1;
  double found = -1;
  char line[4096];
  while (std::fgets(line, sizeof line, pipe) != nullptr) {
    unsigned tokens = 0;
    double speed = 0;
    if (std::sscanf(line, "decode %u tokens %lf tokens/s", &tokens, &speed) == 2) found = speed;
  }
  return pclose(pipe) == 0 ? found : -1;
}

}  // namespace

bool bench_llm(const std::string& folder) {
  bool good = true;
  for (const char* type : {"f32", "bf16"}) {
    std::vector<double> speeds;
    for (int i = 0; i < kRuns; i++) speeds.push_back(run_sample(std::string("--type ") + type));
    Measurement m{
        .name = std::string("llm_decode_") + type, .value = median(speeds), .unit = "tokens/s"};
    m.smaller_is_better = false;
    m.goal = 0.8;
    good &= m.value > 0 && publish(m, folder);
  }
  return good;
}

}  // namespace npu::bench
