// SPDX-License-Identifier: Apache-2.0
// Strided copies and fills against a plain model of the same rule on host memory.
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "tests/unit/device/test_driver.h"

namespace npu::test {
namespace {

constexpr uint64_t kBytes = 256 * 1024;

class CopyTest : public testing::Test {
 protected:
  npu_status status_of(const npu_cmd_copy& command) {
    TestQueue queue = driver_.create_queue(context_);
    const npu_completion record = queue.run(command);
    driver_.destroy_queue(queue);
    return static_cast<npu_status>(record.status);
  }

  void randomise(const Buffer& buffer) {
    for (uint64_t& word : buffer.as<uint64_t>()) word = random_();
  }

  uint64_t below(uint64_t limit) { return random_() % limit; }

  // A shape that npu_queue.h allows and that fits both buffers.
  npu_cmd_copy random_shape() {
    npu_cmd_copy command = copy(0, 0, 1 + below(300));
    command.height = static_cast<uint32_t>(1 + below(12));
    command.depth = static_cast<uint32_t>(1 + below(9));
    const auto pitches = [&](__u32* pitch, __u64* slice_pitch) {
      const uint64_t w = command.width_bytes;
      const uint64_t h = command.height;
      const uint64_t d = command.depth;
      if (h > 1 && d > 1 && below(3) == 0) {  // rows of the slices interleaved
        *slice_pitch = w + below(50);
        *pitch = static_cast<__u32>((d - 1) * *slice_pitch + w + below(50));
        return;
      }
      if (h > 1) *pitch = static_cast<__u32>(w + below(80));
      if (d > 1) *slice_pitch = (h - 1) * *pitch + w + below(90);
    };
    pitches(&command.src_pitch, &command.src_slice_pitch);
    pitches(&command.dst_pitch, &command.dst_slice_pitch);
    return command;
  }

  static uint64_t extent(const npu_cmd_copy& c, uint64_t pitch, uint64_t slice_pitch) {
    return (c.height - 1) * pitch + (c.depth - 1) * slice_pitch + c.width_bytes;
  }

  TestDriver driver_;
  uint32_t context_ = driver_.create_context();
  TestQueue queue_ = driver_.create_queue(context_);
  Buffer hbm_ = driver_.make_buffer(context_, kBytes);
  Buffer host_ = driver_.make_buffer(context_, kBytes, Place::kHost);
  std::mt19937_64 random_{20260611};
};

TEST_F(CopyTest, RandomShapesAgreeWithTheModel) {
  for (int round = 0; round < 300; ++round) {
    const Buffer& from = round % 2 == 0 ? hbm_ : host_;
    const Buffer& to = round % 2 == 0 ? host_ : hbm_;
    randomise(from);
    randomise(to);
    npu_cmd_copy command = random_shape();
    const uint64_t src =
        below(kBytes - extent(command, command.src_pitch, command.src_slice_pitch));
    const uint64_t dst =
        below(kBytes - extent(command, command.dst_pitch, command.dst_slice_pitch));
    command.src_dva = from.dva + src;
    command.dst_dva = to.dva + dst;
    std::vector<std::byte> expected(to.data, to.data + kBytes);
    for (uint64_t z = 0; z < command.depth; ++z) {
      for (uint64_t y = 0; y < command.height; ++y) {
        std::memcpy(expected.data() + dst + z * command.dst_slice_pitch + y * command.dst_pitch,
                    from.data + src + z * command.src_slice_pitch + y * command.src_pitch,
                    command.width_bytes);
      }
    }
    ASSERT_EQ(queue_.run(command).status, NPU_ST_OK) << "round " << round;
    ASSERT_EQ(std::memcmp(expected.data(), to.data, kBytes), 0) << "round " << round;
  }
}

TEST_F(CopyTest, LargeLinearCopiesCrossPagesOfAllSizes) {
  const uint64_t bytes = 5 << 20;
  // 2 MiB aligned in both spaces: the tables hold 2 MiB leaves in the middle.
  const uint64_t pa = driver_.hbm_alloc(bytes + NPU_PAGE_2M, NPU_PAGE_2M);
  const uint64_t dva = 0x8000'0000;
  driver_.map(context_, dva, bytes + NPU_PAGE_2M, pa, NPU_PTE_WRITE);
  const Buffer host = driver_.make_buffer(context_, bytes, Place::kHost);
  randomise(host);
  ASSERT_EQ(queue_.run(copy(host.dva, dva + 12345, bytes)).status, NPU_ST_OK);
  auto* hbm = static_cast<std::byte*>(driver_.hbm()) + pa;
  EXPECT_EQ(std::memcmp(hbm + 12345, host.data, bytes), 0);
}

TEST_F(CopyTest, ShapesThatTheHeaderForbidsAreRefused) {
  const npu_cmd_copy linear = copy(hbm_.dva, host_.dva, 64);
  ASSERT_EQ(status_of(linear), NPU_ST_OK);
  const auto with = [&](auto change) {
    npu_cmd_copy command = linear;
    change(command);
    return status_of(command);
  };
  EXPECT_EQ(with([](auto& c) { c.width_bytes = 0; }), NPU_ST_BAD_COMMAND);
  EXPECT_EQ(with([](auto& c) { c.height = 0; }), NPU_ST_BAD_COMMAND);
  EXPECT_EQ(with([](auto& c) { c.depth = 0; }), NPU_ST_BAD_COMMAND);
  EXPECT_EQ(with([](auto& c) { c.src_pitch = 64; }), NPU_ST_BAD_COMMAND);
  EXPECT_EQ(with([](auto& c) { c.dst_slice_pitch = 64; }), NPU_ST_BAD_COMMAND);
  EXPECT_EQ(with([](auto& c) { c.height = 2, c.src_pitch = 63, c.dst_pitch = 64; }),
            NPU_ST_BAD_COMMAND);
  EXPECT_EQ(with([](auto& c) { c.height = 2, c.src_pitch = 64, c.dst_pitch = 64; }), NPU_ST_OK);
  // Slices of two rows that would lie on each other.
  EXPECT_EQ(with([](auto& c) {
              c.height = c.depth = 2;
              c.src_pitch = c.dst_pitch = 100;
              c.src_slice_pitch = c.dst_slice_pitch = 130;
            }),
            NPU_ST_BAD_COMMAND);
}

TEST_F(CopyTest, ExtentsThatOverflowAreRefused) {
  npu_cmd_copy command = copy(hbm_.dva, host_.dva, 64);
  command.width_bytes = ~0ull;
  EXPECT_EQ(status_of(command), NPU_ST_BAD_COMMAND);
  command = copy(~0ull - 10, host_.dva, 64);
  EXPECT_EQ(status_of(command), NPU_ST_BAD_COMMAND);
  command = copy(hbm_.dva, (1ull << 48) - 10, 64);
  EXPECT_EQ(status_of(command), NPU_ST_BAD_COMMAND);
  command = copy(hbm_.dva, host_.dva, 64);
  command.height = command.depth = ~0u;
  command.src_pitch = command.dst_pitch = ~0u;
  command.src_slice_pitch = command.dst_slice_pitch = ~0ull;
  EXPECT_EQ(status_of(command), NPU_ST_BAD_COMMAND);
}

TEST_F(CopyTest, OverlapIsRefusedExactly) {
  const uint64_t at = hbm_.dva;
  EXPECT_EQ(status_of(copy(at, at, 64)), NPU_ST_BAD_COMMAND);
  EXPECT_EQ(status_of(copy(at, at + 63, 64)), NPU_ST_BAD_COMMAND);
  EXPECT_EQ(status_of(copy(at + 63, at, 64)), NPU_ST_BAD_COMMAND);
  EXPECT_EQ(status_of(copy(at, at + 64, 64)), NPU_ST_OK);
  // Column blocks of one matrix of 16 rows of 256 bytes.
  for (int64_t shift = -300; shift <= 300; ++shift) {
    npu_cmd_copy command = copy(at + 4096, at + 4096 + static_cast<uint64_t>(shift), 64);
    command.height = 16;
    command.src_pitch = command.dst_pitch = 256;
    bool overlap = false;
    for (int64_t a = 0; a < 16; ++a) {
      for (int64_t b = 0; b < 16; ++b) {
        overlap |= std::abs(shift + (b - a) * 256) < 64;
      }
    }
    ASSERT_EQ(status_of(command), overlap ? NPU_ST_BAD_COMMAND : NPU_ST_OK) << shift;
  }
}

TEST_F(CopyTest, TimeFollowsTheSlowerOfBothMemories) {
  const uint64_t bytes = 128 * 1024;
  const Buffer hbm2 = driver_.make_buffer(context_, bytes);
  const npu_completion inside = queue_.run(copy(hbm_.dva, hbm2.dva, bytes));
  const npu_completion across = queue_.run(copy(host_.dva, hbm2.dva, bytes));
  // 100 clocks of 1 GHz to set up; 100 GB/s read and written; 10 GB/s to the host.
  EXPECT_EQ(inside.end_ps - inside.start_ps, 100'000 + 2 * bytes * 10);
  EXPECT_EQ(across.end_ps - across.start_ps, 100'000 + bytes * 100);
  EXPECT_EQ(driver_.reg(NPU_REG_BYTES_MOVED, 8), 3 * bytes);
}

TEST_F(CopyTest, ACopyAboveItsBudgetEndsAsAWatchdog) {
  TestDriver::QueueOptions options;
  options.budget = 1000;
  TestQueue queue = driver_.create_queue(context_, options);
  EXPECT_EQ(queue.run(copy(hbm_.dva, host_.dva, 1000 * 63)).status, NPU_ST_OK);
  EXPECT_EQ(queue.run(copy(hbm_.dva, host_.dva, 1000 * 64)).status, NPU_ST_WATCHDOG);
}

}  // namespace
}  // namespace npu::test
