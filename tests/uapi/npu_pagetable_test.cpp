// SPDX-License-Identifier: Apache-2.0
// Page tables: random batches of map and unmap against a plain page map, failed allocations, hostile entries.
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <random>
#include <vector>

#include "uapi/npu_pagetable.h"

namespace {

constexpr uint64_t k4K = NPU_PAGE_4K;
constexpr uint64_t k64K = NPU_PAGE_64K;
constexpr uint64_t k2M = NPU_PAGE_2M;
constexpr uint64_t kHbmBytes = uint64_t{1} << 40;
constexpr uint64_t kTablesBytes = 4 << 20;  // tables live in the first 4 MiB of HBM
constexpr uint64_t kJunk = 0xdeadbeefdeadbeef;

// HBM that holds tables: allocates naturally aligned pieces, counts them, and fails on demand.
class FakeHbm {
 public:
  FakeHbm() : words_(kTablesBytes / 8, kJunk) {
    ops_ = {this, kHbmBytes, Read, Write, Alloc, Free};
  }
  const npu_pt_ops* ops() const { return &ops_; }
  size_t live_tables() const { return live_.size(); }
  uint64_t word(uint64_t offset) const { return words_.at(offset / 8); }
  void set_word(uint64_t offset, uint64_t value) { words_.at(offset / 8) = value; }
  void set_hbm_bytes(uint64_t bytes) { ops_.hbm_bytes = bytes; }
  // The allocation after `n` more ones fails.
  void FailAfter(int n) { fail_after_ = n; }

 private:
  static FakeHbm* Self(void* ctx) { return static_cast<FakeHbm*>(ctx); }
  static int Read(void* ctx, __u64 offset, __u64* value) {
    EXPECT_EQ(offset % 8, 0u);
    EXPECT_LE(offset, Self(ctx)->ops_.hbm_bytes - 8);
    if (offset >= kTablesBytes) return 1;
    *value = Self(ctx)->word(offset);
    return 0;
  }
  static void Write(void* ctx, __u64 offset, __u64 value) {
    Self(ctx)->CheckedWrite(offset, value);
  }
  static int Alloc(void* ctx, __u32 bytes, __u64* offset) {
    return Self(ctx)->DoAlloc(bytes, offset);
  }
  static void Free(void* ctx, __u64 offset, __u32 bytes) { Self(ctx)->DoFree(offset, bytes); }

  void CheckedWrite(uint64_t offset, uint64_t value) {
    auto it = live_.upper_bound(offset);
    ASSERT_NE(it, live_.begin()) << "write outside of a table";
    --it;
    ASSERT_LT(offset, it->first + it->second) << "write outside of a table";
    set_word(offset, value);
  }

  int DoAlloc(uint32_t bytes, __u64* offset) {
    if (fail_after_ == 0) return -ENOSPC;
    if (fail_after_ > 0) --fail_after_;
    std::vector<uint64_t>& pool = pools_[bytes];
    if (pool.empty()) {
      next_ = (next_ + bytes - 1) / bytes * bytes;
      if (next_ + bytes > kTablesBytes) return -ENOSPC;
      pool.push_back(next_);
      next_ += bytes;
    }
    *offset = pool.back();
    pool.pop_back();
    live_[*offset] = bytes;
    return 0;
  }

  void DoFree(uint64_t offset, uint32_t bytes) {
    ASSERT_TRUE(live_.count(offset)) << "freed twice";
    ASSERT_EQ(live_[offset], bytes);
    live_.erase(offset);
    for (uint32_t i = 0; i < bytes; i += 8) set_word(offset + i, kJunk);
    pools_[bytes].push_back(offset);
  }

  npu_pt_ops ops_{};
  std::vector<uint64_t> words_;
  std::map<uint64_t, uint32_t> live_;
  std::map<uint32_t, std::vector<uint64_t>> pools_;
  uint64_t next_ = 4096;  // offset 0 stays free: an address of 0 in a test is a mistake
  int fail_after_ = -1;
};

struct Page {
  uint64_t pa;
  uint64_t flags;
  bool operator==(const Page&) const = default;
};
using PageMap = std::map<uint64_t, Page>;  // by address of the 4 KiB page

struct Op {
  bool map;
  uint64_t dva, size, pa, flags;
};

class Space : public ::testing::Test {
 protected:
  Space() { EXPECT_EQ(npu_pt_create(ops(), &root_), 0); }
  const npu_pt_ops* ops() const { return hbm_.ops(); }

  int Prepare(const Op& op) {
    return op.map ? npu_pt_prepare_map(ops(), root_, op.dva, op.size, op.pa, op.flags)
                  : npu_pt_prepare_unmap(ops(), root_, op.dva, op.size);
  }
  int Commit(const Op& op) {
    return op.map ? npu_pt_commit_map(ops(), root_, op.dva, op.size, op.pa, op.flags)
                  : npu_pt_commit_unmap(ops(), root_, op.dva, op.size);
  }
  void Do(const Op& op) {
    ASSERT_EQ(Prepare(op), 0);
    ASSERT_EQ(Commit(op), 0);
    npu_pt_compact(ops(), root_, op.dva, op.size);
  }
  uint64_t PageBytesAt(uint64_t dva) {
    npu_pt_hit hit{};
    return npu_pt_walk(ops(), root_, dva, &hit) == NPU_FAULT_NONE ? hit.page_bytes : 0;
  }
  // Every 4 KiB page of [begin, begin + bytes) translates as the page map says.
  void ExpectEqual(const PageMap& pages, uint64_t begin, uint64_t bytes) {
    for (uint64_t dva = begin; dva < begin + bytes; dva += k4K) {
      npu_pt_hit hit{};
      const int fault = npu_pt_walk(ops(), root_, dva, &hit);
      const auto it = pages.find(dva);
      if (it == pages.end()) {
        ASSERT_EQ(fault, NPU_FAULT_NOT_PRESENT) << std::hex << dva;
      } else {
        ASSERT_EQ(fault, NPU_FAULT_NONE) << std::hex << dva;
        ASSERT_EQ((Page{hit.pa, hit.flags}), it->second) << std::hex << dva;
        ASSERT_GE(hit.bytes_left, k4K);
      }
    }
  }

  FakeHbm hbm_;
  __u64 root_ = 0;
};

void Apply(const Op& op, PageMap* pages) {
  for (uint64_t at = 0; at < op.size; at += k4K) {
    if (op.map)
      (*pages)[op.dva + at] = {op.pa + at, op.flags};
    else
      pages->erase(op.dva + at);
  }
}

constexpr uint64_t kWindow = 12 * k2M;

// An operation inside the window that likes the borders of pages.
Op RandomOp(std::mt19937_64& rng, uint64_t base) {
  const uint64_t grains[] = {k4K, k64K, k2M};
  const uint64_t grain = grains[rng() % 3];
  const uint64_t slots = kWindow / grain;
  const uint64_t begin = rng() % slots;
  const uint64_t count = 1 + rng() % std::min<uint64_t>(slots - begin, grain == k4K ? 40 : 70);
  Op op{rng() % 5 < 3, base + begin * grain, count * grain, 0, 0};
  if (!op.map) return op;
  op.flags = rng() & NPU_PTE_FLAGS;
  // Half of the time the physical address is congruent, so that large pages are possible.
  op.pa = (rng() % 256) * k2M + op.dva % k2M;
  if (rng() % 2) op.pa += (rng() % 600) * (rng() % 2 ? k4K : k64K);
  return op;
}

class RandomBatches : public Space, public ::testing::WithParamInterface<uint64_t> {};

TEST_P(RandomBatches, TranslateAsAPlainPageMap) {
  const uint64_t base = GetParam();
  const uint64_t seed = 20240611 + base;
  RecordProperty("seed", std::to_string(seed));
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 rng(seed);
  PageMap pages;
  int failures = 0;
  for (int round = 0; round < 120; ++round) {
    std::vector<Op> batch(1 + rng() % 4);
    for (Op& op : batch) op = RandomOp(rng, base);
    if (rng() % 4 == 0) hbm_.FailAfter(static_cast<int>(rng() % 6));
    int err = 0;
    for (size_t i = 0; i < batch.size() && err == 0; ++i) err = Prepare(batch[i]);
    hbm_.FailAfter(-1);
    ASSERT_TRUE(err == 0 || err == -ENOSPC) << err;
    ASSERT_NO_FATAL_FAILURE(ExpectEqual(pages, base, kWindow)) << "prepare was visible";
    if (err != 0) ++failures;
    for (size_t i = 0; i < batch.size() && err == 0; ++i) {
      ASSERT_EQ(Commit(batch[i]), 0);
      Apply(batch[i], &pages);
    }
    if (round % 2 == 0) {
      ASSERT_NO_FATAL_FAILURE(ExpectEqual(pages, base, kWindow)) << "commit is wrong";
    }
    for (const Op& op : batch) npu_pt_compact(ops(), root_, op.dva, op.size);
    ASSERT_NO_FATAL_FAILURE(ExpectEqual(pages, base, kWindow)) << "compact was visible";
  }
  EXPECT_GT(failures, 0) << "the test no longer reaches failed allocations";
  Do({false, base, kWindow, 0, 0});
  EXPECT_EQ(hbm_.live_tables(), 1u) << "only the root is left of an empty space";
}

TEST_P(RandomBatches, DestroyFreesEveryTable) {
  std::mt19937_64 rng(GetParam() + 7);
  SCOPED_TRACE("seed " + std::to_string(GetParam() + 7));
  for (int i = 0; i < 30; ++i) ASSERT_NO_FATAL_FAILURE(Do(RandomOp(rng, GetParam())));
  EXPECT_GT(hbm_.live_tables(), 3u);
  npu_pt_destroy(ops(), root_);
  EXPECT_EQ(hbm_.live_tables(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Places, RandomBatches,
                         ::testing::Values(k64K,                          // low end
                                           NPU_PT_L2_SPAN * 5 - 4 * k2M,  // over a 1 GiB border
                                           NPU_PT_L3_SPAN * 3 - 6 * k2M,  // over a 512 GiB border
                                           NPU_PT_VA_END - kWindow));     // the last byte

using Builder = Space;

TEST_F(Builder, PicksTheLargestPageThatFits) {
  Do({true, k2M * 8, k2M * 2, k2M * 100, NPU_PTE_WRITE});
  EXPECT_EQ(PageBytesAt(k2M * 8), k2M);
  EXPECT_EQ(hbm_.live_tables(), 3u);
  Do({true, k2M * 12, k2M, k2M * 100 + k64K, 0});
  EXPECT_EQ(PageBytesAt(k2M * 12), k64K);
  Do({true, k2M * 14, k64K, k2M * 100 + k4K, NPU_PTE_SYSTEM});
  EXPECT_EQ(PageBytesAt(k2M * 14), k4K);
}

TEST_F(Builder, SplitsALargePageAndJoinsItAgain) {
  const Op whole{true, k2M * 8, k2M, k2M * 100, NPU_PTE_WRITE};
  Do(whole);
  Do({false, k2M * 8 + k64K * 3 + k4K, k4K, 0, 0});
  EXPECT_EQ(PageBytesAt(k2M * 8), k64K);
  EXPECT_EQ(PageBytesAt(k2M * 8 + k64K * 3), k4K);
  EXPECT_EQ(PageBytesAt(k2M * 8 + k64K * 3 + k4K), 0u);
  Do({true, k2M * 8 + k64K * 3 + k4K, k4K, k2M * 100 + k64K * 3 + k4K, NPU_PTE_WRITE});
  EXPECT_EQ(PageBytesAt(k2M * 8 + k64K * 3), k2M);
  EXPECT_EQ(hbm_.live_tables(), 3u);
}

TEST_F(Builder, LaterOperationsOfABatchSeeEarlierOnes) {
  // Unmap where nothing is yet, then map: the first must not need what only the second brings.
  const Op batch[] = {{false, k2M * 8 + k4K, k4K, 0, 0},
                      {true, k2M * 8, k2M, k2M * 100, 0},
                      {false, k2M * 8 + k64K + k4K, k4K, 0, 0},
                      {true, k2M * 8 + k64K, k64K, k2M * 200, 0},
                      {true, k2M * 8 + k64K + 2 * k4K, k4K, k4K, NPU_PTE_SYSTEM}};
  PageMap pages;
  for (const Op& op : batch) ASSERT_EQ(Prepare(op), 0);
  for (const Op& op : batch) {
    ASSERT_EQ(Commit(op), 0);
    Apply(op, &pages);
  }
  ExpectEqual(pages, k2M * 7, k2M * 3);
}

TEST_F(Builder, UnmapOfAHugeEmptyRangeIsQuickAndAllocatesNothing) {
  hbm_.FailAfter(0);
  Do({false, 0, NPU_PT_VA_END, 0, 0});
  EXPECT_EQ(hbm_.live_tables(), 1u);
}

TEST_F(Builder, RefusesRangesThatAreMisalignedEmptyOrTooLarge) {
  const Op good{true, k2M, k64K, k2M, 0};
  EXPECT_EQ(Prepare(good), 0);
  auto with = [&](auto change) {
    Op op = good;
    change(op);
    return Prepare(op);
  };
  EXPECT_EQ(with([](Op& o) { o.dva += 8; }), -EINVAL);
  EXPECT_EQ(with([](Op& o) { o.size = 0; }), -EINVAL);
  EXPECT_EQ(with([](Op& o) { o.size += 1; }), -EINVAL);
  EXPECT_EQ(with([](Op& o) { o.pa += 512; }), -EINVAL);
  EXPECT_EQ(with([](Op& o) { o.dva = NPU_PT_VA_END; }), -EINVAL);
  EXPECT_EQ(with([](Op& o) { o.dva = NPU_PT_VA_END - k4K; }), -EINVAL);
  EXPECT_EQ(with([](Op& o) { o.size = ~uint64_t{0} & ~(k4K - 1); }), -EINVAL);
  EXPECT_EQ(with([](Op& o) { o.pa = kHbmBytes - k4K; }), -EINVAL);
  EXPECT_EQ(with([](Op& o) { o.pa = ~uint64_t{0} & ~(k4K - 1); }), -EINVAL);
  EXPECT_EQ(with([](Op& o) { o.flags = NPU_PTE_SPLIT; }), -EINVAL);
  EXPECT_EQ(with([](Op& o) { o.map = false, o.size = 0; }), -EINVAL);
  EXPECT_EQ(with([](Op& o) { o.flags = NPU_PTE_SYSTEM, o.pa = NPU_PTE_ADDRESS_END - k4K; }),
            -EINVAL);
}

TEST_F(Builder, CorruptedTablesAreAnErrorNotACrash) {
  Do({true, 0, k64K, k2M, 0});
  hbm_.set_word(root_, kJunk);
  EXPECT_EQ(Prepare({true, 0, k64K, k2M, 0}), -EIO);
  EXPECT_EQ(Commit({false, 0, k64K, 0, 0}), -EIO);
  npu_pt_compact(ops(), root_, 0, k2M);
}

// A tree with one page of each size, whose entries the tests below replace.
class Hostile : public Space {
 protected:
  static constexpr uint64_t kSplitDva = k64K, kMidDva = 2 * k64K, kLargeDva = k2M;
  Hostile() {
    Do({true, kSplitDva, k4K, 5 * k4K, NPU_PTE_SYSTEM});
    Do({true, kMidDva, k64K, 7 * k64K, NPU_PTE_WRITE});
    Do({true, kLargeDva, k2M, 9 * k2M, NPU_PTE_EXEC});
    l3_ = root_;
    l2_ = Follow(l3_);
    l1_ = Follow(l2_);
    l0_ = Follow(l1_);
    split_ = Follow(l0_ + 8);
  }
  uint64_t Follow(uint64_t slot) { return hbm_.word(slot) & NPU_PTE_TABLE_MASK; }
  int WalkWith(uint64_t slot, uint64_t value, uint64_t dva) {
    const uint64_t old = hbm_.word(slot);
    hbm_.set_word(slot, value);
    npu_pt_hit hit{};
    const int fault = npu_pt_walk(ops(), root_, dva, &hit);
    if (fault == NPU_FAULT_NONE && (hit.flags & NPU_PTE_SYSTEM) == 0) {
      EXPECT_LE(hit.pa + hit.bytes_left, ops()->hbm_bytes);
    }
    hbm_.set_word(slot, old);
    return fault;
  }
  // Sets each bit that must be zero, one at a time.
  void ExpectReserved(uint64_t slot, uint64_t dva, uint64_t must_be_zero) {
    for (int bit = 0; bit < 64; ++bit) {
      if ((must_be_zero >> bit) & 1) {
        EXPECT_EQ(WalkWith(slot, hbm_.word(slot) | uint64_t{1} << bit, dva), NPU_FAULT_RESERVED)
            << "bit " << bit << " of slot " << slot;
      }
    }
  }
  uint64_t l3_, l2_, l1_, l0_, split_;
};

constexpr uint64_t kHigh = 0xfff0000000000000;  // bits 52..63
constexpr uint64_t kTableFlags = NPU_PTE_FLAGS | 0x40 | kHigh;

TEST_F(Hostile, ReservedBitsFaultAtEveryLevel) {
  ExpectReserved(l3_, kSplitDva, kTableFlags | NPU_PTE_SPLIT | 0xf80);
  ExpectReserved(l2_, kSplitDva, kTableFlags | NPU_PTE_SPLIT | 0xf80);
  ExpectReserved(l1_, kSplitDva, kTableFlags | NPU_PTE_SPLIT | 0x80);
  ExpectReserved(l0_ + 8, kSplitDva, kTableFlags);
  ExpectReserved(l1_ + 8, kLargeDva, 0xfc4 | kHigh | 0x1ff000);
  ExpectReserved(l0_ + 16, kMidDva, 0xfc4 | kHigh | 0xf000);
  ExpectReserved(split_, kSplitDva, 0xfc4 | kHigh);
}

TEST_F(Hostile, LeavesWhereOnlyTablesMayBeFault) {
  const uint64_t leaf = NPU_PTE_VALID | NPU_PTE_LEAF | NPU_PTE_SYSTEM;
  EXPECT_EQ(WalkWith(l3_, leaf, kSplitDva), NPU_FAULT_RESERVED);
  EXPECT_EQ(WalkWith(l2_, leaf, kSplitDva), NPU_FAULT_RESERVED);
  EXPECT_EQ(WalkWith(split_, l0_ | NPU_PTE_VALID | NPU_PTE_SPLIT, kSplitDva), NPU_FAULT_RESERVED);
  EXPECT_EQ(WalkWith(l0_ + 8, hbm_.word(l0_ + 8) & ~NPU_PTE_SPLIT, kSplitDva), NPU_FAULT_RESERVED);
}

TEST_F(Hostile, TablesAndPagesOutsideOfHbmFault) {
  const uint64_t beyond = kHbmBytes;
  EXPECT_EQ(WalkWith(l3_, beyond | NPU_PTE_VALID, kSplitDva), NPU_FAULT_RANGE);
  EXPECT_EQ(WalkWith(l1_, beyond | NPU_PTE_VALID, kSplitDva), NPU_FAULT_RANGE);
  EXPECT_EQ(WalkWith(l0_ + 8, beyond | NPU_PTE_VALID | NPU_PTE_SPLIT, kSplitDva), NPU_FAULT_RANGE);
  EXPECT_EQ(WalkWith(l1_ + 8, beyond | NPU_PTE_VALID | NPU_PTE_LEAF, kLargeDva), NPU_FAULT_RANGE);
  EXPECT_EQ(WalkWith(l1_ + 8, beyond | NPU_PTE_VALID | NPU_PTE_LEAF | NPU_PTE_SYSTEM, kLargeDva),
            NPU_FAULT_NONE);
  // Inside HBM, but the reader refuses it.
  EXPECT_EQ(WalkWith(l3_, kTablesBytes | NPU_PTE_VALID, kSplitDva), NPU_FAULT_RANGE);
  // A page that begins inside and ends outside.
  hbm_.set_hbm_bytes(9 * k2M + k64K);
  npu_pt_hit hit{};
  EXPECT_EQ(npu_pt_walk(ops(), root_, kLargeDva, &hit), NPU_FAULT_RANGE);
  hbm_.set_hbm_bytes(100);
  EXPECT_EQ(npu_pt_walk(ops(), root_, kLargeDva, &hit), NPU_FAULT_RANGE);
}

TEST_F(Hostile, RootIsCheckedToo) {
  npu_pt_hit hit{};
  EXPECT_EQ(npu_pt_walk(ops(), root_ + 8, 0, &hit), NPU_FAULT_RESERVED);
  EXPECT_EQ(npu_pt_walk(ops(), root_ + 256, 0, &hit), NPU_FAULT_RESERVED);
  EXPECT_EQ(npu_pt_walk(ops(), kHbmBytes, 0, &hit), NPU_FAULT_RANGE);
  EXPECT_EQ(npu_pt_walk(ops(), uint64_t{1} << 60, 0, &hit), NPU_FAULT_RESERVED);
  EXPECT_EQ(npu_pt_walk(ops(), root_, NPU_PT_VA_END, &hit), NPU_FAULT_RANGE);
  EXPECT_EQ(npu_pt_walk(ops(), root_, ~uint64_t{0}, &hit), NPU_FAULT_RANGE);
}

TEST_F(Hostile, EntriesWithoutValidAreNothingWhateverTheyHold) {
  EXPECT_EQ(WalkWith(l3_, ~NPU_PTE_VALID, kSplitDva), NPU_FAULT_NOT_PRESENT);
  EXPECT_EQ(WalkWith(l1_ + 8, ~NPU_PTE_VALID, kLargeDva), NPU_FAULT_NOT_PRESENT);
  EXPECT_EQ(WalkWith(split_, ~NPU_PTE_VALID, kSplitDva), NPU_FAULT_NOT_PRESENT);
}

TEST_F(Hostile, AWalkAmongRandomWordsStaysInsideAndEnds) {
  std::mt19937_64 rng(99);
  SCOPED_TRACE("seed 99");
  hbm_.set_hbm_bytes(kTablesBytes);
  std::map<int, int> seen;
  for (int round = 0; round < 20000; ++round) {
    const uint64_t slots[] = {l3_, l2_, l1_, l0_ + 8, split_};
    const uint64_t slot = slots[rng() % 5];
    uint64_t value = rng();
    if (rng() % 4) value &= 2 * kTablesBytes - 1;
    if (rng() % 2) value &= ~uint64_t{0xff8};
    if (rng() % 2) value |= NPU_PTE_VALID;
    ++seen[WalkWith(slot, value, kSplitDva + rng() % k4K)];
  }
  EXPECT_GT(seen[NPU_FAULT_NONE], 0);
  EXPECT_GT(seen[NPU_FAULT_RANGE], 0);
  EXPECT_GT(seen[NPU_FAULT_RESERVED], 0);
  EXPECT_GT(seen[NPU_FAULT_NOT_PRESENT], 0);
}

TEST(PagePermissions, EachAccessNeedsItsFlag) {
  EXPECT_TRUE(npu_pt_permits(0, NPU_ACCESS_READ));
  EXPECT_FALSE(npu_pt_permits(NPU_PTE_EXEC, NPU_ACCESS_WRITE));
  EXPECT_TRUE(npu_pt_permits(NPU_PTE_WRITE, NPU_ACCESS_WRITE));
  EXPECT_FALSE(npu_pt_permits(NPU_PTE_WRITE, NPU_ACCESS_EXEC));
  EXPECT_TRUE(npu_pt_permits(NPU_PTE_EXEC, NPU_ACCESS_EXEC));
  EXPECT_FALSE(npu_pt_permits(~uint64_t{0}, NPU_ACCESS_NONE));
}

}  // namespace
