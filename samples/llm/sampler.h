// SPDX-License-Identifier: Apache-2.0
//
// Sampler: chooses the next token from logits by temperature and top-p; temperature 0 is argmax.
#ifndef SAMPLES_LLM_SAMPLER_H_
#define SAMPLES_LLM_SAMPLER_H_

#include <cstdint>
#include <span>
#include <vector>

#include "samples/llm/result.h"

namespace npu::llm {

struct SamplerOptions {
  float temperature = 0.8f;  // 0: always the most probable token
  float top_p = 0.9f;        // keep the fewest most probable tokens that reach this sum; 1: all
  uint64_t seed = 1;
};

/// Index of the largest logit, the first one among equals. `logits` must not be empty.
int32_t argmax(std::span<const float> logits);

/// One stream of random choices: the same options and logits always give the same tokens.
/// Not thread-safe.
class Sampler {
 public:
  /// Refuses a negative or not finite temperature and a top_p outside (0, 1].
  static Result<Sampler> create(const SamplerOptions& options);

  /// The next token. Fails if `logits` is empty or holds a NaN or +infinity.
  Result<int32_t> sample(std::span<const float> logits);

 private:
  explicit Sampler(const SamplerOptions& options) : options_(options), state_(options.seed) {}
  double uniform();
  void keep_nucleus();

  struct Candidate {
    double probability;
    int32_t token;
  };

  SamplerOptions options_;
  uint64_t state_;
  std::vector<Candidate> candidates_;
};

}  // namespace npu::llm

#endif  // SAMPLES_LLM_SAMPLER_H_
