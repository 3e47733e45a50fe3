// SPDX-License-Identifier: Apache-2.0
// Graphs of explicit nodes: what they run, what of them can be changed, what they tell.
#include <atomic>
#include <cstring>
#include <string>
#include <vector>

#include "tests/conformance/graph_fixture.h"

namespace npu::conformance {
namespace {

npuCopyInfo copy_info(npuDevPtr dst, npuDevPtr src, uint64_t bytes) {
  npuCopyInfo info{};
  info.struct_size = sizeof info;
  info.dst = dst;
  info.src = src;
  info.width_bytes = bytes;
  info.height = info.depth = 1;
  return info;
}

class GraphTest : public GraphFixture {
 public:
  float first_number() { return number_at(a_); }

 protected:
  npuGraphNode add_copy(npuDevPtr dst, npuDevPtr src, uint64_t bytes,
                        std::vector<npuGraphNode> deps = {}) {
    const npuCopyInfo info = copy_info(dst, src, bytes);
    npuGraphNode node = 0;
    EXPECT_NPU(NPU_OK, npuGraphAddCopy(graph_, static_cast<uint32_t>(deps.size()), deps.data(),
                                       &info, &node));
    return node;
  }
  npuGraphNode add_named(const char* name) {
    const npuLaunchInfo info = launch_info(nullptr, 0);
    npuGraphNode node = 0;
    EXPECT_NPU(NPU_OK, npuGraphAddKernel(graph_, 0, nullptr, kernel(name), &info, &node));
    return node;
  }
};

TEST_F(GraphTest, NodesRunInOrderAndTheGraphIsOneCommand) {
  const npuGraphNode first = add_poke(a_, 2.0f);
  const npuGraphNode second = add_copy(b_, a_, 64, {first});
  npuGraphNode fill = 0;
  ASSERT_NPU(NPU_OK, npuGraphAddFill(graph_, 1, &second, a_, 0, 4, 64, &fill));
  EXPECT_EQ(first, 1u);
  EXPECT_EQ(fill, 3u);
  uint32_t count = 0;
  ASSERT_NPU(NPU_OK, npuGraphGetNodeCount(graph_, &count));
  EXPECT_EQ(count, 3u);
  const npuGraphExec exec = instantiate();
  uint64_t value = 0;
  for (uint64_t i = 1; i <= 3; i++) {
    ASSERT_NPU(NPU_OK, npuGraphLaunch(exec, queue_, &value));
    EXPECT_EQ(value, i);
  }
  ASSERT_NPU(NPU_OK, npuQueueWait(queue_, value, kLongNs));
  EXPECT_EQ(number_at(a_), 0.0f);
  EXPECT_EQ(number_at(b_), 2.0f);
  // The graph is not needed any more, and an empty one is a command too.
  ASSERT_NPU(NPU_OK, npuGraphDestroy(graph_));
  ASSERT_NPU(NPU_OK, run(exec, queue_));
  ASSERT_NPU(NPU_OK, npuGraphExecDestroy(exec));
  ASSERT_NPU(NPU_OK, npuGraphCreate(context_, &graph_));
  EXPECT_NPU(NPU_OK, run(instantiate(), queue_));
}

TEST_F(GraphTest, SignalsAndWaitsReachOtherQueues) {
  const npuDevPtr words = alloc(64);
  npuGraphNode node = 0;
  ASSERT_NPU(NPU_OK, npuGraphAddWaitSemaphore(graph_, 0, nullptr, words, 1, &node));
  add_poke(a_, 4.0f, {node});
  ASSERT_NPU(NPU_OK, npuGraphAddSignal(graph_, 0, nullptr, words + 8, 1, &node));
  npuQueue other = make_queue();
  uint64_t value = 0;
  ASSERT_NPU(NPU_OK, npuGraphLaunch(instantiate(), queue_, &value));
  ASSERT_NPU(NPU_OK, npuQueueWaitSemaphore(other, words + 8, 1, nullptr));
  EXPECT_NPU(NPU_TIMEOUT, npuQueueSync(other, 5'000'000));
  npuQueue opener = make_queue();
  ASSERT_NPU(NPU_OK, npuQueueSignal(opener, words, 1, nullptr));
  EXPECT_NPU(NPU_OK, npuQueueSync(other, kLongNs));
  EXPECT_NPU(NPU_OK, npuQueueWait(queue_, value, kLongNs));
  EXPECT_EQ(number_at(a_), 4.0f);
}

TEST_F(GraphTest, HostFunctionsCutTheList) {
  struct Seen {
    GraphTest* test;
    std::vector<float> numbers;
    static void call(npuResult status, void* seen) {
      EXPECT_EQ(status, NPU_OK);
      auto* self = static_cast<Seen*>(seen);
      self->numbers.push_back(self->test->first_number());
    }
  } seen{this, {}};
  add_poke(a_, 1.0f);
  npuGraphNode node = 0;
  ASSERT_NPU(NPU_OK, npuGraphAddHostFunction(graph_, 0, nullptr, &Seen::call, &seen, &node));
  add_poke(a_, 2.0f, {node});
  ASSERT_NPU(NPU_OK, npuGraphAddHostFunction(graph_, 0, nullptr, &Seen::call, &seen, &node));
  const npuGraphExec exec = instantiate();
  for (int i = 0; i < 3; i++) ASSERT_NPU(NPU_OK, npuGraphLaunch(exec, queue_, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
  EXPECT_EQ(seen.numbers, (std::vector<float>{1, 2, 1, 2, 1, 2}));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT,
             npuGraphAddHostFunction(graph_, 0, nullptr, nullptr, nullptr, &node));
  // More pieces than a ring holds cannot be submitted together.
  for (int i = 0; i < 64; i++)
    ASSERT_NPU(NPU_OK, npuGraphAddHostFunction(graph_, 0, nullptr, &Seen::call, &seen, nullptr));
  EXPECT_NPU(NPU_ERROR_QUEUE_FULL, npuGraphLaunch(instantiate(), make_queue(64), nullptr));
}

TEST_F(GraphTest, ChildrenAreCopiedWithTheirIds) {
  npuGraph child = graph_;
  add_poke(a_, 1.0f);
  add_copy(b_, a_, 4, {1});
  ASSERT_NPU(NPU_OK, npuGraphCreate(context_, &graph_));
  const npuGraphNode before = add_poke(b_ + 64, 9.0f);
  npuGraphNode head = 0;
  ASSERT_NPU(NPU_OK, npuGraphAddChild(graph_, 1, &before, child, &head));
  EXPECT_EQ(head, 2u);
  const npuGraphNode after = add_copy(b_ + 128, b_, 4, {head});
  EXPECT_EQ(after, 5u);
  ASSERT_NPU(NPU_OK, npuGraphDestroy(child));
  const npuGraphExec exec = instantiate();
  ASSERT_NPU(NPU_OK, run(exec, queue_));
  EXPECT_EQ(number_at(b_ + 128), 1.0f);
  const float changed = 7.0f;
  ASSERT_NPU(NPU_OK,
             npuGraphExecSetKernelArgs(exec, head + 1, offsetof(PokeArgs, value), &changed, 4));
  ASSERT_NPU(NPU_OK, run(exec, queue_));
  EXPECT_EQ(number_at(b_ + 128), 7.0f);
  // A graph may be its own child: what it has at that moment is copied.
  ASSERT_NPU(NPU_OK, npuGraphAddChild(graph_, 0, nullptr, graph_, &head));
  uint32_t count = 0;
  ASSERT_NPU(NPU_OK, npuGraphGetNodeCount(graph_, &count));
  EXPECT_EQ(count, 11u);
}

TEST_F(GraphTest, UpdatesReachLaterLaunchesOnly) {
  const npuDevPtr gate = alloc(8);
  const npuGraphNode poke = add_poke(a_, 1.0f);
  const npuGraphNode copy = add_copy(b_, a_, 4, {poke});
  const npuGraphExec exec = instantiate();
  ASSERT_NPU(NPU_OK, npuQueueWaitSemaphore(queue_, gate, 1, nullptr));
  // While the gate is closed none of these can have begun: each must keep what it was launched with.
  for (uint32_t i = 0; i < 8; i++) {
    const float value = 100.0f + static_cast<float>(i);
    npuCommand other;
    std::memset(&other, 0, sizeof other);
    other.struct_size = sizeof other;
    other.kind = NPU_COMMAND_COPY;
    other.as.copy.dst = b_ + 4 * i;
    other.as.copy.src = a_;
    other.as.copy.size_bytes = 4;
    ASSERT_NPU(NPU_OK, npuGraphExecSetKernelArgs(exec, poke, offsetof(PokeArgs, value), &value, 4));
    ASSERT_NPU(NPU_OK, npuGraphExecUpdateNode(exec, copy, &other));
    ASSERT_NPU(NPU_OK, npuGraphLaunch(exec, queue_, nullptr));
  }
  npuQueue opener = make_queue();
  ASSERT_NPU(NPU_OK, npuQueueSignal(opener, gate, 1, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
  for (uint32_t i = 0; i < 8; i++) EXPECT_EQ(number_at(b_ + 4 * i), 100.0f + static_cast<float>(i));
}

TEST_F(GraphTest, ManyChangesInFlightAndTwoQueues) {
  const npuGraphNode poke = add_poke(a_, 0.0f);
  const npuGraphExec exec = instantiate();
  npuQueue other = make_queue();
  for (uint32_t i = 0; i < 200; i++) {
    const npuDevPtr at = b_ + 4 * i;
    const PokeArgs args{at, static_cast<float>(i), 0};
    ASSERT_NPU(NPU_OK, npuGraphExecSetKernelArgs(exec, poke, 0, &args, sizeof args));
    ASSERT_NPU(NPU_OK, npuGraphLaunch(exec, i % 2 == 0 ? queue_ : other, nullptr));
  }
  ASSERT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
  ASSERT_NPU(NPU_OK, npuQueueSync(other, kLongNs));
  for (uint32_t i = 0; i < 200; i++) EXPECT_EQ(number_at(b_ + 4 * i), static_cast<float>(i));
}

TEST_F(GraphTest, WrongUpdatesAreRefused) {
  const npuGraphNode poke = add_poke(a_, 1.0f);
  const npuGraphNode copy = add_copy(b_, a_, 4);
  const npuGraphExec exec = instantiate();
  const float value = 1;
  npuCommand fill;
  std::memset(&fill, 0, sizeof fill);
  fill.struct_size = sizeof fill;
  fill.kind = NPU_COMMAND_FILL;
  fill.as.fill.dst = a_;
  fill.as.fill.pattern_bytes = 4;
  fill.as.fill.size_bytes = 4;
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuGraphExecSetKernelArgs(exec, 0, 0, &value, 4));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuGraphExecSetKernelArgs(exec, 3, 0, &value, 4));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuGraphExecSetKernelArgs(exec, copy, 0, &value, 4));
  EXPECT_NPU(NPU_ERROR_ARGUMENT_LAYOUT, npuGraphExecSetKernelArgs(exec, poke, 16, &value, 4));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuGraphExecUpdateNode(exec, copy, &fill));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuGraphExecUpdateNode(exec, copy, nullptr));
  fill.as.fill.size_bytes = 1 << 20;
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuGraphExecUpdateNode(exec, copy, &fill));
  const npuGraphNode unknown = 5;
  const npuCopyInfo info = copy_info(b_, a_, 4);
  npuGraphNode node = 77;
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuGraphAddCopy(graph_, 1, &unknown, &info, &node));
  EXPECT_EQ(node, 0u);
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuGraphAddCopy(graph_, 1, nullptr, &info, &node));
  EXPECT_NPU(NPU_OK, run(exec, queue_));
}

TEST_F(GraphTest, TimesOfNodesFollowEachOther) {
  add_poke(a_, 1.0f);
  add_copy(b_, a_, 4096, {1});
  const npuGraphExec exec = instantiate();
  npuTiming timing{};
  timing.struct_size = sizeof timing;
  EXPECT_NPU(NPU_ERROR_NOT_FOUND, npuGraphExecGetNodeTiming(exec, 1, &timing));
  uint64_t value = 0;
  ASSERT_NPU(NPU_OK, npuGraphLaunch(exec, queue_, &value));
  ASSERT_NPU(NPU_OK, npuQueueWait(queue_, value, kLongNs));
  npuTiming whole = timing;
  ASSERT_NPU(NPU_OK, npuQueueGetTiming(queue_, value, &whole));
  uint64_t last_ps = whole.start_ps;
  for (const npuGraphNode node : {1u, 2u}) {
    ASSERT_NPU(NPU_OK, npuGraphExecGetNodeTiming(exec, node, &timing));
    EXPECT_GE(timing.start_ps, last_ps);
    EXPECT_GT(timing.end_ps, timing.start_ps);
    last_ps = timing.end_ps;
  }
  EXPECT_EQ(last_ps, whole.end_ps);
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuGraphExecGetNodeTiming(exec, 3, &timing));
}

TEST_F(GraphTest, AFailureNamesItsNode) {
  add_poke(a_, 1.0f);
  const npuGraphNode bad = add_poke(0x123456789000, 2.0f);
  add_poke(b_, 3.0f);
  const npuGraphExec exec = instantiate();
  npuGraphNode node = 99;
  npuFault fault{};
  fault.struct_size = sizeof fault;
  EXPECT_NPU(NPU_ERROR_NOT_FOUND, npuGraphExecGetFault(exec, &node, &fault));
  EXPECT_NPU(NPU_ERROR_VM_FAULT, run(exec, queue_));
  ASSERT_NPU(NPU_OK, npuGraphExecGetFault(exec, &node, &fault));
  EXPECT_EQ(node, bad);
  EXPECT_EQ(fault.code, NPU_ERROR_VM_FAULT);
  EXPECT_EQ(fault.address, 0x123456789000u);
  EXPECT_STREQ(fault.kernel, "poke");
  npuTiming timing{};
  timing.struct_size = sizeof timing;
  EXPECT_NPU(NPU_OK, npuGraphExecGetNodeTiming(exec, 1, &timing));
  EXPECT_NPU(NPU_OK, npuGraphExecGetNodeTiming(exec, bad, &timing));
  EXPECT_NPU(NPU_ERROR_NOT_FOUND, npuGraphExecGetNodeTiming(exec, 3, &timing));
  EXPECT_EQ(number_at(a_), 1.0f);
  EXPECT_EQ(number_at(b_), 0.0f);
  ASSERT_NPU(NPU_OK, npuQueueReset(queue_, kLongNs));
  EXPECT_NPU(NPU_ERROR_NOT_FOUND, npuGraphExecGetFault(exec, &node, &fault));
  const npuDevPtr good = b_;
  ASSERT_NPU(NPU_OK, npuGraphExecSetKernelArgs(exec, bad, 0, &good, sizeof good));
  EXPECT_NPU(NPU_OK, run(exec, queue_));
  ASSERT_NPU(NPU_OK, npuGraphExecGetFault(exec, &node, nullptr));
  EXPECT_EQ(node, 0u);
}

// What the device has found out about a list in earlier launches changes nothing that anybody sees of later ones.
TEST_F(GraphTest, LaterLaunchesAreLikeTheFirst) {
  add_named("null");
  const npuGraphNode poke = add_poke(a_, 1.0f);
  add_named("null");
  const npuGraphExec exec = instantiate();
  std::vector<uint64_t> first_ps;
  for (int round = 0; round < 4; round++) {
    const float value = 10.0f + static_cast<float>(round);
    ASSERT_NPU(NPU_OK, npuGraphExecSetKernelArgs(exec, poke, offsetof(PokeArgs, value), &value, 4));
    ASSERT_NPU(NPU_OK, run(exec, queue_));
    EXPECT_EQ(number_at(a_), value);
    std::vector<uint64_t> took_ps;
    for (npuGraphNode node = 1; node <= 3; node++) {
      npuTiming timing{};
      timing.struct_size = sizeof timing;
      ASSERT_NPU(NPU_OK, npuGraphExecGetNodeTiming(exec, node, &timing));
      took_ps.push_back(timing.end_ps - timing.start_ps);
    }
    if (round == 0) first_ps = took_ps;
    EXPECT_EQ(took_ps, first_ps);
  }
  // Another module comes and goes, which makes the device look again.
  npuModule other = nullptr;
  ASSERT_NPU(NPU_OK, npuModuleLoad(context_, blob_path().c_str(), &other));
  ASSERT_NPU(NPU_OK, npuModuleUnload(other));
  ASSERT_NPU(NPU_OK, run(exec, queue_));
  const npuDevPtr nowhere = 0x123456789000;
  ASSERT_NPU(NPU_OK, npuGraphExecSetKernelArgs(exec, poke, 0, &nowhere, sizeof nowhere));
  EXPECT_NPU(NPU_ERROR_VM_FAULT, run(exec, queue_));
  npuGraphNode node = 0;
  npuFault fault{};
  fault.struct_size = sizeof fault;
  ASSERT_NPU(NPU_OK, npuGraphExecGetFault(exec, &node, &fault));
  EXPECT_EQ(node, poke);
  EXPECT_EQ(fault.address, nowhere);
  EXPECT_STREQ(fault.kernel, "poke");
}

TEST_F(GraphTest, TwoQueuesReplayOneGraphAtOnce) {
  for (uint32_t i = 0; i < 16; i++) add_poke(a_ + 4 * i, static_cast<float>(i + 1));
  const npuGraphExec exec = instantiate();
  npuQueue other = make_queue();
  for (int round = 0; round < 50; round++) {
    ASSERT_NPU(NPU_OK, npuGraphLaunch(exec, queue_, nullptr));
    ASSERT_NPU(NPU_OK, npuGraphLaunch(exec, other, nullptr));
  }
  ASSERT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
  ASSERT_NPU(NPU_OK, npuQueueSync(other, kLongNs));
  for (uint32_t i = 0; i < 16; i++) EXPECT_EQ(number_at(a_ + 4 * i), static_cast<float>(i + 1));
}

TEST_F(GraphTest, UnloadedModulesAndForeignContextsAreNoticed) {
  add_named("null");
  const npuGraphExec exec = instantiate();
  npuContext other = nullptr;
  npuQueue foreign = nullptr;
  npuGraph foreign_graph = nullptr;
  ASSERT_NPU(NPU_OK, npuContextCreate(device_, &other));
  ASSERT_NPU(NPU_OK, npuQueueCreate(other, nullptr, &foreign));
  ASSERT_NPU(NPU_OK, npuGraphCreate(other, &foreign_graph));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuGraphLaunch(exec, foreign, nullptr));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT,
             npuGraphAddChild(foreign_graph, 0, nullptr, graph_, nullptr));
  ASSERT_NPU(NPU_OK, npuContextDestroy(other));
  EXPECT_NPU(NPU_OK, run(exec, queue_));
  ASSERT_NPU(NPU_OK, npuModuleUnload(module_));
  EXPECT_NPU(NPU_ERROR_INVALID_HANDLE, npuGraphLaunch(exec, queue_, nullptr));
  EXPECT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
}

TEST_F(GraphTest, LongListsRunInPieces) {
  const npuLaunchInfo info = launch_info(nullptr, 0);
  const npuKernel null = kernel("null");
  for (int i = 0; i < 70'000; i++)
    ASSERT_NPU(NPU_OK, npuGraphAddKernel(graph_, 0, nullptr, null, &info, nullptr));
  const npuGraphNode last = add_poke(a_, 5.0f);
  EXPECT_NPU(NPU_OK, run(instantiate(), queue_));
  EXPECT_EQ(last, 70'001u);
  EXPECT_EQ(number_at(a_), 5.0f);
}

TEST_F(GraphTest, DumpsTellNodesAndEdges) {
  const npuGraphNode first = add_poke(a_, 1.0f);
  add_copy(b_, a_, 64, {first});
  const std::string json = dump(NPU_GRAPH_JSON);
  EXPECT_NE(json.find("\"kind\": \"kernel\", \"deps\": [], \"kernel\": \"poke\""),
            std::string::npos)
      << json;
  EXPECT_NE(json.find("\"id\": 2, \"kind\": \"copy\", \"deps\": [1]"), std::string::npos) << json;
  const std::string dot = dump(NPU_GRAPH_DOT);
  EXPECT_EQ(dot.rfind("digraph", 0), 0u);
  EXPECT_NE(dot.find("n1 -> n2;"), std::string::npos) << dot;
  char small[8];
  uint64_t bytes = sizeof small;
  EXPECT_NPU(NPU_INCOMPLETE, npuGraphDump(graph_, NPU_GRAPH_JSON, &bytes, small));
  EXPECT_EQ(bytes, json.size() + 1);
  EXPECT_EQ(std::string(small), json.substr(0, 7));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuGraphDump(graph_, 2, &bytes, small));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuGraphDump(graph_, NPU_GRAPH_JSON, nullptr, small));
}

}  // namespace
}  // namespace npu::conformance
