// SPDX-License-Identifier: Apache-2.0
// The latency formulas of the engines and the cost table of the vector unit.
#include "firmware-model/tile/timing.h"

#include <algorithm>
#include <array>

namespace npu::model {
namespace {

constexpr uint32_t kCheap = 1;           // one pass of add, multiply, compare, convert
constexpr uint32_t kDivide = 4;          // division and square root iterate
constexpr uint32_t kTranscendental = 8;  // range reduction and a polynomial

uint64_t div_up(uint64_t a, uint64_t b) { return a / b + (a % b != 0); }

using Rate = uint32_t TileParams::*;

// Which rate each type has. What the tensor unit cannot take as it is, it multiplies as fp32.
constexpr std::array<Rate, 256> make_rates() {
  std::array<Rate, 256> rates;
  rates.fill(&TileParams::mac_per_cycle_f32);
  for (const uint8_t half : {NPU_DTYPE_BF16, NPU_DTYPE_F16})
    rates[half] = &TileParams::mac_per_cycle_bf16;
  for (const uint8_t byte :
       {NPU_DTYPE_E4M3, NPU_DTYPE_E5M2, NPU_DTYPE_MXFP8_E4M3, NPU_DTYPE_MXFP8_E5M2, NPU_DTYPE_MX9})
    rates[byte] = &TileParams::mac_per_cycle_fp8;
  for (const uint8_t byte : {NPU_DTYPE_I8, NPU_DTYPE_MXINT8})
    rates[byte] = &TileParams::mac_per_cycle_i8;
  for (const uint8_t six : {NPU_DTYPE_MXFP6_E2M3, NPU_DTYPE_MXFP6_E3M2, NPU_DTYPE_MX6})
    rates[six] = &TileParams::mac_per_cycle_fp6;
  for (const uint8_t four : {NPU_DTYPE_MXFP4, NPU_DTYPE_MX4})
    rates[four] = &TileParams::mac_per_cycle_fp4;
  return rates;
}
constexpr std::array<Rate, 256> kRates = make_rates();

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

uint32_t mac_rate(const TileParams& params, uint8_t a, uint8_t b) {
  // Widths of operands, each with its rate; the tensor unit multiplies two different ones as the slower, with one exception.
  const Rate rate_a = kRates[a];
  const Rate rate_b = kRates[b];
  const bool mixed =
      (rate_a == &TileParams::mac_per_cycle_fp8 && rate_b == &TileParams::mac_per_cycle_fp4) ||
      (rate_a == &TileParams::mac_per_cycle_fp4 && rate_b == &TileParams::mac_per_cycle_fp8);
  return mixed ? params.mac_per_cycle_fp8_fp4 : std::min(params.*rate_a, params.*rate_b);
}

uint32_t mac_rate_most(const TileParams& params) {
  return std::max({params.mac_per_cycle_f32, params.mac_per_cycle_bf16, params.mac_per_cycle_fp8,
                   params.mac_per_cycle_i8, params.mac_per_cycle_fp6, params.mac_per_cycle_fp4,
                   params.mac_per_cycle_fp8_fp4});
}

bool Timing::configure(const TileParams& params, const Shares& shares) {
  // The usual case by far, and the divisions below cost as much as a short work-group.
  if (cycle_ps_ != 0 && shares == shares_ && params == params_) return true;
  params_ = params;
  shares_ = shares;
  const bool usable = params.core_clock_khz != 0 && params.mac_per_cycle_bf16 != 0 &&
                      params.mac_per_cycle_f32 != 0 && params.mac_per_cycle_fp8 != 0 &&
                      params.mac_per_cycle_i8 != 0 && params.mac_per_cycle_fp6 != 0 &&
                      params.mac_per_cycle_fp4 != 0 && params.mac_per_cycle_fp8_fp4 != 0 &&
                      params.vector_lanes != 0 && params.l1_bytes_per_cycle != 0 &&
                      params.l2_bytes_per_cycle != 0 && params.noc_bytes_per_cycle != 0 &&
                      shares.hbm_bytes_per_us != 0 && shares.host_bytes_per_us != 0 &&
                      shares.cluster_tiles != 0;
  if (!usable) return false;
  cycle_ps_ = cycles_ps(1);
  l2_share_ = std::max<uint64_t>(1, params.l2_bytes_per_cycle / shares.cluster_tiles);
  noc_share_ = std::max<uint64_t>(1, params.noc_bytes_per_cycle / shares.cluster_tiles);
  return true;
}

uint64_t Timing::outer_ps(uint64_t l1_bytes, uint64_t bytes, uint64_t share_bytes_per_us) const {
  constexpr uint64_t kPsPerUs = 1000000;
  const uint64_t on_chip_ps =
      cycles_ps(std::max(div_up(l1_bytes, params_.l1_bytes_per_cycle), div_up(bytes, noc_share_)));
  const uint64_t outer_ps = scale_up(bytes, kPsPerUs, share_bytes_per_us);
  return add_capped(cycles_ps(params_.dma_setup_cycles), std::max(on_chip_ps, outer_ps));
}

uint64_t Timing::dma_ps(uint64_t l1_bytes, uint64_t hbm_bytes) const {
  return outer_ps(l1_bytes, hbm_bytes, shares_.hbm_bytes_per_us);
}

uint64_t Timing::host_dma_ps(uint64_t l1_bytes, uint64_t host_bytes) const {
  return outer_ps(l1_bytes, host_bytes, shares_.host_bytes_per_us);
}

uint64_t Timing::l2_dma_ps(uint64_t bytes) const {
  const uint64_t cycles =
      std::max(div_up(bytes, params_.l1_bytes_per_cycle), div_up(bytes, l2_share_));
  return cycles_ps(add_capped(params_.dma_setup_cycles, cycles));
}

uint64_t Timing::mac_parts(uint64_t mac_ops, uint8_t a, uint8_t b) const {
  const uint32_t rate = mac_rate(params_, a, b);
  if (mac_ops > UINT64_MAX / kMacParts) return mul_capped(div_up(mac_ops, rate), kMacParts);
  return div_up(mac_ops * kMacParts, rate);
}

uint64_t Timing::mm_ps(uint64_t mac_parts) const {
  return cycles_ps(add_capped(params_.mm_fill_cycles, div_up(mac_parts, kMacParts)));
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
