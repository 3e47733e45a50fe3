// SPDX-License-Identifier: Apache-2.0
// Tokens per second of samples/llm on its own model, shakespeare-3M, greedy, on the host's clock; for fp32 beside llama.cpp on the CPU, with the same weights, number of tokens and threads.
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "tests/bench/bench.h"
#include "tests/bench/measurement.h"
#include "tests/bench/session.h"

namespace npu::bench {
namespace {

constexpr int kRuns = 5;
constexpr int kTokens = 200;

// Tokens per second of the phase "decode" in a report of the sample; negative: there is none.
double run_sample(const std::string& arguments) {
  const std::string command = "NPU_DEVICE='" + default_road() + "' '" + own_folder() +
                              "/../../samples/llm/llm' --temperature 0 --count " +
                              std::to_string(kTokens) + " " + arguments + " </dev/null";
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

// The same of llama-bench; negative: it is not there.
double run_llama() {
  const std::string command =
      std::string("'") + NPU_BENCH_PEERS + "' llama shakespeare-3M/gguf/shakespeare-3M-f32.gguf " +
      std::to_string(kTokens) + " " + std::to_string(std::thread::hardware_concurrency());
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return -1;
  std::string text;
  char line[4096];
  while (std::fgets(line, sizeof line, pipe) != nullptr) text += line;
  if (pclose(pipe) != 0) return -1;
  const nlohmann::json rows = nlohmann::json::parse(text, nullptr, false);
  if (!rows.is_array() || rows.empty()) return -1;
  return rows[0].value("avg_ts", -1.0);
}

}  // namespace

bool bench_llm(const std::string& folder) {
  bool good = true;
  const bool has_llama = run_llama() > 0;  // a warm-up too
  if (!has_llama) {
    std::fprintf(
        stderr, "npu_bench: llama.cpp was not measured (./dev integrations build ggml, as root)\n");
  }
  for (const std::string type : {"f32", "bf16"}) {
    const bool has_peer = has_llama && type == "f32";
    std::vector<double> ours, theirs;
    for (int i = 0; i < kRuns; i++) {
      ours.push_back(run_sample("--type " + type));
      if (has_peer) theirs.push_back(run_llama());
    }
    Measurement m{.name = "llm_decode_" + type, .value = median(ours), .unit = "tokens/s"};
    m.smaller_is_better = false;
    m.goal = 0.8;
    if (has_peer) {
      m.peer = "llama.cpp, CPU";
      m.peer_value = median(theirs);
    }
    good &= m.value > 0 && publish(m, folder);
  }
  return good;
}

}  // namespace npu::bench
