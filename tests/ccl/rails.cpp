// SPDX-License-Identifier: Apache-2.0
#include "tests/ccl/rails.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <random>

#include "libnpu/ccl/schedule/cost.h"
#include "libnpu/ccl/schedule/predict.h"

namespace npu::test {
namespace {

constexpr uint32_t kRanks = 2;
constexpr uint64_t kChunkBytes = 512 << 10;  // npuCclCommInfo.chunk_bytes, its default
constexpr uint64_t kSliceBytes = 2 * kChunkBytes;

double payload_bytes_per_s(const RailPlan& plan) {
  return static_cast<double>(plan.shape.bits_per_s) / 8 * kPayloadBytes / kFrameBytes;
}

// Of the flow model's names; npu-ccl-bench has the same.
std::string command_of(const RailPlan& plan, const Namespaces& namespaces, uint32_t rank,
                       const std::string& id, const std::string& program) {
  std::string command = "NPU_DEVICE='model:maia100*2' NPU_CCL_RANK=" + std::to_string(rank) +
                        " NPU_CCL_RANKS=" + std::to_string(kRanks) + " NPU_CCL_ID=" + id +
                        " NPU_CCL_INTERFACE=" + namespaces.interfaces();
  for (const std::string& word : namespaces.prefix(rank)) command += " " + word;
  return command + " '" + program + "'" + (plan.least ? " --least" : "") + " --operation " +
         ccl::name_of(plan.op) + " --in-a-row " + std::to_string(plan.in_a_row) + " --repeats " +
         std::to_string(plan.repeats) + " --min-bytes " + std::to_string(plan.bytes) +
         " --max-bytes " + std::to_string(plan.bytes);
}

}  // namespace

double least_seconds(const RailPlan& plan) {
  const double sent = static_cast<double>(plan.bytes) * ccl::bus_factor(plan.op, kRanks);
  const double frames = sent * kFrameBytes / kPayloadBytes / plan.rails;
  return (frames - static_cast<double>(plan.shape.burst_bytes) / plan.in_a_row) * 8 /
         static_cast<double>(plan.shape.bits_per_s);
}

double predicted_seconds(const RailPlan& plan, ccl::Algorithm algorithm) {
  ccl::Question question;
  question.op = plan.op;
  question.size_bytes = static_cast<double>(plan.bytes);
  question.topology.nodes = kRanks;
  question.topology.up_links = plan.rails;
  question.topology.link_bytes_per_s = payload_bytes_per_s(plan);
  const uint64_t block = plan.op == ccl::Op::kAllGather ? plan.bytes / kRanks : plan.bytes;
  question.chunks = static_cast<uint32_t>(std::max<uint64_t>(block / kSliceBytes, 1));
  const ccl::Machine machine = ccl::Machine::of_model();
  question.costs.reduce_bytes_per_s = machine.reduce_bytes_per_s;
  question.costs.message_s = machine.alpha_s;
  return ccl::predict(question, algorithm).seconds;
}

std::optional<RailTime> measure_rails(const RailPlan& plan, const Namespaces& namespaces,
                                      const std::string& program) {
  std::random_device random;
  char end[48];
  // A port below those that the system hands out by itself.
  std::snprintf(end, sizeof(end), ":%u:%08x%08x%08x%08x", 20000 + random() % 10000, random(),
                random(), random(), random());
  const std::string id = Namespaces::address(0) + end;
  FILE* ends[kRanks];
  for (uint32_t rank = 0; rank < kRanks; rank++) {
    ends[rank] = popen(command_of(plan, namespaces, rank, id, program).c_str(), "r");
  }
  std::optional<RailTime> time;
  bool good = true;
  for (FILE* pipe : ends) {
    char line[512];
    while (pipe != nullptr && std::fgets(line, sizeof line, pipe) != nullptr) {
      char algorithm[32];
      double us = 0;
      if (std::sscanf(line, "%*u %*u %*s %*s %31s %lf", algorithm, &us) != 2) continue;
      const auto named = ccl::algorithm_named(algorithm);
      if (named) time = RailTime{us * 1e-6, *named};
    }
    good &= pipe != nullptr && pclose(pipe) == 0;
  }
  return good ? time : std::nullopt;
}

}  // namespace npu::test
