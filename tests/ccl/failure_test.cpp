// SPDX-License-Identifier: Apache-2.0
// What cannot end, ends: with the name of the rank and the reason, on every rank, within the deadline.
#include <chrono>

#include "tests/ccl/operation.h"
#include "tests/ccl/processes.h"

namespace npu::test {
namespace {

constexpr uint32_t kShortMs = 1000;

class FailureTest : public testing::Test {
 protected:
  explicit FailureTest(uint32_t op_timeout_ms = kShortMs)
      : world_(4, make_info(4096, op_timeout_ms)) {}
  void SetUp() override {
    for (uint32_t r = 0; r < world_.size(); r++) at_.push_back(world_.alloc(r, 64 << 10));
  }
  npuResult all_reduce(uint32_t r, uint64_t count, npuDataType type = NPU_FLOAT32) {
    return npuCclAllReduce(world_[r].comm, world_[r].queue, at_[r], at_[r], count, type,
                           NPU_CCL_SUM, nullptr);
  }
  void expect_failed(npuCclReason reason, uint32_t culprit, const char* words) {
    for (uint32_t r = 0; r < world_.size(); r++) {
      ASSERT_TRUE(world_.wait_failed(r)) << "rank " << r;
      const npuCclFailure failure = world_.failure(r);
      EXPECT_EQ(failure.reason, reason) << "rank " << r << ": " << failure.text;
      EXPECT_EQ(failure.rank, culprit) << "rank " << r << ": " << failure.text;
      EXPECT_NE(std::string(failure.text).find(words), std::string::npos) << failure.text;
      EXPECT_EQ(all_reduce(r, 1), NPU_ERROR_DEPENDENCY_FAILED);  // and stays failed
      EXPECT_NE(std::string(npuCclGetErrorText()).find(words), std::string::npos);
    }
  }
  // Of a call that does not fit what another rank has called before. What ranks of other hosts have called may be on its way still: then the communicator fails a little later.
  void expect_refused(npuResult result, const char* words) {
    if (is_between_hosts() && result != NPU_ERROR_INVALID_ARGUMENT) {
      EXPECT_TRUE(result == NPU_OK || result == NPU_ERROR_DEPENDENCY_FAILED) << why();
      return;
    }
    EXPECT_EQ(result, NPU_ERROR_INVALID_ARGUMENT);
    EXPECT_NE(std::string(npuCclGetErrorText()).find(words), std::string::npos)
        << npuCclGetErrorText();
  }

  World world_;
  std::vector<npuDevPtr> at_;
};

// Where operations are to end well, on a busy machine too.
class PatientTest : public FailureTest {
 protected:
  PatientTest() : FailureTest(0) {}
};

TEST_F(FailureTest, ARankThatDoesNotCallIsNamed) {
  const auto begin = std::chrono::steady_clock::now();
  // Together: on a busy machine the first call alone may take as long as the deadline.
  CCL_ASSERT_OK(world_.group([&](uint32_t r) { return r == 2 ? NPU_OK : all_reduce(r, 1000); }));
  expect_failed(NPU_CCL_TIMEOUT, 2, "rank 2 has not called operation 1 (allreduce of 1000 float32");
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_GE(took, std::chrono::milliseconds(kShortMs));
  EXPECT_LT(took, std::chrono::milliseconds(10 * kShortMs + 2000));
}

TEST_F(FailureTest, TheQueueStopsWithAnErrorAndCanBeUsedAgain) {
  CCL_ASSERT_OK(all_reduce(0, 1000));
  EXPECT_EQ(npuQueueSync(world_[0].queue, kLongNs), NPU_ERROR_DEPENDENCY_FAILED);
  CCL_ASSERT_OK(npuQueueReset(world_[0].queue, kLongNs));
  CCL_ASSERT_OK(npuQueueFill(world_[0].queue, at_[0], 0, 4, 4096, nullptr));
  CCL_EXPECT_OK(npuQueueSync(world_[0].queue, kLongNs));
}

TEST_F(PatientTest, AnOtherCountIsAnErrorOfBothSides) {
  CCL_ASSERT_OK(all_reduce(0, 1000));
  expect_refused(all_reduce(1, 999), "rank 0 has called allreduce of 1000 float32");
  expect_failed(NPU_CCL_MISMATCH, 1, "rank 1 has called allreduce of 999 float32");
}

TEST_F(PatientTest, TheOneAmongManyIsNamed) {
  for (uint32_t r = 0; r < 3; r++) CCL_ASSERT_OK(all_reduce(r, 10));
  expect_refused(all_reduce(3, 10, NPU_INT32), "rank 3 has called allreduce of 10 int32");
  expect_failed(NPU_CCL_MISMATCH, 3, "rank 3 has called allreduce of 10 int32");
}

TEST_F(PatientTest, AnOtherOperationIsAnErrorToo) {
  CCL_ASSERT_OK(all_reduce(0, 10));
  expect_refused(
      npuCclBroadcast(world_[1].comm, world_[1].queue, at_[1], at_[1], 10, NPU_FLOAT32, 0, nullptr),
      "rank 0 has called allreduce of 10 float32");
  expect_failed(NPU_CCL_MISMATCH, 1, "rank 1 has called broadcast of 10 float32, root 0");
}

TEST_F(PatientTest, AMessageOfAnotherSizeIsAnErrorOfBothSides) {
  CCL_ASSERT_OK(npuCclSend(world_[0].comm, world_[0].queue, at_[0], 10, NPU_FLOAT32, 1, nullptr));
  expect_refused(npuCclRecv(world_[1].comm, world_[1].queue, at_[1], 11, NPU_FLOAT32, 0, nullptr),
                 "rank 0 has called sendrecv of 10 float32");
  expect_failed(NPU_CCL_MISMATCH, 0, "sendrecv of 10 float32");
}

TEST_F(FailureTest, AReceiveThatNobodySendsToEnds) {
  CCL_ASSERT_OK(npuCclRecv(world_[1].comm, world_[1].queue, at_[1], 11, NPU_FLOAT32, 3, nullptr));
  expect_failed(NPU_CCL_TIMEOUT, 3, "rank 3 has not sent its part");
}

TEST_F(PatientTest, AbortEndsAllRanksFromAnyThread) {
  CCL_ASSERT_OK(all_reduce(0, 1000));
  std::thread([&] { CCL_EXPECT_OK(npuCclCommAbort(world_[1].comm)); }).join();
  expect_failed(NPU_CCL_ABORTED, 1, "rank 1 called npuCclCommAbort");
  EXPECT_EQ(npuQueueSync(world_[0].queue, kLongNs), NPU_ERROR_DEPENDENCY_FAILED);
}

TEST_F(PatientTest, AFailedUserQueueIsTheRanksOwnFault) {
  // Something that faults: a wait for a queue that is reset.
  npuQueue other = nullptr;
  uint64_t value = 0;
  CCL_ASSERT_OK(npuQueueCreate(world_[2].context, nullptr, &other));
  CCL_ASSERT_OK(npuQueueWaitSemaphore(other, at_[2], 1, &value));
  CCL_ASSERT_OK(npuQueueWaitQueue(world_[2].queue, other, value, nullptr));
  CCL_ASSERT_OK(world_.group([&](uint32_t r) { return all_reduce(r, 100); }));
  CCL_ASSERT_OK(npuQueueDestroy(other));
  expect_failed(NPU_CCL_DEVICE, 2, "rank 2: its device or queue failed");
}

TEST_F(PatientTest, TheOthersGoOnWithoutTheOneThatFailed) {
  CCL_ASSERT_OK(npuCclCommAbort(world_[1].comm));
  expect_failed(NPU_CCL_ABORTED, 1, "");
  std::vector<npuCclComm> smaller(4);
  const uint32_t excluded = 1;
  CCL_ASSERT_OK(world_.group([&](uint32_t r) {
    return r == 1 ? NPU_OK : npuCclCommShrink(world_[r].comm, 1, &excluded, &smaller[r]);
  }));
  uint32_t next = 0;
  for (uint32_t r : {0u, 2u, 3u}) {
    uint32_t ranks = 0, rank = 0;
    CCL_ASSERT_OK(npuCclCommGetRank(smaller[r], &ranks, &rank));
    EXPECT_EQ(ranks, 3u);
    EXPECT_EQ(rank, next++);
  }
  CCL_ASSERT_OK(world_.group([&](uint32_t r) {
    return r == 1 ? NPU_OK : npuCclBarrier(smaller[r], world_[r].queue, nullptr);
  }));
  world_.sync();
  for (npuCclComm comm : smaller) CCL_EXPECT_OK(npuCclCommDestroy(comm));
}

TEST_F(PatientTest, WhatIsNoRankIsRefusedAndNothingFails) {
  const uint32_t own = 0, far = 4;
  npuCclComm none = world_[0].comm;
  EXPECT_EQ(npuCclCommShrink(world_[0].comm, 1, &own, &none), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(none, nullptr);
  EXPECT_EQ(npuCclCommShrink(world_[0].comm, 1, &far, &none), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(npuCclSend(world_[0].comm, world_[0].queue, at_[0], 1, NPU_FLOAT32, 4, nullptr),
            NPU_ERROR_INVALID_ARGUMENT);
  constexpr npuDataType kNone[] = {NPU_INT64, NPU_Q8_0, NPU_MXFP4, -1, 1000};
  for (npuDataType type : kNone) {
    EXPECT_EQ(all_reduce(0, 1, type), NPU_ERROR_NOT_SUPPORTED) << type;
  }
  EXPECT_EQ(all_reduce(0, 1 << 20), NPU_ERROR_INVALID_ADDRESS);
  EXPECT_EQ(all_reduce(0, UINT64_MAX), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(npuCclAllReduce(world_[0].comm, world_[0].queue, at_[0] + 2, at_[0] + 2, 1, NPU_FLOAT32,
                            NPU_CCL_SUM, nullptr),
            NPU_ERROR_UNALIGNED);
  EXPECT_EQ(npuCclAllReduce(world_[0].comm, world_[0].queue, at_[0], at_[0] + 4, 2, NPU_FLOAT32,
                            NPU_CCL_SUM, nullptr),
            NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(
      npuCclAllReduce(world_[0].comm, world_[0].queue, at_[0], at_[0], 1, NPU_FLOAT32, 77, nullptr),
      NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(npuCclGroupEnd(), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(npuCclBarrier(nullptr, world_[0].queue, nullptr), NPU_ERROR_INVALID_HANDLE);
  EXPECT_EQ(npuCclBarrier(world_[0].comm, nullptr, nullptr), NPU_ERROR_INVALID_HANDLE);
  CCL_ASSERT_OK(world_.group([&](uint32_t r) { return all_reduce(r, 100); }));
  world_.sync();
}

TEST_F(PatientTest, SplitMakesCommunicatorsOfEachColour) {
  std::vector<npuCclComm> parts(4);
  CCL_ASSERT_OK(world_.group([&](uint32_t r) {
    return npuCclCommSplit(world_[r].comm, r == 3 ? NPU_CCL_NO_COLOR : r % 2, 10 - r, &parts[r]);
  }));
  EXPECT_EQ(parts[3], nullptr);
  uint32_t ranks = 0, rank = 0;
  CCL_ASSERT_OK(npuCclCommGetRank(parts[0], &ranks, &rank));
  EXPECT_EQ(ranks, 2u);
  EXPECT_EQ(rank, 1u);  // its key is larger than that of rank 2
  CCL_ASSERT_OK(npuCclCommGetRank(parts[1], &ranks, &rank));
  EXPECT_EQ(ranks, 1u);
  // The old communicator and the new ones at once.
  CCL_ASSERT_OK(world_.group([&](uint32_t r) {
    const npuResult result = all_reduce(r, 5000);
    return result != NPU_OK || parts[r] == nullptr
               ? result
               : npuCclAllReduce(parts[r], world_[r].queue, at_[r], at_[r], 5000, NPU_INT32,
                                 NPU_CCL_MAX, nullptr);
  }));
  world_.sync();
  for (npuCclComm part : parts) CCL_EXPECT_OK(npuCclCommDestroy(part));
}

TEST(StartTest, ARankThatDoesNotComeIsNamed) {
  World one(1);
  npuCclId id;
  CCL_ASSERT_OK(npuCclGetId(&id));
  npuCclCommInfo info = make_info();
  info.init_timeout_ms = 200;
  npuCclComm comm = one[0].comm;
  EXPECT_EQ(npuCclCommCreate(&id, 3, 0, one[0].context, &info, &comm), NPU_ERROR_DEPENDENCY_FAILED);
  EXPECT_EQ(comm, nullptr);
  EXPECT_NE(std::string(npuCclGetErrorText()).find("did not come in time: 1 2"), std::string::npos)
      << npuCclGetErrorText();
}

// Rank 1 comes, and loses patience before rank 0 does.
TEST(StartTest, ARankThatCameAndWentIsNotNamedForOneThatNeverCame) {
  World one(1);
  npuCclId id;
  CCL_ASSERT_OK(npuCclGetId(&id));
  npuCclCommInfo info = make_info();
  info.flags = NPU_CCL_NONBLOCKING;
  npuCclComm comms[2] = {};
  constexpr uint32_t kTimeoutsMs[] = {2000, 1000};
  for (uint32_t r = 0; r < 2; r++) {
    info.init_timeout_ms = kTimeoutsMs[r];
    CCL_ASSERT_OK(npuCclCommCreate(&id, 3, r, one[0].context, &info, &comms[r]));
  }
  npuCclState state = NPU_CCL_INIT;
  for (int i = 0; i < 20'000 && state != NPU_CCL_FAILED; i++) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    CCL_ASSERT_OK(npuCclCommGetState(comms[0], &state));
  }
  npuCclFailure failure{};
  failure.struct_size = sizeof(failure);
  CCL_ASSERT_OK(npuCclCommGetError(comms[0], &failure));
  EXPECT_EQ(failure.reason, NPU_CCL_TIMEOUT);
  EXPECT_EQ(failure.rank, 2u);
  EXPECT_STREQ(failure.text, "these ranks did not come in time: 2");
  for (npuCclComm comm : comms) npuCclCommDestroy(comm);
}

TEST(StartTest, AWrongTokenIsAStrangerAndAnotherSizeIsRefused) {
  World one(1);
  npuCclId id, wrong;
  CCL_ASSERT_OK(npuCclGetId(&id));
  wrong = id;
  wrong.bytes[8] ^= 1;  // of the token
  npuCclCommInfo info = make_info();
  info.flags = NPU_CCL_NONBLOCKING;
  info.init_timeout_ms = 20'000;
  npuCclComm comms[3] = {};
  CCL_ASSERT_OK(npuCclCommCreate(&id, 2, 0, one[0].context, &info, &comms[0]));
  npuCclCommInfo impatient = info;
  impatient.init_timeout_ms = 400;
  CCL_ASSERT_OK(npuCclCommCreate(&wrong, 2, 1, one[0].context, &impatient, &comms[1]));
  npuCclState state = NPU_CCL_READY;
  CCL_ASSERT_OK(npuCclCommGetState(comms[0], &state));
  EXPECT_EQ(state, NPU_CCL_INIT);
  EXPECT_EQ(npuCclBarrier(comms[0], one[0].queue, nullptr), NPU_NOT_READY);
  info.chunk_bytes = 8192;
  CCL_ASSERT_OK(npuCclCommCreate(&id, 2, 1, one[0].context, &info, &comms[2]));
  for (npuCclComm comm : comms) {
    for (int i = 0; i < 20'000 && state != NPU_CCL_FAILED; i++) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      CCL_ASSERT_OK(npuCclCommGetState(comm, &state));
    }
    EXPECT_EQ(state, NPU_CCL_FAILED);
    state = NPU_CCL_INIT;
  }
  npuCclFailure failure{};
  failure.struct_size = sizeof(failure);
  for (npuCclComm comm : {comms[0], comms[2]}) {
    CCL_ASSERT_OK(npuCclCommGetError(comm, &failure));
    EXPECT_EQ(failure.reason, NPU_CCL_MISMATCH);
    EXPECT_EQ(failure.rank, 1u);
    EXPECT_STREQ(failure.text, "rank 1: its chunk_bytes is 8192, rank 0 has 524288");
  }
  CCL_ASSERT_OK(npuCclCommGetError(comms[1], &failure));
  EXPECT_EQ(failure.reason, NPU_CCL_TIMEOUT) << failure.text;
  for (npuCclComm comm : comms) npuCclCommDestroy(comm);
}

TEST(StartTest, HandlesThatEndedAreRefused) {
  World one(1);
  npuCclId id;
  CCL_ASSERT_OK(npuCclGetId(&id));
  npuCclComm comm = nullptr;
  CCL_ASSERT_OK(npuCclCommCreate(&id, 1, 0, one[0].context, nullptr, &comm));
  CCL_EXPECT_OK(npuCclCommDestroy(comm));
  EXPECT_EQ(npuCclCommDestroy(comm), NPU_ERROR_INVALID_HANDLE);
  EXPECT_EQ(npuCclCommAbort(comm), NPU_ERROR_INVALID_HANDLE);
  CCL_EXPECT_OK(npuCclCommDestroy(nullptr));
}

}  // namespace
}  // namespace npu::test
