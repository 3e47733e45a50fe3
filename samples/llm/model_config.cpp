// SPDX-License-Identifier: Apache-2.0
//
// Plausibility rules for the sizes of a model.
#include "samples/llm/model_config.h"

#include <cmath>
#include <string>

namespace npu::llm {
namespace {

constexpr char kRemedy[] =
    "; the file is damaged or not a Llama checkpoint, fetch or export it again";

Failure check_size(const char* name, uint32_t value, uint32_t limit) {
  if (value >= 1 && value <= limit) return {};
  return Error{ErrorCode::kBadValue, std::string(name) + " is " + std::to_string(value) +
                                         ", not between 1 and " + std::to_string(limit) + kRemedy};
}

Failure check_multiple(const char* name, uint32_t value, const char* of_name, uint32_t of) {
  if (value % of == 0) return {};
  return Error{ErrorCode::kMismatch, std::string(name) + " (" + std::to_string(value) +
                                         ") is not a multiple of " + of_name + " (" +
                                         std::to_string(of) + ")" + kRemedy};
}

}  // namespace

Failure check_config(const ModelConfig& config) {
  if (auto bad = check_size("dim", config.dim, kMaxDim)) return bad;
  if (auto bad = check_size("hidden_dim", config.hidden_dim, kMaxDim)) return bad;
  if (auto bad = check_size("n_layers", config.layers, kMaxLayers)) return bad;
  if (auto bad = check_size("n_heads", config.heads, kMaxDim)) return bad;
  if (auto bad = check_size("n_kv_heads", config.kv_heads, kMaxDim)) return bad;
  if (auto bad = check_size("vocab_size", config.vocabulary, kMaxVocabulary)) return bad;
  if (auto bad = check_size("seq_len", config.context, kMaxContext)) return bad;
  if (auto bad = check_multiple("dim", config.dim, "n_heads", config.heads)) return bad;
  if (auto bad = check_multiple("n_heads", config.heads, "n_kv_heads", config.kv_heads)) return bad;
  if (auto bad = check_multiple("head size", config.head_size(), "a rotary pair", 2)) return bad;
  if (!std::isfinite(config.rope_base) || config.rope_base < 1.0) {
    return Error{ErrorCode::kBadValue, std::string("rope_theta is not a number >= 1") + kRemedy};
  }
  if (!(config.norm_epsilon > 0.0 && config.norm_epsilon < 1.0)) {
    return Error{ErrorCode::kBadValue,
                 std::string("rms_norm_eps is not between 0 and 1") + kRemedy};
  }
  return {};
}

}  // namespace npu::llm
