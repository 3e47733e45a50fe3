// SPDX-License-Identifier: Apache-2.0
// Capture of queues into graphs.
#include <atomic>
#include <cstring>
#include <string>
#include <thread>

#include "tests/conformance/support.h"

namespace npu::conformance {
namespace {

class CaptureTest : public DeviceTest {
 protected:
  void SetUp() override {
    DeviceTest::SetUp();
    a_ = alloc(4096);
    b_ = alloc(4096);
  }
  npuGraph end_capture() {
    npuGraph graph = nullptr;
    EXPECT_NPU(NPU_OK, npuQueueEndCapture(queue_, &graph));
    return graph;
  }
  void run(npuGraph graph) {
    npuGraphExec exec = nullptr;
    ASSERT_NPU(NPU_OK, npuGraphInstantiate(graph, &exec));
    ASSERT_NPU(NPU_OK, npuGraphLaunch(exec, queue_, nullptr));
    ASSERT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
    ASSERT_NPU(NPU_OK, npuGraphExecDestroy(exec));
  }
  uint32_t count(npuGraph graph) {
    uint32_t nodes = 0;
    EXPECT_NPU(NPU_OK, npuGraphGetNodeCount(graph, &nodes));
    return nodes;
  }
  std::string json(npuGraph graph) {
    char text[4096];
    uint64_t bytes = sizeof text;
    EXPECT_NPU(NPU_OK, npuGraphDump(graph, NPU_GRAPH_JSON, &bytes, text));
    return text;
  }

  npuDevPtr a_ = 0;
  npuDevPtr b_ = 0;
};

TEST_F(CaptureTest, SubmissionsBecomeNodesAndDoNotRun) {
  struct Count {
    static void call(npuResult, void* count) { ++*static_cast<int*>(count); }
  };
  int calls = 0;
  uint32_t capturing = 0;
  ASSERT_NPU(NPU_OK, npuQueueBeginCapture(queue_));
  ASSERT_NPU(NPU_OK, npuQueueIsCapturing(queue_, &capturing));
  EXPECT_EQ(capturing, 1u);
  EXPECT_EQ(poke(queue_, a_, 3.0f), uint64_t{1} << 63 | 1);
  npuCopyInfo rows{};
  rows.struct_size = sizeof rows;
  rows.dst = b_;
  rows.src = a_;
  rows.width_bytes = 4;
  rows.height = rows.depth = 1;
  ASSERT_NPU(NPU_OK, npuQueueCopyStrided(queue_, &rows, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueCopy(queue_, b_ + 64, b_, 4, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueFill(queue_, a_, 0, 4, 4, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueSignal(queue_, a_ + 64, 1, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueWaitSemaphore(queue_, a_ + 64, 1, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueCallHost(queue_, &Count::call, &calls, nullptr));
  npuCommand stamp;
  std::memset(&stamp, 0, sizeof stamp);
  stamp.struct_size = sizeof stamp;
  stamp.kind = NPU_COMMAND_TIMESTAMP;
  stamp.as.timestamp.dst = a_ + 128;
  ASSERT_NPU(NPU_OK, npuSubmitBatch(queue_, 1, &stamp, nullptr));
  const PokeArgs args{b_ + 128, 8.0f, 0};
  const npuLaunchInfo info = launch_info(&args, sizeof args);
  npuPreparedLaunch prepared = nullptr;
  ASSERT_NPU(NPU_OK, npuLaunchPrepare(kernel("poke"), &info, &prepared));
  ASSERT_NPU(NPU_OK, npuQueueLaunchPrepared(queue_, prepared, nullptr));
  uint64_t completed = 99;
  ASSERT_NPU(NPU_OK, npuQueueGetCompleted(queue_, &completed));
  EXPECT_EQ(completed, 0u);

  npuGraph graph = end_capture();
  ASSERT_NPU(NPU_OK, npuQueueIsCapturing(queue_, &capturing));
  EXPECT_EQ(capturing, 0u);
  EXPECT_EQ(count(graph), 9u);
  EXPECT_EQ(calls, 0);
  EXPECT_EQ(number_at(b_ + 64), 0.0f);
  run(graph);
  run(graph);
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(number_at(a_), 0.0f);
  EXPECT_EQ(number_at(b_ + 64), 3.0f);
  EXPECT_EQ(number_at(b_ + 128), 8.0f);
}

TEST_F(CaptureTest, OtherQueuesJoinByValuesAndByEvents) {
  npuQueue second = make_queue();
  npuQueue third = make_queue();
  npuEvent event = nullptr;
  npuEvent back = nullptr;
  ASSERT_NPU(NPU_OK, npuEventCreate(context_, &event));
  ASSERT_NPU(NPU_OK, npuEventCreate(context_, &back));
  ASSERT_NPU(NPU_OK, npuQueueBeginCapture(queue_));
  const uint64_t first = poke(queue_, a_, 1.0f);
  ASSERT_NPU(NPU_OK, npuEventRecord(event, queue_));
  ASSERT_NPU(NPU_OK, npuQueueWaitQueue(second, queue_, first, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueWaitEvent(third, event));
  const uint64_t in_second = poke(second, a_ + 64, 2.0f);
  poke(third, a_ + 128, 3.0f);
  ASSERT_NPU(NPU_OK, npuEventRecord(back, third));
  ASSERT_NPU(NPU_OK, npuQueueWaitQueue(queue_, second, in_second, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueWaitEvent(queue_, back));
  ASSERT_NPU(NPU_OK, npuQueueCopy(queue_, b_, a_, 256, nullptr));
  EXPECT_NPU(NPU_ERROR_CAPTURE_UNSUPPORTED, npuEventQuery(event));
  EXPECT_NPU(NPU_ERROR_CAPTURE_UNSUPPORTED, npuEventWait(event, kSecondNs));
  npuGraph graph = nullptr;
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuQueueEndCapture(second, &graph));
  graph = end_capture();
  EXPECT_NE(json(graph).find("\"id\": 2, \"kind\": \"kernel\", \"deps\": [1]"), std::string::npos);
  EXPECT_NE(json(graph).find("\"id\": 3, \"kind\": \"kernel\", \"deps\": [1]"), std::string::npos);
  EXPECT_NE(json(graph).find("\"id\": 4, \"kind\": \"copy\", \"deps\": [1, 2, 3]"),
            std::string::npos)
      << json(graph);
  EXPECT_EQ(number_at(a_ + 64), 0.0f);
  // All of them are queues again.
  poke(second, b_ + 512, 1.0f);
  ASSERT_NPU(NPU_OK, npuQueueSync(second, kLongNs));
  EXPECT_EQ(number_at(b_ + 512), 1.0f);
  run(graph);
  EXPECT_EQ(number_at(b_ + 128), 3.0f);
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuQueueWaitEvent(third, event));  // that capture is over
}

TEST_F(CaptureTest, WhatCannotBeCapturedSaysSoAndTheCaptureGoesOn) {
  npuQueue other = make_queue();
  const uint64_t outside = poke(other, b_, 1.0f);
  npuEvent event = nullptr;
  ASSERT_NPU(NPU_OK, npuEventCreate(context_, &event));
  ASSERT_NPU(NPU_OK, npuEventRecord(event, other));
  ASSERT_NPU(NPU_OK, npuQueueBeginCapture(queue_));
  const uint64_t value = poke(queue_, a_, 1.0f);
  const auto expect_named = [&](const char* name, npuResult result) {
    EXPECT_NPU(NPU_ERROR_CAPTURE_UNSUPPORTED, result);
    EXPECT_STREQ(last_error().function, name);
  };
  int fd = 0;
  uint64_t out = 0;
  const npuWaitItem item{queue_, value};
  npuTiming timing{};
  timing.struct_size = sizeof timing;
  expect_named("npuQueueBeginCapture", npuQueueBeginCapture(queue_));
  expect_named("npuQueueSync", npuQueueSync(queue_, 0));
  expect_named("npuQueueWait", npuQueueWait(queue_, value, 0));
  expect_named("npuWaitMany", npuWaitMany(1, &item, NPU_WAIT_ANY, 0, nullptr));
  expect_named("npuQueueGetFd", npuQueueGetFd(queue_, value, &fd));
  expect_named("npuQueueGetTiming", npuQueueGetTiming(queue_, value, &timing));
  expect_named("npuQueueReset", npuQueueReset(queue_, kLongNs));
  expect_named("npuQueueWaitQueue", npuQueueWaitQueue(queue_, other, outside, &out));
  expect_named("npuQueueWaitEvent", npuQueueWaitEvent(queue_, event));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuQueueWaitQueue(other, queue_, value + 1, &out));
  poke(queue_, a_ + 64, 2.0f);
  npuGraph graph = end_capture();
  EXPECT_EQ(count(graph), 2u);
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuQueueWait(queue_, value, 0));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuQueueWaitQueue(other, queue_, value, &out));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuQueueEndCapture(queue_, &graph));
  EXPECT_EQ(graph, nullptr);
}

TEST_F(CaptureTest, AGraphCanBeLaunchedIntoACapture) {
  ASSERT_NPU(NPU_OK, npuQueueBeginCapture(queue_));
  poke(queue_, a_, 6.0f);
  ASSERT_NPU(NPU_OK, npuQueueCopy(queue_, b_, a_, 4, nullptr));
  npuGraph inner = end_capture();
  npuGraphExec exec = nullptr;
  ASSERT_NPU(NPU_OK, npuGraphInstantiate(inner, &exec));
  ASSERT_NPU(NPU_OK, npuQueueBeginCapture(queue_));
  ASSERT_NPU(NPU_OK, npuGraphLaunch(exec, queue_, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueCopy(queue_, b_ + 64, b_, 4, nullptr));
  npuGraph outer = end_capture();
  EXPECT_EQ(count(outer), 4u);
  EXPECT_NE(json(outer).find("\"kind\": \"child\""), std::string::npos);
  EXPECT_EQ(number_at(b_), 0.0f);
  run(outer);
  EXPECT_EQ(number_at(b_ + 64), 6.0f);
}

TEST_F(CaptureTest, NobodyJoinsACaptureThatEndsMeanwhile) {
  npuQueue other = make_queue();
  std::atomic<uint64_t> node{0};
  std::atomic<bool> stop{false};
  std::thread joiner([&] {
    while (!stop) npuQueueWaitQueue(other, queue_, node, nullptr);
  });
  for (int round = 0; round < 3000 && !HasFailure(); round++) {
    EXPECT_NPU(NPU_OK, npuQueueBeginCapture(queue_));
    uint64_t value = 0;
    EXPECT_NPU(NPU_OK, launch(queue_, kernel("null"), nullptr, 0, &value));
    node = value;
    EXPECT_NPU(NPU_OK, npuGraphDestroy(end_capture()));
    uint32_t capturing = 1;
    EXPECT_NPU(NPU_OK, npuQueueIsCapturing(other, &capturing));
    EXPECT_EQ(capturing, 0u) << "round " << round;
  }
  stop = true;
  joiner.join();
}

TEST_F(CaptureTest, TheEndOfAQueueEndsItsCapture) {
  npuQueue origin = make_queue();
  npuQueue joined = make_queue();
  ASSERT_NPU(NPU_OK, npuQueueBeginCapture(origin));
  const uint64_t value = poke(origin, a_, 1.0f);
  ASSERT_NPU(NPU_OK, npuQueueWaitQueue(joined, origin, value, nullptr));
  poke(joined, a_ + 64, 1.0f);
  ASSERT_NPU(NPU_OK, npuQueueDestroy(origin));
  poke(joined, b_, 2.0f);
  ASSERT_NPU(NPU_OK, npuQueueSync(joined, kLongNs));
  EXPECT_EQ(number_at(b_), 2.0f);
  EXPECT_EQ(number_at(a_ + 64), 0.0f);
}

}  // namespace
}  // namespace npu::conformance
