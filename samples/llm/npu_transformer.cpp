// SPDX-License-Identifier: Apache-2.0
//
// Construction of the NPU's state, and the order of launches in a forward pass.
#include "samples/llm/npu_transformer.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <new>

#include "samples/llm/npu_error.h"

namespace npu::llm {
namespace {

// Longer prompts go in parts of so many tokens, which bounds the activations.
constexpr uint32_t kPassTokens = 512;
constexpr uint32_t kLaunchesPerLayer = 9;
constexpr uint32_t kLaunchesAround = 3;  // embedding, final norm, logits
constexpr uint32_t kRingEntriesLeast = 1024;

// Room for a whole pass, so that the times of all its launches can be read at its end.
uint32_t ring_entries_for(const ModelConfig& config) {
  const uint32_t launches = config.layers * kLaunchesPerLayer + kLaunchesAround;
  return std::max(std::bit_ceil(launches), kRingEntriesLeast);
}

template <typename Info>
Info make_info() {
  Info info{};
  info.struct_size = sizeof(info);
  return info;
}

}  // namespace

Result<std::unique_ptr<NpuTransformer>> NpuTransformer::create(const Checkpoint& checkpoint,
                                                               const NpuOptions& options) try {
  auto session = NpuSession::open(options.selector, ring_entries_for(checkpoint.config));
  if (!session.ok()) return session.error();
  std::unique_ptr<NpuTransformer> out(
      new NpuTransformer(checkpoint.config, std::move(session).value()));
  auto weights = upload_weights(*out->session_, checkpoint, options.type);
  if (!weights.ok()) return weights.error();
  out->weights_ = std::move(weights).value();
  if (auto bad = out->allocate_state()) return *bad;
  if (auto bad = out->allocate_shared()) return *bad;
  if (auto bad = out->upload_rotation()) return *bad;
  return out;
} catch (const std::bad_alloc&) {
  return Error{ErrorCode::kNoMemory, "no host memory for the model; close other programs"};
}

Failure NpuTransformer::allocate_state() {
  const uint64_t rows = std::min(config_.context, kPassTokens);
  const uint64_t stream_bytes = rows * config_.dim * elem();
  caches_.resize(config_.layers);
  auto allocate = [this](uint64_t bytes, npuDevPtr& out) -> Failure {
    Result<npuDevPtr> memory = session_->allocate(NPU_MEM_DEVICE, bytes);
    if (!memory.ok()) return memory.error();
    out = *memory;
    return {};
  };
  for (npuDevPtr* out : {&stream_, &normed_, &heads_}) {
    if (auto bad = allocate(stream_bytes, *out)) return bad;
  }
  if (auto bad = allocate(rows * 2 * config_.hidden_dim * elem(), gate_up_)) return bad;
  for (npuDevPtr& cache : caches_) {
    if (auto bad = allocate(config_.context * cache_row() * elem(), cache)) return bad;
  }
  return {};
}

// Token numbers and logits pass through memory that host and device share: no copy commands.
Failure NpuTransformer::allocate_shared() {
  auto share = [this](uint64_t bytes, npuDevPtr& out, auto*& host) -> Failure {
    Result<npuDevPtr> memory = session_->allocate(NPU_MEM_HOST, bytes);
    if (!memory.ok()) return memory.error();
    out = *memory;
    Result<void*> view = session_->map(out, bytes);
    if (!view.ok()) return view.error();
    host = static_cast<std::remove_reference_t<decltype(host)>>(*view);
    return {};
  };
  if (auto bad = share(kPassTokens * sizeof(int32_t), tokens_, host_tokens_)) return bad;
  return share(config_.vocabulary * sizeof(float), logits_, host_logits_);
}

Failure NpuTransformer::upload_rotation() {
  const size_t elements = size_t{config_.context} * (config_.head_size() / 2);
  std::vector<float> cosines(elements), sines(elements);
  const npuResult result = npuOpsRopeTable(config_.rope_base, config_.head_size(), config_.context,
                                           cosines.data(), sines.data());
  if (result != NPU_OK) return npu_ops_error(result, "making the rotary tables");
  auto upload = [this](const std::vector<float>& table, npuDevPtr& out) -> Failure {
    const uint64_t bytes = table.size() * sizeof(float);
    Result<npuDevPtr> memory = session_->allocate(NPU_MEM_DEVICE, bytes);
    if (!memory.ok()) return memory.error();
    out = *memory;
    return session_->copy_to_device(out, table.data(), bytes);
  };
  if (auto bad = upload(cosines, cos_table_)) return bad;
  return upload(sines, sin_table_);
}

Result<std::span<const float>> NpuTransformer::prefill(std::span<const int32_t> tokens,
                                                       uint32_t position) try {
  if (auto bad = check_step(tokens, position)) return *bad;
  cached_ = position;
  while (!tokens.empty()) {
    const auto part = tokens.first(std::min<size_t>(tokens.size(), kPassTokens));
    tokens = tokens.subspan(part.size());
    if (auto bad = run_pass(part, cached_, tokens.empty())) {
      cached_ = position;
      return *bad;
    }
    cached_ += static_cast<uint32_t>(part.size());
  }
  return std::span<const float>(host_logits_, config_.vocabulary);
} catch (const std::bad_alloc&) {
  cached_ = std::min(cached_, position);
  return Error{ErrorCode::kNoMemory, "no host memory for a forward pass; close other programs"};
}

Failure NpuTransformer::run_pass(std::span<const int32_t> tokens, uint32_t position,
                                 bool with_logits) {
  const Pass pass{static_cast<uint32_t>(tokens.size()), position};
  std::copy(tokens.begin(), tokens.end(), host_tokens_);
  record_.clear();
  const Failure submitted = submit_pass(pass, with_logits);
  // Also after a refused launch: those before it still use the buffers.
  Failure waited;
  if (record_.size() != 0) waited = session_->wait(last_value_);
  // A stopped queue refuses launches too; the wait tells why it stopped.
  if (waited) return waited;
  if (submitted) return submitted;
  const bool is_decode = pass.rows == 1 && position != 0;
  return record_.collect(session_->queue(), pass.rows,
                         is_decode ? decode_profile_ : prefill_profile_);
}

Failure NpuTransformer::submit_pass(const Pass& pass, bool with_logits) {
  if (auto bad = gather(pass)) return bad;
  for (size_t i = 0; i < caches_.size(); ++i) {
    if (auto bad = submit_attention(weights_.layers[i], caches_[i], pass)) return bad;
    if (auto bad = submit_feed_forward(weights_.layers[i], pass)) return bad;
  }
  if (!with_logits) return {};
  const uint64_t last_row = uint64_t{pass.rows - 1} * config_.dim * elem();
  if (auto bad = normalise(stream_ + last_row, weights_.final_norm, 1)) return bad;
  return multiply({Step::kLogits, &weights_.logits, 1, normed_, config_.dim, logits_,
                   config_.vocabulary, false, NPU_FLOAT32});
}

// stream += attention(norm(stream))
Failure NpuTransformer::submit_attention(const NpuLayer& layer, npuDevPtr cache, const Pass& pass) {
  const npuDevPtr rows_at = cache + pass.position * cache_row() * elem();
  if (auto bad = normalise(stream_, layer.attention_norm, pass.rows)) return bad;
  if (auto bad = multiply({Step::kProjection, &layer.projection, pass.rows, normed_, config_.dim,
                           rows_at, cache_row(), false, weights_.type})) {
    return bad;
  }
  if (auto bad = rotate(rows_at, pass)) return bad;
  if (auto bad = attend(cache, pass)) return bad;
  return multiply({Step::kOutput, &layer.output, pass.rows, heads_, config_.dim, stream_,
                   config_.dim, true, weights_.type});
}

// stream += down(silu(gate(norm(stream))) * up(norm(stream)))
Failure NpuTransformer::submit_feed_forward(const NpuLayer& layer, const Pass& pass) {
  const uint64_t width = 2 * uint64_t{config_.hidden_dim};
  if (auto bad = normalise(stream_, layer.ffn_norm, pass.rows)) return bad;
  if (auto bad = multiply({Step::kGateUp, &layer.gate_up, pass.rows, normed_, config_.dim, gate_up_,
                           width, false, weights_.type})) {
    return bad;
  }
  if (auto bad = activate(pass.rows)) return bad;
  return multiply({Step::kDown, &layer.down, pass.rows, gate_up_, width, stream_, config_.dim, true,
                   weights_.type});
}

Failure NpuTransformer::launched(npuResult result, Step step, uint64_t value) {
  if (result != NPU_OK) return npu_ops_error(result, step_name(step));
  last_value_ = value;
  record_.add(step, value);
  return {};
}

Failure NpuTransformer::gather(const Pass& pass) {
  auto info = make_info<npuOpsRowsInfo>();
  info.type = info.out_type = weights_.type;
  info.count = pass.rows;
  info.cols = config_.dim;
  info.table_rows = config_.vocabulary;
  info.x = weights_.embedding;
  info.y = stream_;
  info.indices = tokens_;
  uint64_t value = 0;
  const npuResult result = npuOpsGather(session_->ops(), session_->queue(), &info, &value);
  return launched(result, Step::kEmbedding, value);
}

Failure NpuTransformer::normalise(npuDevPtr x, npuDevPtr gain, uint32_t rows) {
  auto info = make_info<npuOpsNormInfo>();
  info.type = weights_.type;
  info.rows = rows;
  info.cols = config_.dim;
  info.x = x;
  info.y = normed_;
  info.weight = gain;
  info.eps = static_cast<float>(config_.norm_epsilon);
  uint64_t value = 0;
  const npuResult result = npuOpsRmsNorm(session_->ops(), session_->queue(), &info, &value);
  return launched(result, Step::kNorm, value);
}

Failure NpuTransformer::multiply(const Product& product) {
  auto info = make_info<npuOpsGemmInfo>();
  info.type = weights_.type;
  info.out_type = product.out_type;
  const bool decodes = product.rows == 1;
  info.b_form = decodes ? NPU_OPS_TRANSPOSED : NPU_OPS_PACKED;
  info.order = decodes ? NPU_OPS_ORDER_TREE : NPU_OPS_ORDER_CHAIN;
  info.m = product.rows;
  info.n = product.weight->n;
  info.k = product.weight->k;
  info.a = product.a;
  info.lda = product.lda;
  info.b = decodes ? product.weight->rows : product.weight->packed;
  info.d = product.d;
  info.ldd = product.ldd;
  info.alpha = 1.0f;
  if (product.accumulate) {
    info.c = product.d;
    info.ldc = product.ldd;
    info.beta = 1.0f;
  }
  uint64_t value = 0;
  const npuResult result = npuOpsGemm(session_->ops(), session_->queue(), &info, &value);
  return launched(result, product.step, value);
}

// The heads of q and of k lie side by side in a row of the cache: one rotation turns them all.
Failure NpuTransformer::rotate(npuDevPtr rows_at, const Pass& pass) {
  auto info = make_info<npuOpsRopeInfo>();
  info.type = weights_.type;
  info.tokens = pass.rows;
  info.heads = config_.heads + config_.kv_heads;
  info.head_dim = config_.head_size();
  info.start = pass.position;
  info.x = info.y = rows_at;
  info.x_token_stride = info.y_token_stride = cache_row();
  info.x_head_stride = info.y_head_stride = config_.head_size();
  info.cos_table = cos_table_;
  info.sin_table = sin_table_;
  info.table_rows = config_.context;
  uint64_t value = 0;
  const npuResult result = npuOpsRope(session_->ops(), session_->queue(), &info, &value);
  return launched(result, Step::kRotation, value);
}

Failure NpuTransformer::attend(npuDevPtr cache, const Pass& pass) {
  const uint64_t head_size = config_.head_size();
  const npuOpsStrides in_cache{config_.context * cache_row(), head_size, cache_row()};
  auto info = make_info<npuOpsAttentionInfo>();
  info.type = weights_.type;
  info.batch = 1;
  info.heads = config_.heads;
  info.kv_heads = config_.kv_heads;
  info.q_len = pass.rows;
  info.kv_len = pass.position + pass.rows;
  info.head_dim = config_.head_size();
  info.causal = 1;
  info.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(head_size)));
  info.q = cache + pass.position * cache_row() * elem();
  info.k = cache + config_.dim * elem();
  info.v = info.k + config_.kv_dim() * elem();
  info.o = heads_;
  info.q_strides = info.k_strides = info.v_strides = in_cache;
  info.o_strides = {uint64_t{kPassTokens} * config_.dim, head_size, config_.dim};
  uint64_t value = 0;
  const npuResult result = npuOpsAttention(session_->ops(), session_->queue(), &info, &value);
  return launched(result, Step::kAttention, value);
}

Failure NpuTransformer::activate(uint32_t rows) {
  auto info = make_info<npuOpsElementwiseInfo>();
  info.type = info.out_type = weights_.type;
  info.rows = rows;
  info.cols = config_.hidden_dim;
  info.x = info.y = gate_up_;
  info.b = gate_up_ + config_.hidden_dim * elem();
  info.ldx = info.ldb = info.ldy = 2 * uint64_t{config_.hidden_dim};
  uint64_t value = 0;
  const npuResult result = npuOpsSiluMul(session_->ops(), session_->queue(), &info, &value);
  return launched(result, Step::kActivation, value);
}

}  // namespace npu::llm
