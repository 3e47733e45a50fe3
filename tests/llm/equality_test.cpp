// SPDX-License-Identifier: Apache-2.0
//
// Token for token: the NPU in fp32 against the double-precision forward pass, and against published
// texts.
#include <filesystem>
#include <iostream>

#include "samples/llm/checked_transformer.h"
#include "samples/llm/generate.h"
#include "tests/llm/support.h"

namespace npu::llm::test {
namespace {

// Far above what rounding does to these models (some 1e-5), far below a wrong operation.
constexpr double kLogitBound = 1e-3;

// Generates greedily on the NPU while every choice is compared with the reference's.
Generation greedy(const Checkpoint& checkpoint, const std::string& tokenizer_path,
                  const std::string& prompt, uint32_t count) {
  Result<Tokenizer> tokenizer = Tokenizer::load(tokenizer_path, checkpoint.config.vocabulary);
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  auto model = on_npu(checkpoint);
  if (!model || !tokenizer.ok()) return {};
  auto reference = ReferenceTransformer::create(checkpoint).value();
  CheckedTransformer checked(*model, *reference);
  Sampler sampler = Sampler::create({0.0f, 1.0f, 1}).value();
  Result<Generation> out = generate(checked, *tokenizer, sampler, prompt, count, {});
  if (!out.ok()) {
    ADD_FAILURE() << out.error().message;
    return {};
  }
  EXPECT_LT(checked.largest_difference(), kLogitBound);
  EXPECT_EQ(checked.comparisons(), out->decode_steps + 1);
  EXPECT_EQ(model->decode_profile().passes, out->decode_steps);
  return std::move(out).value();
}

// llama.cpp prints the space of the encoding in front and line ends behind.
std::string trimmed(std::string text) {
  while (text.ends_with('\n')) text.pop_back();
  return text.starts_with(' ') ? text.substr(1) : text;
}

struct Stories {
  std::string checkpoint, tokenizer;
};

// The published stories260K with its published tokenizer: no other file is evidence.
std::optional<Stories> find_stories() {
  constexpr uintmax_t kTok512Bytes = 6227;
  const auto checkpoint = test_model("stories260K/stories260K.bin");
  const auto tokenizer = test_model("stories260K/tok512.bin");
  if (!checkpoint || !tokenizer) return {};
  if (std::filesystem::file_size(*tokenizer) != kTok512Bytes) {
    std::cerr << *tokenizer << " is not the published file of " << kTok512Bytes << " bytes\n";
    return {};
  }
  return Stories{*checkpoint, *tokenizer};
}

TEST(TokenEquality, TheShippedModelChooses200TokensAsInDoublePrecision) {
  const Generation got = greedy(shipped_model(), source_path(kShippedTokenizer), "ROMEO:", 200);
  EXPECT_EQ(got.generated(), 200u);
  EXPECT_EQ(got.text, trimmed(read_text(source_path("samples/llm/model/golden-greedy.txt"))));
}

TEST(TokenEquality, Stories260kChooses200TokensAsInDoublePrecisionAndAsPublished) {
  const auto stories = find_stories();
  const auto golden = test_model("stories260K/golden-llama.cpp-0.7.0-f32-200tok.txt");
  if (!stories || !golden) {
    GTEST_SKIP() << "needs the published stories260K (set NPU_TEST_MODELS to its parent)";
  }
  Result<Checkpoint> checkpoint = load_checkpoint(stories->checkpoint);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  const Generation got = greedy(*checkpoint, stories->tokenizer, "Once upon a time", 200);
  EXPECT_EQ(got.generated(), 200u);
  EXPECT_EQ(trimmed(got.text), trimmed(read_text(*golden)));
}

TEST(TokenEquality, Stories260kWritesThePublishedStoryWithoutAPrompt) {
  const auto stories = find_stories();
  const auto golden = test_model("stories260K/golden-greedy-upstream.txt");
  if (!stories || !golden) {
    GTEST_SKIP() << "needs the published stories260K (set NPU_TEST_MODELS to its parent)";
  }
  Result<Checkpoint> checkpoint = load_checkpoint(stories->checkpoint);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  const Generation got = greedy(*checkpoint, stories->tokenizer, "", 256);
  EXPECT_EQ(trimmed(got.text), trimmed(read_text(*golden)));
}

}  // namespace
}  // namespace npu::llm::test
