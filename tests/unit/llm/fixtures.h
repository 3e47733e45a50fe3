// SPDX-License-Identifier: Apache-2.0
//
// Small made-up models and tokenizers, and the places of real ones, for the tests of the llm
// sample.
#ifndef TESTS_UNIT_LLM_FIXTURES_H_
#define TESTS_UNIT_LLM_FIXTURES_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "samples/llm/checkpoint.h"

namespace npu::llm::test {

using Bytes = std::vector<std::byte>;

template <typename T>
void append(Bytes& out, const T& value) {
  const size_t at = out.size();
  out.resize(at + sizeof(T));
  std::memcpy(out.data() + at, &value, sizeof(T));
}

template <typename T>
void overwrite(Bytes& bytes, size_t at, const T& value) {
  std::memcpy(bytes.data() + at, &value, sizeof(T));
}

inline FileBytes owned(std::span<const std::byte> bytes) {
  return FileBytes::copy_of(bytes).value();
}

/// dim 8, hidden 12, 2 layers, 2 heads of 4, 1 key/value head, 16 tokens, 10 positions.
ModelConfig tiny_config();

/// A llama2.c file of that shape with weights from a seeded generator.
Bytes tiny_llama2c(const ModelConfig& config, uint32_t seed);

/// A tokenizer file. `longest` < 0: the true maximum.
Bytes tokenizer_file(const std::vector<std::pair<std::string, float>>& pieces,
                     int32_t longest = -1);

/// <unk>, <s>, </s>, 256 byte tokens, then `pieces`.
std::vector<std::pair<std::string, float>> with_byte_tokens(
    const std::vector<std::pair<std::string, float>>& pieces);

/// Path below the source tree.
std::string source_path(const std::string& relative);

/// Path of a file below the folder of development models: $NPU_TEST_MODELS or ../shared/models
/// beside the source tree. Empty if the file is not there.
std::optional<std::string> test_model(const std::string& relative);

std::string read_text(const std::string& path);

/// A private folder that is removed with its files at the end of the test.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::string path(const std::string& name) const { return folder_ + "/" + name; }

 private:
  std::string folder_;
};

}  // namespace npu::llm::test

#endif  // TESTS_UNIT_LLM_FIXTURES_H_
