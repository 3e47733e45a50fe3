// SPDX-License-Identifier: Apache-2.0
#include "libnpu/src/core/handle.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <thread>
#include <vector>

namespace npu {
namespace {

class Thing final : public Object {
 public:
  explicit Thing(Kind kind = Kind::kEvent) : Object(kind) {}
  uint64_t payload = 0x5eed;

 private:
  ~Thing() override { payload = 0; }
};

Ref<Object> make_thing(Kind kind = Kind::kEvent) { return Ref<Object>::adopt(new Thing(kind)); }

TEST(HandleTableTest, FindsLiveHandlesOfTheRightKindOnly) {
  HandleTable table(1);
  const uint64_t handle = table.insert(make_thing());
  HandleTable::Slot* slot = table.pin(handle, Kind::kEvent);
  ASSERT_NE(slot, nullptr);
  EXPECT_EQ(slot->object->handle(), handle);
  EXPECT_EQ(table.ending_count(), 1u);
  table.unpin(slot);
  EXPECT_EQ(table.pin(handle, Kind::kQueue), nullptr);
  EXPECT_TRUE(table.remove(handle, Kind::kEvent));
  EXPECT_EQ(table.pin(handle, Kind::kEvent), nullptr);
  EXPECT_FALSE(table.remove(handle, Kind::kEvent));
  EXPECT_EQ(Object::live_count(), 0);
}

TEST(HandleTableTest, APinKeepsTheObjectOfARemovedHandle) {
  HandleTable table(1);
  const uint64_t handle = table.insert(make_thing());
  HandleTable::Slot* slot = table.pin(handle, Kind::kEvent);
  table.remove(handle, Kind::kEvent);
  EXPECT_EQ(Object::live_count(), 1);
  EXPECT_EQ(static_cast<Thing*>(slot->object)->payload, 0x5eedu);
  table.unpin(slot);
  EXPECT_EQ(Object::live_count(), 0);
}

TEST(HandleTableTest, ReusedSlotsGiveNewHandles) {
  HandleTable table(1);
  std::set<uint64_t> seen;
  for (int i = 0; i < 10'000; i++) {
    const uint64_t handle = table.insert(make_thing());
    ASSERT_TRUE(seen.insert(handle).second);
    ASSERT_TRUE(table.remove(handle, Kind::kEvent));
  }
}

TEST(HandleTableTest, TablesOfDifferentInstancesShareNoHandles) {
  HandleTable parent(1);
  HandleTable child(2);
  for (int i = 0; i < 100; i++) {
    const uint64_t handle = parent.insert(make_thing());
    EXPECT_EQ(child.pin(handle, Kind::kEvent), nullptr);
    parent.remove(handle, Kind::kEvent);
  }
  std::vector<uint64_t> handles;
  for (int i = 0; i < 100; i++) handles.push_back(child.insert(make_thing()));
  for (const uint64_t handle : handles) {
    EXPECT_EQ(parent.pin(handle, Kind::kEvent), nullptr);
    child.remove(handle, Kind::kEvent);
  }
}

TEST(HandleTableTest, RandomNumbersAreNoHandles) {
  HandleTable table(3);
  std::vector<uint64_t> handles;
  for (int i = 0; i < 5000; i++) handles.push_back(table.insert(make_thing()));
  std::mt19937_64 random(1);
  for (int i = 0; i < 100'000; i++) EXPECT_EQ(table.pin(random(), Kind::kEvent), nullptr);
  // One wrong bit is no other object either.
  for (const uint64_t handle : handles) {
    for (int bit = 0; bit < 64; bit++)
      ASSERT_EQ(table.pin(handle ^ uint64_t{1} << bit, Kind::kEvent), nullptr);
  }
  for (const uint64_t handle : handles) table.remove(handle, Kind::kEvent);
}

TEST(HandleTableTest, ThreadsMayRaceForEverything) {
  HandleTable table(1);
  std::atomic<uint64_t> shared{table.insert(make_thing())};
  std::atomic<uint64_t> pinned{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; t++) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 5000; i++) {
        const uint64_t handle = shared.load();
        if (t == 0 && i % 4 == 0) {
          table.remove(handle, Kind::kEvent);
          shared = table.insert(make_thing());
        } else if (HandleTable::Slot* slot = table.pin(handle, Kind::kEvent); slot != nullptr) {
          if (static_cast<Thing*>(slot->object)->payload == 0x5eed) pinned++;
          table.unpin(slot);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(pinned, 0u);
  table.remove(shared, Kind::kEvent);
  EXPECT_EQ(table.ending_count(), 0u);
  EXPECT_EQ(Object::live_count(), 0);
}

}  // namespace
}  // namespace npu
