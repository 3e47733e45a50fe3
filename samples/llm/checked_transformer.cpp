// SPDX-License-Identifier: Apache-2.0
//
// Comparison of logits and of the tokens that they choose.
#include "samples/llm/checked_transformer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "samples/llm/sampler.h"

namespace npu::llm {

double logit_distance(std::span<const float> logits, std::span<const double> reference) {
  double largest = 0.0;
  for (size_t i = 0; i < logits.size(); ++i) {
    const double distance = std::abs(logits[i] - reference[i]);
    if (std::isnan(distance)) return std::numeric_limits<double>::infinity();
    largest = std::max(largest, distance);
  }
  return largest;
}

Result<std::span<const float>> CheckedTransformer::prefill(std::span<const int32_t> tokens,
                                                           uint32_t position) {
  Result<std::span<const float>> got = model_.prefill(tokens, position);
  if (!got.ok()) return got;
  Result<std::span<const float>> wanted = reference_.prefill(tokens, position);
  if (!wanted.ok()) return wanted;
  largest_difference_ = std::max(largest_difference_, logit_distance(*got, reference_.logits()));
  ++comparisons_;
  const std::span<const double> exact = reference_.logits();
  const auto best = std::max_element(exact.begin(), exact.end());
  const int32_t chosen = argmax(*got);
  if (chosen == best - exact.begin()) return got;
  return Error{ErrorCode::kMismatch,
               "after position " + std::to_string(cached() - 1) + " the NPU prefers token " +
                   std::to_string(chosen) + ", the reference token " +
                   std::to_string(best - exact.begin()) + " (ahead by " +
                   std::to_string(*best - exact[static_cast<size_t>(chosen)]) +
                   "); with --type bf16 that may be rounding, in f32 please report it"};
}

}  // namespace npu::llm
