// SPDX-License-Identifier: Apache-2.0
// LDC: every source type to every destination type and layout, over strides, transposition and borders of memory runs; its time.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

#include "machine.h"

namespace npu::model {
namespace {

constexpr uint64_t kPieces = 0x50000000;  // mapped in runs of 4096 bytes

struct Source {
  uint8_t dtype;
  uint64_t block_elements;
  uint64_t block_bytes;
};

constexpr Source kSources[] = {{NPU_DTYPE_F32, 1, 4},      {NPU_DTYPE_BF16, 1, 2},
                               {NPU_DTYPE_F16, 1, 2},      {NPU_DTYPE_I32, 1, 4},
                               {NPU_DTYPE_E4M3, 1, 1},     {NPU_DTYPE_E5M2, 1, 1},
                               {NPU_DTYPE_I8, 1, 1},
#define NPU_SOURCE(name, elements, bytes, align) {NPU_DTYPE_##name, elements, bytes},
                               NPU_BLOCK_TYPES(NPU_SOURCE)
#undef NPU_SOURCE
};

// Bytes that are ordinary numbers in every type: fp16 halves and bf16 of moderate size.
std::vector<uint8_t> source_bytes(uint64_t bytes, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<uint8_t> out(bytes);
  for (uint64_t i = 0; i < bytes; ++i)
    out[i] = static_cast<uint8_t>(i % 2 == 0 ? random() : (random() & 0x87) | 0x38);
  return out;
}

// The unit that holds element (i, j), decoded by the scalar definition.
float element(const Source& s, const std::vector<uint8_t>& bytes, uint64_t place) {
  const Numerics& n = scalar_numerics();
  const auto* at =
      reinterpret_cast<const std::byte*>(bytes.data()) + place / s.block_elements * s.block_bytes;
  float values[256] = {};
  uint32_t word = 0;
  std::memcpy(&word, at, std::min<uint64_t>(s.block_bytes, 4));
  auto half = static_cast<uint16_t>(word);
  auto integer = static_cast<int32_t>(word);
  auto byte = static_cast<uint8_t>(word);
  switch (s.dtype) {
    case NPU_DTYPE_F32:
      std::memcpy(values, &word, 4);
      break;
    case NPU_DTYPE_BF16:
      n.widen_bf16(values, &half, 1);
      break;
    case NPU_DTYPE_F16:
      n.widen_f16(values, &half, 1);
      break;
    case NPU_DTYPE_I32:
      n.i32_to_f32(values, &integer, 1);
      break;
    case NPU_DTYPE_Q8_0:
      n.decode_q8_0(values, at, 1);
      break;
    case NPU_DTYPE_Q4_0:
      n.decode_q4_0(values, at, 1);
      break;
    case NPU_DTYPE_Q4_K:
      n.decode_q4_k(values, at, 1);
      break;
    case NPU_DTYPE_Q6_K:
      n.decode_q6_k(values, at, 1);
      break;
    case NPU_DTYPE_E4M3:
      n.widen_small(Small::kE4m3, values, &byte, 1);
      break;
    case NPU_DTYPE_E5M2:
      n.widen_small(Small::kE5m2, values, &byte, 1);
      break;
    case NPU_DTYPE_I8:
      n.widen_small(Small::kI8, values, &byte, 1);
      break;
    default:
      n.decode_mx(static_cast<Mx>(s.dtype - NPU_DTYPE_MXFP8_E4M3), values, at, 1);
      break;
  }
  return values[place % s.block_elements];
}

struct Case {
  Source source;
  uint8_t d_dtype;
  bool panel;
  bool transposed;
  uint64_t rows, cols;  // of the source; columns in blocks
  uint64_t skip;        // blocks between two rows
  uint64_t base;
};

uint32_t stored(uint8_t dtype, float value) {
  if (dtype == NPU_DTYPE_F32) {
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    return bits;
  }
  if (dtype == NPU_DTYPE_BF16) return to_bf16(value);
  if (dtype == NPU_DTYPE_F16) return to_f16(value);
  uint8_t code = 0;
  scalar_numerics().narrow_small(dtype == NPU_DTYPE_E4M3 ? Small::kE4m3 : Small::kE5m2, &code,
                                 &value, 1, false);
  return code;
}

uint32_t place_in_l1(const Case& c, uint64_t i, uint64_t j, uint64_t stride) {
  return static_cast<uint32_t>(c.panel ? j / 16 * stride * 16 + i * 16 + j % 16 : i * stride + j);
}

void expect_converted(Machine& m, const Case& c, const Numerics& numerics) {
  SCOPED_TRACE(testing::Message() << "from " << int{c.source.dtype} << " to " << int{c.d_dtype}
                                  << (c.panel ? " panel" : " row")
                                  << (c.transposed ? " trans " : " ") << c.rows << "x" << c.cols
                                  << " skip " << c.skip << " " << numerics.name);
  m.launch.numerics = &numerics;
  const uint64_t stride = (c.cols + c.skip) * c.source.block_elements;
  const uint64_t cols = c.cols * c.source.block_elements;
  const auto bytes = source_bytes(c.rows * (c.cols + c.skip) * c.source.block_bytes, 5);
  m.memory.put(c.base, bytes);
  const uint64_t d_rows = c.transposed ? cols : c.rows;
  const uint64_t d_cols = c.transposed ? c.rows : cols;
  const uint64_t d_stride = (c.panel ? d_rows : d_cols) + 3;
  const uint64_t whole = c.panel ? (d_cols + 15) / 16 * 16 * d_stride : d_rows * d_stride;
  Kernel k;
  k.hbm(0, c.base, c.rows, cols, c.source.dtype, stride);
  k.set(1, {NPU_SPACE_L1, c.d_dtype, c.panel ? uint8_t{NPU_LAYOUT_PANEL} : uint8_t{NPU_LAYOUT_ROW}},
        0, d_rows, d_cols, d_stride);
  k.l1(2, 0, 1, whole, c.d_dtype);
  k.hbm(3, kOut, 1, whole, c.d_dtype);
  k.op(NPU_OP_VFILL, 2).imm = 0x3f800000;
  k.op(NPU_OP_LDC, 1, 0).flags = c.transposed ? NPU_F_TRANS : 0;
  k.op(NPU_OP_ST, 3, 2);
  GroupResult result = m.run(k.done());
  ASSERT_EQ(result.fault.status, NPU_ST_OK);
  EXPECT_EQ(result.stats.hbm_read_bytes, c.rows * c.cols * c.source.block_bytes);
  std::vector<uint32_t> got(whole);
  if (c.d_dtype == NPU_DTYPE_F32) {
    got = m.memory.get<uint32_t>(kOut, whole);
  } else if (c.d_dtype == NPU_DTYPE_E4M3 || c.d_dtype == NPU_DTYPE_E5M2) {
    auto codes = m.memory.get<uint8_t>(kOut, whole);
    got.assign(codes.begin(), codes.end());
  } else {
    auto half = m.memory.get<uint16_t>(kOut, whole);
    got.assign(half.begin(), half.end());
  }
  std::vector<uint32_t> want(whole, stored(c.d_dtype, 1.0f));
  for (uint64_t i = 0; i < d_rows; ++i) {
    for (uint64_t j = 0; j < (c.panel ? (d_cols + 15) / 16 * 16 : d_cols); ++j) {
      uint64_t at = c.transposed ? j * stride + i : i * stride + j;
      want[place_in_l1(c, i, j, d_stride)] =
          j < d_cols ? stored(c.d_dtype, element(c.source, bytes, at)) : 0;
    }
  }
  ASSERT_EQ(got, want);
}

TEST(Convert, EverySourceArrivesInEveryTypeAndLayout) {
  Machine m;
  for (uint64_t i = 0; i < 64; ++i) m.memory.map(kPieces + i * 4096, 4096);
  for (const Source& s : kSources) {
    for (uint8_t d :
         {NPU_DTYPE_F32, NPU_DTYPE_BF16, NPU_DTYPE_F16, NPU_DTYPE_E4M3, NPU_DTYPE_E5M2}) {
      for (int form = 0; form < 4; ++form) {
        const bool plain = s.block_elements == 1;
        for (uint64_t base : {kIn + 8, kPieces + 4096 - 16}) {
          Case c{s, d, (form & 1) != 0, (form & 2) != 0, 5, plain ? uint64_t{37} : 2, 0, base};
          expect_converted(m, c, simd_numerics());
          c.skip = plain ? 3 : 1;
          expect_converted(m, c, simd_numerics());
          expect_converted(m, c, scalar_numerics());
        }
      }
    }
  }
}

TEST(Convert, OneElementOneColumnAndNothing) {
  Machine m;
  for (const Source& s : kSources) {
    for (bool transposed : {false, true}) {
      for (auto [rows, cols] :
           std::vector<std::pair<uint64_t, uint64_t>>{{1, 1}, {40, 1}, {0, 1}, {1, 0}, {0, 0}}) {
        for (uint64_t skip : {0, 2}) {
          if (rows * cols == 0 && skip == 0) continue;  // a stride of 0 columns
          Case c{s, NPU_DTYPE_F32, false, transposed, rows, cols, skip, kIn + 2 * 34 * 2};
          expect_converted(m, c, simd_numerics());
        }
      }
    }
  }
}

TEST(Convert, AViewOfBlocksBeginsAtItsBlock) {
  Machine m;
  const auto bytes = source_bytes(4 * 6 * 34, 9);
  m.memory.put(kIn, bytes);
  Kernel k;
  k.hbm(0, kIn, 4, 5 * 32, NPU_DTYPE_Q8_0, 6 * 32);
  k.li(1, 2);
  k.li(2, 3 * 32);
  k.li(3, 64);
  k.scalar(NPU_OP_TVIEW, 1, 2, 1, 3).dst = 1;
  k.l1(2, 0, 2, 64);
  k.hbm(3, kOut, 2, 64);
  k.op(NPU_OP_LDC, 2, 1);
  k.op(NPU_OP_ST, 3, 2);
  ASSERT_EQ(m.run(k.done()).fault.status, NPU_ST_OK);
  auto got = m.memory.get<float>(kOut, 128);
  for (uint64_t i = 0; i < 2; ++i) {
    for (uint64_t j = 0; j < 64; ++j)
      ASSERT_EQ(got[i * 64 + j], element({NPU_DTYPE_Q8_0, 32, 34}, bytes, (i + 2) * 192 + 96 + j));
  }
}

TEST(Convert, FloatsOfOneTypeMoveAsBitsOnlyWhereTheyHaveThirtyTwo) {
  Machine m;
  m.memory.put(kIn, std::vector<uint32_t>{0x7f812345, 0x7f812345});
  Kernel k;
  k.hbm(0, kIn, 1, 1);
  k.l1(1, 0, 1, 1);
  k.hbm(2, kOut, 1, 1);
  k.hbm(3, kIn, 1, 2, NPU_DTYPE_BF16);
  k.l1(4, 64, 1, 2, NPU_DTYPE_BF16);
  k.hbm(5, kOut + 4, 1, 2, NPU_DTYPE_BF16);
  k.op(NPU_OP_LDC, 1, 0);
  k.op(NPU_OP_ST, 2, 1);
  k.op(NPU_OP_LDC, 4, 3);
  k.op(NPU_OP_ST, 5, 4);
  ASSERT_EQ(m.run(k.done()).fault.status, NPU_ST_OK);
  EXPECT_EQ(m.memory.get<uint32_t>(kOut, 1)[0], 0x7f812345u);
  EXPECT_EQ(m.memory.get<uint16_t>(kOut + 4, 2)[1], 0x7fc0u);  // the canonical NaN
}

// MMS against LDC and MMD, bit for bit: rows in one run of memory and over several.
TEST(Convert, ProductsWithWeightsAreThoseOfConvertedRows) {
  Machine m;
  for (uint64_t i = 0; i < 64; ++i) m.memory.map(kPieces + i * 4096, 4096);
  for (const Source& s : kSources) {
    if (s.dtype == NPU_DTYPE_I32) continue;
    for (uint64_t vectors : {1, 2, 3, 7}) {
      for (uint64_t base : {kIn + 8, kPieces + 4096 - 16}) {
        for (uint64_t skip : {0, 1}) {
          SCOPED_TRACE(testing::Message() << "type " << int{s.dtype} << " vectors " << vectors);
          const uint64_t cols = s.block_elements == 1 ? 41 : 2 * s.block_elements;
          const uint64_t stride = cols + skip * s.block_elements;
          constexpr uint64_t kRows = 21;
          m.memory.put(base, source_bytes(kRows * stride / s.block_elements * s.block_bytes, 3));
          m.memory.put(kIn2, random_floats(vectors * cols, 4));
          Kernel k;
          k.hbm(0, base, kRows, cols, s.dtype, stride);
          k.l1(1, 0, kRows, cols);
          k.hbm(2, kIn2, vectors, cols);
          k.l1(3, 60 << 10, vectors, cols);
          k.l1(4, 100 << 10, vectors, kRows, NPU_DTYPE_F32, kRows + 2);
          k.l1(5, 104 << 10, vectors, kRows, NPU_DTYPE_F32, kRows + 2);
          k.hbm(6, kOut, vectors, kRows);
          k.hbm(7, kOut + 0x8000, vectors, kRows);
          k.op(NPU_OP_LD, 3, 2);
          k.op(NPU_OP_LDC, 1, 0);
          k.op(NPU_OP_FENCE);
          for (uint16_t flags : {0, NPU_F_ACC}) {
            k.op(NPU_OP_MMD, 4, 3, 1).flags = flags;
            k.op(NPU_OP_MMS, 5, 3, 0).flags = flags;
          }
          k.op(NPU_OP_FENCE);
          k.op(NPU_OP_ST, 6, 4);
          k.op(NPU_OP_ST, 7, 5);
          const GroupResult result = m.run(k.done());
          ASSERT_EQ(result.fault.status, NPU_ST_OK);
          EXPECT_EQ(result.stats.mac_ops, 4 * vectors * kRows * cols);
          EXPECT_EQ(result.stats.hbm_read_bytes,
                    3 * kRows * cols / s.block_elements * s.block_bytes + vectors * cols * 4);
          EXPECT_EQ(m.memory.get<uint32_t>(kOut, vectors * kRows),
                    m.memory.get<uint32_t>(kOut + 0x8000, vectors * kRows));
        }
      }
    }
  }
}

// A load that waits for HBM takes as long as the bytes of its blocks.
TEST(Convert, TimeCountsTheBytesOfTheBlocks) {
  auto time_of = [](uint8_t dtype) {
    Machine m;
    m.launch.hbm_share_bytes_per_us = 1000;  // far below the port of the DMA engine
    Kernel k;
    k.hbm(0, kIn, 16, 256, dtype);
    k.l1(1, 0, 16, 256);
    k.op(NPU_OP_LDC, 1, 0);
    GroupResult result = m.run(k.done());
    EXPECT_EQ(result.fault.status, NPU_ST_OK);
    return result.stats.engine_busy_ps[NPU_ENGINE_LD];
  };
  auto product_time_of = [](uint8_t dtype) {
    Machine m;
    m.launch.hbm_share_bytes_per_us = 1000;
    Kernel k;
    k.hbm(0, kIn, 16, 256, dtype);
    k.l1(1, 0, 1, 256);
    k.l1(2, 4096, 1, 16);
    k.op(NPU_OP_MMS, 2, 1, 0);
    GroupResult result = m.run(k.done());
    EXPECT_EQ(result.fault.status, NPU_ST_OK);
    return result.stats.engine_busy_ps[NPU_ENGINE_MM];
  };
  const uint64_t setup_ps = time_of(NPU_DTYPE_F32) - 16 * 256 * 4 * 1000;
  for (const Source& s : kSources) {
    const uint64_t want_ps = setup_ps + 16 * 256 / s.block_elements * s.block_bytes * 1000;
    EXPECT_EQ(time_of(s.dtype), want_ps);
    if (s.dtype == NPU_DTYPE_I32) continue;
    EXPECT_EQ(product_time_of(s.dtype), want_ps);
  }
}

struct Streamed {
  uint64_t m, n, depth, skip, base;
};

// The same product with b streamed, and with b brought to L1 first.
std::vector<uint32_t> product(Machine& m, const Source& s, const Streamed& c, bool streamed,
                              bool accumulate) {
  const uint64_t stride = (c.depth + c.skip) * s.block_elements;
  const uint64_t depth = c.depth * s.block_elements;
  Kernel k;
  k.hbm(0, kIn, c.m, depth);
  k.l1(1, 0, c.m, depth);
  k.hbm(2, c.base, c.n, depth, s.dtype, stride);
  k.l1(3, 65536, c.n, depth);
  k.l1(4, 32768, c.m, c.n);
  k.hbm(5, kOut, c.m, c.n);
  k.op(NPU_OP_LD, 1, 0);
  k.op(NPU_OP_VFILL, 4).imm = 0x3f800000;
  if (streamed) {
    k.op(NPU_OP_MMS, 4, 1, 2).flags = accumulate ? NPU_F_ACC : 0;
  } else {
    k.op(NPU_OP_LDC, 3, 2);
    k.op(NPU_OP_MMD, 4, 1, 3).flags = accumulate ? NPU_F_ACC : 0;
  }
  k.op(NPU_OP_ST, 5, 4);
  EXPECT_EQ(m.run(k.done()).fault.status, NPU_ST_OK);
  return m.memory.get<uint32_t>(kOut, c.m * c.n);
}

TEST(Stream, IsTheProductOfWhatALoadConverts) {
  Machine m;
  for (uint64_t i = 0; i < 64; ++i) m.memory.map(kPieces + i * 4096, 4096);
  const auto a = source_bytes(4 * 1024 * 4, 3);
  m.memory.put(kIn, a);
  for (const Source& s : kSources) {
    if (s.dtype == NPU_DTYPE_I32) continue;
    const bool plain = s.block_elements == 1;
    for (uint64_t base : {kIn + 32768, kPieces + 4096 - 16}) {
      for (const Streamed& c : {Streamed{1, 37, plain ? uint64_t{45} : 1, 0, base},
                                {3, 5, plain ? uint64_t{64} : 2, 1, base},
                                {4, 1, plain ? uint64_t{1} : 1, 3, base},
                                {2, 3, 0, 1, base}}) {
        SCOPED_TRACE(testing::Message() << "type " << int{s.dtype} << " " << c.m << "x" << c.n
                                        << "x" << c.depth << " at " << c.base);
        m.memory.put(c.base, source_bytes((c.depth + c.skip) * c.n * s.block_bytes, 11));
        for (const Numerics* numerics : {&simd_numerics(), &scalar_numerics()}) {
          m.launch.numerics = numerics;
          for (bool accumulate : {false, true})
            ASSERT_EQ(product(m, s, c, true, accumulate), product(m, s, c, false, accumulate));
        }
      }
    }
  }
}

// INTEGER against STC into Q8_0 and the arithmetic's own product; rows, and tiles of 16 of them, in one run and over several.
TEST(Stream, IntegersAreTheProductOfWhatAStoreRounds) {
  Machine m;
  for (uint64_t i = 0; i < 64; ++i) m.memory.map(kPieces + i * 4096, 4096);
  constexpr uint64_t kVectors = 3, kRows = 48, kDepth = 96, kBlocks = kDepth / 32;
  const auto vectors = random_floats(kVectors * kDepth, 5);
  m.memory.put(kIn, vectors);
  std::vector<std::byte> rounded(kVectors * kBlocks * 34);
  std::vector<RoundedBlock> opened(kVectors * kBlocks);
  scalar_numerics().encode_q8_0(rounded.data(), vectors.data(), kVectors * kBlocks);
  scalar_numerics().open_q8_0(opened.data(), rounded.data(), kVectors * kBlocks);
  for (uint8_t dtype : {NPU_DTYPE_Q8_0, NPU_DTYPE_Q4_0}) {
    const bool q8 = dtype == NPU_DTYPE_Q8_0;
    const uint64_t row_bytes = kBlocks * (q8 ? 34 : 18);
    const auto weights = source_bytes(kRows * row_bytes, 6);
    for (bool tiled : {false, true}) {
      const uint64_t rows = tiled ? kRows : kRows - 11;
      std::vector<float> want(kVectors * rows);
      scalar_numerics().dot_integer({kVectors, rows, kDepth, opened.data(), kBlocks,
                                     q8 ? Weight::kQ8_0 : Weight::kQ4_0, tiled,
                                     reinterpret_cast<const std::byte*>(weights.data()), row_bytes,
                                     want.data(), rows, false});
      for (uint64_t base : {kIn + 32768, kPieces + 4096 - 32}) {
        m.memory.put(base, weights);
        Kernel k;
        k.hbm(0, kIn, kVectors, kDepth);
        k.l1(1, 0, kVectors, kDepth);
        k.hbm(2, base, rows, kDepth, dtype);
        k.l1(3, 32768, kVectors, rows);
        k.hbm(4, kOut, kVectors, rows);
        k.op(NPU_OP_LD, 1, 0);
        k.op(NPU_OP_MMS, 3, 1, 2).flags =
            static_cast<uint16_t>(NPU_F_INTEGER | (tiled ? NPU_F_TILED : 0));
        k.op(NPU_OP_ST, 4, 3);
        ASSERT_EQ(m.run(k.done()).fault.status, NPU_ST_OK);
        EXPECT_EQ(
            m.memory.get<uint32_t>(kOut, kVectors * rows),
            std::vector<uint32_t>(reinterpret_cast<const uint32_t*>(want.data()),
                                  reinterpret_cast<const uint32_t*>(want.data()) + want.size()));
      }
    }
  }
}

TEST(Stream, ALongProductGoesInPieces) {
  Machine m;
  m.memory.map(0x60000000, 8 << 20);
  const uint64_t rows = 300, depth = 512;
  m.memory.put(kIn, source_bytes(depth * 4, 1));
  m.memory.put(0x60000000, source_bytes(rows * depth / 32 * 34, 2));
  Kernel k;
  k.hbm(0, kIn, 1, depth);
  k.l1(1, 0, 1, depth);
  k.hbm(2, 0x60000000, rows, depth, NPU_DTYPE_Q8_0);
  k.l1(3, 8192, 1, rows);
  k.hbm(4, kOut, 1, rows);
  k.op(NPU_OP_LD, 1, 0);
  k.op(NPU_OP_MMS, 3, 1, 2);
  k.op(NPU_OP_ST, 4, 3);
  m.launch.numerics = &simd_numerics();
  ASSERT_EQ(m.run(k.done()).fault.status, NPU_ST_OK);
  const auto simd = m.memory.get<uint32_t>(kOut, rows);
  m.launch.numerics = &scalar_numerics();
  GroupResult result = m.run(k.done());
  EXPECT_EQ(m.memory.get<uint32_t>(kOut, rows), simd);
  EXPECT_EQ(result.stats.hbm_read_bytes, depth * 4 + rows * depth / 32 * 34);
  EXPECT_EQ(result.stats.mac_ops, rows * depth);
}

}  // namespace
}  // namespace npu::model
