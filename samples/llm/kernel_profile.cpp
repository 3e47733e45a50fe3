// SPDX-License-Identifier: Apache-2.0
//
// Reading of launch times, sums, and the printed table.
#include "samples/llm/kernel_profile.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <numeric>

#include "samples/llm/npu_error.h"

namespace npu::llm {
namespace {

constexpr double kPicosecondsPerSecond = 1e12;
constexpr double kPicosecondsPerMicrosecond = 1e6;

double ratio(uint64_t part, uint64_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

const char* step_name(Step step) {
  switch (step) {
    case Step::kEmbedding:
      return "gather: embedding";
    case Step::kNorm:
      return "rms_norm";
    case Step::kProjection:
      return "gemm: q, k, v";
    case Step::kRotation:
      return "rope";
    case Step::kAttention:
      return "attention";
    case Step::kOutput:
      return "gemm: attention output";
    case Step::kGateUp:
      return "gemm: gate and up";
    case Step::kActivation:
      return "silu_mul";
    case Step::kDown:
      return "gemm: down";
    case Step::kLogits:
      return "gemm: logits";
    case Step::kCount:
      break;
  }
  return "?";
}

uint64_t KernelProfile::launches() const {
  return std::accumulate(rows.begin(), rows.end(), uint64_t{0},
                         [](uint64_t sum, const Row& row) { return sum + row.launches; });
}

uint64_t KernelProfile::busy_ps() const {
  return std::accumulate(rows.begin(), rows.end(), uint64_t{0},
                         [](uint64_t sum, const Row& row) { return sum + row.busy_ps; });
}

double KernelProfile::tokens_per_second() const {
  return ratio(tokens, elapsed_ps) * kPicosecondsPerSecond;
}

Failure PassRecord::collect(npuQueue queue, uint64_t tokens, KernelProfile& profile) const {
  npuTiming first{}, timing{};
  for (size_t i = 0; i < launches_.size(); ++i) {
    timing.struct_size = sizeof(timing);
    const npuResult result = npuQueueGetTiming(queue, launches_[i].value, &timing);
    if (result != NPU_OK) return npu_error(result, "reading the device time of a launch");
    if (i == 0) first = timing;
    KernelProfile::Row& row = profile.rows[static_cast<size_t>(launches_[i].step)];
    ++row.launches;
    row.busy_ps += timing.end_ps - timing.start_ps;
  }
  profile.elapsed_ps += timing.end_ps - first.start_ps;
  profile.tokens += tokens;
  ++profile.passes;
  return {};
}

std::string format_profile(const KernelProfile& profile) {
  constexpr size_t kRows = static_cast<size_t>(Step::kCount);
  std::array<size_t, kRows> order;
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return profile.rows[a].busy_ps > profile.rows[b].busy_ps;
  });
  std::string out;
  char line[128];
  auto append = [&](const char* name, uint64_t launches, uint64_t ps) {
    std::snprintf(line, sizeof(line), "%-24s %9.1f %11.3f %6.1f %%\n", name,
                  ratio(launches, profile.passes),
                  ratio(ps, profile.tokens) / kPicosecondsPerMicrosecond,
                  100.0 * ratio(ps, profile.elapsed_ps));
    out += line;
  };
  std::snprintf(line, sizeof(line), "%-24s %9s %11s %8s\n", "kernel", "launches", "us/token",
                "share");
  out += line;
  for (size_t i : order) {
    const KernelProfile::Row& row = profile.rows[i];
    if (row.launches != 0) append(step_name(static_cast<Step>(i)), row.launches, row.busy_ps);
  }
  const uint64_t busy = profile.busy_ps();
  if (profile.elapsed_ps > busy) append("between launches", 0, profile.elapsed_ps - busy);
  append("one token", profile.launches(), profile.elapsed_ps);
  return out;
}

}  // namespace npu::llm
