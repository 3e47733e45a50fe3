// SPDX-License-Identifier: Apache-2.0
//
// Conversions between the number formats of checkpoints.
#include "samples/llm/tensor.h"

#include <bit>
#include <cmath>
#include <cstring>

namespace npu::llm {
namespace {

static_assert(std::endian::native == std::endian::little,
              "checkpoints are little-endian and are read without swapping");

template <typename Bits, typename Convert>
void widen_elements(std::span<const std::byte> bytes, std::vector<float>& out, Convert convert) {
  for (size_t i = 0; i < out.size(); ++i) {
    Bits bits;
    std::memcpy(&bits, bytes.data() + i * sizeof(bits), sizeof(bits));
    out[i] = convert(bits);
  }
}

}  // namespace

size_t dtype_bytes(DType dtype) { return dtype == DType::kF32 ? 4 : 2; }

std::string_view dtype_name(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return "F32";
    case DType::kBf16:
      return "BF16";
    case DType::kF16:
      return "F16";
  }
  return "?";
}

std::optional<DType> dtype_from_name(std::string_view name) {
  for (DType dtype : {DType::kF32, DType::kBf16, DType::kF16}) {
    if (name == dtype_name(dtype)) return dtype;
  }
  return {};
}

float bf16_to_float(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }

float f16_to_float(uint16_t bits) {
  const bool negative = (bits & 0x8000u) != 0;
  const uint32_t exponent = (bits >> 10) & 0x1f;
  const uint32_t fraction = bits & 0x3ff;
  if (exponent == 0x1f) {
    uint32_t wide = 0x7f800000u | (fraction << 13);
    return std::bit_cast<float>(wide | (negative ? 0x80000000u : 0u));
  }
  const float magnitude = exponent == 0 ? std::ldexp(static_cast<float>(fraction), -24)
                                        : std::ldexp(static_cast<float>(fraction | 0x400),
                                                     static_cast<int>(exponent) - 25);
  return negative ? -magnitude : magnitude;
}

uint16_t float_to_bf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value)) return static_cast<uint16_t>((bits >> 16) | 0x40);
  const uint32_t round_half_to_even = 0x7fffu + ((bits >> 16) & 1);
  return static_cast<uint16_t>((bits + round_half_to_even) >> 16);
}

std::vector<float> widen(const TensorView& tensor) {
  std::vector<float> out(tensor.elements());
  if (out.empty()) return out;
  switch (tensor.dtype) {
    case DType::kF32:
      std::memcpy(out.data(), tensor.bytes.data(), tensor.bytes.size());
      break;
    case DType::kBf16:
      widen_elements<uint16_t>(tensor.bytes, out, bf16_to_float);
      break;
    case DType::kF16:
      widen_elements<uint16_t>(tensor.bytes, out, f16_to_float);
      break;
  }
  return out;
}

}  // namespace npu::llm
