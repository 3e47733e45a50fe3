// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/kernels/tensor_memory.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "libnpu/ops/error.h"
#include "libnpu/ops/tensor.h"

namespace npu::kernels {
namespace {

constexpr unsigned char kFiller = 0x5b;

// Bits of a floating-point format with |fraction| bits of fraction and exponents from |least| on.
double round_to(double value, int fraction, int least, double largest) {
  if (!std::isfinite(value) || value == 0) return value;
  const int exponent = std::max(std::ilogb(value), least);
  const double unit = std::ldexp(1.0, exponent - fraction);
  const double rounded = std::nearbyint(value / unit) * unit;
  return std::fabs(rounded) > largest
             ? std::copysign(std::numeric_limits<double>::infinity(), value)
             : rounded;
}

uint32_t f16_bits(double value) {
  const uint32_t sign = std::signbit(value) ? 0x8000 : 0;
  if (std::isnan(value)) return 0x7e00;
  const double rounded = std::fabs(stored(NPU_FLOAT16, value));
  if (std::isinf(rounded)) return sign | 0x7c00;
  if (rounded < 0x1p-14) return sign | static_cast<uint32_t>(std::ldexp(rounded, 24));
  const int exponent = std::ilogb(rounded);
  return sign | (static_cast<uint32_t>(exponent + 15) << 10) |
         (static_cast<uint32_t>(std::ldexp(rounded, 10 - exponent)) & 0x3ff);
}

double f16_value(uint32_t bits) {
  const uint32_t exponent = bits >> 10 & 31, fraction = bits & 1023;
  double value = exponent == 0 ? std::ldexp(fraction, -24)
                               : std::ldexp(1024 + fraction, static_cast<int>(exponent) - 25);
  if (exponent == 31)
    value = fraction != 0 ? std::numeric_limits<double>::quiet_NaN()
                          : std::numeric_limits<double>::infinity();
  return (bits & 0x8000) != 0 ? -value : value;
}

uint64_t bytes_of(npuDataType type) { return ops::layout_of(type).block_bytes; }

}  // namespace

double stored(npuDataType type, double value) {
  switch (type) {
    case NPU_FLOAT32:
      return static_cast<float>(value);
    case NPU_BFLOAT16:
      return round_to(value, 7, -126, 0x1.fep127);
    case NPU_FLOAT16:
      return round_to(value, 10, -14, 65504);
    default:
      return value;
  }
}

double rounding_of(npuDataType type) {
  return type == NPU_FLOAT32 ? 0x1p-24 : type == NPU_FLOAT16 ? 0x1p-11 : 0x1p-8;
}
double tiny_of(npuDataType type) { return type == NPU_FLOAT16 ? 0x1p-25 : 0x1p-149; }

TensorMemory::TensorMemory(npuDataType type, const Index& sizes,
                           const std::array<uint32_t, 4>& order, const Index& pad) {
  tensor.type = type;
  uint64_t stride = bytes_of(type);
  for (uint32_t d : order) {
    tensor.sizes[d] = sizes[d];
    tensor.strides[d] = stride;
    stride *= sizes[d] + pad[d];
  }
  bytes_.assign((stride + 3) / 4 * 4, kFiller);
}

TensorMemory TensorMemory::any(npuDataType type, const Index& sizes, Random& random) {
  std::array<uint32_t, 4> order = {0, 1, 2, 3};
  if (random.below(3) != 0) {
    for (uint32_t i = 3; i > 0; --i) std::swap(order[i], order[random.below(i + 1)]);
  }
  Index pad{};
  for (uint64_t& p : pad) p = random.below(3) == 0 ? random.below(4) : 0;
  TensorMemory made(type, sizes, order, pad);
  if (random.below(8) != 0) return made;
  // Every element at twice its distance.
  for (uint64_t& stride : made.tensor.strides) stride *= 2;
  made.bytes_.assign(2 * made.bytes_.size(), kFiller);
  return made;
}

uint64_t TensorMemory::offset(const Index& at) const {
  uint64_t bytes = 0;
  for (uint32_t d = 0; d < 4; ++d) bytes += at[d] % tensor.sizes[d] * tensor.strides[d];
  return bytes;
}

uint64_t TensorMemory::bits(const Index& at) const {
  uint64_t value = 0;
  std::memcpy(&value, &bytes_[offset(at)], bytes_of(tensor.type));
  return value;
}

void TensorMemory::set_bits(const Index& at, uint64_t bits) {
  std::memcpy(&bytes_[offset(at)], &bits, bytes_of(tensor.type));
}

double TensorMemory::get(const Index& at) const {
  const uint64_t value = bits(at);
  switch (tensor.type) {
    case NPU_FLOAT32:
      return std::bit_cast<float>(static_cast<uint32_t>(value));
    case NPU_BFLOAT16:
      return from_bf16(static_cast<uint16_t>(value));
    case NPU_FLOAT16:
      return f16_value(static_cast<uint32_t>(value));
    case NPU_INT32:
      return static_cast<int32_t>(value);
    default:
      return static_cast<double>(static_cast<int64_t>(value));
  }
}

void TensorMemory::set(const Index& at, double value) {
  switch (tensor.type) {
    case NPU_FLOAT32:
      return set_bits(at, std::bit_cast<uint32_t>(static_cast<float>(value)));
    case NPU_BFLOAT16:
      return set_bits(at, to_bf16(static_cast<float>(value)));
    case NPU_FLOAT16:
      return set_bits(at, f16_bits(value));
    default:
      return set_bits(at, static_cast<uint64_t>(static_cast<int64_t>(value)));
  }
}

void TensorMemory::fill(Random& random, double scale) {
  for_each([&](const Index& at) { set(at, random.value(static_cast<float>(scale))); });
}

void TensorMemory::for_each(const std::function<void(const Index&)>& body) const {
  Index at;
  for (at[3] = 0; at[3] < tensor.sizes[3]; ++at[3])
    for (at[2] = 0; at[2] < tensor.sizes[2]; ++at[2])
      for (at[1] = 0; at[1] < tensor.sizes[1]; ++at[1])
        for (at[0] = 0; at[0] < tensor.sizes[0]; ++at[0]) body(at);
}

void TensorMemory::put(Rig& rig) {
  std::vector<int32_t> words(bytes_.size() / 4);
  if (!words.empty()) std::memcpy(words.data(), bytes_.data(), bytes_.size());
  tensor.data = rig.put_i32(words);
}

void TensorMemory::fetch(const Rig& rig) {
  const std::vector<int32_t> words = rig.get_i32(tensor.data, bytes_.size() / 4);
  if (!words.empty()) std::memcpy(bytes_.data(), words.data(), bytes_.size());
}

bool TensorMemory::touched_outside() const {
  std::vector<bool> inside(bytes_.size(), false);
  for_each([&](const Index& at) {
    for (uint64_t b = 0; b < bytes_of(tensor.type); ++b) inside[offset(at) + b] = true;
  });
  for (size_t i = 0; i < bytes_.size(); ++i)
    if (!inside[i] && bytes_[i] != kFiller) return true;
  return false;
}

Index any_sizes(Random& random, uint32_t most, uint64_t elements) {
  Index sizes;
  uint64_t left = elements;
  for (uint64_t& size : sizes) {
    const auto limit = static_cast<uint32_t>(std::min<uint64_t>(most, left));
    size = random.below(4) == 0 ? 1 : 1 + random.below(limit);
    left = std::max<uint64_t>(1, left / size);
  }
  return sizes;
}

Index any_repeat(Random& random, const Index& sizes) {
  Index out = sizes;
  for (uint64_t& size : out) {
    if (random.below(2) == 0) continue;
    uint64_t divisor = 1 + random.below(static_cast<uint32_t>(size));
    while (size % divisor != 0) --divisor;
    size = divisor;
  }
  return out;
}

const std::vector<BlockFormat> kBlockFormats = {
    {NPU_Q8_0, 32, 34, &model::Numerics::decode_q8_0, {0}},
    {NPU_Q4_0, 32, 18, &model::Numerics::decode_q4_0, {0}},
    {NPU_Q4_K, 256, 144, &model::Numerics::decode_q4_k, {0, 2}},
    {NPU_Q6_K, 256, 210, &model::Numerics::decode_q6_k, {208}}};

std::vector<std::byte> random_blocks(const BlockFormat& f, uint64_t blocks, Random& random) {
  std::vector<std::byte> bytes((blocks * f.bytes + 3) / 4 * 4);
  for (uint64_t i = 0; i < blocks * f.bytes; ++i) bytes[i] = std::byte(random.below(256));
  for (uint64_t b = 0; b < blocks; ++b)
    for (size_t half : f.halves) bytes[b * f.bytes + half + 1] &= std::byte{0xbf};
  return bytes;
}

std::vector<std::byte> encoded_blocks(const BlockFormat& f, const std::vector<float>& elements) {
  const size_t blocks = elements.size() / f.elements;
  std::vector<std::byte> bytes(blocks * f.bytes);
  const model::Numerics& numerics = model::scalar_numerics();
  (f.type == NPU_Q8_0 ? numerics.encode_q8_0 : numerics.encode_q4_0)(bytes.data(), elements.data(),
                                                                     blocks);
  return bytes;
}

void run_tensor_op(Rig& rig, npuOpsKind kind, const void* info, npu_status expect) {
  ops::Plan plan;
  ASSERT_EQ(ops::plan_of(kind, info, &plan), NPU_OK) << ops::error_text();
  const std::string name = ops::program_name(plan.program);
  ASSERT_EQ(program(name).args_bytes, plan.block_bytes()) << name;
  rig.run_plan(name, {plan.args, plan.block_bytes()}, {plan.grid[0], plan.grid[1], plan.grid[2]},
               expect);
}

}  // namespace npu::kernels
