// SPDX-License-Identifier: Apache-2.0
//
// Softmax with temperature, nucleus selection and the random stream.
#include "samples/llm/sampler.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace npu::llm {

int32_t argmax(std::span<const float> logits) {
  return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

Result<Sampler> Sampler::create(const SamplerOptions& options) {
  if (!std::isfinite(options.temperature) || options.temperature < 0.0f) {
    return Error{ErrorCode::kOutOfRange, "temperature " + std::to_string(options.temperature) +
                                             " is not a number >= 0; 0 is greedy, 0.8 is usual"};
  }
  if (!(options.top_p > 0.0f && options.top_p <= 1.0f)) {
    return Error{ErrorCode::kOutOfRange, "top-p " + std::to_string(options.top_p) +
                                             " is not above 0 and at most 1; 1 keeps all tokens"};
  }
  return Sampler(options);
}

// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014), 53 bits.
double Sampler::uniform() {
  state_ += 0x9e3779b97f4a7c15u;
  uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  z ^= z >> 31;
  return static_cast<double>(z >> 11) * 0x1p-53;
}

// candidates_ becomes its most probable part; equal probabilities rank by token number, so that the
// choice does not depend on the sorting algorithm.
void Sampler::keep_nucleus() {
  std::sort(candidates_.begin(), candidates_.end(), [](const Candidate& a, const Candidate& b) {
    return a.probability != b.probability ? a.probability > b.probability : a.token < b.token;
  });
  double sum = 0.0;
  for (size_t i = 0; i < candidates_.size(); ++i) {
    sum += candidates_[i].probability;
    if (sum >= options_.top_p) {
      candidates_.resize(i + 1);
      return;
    }
  }
}

Result<int32_t> Sampler::sample(std::span<const float> logits) {
  float highest = -INFINITY;
  for (float logit : logits) {
    if (std::isnan(logit) || logit == INFINITY) {
      return Error{ErrorCode::kBadValue,
                   "the model computed a logit that is not a finite number; the checkpoint is "
                   "damaged or its numbers overflow the chosen type"};
    }
    highest = std::max(highest, logit);
  }
  if (highest == -INFINITY) {
    return Error{ErrorCode::kBadValue,
                 "the model computed no usable logit; the checkpoint is damaged"};
  }
  if (options_.temperature == 0.0f) return argmax(logits);

  candidates_.clear();
  double sum = 0.0;
  for (size_t i = 0; i < logits.size(); ++i) {
    const double scaled = (double{logits[i]} - highest) / options_.temperature;
    candidates_.push_back({std::exp(scaled), static_cast<int32_t>(i)});
    sum += candidates_.back().probability;
  }
  // A token below this cannot be in the nucleus: without it, the n - 1 others hold top_p already.
  const double others = static_cast<double>(std::max<size_t>(logits.size(), 2) - 1);
  const double least = options_.top_p < 1.0f ? (1.0 - options_.top_p) / others : 0.0;
  for (Candidate& candidate : candidates_) candidate.probability /= sum;
  std::erase_if(candidates_, [&](const Candidate& c) { return c.probability < least; });
  if (options_.top_p < 1.0f) keep_nucleus();

  double kept = 0.0;
  for (const Candidate& candidate : candidates_) kept += candidate.probability;
  double rest = uniform() * kept;
  for (const Candidate& candidate : candidates_) {
    rest -= candidate.probability;
    if (rest < 0.0) return candidate.token;
  }
  return candidates_.back().token;
}

}  // namespace npu::llm
