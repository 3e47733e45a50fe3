// SPDX-License-Identifier: Apache-2.0
//
// The Llama forward pass, one position at a time.
#include "samples/llm/reference.h"

#include <algorithm>
#include <cmath>
#include <new>

namespace npu::llm {

ReferenceTransformer::Matrix ReferenceTransformer::widened(const TensorView& tensor) {
  return {widen(tensor), tensor.rows, tensor.cols};
}

Result<std::unique_ptr<ReferenceTransformer>> ReferenceTransformer::create(
    const Checkpoint& checkpoint) try {
  std::unique_ptr<ReferenceTransformer> out(new ReferenceTransformer);
  out->config_ = checkpoint.config;
  out->embedding_ = widened(checkpoint.embedding);
  out->final_norm_ = widened(checkpoint.final_norm);
  if (!checkpoint.config.tied_output) out->output_ = widened(checkpoint.output);
  for (const LayerWeights& from : checkpoint.layers) {
    Layer& to = out->layers_.emplace_back();
    to.attention_norm = widened(from.attention_norm);
    to.wq = widened(from.wq);
    to.wk = widened(from.wk);
    to.wv = widened(from.wv);
    to.wo = widened(from.wo);
    to.ffn_norm = widened(from.ffn_norm);
    to.w1 = widened(from.w1);
    to.w2 = widened(from.w2);
    to.w3 = widened(from.w3);
  }
  return out;
} catch (const std::bad_alloc&) {
  return Error{ErrorCode::kNoMemory,
               "no host memory for the widened weights; use a smaller model or a larger machine"};
}

// Eight partial sums let the compiler use vector registers without reordering on its own.
ReferenceTransformer::Vector ReferenceTransformer::product(const Matrix& matrix, const Vector& x) {
  constexpr size_t kLanes = 8;
  Vector out(matrix.rows);
  for (size_t row = 0; row < matrix.rows; ++row) {
    const float* w = matrix.values.data() + row * matrix.cols;
    double partial[kLanes] = {};
    size_t k = 0;
    for (; k + kLanes <= matrix.cols; k += kLanes) {
      for (size_t lane = 0; lane < kLanes; ++lane) partial[lane] += w[k + lane] * x[k + lane];
    }
    double sum = 0.0;
    for (; k < matrix.cols; ++k) sum += w[k] * x[k];
    for (double lane : partial) sum += lane;
    out[row] = sum;
  }
  return out;
}

ReferenceTransformer::Vector ReferenceTransformer::normalised(const Matrix& gain,
                                                              const Vector& x) const {
  double squares = 0.0;
  for (double v : x) squares += v * v;
  const double scale =
      1.0 / std::sqrt(squares / static_cast<double>(x.size()) + config_.norm_epsilon);
  Vector out(x.size());
  for (size_t i = 0; i < x.size(); ++i) out[i] = x[i] * scale * gain.values[i];
  return out;
}

void ReferenceTransformer::rotate(Vector& heads, uint32_t position) const {
  const uint32_t head_size = config_.head_size();
  for (size_t i = 0; i < heads.size(); i += 2) {
    const double exponent = static_cast<double>(i % head_size) / head_size;
    const double angle = position * std::pow(config_.rope_base, -exponent);
    const double c = std::cos(angle), s = std::sin(angle);
    const double a = heads[i], b = heads[i + 1];
    heads[i] = a * c - b * s;
    heads[i + 1] = a * s + b * c;
  }
}

void ReferenceTransformer::attend(const Layer& layer, const Vector& q, uint32_t head,
                                  uint32_t position, Vector& out) const {
  const size_t head_size = config_.head_size(), kv_dim = config_.kv_dim();
  const size_t kv_head = head / (config_.heads / config_.kv_heads);
  const double* query = q.data() + head * head_size;
  const double scale = 1.0 / std::sqrt(static_cast<double>(head_size));

  Vector weight(position + 1);
  for (size_t t = 0; t <= position; ++t) {
    const double* key = layer.keys.data() + t * kv_dim + kv_head * head_size;
    double dot = 0.0;
    for (size_t i = 0; i < head_size; ++i) dot += query[i] * key[i];
    weight[t] = dot * scale;
  }
  const double highest = *std::max_element(weight.begin(), weight.end());
  double sum = 0.0;
  for (double& w : weight) sum += w = std::exp(w - highest);

  double* result = out.data() + head * head_size;
  for (size_t t = 0; t <= position; ++t) {
    const double* value = layer.values.data() + t * kv_dim + kv_head * head_size;
    for (size_t i = 0; i < head_size; ++i) result[i] += weight[t] / sum * value[i];
  }
}

ReferenceTransformer::Vector ReferenceTransformer::attention(Layer& layer, const Vector& x,
                                                             uint32_t position) {
  Vector q = product(layer.wq, x);
  Vector k = product(layer.wk, x);
  const Vector v = product(layer.wv, x);
  rotate(q, position);
  rotate(k, position);
  const size_t begin = size_t{position} * config_.kv_dim();
  layer.keys.resize(begin);
  layer.values.resize(begin);
  layer.keys.insert(layer.keys.end(), k.begin(), k.end());
  layer.values.insert(layer.values.end(), v.begin(), v.end());

  Vector heads(config_.dim, 0.0);
  for (uint32_t head = 0; head < config_.heads; ++head) attend(layer, q, head, position, heads);
  return product(layer.wo, heads);
}

ReferenceTransformer::Vector ReferenceTransformer::feed_forward(const Layer& layer,
                                                                const Vector& x) {
  Vector gate = product(layer.w1, x);
  const Vector up = product(layer.w3, x);
  for (size_t i = 0; i < gate.size(); ++i) gate[i] = gate[i] / (1.0 + std::exp(-gate[i])) * up[i];
  return product(layer.w2, gate);
}

ReferenceTransformer::Vector ReferenceTransformer::hidden_state(int32_t token, uint32_t position) {
  const float* row = embedding_.values.data() + size_t(token) * config_.dim;
  Vector x(row, row + config_.dim);
  auto add = [&x](const Vector& y) {
    for (size_t i = 0; i < x.size(); ++i) x[i] += y[i];
  };
  for (Layer& layer : layers_) {
    add(attention(layer, normalised(layer.attention_norm, x), position));
    add(feed_forward(layer, normalised(layer.ffn_norm, x)));
  }
  return x;
}

Result<std::span<const float>> ReferenceTransformer::prefill(std::span<const int32_t> tokens,
                                                             uint32_t position) try {
  if (auto bad = check_step(tokens, position)) return *bad;
  cached_ = position;
  Vector last;
  for (int32_t token : tokens) {
    last = hidden_state(token, cached_);
    ++cached_;
  }
  logits_ = product(output_matrix(), normalised(final_norm_, last));
  rounded_logits_.assign(logits_.begin(), logits_.end());
  return std::span<const float>(rounded_logits_);
} catch (const std::bad_alloc&) {
  cached_ = std::min(cached_, position);
  return Error{ErrorCode::kNoMemory,
               "no host memory for the key/value cache; generate fewer tokens"};
}

}  // namespace npu::llm
