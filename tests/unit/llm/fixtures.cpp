// SPDX-License-Identifier: Apache-2.0
//
// Builders of test files.
#include "tests/unit/llm/fixtures.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

namespace npu::llm::test {

ModelConfig tiny_config() {
  ModelConfig c;
  c.dim = 8;
  c.hidden_dim = 12;
  c.layers = 2;
  c.heads = 2;
  c.kv_heads = 1;
  c.vocabulary = 16;
  c.context = 10;
  return c;
}

Bytes tiny_llama2c(const ModelConfig& c, uint32_t seed) {
  Bytes out;
  const int32_t vocabulary = static_cast<int32_t>(c.vocabulary);
  for (uint32_t field : {c.dim, c.hidden_dim, c.layers, c.heads, c.kv_heads}) append(out, field);
  append(out, c.tied_output ? vocabulary : -vocabulary);
  append(out, c.context);

  std::mt19937 random(seed);
  std::uniform_real_distribution<float> weight(-0.5f, 0.5f);
  const size_t per_layer =
      2 * c.dim + 2 * c.dim * c.dim + 2 * c.dim * c.kv_dim() + 3 * c.dim * c.hidden_dim;
  const size_t matrices = (c.tied_output ? 1 : 2) * size_t{c.vocabulary} * c.dim;
  const size_t count = matrices + c.layers * per_layer + c.dim + size_t{c.context} * c.head_size();
  for (size_t i = 0; i < count; ++i) append(out, weight(random));
  return out;
}

Bytes tokenizer_file(const std::vector<std::pair<std::string, float>>& pieces, int32_t longest) {
  for (const auto& [piece, score] : pieces) {
    if (longest < static_cast<int32_t>(piece.size())) longest = static_cast<int32_t>(piece.size());
  }
  Bytes out;
  append(out, longest);
  for (const auto& [piece, score] : pieces) {
    append(out, score);
    append(out, static_cast<int32_t>(piece.size()));
    for (char c : piece) append(out, c);
  }
  return out;
}

std::vector<std::pair<std::string, float>> with_byte_tokens(
    const std::vector<std::pair<std::string, float>>& pieces) {
  std::vector<std::pair<std::string, float>> out = {
      {"<unk>", 0.f}, {"\n<s>\n", 0.f}, {"\n</s>\n", 0.f}};
  for (int i = 0; i < 256; ++i) {
    char name[8];
    std::snprintf(name, sizeof(name), "<0x%02X>", i);
    out.emplace_back(name, 0.f);
  }
  out.insert(out.end(), pieces.begin(), pieces.end());
  return out;
}

std::string source_path(const std::string& relative) {
  return std::string(LLM_SOURCE_ROOT) + "/" + relative;
}

std::optional<std::string> test_model(const std::string& relative) {
  const char* folder = std::getenv("NPU_TEST_MODELS");
  const std::string path =
      (folder != nullptr ? std::string(folder) : source_path("../shared/models")) + "/" + relative;
  if (!std::filesystem::exists(path)) return {};
  return path;
}

std::string read_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "llm_host_test.XXXXXX").string();
  folder_ = ::mkdtemp(name.data());
}

TemporaryFolder::~TemporaryFolder() { std::filesystem::remove_all(folder_); }

}  // namespace npu::llm::test
