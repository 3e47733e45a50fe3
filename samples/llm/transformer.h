// SPDX-License-Identifier: Apache-2.0
//
// Transformer: what the text generator needs of a forward pass, on the CPU or on the NPU.
#ifndef SAMPLES_LLM_TRANSFORMER_H_
#define SAMPLES_LLM_TRANSFORMER_H_

#include <cstdint>
#include <span>

#include "samples/llm/model_config.h"
#include "samples/llm/result.h"

namespace npu::llm {

/// A loaded model with its key/value cache, which holds positions [0, cached()). Implementations
/// are made by a static `create(const Checkpoint&, ...)` and are not thread-safe.
class Transformer {
 public:
  virtual ~Transformer() = default;

  virtual const ModelConfig& config() const = 0;

  /// Number of positions in the cache.
  virtual uint32_t cached() const = 0;

  /// Evaluates `tokens` at positions position, position + 1, ... in one go, writes their keys and
  /// values into the cache, and returns the logits after the last of them: config().vocabulary
  /// numbers that stay valid until the next call. `position` is at most cached(); a smaller one
  /// forgets what came after it. On an error the cache keeps what it held below `position`.
  virtual Result<std::span<const float>> prefill(std::span<const int32_t> tokens,
                                                 uint32_t position) = 0;

  /// One step of generation: prefill of a single token.
  Result<std::span<const float>> forward(int32_t token, uint32_t position) {
    return prefill({&token, 1}, position);
  }

 protected:
  /// The argument check that every implementation begins with.
  Failure check_step(std::span<const int32_t> tokens, uint32_t position) const;
};

}  // namespace npu::llm

#endif  // SAMPLES_LLM_TRANSFORMER_H_
