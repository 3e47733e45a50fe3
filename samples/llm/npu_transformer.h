// SPDX-License-Identifier: Apache-2.0
//
// NpuTransformer: the forward pass on the NPU. The host only submits launches and reads logits.
#ifndef SAMPLES_LLM_NPU_TRANSFORMER_H_
#define SAMPLES_LLM_NPU_TRANSFORMER_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "samples/llm/checkpoint.h"
#include "samples/llm/kernel_profile.h"
#include "samples/llm/npu_session.h"
#include "samples/llm/npu_weights.h"
#include "samples/llm/transformer.h"

namespace npu::llm {

struct NpuOptions {
  std::string selector;            // as for npuDeviceOpen; empty: the first device
  npuDataType type = NPU_FLOAT32;  // of weights, cache and activations; logits are always fp32
};

/// Weights, activations and the key/value cache stay in device memory. One in-order queue; one
/// wait for each forward pass.
///
/// A row of a layer's cache holds q, k and v of one position: the projection GEMM writes straight
/// into it, the rotation turns q and k in place, and attention reads from there. So keys and values
/// are never copied, at the price of `dim` elements for each position.
class NpuTransformer final : public Transformer {
 public:
  /// Opens a device and uploads `checkpoint`, which is not needed afterwards.
  static Result<std::unique_ptr<NpuTransformer>> create(const Checkpoint& checkpoint,
                                                        const NpuOptions& options);

  const ModelConfig& config() const override { return config_; }
  uint32_t cached() const override { return cached_; }
  Result<std::span<const float>> prefill(std::span<const int32_t> tokens,
                                         uint32_t position) override;

  const npuDeviceInfo& device() const { return session_->device(); }
  uint64_t weight_bytes() const { return weights_.bytes; }
  /// Passes from position 0 on or of several tokens, and all others.
  const KernelProfile& prefill_profile() const { return prefill_profile_; }
  const KernelProfile& decode_profile() const { return decode_profile_; }

 private:
  /// Tokens of one pass: rows of the activations, and their first position.
  struct Pass {
    uint32_t rows;
    uint32_t position;
  };

  NpuTransformer(const ModelConfig& config, std::unique_ptr<NpuSession> session)
      : config_(config), session_(std::move(session)) {}
  Failure allocate_state();
  Failure allocate_shared();
  Failure upload_rotation();

  Failure run_pass(std::span<const int32_t> tokens, uint32_t position, bool with_logits);
  Failure submit_pass(const Pass& pass, bool with_logits);
  Failure submit_attention(const NpuLayer& layer, npuDevPtr cache, const Pass& pass);
  Failure submit_feed_forward(const NpuLayer& layer, const Pass& pass);

  /// One launch each; they return libnpuops' error.
  Failure gather(const Pass& pass);
  Failure normalise(npuDevPtr x, npuDevPtr gain, uint32_t rows);
  /// D (+)= A weight^T, with `rows` rows of A and D at distances `lda` and `ldd`.
  struct Product {
    Step step;
    const WeightMatrix* weight;
    uint32_t rows;
    npuDevPtr a;
    uint64_t lda;
    npuDevPtr d;
    uint64_t ldd;
    bool accumulate;
    npuDataType out_type;
  };
  Failure multiply(const Product& product);
  Failure rotate(npuDevPtr rows_at, const Pass& pass);
  Failure attend(npuDevPtr cache, const Pass& pass);
  Failure activate(uint32_t rows);
  Failure launched(npuResult result, Step step, uint64_t value);

  uint64_t elem() const { return type_bytes(weights_.type); }
  uint64_t cache_row() const { return uint64_t{config_.dim} + 2 * config_.kv_dim(); }

  ModelConfig config_;
  std::unique_ptr<NpuSession> session_;
  NpuWeights weights_;
  std::vector<npuDevPtr> caches_;                  // for each layer [context x cache_row()]
  npuDevPtr cos_table_ = 0, sin_table_ = 0;        // [context x head_size / 2]
  npuDevPtr stream_ = 0, normed_ = 0, heads_ = 0;  // [rows x dim]
  npuDevPtr gate_up_ = 0;                          // [rows x 2 hidden_dim]
  npuDevPtr tokens_ = 0, logits_ = 0;              // shared with the host
  int32_t* host_tokens_ = nullptr;
  const float* host_logits_ = nullptr;

  uint32_t cached_ = 0;
  PassRecord record_;
  uint64_t last_value_ = 0;
  KernelProfile prefill_profile_, decode_profile_;
};

}  // namespace npu::llm

#endif  // SAMPLES_LLM_NPU_TRANSFORMER_H_
