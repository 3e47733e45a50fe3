// SPDX-License-Identifier: Apache-2.0
//
// ModelConfig: the sizes and constants of a Llama-architecture model.
#ifndef SAMPLES_LLM_MODEL_CONFIG_H_
#define SAMPLES_LLM_MODEL_CONFIG_H_

#include <cstdint>

#include "samples/llm/result.h"

namespace npu::llm {

/// Upper limits that keep every product of sizes far from 2^64 and refuse headers that lie.
inline constexpr uint32_t kMaxDim = 1u << 17;
inline constexpr uint32_t kMaxLayers = 1024;
inline constexpr uint32_t kMaxVocabulary = 1u << 20;
inline constexpr uint32_t kMaxContext = 1u << 20;

struct ModelConfig {
  uint32_t dim = 0;         // width of the residual stream
  uint32_t hidden_dim = 0;  // width inside the feed-forward block
  uint32_t layers = 0;
  uint32_t heads = 0;     // query heads
  uint32_t kv_heads = 0;  // key/value heads; `heads / kv_heads` query heads share one
  uint32_t vocabulary = 0;
  uint32_t context = 0;        // positions that the model was trained for
  bool tied_output = true;     // the output matrix is the token embedding
  double rope_base = 10000.0;  // pair i of a head turns by position * base^(-2i / head_size)
  double norm_epsilon = 1e-5;

  uint32_t head_size() const { return dim / heads; }
  uint32_t kv_dim() const { return head_size() * kv_heads; }
};

/// Refuses sizes that are zero, beyond the limits above, or that do not divide each other.
Failure check_config(const ModelConfig& config);

}  // namespace npu::llm

#endif  // SAMPLES_LLM_MODEL_CONFIG_H_
