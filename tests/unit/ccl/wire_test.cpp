// SPDX-License-Identifier: Apache-2.0
// Messages between hosts, and their checksum.
#include "libnpu/ccl/wire.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <vector>

#include "libnpu/ccl/checksum.h"
#include "libnpu/ccl/network.h"

namespace npu::ccl {
namespace {

WireMessage message_of(MessageKind kind) {
  WireMessage message{};
  message.header.kind = kind;
  message.header.record = RecordKind::kSend;
  message.header.record_number = 9;
  message.header.source = 1;
  message.header.target = 2;
  message.header.sequence = 77;
  message.record.count = 5;
  seal(&message);
  return message;
}

std::span<const std::byte> bytes_of(const WireMessage& message) {
  return std::as_bytes(std::span(&message, 1)).first(sizeof(message));
}

// Bit by bit.
uint32_t crc_of_definition(std::span<const std::byte> bytes) {
  uint32_t crc = UINT32_MAX;
  for (const std::byte byte : bytes) {
    crc ^= static_cast<uint8_t>(byte);
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78 : 0);
  }
  return ~crc;
}

// RFC 3720, appendix B.4.
TEST(ChecksumTest, IsThatOfIscsi) {
  std::array<std::byte, 32> bytes{};
  EXPECT_EQ(crc32c(bytes), 0x8a9136aau);
  bytes.fill(std::byte{0xff});
  EXPECT_EQ(crc32c(bytes), 0x62a8ab43u);
  for (size_t i = 0; i < bytes.size(); i++) bytes[i] = static_cast<std::byte>(i);
  EXPECT_EQ(crc32c(bytes), 0x46dd794eu);
  EXPECT_EQ(crc32c({}), 0u);
}

TEST(ChecksumTest, HoldsForAllSizesAndPlaces) {
  std::vector<std::byte> bytes(40'000);
  for (size_t i = 0; i < bytes.size(); i++) bytes[i] = static_cast<std::byte>(i * i >> 5);
  for (size_t size = 0; size + 8 < bytes.size(); size += 1 + size / 64) {
    const std::span piece(bytes.data() + size % 8, size);
    ASSERT_EQ(crc32c(piece), crc_of_definition(piece)) << size;
  }
}

TEST(WireTest, WhatWasSealedIsRead) {
  for (auto kind : {MessageKind::kData, MessageKind::kCounts, MessageKind::kFlush}) {
    const WireMessage message = message_of(kind);
    WireMessage read;
    EXPECT_EQ(fault_of(bytes_of(message), 1, 2, &read), "");
    EXPECT_EQ(read.header.sequence, 77u);
    EXPECT_EQ(read.record.count, 5u);
  }
}

TEST(WireTest, EachBitCounts) {
  for (auto kind : {MessageKind::kData, MessageKind::kCounts}) {
    const WireMessage message = message_of(kind);
    const std::span<const std::byte> bytes = bytes_of(message);
    for (size_t bit = 0; bit < bytes.size() * 8; bit++) {
      std::vector<std::byte> bad(bytes.begin(), bytes.end());
      bad[bit / 8] ^= std::byte(1 << bit % 8);
      WireMessage read;
      EXPECT_NE(fault_of(bad, 1, 2, &read), "") << "bit " << bit;
    }
  }
}

TEST(WireTest, OfAnotherSizeVersionOrPlaceIsAFault) {
  WireMessage message = message_of(MessageKind::kData), read;
  EXPECT_NE(fault_of(bytes_of(message), 2, 1, &read), "");
  EXPECT_NE(fault_of(bytes_of(message).first(sizeof(WireMessage) - 1), 1, 2, &read), "");
  EXPECT_NE(fault_of({}, 1, 2, &read), "");
  message.header.version++;
  EXPECT_NE(fault_of(bytes_of(message), 1, 2, &read).find("version"), std::string::npos);
}

// What a peer that knows the checksum may try.
TEST(WireTest, WhatIsSealedButNotOfThisVersionIsAFault) {
  const auto fault_with = [](const auto& change) {
    WireMessage message = message_of(MessageKind::kPing), read;
    change(message.header);
    seal(&message);
    return fault_of(bytes_of(message), 1, 2, &read);
  };
  EXPECT_EQ(fault_with([](WireHeader&) {}), "");
  EXPECT_NE(fault_with([](WireHeader& h) { h.kind = static_cast<MessageKind>(9); }), "");
  EXPECT_NE(fault_with([](WireHeader& h) { h.kind = static_cast<MessageKind>(0); }), "");
  EXPECT_NE(fault_with([](WireHeader& h) { h.record = static_cast<RecordKind>(4); }), "");
  EXPECT_NE(fault_with([](WireHeader& h) { h.record_number = 0; }), "");
  EXPECT_NE(fault_with([](WireHeader& h) { h.record = RecordKind::kNone; }), "");
  EXPECT_NE(fault_with([](WireHeader& h) { h.reserved = 1; }), "");
  EXPECT_NE(fault_with([](WireHeader& h) { h.reserved2 = 1; }), "");
}

TEST(WireTest, ACutHasItsSize) {
  WireMessage message = message_of(MessageKind::kCut), read;
  for (const uint32_t bytes : {0u, 1u, 23u, 24u, 25u}) {
    message.header.payload_bytes = bytes;
    seal(&message);
    std::vector<std::byte> all(sizeof(message) + bytes);
    std::memcpy(all.data(), &message, sizeof(message));
    EXPECT_EQ(fault_of(all, 1, 2, &read).empty(), bytes == sizeof(Cut)) << bytes;
  }
}

TEST(WireTest, APayloadThatGoesInlineHasTheSizeThatTheHeaderSays) {
  WireMessage message = message_of(MessageKind::kInline), read;
  message.header.payload_bytes = 16;
  seal(&message);
  std::vector<std::byte> bytes(sizeof(message) + 17);
  std::memcpy(bytes.data(), &message, sizeof(message));
  EXPECT_EQ(fault_of(std::span(bytes).first(sizeof(message) + 16), 1, 2, &read), "");
  EXPECT_NE(fault_of(std::span(bytes).first(sizeof(message) + 15), 1, 2, &read), "");
  EXPECT_NE(fault_of(bytes, 1, 2, &read), "");
}

TEST(FaultTest, TheTextIsReadWholeOrNotAtAll) {
  const auto fault = parse_fault("sequence:3:17");
  ASSERT_TRUE(fault);
  EXPECT_EQ(fault->kind, Fault::Kind::kSequence);
  EXPECT_EQ(fault->rank, 3u);
  EXPECT_EQ(fault->number, 17u);
  for (const char* bad : {"", "payload", "payload:1", "none:1:1", "payload:x:1", "payload:1:"}) {
    EXPECT_FALSE(parse_fault(bad)) << bad;
  }
}

}  // namespace
}  // namespace npu::ccl
