// SPDX-License-Identifier: Apache-2.0
// MM, MMD, ACCLD, ACCST against plain loops in the order that isa.def defines, bit for bit.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "machine.h"

namespace npu::model {
namespace {

struct Product {
  int m, n, k;
  uint8_t dtype = NPU_DTYPE_F32;
  bool panel = false;
  bool tb = false;
  bool accumulate = false;
  bool in_acc = true;
};

// Puts |values| rounded to |dtype| at |dva| and returns what was stored, widened.
std::vector<float> put(Machine& m, uint64_t dva, std::vector<float> values, uint8_t dtype) {
  if (dtype == NPU_DTYPE_F32) {
    m.memory.put(dva, values);
    return values;
  }
  std::vector<uint16_t> bits(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    bool bf16 = dtype == NPU_DTYPE_BF16;
    bits[i] = bf16 ? to_bf16(values[i]) : to_f16(values[i]);
    values[i] = bf16 ? from_bf16(bits[i]) : from_f16(bits[i]);
  }
  m.memory.put(dva, bits);
  return values;
}

float chain(const std::vector<float>& a, const std::vector<float>& b, const Product& p, int i,
            int j, float start) {
  for (int k = 0; k < p.k; ++k) {
    start = std::fma(a[i * p.k + k], p.tb ? b[j * p.k + k] : b[k * p.n + j], start);
  }
  return start;
}

void expect_product(const Product& p, const Numerics& numerics) {
  SCOPED_TRACE(testing::Message() << p.m << "x" << p.n << "x" << p.k << " type " << int{p.dtype}
                                  << (p.panel ? " panel" : "") << (p.tb ? " tb" : "")
                                  << (p.accumulate ? " acc" : "") << " " << numerics.name);
  Machine m;
  m.launch.numerics = &numerics;
  auto a = put(m, kIn, random_floats(p.m * p.k + 1, 1), p.dtype);
  auto b = put(m, kIn2, random_floats(p.k * p.n + 1, 2), p.dtype);
  auto old = random_floats(p.m * p.n, 3);
  m.memory.put(kIn + 0x80000, old);
  uint64_t b_rows = p.tb ? p.n : p.k;
  uint64_t b_cols = p.tb ? p.k : p.n;
  Kernel k;
  k.hbm(0, kIn, p.m, p.k, p.dtype);
  k.hbm(1, kIn2, b_rows, b_cols, p.dtype);
  k.l1(2, 0, p.m, p.k, p.dtype, p.k + 5);
  if (p.panel) {
    k.set(3, {NPU_SPACE_L1, p.dtype, NPU_LAYOUT_PANEL}, 65536, b_rows, b_cols, b_rows + 1);
  } else {
    k.l1(3, 65536, b_rows, b_cols, p.dtype, b_cols + 3);
  }
  k.set(4, {p.in_acc ? uint8_t{NPU_SPACE_ACC} : uint8_t{NPU_SPACE_L1}}, p.in_acc ? 64 : 131072, p.m,
        p.n, p.n + 2);
  k.l1(5, 196608, p.m, p.n);
  k.hbm(6, kOut, p.m, p.n);
  k.hbm(7, kIn + 0x80000, p.m, p.n);
  k.op(NPU_OP_LD, 5, 7);
  k.op(NPU_OP_LD, 2, 0);
  k.op(NPU_OP_LD, 3, 1);
  if (p.in_acc) k.op(NPU_OP_ACCLD, 4, 5);
  if (!p.in_acc) k.op(NPU_OP_CVT, 4, 5);
  k.op(NPU_OP_MM, 4, 2, 3).flags = (p.tb ? NPU_F_TB : 0) | (p.accumulate ? NPU_F_ACC : 0);
  k.op(NPU_OP_ACCST, 5, 4);
  k.op(NPU_OP_ST, 6, 5);
  GroupResult result = m.run(k.done());
  ASSERT_EQ(result.fault.status, NPU_ST_OK) << "pc " << result.fault.pc;
  EXPECT_EQ(result.stats.mac_ops, static_cast<uint64_t>(p.m) * p.n * p.k);
  auto out = m.memory.get<float>(kOut, p.m * p.n);
  for (int i = 0; i < p.m; ++i) {
    for (int j = 0; j < p.n; ++j) {
      float want = chain(a, b, p, i, j, p.accumulate ? old[i * p.n + j] : 0.0f);
      ASSERT_EQ(std::bit_cast<uint32_t>(out[i * p.n + j]), std::bit_cast<uint32_t>(want))
          << i << "," << j;
    }
  }
}

TEST(Tensor, MmIsOneChainAnElementForEveryTypeAndLayout) {
  const int shapes[][3] = {{0, 5, 5},  {5, 0, 5},    {5, 5, 0},    {1, 1, 1},
                           {3, 17, 9}, {16, 16, 16}, {13, 40, 31}, {7, 1, 64}};
  for (auto [m, n, k] : shapes) {
    for (uint8_t dtype : {NPU_DTYPE_F32, NPU_DTYPE_BF16, NPU_DTYPE_F16}) {
      for (int variant = 0; variant < 12; ++variant) {
        Product p{m,
                  n,
                  k,
                  dtype,
                  variant % 3 == 1,
                  variant % 3 == 2,
                  variant / 3 % 2 == 1,
                  variant / 6 == 0};
        expect_product(p, variant % 2 == 0 ? scalar_numerics() : simd_numerics());
      }
    }
  }
}

float tree(const float* a, const float* b, int n) {
  float lane[16] = {};
  for (int k = 0; k < n; ++k) lane[k % 16] = std::fma(a[k], b[k], lane[k % 16]);
  for (int half = 8; half != 0; half /= 2) {
    for (int l = 0; l < half; ++l) lane[l] += lane[l + half];
  }
  return lane[0];
}

TEST(Tensor, MmdIsATreeOverLanesPlusTheOldValue) {
  for (uint8_t dtype : {NPU_DTYPE_F32, NPU_DTYPE_BF16}) {
    for (auto [m_, n_, k_] : {std::array{1, 33, 100}, std::array{4, 5, 16}, std::array{3, 2, 7}}) {
      int rows = m_, cols = n_, depth = k_;
      Machine m;
      auto a = put(m, kIn, random_floats(rows * depth, 4), dtype);
      auto b = put(m, kIn2, random_floats(cols * depth, 5), dtype);
      Kernel k;
      k.hbm(0, kIn, rows, depth, dtype);
      k.hbm(1, kIn2, cols, depth, dtype);
      k.l1(2, 0, rows, depth, dtype);
      k.l1(3, 65536, cols, depth, dtype, depth + 1);
      k.l1(4, 131072, rows, cols);
      k.hbm(5, kOut, rows, cols);
      k.op(NPU_OP_LD, 2, 0);
      k.op(NPU_OP_LD, 3, 1);
      k.op(NPU_OP_MMD, 4, 2, 3);
      k.op(NPU_OP_MMD, 4, 2, 3).flags = NPU_F_ACC;
      k.op(NPU_OP_ST, 5, 4);
      ASSERT_EQ(m.run(k.done()).fault.status, NPU_ST_OK);
      auto out = m.memory.get<float>(kOut, rows * cols);
      for (int i = 0; i < rows; ++i) {
        for (int j = 0; j < cols; ++j) {
          float once = tree(&a[i * depth], &b[j * depth], depth);
          ASSERT_EQ(out[i * cols + j], once + once);
        }
      }
    }
  }
}

// ACCST of a 5 x 37 tile with the given flags into |dtype|; in place when |in_place|.
std::vector<float> stored(uint16_t flags, uint8_t dtype, uint64_t d_base, const Numerics& n) {
  Machine m;
  m.launch.numerics = &n;
  m.memory.put(kIn, random_floats(5 * 37, 6));
  m.memory.put(kIn2, random_floats(37, 7));
  Kernel k;
  k.hbm(0, kIn, 5, 37);
  k.l1(1, 4096, 5, 37);
  k.hbm(2, kIn2, 1, 37);
  k.l1(3, 0, 1, 37);
  k.l1(4, d_base, 5, 37, dtype);
  k.hbm(5, kOut, 5, 37, dtype);
  k.op(NPU_OP_LD, 1, 0);
  k.op(NPU_OP_LD, 3, 2);
  k.li_f32(1, 0.75f);
  npu_insn& accst = k.op(NPU_OP_ACCST, 4, 1, 3);
  accst.r[0] = 1;
  accst.flags = flags;
  k.op(NPU_OP_ST, 5, 4);
  EXPECT_EQ(m.run(k.done()).fault.status, NPU_ST_OK);
  if (dtype == NPU_DTYPE_F32) return m.memory.get<float>(kOut, 5 * 37);
  return from_bf16(m.memory.get<uint16_t>(kOut, 5 * 37));
}

TEST(Tensor, AccstScalesAddsBiasThenRounds) {
  auto a = random_floats(5 * 37, 6);
  auto bias = random_floats(37, 7);
  for (uint8_t dtype : {NPU_DTYPE_F32, NPU_DTYPE_BF16}) {
    for (uint64_t d_base : {uint64_t{32768}, uint64_t{4096}}) {  // beside a, and over it
      for (uint16_t flags : {0, NPU_F_SCALE, NPU_F_BIAS, NPU_F_SCALE | NPU_F_BIAS}) {
        auto out = stored(flags, dtype, d_base, simd_numerics());
        for (int i = 0; i < 5 * 37; ++i) {
          float want = a[i];
          if (flags & NPU_F_SCALE) want *= 0.75f;
          if (flags & NPU_F_BIAS) want += bias[i % 37];
          // Over a, rows of half the size do not reach a row that is still to be read.
          ASSERT_EQ(out[i], dtype == NPU_DTYPE_F32 ? want : from_bf16(to_bf16(want))) << i;
        }
      }
    }
  }
}

TEST(Tensor, AccstAppliesEveryActivation) {
  auto a = random_floats(5 * 37, 6);
  auto expected = [](int act, double x) {
    switch (act) {
      case NPU_ACT_RELU:
        return std::max(x, 0.0);
      case NPU_ACT_GELU:
        return x / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
      case NPU_ACT_SILU:
        return x / (1 + std::exp(-x));
      case NPU_ACT_GELU_ERF:
        return x / 2 * (1 + std::erf(x / std::sqrt(2.0)));
      case NPU_ACT_SIGMOID:
        return 1 / (1 + std::exp(-x));
      case NPU_ACT_TANH:
        return std::tanh(x);
      default:
        return x;
    }
  };
  for (int act = 0; act < NPU_ACT_COUNT; ++act) {
    auto flags = static_cast<uint16_t>(act << NPU_F_ACT_SHIFT);
    auto out = stored(flags, NPU_DTYPE_F32, 32768, simd_numerics());
    EXPECT_EQ(out, stored(flags, NPU_DTYPE_F32, 32768, scalar_numerics())) << act;
    for (size_t i = 0; i < a.size(); ++i) {
      ASSERT_NEAR(out[i], expected(act, a[i]), 1e-6) << "activation " << act << " of " << a[i];
    }
  }
}

}  // namespace
}  // namespace npu::model
