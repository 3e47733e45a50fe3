// SPDX-License-Identifier: Apache-2.0
#include "libnpu/ccl/wire.h"

#include <cstring>

#include "libnpu/ccl/checksum.h"

namespace npu::ccl {
namespace {

constexpr uint32_t kMagic = 0x6463706e;
constexpr uint16_t kVersion = 3;

uint32_t crc_of(const WireMessage& message) {
  WireMessage copy = message;
  copy.header.crc = 0;
  return crc32c(std::as_bytes(std::span(&copy, 1)));
}

bool is_known(const WireHeader& header) {
  if (header.kind < MessageKind::kData || header.kind > MessageKind::kFrame) return false;
  if (header.record > RecordKind::kReceive) return false;
  if ((header.record == RecordKind::kNone) != (header.record_number == 0)) return false;
  if (header.reserved != 0 || header.reserved2 != 0) return false;
  return header.kind != MessageKind::kCut || header.payload_bytes == sizeof(Cut);
}

}  // namespace

void seal(WireMessage* message) {
  message->header.magic = kMagic;
  message->header.version = kVersion;
  message->header.crc = crc_of(*message);
}

std::string fault_of(std::span<const std::byte> bytes, uint32_t source, uint32_t target,
                     WireMessage* out) {
  *out = {};
  if (bytes.size() < sizeof(WireMessage)) {
    return "a message of " + std::to_string(bytes.size()) + " bytes";
  }
  std::memcpy(out, bytes.data(), sizeof(WireMessage));
  const WireHeader& header = out->header;
  if (header.magic != kMagic) return "what is no message";
  if (header.version != kVersion) {
    return "a message of version " + std::to_string(header.version) + ", this library has " +
           std::to_string(kVersion);
  }
  if (!is_known(header) || message_bytes(header) != bytes.size()) {
    return "a message whose kind and size differ";
  }
  if (header.crc != crc_of(*out)) return "a message whose checksum is wrong";
  if (header.source != source || header.target != target) return "a message for somebody else";
  return "";
}

}  // namespace npu::ccl
