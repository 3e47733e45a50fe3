// SPDX-License-Identifier: Apache-2.0
//
// What the tests of the llm sample on the NPU share.
#ifndef TESTS_LLM_SUPPORT_H_
#define TESTS_LLM_SUPPORT_H_

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "samples/llm/checkpoint.h"
#include "samples/llm/npu_transformer.h"
#include "samples/llm/reference.h"
#include "tests/unit/llm/fixtures.h"

namespace npu::llm::test {

inline constexpr char kShippedModel[] = "samples/llm/model/shakespeare-3M.safetensors";
inline constexpr char kShippedTokenizer[] = "samples/llm/model/shakespeare-3M-tok.bin";

/// The shipped model; the test fails where it cannot be read.
Checkpoint shipped_model();

/// A model on the NPU, or a failed test and null.
std::unique_ptr<NpuTransformer> on_npu(const Checkpoint& checkpoint,
                                       npuDataType type = NPU_FLOAT32);

/// The logits as a vector; empty with a failed test when the pass failed.
std::vector<float> evaluate(Transformer& model, const std::vector<int32_t>& tokens,
                            uint32_t position);

/// Made-up token numbers below `vocabulary`, always the same ones.
std::vector<int32_t> some_tokens(uint32_t count, uint32_t vocabulary);

/// The largest absolute value.
double magnitude(std::span<const double> values);

}  // namespace npu::llm::test

#endif  // TESTS_LLM_SUPPORT_H_
