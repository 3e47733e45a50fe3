// SPDX-License-Identifier: Apache-2.0
//
// A runtime folder of the test's own, so that its daemon is the one of this build; and helpers.
#include "tests/llm/support.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>

namespace npu::llm::test {
namespace {

class OwnRuntimeFolder : public ::testing::Environment {
 public:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "npu-llm.XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    ::setenv("XDG_RUNTIME_DIR", folder_.c_str(), 1);
  }
  void TearDown() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

 private:
  std::string folder_;
};

[[maybe_unused]] ::testing::Environment* const g_runtime_folder =
    ::testing::AddGlobalTestEnvironment(new OwnRuntimeFolder);

}  // namespace

Checkpoint shipped_model() {
  Result<Checkpoint> checkpoint = load_checkpoint(source_path(kShippedModel));
  EXPECT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  return std::move(checkpoint).value();
}

std::unique_ptr<NpuTransformer> on_npu(const Checkpoint& checkpoint, npuDataType type) {
  auto model = NpuTransformer::create(checkpoint, {"", type});
  if (model.ok()) return std::move(model).value();
  ADD_FAILURE() << model.error().message;
  return nullptr;
}

std::vector<float> evaluate(Transformer& model, const std::vector<int32_t>& tokens,
                            uint32_t position) {
  Result<std::span<const float>> logits = model.prefill(tokens, position);
  if (logits.ok()) return {logits->begin(), logits->end()};
  ADD_FAILURE() << logits.error().message;
  return {};
}

std::vector<int32_t> some_tokens(uint32_t count, uint32_t vocabulary) {
  std::vector<int32_t> out;
  for (uint32_t i = 0; i < count; ++i) {
    out.push_back(static_cast<int32_t>((i * 7919u + 3u) % vocabulary));
  }
  return out;
}

double magnitude(std::span<const double> values) {
  double largest = 0.0;
  for (double value : values) largest = std::max(largest, std::abs(value));
  return largest;
}

}  // namespace npu::llm::test
