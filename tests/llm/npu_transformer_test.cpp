// SPDX-License-Identifier: Apache-2.0
//
// The forward pass on the NPU: shapes, passes, types, refusals.
#include "samples/llm/npu_transformer.h"

#include <cmath>
#include <cstring>

#include "samples/llm/checked_transformer.h"
#include "tests/llm/support.h"

namespace npu::llm::test {
namespace {

Checkpoint made_up(const ModelConfig& config, uint32_t seed) {
  return parse_llama2c(owned(tiny_llama2c(config, seed))).value();
}

void expect_as_reference(const Checkpoint& checkpoint, uint32_t prompt, uint32_t steps) {
  auto model = on_npu(checkpoint);
  ASSERT_NE(model, nullptr);
  auto reference = ReferenceTransformer::create(checkpoint).value();
  const auto tokens = some_tokens(prompt + steps, checkpoint.config.vocabulary);
  const std::span<const int32_t> all(tokens);
  uint32_t position = 0;
  while (position < tokens.size()) {
    const auto part = all.subspan(position, position == 0 ? prompt : 1);
    Result<std::span<const float>> got = model->prefill(part, position);
    ASSERT_TRUE(got.ok()) << got.error().message;
    ASSERT_TRUE(reference->prefill(part, position).ok());
    const double bound = 1e-4 * magnitude(reference->logits());
    ASSERT_LT(logit_distance(*got, reference->logits()), bound) << "position " << position;
    position += static_cast<uint32_t>(part.size());
    ASSERT_EQ(model->cached(), position);
  }
}

TEST(NpuTransformer, AgreesWithTheReferenceOnOddShapes) {
  struct Shape {
    uint32_t dim, hidden, layers, heads, kv_heads, vocabulary, context;
    bool tied;
  };
  constexpr Shape kShapes[] = {
      {8, 12, 2, 2, 1, 16, 10, true},   {48, 100, 3, 6, 6, 33, 24, false},
      {66, 130, 1, 3, 3, 500, 9, true}, {72, 40, 2, 9, 3, 17, 40, false},
      {64, 64, 1, 1, 1, 259, 20, true}, {256, 96, 1, 2, 1, 40, 12, true},
  };
  uint32_t seed = 1;
  for (const Shape& s : kShapes) {
    SCOPED_TRACE("dim " + std::to_string(s.dim) + ", seed " + std::to_string(seed));
    ModelConfig config = tiny_config();
    config.dim = s.dim;
    config.hidden_dim = s.hidden;
    config.layers = s.layers;
    config.heads = s.heads;
    config.kv_heads = s.kv_heads;
    config.vocabulary = s.vocabulary;
    config.context = s.context;
    config.tied_output = s.tied;
    expect_as_reference(made_up(config, seed++), 5, s.context - 5);
  }
}

TEST(NpuTransformer, TakesAPromptThatIsLongerThanOnePass) {
  ModelConfig config = tiny_config();
  config.context = 1200;
  expect_as_reference(made_up(config, 11), 1100, 3);
}

TEST(NpuTransformer, PrefillGivesTheLogitsOfTokensOneByOne) {
  const Checkpoint checkpoint = shipped_model();
  auto model = on_npu(checkpoint);
  ASSERT_NE(model, nullptr);
  const auto tokens = some_tokens(40, checkpoint.config.vocabulary);
  const std::vector<float> at_once = evaluate(*model, tokens, 0);
  std::vector<float> one_by_one;
  for (uint32_t i = 0; i < tokens.size(); ++i) one_by_one = evaluate(*model, {tokens[i]}, i);
  ASSERT_EQ(at_once.size(), one_by_one.size());
  for (size_t i = 0; i < at_once.size(); ++i) EXPECT_NEAR(at_once[i], one_by_one[i], 1e-4);
}

TEST(NpuTransformer, ForgetsWhatComesAfterAnEarlierPosition) {
  const Checkpoint checkpoint = shipped_model();
  auto model = on_npu(checkpoint);
  ASSERT_NE(model, nullptr);
  const auto tokens = some_tokens(12, checkpoint.config.vocabulary);
  const std::vector<int32_t> head(tokens.begin(), tokens.begin() + 8);
  const std::vector<float> before = evaluate(*model, head, 0);
  evaluate(*model, {tokens[8], tokens[9], tokens[10]}, 8);
  const std::vector<float> again = evaluate(*model, head, 0);
  EXPECT_EQ(model->cached(), 8u);
  ASSERT_EQ(before.size(), again.size());
  EXPECT_EQ(std::memcmp(before.data(), again.data(), before.size() * sizeof(float)), 0);
}

// bf16 keeps 8 bits: each rounding is off by up to 2^-9 of its value. A pass rounds some dozen
// times in a row on every path, so the logits stay within a few hundredths of the largest one.
TEST(NpuTransformer, Bf16StaysWithinFiveHundredthsOfTheLargestLogit) {
  const Checkpoint checkpoint = shipped_model();
  auto model = on_npu(checkpoint, NPU_BFLOAT16);
  ASSERT_NE(model, nullptr);
  auto reference = ReferenceTransformer::create(checkpoint).value();
  const auto tokens = some_tokens(40, checkpoint.config.vocabulary);
  for (uint32_t position = 0; position < tokens.size();) {
    const uint32_t count = position == 0 ? 10 : 1;
    const std::span<const int32_t> part(tokens.data() + position, count);
    Result<std::span<const float>> got = model->prefill(part, position);
    ASSERT_TRUE(got.ok()) << got.error().message;
    ASSERT_TRUE(reference->prefill(part, position).ok());
    EXPECT_LT(logit_distance(*got, reference->logits()), 0.05 * magnitude(reference->logits()))
        << "position " << position;
    position += count;
  }
}

TEST(NpuTransformer, TellsDeviceTimeAndLaunchesOfEachStep) {
  const Checkpoint checkpoint = shipped_model();
  auto model = on_npu(checkpoint);
  ASSERT_NE(model, nullptr);
  const auto tokens = some_tokens(9, checkpoint.config.vocabulary);
  evaluate(*model, {tokens.begin(), tokens.begin() + 7}, 0);
  evaluate(*model, {tokens[7]}, 7);
  evaluate(*model, {tokens[8]}, 8);
  EXPECT_EQ(model->prefill_profile().tokens, 7u);
  const KernelProfile& decode = model->decode_profile();
  EXPECT_EQ(decode.passes, 2u);
  EXPECT_EQ(decode.tokens, 2u);
  EXPECT_EQ(decode.launches(), 2u * (checkpoint.config.layers * 9 + 3));
  EXPECT_LE(decode.busy_ps(), decode.elapsed_ps);
  for (size_t i = 0; i < decode.rows.size(); ++i) {
    EXPECT_GT(decode.rows[i].busy_ps, 0u) << step_name(static_cast<Step>(i));
  }
  EXPECT_GT(decode.tokens_per_second(), 0.0);
  const std::string table = format_profile(decode);
  EXPECT_NE(table.find("attention"), std::string::npos);
  EXPECT_NE(table.find("100.0 %"), std::string::npos);
}

TEST(NpuTransformer, RefusesWhatTheModelCannotEvaluateAndGoesOn) {
  const Checkpoint checkpoint = made_up(tiny_config(), 3);
  auto model = on_npu(checkpoint);
  ASSERT_NE(model, nullptr);
  const std::vector<float> before = evaluate(*model, {1, 2, 3}, 0);
  const auto refused = [&](std::vector<int32_t> tokens, uint32_t position) {
    Result<std::span<const float>> got = model->prefill(tokens, position);
    return !got.ok() && got.error().code == ErrorCode::kOutOfRange;
  };
  EXPECT_TRUE(refused({}, 0));
  EXPECT_TRUE(refused({-1}, 3));
  EXPECT_TRUE(refused({16}, 3));
  EXPECT_TRUE(refused({1}, 4));
  EXPECT_TRUE(refused(std::vector<int32_t>(8, 1), 3));
  EXPECT_EQ(model->cached(), 3u);
  EXPECT_EQ(evaluate(*model, {1, 2, 3}, 0), before);
}

TEST(NpuTransformer, NamesCauseAndRemedyWhenThereIsNoSuchDevice) {
  auto model = NpuTransformer::create(made_up(tiny_config(), 3), {"15", NPU_FLOAT32});
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.error().code, ErrorCode::kDevice);
  EXPECT_NE(model.error().message.find("NPU_ERROR_NO_DEVICE"), std::string::npos)
      << model.error().message;
  EXPECT_NE(on_npu(made_up(tiny_config(), 3)), nullptr);
}

}  // namespace
}  // namespace npu::llm::test
