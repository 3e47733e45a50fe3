// SPDX-License-Identifier: Apache-2.0
// Messages in pieces: how they are cut, and how they are put together from what comes in any order, from a peer that may lie.
#include "libnpu/ccl/segments.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "libnpu/ccl/peer_link.h"
#include "tests/support/rng.h"

namespace npu::ccl {
namespace {

constexpr uint64_t kRoom = 1 << 20;

TEST(PieceTest, PiecesLieSideBySideAndBeginAtPages) {
  for (const uint64_t bytes :
       {kCutBytesMin, kCutBytesMin + 1, kCutBytesMin + 4095, kRoom - 1, kRoom}) {
    for (uint32_t count = 1; count <= kRailsMax; count++) {
      uint64_t at = 0;
      for (uint32_t i = 0; i < count; i++) {
        const Piece piece = piece_of(bytes, i, count);
        EXPECT_EQ(piece.offset, at);
        EXPECT_EQ(piece.offset % 4096, 0u);
        EXPECT_GE(piece.bytes + 2 * 4096, bytes / count);
        EXPECT_LE(piece.bytes, bytes / count + 4096);
        at += piece.bytes;
      }
      EXPECT_EQ(at, bytes) << bytes << " in " << count;
    }
  }
}

TEST(PieceTest, OnlyLargeMessagesAreCut) {
  EXPECT_EQ(pieces_of(0, 8), 1u);
  EXPECT_EQ(pieces_of(kCutBytesMin - 1, 8), 1u);
  EXPECT_EQ(pieces_of(kCutBytesMin, 8), 8u);
  EXPECT_EQ(pieces_of(kRoom, 1), 1u);
  // Also of what a liar says.
  EXPECT_EQ(piece_of(0, 0, 1).bytes, 0u);
  EXPECT_EQ(piece_of(4096, 3, 8).bytes, 0u);
  EXPECT_EQ(piece_of(4096, 7, 8).bytes, 4096u);
}

Segment segment(uint64_t sequence, uint32_t index, uint32_t count, uint64_t records = 0) {
  return {sequence, 256 << 10, index, count, records};
}

std::string fault_of(const Reassembly& reassembly, const Segment& segment) {
  return reassembly.fault_of(segment, kSlots, kRoom);
}

TEST(ReassemblyTest, MessagesArriveWholeAndInTheirOrder) {
  Reassembly reassembly;
  EXPECT_FALSE(reassembly.add(segment(2, 1, 2)));
  EXPECT_TRUE(reassembly.add(segment(2, 0, 2)));
  EXPECT_FALSE(reassembly.advance(0));
  EXPECT_FALSE(reassembly.add(segment(1, 0, 2)));
  EXPECT_EQ(reassembly.parts(), 0x00000301u);
  EXPECT_FALSE(reassembly.advance(0));
  EXPECT_TRUE(reassembly.add(segment(1, 1, 2)));
  EXPECT_TRUE(reassembly.advance(0));
  EXPECT_EQ(reassembly.arrived(), 2u);
  EXPECT_EQ(reassembly.parts(), 0u);
}

TEST(ReassemblyTest, AMessageWaitsForItsRecords) {
  Reassembly reassembly;
  EXPECT_TRUE(reassembly.add(segment(1, 0, 1, 3)));
  EXPECT_TRUE(reassembly.add(segment(2, 0, 1, 1)));
  EXPECT_FALSE(reassembly.advance(2));
  EXPECT_EQ(reassembly.arrived(), 0u);
  EXPECT_TRUE(reassembly.advance(3));
  EXPECT_EQ(reassembly.arrived(), 2u);
}

TEST(ReassemblyTest, LiesAreFaults) {
  Reassembly reassembly;
  reassembly.add(segment(1, 0, 1));
  reassembly.advance(0);
  reassembly.add(segment(2, 0, 2));
  EXPECT_EQ(fault_of(reassembly, segment(2, 1, 2)), "");
  EXPECT_EQ(fault_of(reassembly, segment(3, 7, 8)), "");
  EXPECT_EQ(fault_of(reassembly, segment(1, 0, 1)), "message 1 where message 2 comes next");
  EXPECT_EQ(fault_of(reassembly, segment(0, 0, 1)), "message 0 where message 2 comes next");
  EXPECT_EQ(fault_of(reassembly, segment(6, 0, 1)), "message 6 where message 2 comes next");
  EXPECT_EQ(fault_of(reassembly, segment(UINT64_MAX, 0, 1)),
            "message " + std::to_string(UINT64_MAX) + " where message 2 comes next");
  EXPECT_EQ(fault_of(reassembly, segment(5, 0, 1)), "a message for which there is no room");
  Segment large = segment(3, 0, 1);
  large.bytes = kRoom + 1;
  EXPECT_EQ(fault_of(reassembly, large), "a message for which there is no room");
  for (const auto& [index, count] : {std::pair{0u, 0u}, {1u, 1u}, {8u, 8u}, {0u, 9u}}) {
    EXPECT_EQ(fault_of(reassembly, segment(3, index, count)), "message 3 in pieces that cannot be");
  }
  EXPECT_EQ(fault_of(reassembly, segment(2, 0, 2)), "message 2 in part twice");
  EXPECT_EQ(fault_of(reassembly, segment(2, 1, 3)), "message 2 in pieces that differ");
  EXPECT_EQ(fault_of(reassembly, segment(2, 1, 2, 9)), "message 2 in pieces that differ");
  Segment shorter = segment(2, 1, 2);
  shorter.bytes--;
  EXPECT_EQ(fault_of(reassembly, shorter), "message 2 in pieces that differ");
}

TEST(ReassemblyTest, AnyOrderGivesAllMessages) {
  const uint64_t seed = 20261127;
  test::Rng rng(seed);
  Reassembly reassembly;
  uint64_t begun = 0;
  std::vector<Segment> on_their_way;
  while (reassembly.arrived() < 1000) {
    while (begun < reassembly.arrived() + kSlots) {
      const auto count = static_cast<uint32_t>(1 + rng.below(kRailsMax));
      begun++;
      for (uint32_t i = 0; i < count; i++) on_their_way.push_back(segment(begun, i, count));
    }
    std::swap(on_their_way[rng.below(on_their_way.size())], on_their_way.back());
    const Segment next = on_their_way.back();
    on_their_way.pop_back();
    ASSERT_EQ(reassembly.fault_of(next, reassembly.arrived() + kSlots, kRoom), "")
        << "seed " << seed;
    reassembly.add(next);
    ASSERT_NE(reassembly.fault_of(next, reassembly.arrived() + kSlots, kRoom), "")
        << "seed " << seed;
    reassembly.advance(0);
    const auto is_before = [&](const Segment& s) { return s.sequence <= reassembly.arrived(); };
    ASSERT_TRUE(std::none_of(on_their_way.begin(), on_their_way.end(), is_before));
  }
}

TEST(PeerLinkTest, OnlyWhatWasSubmittedIsWaitedFor) {
  PeerLink link;
  EXPECT_FALSE(link.awaits_message(0));
  for (int i = 0; i < 3; i++) link.takes.push_back({Mark{}, false});
  EXPECT_TRUE(link.awaits_message(0));
  EXPECT_TRUE(link.awaits_message(2));
  // The fourth one has come before its operation was called.
  EXPECT_FALSE(link.awaits_message(3));
  // What the other side knows is forgotten, and changes nothing.
  link.told.taken = 2;
  EXPECT_FALSE(link.next_credit());
  EXPECT_EQ(link.takes.size(), 1u);
  EXPECT_TRUE(link.awaits_message(2));
  EXPECT_FALSE(link.awaits_message(3));
}

TEST(PeerLinkTest, ASlotIsWaitedForByWhatComesBehindAllSlots) {
  PeerLink link;
  for (uint64_t i = 0; i < kSlots; i++) link.sends.push_back({1, Mark{}, nullptr});
  EXPECT_FALSE(link.awaits_slot(0));
  link.sends.push_back({1, Mark{}, nullptr});
  EXPECT_TRUE(link.awaits_slot(0));
  EXPECT_FALSE(link.awaits_slot(1));
  // The first ones were begun.
  link.sends.pop_front();
  link.next++;
  EXPECT_TRUE(link.awaits_slot(0));
  EXPECT_FALSE(link.awaits_slot(1));
}

TEST(PeerLinkTest, CreditIsToldForHalfOfTheSlotsAndForALargeMessageAtOnce) {
  PeerLink link;
  link.takes.push_back({Mark{}, false});
  EXPECT_FALSE(link.next_credit());
  link.takes.push_back({Mark{}, false});
  ASSERT_TRUE(link.next_credit());
  EXPECT_EQ(link.next_credit()->taken, kSlots / 2);
  link.told.taken = 2;
  link.takes.push_back({Mark{}, true});
  ASSERT_TRUE(link.next_credit());
  EXPECT_EQ(link.next_credit()->taken, 3u);
}

TEST(RecordWindowTest, RecordsComeOnceAndInTheirOrder) {
  RecordWindow window;
  const auto entry = [](uint64_t number) {
    return RecordWindow::Entry{RecordKind::kSend, Record{number, 0, 0, 0, 0, 0, 0}};
  };
  EXPECT_TRUE(window.add(2, entry(2)));
  EXPECT_FALSE(window.take());
  EXPECT_TRUE(window.add(1, entry(1)));
  for (const uint64_t number : {1u, 2u}) {
    const auto taken = window.take();
    ASSERT_TRUE(taken);
    EXPECT_EQ(taken->record.sequence, number);
  }
  EXPECT_FALSE(window.take());
  // Again, after a rail was lost.
  EXPECT_TRUE(window.add(2, entry(2)));
  EXPECT_FALSE(window.take());
  EXPECT_EQ(window.known(), 2u);
  EXPECT_TRUE(window.add(2 + RecordWindow::kRecords, entry(0)));
  EXPECT_FALSE(window.add(3 + RecordWindow::kRecords, entry(0)));
}

}  // namespace
}  // namespace npu::ccl
