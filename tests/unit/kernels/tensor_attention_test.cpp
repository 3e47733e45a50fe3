// SPDX-License-Identifier: Apache-2.0
// Attention on tensors against double precision: types of keys and values, groups of heads, masks, slopes, caps, sinks, strides; what is refused.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "libnpu/ops/error.h"
#include "tests/unit/kernels/weights.h"

namespace npu::kernels {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

struct Case {
  uint64_t depth, width, tokens, heads, kv_heads, keys, batch = 1;
  npuDataType type = NPU_FLOAT32;
  int mask = 0;  // 0 none, 1 one for all heads, 2 one for each
  float max_bias = 0, softcap = 0;
  bool sinks = false;
  uint64_t seen =
      UINT64_MAX;  // keys from here on are hidden from all, and are NaN with their values
  std::array<uint32_t, 4> order = {0, 1, 2, 3};  // of queries and results in memory
};

class Attention {
 public:
  Attention(const Case& c, uint32_t seed)
      : c_(c),
        random_(seed),
        q_(NPU_FLOAT32, {c.depth, c.tokens, c.heads, c.batch}, c.order, {8, 1, 0, 0}),
        k_(c.type, {c.depth, c.keys, c.kv_heads, c.batch}, random_, true),
        v_(c.type, {c.width, c.keys, c.kv_heads, c.batch}, random_, true),
        mask_(
            TensorMemory::dense(NPU_FLOAT16, {c.keys, c.tokens + 3, c.mask == 2 ? c.heads : 1, 1})),
        sinks_(TensorMemory::dense(NPU_FLOAT32, {c.heads, 1, 1, 1})),
        y_(NPU_FLOAT32, {c.width, c.heads, c.tokens, c.batch}, c.order, {8, 1, 0, 0}) {
    q_.fill(random_, 2);
    sinks_.fill(random_, 2);
    // A third of the keys is hidden, and the first token sees none.
    mask_.for_each([&](const Index& at) {
      const bool blind = at[1] == 0 && c.seen >= c.keys;
      const bool hidden = random_.below(3) == 0 || blind || at[0] >= c.seen;
      mask_.set(at, hidden ? -kInf : random_.value(2));
    });
    if (c.seen >= c.keys) return;
    for (Weights* w : {&k_, &v_}) {
      w->floats().for_each([&](const Index& at) {
        if (at[1] >= c.seen) w->floats().set(at, std::numeric_limits<double>::quiet_NaN());
      });
    }
  }

  void run() {
    npuOpsTensorAttentionInfo info{};
    info.struct_size = sizeof(info);
    info.scale = scale();
    info.max_bias = c_.max_bias;
    info.softcap = c_.softcap;
    q_.put(rig_), k_.put(rig_), v_.put(rig_), mask_.put(rig_), sinks_.put(rig_), y_.put(rig_);
    info.q = q_.tensor, info.k = k_.tensor(), info.v = v_.tensor(), info.y = y_.tensor;
    if (c_.mask != 0) info.mask = mask_.tensor;
    if (c_.sinks) info.sinks = sinks_.tensor;
    run_tensor_op(rig_, NPU_OPS_TENSOR_ATTENTION, &info);
    y_.fetch(rig_);
    EXPECT_FALSE(y_.touched_outside());
    for (uint64_t n = 0; n < c_.batch; ++n)
      for (uint64_t h = 0; h < c_.heads; ++h)
        for (uint64_t t = 0; t < c_.tokens; ++t) check(t, h, n);
  }

 private:
  float scale() const { return 1 / std::sqrt(static_cast<float>(c_.depth)); }

  double slope(uint64_t head) const {
    if (c_.max_bias == 0) return 1;
    const double split = static_cast<double>(std::bit_floor(c_.heads));
    const double h = static_cast<double>(head);
    const double base = std::exp2(-c_.max_bias / split);
    return h < split ? std::pow(base, h + 1) : std::pow(std::sqrt(base), 2 * (h - split) + 1);
  }

  double score(uint64_t t, uint64_t h, uint64_t n, uint64_t key) const {
    double sum = 0;
    const uint64_t kv = h / (c_.heads / c_.kv_heads);
    for (uint64_t d = 0; d < c_.depth; ++d) sum += q_.get({d, t, h, n}) * k_.get({d, key, kv, n});
    sum *= scale();
    if (c_.softcap != 0) sum = c_.softcap * std::tanh(sum / c_.softcap);
    return c_.mask == 0 ? sum : sum + slope(h) * mask_.get({key, t, h, n});
  }

  void check(uint64_t t, uint64_t h, uint64_t n) {
    std::vector<double> scores(std::min(c_.keys, c_.seen));
    double top = c_.sinks ? sinks_.get({h, 0, 0, 0}) : -kInf;
    for (uint64_t key = 0; key < std::min(c_.keys, c_.seen); ++key)
      top = std::max(top, scores[key] = score(t, h, n, key));
    double sum = c_.sinks ? std::exp(sinks_.get({h, 0, 0, 0}) - top) : 0;
    for (double& s : scores) sum += s = s == -kInf ? 0 : std::exp(s - top);
    const uint64_t kv = h / (c_.heads / c_.kv_heads);
    for (uint64_t d = 0; d < c_.width; ++d) {
      double want = 0;
      for (uint64_t key = 0; key < std::min(c_.keys, c_.seen); ++key)
        want += scores[key] * v_.get({d, key, kv, n});
      want = sum == 0 ? 0 : want / sum;
      // Scores of a few units in fp32, through exp and sums of |keys| terms.
      ASSERT_NEAR(y_.get({d, h, t, n}), want, 3e-5)
          << "element " << d << " token " << t << " head " << h;
    }
  }

  Case c_;
  Random random_;
  Rig rig_;
  TensorMemory q_;
  Weights k_, v_;
  TensorMemory mask_, sinks_, y_;
};

void run_case(const Case& c) {
  static uint32_t seed = 1;
  SCOPED_TRACE(testing::Message() << "seed " << seed << " type " << c.type << ", " << c.depth << "/"
                                  << c.width << " tokens " << c.tokens << " heads " << c.heads
                                  << "/" << c.kv_heads << " keys " << c.keys << " mask " << c.mask
                                  << " bias " << c.max_bias << " cap " << c.softcap << " sinks "
                                  << c.sinks);
  Attention(c, seed++).run();
}

TEST(TensorAttention, EveryTypeOfKeysAndValues) {
  for (npuDataType type : {NPU_FLOAT32, NPU_BFLOAT16, NPU_FLOAT16, NPU_Q8_0, NPU_Q4_0}) {
    run_case({64, 64, 5, 4, 2, 37, 2, type, 1});
    run_case({64, 32, 1, 4, 1, 19, 1, type, 1});
  }
  for (npuDataType type : {NPU_Q4_K, NPU_Q6_K}) run_case({256, 256, 2, 2, 1, 9, 1, type, 1});
}

TEST(TensorAttention, MasksSlopesCapsAndSinks) {
  for (int mask : {0, 1, 2}) {
    for (float bias : {0.0f, 8.0f}) {
      for (float cap : {0.0f, 3.0f}) {
        for (bool sinks : {false, true}) {
          if (bias != 0 && mask == 0) continue;
          run_case({32, 32, 3, 6, 3, 21, 1, NPU_FLOAT16, mask, bias, cap, sinks});
          run_case({32, 32, 1, 6, 2, 21, 1, NPU_FLOAT16, mask, bias, cap, sinks});
        }
      }
    }
  }
}

// One token: up to the last key that it sees. Several: blocks that none of them sees.
TEST(TensorAttention, KeysThatNoQuerySeesAreNotRead) {
  for (uint64_t seen : {1, 7, 30, 63}) {
    Case c{32, 32, 1, 4, 2, 64, 1, NPU_FLOAT16, 1};
    c.seen = seen;
    run_case(c);
    c.heads = c.kv_heads;
    run_case(c);
  }
  for (uint64_t seen : {0, 256}) {
    Case c{64, 64, 64, 2, 1, 1024, 1, NPU_FLOAT32, 2};  // blocks of 256 keys
    c.seen = seen;
    run_case(c);
  }
}

TEST(TensorAttention, BlocksOfQueriesAndKeys) {
  run_case({40, 72, 130, 2, 2, 515, 1, NPU_FLOAT32, 1});
  run_case({128, 128, 70, 2, 1, 300, 2, NPU_FLOAT16, 2, 8});
  run_case({576, 512, 3, 4, 1, 70, 1, NPU_FLOAT32, 1});
  run_case({64, 64, 1, 8, 2, 1025, 1, NPU_FLOAT16, 1});
  run_case({1, 1, 1, 1, 1, 1, 1, NPU_FLOAT32, 0});
}

TEST(TensorAttention, QueriesAndResultsInAnyOrderOfRows) {
  for (const auto& order : {std::array<uint32_t, 4>{0, 2, 1, 3}, {0, 3, 1, 2}, {0, 2, 3, 1}}) {
    for (uint64_t tokens : {1, 6}) {
      Case c{32, 32, tokens, 4, 2, 21, 2, NPU_FLOAT16, 1};
      c.order = order;
      run_case(c);
    }
  }
}

TEST(TensorAttention, RefusesWhatDoesNotFit) {
  npuOpsTensorAttentionInfo good{};
  good.struct_size = sizeof(good);
  good.q = TensorMemory::dense(NPU_FLOAT32, {64, 3, 4, 1}).tensor;
  good.k = good.v = TensorMemory::dense(NPU_FLOAT16, {64, 9, 2, 1}).tensor;
  good.y = TensorMemory::dense(NPU_FLOAT32, {64, 4, 3, 1}).tensor;
  for (npuOpsTensor* t : {&good.q, &good.k, &good.v, &good.y}) t->data = 0x10000;
  auto result_of = [&](auto change) {
    npuOpsTensorAttentionInfo info = good;
    change(info);
    ops::Plan plan;
    return ops::plan_tensor_attention(&info, &plan);
  };
  using Info = npuOpsTensorAttentionInfo;
  EXPECT_EQ(result_of([](Info&) {}), NPU_OK);
  EXPECT_EQ(result_of([](Info& i) { i.k.sizes[2] = 3; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result_of([](Info& i) { i.v.sizes[1] = 8; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result_of([](Info& i) { i.y.sizes[2] = 4; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result_of([](Info& i) { i.softcap = -1; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result_of([](Info& i) { i.max_bias = NAN; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result_of([](Info& i) { i.k.strides[0] = 4; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result_of([](Info& i) { i.q.type = NPU_Q8_0; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result_of([](Info& i) { i.q.data = 0; }), NPU_ERROR_INVALID_ADDRESS);
  EXPECT_EQ(result_of([](Info& i) {
              i.mask = TensorMemory::dense(NPU_FLOAT16, {9, 2, 1, 1}).tensor;
              i.mask.data = 0x20000;
            }),
            NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result_of([](Info& i) {
              i.q.sizes[0] = i.k.sizes[0] = 4096;
              for (int dim = 1; dim < 4; ++dim) i.q.strides[dim] = i.k.strides[dim] = 1 << 20;
            }),
            NPU_ERROR_NOT_SUPPORTED);
}

}  // namespace
}  // namespace npu::kernels
