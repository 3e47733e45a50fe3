// SPDX-License-Identifier: Apache-2.0
//
// Thousands of randomly damaged files through each parser: refused or loaded, never a crash.
#include <gtest/gtest.h>

#include <random>

#include "samples/llm/hf_llama.h"
#include "samples/llm/reference.h"
#include "samples/llm/tokenizer.h"
#include "tests/unit/llm/fixtures.h"

namespace npu::llm::test {
namespace {

constexpr uint32_t kSeed = 42;
constexpr int kRounds = 3000;

// One to four damages: a flipped bit, a word of an extreme value, a cut, or a repeated part.
Bytes damaged(Bytes bytes, size_t hot_bytes, std::mt19937& random) {
  static constexpr uint32_t kExtremes[] = {0,          1,          0x7fffffff, 0x80000000,
                                           0xffffffff, 0x7fc00000, 0x10000,    0xff};
  for (uint32_t n = 1 + random() % 4; n > 0 && bytes.size() > 8; --n) {
    const size_t range = random() % 8 != 0 ? std::min(hot_bytes, bytes.size()) : bytes.size();
    const size_t at = random() % (range - 4);
    switch (random() % 4) {
      case 0:
        bytes[at] ^= std::byte(1u << random() % 8);
        break;
      case 1:
        overwrite(bytes, at, kExtremes[random() % std::size(kExtremes)]);
        break;
      case 2:
        bytes[at] = std::byte(random());
        break;
      case 3:
        if (random() % 8 == 0) bytes.resize(random() % bytes.size());
        break;
    }
  }
  return bytes;
}

// Reads every weight and runs two steps, so that a wrong view shows under a sanitizer.
void use(const Checkpoint& checkpoint) {
  auto model = ReferenceTransformer::create(checkpoint);
  ASSERT_TRUE(model.ok());
  const int32_t token = static_cast<int32_t>(checkpoint.config.vocabulary) - 1;
  EXPECT_TRUE((*model)->forward(token, 0).ok());
  if (checkpoint.config.context > 1) {
    EXPECT_TRUE((*model)->forward(0, 1).ok());
  }
}

TEST(DamagedFiles, Llama2cCheckpointsAreRefusedOrRun) {
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  std::mt19937 random(kSeed);
  const Bytes good = tiny_llama2c(tiny_config(), 1);
  int loaded = 0;
  for (int i = 0; i < kRounds; ++i) {
    Result<Checkpoint> out = parse_llama2c(owned(damaged(good, 28, random)));
    if (!out.ok()) continue;
    ++loaded;
    use(*out);
  }
  EXPECT_GT(loaded, 0);
  EXPECT_LT(loaded, kRounds);
}

TEST(DamagedFiles, SafetensorsAreRefusedOrRun) {
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  std::mt19937 random(kSeed);
  const Checkpoint model = parse_llama2c(owned(tiny_llama2c(tiny_config(), 1))).value();
  const Bytes good = write_hf_llama(model, DType::kBf16, "").value();
  int loaded = 0;
  for (int i = 0; i < kRounds; ++i) {
    Result<Checkpoint> out = parse_hf_llama(owned(damaged(good, 2600, random)), {});
    if (!out.ok()) continue;
    ++loaded;
    use(*out);
  }
  EXPECT_GT(loaded, 0);
  EXPECT_LT(loaded, kRounds);
}

TEST(DamagedFiles, TokenizersAreRefusedOrEncode) {
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  std::mt19937 random(kSeed);
  const Bytes good = tokenizer_file(with_byte_tokens({{" ", 0}, {"a", 0}, {" a", -1}}));
  int loaded = 0;
  for (int i = 0; i < kRounds; ++i) {
    Result<Tokenizer> out = Tokenizer::parse(damaged(good, good.size(), random), 262);
    if (!out.ok()) continue;
    ++loaded;
    Result<std::vector<int32_t>> tokens = out->encode("a a \xff\xc3\xa4", true, true);
    if (!tokens.ok()) continue;
    for (int32_t token : *tokens) out->decode(kBeginToken, token);
  }
  EXPECT_GT(loaded, 0);
  EXPECT_LT(loaded, kRounds);
}

}  // namespace
}  // namespace npu::llm::test
