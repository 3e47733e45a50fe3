// SPDX-License-Identifier: Apache-2.0
// Reductions on the device: the programs of npu_ccl.nfw (firmware-model/kernels/collective.cpp), loaded into one context.
#pragma once

#include <npu/npu_ccl.h>
#include <npu/npu_module.h>

#include <cstdint>
#include <span>

#include "libnpu/ccl/data_type.h"
#include "libnpu/ccl/lanes.h"

namespace npu::ccl {

inline constexpr uint32_t kOperandsMax = 16;
static_assert(kOperandsMax >= NPU_CCL_RANKS_MAX);

enum class Fold : uint8_t { kSum, kProduct, kMinimum, kMaximum };
inline constexpr uint32_t kFoldCount = 4;

struct Operand {
  npuDevPtr at = 0;
  bool is_wide = false;  // accumulator type
};

struct Reduction {
  npuDataType type = NPU_FLOAT32;
  Fold fold = Fold::kSum;
  bool scales = false;   // only where the result is rounded
  float factor = 1;      // of floating-point types
  uint32_t divisor = 1;  // of int32
};

class Reducer {
 public:
  Reducer() = default;
  Reducer(const Reducer&) = delete;
  Reducer& operator=(const Reducer&) = delete;
  ~Reducer();

  npuResult load(npuContext context);
  // Each of |targets| = the tree over |operands|, rounded unless the target, the only one then, is wide. Looks nothing up on the device.
  void add(Lanes& lanes, uint32_t lane, const Reduction& reduction,
           std::span<const Operand> targets, std::span<const Operand> operands,
           uint64_t count) const;
  void add(Lanes& lanes, uint32_t lane, const Reduction& reduction, Operand to,
           std::span<const Operand> operands, uint64_t count) const {
    add(lanes, lane, reduction, std::span(&to, 1), operands, count);
  }

 private:
  npuModule module_ = nullptr;
  npuKernel kernels_[kFoldCount][std::size(kDataTypes)] = {};
};

}  // namespace npu::ccl
