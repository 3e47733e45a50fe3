// SPDX-License-Identifier: Apache-2.0
//
// The safetensors container: a length word, a JSON index, then the tensors' bytes without gaps.
#ifndef SAMPLES_LLM_SAFETENSORS_H_
#define SAMPLES_LLM_SAFETENSORS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "samples/llm/result.h"
#include "samples/llm/tensor.h"

namespace npu::llm {

/// The index of a file. Views point into the bytes that were parsed. Tensors have one or two
/// dimensions; one-dimensional ones have rows == 1.
struct SafetensorsIndex {
  std::map<std::string, std::string> metadata;
  std::map<std::string, TensorView> tensors;
};

/// Checks the whole container: index length, JSON, types, shapes, and that the tensors cover the
/// data exactly once.
Result<SafetensorsIndex> parse_safetensors(std::span<const std::byte> bytes);

struct NamedTensor {
  std::string name;
  DType dtype;
  std::vector<uint64_t> shape;
  std::vector<std::byte> bytes;
};

/// Builds a file. The same arguments always give the same bytes; the data begins at a multiple of
/// 64 bytes and follows the order of `tensors`.
std::vector<std::byte> build_safetensors(const std::map<std::string, std::string>& metadata,
                                         const std::vector<NamedTensor>& tensors);

}  // namespace npu::llm

#endif  // SAMPLES_LLM_SAFETENSORS_H_
