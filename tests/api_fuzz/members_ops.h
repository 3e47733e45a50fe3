// SPDX-License-Identifier: Apache-2.0
// Members that structs of libnpuops have in common. Counts are small, or so large that they must be refused: the device would be busy for days with what lies between.
#pragma once

#include <npu/npu_ops.h>

#include "tests/api_fuzz/structs.h"

namespace npu::fuzz {

inline uint32_t extent(Fuzzer& f) {
  if (!f.valid_only && f.rng.percent(4)) return f.rng.of<uint32_t>({0x80000000, 0xffffffff});
  return f.rng.of<uint32_t>({0, 1, 2, 16, static_cast<uint32_t>(f.rng.below(40))});
}

inline uint64_t distance(Fuzzer& f) {
  if (!f.valid_only && f.rng.percent(5))
    return f.rng.of<uint64_t>({1, 0x7fffffff, 0x80000000, ~0ull, uint64_t{1} << 62});
  return f.rng.of<uint64_t>({0, 0, 64, 128});
}

inline npuDataType type(Fuzzer& f) {
  return f.valid_only ? static_cast<int32_t>(f.rng.below(2))
                      : static_cast<int32_t>(f.rng.below(6)) - 1;
}

inline npuDevPtr maybe(Fuzzer& f) { return f.rng.percent(50) ? 0 : f.address(); }
inline uint32_t reserved(Fuzzer& f) { return !f.valid_only && f.rng.percent(4) ? 1 : 0; }

inline npuOpsRounding rounding(Fuzzer& f) {
  if (f.valid_only || f.rng.percent(60)) return {};
  npuOpsRounding out{NPU_OPS_ROUND_STOCHASTIC, reserved(f), f.rng.next(), f.rng.next()};
  if (f.rng.percent(10)) out.mode = f.rng.of<int32_t>({-1, 0, 2, INT32_MAX});
  return out;
}

// Any bits.
inline float any_float(Fuzzer& f) {
  const auto bits = static_cast<uint32_t>(f.rng.next());
  float any;
  __builtin_memcpy(&any, &bits, sizeof any);
  return any;
}

}  // namespace npu::fuzz
