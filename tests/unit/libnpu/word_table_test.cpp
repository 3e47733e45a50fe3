// SPDX-License-Identifier: Apache-2.0
#include "libnpu/src/backend/word_table.h"

#include <gtest/gtest.h>

#include <cstddef>

#include "uapi/npu_queue.h"

namespace npu {
namespace {

constexpr uint64_t kToken = 1ull << 40;
constexpr uint64_t kBytes = 16 * NPU_CTRL_BYTES;

class WordTableTest : public ::testing::Test {
 protected:
  // Nothing is read through these addresses.
  static const void* at(uint64_t offset, uint64_t base = 0x7000'0000'0000) {
    return reinterpret_cast<const void*>(base + offset);
  }
  WordTable table_;
  WordPlace place_;
};

TEST_F(WordTableTest, FindsTheWordOfAQueue) {
  table_.add_object(7, kToken);
  table_.add_mapping(kToken, at(0), kBytes);
  table_.add_queue(3, 7, 0);
  ASSERT_TRUE(table_.find(at(offsetof(npu_queue_ctrl, completed)), &place_));
  EXPECT_EQ(place_.handle, 7u);
  EXPECT_EQ(place_.queue_id, 3u);
  EXPECT_EQ(place_.offset, offsetof(npu_queue_ctrl, completed));
  EXPECT_EQ(place_.ctrl_offset, 0u);
  EXPECT_TRUE(table_.find(at(NPU_CTRL_BYTES - 8), &place_));
  EXPECT_FALSE(table_.find(at(NPU_CTRL_BYTES), &place_)) << "records are no words of the queue";
  EXPECT_FALSE(table_.find(at(kBytes), &place_));
  EXPECT_FALSE(table_.find(at(0, 0x1000), &place_));
}

TEST_F(WordTableTest, QueuesOfOneObjectAreToldApart) {
  table_.add_object(7, kToken);
  table_.add_mapping(kToken, at(0), kBytes);
  table_.add_queue(3, 7, 0);
  table_.add_queue(4, 7, 8 * NPU_CTRL_BYTES);
  ASSERT_TRUE(table_.find(at(8 * NPU_CTRL_BYTES + 64), &place_));
  EXPECT_EQ(place_.queue_id, 4u);
  EXPECT_EQ(place_.ctrl_offset, 8u * NPU_CTRL_BYTES);
  ASSERT_TRUE(table_.find(at(64), &place_));
  EXPECT_EQ(place_.queue_id, 3u);
  table_.remove_queue(3);
  EXPECT_FALSE(table_.find(at(64), &place_));
  EXPECT_TRUE(table_.find(at(8 * NPU_CTRL_BYTES + 64), &place_));
}

TEST_F(WordTableTest, ADestroyedQueueIsNotFoundAndItsIdMayComeAgain) {
  table_.add_object(7, kToken);
  table_.add_object(8, kToken + 1);
  table_.add_mapping(kToken, at(0), kBytes);
  table_.add_mapping(kToken + 1, at(kBytes), kBytes);
  table_.add_queue(3, 7, 0);
  table_.remove_queue(3);
  table_.remove_queue(3);
  EXPECT_FALSE(table_.find(at(64), &place_));
  table_.add_queue(3, 8, 0);
  EXPECT_FALSE(table_.find(at(64), &place_)) << "the old word is no word of the new queue";
  ASSERT_TRUE(table_.find(at(kBytes + 64), &place_));
  EXPECT_EQ(place_.handle, 8u);
}

TEST_F(WordTableTest, AMappingOverAnOldOneReplacesIt) {
  table_.add_object(7, kToken);
  table_.add_mapping(kToken, at(0), kBytes);
  table_.add_queue(3, 7, 0);
  // The object was unmapped, which nobody tells; another object took its addresses, shifted by a page.
  table_.add_object(8, kToken + 1);
  table_.add_mapping(kToken + 1, at(NPU_CTRL_BYTES), kBytes);
  table_.add_queue(4, 8, 0);
  EXPECT_FALSE(table_.find(at(64), &place_));
  ASSERT_TRUE(table_.find(at(NPU_CTRL_BYTES + 64), &place_));
  EXPECT_EQ(place_.handle, 8u);
  table_.remove_object(7);
  EXPECT_TRUE(table_.find(at(NPU_CTRL_BYTES + 64), &place_)) << "7 had lost its range before";
}

TEST_F(WordTableTest, MemoryWithoutWordsIsUnknownButTakesItsPlace) {
  table_.add_object(7, kToken);
  table_.add_mapping(kToken, at(0), kBytes);
  table_.add_queue(3, 7, 0);
  table_.add_mapping(0x999, at(0), kBytes);
  EXPECT_FALSE(table_.find(at(64), &place_));
}

TEST_F(WordTableTest, AClosedObjectIsForgotten) {
  table_.add_object(7, kToken);
  table_.add_mapping(kToken, at(0), kBytes);
  table_.add_queue(3, 7, 0);
  table_.remove_object(7);
  table_.remove_object(7);
  EXPECT_FALSE(table_.find(at(64), &place_));
  table_.add_mapping(kToken, at(0), kBytes);
  EXPECT_FALSE(table_.find(at(64), &place_));
}

}  // namespace
}  // namespace npu
