// SPDX-License-Identifier: Apache-2.0
// Messages of a data connection between two ranks of different hosts: a header of 88 bytes and a record of what was called, which is all zeros where there is none. The payload of a small message stands
// behind them; that of a large one is no part of it: it was written straight into the receiver's slot, by a remote write that the connection keeps in order with the message. Two ranks have such a connection on each rail;
// connections have no order among each other. What comes from a peer is hostile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "libnpu/ccl/record.h"

namespace npu::ccl {

enum class MessageKind : uint8_t {
  kData = 1,    // the slot holds segment |segment| of message |sequence|
  kInline = 2,  // the same, whole, and its payload comes behind this
  kCounts = 3,  // only what each header says
  kFlush = 4,   // answer me
  kPing = 5,    // is this rail there?
  kPong = 6,
  kCut = 7,    // this side has closed the rail that the Cut behind this names
  kFrame = 8,  // a frame of the control connection comes behind this
};

// Of the record that a message carries.
enum class RecordKind : uint8_t { kNone = 0, kCollective = 1, kSend = 2, kReceive = 3 };

// Payloads up to here go inline: a copy costs less than a call.
inline constexpr uint64_t kInlineBytesMax = 32 << 10;
// Up to here what a message takes is mostly threads that wait for each other.
inline constexpr uint64_t kSmallBytesMax = 256 << 10;
constexpr bool is_large(uint64_t message_bytes) { return message_bytes > kSmallBytesMax; }

// Little endian, as all that this library runs on.
struct WireHeader {
  uint32_t magic;
  uint16_t version;
  MessageKind kind;
  RecordKind record;
  uint16_t source;
  uint16_t target;
  uint8_t rail;      // of the connection
  uint8_t segment;   // of data: which one,
  uint8_t segments;  // of how many
  uint8_t reserved;
  uint32_t epoch;     // of the connection: how often its rail was connected before
  uint32_t flushed;   // flushes that the sender of this has seen
  uint64_t sequence;  // of data, of a flush, of a ping and its pong; else 0
  uint64_t arrived;   // data messages that it has received whole, up to here all
  uint64_t taken;     // and that its device is done with
  uint64_t
      record_number;  // of the record that comes along: 1, 2, ... on all connections together; else 0
  uint64_t records_known;  // records that it has received, up to here all
  uint64_t records;        // of data: so many have to be known before it is shown
  uint32_t payload_bytes;  // of data: of the whole message; else of what comes behind
  uint32_t payload_crc;    // of the segment, or of what comes behind
  uint32_t reserved2;
  uint32_t crc;  // of header and record without this field
};
static_assert(sizeof(WireHeader) == 88);

// Behind a kCut.
struct Cut {
  uint32_t rail;
  uint32_t epoch;    // of the connection that was closed
  uint64_t arrived;  // as in headers
  uint32_t parts;    // of the messages behind those: Reassembly::parts()
  uint32_t reserved;
};
static_assert(sizeof(Cut) == 24);

struct WireMessage {
  WireHeader header;
  Record record;
};
static_assert(sizeof(WireMessage) == 128);

inline bool is_data(MessageKind kind) {
  return kind == MessageKind::kData || kind == MessageKind::kInline;
}
// Whether the payload comes behind the message.
inline bool has_tail(MessageKind kind) {
  return kind == MessageKind::kInline || kind == MessageKind::kCut || kind == MessageKind::kFrame;
}
// The bytes of the message, with what comes behind it.
inline uint64_t message_bytes(const WireHeader& header) {
  return sizeof(WireMessage) + (has_tail(header.kind) ? header.payload_bytes : 0);
}

// Completes magic, version and checksum.
void seal(WireMessage* message);
// What is wrong with what came from |source| to |target|; empty: nothing. Only with that it may be looked at. The payload's checksum is not looked at.
std::string fault_of(std::span<const std::byte> bytes, uint32_t source, uint32_t target,
                     WireMessage* out);

}  // namespace npu::ccl
