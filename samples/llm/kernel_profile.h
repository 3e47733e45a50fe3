// SPDX-License-Identifier: Apache-2.0
//
// KernelProfile: device time of the launches of forward passes, added up by what they compute.
#ifndef SAMPLES_LLM_KERNEL_PROFILE_H_
#define SAMPLES_LLM_KERNEL_PROFILE_H_

#include <npu/npu.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "samples/llm/result.h"

namespace npu::llm {

/// What a launch computes, in the order of a forward pass.
enum class Step : uint32_t {
  kEmbedding,
  kNorm,
  kProjection,
  kRotation,
  kAttention,
  kOutput,
  kGateUp,
  kActivation,
  kDown,
  kLogits,
  kCount,
};

/// Operator and purpose as they are printed, for example "gemm: q, k, v".
const char* step_name(Step step);

/// Sums of one phase (prefill or decode). Times are the device's own, in picoseconds.
struct KernelProfile {
  struct Row {
    uint64_t launches = 0;
    uint64_t busy_ps = 0;
  };
  std::array<Row, static_cast<size_t>(Step::kCount)> rows{};
  uint64_t passes = 0;
  uint64_t tokens = 0;
  uint64_t elapsed_ps = 0;  // from the start of a pass's first launch to the end of its last one

  uint64_t launches() const;
  uint64_t busy_ps() const;
  /// Tokens per second of device time; 0 before the first pass.
  double tokens_per_second() const;
};

/// The launches of the pass under way.
class PassRecord {
 public:
  void clear() { launches_.clear(); }
  void add(Step step, uint64_t value) { launches_.push_back({step, value}); }
  size_t size() const { return launches_.size(); }

  /// Reads the times of all launches, which must have completed, and adds them to `profile`.
  Failure collect(npuQueue queue, uint64_t tokens, KernelProfile& profile) const;

 private:
  struct Launch {
    Step step;
    uint64_t value;  // on the queue's timeline
  };
  std::vector<Launch> launches_;
};

/// The profile as a table, one line per step, the most expensive one first.
std::string format_profile(const KernelProfile& profile);

}  // namespace npu::llm

#endif  // SAMPLES_LLM_KERNEL_PROFILE_H_
