// SPDX-License-Identifier: Apache-2.0
//
// The llama2.c checkpoint parser, with good and with hostile files.
#include "samples/llm/checkpoint.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <climits>

#include "tests/unit/llm/fixtures.h"

namespace npu::llm::test {
namespace {

enum Field : size_t { kDim, kHidden, kLayers, kHeads, kKvHeads, kVocabulary, kContext };

Bytes with_field(Field field, int32_t value) {
  Bytes bytes = tiny_llama2c(tiny_config(), 1);
  overwrite(bytes, 4 * field, value);
  return bytes;
}

// Expects refusal with `code` and a message that contains each of `parts`.
void expect_refused(const Bytes& bytes, ErrorCode code, std::initializer_list<const char*> parts) {
  Result<Checkpoint> out = parse_llama2c(owned(bytes));
  ASSERT_FALSE(out.ok());
  EXPECT_EQ(error_code_name(out.error().code), std::string(error_code_name(code)))
      << out.error().message;
  for (const char* part : parts) {
    EXPECT_NE(out.error().message.find(part), std::string::npos) << out.error().message;
  }
}

TEST(Llama2cCheckpoint, TensorsFollowEachOtherInTheDocumentedOrder) {
  const ModelConfig want = tiny_config();
  const Bytes bytes = tiny_llama2c(want, 1);
  Result<Checkpoint> got = parse_llama2c(owned(bytes));
  ASSERT_TRUE(got.ok()) << got.error().message;
  const Checkpoint& c = *got;
  EXPECT_EQ(c.config.dim, want.dim);
  EXPECT_EQ(c.config.kv_dim(), 4u);
  EXPECT_TRUE(c.config.tied_output);
  const std::byte* base = c.storage.span().data();
  auto offset = [&](const TensorView& view) { return view.bytes.data() - base; };
  size_t at = 28;
  EXPECT_EQ(offset(c.embedding), 28);
  at += 4 * 16 * 8;
  EXPECT_EQ(offset(c.layers[1].attention_norm) - at, 4u * 8);
  at += 4 * 2 * 8;
  EXPECT_EQ(offset(c.layers[0].wq), static_cast<ptrdiff_t>(at));
  at += 4 * 2 * 8 * 8;
  EXPECT_EQ(offset(c.layers[1].wk) - at, 4u * 4 * 8);
  at += 4 * 2 * 2 * 4 * 8;
  EXPECT_EQ(offset(c.layers[0].wo), static_cast<ptrdiff_t>(at));
  at += 4 * (2 * 8 * 8 + 2 * 8);
  EXPECT_EQ(offset(c.layers[0].w1), static_cast<ptrdiff_t>(at));
  at += 4 * 2 * 12 * 8;
  EXPECT_EQ(offset(c.layers[0].w2), static_cast<ptrdiff_t>(at));
  EXPECT_EQ(c.layers[0].w2.rows, 8u);
  EXPECT_EQ(c.layers[0].w2.cols, 12u);
  at += 4 * 2 * 2 * 12 * 8;
  EXPECT_EQ(offset(c.final_norm), static_cast<ptrdiff_t>(at));
  EXPECT_EQ(c.output.bytes.data(), c.embedding.bytes.data());
}

TEST(Llama2cCheckpoint, ANegativeVocabularyMeansAnOutputMatrixAtTheEnd) {
  ModelConfig config = tiny_config();
  config.tied_output = false;
  Result<Checkpoint> got = parse_llama2c(owned(tiny_llama2c(config, 1)));
  ASSERT_TRUE(got.ok()) << got.error().message;
  EXPECT_FALSE(got->config.tied_output);
  EXPECT_EQ(got->config.vocabulary, 16u);
  EXPECT_EQ(got->output.bytes.data() + got->output.bytes.size(),
            got->storage.span().data() + got->storage.size());
}

TEST(Llama2cCheckpoint, EveryTruncationIsRefusedAsTruncated) {
  const Bytes whole = tiny_llama2c(tiny_config(), 1);
  for (size_t size = 0; size < whole.size(); ++size) {
    Result<Checkpoint> out = parse_llama2c(owned(std::span(whole).first(size)));
    ASSERT_FALSE(out.ok()) << size;
    ASSERT_EQ(out.error().code, ErrorCode::kTruncated) << size;
  }
}

TEST(Llama2cCheckpoint, BytesAfterTheEndAreRefused) {
  Bytes bytes = tiny_llama2c(tiny_config(), 1);
  bytes.push_back(std::byte{0});
  expect_refused(bytes, ErrorCode::kTooLong, {"foreign bytes", "export it again"});
}

TEST(Llama2cCheckpoint, NegativeAndZeroSizesAreRefusedByName) {
  expect_refused(with_field(kDim, -8), ErrorCode::kBadValue, {"dim is -8", "damaged"});
  expect_refused(with_field(kDim, 0), ErrorCode::kBadValue, {"dim is 0"});
  expect_refused(with_field(kHidden, -1), ErrorCode::kBadValue, {"hidden_dim is -1"});
  expect_refused(with_field(kLayers, 0), ErrorCode::kBadValue, {"n_layers is 0"});
  expect_refused(with_field(kHeads, INT_MIN), ErrorCode::kBadValue, {"n_heads"});
  expect_refused(with_field(kKvHeads, 0), ErrorCode::kBadValue, {"n_kv_heads is 0"});
  expect_refused(with_field(kVocabulary, 0), ErrorCode::kBadValue, {"vocab_size is 0"});
  expect_refused(with_field(kVocabulary, INT_MIN), ErrorCode::kBadValue, {"vocab_size"});
  expect_refused(with_field(kContext, -5), ErrorCode::kBadValue, {"seq_len is -5"});
}

TEST(Llama2cCheckpoint, SizesThatWouldOverflowAreRefusedBeforeAnythingIsAllocated) {
  for (Field field : {kDim, kHidden, kLayers, kHeads, kKvHeads, kVocabulary, kContext}) {
    expect_refused(with_field(field, INT_MAX), ErrorCode::kBadValue, {"2147483647", "not between"});
  }
}

TEST(Llama2cCheckpoint, AHeaderAtTheUpperLimitsMeetsTheFileSizeFirst) {
  Bytes bytes;
  for (int32_t field : {int32_t{kMaxDim}, int32_t{kMaxDim}, int32_t{kMaxLayers}, 32, 32,
                        int32_t{kMaxVocabulary}, int32_t{kMaxContext}}) {
    append(bytes, field);
  }
  expect_refused(bytes, ErrorCode::kTruncated, {"28 bytes", "header announces"});
}

TEST(Llama2cCheckpoint, SizesThatDoNotDivideEachOtherAreRefused) {
  expect_refused(with_field(kHeads, 3), ErrorCode::kMismatch, {"dim (8)", "n_heads (3)"});
  expect_refused(with_field(kKvHeads, 4), ErrorCode::kMismatch, {"n_heads (2)", "n_kv_heads (4)"});
  expect_refused(with_field(kHeads, 8), ErrorCode::kMismatch, {"head size (1)", "rotary pair"});
}

TEST(Llama2cCheckpoint, NewerVersionsAndGgufAreNamedInTheRefusal) {
  expect_refused(with_field(kDim, 0x616b3432), ErrorCode::kUnsupported,
                 {"version 1", "--version 0"});
  expect_refused(with_field(kDim, 0x46554747), ErrorCode::kUnsupported, {"GGUF"});
}

TEST(LoadCheckpoint, AMissingFileNamesThePathAndTheReason) {
  Result<Checkpoint> out = load_checkpoint("/nonexistent/model.bin");
  ASSERT_FALSE(out.ok());
  EXPECT_EQ(out.error().code, ErrorCode::kIo);
  EXPECT_NE(out.error().message.find("/nonexistent/model.bin"), std::string::npos);
  EXPECT_NE(out.error().message.find("No such file"), std::string::npos);
}

TEST(LoadCheckpoint, AFileOfAnotherKindIsRefusedByItsName) {
  Result<Checkpoint> out = load_checkpoint("model.gguf");
  ASSERT_FALSE(out.ok());
  EXPECT_EQ(out.error().code, ErrorCode::kUnsupported);
}

TEST(LoadCheckpoint, DirectoriesAndPipesAreRefusedWithoutHanging) {
  TemporaryFolder folder;
  ASSERT_EQ(::mkdir(folder.path("d.bin").c_str(), 0700), 0);
  ASSERT_EQ(::mkfifo(folder.path("p.bin").c_str(), 0600), 0);
  for (const char* name : {"d.bin", "p.bin"}) {
    Result<Checkpoint> out = load_checkpoint(folder.path(name));
    ASSERT_FALSE(out.ok());
    EXPECT_EQ(out.error().code, ErrorCode::kIo);
    EXPECT_NE(out.error().message.find("not a regular file"), std::string::npos);
  }
}

TEST(LoadCheckpoint, AFileWrittenAndReadBackIsTheSame) {
  TemporaryFolder folder;
  const Bytes bytes = tiny_llama2c(tiny_config(), 1);
  ASSERT_FALSE(write_file(folder.path("m.bin"), bytes).has_value());
  Result<Checkpoint> out = load_checkpoint(folder.path("m.bin"));
  ASSERT_TRUE(out.ok()) << out.error().message;
  EXPECT_TRUE(std::ranges::equal(out->storage.span(), bytes));
}

}  // namespace
}  // namespace npu::llm::test
