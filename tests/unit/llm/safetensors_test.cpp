// SPDX-License-Identifier: Apache-2.0
//
// The safetensors container, with good and with hostile files.
#include "samples/llm/safetensors.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/unit/llm/fixtures.h"

namespace npu::llm::test {
namespace {

Bytes file(const std::string& index, size_t data_bytes) {
  Bytes out;
  append(out, uint64_t{index.size()});
  for (char c : index) append(out, c);
  out.resize(out.size() + data_bytes, std::byte{7});
  return out;
}

std::string entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  const std::string& offsets) {
  return std::string("\"") + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape +
         ",\"data_offsets\":" + offsets + "}";
}

void expect_refused(const Bytes& bytes, ErrorCode code, const std::string& part) {
  Result<SafetensorsIndex> out = parse_safetensors(bytes);
  ASSERT_FALSE(out.ok()) << "want refusal with: " << part;
  EXPECT_EQ(error_code_name(out.error().code), std::string(error_code_name(code)))
      << out.error().message;
  EXPECT_NE(out.error().message.find(part), std::string::npos) << out.error().message;
  EXPECT_NE(out.error().message.find(';'), std::string::npos) << "no remedy";
}

TEST(Safetensors, WhatIsBuiltReadsBackAndStartsAligned) {
  const Bytes built =
      build_safetensors({{"a", "1"}}, {{"m", DType::kBf16, {2, 3}, Bytes(12, std::byte{1})},
                                       {"v", DType::kF32, {5}, Bytes(20, std::byte{2})}});
  Result<SafetensorsIndex> index = parse_safetensors(built);
  ASSERT_TRUE(index.ok()) << index.error().message;
  EXPECT_EQ(index->metadata.at("a"), "1");
  const TensorView& m = index->tensors.at("m");
  EXPECT_EQ(m.rows, 2u);
  EXPECT_EQ(m.cols, 3u);
  EXPECT_EQ(m.dtype, DType::kBf16);
  EXPECT_EQ((m.bytes.data() - built.data()) % 64, 0);
  const TensorView& v = index->tensors.at("v");
  EXPECT_EQ(v.rows, 1u);
  EXPECT_EQ(v.cols, 5u);
  EXPECT_EQ(v.bytes[19], std::byte{2});
}

TEST(Safetensors, TheLengthWordIsCheckedAgainstTheFile) {
  Bytes bytes = file("{}", 0);
  ASSERT_TRUE(parse_safetensors(bytes).ok());
  overwrite(bytes, 0, uint64_t{3});
  expect_refused(bytes, ErrorCode::kTruncated, "only 2 follow");
  overwrite(bytes, 0, UINT64_MAX);
  expect_refused(bytes, ErrorCode::kTruncated, "18446744073709551615");
  overwrite(bytes, 0, uint64_t{1});
  expect_refused(bytes, ErrorCode::kBadValue, "index length is 1");
  overwrite(bytes, 0, uint64_t{0});
  expect_refused(bytes, ErrorCode::kBadValue, "index length is 0");
  bytes.resize(7);
  expect_refused(bytes, ErrorCode::kTruncated, "length word");
}

TEST(Safetensors, AnIndexLargerThanAnyModelNeedsIsRefusedUnparsed) {
  expect_refused(file(std::string((16u << 20) + 1, ' '), 0), ErrorCode::kBadValue, "index length");
}

TEST(Safetensors, TextThatIsNotAJsonObjectIsRefused) {
  expect_refused(file("[]", 0), ErrorCode::kBadFormat, "does not begin with '{'");
  expect_refused(file("{\"a\":", 0), ErrorCode::kBadFormat, "not valid JSON");
  expect_refused(file("{} x", 0), ErrorCode::kBadFormat, "not valid JSON");
  expect_refused(file("{\"a\xff\":1}", 0), ErrorCode::kBadFormat, "not valid JSON");
}

TEST(Safetensors, DeepNestingIsRefusedNotFollowed) {
  expect_refused(file(std::string("{\"a\":") + std::string(1000000, '['), 0), ErrorCode::kBadFormat,
                 "nested");
}

TEST(Safetensors, ARepeatedNameIsRefused) {
  const std::string t = entry("t", "F32", "[1]", "[0,4]");
  expect_refused(file(std::string("{") + t + "," + t + "}", 4), ErrorCode::kBadFormat,
                 "repeats the key 't'");
}

TEST(Safetensors, MetadataMustBeStrings) {
  expect_refused(file("{\"__metadata__\":{\"a\":1}}", 0), ErrorCode::kBadFormat, "strings");
  expect_refused(file("{\"__metadata__\":[]}", 0), ErrorCode::kBadFormat, "strings");
}

TEST(Safetensors, WrongShapesAndTypesAreRefused) {
  auto one = [](const std::string& e, size_t bytes) {
    return file(std::string("{") + e + "}", bytes);
  };
  expect_refused(one("\"t\":5", 0), ErrorCode::kBadFormat, "not a JSON object");
  expect_refused(one(entry("t", "F32", "[-1]", "[0,4]"), 4), ErrorCode::kBadFormat,
                 "whole numbers");
  expect_refused(one(entry("t", "F32", "[1.5]", "[0,4]"), 4), ErrorCode::kBadFormat,
                 "whole numbers");
  expect_refused(one(entry("t", "F32", "\"x\"", "[0,4]"), 4), ErrorCode::kBadFormat, "no shape");
  expect_refused(one(entry("t", "F32", "[]", "[0,4]"), 4), ErrorCode::kUnsupported, "0 dimensions");
  expect_refused(one(entry("t", "F32", "[1,1,1]", "[0,4]"), 4), ErrorCode::kUnsupported,
                 "3 dimensions");
  expect_refused(one(entry("t", "I8", "[4]", "[0,4]"), 4), ErrorCode::kUnsupported, "dtype 'I8'");
  expect_refused(one("\"t\":{\"shape\":[1],\"data_offsets\":[0,4]}", 4), ErrorCode::kBadFormat,
                 "no dtype");
  expect_refused(one(entry("t", "F32", "[2]", "[0,4]"), 4), ErrorCode::kMismatch, "needs 8");
}

TEST(Safetensors, SizesThatOverflow64BitsAreRefused) {
  const std::string huge = "[4294967296,4294967296]";
  expect_refused(file(std::string("{") + entry("t", "F32", huge, "[0,0]") + "}", 0),
                 ErrorCode::kBadValue, "overflows");
  // 2^62 elements of four bytes wrap to zero bytes.
  const std::string wraps = "[2147483648,2147483648]";
  expect_refused(file(std::string("{") + entry("t", "F32", wraps, "[0,0]") + "}", 0),
                 ErrorCode::kBadValue, "overflows");
  expect_refused(
      file(std::string("{") + entry("t", "F32", "[18446744073709551616]", "[0,4]") + "}", 4),
      ErrorCode::kBadFormat, "whole numbers");
}

TEST(Safetensors, OffsetsOutsideTheDataAreRefused) {
  expect_refused(file(std::string("{") + entry("t", "F32", "[2]", "[0,8]") + "}", 4),
                 ErrorCode::kTruncated, "ends at byte 8");
  expect_refused(file(std::string("{") + entry("t", "F32", "[1]", "[4,0]") + "}", 4),
                 ErrorCode::kBadValue, "ends before it begins");
  expect_refused(
      file(std::string("{") +
               entry("t", "F32", "[1]", "[18446744073709551612,18446744073709551615]") + "}",
           4),
      ErrorCode::kTruncated, "ends at byte 18446744073709551615");
  expect_refused(file(std::string("{") + entry("t", "F32", "[1]", "[4]") + "}", 4),
                 ErrorCode::kBadFormat, "data_offsets");
}

TEST(Safetensors, OverlapsGapsAndLeftOversAreRefused) {
  auto two = [](const char* a, const char* b, size_t bytes) {
    return file(
        std::string("{") + entry("a", "F32", "[1]", a) + "," + entry("b", "F32", "[1]", b) + "}",
        bytes);
  };
  ASSERT_TRUE(parse_safetensors(two("[4,8]", "[0,4]", 8)).ok());
  expect_refused(two("[0,4]", "[2,6]", 6), ErrorCode::kMismatch, "'b' overlaps");
  expect_refused(two("[0,4]", "[0,4]", 4), ErrorCode::kMismatch, "overlaps");
  expect_refused(two("[0,4]", "[8,12]", 12), ErrorCode::kMismatch, "'b' leaves a gap");
  expect_refused(two("[0,4]", "[4,8]", 9), ErrorCode::kTooLong, "1 bytes after");
}

}  // namespace
}  // namespace npu::llm::test
