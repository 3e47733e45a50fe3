// SPDX-License-Identifier: Apache-2.0
// Collective operations as nodes of graphs.
#include <npu/npu_graph.h>

#include <cstring>

#include "tests/ccl/reference.h"
#include "tests/ccl/world.h"

namespace npu::test {
namespace {

constexpr uint64_t kCount = 700;
constexpr uint64_t kBytes = kCount * 4;
constexpr uint32_t kRanks = 3;

class CaptureTest : public testing::Test {
 protected:
  void SetUp() override {
    for (uint32_t r = 0; r < kRanks; r++) {
      in_.push_back(world_.alloc(r, kBytes));
      out_.push_back(world_.alloc(r, kRanks * kBytes));
    }
  }
  // One graph for each rank, of what |calls| does between two copies: the input goes to the output's place, the result behind it.
  void capture(const std::function<npuResult(uint32_t rank)>& calls) {
    for (uint32_t r = 0; r < kRanks; r++) {
      npuGraph graph = nullptr;
      npuGraphExec exec = nullptr;
      ASSERT_EQ(npuQueueBeginCapture(world_[r].queue), NPU_OK);
      ASSERT_EQ(npuQueueCopy(world_[r].queue, out_[r], in_[r], kBytes, nullptr), NPU_OK);
      CCL_ASSERT_OK(calls(r));
      ASSERT_EQ(npuQueueCopy(world_[r].queue, out_[r] + kBytes, out_[r], kBytes, nullptr), NPU_OK);
      ASSERT_EQ(npuQueueEndCapture(world_[r].queue, &graph), NPU_OK);
      uint64_t bytes = 0;
      ASSERT_EQ(npuGraphDump(graph, NPU_GRAPH_JSON, &bytes, nullptr), NPU_OK);
      dump_.assign(bytes, ' ');
      ASSERT_EQ(npuGraphDump(graph, NPU_GRAPH_JSON, &bytes, dump_.data()), NPU_OK);
      ASSERT_EQ(npuGraphInstantiate(graph, &exec), NPU_OK);
      ASSERT_EQ(npuGraphDestroy(graph), NPU_OK);
      execs_.push_back(exec);
    }
  }
  std::vector<Bytes> fill(uint64_t seed) {
    std::vector<Bytes> inputs;
    for (uint32_t r = 0; r < kRanks; r++) {
      inputs.push_back(numbers(NPU_FLOAT32, kCount, seed * 10 + r));
      EXPECT_EQ(npuMemCopyToDevice(world_[r].context, in_[r], inputs.back().data(), kBytes),
                NPU_OK);
    }
    return inputs;
  }

  World world_{kRanks, make_info(4096)};
  std::vector<npuDevPtr> in_, out_;
  std::vector<npuGraphExec> execs_;
  std::string dump_;
};

TEST_F(CaptureTest, EachLaunchIsANewOperation) {
  capture([&](uint32_t r) {
    return npuCclAllReduce(world_[r].comm, world_[r].queue, out_[r], out_[r], kCount, NPU_FLOAT32,
                           NPU_CCL_SUM, nullptr);
  });
  EXPECT_NE(dump_.find("\"kind\": \"submission\""), std::string::npos) << dump_;
  EXPECT_NE(dump_.find("allreduce of 700 float32"), std::string::npos) << dump_;
  for (uint64_t round = 0; round < 8; round++) {
    const std::vector<Bytes> inputs = fill(round);
    world_.threads([&](uint32_t r) {
      EXPECT_EQ(npuGraphLaunch(execs_[r], world_[r].queue, nullptr), NPU_OK);
    });
    world_.sync();
    const Bytes expected = reduced(NPU_FLOAT32, NPU_CCL_SUM, inputs);
    for (uint32_t r = 0; r < kRanks; r++) {
      ASSERT_EQ(world_.get(r, out_[r] + kBytes, kBytes), expected) << "rank " << r;
    }
  }
}

TEST_F(CaptureTest, AGroupIsOneNode) {
  capture([&](uint32_t r) {
    CCL_EXPECT_OK(npuCclGroupStart());
    CCL_EXPECT_OK(npuCclBroadcast(world_[r].comm, world_[r].queue, out_[r], out_[r], kCount,
                                  NPU_FLOAT32, 1, nullptr));
    CCL_EXPECT_OK(npuCclAllReduce(world_[r].comm, world_[r].queue, out_[r], out_[r], kCount,
                                  NPU_FLOAT32, NPU_CCL_MAX, nullptr));
    return npuCclGroupEnd();
  });
  EXPECT_NE(dump_.find("group of 2 operations"), std::string::npos) << dump_;
  const std::vector<Bytes> inputs = fill(77);
  world_.threads([&](uint32_t r) {
    for (int i = 0; i < 5; i++)
      EXPECT_EQ(npuGraphLaunch(execs_[r], world_[r].queue, nullptr), NPU_OK);
  });
  world_.sync();
  for (uint32_t r = 0; r < kRanks; r++) {
    ASSERT_EQ(world_.get(r, out_[r] + kBytes, kBytes), inputs[1]) << "rank " << r;
  }
}

TEST_F(CaptureTest, AGroupOnTwoKindsOfQueuesIsRefusedByName) {
  npuQueue other = nullptr;
  npuGraph graph = nullptr;
  const RankEnd& end = world_[0];
  ASSERT_EQ(npuQueueCreate(end.context, nullptr, &other), NPU_OK);
  ASSERT_EQ(npuQueueBeginCapture(end.queue), NPU_OK);
  CCL_ASSERT_OK(npuCclGroupStart());
  for (npuQueue queue : {end.queue, other}) {
    CCL_EXPECT_OK(npuCclBarrier(end.comm, queue, nullptr));
  }
  EXPECT_EQ(npuCclGroupEnd(), NPU_ERROR_CAPTURE_UNSUPPORTED);
  EXPECT_NE(why().find("on another one"), std::string::npos) << why();
  ASSERT_EQ(npuQueueEndCapture(end.queue, &graph), NPU_OK);
  uint32_t count = 9;
  ASSERT_EQ(npuGraphGetNodeCount(graph, &count), NPU_OK);
  EXPECT_EQ(count, 0u);
}

TEST_F(CaptureTest, TheLaunchAfterTheCommunicatorsEndSaysSo) {
  capture([&](uint32_t r) { return npuCclBarrier(world_[r].comm, world_[r].queue, nullptr); });
  world_.threads([&](uint32_t r) { CCL_EXPECT_OK(npuCclCommDestroy(world_[r].comm)); });
  for (uint32_t r = 0; r < kRanks; r++) {
    world_[r].comm = nullptr;
    EXPECT_EQ(npuGraphLaunch(execs_[r], world_[r].queue, nullptr), NPU_ERROR_INVALID_HANDLE);
    EXPECT_EQ(npuQueueSync(world_[r].queue, kLongNs), NPU_OK);
    EXPECT_EQ(npuGraphExecDestroy(execs_[r]), NPU_OK);
  }
}

}  // namespace
}  // namespace npu::test
