// SPDX-License-Identifier: Apache-2.0
// Messages of a data connection between two ranks of different hosts: a header of 64 bytes and a record of what was called, which is all zeros where there is none. The payload of a small message stands
// behind them; that of a large one is no part of it: it was written straight into the receiver's slot, by a remote write that the connection keeps in order with the message. What comes from a peer is
// hostile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "libnpu/ccl/record.h"

namespace npu::ccl {

enum class MessageKind : uint8_t {
  kData = 1,    // the slot holds message |sequence|
  kInline = 2,  // the same, and its payload comes behind this
  kCounts = 3,  // only what each header says
  kFlush = 4,   // answer me
};

// Of the record that a message carries.
enum class RecordKind : uint8_t { kNone = 0, kCollective = 1, kSend = 2, kReceive = 3 };

// Payloads up to here go inline: a copy costs less than a call.
inline constexpr uint64_t kInlineBytesMax = 8 << 10;

// Little endian, as all that this library runs on.
struct WireHeader {
  uint32_t magic;
  uint16_t version;
  MessageKind kind;
  RecordKind record;
  uint32_t source;
  uint32_t target;
  uint64_t sequence;       // of data and of a flush; else 0
  uint64_t arrived;        // data messages that the sender of this has received
  uint64_t taken;          // and that its device is done with
  uint64_t flushed;        // flushes that it has seen
  uint32_t records;        // that it has sent before on this connection
  uint32_t payload_bytes;  // of data
  uint32_t payload_crc;
  uint32_t crc;  // of header and record without this field
};
static_assert(sizeof(WireHeader) == 64);

struct WireMessage {
  WireHeader header;
  Record record;
};
static_assert(sizeof(WireMessage) == 104);

inline bool is_data(MessageKind kind) {
  return kind == MessageKind::kData || kind == MessageKind::kInline;
}
// The bytes of the message, with a payload that goes inline.
inline uint64_t message_bytes(const WireHeader& header) {
  return sizeof(WireMessage) + (header.kind == MessageKind::kInline ? header.payload_bytes : 0);
}

// Completes magic, version and checksum.
void seal(WireMessage* message);
// What is wrong with what came from |source| to |target|; empty: nothing. Only with that it may be looked at. The payload's checksum is not looked at.
std::string fault_of(std::span<const std::byte> bytes, uint32_t source, uint32_t target,
                     WireMessage* out);

}  // namespace npu::ccl
