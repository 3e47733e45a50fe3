// SPDX-License-Identifier: Apache-2.0
//
// CheckedTransformer: runs a model and its reference side by side and compares every choice.
#ifndef SAMPLES_LLM_CHECKED_TRANSFORMER_H_
#define SAMPLES_LLM_CHECKED_TRANSFORMER_H_

#include <cstdint>
#include <span>

#include "samples/llm/reference.h"
#include "samples/llm/transformer.h"

namespace npu::llm {

/// Gives the logits of `model`, after `reference` evaluated the same tokens. Fails with kMismatch
/// where the two would choose different tokens at temperature 0. Borrows both.
class CheckedTransformer final : public Transformer {
 public:
  CheckedTransformer(Transformer& model, ReferenceTransformer& reference)
      : model_(model), reference_(reference) {}

  const ModelConfig& config() const override { return model_.config(); }
  uint32_t cached() const override { return model_.cached(); }
  Result<std::span<const float>> prefill(std::span<const int32_t> tokens,
                                         uint32_t position) override;

  /// Of all comparisons so far; a NaN counts as infinity.
  double largest_difference() const { return largest_difference_; }
  uint32_t comparisons() const { return comparisons_; }

 private:
  Transformer& model_;
  ReferenceTransformer& reference_;
  double largest_difference_ = 0.0;
  uint32_t comparisons_ = 0;
};

/// The largest distance of two logits; infinity if one of them is a NaN.
double logit_distance(std::span<const float> logits, std::span<const double> reference);

}  // namespace npu::llm

#endif  // SAMPLES_LLM_CHECKED_TRANSFORMER_H_
