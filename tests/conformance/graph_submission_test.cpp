// SPDX-License-Identifier: Apache-2.0
// Nodes whose work another library submits in each launch: their place, their failures, who owns the data.
#include <deque>
#include <string>
#include <vector>

#include "tests/conformance/graph_fixture.h"

namespace npu::conformance {
namespace {

constexpr npuDevPtr kNowhere = 0x123456789000;

// Copies a number from |src| to |dst|, or does what |kind| says.
struct Work {
  enum Kind { kCopy, kNothing, kRefuse, kFault };
  npuDevPtr dst = 0, src = 0;
  Kind kind = kCopy;
  npuKernel poke = nullptr;
  int submitted = 0;
  int released = 0;

  static npuResult submit(void* data, npuQueue queue, uint64_t* out_value) {
    auto* work = static_cast<Work*>(data);
    work->submitted++;
    if (work->kind == kNothing) return NPU_OK;
    if (work->kind == kRefuse) return NPU_ERROR_BUSY;
    if (work->kind != kFault) return npuQueueCopy(queue, work->dst, work->src, 4, out_value);
    const PokeArgs args{kNowhere, 1.0f, 0};
    const npuLaunchInfo info = launch_info(&args, sizeof args);
    return npuQueueLaunch(queue, work->poke, &info, out_value);
  }
  static void release(void* data) { static_cast<Work*>(data)->released++; }
};

class GraphSubmissionTest : public GraphFixture {
 protected:
  // Of a graph that lives as long as the library: it is released when that is shut down.
  Work& own(const Work& work) { return works_.emplace_back(work); }
  npuGraphNode add_work(Work* work) {
    npuGraphNode node = 0;
    EXPECT_NPU(NPU_OK, npuGraphAddSubmission(graph_, 0, nullptr, "copying", &Work::submit,
                                             &Work::release, work, &node));
    return node;
  }
  npuResult time_of(npuGraphExec exec, npuGraphNode node) {
    npuTiming timing{};
    timing.struct_size = sizeof timing;
    return npuGraphExecGetNodeTiming(exec, node, &timing);
  }

 private:
  std::deque<Work> works_;
};

TEST_F(GraphSubmissionTest, RunsInItsPlaceInEachLaunchUntilNoGraphHasIt) {
  Work first{b_, a_}, nothing{0, 0, Work::kNothing}, last{b_ + 64, a_};
  add_poke(a_, 1.0f);
  add_work(&first);
  add_work(&nothing);
  add_poke(a_, 2.0f);
  add_work(&last);
  const npuGraphExec exec = instantiate();
  for (int i = 0; i < 3; i++) {
    ASSERT_NPU(NPU_OK, npuQueueFill(queue_, b_, 0, 4, 128, nullptr));
    ASSERT_NPU(NPU_OK, run(exec, queue_));
    EXPECT_EQ(number_at(b_), 1.0f);
    EXPECT_EQ(number_at(b_ + 64), 2.0f);
  }
  EXPECT_EQ(first.submitted + nothing.submitted + last.submitted, 9);
  EXPECT_NPU(NPU_OK, time_of(exec, 1));
  EXPECT_NPU(NPU_OK, time_of(exec, 4));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, time_of(exec, 2));
  ASSERT_NPU(NPU_OK, npuGraphDestroy(graph_));
  EXPECT_EQ(first.released + nothing.released + last.released, 0);
  ASSERT_NPU(NPU_OK, run(exec, queue_));
  ASSERT_NPU(NPU_OK, npuGraphExecDestroy(exec));
  EXPECT_EQ(first.released, 1);
  EXPECT_EQ(nothing.released, 1);
  EXPECT_EQ(last.released, 1);
}

TEST_F(GraphSubmissionTest, OneThatIsRefusedEndsTheLaunch) {
  Work& work = own({0, 0, Work::kRefuse});
  add_poke(a_, 1.0f);
  add_work(&work);
  const npuGraphNode behind = add_poke(a_, 2.0f);
  const npuGraphExec exec = instantiate();
  ASSERT_NPU(NPU_ERROR_BUSY, npuGraphLaunch(exec, queue_, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
  EXPECT_EQ(number_at(a_), 1.0f);
  EXPECT_NPU(NPU_OK, time_of(exec, 1));
  EXPECT_NPU(NPU_ERROR_NOT_FOUND, time_of(exec, behind));
  work = {b_, a_};
  ASSERT_NPU(NPU_OK, run(exec, queue_));
  EXPECT_EQ(number_at(a_), 2.0f);
  EXPECT_EQ(number_at(b_), 1.0f);
  // A graph of nothing but work that has nothing to do.
  Work& nothing = own({0, 0, Work::kNothing});
  ASSERT_NPU(NPU_OK, npuGraphCreate(context_, &graph_));
  add_work(&nothing);
  ASSERT_NPU(NPU_OK, run(instantiate(), queue_));
}

TEST_F(GraphSubmissionTest, ItsFaultNamesItsNode) {
  Work& good = own({b_, a_});
  Work& bad = own({0, 0, Work::kFault, kernel("poke")});
  add_poke(a_, 1.0f);
  add_work(&good);
  const npuGraphNode node = add_work(&bad);
  const npuGraphNode behind = add_poke(a_, 2.0f);
  const npuGraphExec exec = instantiate();
  // A fast device has failed before the rest is submitted, which is then refused.
  const npuResult result = run(exec, queue_);
  EXPECT_TRUE(result == NPU_ERROR_VM_FAULT || result == NPU_ERROR_QUEUE_DEAD) << result;
  npuFault fault{};
  fault.struct_size = sizeof fault;
  npuGraphNode failed = 0;
  ASSERT_NPU(NPU_OK, npuGraphExecGetFault(exec, &failed, &fault));
  EXPECT_EQ(failed, node);
  EXPECT_EQ(fault.code, NPU_ERROR_VM_FAULT);
  EXPECT_EQ(fault.address, kNowhere);
  EXPECT_NPU(NPU_OK, time_of(exec, 1));
  EXPECT_NPU(NPU_ERROR_NOT_FOUND, time_of(exec, behind));
  ASSERT_NPU(NPU_OK, npuQueueReset(queue_, kLongNs));
}

TEST_F(GraphSubmissionTest, AFaultOfANodeBehindItNamesThatNode) {
  Work& work = own({b_, a_});
  add_work(&work);
  add_poke(a_, 1.0f);
  const PokeArgs args{kNowhere, 2.0f, 0};
  const npuLaunchInfo info = launch_info(&args, sizeof args);
  npuGraphNode bad = 0, failed = 0;
  ASSERT_NPU(NPU_OK, npuGraphAddKernel(graph_, 0, nullptr, kernel("poke"), &info, &bad));
  const npuGraphExec exec = instantiate();
  EXPECT_NPU(NPU_ERROR_VM_FAULT, run(exec, queue_));
  ASSERT_NPU(NPU_OK, npuGraphExecGetFault(exec, &failed, nullptr));
  EXPECT_EQ(failed, bad);
  ASSERT_NPU(NPU_OK, npuQueueReset(queue_, kLongNs));
}

TEST_F(GraphSubmissionTest, IsCapturedCopiedAndDumped) {
  Work& work = own({b_, a_});
  const PokeArgs args{a_, 5.0f, 0};
  const npuLaunchInfo info = launch_info(&args, sizeof args);
  uint64_t value = 0;
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuQueueCaptureSubmission(queue_, "copying", &Work::submit,
                                                                   &Work::release, &work, &value));
  ASSERT_NPU(NPU_OK, npuQueueBeginCapture(queue_));
  ASSERT_NPU(NPU_OK, npuQueueLaunch(queue_, kernel("poke"), &info, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueCaptureSubmission(queue_, "copying", &Work::submit, &Work::release,
                                               &work, &value));
  npuGraph captured = nullptr;
  ASSERT_NPU(NPU_OK, npuQueueEndCapture(queue_, &captured));
  EXPECT_EQ(work.submitted, 0);
  npuGraphNode head = 0;
  ASSERT_NPU(NPU_OK, npuGraphAddChild(graph_, 0, nullptr, captured, &head));
  ASSERT_NPU(NPU_OK, npuGraphDestroy(captured));
  const std::string text = dump(NPU_GRAPH_JSON);
  EXPECT_NE(text.find("\"kind\": \"submission\", \"deps\": [2], \"name\": \"copying\""),
            std::string::npos)
      << text;
  ASSERT_NPU(NPU_OK, run(instantiate(), queue_));
  EXPECT_EQ(number_at(b_), 5.0f);
  EXPECT_EQ(work.released, 0);
}

TEST_F(GraphSubmissionTest, WhatIsRefusedStaysTheCallers) {
  Work work;
  const npuGraphNode missing = 7;
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT,
             npuGraphAddSubmission(graph_, 0, nullptr, nullptr, &Work::submit, &Work::release,
                                   &work, nullptr));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuGraphAddSubmission(graph_, 0, nullptr, "x", nullptr,
                                                               &Work::release, &work, nullptr));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT,
             npuGraphAddSubmission(graph_, 0, nullptr, std::string(64, 'x').c_str(), &Work::submit,
                                   &Work::release, &work, nullptr));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT,
             npuGraphAddSubmission(graph_, 1, &missing, "x", &Work::submit, &Work::release, &work,
                                   nullptr));
  EXPECT_EQ(work.released, 0);
  EXPECT_NPU(NPU_OK, npuGraphAddSubmission(graph_, 0, nullptr, std::string(63, 'x').c_str(),
                                           &Work::submit, nullptr, &work, nullptr));
}

}  // namespace
}  // namespace npu::conformance
