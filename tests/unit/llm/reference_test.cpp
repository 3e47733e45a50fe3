// SPDX-License-Identifier: Apache-2.0
//
// The double-precision forward pass: cache behaviour and argument checks.
#include "samples/llm/reference.h"

#include <gtest/gtest.h>

#include "samples/llm/generate.h"
#include "tests/unit/llm/fixtures.h"

namespace npu::llm::test {
namespace {

std::unique_ptr<ReferenceTransformer> tiny_model() {
  return ReferenceTransformer::create(parse_llama2c(owned(tiny_llama2c(tiny_config(), 5))).value())
      .value();
}

std::vector<double> logits_after(ReferenceTransformer& model, std::vector<int32_t> tokens,
                                 uint32_t position) {
  auto out = model.prefill(tokens, position);
  EXPECT_TRUE(out.ok()) << out.error().message;
  return {model.logits().begin(), model.logits().end()};
}

void expect_refused(const Result<std::span<const float>>& out, const std::string& part) {
  ASSERT_FALSE(out.ok());
  EXPECT_EQ(out.error().code, ErrorCode::kOutOfRange);
  EXPECT_NE(out.error().message.find(part), std::string::npos) << out.error().message;
}

TEST(ReferenceTransformer, PrefillEqualsStepByStep) {
  auto whole = tiny_model(), steps = tiny_model();
  const auto want = logits_after(*whole, {1, 7, 3, 9}, 0);
  uint32_t position = 0;
  for (int32_t token : {1, 7, 3}) ASSERT_TRUE(steps->forward(token, position++).ok());
  EXPECT_EQ(logits_after(*steps, {9}, 3), want);
  EXPECT_EQ(steps->cached(), 4u);
}

TEST(ReferenceTransformer, GoingBackForgetsWhatCameAfter) {
  auto fresh = tiny_model(), used = tiny_model();
  const auto want = logits_after(*fresh, {1, 7, 4}, 0);
  logits_after(*used, {1, 7, 3, 9, 11}, 0);
  EXPECT_EQ(logits_after(*used, {4}, 2), want);
  EXPECT_EQ(used->cached(), 3u);
}

TEST(ReferenceTransformer, EarlierTokensAndTheirOrderMatter) {
  auto model = tiny_model();
  const auto a = logits_after(*model, {1, 7, 3}, 0);
  EXPECT_NE(logits_after(*model, {1, 8, 3}, 0), a);
  EXPECT_NE(logits_after(*model, {7, 1, 3}, 0), a);
  EXPECT_EQ(logits_after(*model, {1, 7, 3}, 0), a);
}

TEST(ReferenceTransformer, BadArgumentsAreRefusedAndTheNextCallWorks) {
  auto model = tiny_model();
  const auto want = logits_after(*model, {1, 7}, 0);
  const std::vector<int32_t> eleven(11, 1), nine(9, 1);
  expect_refused(model->prefill({}, 0), "no token");
  expect_refused(model->forward(1, 3), "gap after the 2 cached");
  expect_refused(model->forward(1, UINT32_MAX), "gap");
  expect_refused(model->prefill(eleven, 0), "context of 10");
  expect_refused(model->prefill(nine, 2), "context of 10");
  expect_refused(model->forward(-1, 2), "token -1");
  expect_refused(model->forward(16, 2), "token 16");
  EXPECT_EQ(model->cached(), 2u);
  EXPECT_EQ(logits_after(*model, {7}, 1), want);
}

// A vocabulary of 16 tokens without byte tokens.
Tokenizer tiny_tokenizer() {
  std::vector<std::pair<std::string, float>> pieces = {
      {"<unk>", 0}, {"<s>", 0}, {"</s>", 0}, {" ", 0}};
  for (char c = 'a'; pieces.size() < 16; ++c) pieces.emplace_back(std::string(1, c), 0);
  return Tokenizer::parse(tokenizer_file(pieces), 16).value();
}

TEST(Generate, ThePromptComesFirstAndTheSinkSeesTheWholeText) {
  auto model = tiny_model();
  const Tokenizer tokenizer = tiny_tokenizer();
  Sampler sampler = Sampler::create({0.0f, 1.0f, 1}).value();
  std::string seen;
  auto out = generate(*model, tokenizer, sampler, "abc", 3,
                      [&](std::string_view piece) { seen += piece; });
  ASSERT_TRUE(out.ok()) << out.error().message;
  EXPECT_EQ(out->prompt_tokens, 5u);  // <s>, space, a, b, c
  EXPECT_TRUE(out->text.starts_with("abc")) << out->text;
  EXPECT_EQ(seen, out->text);
  EXPECT_LE(out->generated(), 3u);
}

TEST(Generate, StopsWhenTheContextIsFull) {
  auto model = tiny_model();
  const Tokenizer tokenizer = tiny_tokenizer();
  for (uint64_t seed = 1; seed < 50; ++seed) {
    Sampler sampler = Sampler::create({1.0f, 1.0f, seed}).value();
    auto out = generate(*model, tokenizer, sampler, "abc", 1000, {});
    ASSERT_TRUE(out.ok()) << out.error().message;
    if (out->stop == StopReason::kEnd) continue;
    EXPECT_EQ(out->stop, StopReason::kContext);
    EXPECT_EQ(out->tokens.size(), 11u);  // ten positions, and the token that the last one gave
    EXPECT_EQ(out->decode_steps, 5u);
    return;
  }
  FAIL() << "every draw ended its text";
}

TEST(Generate, ATooLongPromptAndAForeignTokenizerAreRefused) {
  auto model = tiny_model();
  Sampler sampler = Sampler::create({0.0f, 1.0f, 1}).value();
  auto out = generate(*model, tiny_tokenizer(), sampler, "aaaaaaaaaaaa", 1, {});
  ASSERT_FALSE(out.ok());
  EXPECT_NE(out.error().message.find("shorten the prompt"), std::string::npos);
  const Tokenizer other =
      Tokenizer::parse(tokenizer_file({{"<unk>", 0}, {"<s>", 0}, {"</s>", 0}}), 3).value();
  out = generate(*model, other, sampler, "", 1, {});
  ASSERT_FALSE(out.ok());
  EXPECT_EQ(out.error().code, ErrorCode::kMismatch);
}

}  // namespace
}  // namespace npu::llm::test
