// SPDX-License-Identifier: Apache-2.0
// The vector unit: each operation against double or exact expectations, over types, strides,
// broadcasts and overlaps.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <functional>
#include <limits>

#include "machine.h"

namespace npu::model {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

// Runs one operation on tiles that |body| describes: descriptor 1 = a [rows, cols] loaded from kIn,
// 2 = d; d is stored to kOut.
struct OneOp {
  uint64_t rows = 0;
  uint64_t cols = 0;
  uint8_t a_dtype = NPU_DTYPE_F32;
  uint8_t d_dtype = NPU_DTYPE_F32;
  uint64_t pad = 0;     // stride - cols of a and d
  uint64_t d_cols = 0;  // 0: cols
  const Numerics* numerics = &simd_numerics();
};

size_t bytes_of(uint8_t dtype) { return dtype == NPU_DTYPE_BF16 || dtype == NPU_DTYPE_F16 ? 2 : 4; }

void put_typed(Machine& m, uint64_t dva, const std::vector<float>& values, uint8_t dtype) {
  std::vector<uint16_t> bits;
  std::vector<int32_t> ints;
  for (float v : values) {
    bits.push_back(dtype == NPU_DTYPE_BF16 ? to_bf16(v) : to_f16(v));
    ints.push_back(dtype == NPU_DTYPE_I32 ? static_cast<int32_t>(v) : 0);
  }
  if (dtype == NPU_DTYPE_F32) m.memory.put(dva, values);
  if (dtype == NPU_DTYPE_I32) m.memory.put(dva, ints);
  if (bytes_of(dtype) == 2) m.memory.put(dva, bits);
}

std::vector<float> get_typed(const Machine& m, uint64_t dva, size_t n, uint8_t dtype) {
  std::vector<float> values;
  if (dtype == NPU_DTYPE_F32) return m.memory.get<float>(dva, n);
  if (dtype == NPU_DTYPE_I32) {
    for (int32_t v : m.memory.get<int32_t>(dva, n)) values.push_back(static_cast<float>(v));
    return values;
  }
  for (uint16_t v : m.memory.get<uint16_t>(dva, n)) {
    values.push_back(dtype == NPU_DTYPE_BF16 ? from_bf16(v) : from_f16(v));
  }
  return values;
}

float round_to(float v, uint8_t dtype) {
  if (dtype == NPU_DTYPE_BF16) return from_bf16(to_bf16(v));
  return dtype == NPU_DTYPE_F16 ? from_f16(to_f16(v)) : v;
}

std::vector<float> run_op(const OneOp& o, const std::vector<float>& a,
                          const std::function<void(Kernel&)>& op,
                          const std::function<void(Machine&, Kernel&)>& more = {}) {
  Machine m;
  m.launch.numerics = o.numerics;
  put_typed(m, kIn, a, o.a_dtype);
  uint64_t d_cols = o.d_cols != 0 ? o.d_cols : o.cols;
  Kernel k;
  k.hbm(0, kIn, o.rows, o.cols, o.a_dtype);
  k.l1(1, 0, o.rows, o.cols, o.a_dtype, o.cols + o.pad);
  k.l1(2, 131072, o.rows, d_cols, o.d_dtype, d_cols + o.pad);
  k.hbm(3, kOut, o.rows, d_cols, o.d_dtype);
  k.op(NPU_OP_LD, 1, 0);
  if (more) more(m, k);
  op(k);
  k.op(NPU_OP_ST, 3, 2);
  GroupResult result = m.run(k.done());
  EXPECT_EQ(result.fault.status, NPU_ST_OK) << "pc " << result.fault.pc;
  return get_typed(m, kOut, o.rows * d_cols, o.d_dtype);
}

std::vector<float> unary(npu_op op, const OneOp& o, const std::vector<float>& a) {
  return run_op(o, a, [&](Kernel& k) { k.op(op, 2, 1); });
}

const std::vector<OneOp> kShapes = {{0, 5}, {5, 0}, {1, 1}, {3, 37}, {17, 16, 0, 0, 3}, {2, 2500}};

TEST(Vector, UnaryOperationsComeCloseToTheirDefinition) {
  struct Case {
    npu_op op;
    double (*f)(double);
    bool positive;
  };
  const Case cases[] = {
      {NPU_OP_NEG, [](double x) { return -x; }, false},
      {NPU_OP_ABS, [](double x) { return std::fabs(x); }, false},
      {NPU_OP_RELU, [](double x) { return std::max(x, 0.0); }, false},
      {NPU_OP_EXP, [](double x) { return std::exp(x); }, false},
      {NPU_OP_LOG, [](double x) { return std::log(x); }, true},
      {NPU_OP_SQRT, [](double x) { return std::sqrt(x); }, true},
      {NPU_OP_RSQRT, [](double x) { return 1 / std::sqrt(x); }, true},
      {NPU_OP_RCP, [](double x) { return 1 / x; }, true},
      {NPU_OP_TANH, [](double x) { return std::tanh(x); }, false},
      {NPU_OP_SIGMOID, [](double x) { return 1 / (1 + std::exp(-x)); }, false},
      {NPU_OP_ERF, [](double x) { return std::erf(x); }, false},
      {NPU_OP_GELU,
       [](double x) {
         return x / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
       },
       false},
      {NPU_OP_GELU_ERF, [](double x) { return x / 2 * (1 + std::erf(x / std::sqrt(2.0))); }, false},
      {NPU_OP_SILU, [](double x) { return x / (1 + std::exp(-x)); }, false},
      {NPU_OP_SIN, [](double x) { return std::sin(x); }, false},
      {NPU_OP_COS, [](double x) { return std::cos(x); }, false},
  };
  for (const Case& c : cases) {
    for (OneOp o : kShapes) {
      for (uint8_t dtype : {NPU_DTYPE_F32, NPU_DTYPE_BF16, NPU_DTYPE_F16}) {
        o.a_dtype = o.d_dtype = dtype;
        std::vector<float> a = random_floats(o.rows * o.cols, c.op);
        for (float& v : a) v = round_to(c.positive ? std::fabs(v) + 0.25f : v, dtype);
        auto out = unary(c.op, o, a);
        double unit = dtype == NPU_DTYPE_F32 ? 0x1p-21 : dtype == NPU_DTYPE_BF16 ? 0x1p-8 : 0x1p-11;
        for (size_t i = 0; i < a.size(); ++i) {
          double want = c.f(a[i]);
          ASSERT_NEAR(out[i], want, unit * std::max(1.0, std::fabs(want)))
              << "op " << int{c.op} << " of " << a[i];
        }
      }
    }
  }
}

TEST(Vector, CvtRoundsToNearestEvenBetweenAllTypes) {
  std::vector<float> a = {0.0f, 1.0f, -1.00390625f, 1.01171875f, 65519.0f, 3.5f, -2.5f, 1e-8f};
  for (uint8_t from : {NPU_DTYPE_F32, NPU_DTYPE_BF16, NPU_DTYPE_F16}) {
    for (uint8_t to : {NPU_DTYPE_F32, NPU_DTYPE_BF16, NPU_DTYPE_F16, NPU_DTYPE_I32}) {
      OneOp o{2, 4, from, to};
      auto out = unary(NPU_OP_CVT, o, a);
      for (size_t i = 0; i < a.size(); ++i) {
        float wide = round_to(a[i], from);
        float want = to == NPU_DTYPE_I32 ? std::nearbyintf(wide) : round_to(wide, to);
        EXPECT_EQ(out[i], want) << a[i] << " " << int{from} << " to " << int{to};
      }
    }
  }
}

TEST(Vector, CvtFromIntegersRoundsOnce) {
  // 2^30 + 2^22 + 1 lies just above the middle of two bf16 numbers; rounding to fp32 first would
  // hide that.
  Machine m;
  std::vector<int32_t> in = {(1 << 30) + (1 << 22) + 1,
                             (1 << 30) + (1 << 22),
                             -((1 << 30) + (1 << 22) + 1),
                             INT32_MIN,
                             INT32_MAX,
                             7,
                             16777217,
                             0};
  m.memory.put(kIn, in);
  Kernel k;
  k.hbm(0, kIn, 2, 4, NPU_DTYPE_I32);
  k.l1(1, 0, 2, 4, NPU_DTYPE_I32);
  k.l1(2, 1024, 2, 4, NPU_DTYPE_BF16);
  k.l1(3, 2048, 2, 4, NPU_DTYPE_F32);
  k.hbm(4, kOut, 2, 4, NPU_DTYPE_BF16);
  k.hbm(5, kOut + 4096, 2, 4);
  k.op(NPU_OP_LD, 1, 0);
  k.op(NPU_OP_CVT, 2, 1);
  k.op(NPU_OP_CVT, 3, 1);
  k.op(NPU_OP_ST, 4, 2);
  k.op(NPU_OP_ST, 5, 3);
  ASSERT_EQ(m.run(k.done()).fault.status, NPU_ST_OK);
  auto narrow = from_bf16(m.memory.get<uint16_t>(kOut, 8));
  auto wide = m.memory.get<float>(kOut + 4096, 8);
  EXPECT_EQ(narrow, (std::vector<float>{0x1p30f + 0x1p23f, 0x1p30f, -0x1p30f - 0x1p23f, -0x1p31f,
                                        0x1p31f, 7, 0x1p24f, 0}));
  for (int i = 0; i < 8; ++i) EXPECT_EQ(wide[i], static_cast<float>(in[i]));
}

TEST(Vector, CvtToIntegersSaturatesAndTurnsNanIntoZero) {
  auto out =
      unary(NPU_OP_CVT, {1, 5, NPU_DTYPE_F32, NPU_DTYPE_I32}, {NAN, kInf, -kInf, 1e20f, 2.5f});
  EXPECT_EQ(out, (std::vector<float>{0, 0x1p31f, -0x1p31f, 0x1p31f, 2}));
}

float apply(npu_op op, float x, float y) {
  switch (op) {
    case NPU_OP_VADD:
      return x + y;
    case NPU_OP_VSUB:
      return x - y;
    case NPU_OP_VMUL:
      return x * y;
    case NPU_OP_VDIV:
      return x / y;
    case NPU_OP_VMAX:
      return std::fmax(x, y);
    default:
      return std::fmin(x, y);
  }
}

TEST(Vector, BinaryOperationsBroadcastRowsColumnsAndScalars) {
  for (npu_op op : {NPU_OP_VADD, NPU_OP_VSUB, NPU_OP_VMUL, NPU_OP_VDIV, NPU_OP_VMAX, NPU_OP_VMIN}) {
    for (OneOp o : kShapes) {
      for (int spread = 0; spread < 4; ++spread) {
        for (uint8_t dtype : {NPU_DTYPE_F32, NPU_DTYPE_BF16}) {
          o.a_dtype = o.d_dtype = dtype;
          uint64_t b_rows = spread == NPU_BCAST_ROW ? 1 : o.rows;
          uint64_t b_cols = spread == NPU_BCAST_COL ? 1 : o.cols;
          auto a = from_bf16(to_bf16(random_floats(o.rows * o.cols, 1)));
          auto b = from_bf16(to_bf16(random_floats(b_rows * b_cols + 1, 2)));
          auto out = run_op(
              o, a,
              [&](Kernel& k) {
                bool scalar = spread == NPU_BCAST_SCALAR;
                npu_insn& insn = k.op(op, 2, 1, scalar ? 0 : 5);
                insn.flags = static_cast<uint16_t>(spread << NPU_F_BCAST_B_SHIFT);
                insn.r[0] = scalar ? 9 : 0;
              },
              [&](Machine& m, Kernel& k) {
                put_typed(m, kIn2, b, dtype);
                k.hbm(4, kIn2, b_rows, b_cols, dtype);
                k.l1(5, 65536, b_rows, b_cols, dtype, b_cols + 1);
                k.op(NPU_OP_LD, 5, 4);
                k.li_f32(9, b[0]);
              });
          for (size_t i = 0; i < a.size(); ++i) {
            size_t row = i / o.cols, col = i % o.cols;
            float y = spread == NPU_BCAST_FULL  ? b[i]
                      : spread == NPU_BCAST_ROW ? b[col]
                      : spread == NPU_BCAST_COL ? b[row]
                                                : b[0];
            ASSERT_EQ(out[i], round_to(apply(op, a[i], y), dtype))
                << "op " << int{op} << " spread " << spread;
          }
        }
      }
    }
  }
}

TEST(Vector, FmaRoundsOnceForEveryBroadcastOfBothOperands) {
  for (OneOp o : kShapes) {
    for (int b_spread = 0; b_spread < 4; ++b_spread) {
      for (int c_spread = 0; c_spread < 4; ++c_spread) {
        auto rows = [&](int s) { return s == NPU_BCAST_ROW ? 1 : o.rows; };
        auto cols = [&](int s) { return s == NPU_BCAST_COL ? 1 : o.cols; };
        auto a = random_floats(o.rows * o.cols, 1);
        auto b = random_floats(rows(b_spread) * cols(b_spread) + 1, 2);
        auto c = random_floats(rows(c_spread) * cols(c_spread) + 1, 3);
        auto out = run_op(
            o, a,
            [&](Kernel& k) {
              npu_insn& insn =
                  k.op(NPU_OP_VFMA, 2, 1, b_spread == 3 ? 0 : 5, c_spread == 3 ? 0 : 7);
              insn.flags = static_cast<uint16_t>(b_spread << NPU_F_BCAST_B_SHIFT |
                                                 c_spread << NPU_F_BCAST_C_SHIFT);
              insn.r[0] = b_spread == 3 ? 9 : 0;
              insn.r[1] = c_spread == 3 ? 10 : 0;
            },
            [&](Machine& m, Kernel& k) {
              m.memory.put(kIn2, b);
              m.memory.put(kIn2 + 65536, c);
              k.hbm(4, kIn2, rows(b_spread), cols(b_spread));
              k.l1(5, 65536, rows(b_spread), cols(b_spread));
              k.hbm(6, kIn2 + 65536, rows(c_spread), cols(c_spread));
              k.l1(7, 98304, rows(c_spread), cols(c_spread));
              k.op(NPU_OP_LD, 5, 4);
              k.op(NPU_OP_LD, 7, 6);
              k.li_f32(9, b[0]);
              k.li_f32(10, c[0]);
            });
        auto pick = [&](const std::vector<float>& v, int s, size_t i) {
          return s == 0 ? v[i] : s == 1 ? v[i % o.cols] : s == 2 ? v[i / o.cols] : v[0];
        };
        for (size_t i = 0; i < a.size(); ++i) {
          ASSERT_EQ(out[i], std::fma(a[i], pick(b, b_spread, i), pick(c, c_spread, i)));
        }
      }
    }
  }
}

TEST(Vector, FillAndIotaWriteEveryType) {
  for (uint8_t dtype : {NPU_DTYPE_F32, NPU_DTYPE_BF16, NPU_DTYPE_F16, NPU_DTYPE_I32}) {
    OneOp o{3, 5, NPU_DTYPE_F32, dtype, 2};
    auto out = run_op(o, std::vector<float>(15), [](Kernel& k) {
      k.op(NPU_OP_VFILL, 2).imm = std::bit_cast<uint32_t>(-7.3f);
    });
    float want = dtype == NPU_DTYPE_I32 ? -7.0f : round_to(-7.3f, dtype);
    EXPECT_EQ(out, std::vector<float>(15, want));
  }
  for (uint8_t dtype : {NPU_DTYPE_F32, NPU_DTYPE_I32}) {
    auto out = run_op({3, 5, NPU_DTYPE_F32, dtype, 2}, std::vector<float>(15), [](Kernel& k) {
      k.li(4, 100);
      k.li(5, static_cast<uint64_t>(-10));
      k.li(6, 3);
      k.scalar(NPU_OP_IOTA, 4, 5, 6).dst = 2;
    });
    for (int i = 0; i < 15; ++i) EXPECT_EQ(out[i], 100 - 10 * (i / 5) + 3 * (i % 5));
  }
}

std::vector<float> masked(uint16_t flags, int64_t r0, int64_t r1, int64_t r2, int64_t r3,
                          uint8_t dtype = NPU_DTYPE_F32) {
  return run_op({4, 6, dtype, dtype}, std::vector<float>(24, 1.0f), [&](Kernel& k) {
    k.li(4, static_cast<uint64_t>(r0));
    k.li(5, static_cast<uint64_t>(r1));
    k.li(6, static_cast<uint64_t>(r2));
    k.li(7, static_cast<uint64_t>(r3));
    npu_insn& insn = k.scalar(NPU_OP_MASK, 4, 5, 6, 7);
    insn.dst = 2;
    insn.a = 1;
    insn.imm = 0xff800000;
    insn.flags = flags;
  });
}

TEST(Vector, MaskKeepsCausalWindowAndLength) {
  for (uint16_t flags : {0, NPU_F_CAUSAL, NPU_F_WINDOW, NPU_F_LENGTH, NPU_F_CAUSAL | NPU_F_WINDOW,
                         NPU_F_CAUSAL | NPU_F_WINDOW | NPU_F_LENGTH}) {
    for (uint8_t dtype : {NPU_DTYPE_F32, NPU_DTYPE_BF16}) {
      auto out = masked(flags, 5, 3, 2, 7, dtype);
      for (int i = 0; i < 4; ++i) {
        for (int j = 0; j < 6; ++j) {
          int p = 5 + i, q = 3 + j;
          bool keep = !((flags & NPU_F_CAUSAL) && q > p) &&
                      !((flags & NPU_F_WINDOW) && q <= p - 2) &&
                      !((flags & NPU_F_LENGTH) && q >= 7);
          EXPECT_EQ(out[i * 6 + j], keep ? 1.0f : -kInf) << flags << " " << i << "," << j;
        }
      }
    }
  }
}

TEST(Vector, MaskComparesExactlyAtTheEndsOfTheNumberRange) {
  // p - r2 leaves 64 bits here; nothing is masked because every q is greater.
  EXPECT_EQ(masked(NPU_F_WINDOW, INT64_MIN + 1, 0, 5, 0), std::vector<float>(24, 1.0f));
  // q = r1 + j leaves 64 bits: always behind p.
  EXPECT_EQ(masked(NPU_F_CAUSAL, 0, INT64_MAX, 0, 0), std::vector<float>(24, -kInf));
  EXPECT_EQ(masked(NPU_F_CAUSAL, INT64_MAX, INT64_MAX, 0, 0)[1], -kInf);
  EXPECT_EQ(masked(NPU_F_CAUSAL, INT64_MAX, INT64_MAX, 0, 0)[7], 1.0f);
}

TEST(Vector, RowReductionsFollowTheTree) {
  for (uint8_t dtype : {NPU_DTYPE_F32, NPU_DTYPE_BF16}) {
    for (uint64_t cols : {0, 1, 15, 16, 100}) {
      OneOp o{3, cols, dtype, NPU_DTYPE_F32, 1, 1};
      auto a = from_bf16(to_bf16(random_floats(3 * cols, 8)));
      auto sums = unary(NPU_OP_RSUM, o, a);
      auto squares = unary(NPU_OP_RSUMSQ, o, a);
      auto largest = unary(NPU_OP_RMAX, o, a);
      o.d_dtype = NPU_DTYPE_I32;
      auto where = unary(NPU_OP_RARGMAX, o, a);
      for (int i = 0; i < 3; ++i) {
        float lane[16] = {}, lane2[16] = {};
        float most = -kInf;
        uint64_t best = 0;
        for (uint64_t j = 0; j < cols; ++j) {
          float v = a[i * cols + j];
          lane[j % 16] += v;
          lane2[j % 16] = std::fma(v, v, lane2[j % 16]);
          if (v > most) best = j;
          most = std::max(most, v);
        }
        for (int half = 8; half != 0; half /= 2) {
          for (int l = 0; l < half; ++l) {
            lane[l] += lane[l + half];
            lane2[l] += lane2[l + half];
          }
        }
        EXPECT_EQ(sums[i], lane[0]);
        EXPECT_EQ(squares[i], lane2[0]);
        EXPECT_EQ(largest[i], most);
        EXPECT_EQ(where[i], static_cast<float>(best));
      }
    }
  }
}

TEST(Vector, SoftmaxStepsOverBlocksGiveTheSoftmaxOfTheWholeRow) {
  constexpr int kRows = 5, kCols = 24, kBlocks = 3;
  Machine m;
  auto scores = random_floats(kRows * kCols * kBlocks, 9);
  scores[0] = -kInf;
  for (int j = 0; j < kCols; ++j) scores[kCols * kBlocks + j] = -kInf;  // a first block without any
  m.memory.put(kIn, scores);
  m.memory.put(kIn2, std::vector<float>{-kInf, 0});
  Kernel k;
  k.l1(1, 0, kRows, kCols);
  k.l1(2, 4096, kRows, 2, NPU_DTYPE_F32, 2);
  k.l1(3, 8192, kRows, 1);
  k.li_f32(4, 0.5f);
  k.l1(5, 4096, kRows, 1, NPU_DTYPE_F32, 2);
  k.l1(6, 4100, kRows, 1, NPU_DTYPE_F32, 2);
  k.op(NPU_OP_VFILL, 5).imm = 0xff800000;
  k.op(NPU_OP_VFILL, 6);
  k.l1(7, 12288, kRows, 1);
  k.op(NPU_OP_VFILL, 7);
  for (int block = 0; block < kBlocks; ++block) {
    k.hbm(0, kIn + block * kCols * 4, kRows, kCols, NPU_DTYPE_F32, kCols * kBlocks);
    k.op(NPU_OP_LD, 1, 0);
    npu_insn& step = k.op(NPU_OP_SMSTEP, 1, 1, 2, 3);
    step.flags = NPU_F_SCALE;
    step.r[0] = 4;
    // 7 = 7 * factor + weighted sum: here the first probability of each block.
    k.l1(8, 0, kRows, 1, NPU_DTYPE_F32, kCols);
    k.op(NPU_OP_VFMA, 7, 7, 3, 8);
  }
  k.hbm(9, kOut, kRows, 2);
  k.op(NPU_OP_ST, 9, 2);
  k.hbm(10, kOut + 4096, kRows, 1);
  k.op(NPU_OP_ST, 10, 7);
  ASSERT_EQ(m.run(k.done()).fault.status, NPU_ST_OK);
  auto state = m.memory.get<float>(kOut, kRows * 2);
  auto firsts = m.memory.get<float>(kOut + 4096, kRows);
  for (int i = 0; i < kRows; ++i) {
    const float* row = &scores[i * kCols * kBlocks];
    double most = -INFINITY, sum = 0, first = 0;
    for (int j = 0; j < kCols * kBlocks; ++j) most = std::max<double>(most, row[j] * 0.5);
    for (int j = 0; j < kCols * kBlocks; ++j) {
      sum += std::exp(row[j] * 0.5 - most);
      if (j % kCols == 0) first += std::exp(row[j] * 0.5 - most);
    }
    EXPECT_EQ(state[i * 2], static_cast<float>(most));
    EXPECT_NEAR(state[i * 2 + 1], sum, sum * 1e-6);
    EXPECT_NEAR(firsts[i], first, 1e-6);
  }
}

TEST(Vector, SoftmaxStepOfNothingButMaskedScoresIsZero) {
  Machine m;
  Kernel k;
  k.l1(1, 0, 1, 8);
  k.l1(2, 4096, 1, 2);
  k.l1(3, 8192, 1, 1);
  k.op(NPU_OP_VFILL, 1).imm = 0xff800000;
  k.l1(4, 4096, 1, 1);
  k.op(NPU_OP_VFILL, 2);
  k.op(NPU_OP_VFILL, 4).imm = 0xff800000;
  k.op(NPU_OP_SMSTEP, 1, 1, 2, 3);
  k.hbm(5, kOut, 1, 8);
  k.hbm(6, kOut + 64, 1, 2);
  k.hbm(7, kOut + 128, 1, 1);
  k.op(NPU_OP_ST, 5, 1);
  k.op(NPU_OP_ST, 6, 2);
  k.op(NPU_OP_ST, 7, 3);
  ASSERT_EQ(m.run(k.done()).fault.status, NPU_ST_OK);
  EXPECT_EQ(m.memory.get<float>(kOut, 8), std::vector<float>(8, 0.0f));
  EXPECT_EQ(m.memory.get<float>(kOut + 64, 2), (std::vector<float>{-kInf, 0}));
  EXPECT_EQ(m.memory.get<float>(kOut + 128, 1)[0], 0.0f);
}

TEST(Vector, RopeRotatesNeighboursOrHalves) {
  constexpr int kRows = 3, kCols = 10;
  auto a = random_floats(kRows * kCols, 1);
  auto cosine = random_floats(kRows * kCols / 2, 2);
  auto sine = random_floats(kRows * kCols / 2, 3);
  for (bool half : {false, true}) {
    for (bool in_place : {false, true}) {
      auto out = run_op(
          {kRows, kCols, 0, 0, 1}, a,
          [&](Kernel& k) {
            k.op(NPU_OP_ROPE, in_place ? 1 : 2, 1, 5, 7).flags = half ? NPU_F_HALF : 0;
            if (in_place) k.op(NPU_OP_CVT, 2, 1);
          },
          [&](Machine& m, Kernel& k) {
            m.memory.put(kIn2, cosine);
            m.memory.put(kIn2 + 4096, sine);
            k.hbm(4, kIn2, kRows, kCols / 2);
            k.l1(5, 4096, kRows, kCols / 2);
            k.hbm(6, kIn2 + 4096, kRows, kCols / 2);
            k.l1(7, 8192, kRows, kCols / 2);
            k.op(NPU_OP_LD, 5, 4);
            k.op(NPU_OP_LD, 7, 6);
          });
      for (int i = 0; i < kRows; ++i) {
        for (int p = 0; p < kCols / 2; ++p) {
          int x = i * kCols + (half ? p : 2 * p), y = half ? x + kCols / 2 : x + 1;
          float c = cosine[i * kCols / 2 + p], s = sine[i * kCols / 2 + p];
          EXPECT_EQ(out[x], std::fma(a[x], c, -(a[y] * s)));
          EXPECT_EQ(out[y], std::fma(a[x], s, a[y] * c));
        }
      }
    }
  }
}

TEST(Vector, OperandsInTheAccumulatorWorkAsInL1) {
  Machine m;
  auto a = random_floats(64, 1);
  m.memory.put(kIn, a);
  Kernel k;
  k.hbm(0, kIn, 8, 8);
  k.l1(1, 0, 8, 8);
  k.acc(2, 256, 8, 8);
  k.hbm(3, kOut, 8, 8);
  k.op(NPU_OP_LD, 1, 0);
  k.op(NPU_OP_VADD, 2, 1, 1);
  k.op(NPU_OP_VMUL, 1, 2, 2);
  k.op(NPU_OP_ST, 3, 1);
  ASSERT_EQ(m.run(k.done()).fault.status, NPU_ST_OK);
  auto out = m.memory.get<float>(kOut, 64);
  for (int i = 0; i < 64; ++i) EXPECT_EQ(out[i], (a[i] + a[i]) * (a[i] + a[i]));
}

TEST(Vector, AnOverlappingDestinationIsWrittenRowByRow) {
  // d lies one row below a: row i of d becomes row i + 1 of a before that is read.
  for (const Numerics* numerics : {&scalar_numerics(), &simd_numerics()}) {
    Machine m;
    m.launch.numerics = numerics;
    auto a = random_floats(6 * 40, 1);
    m.memory.put(kIn, a);
    Kernel k;
    k.hbm(0, kIn, 6, 40);
    k.l1(1, 0, 6, 40);
    k.l1(2, 0, 5, 40);
    k.l1(3, 160, 5, 40);
    k.hbm(4, kOut, 6, 40);
    k.op(NPU_OP_LD, 1, 0);
    k.op(NPU_OP_NEG, 3, 2);
    k.op(NPU_OP_ST, 4, 1);
    ASSERT_EQ(m.run(k.done()).fault.status, NPU_ST_OK);
    auto out = m.memory.get<float>(kOut, 6 * 40);
    for (int i = 0; i < 6 * 40; ++i) {
      float sign = i / 40 % 2 == 0 ? 1.0f : -1.0f;
      ASSERT_EQ(out[i], sign * a[i % 40]) << numerics->name << " " << i;
    }
  }
}

TEST(Vector, AShiftWithinOneRowReadsTheRowFirst) {
  for (const Numerics* numerics : {&scalar_numerics(), &simd_numerics()}) {
    Machine m;
    m.launch.numerics = numerics;
    auto a = random_floats(100, 1);
    m.memory.put(kIn, a);
    Kernel k;
    k.hbm(0, kIn, 1, 100);
    k.l1(1, 0, 1, 100);
    k.l1(2, 0, 1, 99);
    k.l1(3, 4, 1, 99);
    k.hbm(4, kOut, 1, 100);
    k.op(NPU_OP_LD, 1, 0);
    k.op(NPU_OP_NEG, 3, 2);
    k.op(NPU_OP_ST, 4, 1);
    ASSERT_EQ(m.run(k.done()).fault.status, NPU_ST_OK);
    auto out = m.memory.get<float>(kOut, 100);
    for (int i = 1; i < 100; ++i) ASSERT_EQ(out[i], -a[i - 1]);
  }
}

}  // namespace
}  // namespace npu::model
