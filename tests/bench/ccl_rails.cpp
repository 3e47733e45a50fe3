// SPDX-License-Identifier: Apache-2.0
// Operations of two ranks over cables of a known rate between two network namespaces: measured against the time that the cables need at least, and against the flow model's prediction.
#include <cstdio>

#include "libnpu/ccl/schedule/problem.h"
#include "tests/bench/bench.h"
#include "tests/bench/measurement.h"
#include "tests/ccl/rails.h"

namespace npu::bench {
namespace {

constexpr uint32_t kRails[] = {1, 2, 4};
// So slow that two CPUs feed four of them; the bucket holds 2.5 ms, as the kernel is not always there in time.
constexpr test::Shape kShape{400'000'000, 125'000};
constexpr ccl::Op kOperations[] = {ccl::Op::kAllReduce, ccl::Op::kAllGather, ccl::Op::kSendRecv};
constexpr uint64_t kSizes[] = {16 << 20, 64 << 20};
// Between operations in a row there is no pause in which a bucket fills.
constexpr uint32_t kRepeats = 3, kInARow = 3;
constexpr double kGoal = 0.95;

bool measure(const test::RailPlan& plan, const test::Namespaces& namespaces,
             const std::string& folder) {
  const auto time = test::measure_rails(plan, namespaces,
                                        own_folder() + "/../../tools/npu-ccl-bench/npu-ccl-bench");
  if (!time) return false;
  Measurement m{.name = "ccl_rails_" + std::to_string(plan.rails) + "_" + ccl::name_of(plan.op) +
                        "_" + std::to_string(plan.bytes >> 20) + "MiB"};
  m.value = time->seconds * 1e3;
  m.unit = "ms";
  m.goal = kGoal;
  m.peer = "the cables need";
  m.peer_value = test::least_seconds(plan) * 1e3;
  bool good = publish(m, folder);
  m.name += "_predicted";
  m.peer = "predicted";
  m.peer_value = test::predicted_seconds(plan, time->algorithm) * 1e3;
  good &= publish(m, folder);
  return good;
}

}  // namespace

bool bench_ccl_rails(const std::string& folder) {
  bool good = true;
  for (const uint32_t rails : kRails) {
    test::Namespaces namespaces(rails);
    std::string cause = namespaces.cause();
    if (cause.empty() && !namespaces.shape(kShape)) cause = "no tc, or a kernel without sch_tbf";
    if (!cause.empty()) {
      std::fprintf(stderr, "npu_bench: no cables of a known rate: %s\n", cause.c_str());
      return false;
    }
    for (const ccl::Op op : kOperations) {
      for (const uint64_t bytes : kSizes) {
        good &= measure({op, bytes, rails, kShape, kRepeats, false, kInARow}, namespaces, folder);
      }
    }
  }
  return good;
}

}  // namespace npu::bench
