// SPDX-License-Identifier: Apache-2.0
// FP8 and i8 as operands, and STC: what CVT, moves, products and the store make of them, over layouts, strides and borders of memory runs.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

#include "machine.h"

namespace npu::model {
namespace {

constexpr uint64_t kPieces = 0x50000000;  // mapped in runs of 4096 bytes

const Numerics& tables(int i) { return i == 0 ? scalar_numerics() : simd_numerics(); }

std::vector<uint8_t> random_bytes(size_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<uint8_t> out(count);
  for (uint8_t& byte : out) byte = static_cast<uint8_t>(random());
  return out;
}

// Codes without NaN and infinity.
std::vector<uint8_t> random_fp8(size_t count, uint64_t seed) {
  std::vector<uint8_t> out = random_bytes(count, seed);
  for (uint8_t& code : out)
    if ((code & 0x7f) >= 0x78) code &= 0xbf;
  return out;
}

uint32_t flags_of(bool accumulate, bool tb) {
  return (accumulate ? NPU_F_ACC : 0u) | (tb ? NPU_F_TB : 0u);
}

TEST(Formats, BytesMoveAndTurnInEveryLayout) {
  Machine m;
  for (int table : {0, 1}) {
    m.launch.numerics = &tables(table);
    for (bool trans : {false, true}) {
      const auto bytes = random_bytes(37 * 21, 3);
      m.memory.put(kIn + 1, bytes);  // bytes have no alignment
      Kernel k;
      k.hbm(0, kIn + 1, 37, 21, NPU_DTYPE_E4M3);
      const uint64_t rows = trans ? 21 : 37, cols = trans ? 37 : 21;
      k.set(1, {NPU_SPACE_L1, NPU_DTYPE_E4M3, NPU_LAYOUT_PANEL}, 3, rows, cols);
      k.hbm(2, kOut + 3, rows, cols, NPU_DTYPE_E4M3);
      k.op(NPU_OP_LD, 1, 0).flags = trans ? NPU_F_TRANS : 0;
      k.op(NPU_OP_ST, 2, 1);
      ASSERT_EQ(m.run(k.done()).fault.status, NPU_ST_OK);
      const auto got = m.memory.get<uint8_t>(kOut + 3, rows * cols);
      for (uint64_t i = 0; i < rows; ++i)
        for (uint64_t j = 0; j < cols; ++j)
          ASSERT_EQ(got[i * cols + j], bytes[trans ? j * 21 + i : i * 21 + j]);
    }
  }
}

// One product of two kinds of FP8 with itself in fp32: the same bits, whatever the layout.
std::vector<uint32_t> fp8_product(Machine& m, uint8_t a_type, uint8_t b_type, bool wide, npu_op op,
                                  bool panel, bool tb) {
  constexpr uint64_t kFp8Rows = 7, kFp8Cols = 19, kDepth = 45;
  const uint64_t b_rows = tb || op == NPU_OP_MMD ? kFp8Cols : kDepth;
  const uint64_t b_cols = tb || op == NPU_OP_MMD ? kDepth : kFp8Cols;
  Kernel k;
  k.hbm(0, kIn, kFp8Rows, kDepth, a_type);
  k.hbm(1, kIn2, b_rows, b_cols, b_type);
  k.l1(2, 0, kFp8Rows, kDepth, wide ? uint8_t{NPU_DTYPE_F32} : a_type);
  k.set(3,
        {NPU_SPACE_L1, wide ? uint8_t{NPU_DTYPE_F32} : b_type,
         panel ? uint8_t{NPU_LAYOUT_PANEL} : uint8_t{NPU_LAYOUT_ROW}},
        8192, b_rows, b_cols);
  k.acc(4, 0, kFp8Rows, kFp8Cols);
  k.l1(5, 32768, kFp8Rows, kFp8Cols);
  k.hbm(6, kOut, kFp8Rows, kFp8Cols);
  k.op(wide ? NPU_OP_LDC : NPU_OP_LD, 2, 0);
  k.op(wide ? NPU_OP_LDC : NPU_OP_LD, 3, 1);
  for (bool accumulate : {false, true})
    k.op(op, 4, 2, 3).flags = static_cast<uint16_t>(flags_of(accumulate, tb));
  k.op(NPU_OP_ACCST, 5, 4);
  k.op(NPU_OP_ST, 6, 5);
  EXPECT_EQ(m.run(k.done()).fault.status, NPU_ST_OK);
  return m.memory.get<uint32_t>(kOut, kFp8Rows * kFp8Cols);
}

TEST(Formats, ProductsOfFp8AreThoseOfTheWidenedNumbers) {
  Machine m;
  m.memory.put(kIn, random_fp8(7 * 45, 1));
  m.memory.put(kIn2, random_fp8(19 * 45, 2));
  for (int table : {0, 1}) {
    m.launch.numerics = &tables(table);
    for (uint8_t a : {NPU_DTYPE_E4M3, NPU_DTYPE_E5M2}) {
      for (uint8_t b : {NPU_DTYPE_E4M3, NPU_DTYPE_E5M2}) {
        for (bool panel : {false, true})
          EXPECT_EQ(fp8_product(m, a, b, false, NPU_OP_MM, panel, false),
                    fp8_product(m, a, b, true, NPU_OP_MM, panel, false));
        EXPECT_EQ(fp8_product(m, a, b, false, NPU_OP_MM, false, true),
                  fp8_product(m, a, b, true, NPU_OP_MM, false, true));
        EXPECT_EQ(fp8_product(m, a, b, false, NPU_OP_MMD, false, false),
                  fp8_product(m, a, b, true, NPU_OP_MMD, false, false));
      }
    }
  }
}

struct Integers {
  npu_op op;
  bool panel, tb, in_acc;
};

constexpr int kRows = 5, kCols = 18;

// d = the product of a [kRows, depth] at kIn and b at kIn2 (kept as [kCols, depth] when |tb|), from the old d at kIn + 0x80000.
const Program& integer_kernel(Kernel& k, const Integers& form, uint64_t depth, bool accumulate) {
  const uint64_t b_rows = form.tb ? kCols : depth, b_cols = form.tb ? depth : kCols;
  k.hbm(0, kIn, kRows, depth, NPU_DTYPE_I8);
  k.hbm(1, kIn2, b_rows, b_cols, NPU_DTYPE_I8);
  k.hbm(7, kIn + 0x80000, kRows, kCols, NPU_DTYPE_I32);
  k.l1(2, 0, kRows, depth, NPU_DTYPE_I8);
  k.set(3,
        {NPU_SPACE_L1, NPU_DTYPE_I8,
         form.panel ? uint8_t{NPU_LAYOUT_PANEL} : uint8_t{NPU_LAYOUT_ROW}},
        16384, b_rows, b_cols);
  k.l1(5, 120 << 10, kRows, kCols, NPU_DTYPE_I32);
  k.set(
      4,
      {form.in_acc ? uint8_t{NPU_SPACE_ACC} : uint8_t{NPU_SPACE_L1}, NPU_DTYPE_I32, NPU_LAYOUT_ROW},
      form.in_acc ? 0 : 122 << 10, kRows, kCols);
  k.hbm(6, kOut, kRows, kCols, NPU_DTYPE_I32);
  k.op(NPU_OP_LD, 2, 0);
  k.op(NPU_OP_LD, 3, 1);
  k.op(NPU_OP_LD, 5, 7);
  k.op(NPU_OP_CVT, 4, 5);
  k.op(form.op, 4, 2, 3).flags =
      static_cast<uint16_t>(flags_of(accumulate, form.tb && form.op == NPU_OP_MM));
  k.op(NPU_OP_CVT, 5, 4);
  k.op(NPU_OP_ST, 6, 5);
  return k.done();
}

void expect_integer_product(Machine& m, const Integers& form, int depth, bool accumulate) {
  const auto at = [](int row, int col, int cols) { return static_cast<size_t>(row * cols + col); };
  const auto a = random_bytes(static_cast<size_t>(kRows * depth), 4);
  const auto b = random_bytes(static_cast<size_t>(kCols * depth), 5);  // [kCols, depth]
  std::vector<uint8_t> b_stored(b.size());
  for (int j = 0; j < kCols; ++j)
    for (int k = 0; k < depth; ++k)
      b_stored[form.tb ? at(j, k, depth) : at(k, j, kCols)] = b[at(j, k, depth)];
  std::vector<int32_t> old(kRows * kCols);
  for (size_t i = 0; i < old.size(); ++i)
    old[i] = i % 3 == 0 ? INT32_MAX - 100 : i % 3 == 1 ? INT32_MIN + 100 : static_cast<int>(i);
  m.memory.put(kIn, a);
  m.memory.put(kIn2, b_stored);
  m.memory.put(kIn + 0x80000, old);
  Kernel kernel;
  ASSERT_EQ(
      m.run(integer_kernel(kernel, form, static_cast<uint64_t>(depth), accumulate)).fault.status,
      NPU_ST_OK);
  const auto got = m.memory.get<int32_t>(kOut, kRows * kCols);
  for (int i = 0; i < kRows; ++i) {
    for (int j = 0; j < kCols; ++j) {
      int64_t sum = accumulate ? old[at(i, j, kCols)] : 0;
      for (int k = 0; k < depth; ++k)
        sum += static_cast<int8_t>(a[at(i, k, depth)]) * static_cast<int8_t>(b[at(j, k, depth)]);
      ASSERT_EQ(got[at(i, j, kCols)], std::clamp<int64_t>(sum, INT32_MIN, INT32_MAX))
          << "depth " << depth << " op " << form.op;
    }
  }
}

TEST(Formats, ProductsOfIntegersAreExactAndSaturateAtTheEnd) {
  Machine m;
  for (int table : {0, 1}) {
    m.launch.numerics = &tables(table);
    for (int depth : {1, 33, 1024, 1025, 3000}) {
      for (const Integers& form :
           {Integers{NPU_OP_MM, false, false, true}, Integers{NPU_OP_MM, true, false, false},
            Integers{NPU_OP_MM, false, true, false}, Integers{NPU_OP_MMD, false, true, true}}) {
        for (bool accumulate : {false, true}) expect_integer_product(m, form, depth, accumulate);
      }
    }
  }
}

TEST(Formats, TheLargestPossibleSumOfProductsStaysExact) {
  Machine m;
  constexpr uint64_t kDepth = 30000;
  m.memory.put(kIn, std::vector<uint8_t>(kDepth, 0x80));
  Kernel k;
  k.hbm(0, kIn, 1, kDepth, NPU_DTYPE_I8);
  k.l1(1, 0, 1, kDepth, NPU_DTYPE_I8);
  k.l1(2, 0, kDepth, 1, NPU_DTYPE_I8);
  k.l1(3, 64 << 10, 1, 1, NPU_DTYPE_I32);
  k.hbm(4, kOut, 1, 1, NPU_DTYPE_I32);
  k.op(NPU_OP_LD, 1, 0);
  k.op(NPU_OP_MM, 3, 1, 2);
  for (int i = 0; i < 3; ++i) k.op(NPU_OP_MM, 3, 1, 2).flags = NPU_F_ACC;
  k.op(NPU_OP_ST, 4, 3);
  ASSERT_EQ(m.run(k.done()).fault.status, NPU_ST_OK);
  EXPECT_EQ(m.memory.get<int32_t>(kOut, 1)[0], 4 * 30000 * 16384);
  EXPECT_EQ(4ll * 30000 * 16384, 1966080000ll) << "below 2^31, so nothing saturated";
}

// d = CVT of 64 numbers from |from| to |to|.
std::vector<uint8_t> converted(Machine& m, const std::vector<float>& values, uint8_t to,
                               uint16_t flags, uint64_t first = 0) {
  m.memory.put(kIn, values);
  Kernel k;
  k.hbm(0, kIn, 8, values.size() / 8);
  k.l1(1, 0, 8, values.size() / 8);
  k.l1(2, 65536, 8, values.size() / 8, to);
  k.hbm(3, kOut, 8, values.size() / 8, to);
  k.li(4, 99);
  k.li(5, first);
  k.li(6, values.size() / 8);
  k.op(NPU_OP_LD, 1, 0);
  npu_insn& insn = k.op(NPU_OP_CVT, 2, 1);
  insn.flags = flags;
  insn.r[0] = 4;
  insn.r[1] = 5;
  insn.r[2] = 6;
  k.op(NPU_OP_ST, 3, 2);
  EXPECT_EQ(m.run(k.done()).fault.status, NPU_ST_OK);
  return m.memory.get<uint8_t>(
      kOut, values.size() * (to == NPU_DTYPE_BF16 || to == NPU_DTYPE_F16 ? 2 : 1));
}

TEST(Formats, CvtSaturatesOrOverflowsAsItsFlagSays) {
  Machine m;
  const std::vector<float> values = {500.0f, -500.0f,    HUGE_VALF, -1e6f,
                                     1e-30f, -HUGE_VALF, 70000.0f,  1.0f};
  EXPECT_EQ(converted(m, values, NPU_DTYPE_E4M3, 0),
            (std::vector<uint8_t>{0x7e, 0xfe, 0x7e, 0xfe, 0, 0xfe, 0x7e, 0x38}));
  EXPECT_EQ(converted(m, values, NPU_DTYPE_E4M3, NPU_F_OVERFLOW),
            (std::vector<uint8_t>{0x7f, 0xff, 0x7f, 0xff, 0, 0xff, 0x7f, 0x38}));
  EXPECT_EQ(converted(m, values, NPU_DTYPE_E5M2, 0),
            (std::vector<uint8_t>{0x60, 0xe0, 0x7b, 0xfb, 0, 0xfb, 0x7b, 0x3c}));
  EXPECT_EQ(converted(m, values, NPU_DTYPE_E5M2, NPU_F_OVERFLOW),
            (std::vector<uint8_t>{0x60, 0xe0, 0x7c, 0xfc, 0, 0xfc, 0x7c, 0x3c}));
  EXPECT_EQ(converted(m, values, NPU_DTYPE_I8, 0),
            (std::vector<uint8_t>{127, 128, 127, 128, 0, 128, 127, 1}));
}

TEST(Formats, CvtRoundsStochasticallyByThePlaceInTheMatrix) {
  Machine m;
  const std::vector<float> values = random_floats(8 * 24, 8);
  for (auto [dtype, type] : {std::pair{NPU_DTYPE_E4M3, RandomTo::kE4m3},
                             {NPU_DTYPE_E5M2, RandomTo::kE5m2},
                             {NPU_DTYPE_BF16, RandomTo::kBf16},
                             {NPU_DTYPE_F16, RandomTo::kF16}}) {
    const auto got = converted(m, values, static_cast<uint8_t>(dtype), NPU_F_RANDOM, 1000);
    std::vector<uint8_t> want(got.size());
    scalar_numerics().narrow_random(type, want.data(), values.data(), values.size(), {99, 1000},
                                    false);
    EXPECT_EQ(got, want);
    EXPECT_NE(converted(m, values, static_cast<uint8_t>(dtype), 0), want);
  }
}

struct Stored {
  uint8_t dtype;
  uint64_t elements, bytes;
};

std::vector<Stored> stored_types() {
  std::vector<Stored> all = {{NPU_DTYPE_F32, 1, 4}, {NPU_DTYPE_BF16, 1, 2}, {NPU_DTYPE_F16, 1, 2},
                             {NPU_DTYPE_I32, 1, 4}, {NPU_DTYPE_E4M3, 1, 1}, {NPU_DTYPE_E5M2, 1, 1},
                             {NPU_DTYPE_I8, 1, 1}};
#define NPU_STORED(name, elements, bytes, align) all.push_back({NPU_DTYPE_##name, elements, bytes});
  NPU_BLOCK_TYPES(NPU_STORED)
#undef NPU_STORED
  std::erase_if(
      all, [](const Stored& s) { return s.dtype == NPU_DTYPE_Q4_K || s.dtype == NPU_DTYPE_Q6_K; });
  return all;
}

// A row as the arithmetic encodes it.
std::vector<uint8_t> encoded_row(const Stored& s, const std::vector<float>& row, uint32_t flags,
                                 RandomRounding random) {
  const Numerics& n = scalar_numerics();
  const size_t blocks = row.size() / s.elements;
  std::vector<uint8_t> out(blocks * s.bytes);
  auto* to = reinterpret_cast<std::byte*>(out.data());
  const auto rule =
      static_cast<ScaleRule>((flags & NPU_F_SCALE_RULE_MASK) >> NPU_F_SCALE_RULE_SHIFT);
  const auto mx = static_cast<Mx>(s.dtype - NPU_DTYPE_MXFP8_E4M3);
  if (s.dtype == NPU_DTYPE_F32) {
    std::memcpy(out.data(), row.data(), out.size());
  } else if (s.dtype == NPU_DTYPE_BF16) {
    n.narrow_bf16(reinterpret_cast<uint16_t*>(to), row.data(), row.size());
  } else if (s.dtype == NPU_DTYPE_F16) {
    n.narrow_f16(reinterpret_cast<uint16_t*>(to), row.data(), row.size());
  } else if (s.dtype == NPU_DTYPE_I32) {
    n.f32_to_i32(reinterpret_cast<int32_t*>(to), row.data(), row.size());
  } else if (s.dtype == NPU_DTYPE_E4M3 || s.dtype == NPU_DTYPE_E5M2 || s.dtype == NPU_DTYPE_I8) {
    const Small type = static_cast<Small>(s.dtype - NPU_DTYPE_E4M3);
    n.narrow_small(type, out.data(), row.data(), row.size(), (flags & NPU_F_OVERFLOW) != 0);
  } else if (s.dtype == NPU_DTYPE_Q8_0) {
    n.encode_q8_0(to, row.data(), blocks);
  } else if (s.dtype == NPU_DTYPE_Q4_0) {
    n.encode_q4_0(to, row.data(), blocks);
  } else if ((flags & NPU_F_RANDOM) != 0) {
    n.encode_mx_random(mx, rule, to, row.data(), blocks, random);
  } else {
    n.encode_mx(mx, rule, to, row.data(), blocks);
  }
  return out;
}

std::vector<uint32_t> flags_that_fit(uint8_t dtype) {
  std::vector<uint32_t> flags = {0};
  if (dtype == NPU_DTYPE_E4M3 || dtype == NPU_DTYPE_E5M2) flags.push_back(NPU_F_OVERFLOW);
  if (dtype >= NPU_DTYPE_MXFP8_E4M3) flags.push_back(NPU_F_RANDOM);
  if (dtype >= NPU_DTYPE_MXFP8_E4M3 && dtype < NPU_DTYPE_MX9)
    for (uint32_t rule = 1; rule < NPU_SCALE_RULE_COUNT; ++rule)
      flags.push_back(rule << NPU_F_SCALE_RULE_SHIFT | (rule & 1 ? NPU_F_RANDOM : 0u));
  return flags;
}

void expect_stored(Machine& m, const Stored& s, uint32_t flags, uint64_t base, bool from_bf16s) {
  const uint64_t cols = s.elements == 1 ? 41 : 3 * s.elements;
  const uint64_t stride = cols + s.elements;
  std::vector<float> values = random_floats(kRows * cols, 12);
  for (float& x : values) x *= 600;
  if (from_bf16s) values = from_bf16(to_bf16(values));
  m.memory.put(kIn, values);
  const uint64_t pitch_bytes = stride / s.elements * s.bytes;
  const std::vector<uint8_t> old(kRows * pitch_bytes, 0x5a);
  m.memory.put(base, old);
  Kernel k;
  const uint8_t a_type = from_bf16s ? NPU_DTYPE_BF16 : NPU_DTYPE_F32;
  k.hbm(0, kIn, kRows, cols);
  k.l1(1, 0, kRows, cols, a_type, cols + 2);
  k.hbm(2, base, kRows, cols, s.dtype, stride);
  k.li(4, 77);
  k.li(5, 5000);
  k.li(6, 3000);
  k.op(NPU_OP_LDC, 1, 0);
  npu_insn& insn = k.op(NPU_OP_STC, 2, 1);
  insn.flags = static_cast<uint16_t>(flags);
  insn.r[0] = 4;
  insn.r[1] = 5;
  insn.r[2] = 6;
  const GroupResult result = m.run(k.done());
  ASSERT_EQ(result.fault.status, NPU_ST_OK);
  EXPECT_EQ(result.stats.hbm_write_bytes, kRows * cols / s.elements * s.bytes);
  std::vector<uint8_t> want = old;
  for (uint64_t i = 0; i < kRows; ++i) {
    const std::vector<float> row(values.begin() + static_cast<ptrdiff_t>(i * cols),
                                 values.begin() + static_cast<ptrdiff_t>((i + 1) * cols));
    const auto bytes = encoded_row(s, row, flags, {77, 5000 + i * 3000});
    std::copy(bytes.begin(), bytes.end(), want.begin() + static_cast<ptrdiff_t>(i * pitch_bytes));
  }
  ASSERT_EQ(m.memory.get<uint8_t>(base, want.size()), want);
}

TEST(Formats, StcConvertsIntoEveryTypeWithEveryFlag) {
  Machine m;
  for (uint64_t i = 0; i < 4; ++i) m.memory.map(kPieces + i * 4096, 4096);
  for (const Stored& s : stored_types()) {
    for (uint32_t flags : flags_that_fit(s.dtype)) {
      for (int table : {0, 1}) {
        m.launch.numerics = &tables(table);
        SCOPED_TRACE(testing::Message() << "type " << int{s.dtype} << " flags " << flags);
        expect_stored(m, s, flags, kOut + 8, false);
        expect_stored(m, s, flags, kPieces + 4096 - 8, true);
      }
    }
  }
}

npu_status status_of(uint8_t to, uint8_t from, uint16_t flags, npu_op op = NPU_OP_STC) {
  Machine m;
  Kernel k;
  k.l1(0, 0, 2, 256, from);
  k.set(1, {op == NPU_OP_STC ? uint8_t{NPU_SPACE_HBM} : uint8_t{NPU_SPACE_L1}, to, NPU_LAYOUT_ROW},
        op == NPU_OP_STC ? kOut : 65536, 2, 256);
  k.op(op, 1, 0).flags = flags;
  return m.run(k.done()).fault.status;
}

TEST(Formats, WhatDoesNotGoTogetherIsRefused) {
  EXPECT_EQ(status_of(NPU_DTYPE_MXFP4, NPU_DTYPE_F32, 0), NPU_ST_OK);
  EXPECT_EQ(status_of(NPU_DTYPE_Q4_K, NPU_DTYPE_F32, 0), NPU_ST_KERNEL_OPERANDS);
  EXPECT_EQ(status_of(NPU_DTYPE_Q6_K, NPU_DTYPE_F32, 0), NPU_ST_KERNEL_OPERANDS);
  EXPECT_EQ(status_of(NPU_DTYPE_MXFP4, NPU_DTYPE_I32, 0), NPU_ST_KERNEL_OPERANDS);
  EXPECT_EQ(status_of(NPU_DTYPE_MXFP4, NPU_DTYPE_F32, NPU_F_OVERFLOW), NPU_ST_KERNEL_OPERANDS);
  EXPECT_EQ(status_of(NPU_DTYPE_Q8_0, NPU_DTYPE_F32, NPU_F_RANDOM), NPU_ST_KERNEL_OPERANDS);
  constexpr uint16_t kEven = NPU_SCALE_RULE_EVEN << NPU_F_SCALE_RULE_SHIFT;
  EXPECT_EQ(status_of(NPU_DTYPE_MX9, NPU_DTYPE_F32, kEven), NPU_ST_KERNEL_OPERANDS);
  EXPECT_EQ(status_of(NPU_DTYPE_MXINT8, NPU_DTYPE_F32, kEven), NPU_ST_OK);
  for (npu_op op : {NPU_OP_STC, NPU_OP_CVT}) {
    EXPECT_EQ(status_of(NPU_DTYPE_E5M2, NPU_DTYPE_F32, NPU_F_OVERFLOW | NPU_F_RANDOM, op),
              NPU_ST_OK);
    EXPECT_EQ(status_of(NPU_DTYPE_BF16, NPU_DTYPE_F32, NPU_F_OVERFLOW, op), NPU_ST_KERNEL_OPERANDS);
    EXPECT_EQ(status_of(NPU_DTYPE_F32, NPU_DTYPE_F32, NPU_F_RANDOM, op), NPU_ST_KERNEL_OPERANDS);
    EXPECT_EQ(status_of(NPU_DTYPE_I8, NPU_DTYPE_F32, NPU_F_RANDOM, op), NPU_ST_KERNEL_OPERANDS);
  }
  EXPECT_EQ(status_of(NPU_DTYPE_E5M2, NPU_DTYPE_I32, NPU_F_RANDOM, NPU_OP_CVT),
            NPU_ST_KERNEL_OPERANDS);
}

TEST(Formats, AFaultOfTheStoreNamesTheAddress) {
  Machine m;
  Kernel k;
  k.l1(0, 0, 4, 64);
  k.hbm(1, kReadOnly, 4, 64, NPU_DTYPE_MXFP4);
  k.op(NPU_OP_STC, 1, 0);
  const GroupResult result = m.run(k.done());
  EXPECT_EQ(result.fault.status, NPU_ST_VM_FAULT);
  EXPECT_EQ(result.fault.access, NPU_ACCESS_WRITE);
  EXPECT_EQ(result.fault.value, kReadOnly);
  EXPECT_EQ(result.stats.hbm_write_bytes, 0u);
}

}  // namespace
}  // namespace npu::model
