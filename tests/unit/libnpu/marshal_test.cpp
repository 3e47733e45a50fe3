// SPDX-License-Identifier: Apache-2.0
#include "libnpu/src/backend/marshal.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>

namespace npu {
namespace {

npu_call_desc describe(uint32_t nr) {
  npu_call_desc desc{};
  EXPECT_TRUE(describe_message(nr, &desc));
  return desc;
}

npu_frame header_of(const std::vector<std::byte>& bytes) {
  npu_frame header;
  std::memcpy(&header, bytes.data(), sizeof header);
  return header;
}

npu_array array_of(const void* elements, uint32_t stride, uint32_t count) {
  return {stride, count, reinterpret_cast<uintptr_t>(elements)};
}

// An honest server's reply: struct and payload after a header.
std::vector<std::byte> make_reply(uint32_t nr, uint32_t sequence, const void* args, uint32_t bytes,
                                  const void* payload = nullptr, uint32_t payload_bytes = 0,
                                  int error = 0, uint32_t fds = 0) {
  npu_frame header{};
  header.magic = NPU_FRAME_MAGIC;
  header.call = nr;
  header.struct_bytes = bytes;
  header.payload_bytes = payload_bytes;
  header.sequence = sequence;
  header.error = error;
  header.fd_count = fds;
  header.flags = NPU_FRAME_REPLY;
  std::vector<std::byte> frame(sizeof header + bytes + payload_bytes);
  std::memcpy(frame.data(), &header, sizeof header);
  if (bytes != 0) std::memcpy(frame.data() + sizeof header, args, bytes);
  if (payload_bytes != 0) std::memcpy(frame.data() + sizeof header + bytes, payload, payload_bytes);
  return frame;
}

TEST(MarshalTest, InArraysTravelInThePayload) {
  npu_bind_op ops[3] = {};
  for (uint32_t i = 0; i < 3; i++) ops[i].dva = 0x1000 * (i + 1);
  npu_vm_bind args{};
  args.vm_id = 7;
  args.ops = array_of(ops, sizeof ops[0], 3);
  Request request;
  ASSERT_EQ(build_request(describe(NPU_CALL_VM_BIND), &args, 42, &request), 0);
  const npu_frame header = header_of(request.bytes);
  EXPECT_EQ(header.magic, NPU_FRAME_MAGIC);
  EXPECT_EQ(header.sequence, 42u);
  EXPECT_EQ(header.struct_bytes, sizeof args);
  EXPECT_EQ(header.payload_bytes, sizeof ops);
  EXPECT_EQ(header.flags, 0u);
  EXPECT_EQ(request.bytes.size(), sizeof header + sizeof args + sizeof ops);
  npu_vm_bind sent;
  std::memcpy(&sent, request.bytes.data() + sizeof header, sizeof sent);
  EXPECT_EQ(sent.ops.ptr, 0u);
  EXPECT_EQ(std::memcmp(request.bytes.data() + sizeof header + sizeof args, ops, sizeof ops), 0);
}

TEST(MarshalTest, ArraysTooLargeForAFrameAreRefused) {
  npu_bind_op op{};
  npu_vm_bind args{};
  args.ops = array_of(&op, 4096, 4096);
  Request request;
  EXPECT_EQ(build_request(describe(NPU_CALL_VM_BIND), &args, 1, &request), E2BIG);
  args.ops = {sizeof op, 1, 0};
  EXPECT_EQ(build_request(describe(NPU_CALL_VM_BIND), &args, 1, &request), EINVAL);
}

TEST(MarshalTest, DescriptorsBecomeIndices) {
  npu_notify args{};
  args.flags = NPU_NOTIFY_ADD;
  args.fd = 77;
  Request request;
  ASSERT_EQ(build_request(describe(NPU_CALL_NOTIFY), &args, 1, &request), 0);
  EXPECT_EQ(request.fd, 77);
  EXPECT_EQ(header_of(request.bytes).fd_count, 1u);
  npu_notify sent;
  std::memcpy(&sent, request.bytes.data() + sizeof(npu_frame), sizeof sent);
  EXPECT_EQ(sent.fd, 0);
}

class ReplyTest : public ::testing::Test {
 protected:
  ReplyTest() {
    asked_.type = NPU_QUERY_METRICS;
    asked_.out = array_of(metrics_, sizeof metrics_[0], 4);
    answer_ = asked_;
    answer_.out.ptr = 0;
    answer_.out.count = 2;
    payload_[0] = {.id = 1, .flags = 1, .value = 10};
    payload_[1] = {.id = 2, .flags = 1, .value = 20};
  }
  int read(const std::vector<std::byte>& frame, uint32_t sequence = 5) {
    args_ = asked_;
    return read_reply(describe(NPU_CALL_DEV_QUERY), frame, sequence, {}, &args_, &used_fd_,
                      &broken_);
  }
  std::vector<std::byte> reply(uint32_t sequence = 5) {
    return make_reply(NPU_CALL_DEV_QUERY, sequence, &answer_, sizeof answer_, payload_,
                      sizeof payload_);
  }

  npu_metric metrics_[4] = {};
  npu_metric payload_[2] = {};
  npu_dev_query asked_{};
  npu_dev_query answer_{};
  npu_dev_query args_{};
  int used_fd_ = 0;
  bool broken_ = false;
};

TEST_F(ReplyTest, OutArraysGoToTheCaller) {
  ASSERT_EQ(read(reply()), 0);
  EXPECT_FALSE(broken_);
  EXPECT_EQ(metrics_[1].value, 20);
  EXPECT_EQ(metrics_[2].id, 0u);
  EXPECT_EQ(args_.out.count, 2u);
  EXPECT_EQ(args_.out.ptr, reinterpret_cast<uintptr_t>(metrics_));
}

TEST_F(ReplyTest, MoreElementsThanRoomAreCountedOnly) {
  asked_.out.count = answer_.out.count = 2;
  answer_.out.count = 100;
  ASSERT_EQ(read(reply()), 0);
  EXPECT_EQ(args_.out.count, 100u);
  EXPECT_EQ(metrics_[2].id, 0u);
}

TEST_F(ReplyTest, EveryBrokenReplyIsRefusedAndChangesNothing) {
  const auto refused = [&](const std::vector<std::byte>& frame, uint32_t sequence = 5) {
    broken_ = false;
    EXPECT_EQ(read(frame, sequence), EPROTO);
    EXPECT_TRUE(broken_);
    EXPECT_EQ(std::memcmp(&args_, &asked_, sizeof args_), 0);
  };
  refused(reply(), 6);
  refused(make_reply(NPU_CALL_VM_CREATE, 5, &answer_, sizeof answer_, payload_, sizeof payload_));
  refused(
      make_reply(NPU_CALL_DEV_QUERY, 5, &answer_, sizeof answer_ - 8, payload_, sizeof payload_));
  refused(make_reply(NPU_CALL_DEV_QUERY, 5, &answer_, sizeof answer_));
  refused(
      make_reply(NPU_CALL_DEV_QUERY, 5, &answer_, sizeof answer_, payload_, sizeof payload_, 0, 1));
  refused(
      make_reply(NPU_CALL_DEV_QUERY, 5, &answer_, sizeof answer_, payload_, sizeof payload_, -1));
  answer_.out.stride = 8;
  refused(reply());
  answer_.out.stride = sizeof metrics_[0];
  answer_.out.ptr = 16;
  refused(reply());
  answer_.out.ptr = ~uint64_t{0} - 8;
  refused(reply());
  answer_.out.ptr = 0;
  answer_.out.count = 1;
  refused(reply());
}

TEST_F(ReplyTest, AnErrorComesWithPlainOutputsOnly) {
  npu_vm_bind asked{};
  npu_bind_op op{};
  asked.ops = array_of(&op, sizeof op, 1);
  npu_vm_bind answer = asked;
  answer.ops.ptr = 0;
  answer.failed_index = 3;
  const auto frame = make_reply(NPU_CALL_VM_BIND, 9, &answer, sizeof answer, nullptr, 0, ENOENT);
  EXPECT_EQ(read_reply(describe(NPU_CALL_VM_BIND), frame, 9, {}, &asked, &used_fd_, &broken_),
            ENOENT);
  EXPECT_FALSE(broken_);
  EXPECT_EQ(asked.failed_index, 3u);
  EXPECT_EQ(asked.ops.ptr, reinterpret_cast<uintptr_t>(&op));
}

TEST(FrameTest, LengthsThatNoServerSendsAreRefused) {
  npu_frame header{};
  header.magic = NPU_FRAME_MAGIC;
  const auto length = [&] {
    return frame_length({reinterpret_cast<const std::byte*>(&header), sizeof header});
  };
  EXPECT_EQ(length(), static_cast<int64_t>(sizeof header));
  EXPECT_EQ(frame_length({reinterpret_cast<const std::byte*>(&header), sizeof header - 1}), 0);
  header.payload_bytes = 12;
  EXPECT_EQ(length(), -1);
  header.payload_bytes = 0xfffffff8;
  EXPECT_EQ(length(), -1);
  header.payload_bytes = 0;
  header.struct_bytes = NPU_FRAME_MAX_STRUCT_BYTES + 8;
  EXPECT_EQ(length(), -1);
  header.struct_bytes = 0;
  header.flags = 4;
  EXPECT_EQ(length(), -1);
  header.flags = 0;
  header.fd_count = 17;
  EXPECT_EQ(length(), -1);
  header.fd_count = 0;
  header.magic++;
  EXPECT_EQ(length(), -1);
}

}  // namespace
}  // namespace npu
