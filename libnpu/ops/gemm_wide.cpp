// SPDX-License-Identifier: Apache-2.0
#include "libnpu/ops/gemm_wide.h"

#include <algorithm>

#include "libnpu/ops/limits.h"
#include "libnpu/ops/plan.h"

namespace npu::ops {
namespace {

// Core clocks before the first byte of a load: what the profiles have.
constexpr double kLoadStartCycles = 64;
// Wide blocks have to save so much: an estimate is no more exact.
constexpr double kClearly = 0.97;
// Blocks are looked at from the largest side down to this.
constexpr uint32_t kSideLeast = 256;
// What the end of a block needs of the room of the operands: a strip of C, a row and a column of factors.
constexpr uint64_t kStripRoom = uint64_t{kGemmWideSide} * 4 * (kGemmWideStrip + 2);
constexpr uint32_t kRoomStep = 1024;  // bytes that the places of blocks are multiples of

Rate rate_of_type(npuDataType type) {
  switch (type) {
    case NPU_BFLOAT16:
    case NPU_FLOAT16:
      return kRateBf16;
    case NPU_FLOAT8_E4M3:
    case NPU_FLOAT8_E5M2:
    case NPU_MXFP8_E4M3:
    case NPU_MXFP8_E5M2:
    case NPU_MX9:
      return kRateFp8;
    case NPU_INT8:
    case NPU_MXINT8:
      return kRateI8;
    case NPU_MXFP6_E2M3:
    case NPU_MXFP6_E3M2:
    case NPU_MX6:
      return kRateFp6;
    case NPU_MXFP4:
    case NPU_MX4:
      return kRateFp4;
    default:
      return kRateF32;
  }
}

double bytes_of_one(npuDataType type) {
  const TypeLayout layout = layout_of(type);
  return static_cast<double>(layout.block_bytes) / layout.block_elements;
}

// Blocks with sides of m and n, if the scratchpads have room for them.
std::optional<WideBlocks> place(const ProductShape& p, uint32_t m, uint32_t n, const Chip& chip) {
  const uint64_t l1_bytes = uint64_t{chip.wide_l1} * kGemmWideL1Bytes;
  const uint64_t acc_bytes =
      uint64_t{std::min<uint32_t>(chip.wide_l1, kGemmWideAccMost)} * kGemmWideAccBytes;
  WideBlocks wide{{m, n, 0}, 0, 0};
  if (!p.sums_lie_in_l1) {
    const auto rows = static_cast<uint32_t>(acc_bytes / (uint64_t{n} * 4));
    wide.acc_rows = std::min(round_up(m, kGemmWideStrip), rows / kGemmWideStrip * kGemmWideStrip);
  }
  const uint64_t sum_bytes = uint64_t{m - std::min(m, wide.acc_rows)} * n * 4;
  if (sum_bytes + kStripRoom > l1_bytes) return std::nullopt;
  wide.block_bytes = static_cast<uint32_t>((l1_bytes - sum_bytes) / 4 / kRoomStep * kRoomStep);
  const uint64_t row_bytes = uint64_t{std::max(round_up(m, 16), n)} * p.l1_elem_bytes;
  wide.block.k = static_cast<uint32_t>(wide.block_bytes / row_bytes) / p.align_k * p.align_k;
  wide.block.k = std::min(wide.block.k, round_up(std::max(p.k, 1u), p.align_k));
  if (wide.block.k == 0 || uint64_t{wide.block_bytes} * 4 < kStripRoom) return std::nullopt;
  return wide;
}

}  // namespace

bool Chip::is_known() const {
  return tiles != 0 && core_clock_khz != 0 && memory_bytes_per_second != 0 &&
         std::all_of(macs_per_second.begin(), macs_per_second.end(),
                     [](uint64_t rate) { return rate != 0; });
}

double Chip::rate_of(npuDataType a, npuDataType b) const {
  const Rate x = rate_of_type(a), y = rate_of_type(b);
  const auto [slow, fast] = std::minmax(macs_per_second[x], macs_per_second[y]);
  // A pair of which chips have a rate between those of its types, which they do not tell: a block that is large enough for the faster one is for all.
  const bool between = std::min(x, y) == kRateFp8 && std::max(x, y) == kRateFp4;
  return static_cast<double>(between ? fast : slow);
}

uint32_t wide_l1_of(uint64_t l1_bytes, uint64_t acc_bytes) {
  uint64_t units = std::min<uint64_t>(l1_bytes / kGemmWideL1Bytes, kGemmWideL1Most);
  while (units != 0 && std::min<uint64_t>(units, kGemmWideAccMost) * kGemmWideAccBytes > acc_bytes)
    --units;
  return static_cast<uint32_t>(units);
}

double time_of(const ProductShape& p, const Blocks& block, const Chip& chip) {
  const double groups = static_cast<double>(ceil_div(p.m, block.m)) * ceil_div(p.n, block.n) *
                        static_cast<double>(p.times);
  const double tiles = chip.tiles;
  const double active = std::min(groups, tiles);
  const double turns =
      std::max(1.0, static_cast<double>(static_cast<uint64_t>((groups + tiles - 1) / tiles)));
  const double bytes_per_s = static_cast<double>(chip.memory_bytes_per_second) / active;
  const double macs_per_s = chip.rate_of(p.a_type, p.b_type) / tiles;
  const double steps = ceil_div(p.k, block.k);
  const double start_s = kLoadStartCycles / (static_cast<double>(chip.core_clock_khz) * 1e3);
  const double row_bytes = block.m * bytes_of_one(p.a_type) + block.n * bytes_of_one(p.b_type);
  const double load_s = block.k * row_bytes / bytes_per_s + 2 * start_s;
  const double multiply_s = static_cast<double>(block.m) * block.n * block.k / macs_per_s;
  const double store_s = static_cast<double>(block.m) * block.n * p.result_bytes / bytes_per_s;
  return turns * (load_s + steps * std::max(load_s, multiply_s) + store_s);
}

std::optional<WideBlocks> choose_wide(const ProductShape& p, const Blocks& narrow,
                                      const Chip& chip) {
  if (!may_be_wide(p.m, p.n) || p.k == 0 || chip.wide_l1 == 0 || !chip.is_known())
    return std::nullopt;
  double least_s = kClearly * time_of(p, narrow, chip);
  std::optional<WideBlocks> best;
  uint32_t last_m = 0;
  for (uint32_t rows = ceil_div(p.m, kGemmWideSide); rows <= ceil_div(p.m, kSideLeast); ++rows) {
    const uint32_t m = round_up(ceil_div(p.m, rows), kGemmWideStrip);
    if (m == last_m) continue;
    last_m = m;
    uint32_t last_n = 0;
    for (uint32_t cols = ceil_div(p.n, kGemmWideSide); cols <= ceil_div(p.n, kSideLeast); ++cols) {
      const uint32_t n = round_up(ceil_div(p.n, cols), p.columns);
      if (n == last_n || n > kGemmWideSide) continue;
      last_n = n;
      const auto wide = place(p, m, n, chip);
      if (!wide) continue;
      const double seconds = time_of(p, wide->block, chip);
      if (seconds >= least_s) continue;
      least_s = seconds;
      best = wide;
    }
  }
  return best;
}

}  // namespace npu::ops
