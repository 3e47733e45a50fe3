// SPDX-License-Identifier: Apache-2.0
// SIMD implementation of the tensor unit's matrix product: register blocks of rows times panels.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "firmware-model/tile/numerics/simd_mm.cpp"
#include <utility>

#include "firmware-model/tile/numerics/simd_parts.h"
#include "firmware-model/tile/numerics/simd_targets.h"

#include <hwy/foreach_target.h>  // before every other use of Highway

#include "firmware-model/tile/numerics/simd_common-inl.h"

HWY_BEFORE_NAMESPACE();
namespace npu::model {
namespace HWY_NAMESPACE {

#if NPU_SIMD_HAS_FMA
namespace {

// Every element of C is one chain, so any division of m and n into blocks and any cut of k with C kept in between gives the same bits.

#if NPU_SIMD_AVX512
constexpr size_t kMaxRows = 14;  // 14 x 32: 28 accumulators, 2 vectors of B, 1 broadcast of A
constexpr size_t kMainPanels = 2;
constexpr size_t kWideRows = 4;  // up to here one block of rows takes several panels
constexpr size_t kWidePanels[kWideRows + 1] = {0, 8, 8, 6, 5};
#elif HWY_TARGET == HWY_AVX2
constexpr size_t kMaxRows = 6;  // 6 x 16: 12 accumulators, 2 vectors of B, 1 broadcast of A
constexpr size_t kMainPanels = 1;
constexpr size_t kWideRows = 3;
constexpr size_t kWidePanels[kWideRows + 1] = {0, 4, 2, 2};
#else
constexpr size_t kMaxRows = 6;  // 6 x 16: 24 accumulators, 4 vectors of B, 1 broadcast of A
constexpr size_t kMainPanels = 1;
constexpr size_t kWideRows = 3;
constexpr size_t kWidePanels[kWideRows + 1] = {0, 4, 3, 2};
#endif

constexpr size_t kTailDepth = 256;  // k at a time where B has to be copied
constexpr size_t kCopyRows = 56;    // rows of A at a time where A has to be copied
constexpr size_t kMaxPanels = 8;

struct Block {
  size_t k;
  const float* a;
  size_t lda;
  const float* b;
  size_t b_panel;
  size_t b_step;
  float* c;
  size_t ldc;
  bool accumulate;
};

// kRows x (16 kPanels) elements of C.
template <size_t kRows, size_t kPanels>
HWY_NOINLINE void block(const Block& g) {
  constexpr size_t kVecs = kPanels * kTreeVecs;
  const F32 d;
  VF acc[kRows][kVecs];
#pragma GCC unroll 16
  for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
    for (size_t v = 0; v < kVecs; ++v) {
      acc[r][v] = g.accumulate ? hn::LoadU(d, g.c + r * g.ldc + v * kN) : hn::Zero(d);
    }
  }
  // Rows in groups of three: base + {0, lda, 2 lda} are x86 addressing modes of one index register.
  const float* a[(kRows + 2) / 3];
  for (size_t i = 0; i < (kRows + 2) / 3; ++i) a[i] = g.a + 3 * i * g.lda;
  const float* b[(kPanels + 2) / 3];
  for (size_t i = 0; i < (kPanels + 2) / 3; ++i) b[i] = g.b + 3 * i * g.b_panel;
  for (size_t k = 0; k < g.k; ++k) {
    VF row[kVecs];
#pragma GCC unroll 32
    for (size_t v = 0; v < kVecs; ++v) {
      const size_t p = v / kTreeVecs;
      row[v] = hn::LoadU(d, b[p / 3] + (p % 3) * g.b_panel + (v % kTreeVecs) * kN);
    }
#pragma GCC unroll 16
    for (size_t r = 0; r < kRows; ++r) {
      const VF x = hn::Set(d, a[r / 3][(r % 3) * g.lda]);
#pragma GCC unroll 32
      for (size_t v = 0; v < kVecs; ++v) acc[r][v] = hn::MulAdd(x, row[v], acc[r][v]);
    }
#pragma GCC unroll 8
    for (size_t i = 0; i < (kRows + 2) / 3; ++i) ++a[i];
#pragma GCC unroll 8
    for (size_t i = 0; i < (kPanels + 2) / 3; ++i) b[i] += g.b_step;
  }
#pragma GCC unroll 16
  for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 32
    for (size_t v = 0; v < kVecs; ++v)
      hn::StoreU(canonical(acc[r][v]), d, g.c + r * g.ldc + v * kN);
  }
}

using BlockFn = void (*)(const Block&);

template <size_t kRows, size_t kPanels>
constexpr BlockFn block_or_null() {
  constexpr size_t kMost = kRows == 0           ? 0
                           : kRows <= kWideRows ? kWidePanels[kRows < kWideRows ? kRows : kWideRows]
                                                : kMainPanels;
  if constexpr (kPanels >= 1 && kPanels <= kMost) return block<kRows, kPanels>;
  return nullptr;
}

struct BlockTable {
  BlockFn fn[kMaxRows + 1][kMaxPanels + 1];
};

template <size_t... kIndex>
constexpr BlockTable make_table(std::index_sequence<kIndex...>) {
  BlockTable t{};
  ((t.fn[kIndex / (kMaxPanels + 1)][kIndex % (kMaxPanels + 1)] =
        block_or_null<kIndex / (kMaxPanels + 1), kIndex % (kMaxPanels + 1)>()),
   ...);
  return t;
}

constexpr BlockTable kBlocks =
    make_table(std::make_index_sequence<(kMaxRows + 1) * (kMaxPanels + 1)>());

// All rows of C for |panels| whole panels, which one block can take for each of its rows.
HWY_INLINE void rows_times(Block g, size_t m, size_t panels) {
  // Blocks of nearly equal height: none is so small that the latency of the multiply-add shows.
  const size_t blocks = (m + kMaxRows - 1) / kMaxRows;
  const size_t low = m / blocks;
  const size_t higher = m % blocks;
  for (size_t i = 0; i < blocks; ++i) {
    const size_t rows = low + (i < higher ? 1 : 0);
    kBlocks.fn[rows][panels](g);
    g.a += rows * g.lda;
    g.c += rows * g.ldc;
  }
}

// Copies |depth| rows of |cols| <= 16 columns of B to a panel; columns beyond are zero.
HWY_INLINE void copy_panel(float* to, const float* from, size_t step, size_t depth, size_t cols) {
  const F32 d;
  for (size_t k = 0; k < depth; ++k, from += step, to += 16) {
    for (size_t v = 0; v < 16; v += kN) {
      if (cols >= v + kN) {
        hn::Store(hn::LoadU(d, from + v), d, to + v);
      } else {
        hn::Store(cols > v ? load_part(d, from + v, cols - v) : hn::Zero(d), d, to + v);
      }
    }
  }
}

// As rows_times, but through a copy of B in panel order. For B in rows: its stride makes the rows of a block share few cache sets.
HWY_NOINLINE void rows_times_copy(Block g, size_t m, size_t panels) {
  alignas(64) float buffer[kMainPanels * kTailDepth * 16];
  const size_t depth_left = g.k;
  const float* b = g.b;
  for (size_t done = 0; done < depth_left; done += kTailDepth) {
    Block part = g;
    part.k = HWY_MIN(depth_left - done, kTailDepth);
    part.a = g.a + done;
    for (size_t p = 0; p < panels; ++p) {
      copy_panel(buffer + p * kTailDepth * 16, b + p * g.b_panel + done * g.b_step, g.b_step,
                 part.k, 16);
    }
    part.b = buffer;
    part.b_panel = kTailDepth * 16;
    part.b_step = 16;
    part.accumulate = g.accumulate || done != 0;
    rows_times(part, m, panels);
  }
}

// The last |cols| < 16 columns: B is copied because its rows may end there, C goes through a buffer of one block.
HWY_NOINLINE void tail_columns(const Block& g, size_t m, size_t cols) {
  alignas(64) float b[kTailDepth * 16];
  alignas(64) float c[kMaxRows * 16];
  for (size_t row = 0; row < m; row += kMaxRows) {
    const size_t rows = HWY_MIN(m - row, kMaxRows);
    float* to = g.c + row * g.ldc;
    for (size_t r = 0; r < rows; ++r) {
      for (size_t j = 0; j < 16; ++j)
        c[r * 16 + j] = g.accumulate && j < cols ? to[r * g.ldc + j] : 0.0f;
    }
    for (size_t done = 0; done < g.k || done == 0; done += kTailDepth) {
      const size_t depth = HWY_MIN(g.k - done, kTailDepth);
      if (row == 0 || g.k > kTailDepth) copy_panel(b, g.b + done * g.b_step, g.b_step, depth, cols);
      kBlocks.fn[rows][1]({depth, g.a + row * g.lda + done, g.lda, b, 16, 16, c, 16, true});
    }
    for (size_t r = 0; r < rows; ++r) std::memcpy(to + r * g.ldc, c + r * 16, cols * sizeof(float));
  }
}

void mm_direct(const MmArgs& args) {
  const size_t whole = args.n / 16;
  const size_t rows = HWY_MIN(args.m, kMaxRows);
  const size_t most = rows <= kWideRows ? kWidePanels[rows] : kMainPanels;
  const size_t groups = (whole + most - 1) / most;
  const bool copy = args.b_k_stride != 16 && args.m > kMaxRows && args.k != 0;
  Block g{args.k,          args.a, args.lda, args.b,         args.b_panel_stride,
          args.b_k_stride, args.c, args.ldc, args.accumulate};
  size_t done = 0;
  for (size_t i = 0; i < groups; ++i) {
    const size_t panels = whole * (i + 1) / groups - done;
    (copy ? rows_times_copy : rows_times)(g, args.m, panels);
    done += panels;
    g.b += panels * g.b_panel;
    g.c += panels * 16;
  }
  if (args.n % 16 != 0) tail_columns(g, args.m, args.n % 16);
}

// For rows of A that lie a multiple of 4 KiB apart and so share one cache set: goes through a copy of some rows and columns.
HWY_NOINLINE void mm_copy_a(const MmArgs& args) {
  constexpr size_t kStride = kTailDepth + 16;
  alignas(64) float buffer[kCopyRows * kStride];
  for (size_t row = 0; row < args.m; row += kCopyRows) {
    const size_t rows = HWY_MIN(args.m - row, kCopyRows);
    for (size_t done = 0; done < args.k; done += kTailDepth) {
      const size_t depth = HWY_MIN(args.k - done, kTailDepth);
      for (size_t r = 0; r < rows; ++r) {
        const float* from = args.a + (row + r) * args.lda + done;
        std::memcpy(buffer + r * kStride, from, depth * sizeof(float));
      }
      MmArgs part = args;
      part.m = rows;
      part.k = depth;
      part.a = buffer;
      part.lda = kStride;
      part.b += done * args.b_k_stride;
      part.c += row * args.ldc;
      part.accumulate = args.accumulate || done != 0;
      mm_direct(part);
    }
  }
}

void mm(const MmArgs& args) {
  if (args.m == 0 || args.n == 0) return;
  const bool aliased = args.lda % 1024 == 0 && args.m > 4 && args.n >= 64 && args.k >= 64;
  (aliased ? mm_copy_a : mm_direct)(args);
}

}  // namespace

void fill_mm(Numerics& table) { table.mm = mm; }

#else
void fill_mm(Numerics&) {}
#endif  // NPU_SIMD_HAS_FMA

}  // namespace HWY_NAMESPACE
}  // namespace npu::model
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace npu::model {

NPU_SIMD_PART(fill_mm)

}  // namespace npu::model
#endif  // HWY_ONCE
