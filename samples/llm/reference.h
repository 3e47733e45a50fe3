// SPDX-License-Identifier: Apache-2.0
//
// ReferenceTransformer: the forward pass on the CPU in double precision, the oracle for the NPU's.
#ifndef SAMPLES_LLM_REFERENCE_H_
#define SAMPLES_LLM_REFERENCE_H_

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "samples/llm/checkpoint.h"
#include "samples/llm/transformer.h"

namespace npu::llm {

/// Written for obviousness, not for speed: each line follows the model's formula.
class ReferenceTransformer final : public Transformer {
 public:
  /// Widens all weights of `checkpoint`, which is not needed afterwards.
  static Result<std::unique_ptr<ReferenceTransformer>> create(const Checkpoint& checkpoint);

  const ModelConfig& config() const override { return config_; }
  uint32_t cached() const override { return cached_; }
  Result<std::span<const float>> prefill(std::span<const int32_t> tokens,
                                         uint32_t position) override;

  /// The last logits before their rounding to fp32.
  std::span<const double> logits() const { return logits_; }

 private:
  struct Matrix {
    std::vector<float> values;  // exact: every checkpoint type widens to fp32
    size_t rows = 0;
    size_t cols = 0;
  };
  struct Layer {
    Matrix attention_norm, wq, wk, wv, wo, ffn_norm, w1, w2, w3;
    std::vector<double> keys, values;  // [position x kv_dim], grown as positions come
  };
  using Vector = std::vector<double>;

  ReferenceTransformer() = default;
  static Matrix widened(const TensorView& tensor);
  static Vector product(const Matrix& matrix, const Vector& x);
  Vector normalised(const Matrix& gain, const Vector& x) const;
  void rotate(Vector& heads, uint32_t position) const;
  Vector attention(Layer& layer, const Vector& x, uint32_t position);
  void attend(const Layer& layer, const Vector& q, uint32_t head, uint32_t position,
              Vector& out) const;
  static Vector feed_forward(const Layer& layer, const Vector& x);
  Vector hidden_state(int32_t token, uint32_t position);
  const Matrix& output_matrix() const { return config_.tied_output ? embedding_ : output_; }

  ModelConfig config_;
  Matrix embedding_, final_norm_, output_;
  std::vector<Layer> layers_;
  uint32_t cached_ = 0;
  Vector logits_;
  std::vector<float> rounded_logits_;
};

}  // namespace npu::llm

#endif  // SAMPLES_LLM_REFERENCE_H_
