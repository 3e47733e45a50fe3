// SPDX-License-Identifier: Apache-2.0
// The MMU: runs, permissions, flushes, and page tables that nobody sane would write.
#include "firmware-model/device/mmu.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/unit/device/test_driver.h"

namespace npu::test {
namespace {

using model::CachedTranslation;
using model::HbmWindow;
using model::PageTableSpace;
using model::Translation;

class MmuTest : public testing::Test {
 protected:
  static void* host_memory(void* ctx, uint64_t iova, int, uint64_t* out_bytes) {
    auto* test = static_cast<MmuTest*>(ctx);
    const uint64_t bytes = test->host_.size();
    if (iova < kIova || iova - kIova >= bytes) return nullptr;
    *out_bytes = bytes - (iova - kIova);
    ++test->asked_;
    return test->host_.data() + (iova - kIova);
  }

  static constexpr uint64_t kIova = 0x77000;
  TestDriver driver_;
  uint32_t context_ = driver_.create_context();
  std::vector<std::byte> host_ = std::vector<std::byte>(1 << 20);
  int asked_ = 0;
  npu_device_ports ports_{this, &MmuTest::host_memory, nullptr, nullptr, nullptr};
  HbmWindow hbm_{static_cast<std::byte*>(driver_.hbm()), 64 << 20};
  PageTableSpace space_{hbm_, ports_, driver_.root(context_)};
};

TEST_F(MmuTest, NeighboursThatAreContiguousBecomeOneRun) {
  driver_.map(context_, 0x1000'0000, 3 * NPU_PAGE_64K, 0x200000 + NPU_PAGE_64K, NPU_PTE_WRITE);
  Translation run;
  ASSERT_TRUE(space_.translate(0x1000'0000 + 100, NPU_ACCESS_READ, &run));
  EXPECT_EQ(run.begin_dva, 0x1000'0000u + 100);
  EXPECT_EQ(run.end_dva, 0x1000'0000u + 3 * NPU_PAGE_64K);
  EXPECT_EQ(run.host, hbm_.base + 0x200000 + NPU_PAGE_64K + 100);
  EXPECT_TRUE(run.writable);
}

TEST_F(MmuTest, ARunEndsWhereMemoryOrPermissionChanges) {
  driver_.map(context_, 0x1000'0000, NPU_PAGE_64K, 0x300000, NPU_PTE_WRITE);
  driver_.map(context_, 0x1001'0000, NPU_PAGE_64K, 0x310000, 0);
  driver_.map(context_, 0x1002'0000, NPU_PAGE_64K, 0x340000, 0);
  Translation run;
  ASSERT_TRUE(space_.translate(0x1000'0000, NPU_ACCESS_WRITE, &run));
  EXPECT_EQ(run.end_dva, 0x1001'0000u);
  ASSERT_TRUE(space_.translate(0x1001'0000, NPU_ACCESS_READ, &run));
  EXPECT_EQ(run.end_dva, 0x1002'0000u);
  EXPECT_FALSE(run.writable);
  EXPECT_FALSE(space_.translate(0x1001'0000, NPU_ACCESS_WRITE, &run));
  EXPECT_FALSE(space_.translate(0x1003'0000, NPU_ACCESS_READ, &run));
  EXPECT_FALSE(space_.translate(~0ull, NPU_ACCESS_READ, &run));
}

TEST_F(MmuTest, HostPagesAreAskedForOnceARun) {
  driver_.map(context_, 0x1000'0000, 64 * NPU_PAGE_4K, kIova, NPU_PTE_WRITE | NPU_PTE_SYSTEM);
  Translation run;
  ASSERT_TRUE(space_.translate(0x1000'0000, NPU_ACCESS_READ, &run));
  EXPECT_EQ(run.end_dva, 0x1000'0000u + 64 * NPU_PAGE_4K);
  EXPECT_EQ(asked_, 1);
  // Host memory that the driver has withdrawn is a fault.
  driver_.map(context_, 0x2000'0000, NPU_PAGE_4K, 0x1000, NPU_PTE_SYSTEM);
  EXPECT_FALSE(space_.translate(0x2000'0000, NPU_ACCESS_READ, &run));
}

TEST_F(MmuTest, ACachedTranslationLivesUntilTheFlush) {
  driver_.map(context_, 0x1000'0000, NPU_PAGE_64K, 0x300000, NPU_PTE_WRITE);
  CachedTranslation cached;
  std::byte* before = cached.get(space_, 0x1000'0000, 8, NPU_ACCESS_READ);
  ASSERT_NE(before, nullptr);
  driver_.map(context_, 0x1000'0000, NPU_PAGE_64K, 0x400000, NPU_PTE_WRITE);
  EXPECT_EQ(cached.get(space_, 0x1000'0000, 8, NPU_ACCESS_READ), before);
  space_.flush();
  EXPECT_EQ(cached.get(space_, 0x1000'0000, 8, NPU_ACCESS_READ), before + 0x100000);
  // Another address space with the same numbers is another address space.
  const uint32_t other = driver_.create_context();
  PageTableSpace other_space(hbm_, ports_, driver_.root(other));
  EXPECT_EQ(cached.get(other_space, 0x1000'0000, 8, NPU_ACCESS_READ), nullptr);
}

TEST_F(MmuTest, RandomTablesNeverLeadOutsideTheMemory) {
  const uint64_t seed = 99;
  std::mt19937_64 random(seed);
  // The root and 16 more tables full of entries that point anywhere.
  const uint64_t first = driver_.hbm_alloc(17 * 4096, 4096);
  const auto outside = [&](const std::byte* host) {
    const bool in_hbm = hbm_.holds(host);
    const bool in_host = host >= host_.data() && host < host_.data() + host_.size();
    return !in_hbm && !in_host;
  };
  uint64_t hits = 0;
  for (int round = 0; round < 200; ++round) {
    auto* words = reinterpret_cast<uint64_t*>(hbm_.base + first);
    for (size_t i = 0; i < 17 * 512; ++i) {
      const uint64_t table = first + (random() % 17) * 4096;
      const uint64_t noise = random() % 64 == 0 ? random() : 0;
      const uint64_t leaf = (random() % 40) << 21 | NPU_PTE_LEAF | (random() & NPU_PTE_FLAGS);
      words[i] = ((random() % 3 == 0 ? leaf : table) | NPU_PTE_VALID) ^ noise;
    }
    const PageTableSpace wild(hbm_, ports_, first);
    for (int i = 0; i < 300; ++i) {
      Translation run;
      const uint64_t dva = random() >> 16;
      if (!wild.translate(dva, NPU_ACCESS_READ, &run)) continue;
      ++hits;
      ASSERT_LE(run.begin_dva, dva);
      ASSERT_GT(run.end_dva, dva);
      ASSERT_FALSE(outside(run.host)) << "round " << round;
      ASSERT_FALSE(outside(run.host + (run.end_dva - run.begin_dva) - 1)) << "round " << round;
    }
  }
  EXPECT_GT(hits, 100u);
}

}  // namespace
}  // namespace npu::test
