// SPDX-License-Identifier: Apache-2.0
//
// TensorView: one weight matrix as it lies in the checkpoint, and the number formats it may have.
#ifndef SAMPLES_LLM_TENSOR_H_
#define SAMPLES_LLM_TENSOR_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace npu::llm {

enum class DType { kF32, kBf16, kF16 };

size_t dtype_bytes(DType dtype);

/// Name in safetensors spelling: "F32", "BF16", "F16".
std::string_view dtype_name(DType dtype);
std::optional<DType> dtype_from_name(std::string_view name);

/// A row-major matrix of little-endian elements; `bytes` need not be aligned to the element.
/// Invariant: bytes.size() == rows * cols * dtype_bytes(dtype). A vector has rows == 1.
struct TensorView {
  DType dtype = DType::kF32;
  uint64_t rows = 0;
  uint64_t cols = 0;
  std::span<const std::byte> bytes;

  uint64_t elements() const { return rows * cols; }
};

/// Exact widening: every value of the three formats is an fp32 value.
float bf16_to_float(uint16_t bits);
float f16_to_float(uint16_t bits);

/// Nearest bf16, ties to even; NaN stays NaN (quiet), overflow becomes infinity.
uint16_t float_to_bf16(float value);

/// All elements of `tensor` as fp32.
std::vector<float> widen(const TensorView& tensor);

}  // namespace npu::llm

#endif  // SAMPLES_LLM_TENSOR_H_
