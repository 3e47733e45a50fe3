// SPDX-License-Identifier: Apache-2.0
// Messages of the data connection between two ranks of different hosts: a header of 64 bytes, and behind it a record of what was called if the kind says so. The payload of a data message is no part of
// it: it was written straight into the receiver's slot, by a remote write that the connection keeps in order with the message. What comes from a peer is hostile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "libnpu/ccl/record.h"

namespace npu::ccl {

enum class MessageKind : uint16_t {
  kData = 1,        // the slot holds message |sequence|
  kCredit = 2,      // only what each header says
  kFlush = 3,       // answer me
  kCollective = 4,  // with a record
  kSend = 5,        // with a record
  kReceive = 6,     // with a record
};

// Little endian, as all that this library runs on.
struct WireHeader {
  uint32_t magic;
  uint16_t version;
  uint16_t kind;
  uint32_t source;
  uint32_t target;
  uint64_t sequence;       // of data and of a flush; else 0
  uint64_t arrived;        // data messages that the sender of this has received
  uint64_t taken;          // and that its device is done with
  uint64_t flushed;        // flushes that it has seen
  uint32_t records;        // that it has sent before on this connection
  uint32_t payload_bytes;  // of data
  uint32_t payload_crc;
  uint32_t crc;  // of the message without this field
};
static_assert(sizeof(WireHeader) == 64);

struct WireMessage {
  WireHeader header;
  Record record;
};
static_assert(sizeof(WireMessage) == 104);

// The bytes of a message of this kind; 0: there is no such kind.
uint32_t message_bytes(uint16_t kind);
inline bool has_record(MessageKind kind) { return kind >= MessageKind::kCollective; }

// Completes magic, version and checksum.
void seal(WireMessage* message);
// What is wrong with what came from |source| to |target|; empty: nothing. Only with that it may be looked at.
std::string fault_of(std::span<const std::byte> bytes, uint32_t source, uint32_t target,
                     WireMessage* out);

}  // namespace npu::ccl
