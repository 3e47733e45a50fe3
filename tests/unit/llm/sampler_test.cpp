// SPDX-License-Identifier: Apache-2.0
//
// Choice of tokens from logits.
#include "samples/llm/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace npu::llm {
namespace {

std::vector<int32_t> draw(const SamplerOptions& options, const std::vector<float>& logits, int n) {
  Sampler sampler = Sampler::create(options).value();
  std::vector<int32_t> out;
  for (int i = 0; i < n; ++i) out.push_back(sampler.sample(logits).value());
  return out;
}

TEST(Sampler, TemperatureZeroTakesTheFirstLargest) {
  Sampler sampler = Sampler::create({0.0f, 0.5f, 1}).value();
  EXPECT_EQ(sampler.sample(std::vector<float>{1, 3, 2, 3}).value(), 1);
  EXPECT_EQ(sampler.sample(std::vector<float>{-INFINITY, -3}).value(), 1);
}

TEST(Sampler, TheSameSeedGivesTheSameTokensAndAnotherSeedOthers) {
  const std::vector<float> logits(50, 0.0f);
  EXPECT_EQ(draw({1.0f, 1.0f, 7}, logits, 100), draw({1.0f, 1.0f, 7}, logits, 100));
  EXPECT_NE(draw({1.0f, 1.0f, 7}, logits, 100), draw({1.0f, 1.0f, 8}, logits, 100));
}

TEST(Sampler, FrequenciesFollowTheSoftmax) {
  const std::vector<float> logits = {std::log(0.5f), std::log(0.3f), std::log(0.2f)};
  std::vector<int> count(3);
  for (int32_t token : draw({1.0f, 1.0f, 3}, logits, 20000)) ++count[token];
  EXPECT_NEAR(count[0], 10000, 400);
  EXPECT_NEAR(count[1], 6000, 400);
  EXPECT_NEAR(count[2], 4000, 400);
}

TEST(Sampler, ALowTemperatureSharpensAndAHighOneFlattens) {
  const std::vector<float> logits = {std::log(0.6f), std::log(0.4f)};
  auto first = [&](float temperature) {
    int count = 0;
    for (int32_t token : draw({temperature, 1.0f, 3}, logits, 4000)) count += token == 0;
    return count;
  };
  // p^(1/T) normalised: T 0.25 gives 0.835, T 4 gives 0.525.
  EXPECT_NEAR(first(0.25f), 0.835 * 4000, 150);
  EXPECT_NEAR(first(4.0f), 0.525 * 4000, 150);
}

TEST(Sampler, TopPKeepsTheFewestTokensThatReachTheSum) {
  const std::vector<float> logits = {std::log(0.1f), std::log(0.5f), std::log(0.3f),
                                     std::log(0.1f)};
  std::vector<int> count(4);
  for (int32_t token : draw({1.0f, 0.75f, 3}, logits, 8000)) ++count[token];
  EXPECT_EQ(count[0] + count[3], 0);
  EXPECT_NEAR(count[1], 5000, 300);  // 0.5 / (0.5 + 0.3)
  for (int32_t token : draw({1.0f, 1e-6f, 3}, logits, 100)) EXPECT_EQ(token, 1);
}

TEST(Sampler, AVeryLowTemperatureDoesNotOverflow) {
  for (int32_t token : draw({1e-30f, 0.9f, 3}, {1.0f, 2.0f, -1e30f}, 50)) EXPECT_EQ(token, 1);
}

TEST(Sampler, OneTokenAloneIsAlwaysTaken) {
  for (float top_p : {0.1f, 1.0f}) EXPECT_EQ(draw({1.0f, top_p, 1}, {5.0f}, 3).back(), 0);
}

TEST(Sampler, OptionsOutsideTheirRangeAreRefused) {
  for (float temperature : {-0.1f, NAN, INFINITY}) {
    auto out = Sampler::create({temperature, 0.9f, 1});
    ASSERT_FALSE(out.ok());
    EXPECT_EQ(out.error().code, ErrorCode::kOutOfRange);
    EXPECT_NE(out.error().message.find("temperature"), std::string::npos);
  }
  for (float top_p : {0.0f, -1.0f, 1.1f, NAN}) {
    auto out = Sampler::create({1.0f, top_p, 1});
    ASSERT_FALSE(out.ok());
    EXPECT_NE(out.error().message.find("top-p"), std::string::npos);
  }
}

TEST(Sampler, LogitsThatAreNoNumbersAreAnErrorNotAToken) {
  for (float temperature : {0.0f, 1.0f}) {
    Sampler sampler = Sampler::create({temperature, 0.9f, 1}).value();
    for (float bad : {NAN, INFINITY}) {
      EXPECT_FALSE(sampler.sample(std::vector<float>{0, bad, 1}).ok());
    }
    EXPECT_FALSE(sampler.sample(std::vector<float>{-INFINITY, -INFINITY}).ok());
    EXPECT_FALSE(sampler.sample({}).ok());
  }
}

}  // namespace
}  // namespace npu::llm
