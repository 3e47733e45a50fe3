// SPDX-License-Identifier: Apache-2.0
// What plans may know of the device that they are made for.
#ifndef LIBNPU_OPS_CHIP_H_
#define LIBNPU_OPS_CHIP_H_

#include <npu/npu_types.h>

#include <array>
#include <cstdint>

namespace npu::ops {

// Rates of the tensor units, by the narrower types that have one of their own.
enum Rate : uint32_t { kRateF32, kRateBf16, kRateFp8, kRateI8, kRateFp6, kRateFp4, kRateCount };

struct Chip {
  uint32_t tiles = 0;
  uint64_t core_clock_khz = 0;
  uint64_t memory_bytes_per_second = 0;
  std::array<uint64_t, kRateCount> macs_per_second = {};  // of all tiles
  uint32_t wide_l1 = 0;  // units of kGemmWideL1Bytes that wide programs may take; 0: there are none

  // Whether a time can be told by it.
  bool is_known() const;
  // The whole chip's, for products of operands of these types.
  double rate_of(npuDataType a, npuDataType b) const;
};

// Units of kGemmWideL1Bytes that a program may take of scratchpads of these sizes; 0: none fits.
uint32_t wide_l1_of(uint64_t l1_bytes, uint64_t acc_bytes);

// Asked once a plan is worth it: to find out what a device is takes calls to its driver.
class ChipSource {
 public:
  virtual const Chip& chip() = 0;

 protected:
  ~ChipSource() = default;
};

}  // namespace npu::ops

#endif  // LIBNPU_OPS_CHIP_H_
