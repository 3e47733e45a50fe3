// SPDX-License-Identifier: Apache-2.0
// Frames and what is inside them: truncation, lengths, arrays.
#include "firmware-model/server/frame.h"

#include <gtest/gtest.h>

#include <cstring>

#include "firmware-model/server/call.h"

namespace npu::model::server {
namespace {

std::vector<std::byte> make_frame(uint32_t struct_bytes, uint32_t payload_bytes) {
  npu_frame header{};
  header.magic = NPU_FRAME_MAGIC;
  header.call = NPU_CALL_VM_BIND;
  header.struct_bytes = struct_bytes;
  header.payload_bytes = payload_bytes;
  header.sequence = 7;
  std::vector<std::byte> bytes(sizeof(header) + struct_bytes + payload_bytes);
  std::memcpy(bytes.data(), &header, sizeof(header));
  for (size_t i = sizeof(header); i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i);
  return bytes;
}

TEST(FrameTest, EveryTruncationIsIncomplete) {
  const auto bytes = make_frame(32, 80);
  Frame frame;
  for (size_t n = 0; n < bytes.size(); ++n) {
    ASSERT_EQ(parse_request({bytes.data(), n}, &frame), FrameState::kIncomplete) << n;
  }
  ASSERT_EQ(parse_request(bytes, &frame), FrameState::kComplete);
  EXPECT_EQ(frame.bytes, bytes.size());
  EXPECT_EQ(frame.body.size(), 32u);
  EXPECT_EQ(frame.payload.size(), 80u);
  EXPECT_EQ(frame.body.data(), bytes.data() + 32);
  EXPECT_EQ(frame.header.sequence, 7u);
}

TEST(FrameTest, AHeaderThatBreaksARuleIsBrokenAtOnce) {
  const auto broken = [](auto change) {
    auto bytes = make_frame(32, 0);
    npu_frame header;
    std::memcpy(&header, bytes.data(), sizeof(header));
    change(header);
    std::memcpy(bytes.data(), &header, sizeof(header));
    Frame frame;
    return parse_request({bytes.data(), sizeof(header)}, &frame) == FrameState::kBroken;
  };
  EXPECT_TRUE(broken([](npu_frame& h) { h.magic ^= 1; }));
  EXPECT_TRUE(broken([](npu_frame& h) { h.struct_bytes = 33; }));
  EXPECT_TRUE(broken([](npu_frame& h) { h.struct_bytes = NPU_FRAME_MAX_STRUCT_BYTES + 8; }));
  EXPECT_TRUE(broken([](npu_frame& h) { h.struct_bytes = ~7u; }));
  EXPECT_TRUE(broken([](npu_frame& h) { h.payload_bytes = 4; }));
  EXPECT_TRUE(broken([](npu_frame& h) { h.payload_bytes = NPU_FRAME_MAX_BYTES; }));
  EXPECT_TRUE(broken([](npu_frame& h) { h.payload_bytes = ~7u; }));
  EXPECT_TRUE(broken([](npu_frame& h) { h.error = 1; }));
  EXPECT_TRUE(broken([](npu_frame& h) { h.flags = NPU_FRAME_REPLY; }));
  EXPECT_TRUE(broken([](npu_frame& h) { h.fd_count = NPU_FRAME_MAX_FDS + 1; }));
  EXPECT_FALSE(broken([](npu_frame&) {}));
  EXPECT_FALSE(broken([](npu_frame& h) { h.payload_bytes = NPU_FRAME_MAX_BYTES - 64; }));
}

TEST(FrameTest, TwoFramesAreCutApart) {
  auto bytes = make_frame(8, 8);
  const auto second = make_frame(16, 0);
  bytes.insert(bytes.end(), second.begin(), second.end());
  Frame frame;
  ASSERT_EQ(parse_request(bytes, &frame), FrameState::kComplete);
  EXPECT_EQ(frame.bytes, 48u);
  ASSERT_EQ(parse_request(std::span(bytes).subspan(frame.bytes), &frame), FrameState::kComplete);
  EXPECT_EQ(frame.body.size(), 16u);
}

Call call_of(const std::vector<std::byte>& bytes) {
  Frame frame;
  EXPECT_EQ(parse_request(bytes, &frame), FrameState::kComplete);
  return Call(frame, {});
}

TEST(CallTest, AShorterStructIsFilledUpAndALongerOneMustEndInZeros) {
  auto bytes = make_frame(16, 0);
  npu_vm_bind args{};
  EXPECT_EQ(call_of(bytes).read_struct(&args, sizeof(args), 16), 0);
  EXPECT_EQ(args.failed_index, 0u);
  EXPECT_EQ(call_of(bytes).read_struct(&args, sizeof(args), 32), EINVAL)
      << "shorter than version 1.0";
  auto longer = make_frame(40, 0);
  EXPECT_EQ(call_of(longer).read_struct(&args, sizeof(args), 32), E2BIG);
  std::fill(longer.end() - 8, longer.end(), std::byte{0});
  EXPECT_EQ(call_of(longer).read_struct(&args, sizeof(args), 32), 0);
}

TEST(CallTest, AnArrayOutsideThePayloadIsAFault) {
  const auto bytes = make_frame(32, 80);
  const Call call = call_of(bytes);
  std::vector<npu_bind_op> ops;
  EXPECT_EQ(call.read_array({40, 2, 0}, &ops), 0);
  EXPECT_EQ(ops.size(), 2u);
  EXPECT_EQ(call.read_array({40, 2, 8}, &ops), EFAULT);
  EXPECT_EQ(call.read_array({40, 3, 0}, &ops), EFAULT);
  EXPECT_EQ(call.read_array({40, 1, 88}, &ops), EFAULT);
  EXPECT_EQ(call.read_array({40, 1, ~7ull}, &ops), EFAULT);
  EXPECT_EQ(call.read_array({~7u, ~0u, 0}, &ops), EFAULT);
  EXPECT_EQ(call.read_array({80, 1, 0}, &ops), E2BIG) << "unknown tail that is not zero";
  EXPECT_EQ(call.read_array({8, 10, 0}, &ops), 0) << "short elements are filled up";
  EXPECT_EQ(ops[9].size_bytes, 0u);
}

TEST(CallTest, AnAnswerThatWouldBeTooLongIsRefused) {
  const auto bytes = make_frame(24, 0);
  Call call = call_of(bytes);
  npu_array array{NPU_FRAME_MAX_BYTES / 4, 8, 0};
  EXPECT_EQ(call.write_array(&array, std::vector<npu_metric>(8)), E2BIG);
  array = {16, 4, 0};
  EXPECT_EQ(call.write_array(&array, std::vector<npu_metric>(8)), 0);
  EXPECT_EQ(array.count, 8u) << "as many exist";
  EXPECT_EQ(call.reply(0, nullptr, 0).payload.size(), 64u) << "as many were asked for";
  array = {16, 4, 8};
  EXPECT_EQ(call.write_array(&array, std::vector<npu_metric>(8)), EINVAL) << "ptr of an OUT array";
}

}  // namespace
}  // namespace npu::model::server
