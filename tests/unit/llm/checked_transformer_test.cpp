// SPDX-License-Identifier: Apache-2.0
//
// The side-by-side comparison must notice a model that is wrong.
#include "samples/llm/checked_transformer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "samples/llm/sampler.h"
#include "tests/unit/llm/fixtures.h"

namespace npu::llm::test {
namespace {

// The reference's logits with one of them moved.
class SkewedTransformer final : public Transformer {
 public:
  SkewedTransformer(ReferenceTransformer& model, float offset) : model_(model), offset_(offset) {}

  const ModelConfig& config() const override { return model_.config(); }
  uint32_t cached() const override { return model_.cached(); }
  Result<std::span<const float>> prefill(std::span<const int32_t> tokens,
                                         uint32_t position) override {
    Result<std::span<const float>> got = model_.prefill(tokens, position);
    if (!got.ok()) return got;
    logits_.assign(got->begin(), got->end());
    // Never the winner, so that a large offset changes the choice.
    const size_t moved = argmax(logits_) == 0 ? 1 : 0;
    logits_[moved] += offset_;
    return std::span<const float>(logits_);
  }

 private:
  ReferenceTransformer& model_;
  float offset_;
  std::vector<float> logits_;
};

class CheckedTransformerTest : public ::testing::Test {
 protected:
  std::unique_ptr<ReferenceTransformer> make() {
    const Checkpoint checkpoint = parse_llama2c(owned(tiny_llama2c(tiny_config(), 5))).value();
    return ReferenceTransformer::create(checkpoint).value();
  }
  std::unique_ptr<ReferenceTransformer> inner_ = make(), reference_ = make();
  const std::vector<int32_t> tokens_ = {1, 4, 7};
};

TEST_F(CheckedTransformerTest, PassesLogitsOnAndMeasuresTheirDistance) {
  SkewedTransformer model(*inner_, -0.25f);
  CheckedTransformer checked(model, *reference_);
  ASSERT_TRUE(checked.prefill(tokens_, 0).ok());
  ASSERT_TRUE(checked.forward(2, 3).ok());
  EXPECT_EQ(checked.comparisons(), 2u);
  EXPECT_EQ(checked.cached(), 4u);
  EXPECT_NEAR(checked.largest_difference(), 0.25, 1e-5);
}

TEST_F(CheckedTransformerTest, FailsWhereTheModelsWouldChooseDifferentTokens) {
  SkewedTransformer model(*inner_, 100.0f);
  CheckedTransformer checked(model, *reference_);
  Result<std::span<const float>> got = checked.prefill(tokens_, 0);
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.error().code, ErrorCode::kMismatch);
  EXPECT_NE(got.error().message.find("position 2"), std::string::npos) << got.error().message;
}

TEST_F(CheckedTransformerTest, CountsANanAsInfinity) {
  SkewedTransformer model(*inner_, std::numeric_limits<float>::quiet_NaN());
  CheckedTransformer checked(model, *reference_);
  // The choice may survive a NaN that is not its own; the distance tells.
  [[maybe_unused]] const bool chosen = checked.prefill(tokens_, 0).ok();
  EXPECT_TRUE(std::isinf(checked.largest_difference()));
}

TEST_F(CheckedTransformerTest, HandsRefusalsOn) {
  SkewedTransformer model(*inner_, 0.0f);
  CheckedTransformer checked(model, *reference_);
  Result<std::span<const float>> got = checked.prefill({}, 0);
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.error().code, ErrorCode::kOutOfRange);
}

}  // namespace
}  // namespace npu::llm::test
