// SPDX-License-Identifier: Apache-2.0
// Batches: few doorbells for many commands, all or nothing; and prepared launches.
#include <cstring>
#include <string>
#include <vector>

#include "tests/conformance/support.h"

namespace npu::conformance {
namespace {

npuCommand make_command(npuCommandKind kind) {
  npuCommand command;
  std::memset(&command, 0, sizeof command);
  command.struct_size = sizeof command;
  command.kind = kind;
  return command;
}

npuCommand make_fill(npuDevPtr dst, uint64_t pattern, uint64_t size_bytes) {
  npuCommand command = make_command(NPU_COMMAND_FILL);
  command.as.fill.dst = dst;
  command.as.fill.pattern = pattern;
  command.as.fill.pattern_bytes = 4;
  command.as.fill.size_bytes = size_bytes;
  return command;
}

class BatchTest : public DeviceTest {
 protected:
  uint32_t word_at(npuDevPtr ptr) {
    uint32_t word = 0;
    EXPECT_NPU(NPU_OK, npuMemCopyToHost(context_, &word, ptr, sizeof word));
    return word;
  }
};

TEST_F(BatchTest, EveryKindRunsInTheOrderOfTheArray) {
  const npuDevPtr a = alloc(4096);
  const npuDevPtr b = alloc(4096);
  const npuDevPtr words = alloc(64, NPU_MEM_HOST);
  const float value = 2.5f;
  const PokeArgs poke{a, value, 0};
  const npuLaunchInfo info = launch_info(&poke, sizeof poke);
  npuCopyInfo rows{};
  rows.struct_size = sizeof rows;
  rows.dst = b + 1024;
  rows.src = a;
  rows.width_bytes = 4;
  rows.height = 2;
  rows.depth = 1;
  rows.dst_pitch_bytes = 8;
  rows.src_pitch_bytes = 4;

  std::vector<npuCommand> batch;
  batch.push_back(make_fill(a, 7, 1024));
  batch.push_back(make_command(NPU_COMMAND_LAUNCH));
  batch.back().as.launch.kernel = kernel("poke");
  batch.back().as.launch.info = &info;
  batch.push_back(make_command(NPU_COMMAND_COPY));
  batch.back().as.copy.dst = b;
  batch.back().as.copy.src = a;
  batch.back().as.copy.size_bytes = 1024;
  batch.push_back(make_command(NPU_COMMAND_COPY_STRIDED));
  batch.back().as.copy_strided.info = &rows;
  batch.push_back(make_command(NPU_COMMAND_SIGNAL));
  batch.back().as.semaphore.address = words;
  batch.back().as.semaphore.value = 3;
  batch.push_back(make_command(NPU_COMMAND_WAIT_SEMAPHORE));
  batch.back().as.semaphore.address = words;
  batch.back().as.semaphore.value = 3;
  batch.push_back(make_command(NPU_COMMAND_TIMESTAMP));
  batch.back().as.timestamp.dst = words + 8;
  uint64_t last = 0;
  ASSERT_NPU(NPU_OK,
             npuSubmitBatch(queue_, static_cast<uint32_t>(batch.size()), batch.data(), &last));
  EXPECT_EQ(last, batch.size());
  ASSERT_NPU(NPU_OK, npuQueueWait(queue_, last, kLongNs));

  float poked = 0;
  ASSERT_NPU(NPU_OK, npuMemCopyToHost(context_, &poked, b, sizeof poked));
  EXPECT_EQ(poked, value);
  EXPECT_EQ(word_at(b + 4), 7u);
  EXPECT_EQ(word_at(b + 1024 + 8), 7u);
  EXPECT_EQ(word_at(words), 3u);
  npuTiming timing{};
  timing.struct_size = sizeof timing;
  ASSERT_NPU(NPU_OK, npuQueueGetTiming(queue_, last, &timing));
  uint64_t stamp = 0;
  ASSERT_NPU(NPU_OK, npuMemCopyToHost(context_, &stamp, words + 8, sizeof stamp));
  EXPECT_EQ(stamp, timing.end_ps);
}

TEST_F(BatchTest, OneWrongCommandStopsAllAndIsNamed) {
  const npuDevPtr a = alloc(64);
  std::vector<npuCommand> batch(3, make_fill(a, 1, 64));
  uint64_t value = 99;
  const auto expect_refused = [&](npuResult code, const char* index) {
    value = 99;
    EXPECT_NPU(code, npuSubmitBatch(queue_, 3, batch.data(), &value));
    EXPECT_EQ(value, 0u);
    EXPECT_NE(std::string(last_error().text).find(index), std::string::npos) << last_error().text;
  };
  batch[2].as.fill.size_bytes = 128;
  expect_refused(NPU_ERROR_INVALID_ADDRESS, "commands[2]");
  batch[2] = make_fill(a, 1, 63);
  expect_refused(NPU_ERROR_UNALIGNED, "commands[2]");
  batch[2] = make_command(99);
  expect_refused(NPU_ERROR_INVALID_ARGUMENT, "commands[2]");
  batch[2] = make_fill(a, 1, 64);
  batch[1].as.words[6] = 1;
  expect_refused(NPU_ERROR_RESERVED_NOT_ZERO, "commands[1]");
  batch[1] = make_command(NPU_COMMAND_LAUNCH);
  expect_refused(NPU_ERROR_INVALID_HANDLE, "commands[1]");
  batch[1].as.launch.kernel = kernel("poke");
  expect_refused(NPU_ERROR_INVALID_ARGUMENT, "commands[1]");
  npuLaunchInfo info = launch_info(&info, 8);
  batch[1].as.launch.info = &info;
  expect_refused(NPU_ERROR_ARGUMENT_LAYOUT, "commands[1]");
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuSubmitBatch(queue_, 0, batch.data(), &value));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuSubmitBatch(queue_, 3, nullptr, &value));
  batch[0].struct_size = 8;
  EXPECT_NPU(NPU_ERROR_STRUCT_SIZE, npuSubmitBatch(queue_, 3, batch.data(), &value));
  ASSERT_NPU(NPU_OK, npuQueueGetCompleted(queue_, &value));
  EXPECT_EQ(value, 0u);
  EXPECT_EQ(word_at(a), 0u);
}

TEST_F(BatchTest, ElementsOfALaterVersionAreAcceptedWhenTheirTailsAreZero) {
  struct Later {
    npuCommand known;
    uint64_t tail;
  };
  const npuDevPtr a = alloc(64);
  Later batch[2] = {{make_fill(a, 1, 64), 0}, {make_fill(a, 2, 64), 0}};
  batch[0].known.struct_size = sizeof(Later);
  uint64_t value = 0;
  ASSERT_NPU(NPU_OK, npuSubmitBatch(queue_, 2, &batch[0].known, &value));
  ASSERT_NPU(NPU_OK, npuQueueWait(queue_, value, kLongNs));
  EXPECT_EQ(word_at(a), 2u);
  batch[1].tail = 1;
  EXPECT_NPU(NPU_ERROR_STRUCT_SIZE, npuSubmitBatch(queue_, 2, &batch[0].known, &value));
}

TEST_F(BatchTest, ABatchMayBeLongerThanTheRing) {
  npuQueue queue = make_queue(64);
  const npuDevPtr a = alloc(64 * 1000);
  std::vector<npuCommand> batch;
  for (uint32_t i = 0; i < 1000; i++) batch.push_back(make_fill(a + 64 * i, i + 1, 64));
  uint64_t value = 0;
  ASSERT_NPU(NPU_OK, npuSubmitBatch(queue, 1000, batch.data(), &value));
  EXPECT_EQ(value, 1000u);
  ASSERT_NPU(NPU_OK, npuQueueWait(queue, value, kLongNs));
  for (uint32_t i = 0; i < 1000; i += 37) EXPECT_EQ(word_at(a + 64 * i), i + 1);
}

TEST_F(BatchTest, PreparedLaunchesKeepTheirArgumentsUntilTheyAreChanged) {
  const npuDevPtr a = alloc(64);
  PokeArgs poke{a, 1.0f, 0};
  npuLaunchInfo info = launch_info(&poke, sizeof poke);
  npuPreparedLaunch prepared = nullptr;
  ASSERT_NPU(NPU_OK, npuLaunchPrepare(kernel("poke"), &info, &prepared));
  std::memset(&poke, 0xff, sizeof poke);  // it has a copy of its own
  const auto run = [&](float expected) {
    uint64_t value = 0;
    ASSERT_NPU(NPU_OK, npuQueueLaunchPrepared(queue_, prepared, &value));
    ASSERT_NPU(NPU_OK, npuQueueWait(queue_, value, kLongNs));
    float found = 0;
    ASSERT_NPU(NPU_OK, npuMemCopyToHost(context_, &found, a, sizeof found));
    EXPECT_EQ(found, expected);
  };
  run(1.0f);
  const float next = 5.0f;
  ASSERT_NPU(NPU_OK, npuPreparedLaunchSetArgs(prepared, offsetof(PokeArgs, value), &next, 4));
  run(5.0f);
  EXPECT_NPU(NPU_ERROR_ARGUMENT_LAYOUT, npuPreparedLaunchSetArgs(prepared, 16, &next, 4));
  EXPECT_NPU(NPU_ERROR_ARGUMENT_LAYOUT, npuPreparedLaunchSetArgs(prepared, 0xffffffff, &next, 4));
  EXPECT_NPU(NPU_ERROR_ARGUMENT_LAYOUT, npuPreparedLaunchSetArgs(prepared, 0, &next, 0xffffffff));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuPreparedLaunchSetArgs(prepared, 0, nullptr, 4));
  run(5.0f);
  EXPECT_NPU(NPU_OK, npuPreparedLaunchDestroy(prepared));
  EXPECT_NPU(NPU_ERROR_INVALID_HANDLE, npuPreparedLaunchDestroy(prepared));
  EXPECT_NPU(NPU_OK, npuPreparedLaunchDestroy(nullptr));
}

TEST_F(BatchTest, PreparedLaunchesKnowWhenTheirModuleIsGone) {
  npuLaunchInfo info = launch_info(nullptr, 0);
  npuPreparedLaunch prepared = nullptr;
  EXPECT_NPU(NPU_ERROR_ARGUMENT_LAYOUT, npuLaunchPrepare(kernel("poke"), &info, &prepared));
  EXPECT_EQ(prepared, nullptr);
  ASSERT_NPU(NPU_OK, npuLaunchPrepare(kernel("null"), &info, &prepared));
  npuContext other = nullptr;
  npuQueue foreign = nullptr;
  ASSERT_NPU(NPU_OK, npuContextCreate(device_, &other));
  ASSERT_NPU(NPU_OK, npuQueueCreate(other, nullptr, &foreign));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuQueueLaunchPrepared(foreign, prepared, nullptr));
  ASSERT_NPU(NPU_OK, npuContextDestroy(other));
  EXPECT_NPU(NPU_OK, npuQueueLaunchPrepared(queue_, prepared, nullptr));
  ASSERT_NPU(NPU_OK, npuModuleUnload(module_));
  EXPECT_NPU(NPU_ERROR_INVALID_HANDLE, npuQueueLaunchPrepared(queue_, prepared, nullptr));
  EXPECT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
}

}  // namespace
}  // namespace npu::conformance
