/* SPDX-License-Identifier: Apache-2.0 */
/* Trains a small transformer on the NPU: forward, backward and optimiser are operators of libnpuops; the host only picks text. The loss of the first step is compared with double precision on the CPU. */
#include <cmath>
#include <cstdio>
#include <vector>

#include "samples/train/device.h"
#include "samples/train/model.h"
#include "samples/train/reference.h"

namespace {

// What a layer leaves for the way back.
struct Saved {
  npuDevPtr x = array(kTokens * kDim), normal1 = array(kTokens * kDim);
  npuDevPtr qkv = array(kTokens * kQkv), attended = array(kTokens * kDim);
  npuDevPtr lse = array(kTokens * kHeads), middle = array(kTokens * kDim);
  npuDevPtr normal2 = array(kTokens * kDim), gate = array(kTokens * kHidden);
  npuDevPtr up = array(kTokens * kHidden), hidden = array(kTokens * kHidden);
};

class Trainer {
 public:
  // Returns the mean loss before the step.
  double step(const int32_t* tokens, const int32_t* targets, uint64_t number);

 private:
  npuDevPtr p(uint32_t offset) const { return params_ + 4 * offset; }
  npuDevPtr g(uint32_t offset) const { return grads_ + 4 * offset; }
  void norm(npuDevPtr x, uint32_t weight, npuDevPtr y) const;
  void norm_backward(npuDevPtr x, uint32_t weight) const;  // of dnormal_, added to dx_
  void rotate(npuDevPtr qkv, uint32_t backward) const;
  void forward(const Layer& l, const Saved& s, npuDevPtr next) const;
  void backward(const Layer& l, const Saved& s) const;
  void attention_backward(const Saved& s) const;
  void update(uint64_t number) const;

  const uint32_t count_ = static_cast<uint32_t>(start.size());
  const uint32_t parts_ = (count_ - 1) / NPU_OPS_SUM_SQUARES_PART + 1;
  npuDevPtr params_ = array(count_, start.data()), grads_ = array(count_);
  npuDevPtr m_ = array(count_), v_ = array(count_), squares_ = array(parts_), clip_ = array(1);
  npuDevPtr cos_ = array(kLength * kHead / 2), sin_ = array(kLength * kHead / 2);
  npuDevPtr positions_ = array(kTokens), tokens_ = array(kTokens), targets_ = array(kTokens);
  Saved saved_[kLayers];
  npuDevPtr last_ = array(kTokens * kDim), normal_ = array(kTokens * kDim), loss_ = array(kTokens);
  npuDevPtr logits_ = array(kTokens * kVocabulary), stats_ = array(kTokens * 2);
  npuDevPtr dx_ = array(kTokens * kDim), dnormal_ = array(kTokens * kDim);
  npuDevPtr dqkv_ = array(kTokens * kQkv), delta_ = array(kTokens * kHeads);
  npuDevPtr dgate_ = array(kTokens * kHidden), dup_ = array(kTokens * kHidden);
};

void Trainer::norm(npuDevPtr x, uint32_t weight, npuDevPtr y) const {
  auto n = make<npuOpsNormInfo>();
  n.rows = kTokens, n.cols = kDim, n.x = x, n.y = y, n.weight = p(weight), n.eps = kEps;
  submit(NPU_OPS_RMS_NORM, n);
}

void Trainer::norm_backward(npuDevPtr x, uint32_t weight) const {
  auto n = make<npuOpsNormBackwardInfo>();
  n.rows = kTokens, n.cols = kDim, n.x = x, n.dy = dnormal_, n.dx = normal_;
  n.weight = p(weight), n.dweight = g(weight), n.stats = stats_, n.eps = kEps;
  submit(NPU_OPS_RMS_NORM_BACKWARD, n);
  auto a = make<npuOpsElementwiseInfo>();
  a.function = NPU_OPS_ADD, a.rows = kTokens, a.cols = kDim;
  a.x = a.y = dx_, a.b = normal_;
  submit(NPU_OPS_BINARY, a);
}

// The heads of q and k lie side by side, and turn at once.
void Trainer::rotate(npuDevPtr qkv, uint32_t backward) const {
  auto r = make<npuOpsRopeInfo>();
  r.tokens = kTokens, r.heads = kHeads + kKvHeads, r.head_dim = kHead, r.half = 1;
  r.x = r.y = qkv, r.x_token_stride = r.y_token_stride = kQkv;
  r.x_head_stride = r.y_head_stride = kHead, r.cos_table = cos_, r.sin_table = sin_;
  r.positions = positions_, r.table_rows = kLength, r.backward = backward;
  submit(NPU_OPS_ROPE, r);
}

// What attention and its gradient have in common.
template <typename Info>
Info attention(const Saved& s) {
  auto a = make<Info>();
  a.batch = kBatch, a.heads = kHeads, a.kv_heads = kKvHeads, a.q_len = a.kv_len = kLength;
  a.head_dim = kHead, a.causal = 1, a.scale = 1 / sqrtf(kHead);
  a.q = s.qkv, a.k = a.q + 4 * kHeads * kHead, a.v = a.k + 4 * kKvHeads * kHead;
  a.o = s.attended, a.lse = s.lse;
  a.q_strides = a.k_strides = a.v_strides = {kLength * kQkv, kHead, kQkv};
  a.o_strides = {kLength * kDim, kHead, kDim};
  return a;
}

void Trainer::attention_backward(const Saved& s) const {
  auto a = attention<npuOpsAttentionBackwardInfo>(s);
  a.d_o = dnormal_, a.do_strides = a.o_strides, a.delta = delta_;
  a.dq = dqkv_, a.dk = dqkv_ + (a.k - a.q), a.dv = dqkv_ + (a.v - a.q);
  a.dq_strides = a.dk_strides = a.dv_strides = a.q_strides;
  submit(NPU_OPS_ATTENTION_BACKWARD, a);
}

void Trainer::forward(const Layer& l, const Saved& s, npuDevPtr next) const {
  norm(s.x, l.norm1, s.normal1);
  linear(s.normal1, p(l.qkv), s.qkv, kDim, kQkv);
  rotate(s.qkv, 0);
  submit(NPU_OPS_ATTENTION, attention<npuOpsAttentionInfo>(s));
  linear(s.attended, p(l.out), s.middle, kDim, kDim, s.x);
  norm(s.middle, l.norm2, s.normal2);
  linear(s.normal2, p(l.gate), s.gate, kDim, kHidden);
  linear(s.normal2, p(l.up), s.up, kDim, kHidden);
  auto m = make<npuOpsElementwiseInfo>();
  m.rows = kTokens, m.cols = kHidden, m.x = s.gate, m.b = s.up, m.y = s.hidden;
  submit(NPU_OPS_SILU_MUL, m);
  linear(s.hidden, p(l.down), next, kHidden, kDim, s.middle);
}

// dx_ is the gradient by what the layer made, and then by what it got.
void Trainer::backward(const Layer& l, const Saved& s) const {
  linear_backward(s.hidden, p(l.down), dx_, dup_, g(l.down), kHidden, kDim);
  auto m = make<npuOpsSiluMulBackwardInfo>();
  m.rows = kTokens, m.cols = kHidden, m.x = s.gate, m.b = s.up;
  m.dy = m.db = dup_, m.dx = dgate_;
  submit(NPU_OPS_SILU_MUL_BACKWARD, m);
  linear_backward(s.normal2, p(l.gate), dgate_, dnormal_, g(l.gate), kDim, kHidden);
  linear_backward(s.normal2, p(l.up), dup_, dnormal_, g(l.up), kDim, kHidden, true);
  norm_backward(s.middle, l.norm2);
  linear_backward(s.attended, p(l.out), dx_, dnormal_, g(l.out), kDim, kDim);
  attention_backward(s);
  rotate(dqkv_, 1);
  linear_backward(s.normal1, p(l.qkv), dqkv_, dnormal_, g(l.qkv), kDim, kQkv);
  norm_backward(s.x, l.norm1);
}

// The gradient is clipped to the norm kClip, and AdamW makes the step; nothing of it comes to the host.
void Trainer::update(uint64_t number) const {
  auto s = make<npuOpsSumSquaresInfo>();
  s.count = count_, s.x = grads_, s.y = squares_;
  submit(NPU_OPS_SUM_SQUARES, s);
  auto r = make<npuOpsReduceInfo>();
  r.function = NPU_OPS_REDUCE_SUM;
  r.x = {squares_, NPU_FLOAT32, 0, {parts_, 1, 1, 1}, {4, 4 * parts_, 4 * parts_, 4 * parts_}};
  r.y = {clip_, NPU_FLOAT32, 0, {1, 1, 1, 1}, {4, 4, 4, 4}};
  submit(NPU_OPS_TENSOR_REDUCE, r);
  auto e = make<npuOpsElementwiseInfo>();
  e.rows = e.cols = 1, e.x = e.y = clip_, e.function = NPU_OPS_RSQRT;
  submit(NPU_OPS_UNARY, e);
  e.function = NPU_OPS_MUL, e.spread = NPU_OPS_SCALAR, e.value = kClip;
  submit(NPU_OPS_BINARY, e);
  e.function = NPU_OPS_MIN, e.value = 1;
  submit(NPU_OPS_BINARY, e);
  auto a = make<npuOpsAdamWInfo>();
  a.count = count_, a.p = params_, a.g = grads_, a.m = m_, a.v = v_, a.grad_scale = clip_;
  a.step = number, a.lr = 0.01f, a.beta1 = 0.9f, a.beta2 = 0.99f, a.eps = 1e-8f;
  a.weight_decay = 0.01f;
  submit(NPU_OPS_ADAMW, a);
}

double Trainer::step(const int32_t* tokens, const int32_t* targets, uint64_t number) {
  if (number == 1) {
    float cosine[kLength * kHead / 2], sine[kLength * kHead / 2];
    int32_t positions[kTokens];
    for (uint32_t i = 0; i < kTokens; i++) positions[i] = i % kLength;
    check(npuOpsRopeTable(1e4, kHead, kLength, cosine, sine));
    check(npuMemCopyToDevice(context, cos_, cosine, sizeof cosine));
    check(npuMemCopyToDevice(context, sin_, sine, sizeof sine));
    check(npuMemCopyToDevice(context, positions_, positions, sizeof positions));
  }
  check(npuMemCopyToDevice(context, tokens_, tokens, kTokens * sizeof *tokens));
  check(npuMemCopyToDevice(context, targets_, targets, kTokens * sizeof *targets));
  auto e = make<npuOpsRowsInfo>();
  e.count = kTokens, e.cols = kDim, e.table_rows = kVocabulary;
  e.x = p(embedding), e.y = saved_[0].x, e.indices = tokens_;
  submit(NPU_OPS_GATHER, e);
  for (uint32_t l = 0; l < kLayers; l++)
    forward(layers[l], saved_[l], l + 1 < kLayers ? saved_[l + 1].x : last_);
  norm(last_, last_norm, normal_);
  linear(normal_, p(head), logits_, kDim, kVocabulary);
  auto c = make<npuOpsCrossEntropyInfo>();
  c.rows = kTokens, c.cols = kVocabulary, c.x = c.dx = logits_, c.targets = targets_;
  c.loss = loss_, c.grad_scale = 1.0f / kTokens;
  submit(NPU_OPS_CROSS_ENTROPY, c);

  // dx_ begins as zeros: norm_backward adds.
  check(npuQueueFill(queue, dx_, 0, 4, kTokens * kDim * 4, nullptr));
  linear_backward(normal_, p(head), logits_, dnormal_, g(head), kDim, kVocabulary);
  norm_backward(last_, last_norm);
  for (uint32_t l = kLayers; l-- > 0;) backward(layers[l], saved_[l]);
  check(npuQueueFill(queue, g(embedding), 0, 4, kVocabulary * kDim * 4, nullptr));
  auto d = make<npuOpsGatherBackwardInfo>();
  d.count = kTokens, d.cols = kDim, d.table_rows = kVocabulary;
  d.dy = dx_, d.dx = g(embedding), d.indices = tokens_;
  submit(NPU_OPS_GATHER_BACKWARD, d);
  update(number);

  float losses[kTokens];
  double sum = 0;
  check(npuQueueSync(queue, NPU_TIMEOUT_INFINITE));
  check(npuMemCopyToHost(context, losses, loss_, sizeof losses));
  for (float loss : losses) sum += static_cast<double>(loss) / kTokens;
  return sum;
}

}  // namespace

int main() {
  npuDevice device;
  check(npuInit());
  check(npuDeviceOpen(nullptr, &device));
  check(npuContextCreate(device, &context));
  check(npuQueueCreate(context, nullptr, &queue));
  check(npuOpsCreate(context, nullptr, &ops));
  double first = 0, exact = 0, loss = 0;
  {
    Trainer trainer;
    int32_t tokens[kTokens], targets[kTokens];
    for (uint32_t number = 1; number <= kSteps; number++) {
      for (uint32_t i = 0; i < kTokens; i++) {
        const uint32_t at = number * 67 + i / kLength * 29 + i % kLength;
        tokens[i] = kText[at % kTextLength];
        targets[i] = kText[(at + 1) % kTextLength];
      }
      loss = trainer.step(tokens, targets, number);
      if (number == 1) first = loss, exact = reference(tokens, targets);
      if (number == 1 || number % 20 == 0) printf("step %3u: loss %.3f\n", number, loss);
    }
  }
  printf("%zu parameters; the first loss is off by %.1e\n", start.size(), fabs(first - exact));
  check(npuOpsDestroy(ops));
  check(npuDeviceClose(device));
  const bool passed = fabs(first - exact) < 1e-5 && loss < 0.3;
  puts(passed ? "PASSED" : "FAILED");
  return passed ? 0 : 1;
}
