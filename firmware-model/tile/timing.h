// SPDX-License-Identifier: Apache-2.0
// Virtual time: how many picoseconds an operation keeps its engine busy.
//
// Integers only, each division rounds up, sums stop at kNever instead of wrapping: equal programs
// take equal time on every host.
#ifndef NPU_MODEL_TILE_TIMING_H_
#define NPU_MODEL_TILE_TIMING_H_

#include <cstdint>

#include "firmware-model/tile/tile.h"

namespace npu::model {

// A time that no program reaches: about 213 days.
inline constexpr uint64_t kNever = UINT64_MAX;

inline uint64_t add_capped(uint64_t a, uint64_t b) {
  uint64_t sum;
  return __builtin_add_overflow(a, b, &sum) ? kNever : sum;
}

inline uint64_t mul_capped(uint64_t a, uint64_t b) {
  uint64_t product;
  return __builtin_mul_overflow(a, b, &product) ? kNever : product;
}

// a * b / c, rounded up.
inline uint64_t scale_up(uint64_t a, uint64_t b, uint64_t c) {
  uint64_t product;
  if (!__builtin_mul_overflow(a, b, &product)) return product / c + (product % c != 0);
  auto wide = static_cast<unsigned __int128>(a) * b;
  auto result = wide / c + (wide % c != 0);
  return result > kNever ? kNever : static_cast<uint64_t>(result);
}

// Cycles that one element costs a lane of the vector unit.
uint32_t vector_cost(uint8_t op);
// The same for the activation in ACCST.
uint32_t activation_cost(uint32_t act);

// What a launch leaves to one tile of what tiles share. Bytes per microsecond = 10^6 bytes a second.
struct Shares {
  uint64_t hbm_bytes_per_us = 0;
  uint64_t host_bytes_per_us = 0;
  uint32_t cluster_tiles = 1;  // tiles that share the cluster's L2 and its link

  bool operator==(const Shares&) const = default;
};

// Multiply-adds that a tensor unit makes in a cycle of operands of these types.
uint32_t mac_rate(const TileParams& params, uint8_t a, uint8_t b);
// The highest of them.
uint32_t mac_rate_most(const TileParams& params);

// Parts of a cycle in which the work of tensor units is counted: what is rounded up for each operation does not show in sums.
inline constexpr uint64_t kMacParts = 1 << 16;

class Timing {
 public:
  Timing() = default;
  // False: a rate that divides is zero.
  bool configure(const TileParams& params, const Shares& shares);

  uint64_t cycle_ps() const { return cycle_ps_; }
  uint64_t cycles_ps(uint64_t cycles) const {
    return scale_up(cycles, kPsTimesKhz, params_.core_clock_khz);
  }
  // Between L1 and device memory, the host's memory, the cluster's L2: as long as the slowest on the way takes.
  uint64_t dma_ps(uint64_t l1_bytes, uint64_t hbm_bytes) const;
  uint64_t host_dma_ps(uint64_t l1_bytes, uint64_t host_bytes) const;
  uint64_t l2_dma_ps(uint64_t bytes) const;
  // What products of operands of these types, which may be in blocks (decision 0037), need of a tensor unit: so many parts of a cycle.
  uint64_t mac_parts(uint64_t mac_ops, uint8_t a, uint8_t b) const;
  // How long one operation with such products takes.
  uint64_t mm_ps(uint64_t mac_parts) const;
  uint64_t vector_ps(uint64_t elements, uint32_t cost) const;
  // The tensor unit reading or writing its accumulator.
  uint64_t acc_ps(uint64_t elements, uint32_t cost) const;

 private:
  uint64_t outer_ps(uint64_t l1_bytes, uint64_t bytes, uint64_t share_bytes_per_us) const;

  static constexpr uint64_t kPsTimesKhz = 1000000000;  // 10^12 ps a second, 10^3 Hz a kHz

  TileParams params_;
  Shares shares_;
  uint64_t l2_share_ = 1;  // bytes a cycle of this tile
  uint64_t noc_share_ = 1;
  uint64_t cycle_ps_ = 0;
};

}  // namespace npu::model

#endif  // NPU_MODEL_TILE_TIMING_H_
