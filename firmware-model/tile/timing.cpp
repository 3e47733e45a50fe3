// SPDX-License-Identifier: Apache-2.0
// The latency formulas of the engines and the cost table of the vector unit.
#include "firmware-model/tile/timing.h"

#include <algorithm>

namespace npu::model {
namespace {

constexpr uint32_t kCheap = 1;           // one pass of add, multiply, compare, convert
constexpr uint32_t kDivide = 4;          // division and square root iterate
constexpr uint32_t kTranscendental = 8;  // range reduction and a polynomial

uint64_t div_up(uint64_t a, uint64_t b) { return a / b + (a % b != 0); }

}  // namespace

uint32_t vector_cost(uint8_t op) {
  switch (op) {
    case NPU_OP_SQRT:
    case NPU_OP_RCP:
    case NPU_OP_VDIV:
      return kDivide;
    case NPU_OP_RSQRT:
      return 2 * kDivide;
    case NPU_OP_EXP:
    case NPU_OP_LOG:
    case NPU_OP_TANH:
    case NPU_OP_ERF:
    case NPU_OP_SIN:
    case NPU_OP_COS:
      return kTranscendental;
    case NPU_OP_SIGMOID:
    case NPU_OP_GELU:
    case NPU_OP_GELU_ERF:
    case NPU_OP_SILU:
      return kTranscendental + kDivide;
    case NPU_OP_SMSTEP:
      return kTranscendental + 3 * kCheap;  // maximum, difference, sum around the exponential
    case NPU_OP_ROPE:
      return 2 * kCheap;
    default:
      return kCheap;
  }
}

uint32_t activation_cost(uint32_t act) {
  switch (act) {
    case NPU_ACT_NONE:
    case NPU_ACT_RELU:
      return kCheap;
    case NPU_ACT_TANH:
      return kTranscendental;
    default:
      return kTranscendental + kDivide;
  }
}

bool Timing::configure(const TileParams& params, uint64_t hbm_share_bytes_per_us) {
  // The usual case by far, and the division below costs as much as a short work-group.
  if (cycle_ps_ != 0 && hbm_share_bytes_per_us == hbm_share_bytes_per_us_ && params == params_)
    return true;
  params_ = params;
  hbm_share_bytes_per_us_ = hbm_share_bytes_per_us;
  bool usable = params.core_clock_khz != 0 && params.mac_per_cycle_bf16 != 0 &&
                params.mac_per_cycle_f32 != 0 && params.vector_lanes != 0 &&
                params.l1_bytes_per_cycle != 0 && hbm_share_bytes_per_us != 0;
  if (usable) cycle_ps_ = cycles_ps(1);
  return usable;
}

uint64_t Timing::dma_ps(uint64_t l1_bytes, uint64_t hbm_bytes) const {
  constexpr uint64_t kPsPerUs = 1000000;
  uint64_t port_ps = cycles_ps(div_up(l1_bytes, params_.l1_bytes_per_cycle));
  uint64_t hbm_ps = scale_up(hbm_bytes, kPsPerUs, hbm_share_bytes_per_us_);
  return add_capped(cycles_ps(params_.dma_setup_cycles), std::max(port_ps, hbm_ps));
}

uint64_t Timing::mm_ps(uint64_t mac_ops, uint8_t dtype) const {
  uint64_t rate = dtype == NPU_DTYPE_F32 ? params_.mac_per_cycle_f32 : params_.mac_per_cycle_bf16;
  return cycles_ps(add_capped(params_.mm_fill_cycles, div_up(mac_ops, rate)));
}

uint64_t Timing::vector_ps(uint64_t elements, uint32_t cost) const {
  uint64_t cycles = mul_capped(div_up(elements, params_.vector_lanes), cost);
  return cycles_ps(add_capped(params_.vector_setup_cycles, cycles));
}

uint64_t Timing::acc_ps(uint64_t elements, uint32_t cost) const {
  uint64_t cycles = mul_capped(div_up(elements, params_.vector_lanes), cost);
  return cycles_ps(add_capped(params_.mm_fill_cycles, cycles));
}

}  // namespace npu::model
