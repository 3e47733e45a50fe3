// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target: the stream of frames that a rank reads from its peers, the messages of data connections, the pieces of messages, and the text of NPU_CCL_ID. Whatever comes, and in whatever pieces: a frame has its kind's size and texts that end, or the
// stream is refused; the same bytes in other pieces give the same frames.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <string_view>
#include <vector>

#include "libnpu/ccl/frame.h"
#include "libnpu/ccl/id.h"
#include "libnpu/ccl/segments.h"
#include "libnpu/ccl/wire.h"

namespace {

using namespace npu::ccl;

void require(bool condition) {
  if (!condition) std::abort();
}

template <size_t kSize>
void require_end(const char (&text)[kSize]) {
  require(std::memchr(text, 0, kSize) != nullptr);
}

void look_at(const Frame& frame) {
  require(payload_bytes(static_cast<uint16_t>(frame.kind)) == frame.payload.size());
  switch (frame.kind) {
    case FrameKind::kHello:
      return require_end(frame.as<Hello>().name.unix_name);
    case FrameKind::kWelcome: {
      const auto welcome = frame.as<Welcome>();
      for (const Name& name : welcome.names) require_end(name.unix_name);
      return;
    }
    case FrameKind::kRefuse:
      return require_end(frame.as<Refuse>().notice.text);
    case FrameKind::kFail:
      return require_end(frame.as<Notice>().text);
    case FrameKind::kExchange: {
      const auto exchange = frame.as<Exchange>();
      const std::optional<Address> address = read_id(exchange.id);
      return require(!address || is_valid(address->at));
    }
    case FrameKind::kWindow: {
      const auto offer = frame.as<WindowOffer>();
      require_end(offer.text);
      return require(!is_valid(offer) || offer.offset_bytes + offer.size_bytes >= offer.size_bytes);
    }
    case FrameKind::kWindowVerdict:
      return require_end(frame.as<WindowVerdict>().text);
    default:
      return;
  }
}

// The number of frames until the stream ends or is refused.
size_t read_stream(const uint8_t* data, size_t size, size_t piece_max) {
  FrameReader reader;
  size_t frames = 0;
  for (size_t at = 0; at < size;) {
    const std::span<std::byte> room = reader.room();
    require(!room.empty() && room.size() <= FrameReader::kBytesMax);
    const size_t piece = std::min({room.size(), size - at, piece_max});
    std::memcpy(room.data(), data + at, piece);
    at += piece;
    if (!reader.filled(piece)) return frames;
    if (const std::optional<Frame> frame = reader.take()) {
      look_at(*frame);
      frames++;
    }
  }
  return frames;
}

bool is_well_formed(const WireHeader& header, size_t size) {
  return header.kind >= MessageKind::kData && header.kind <= MessageKind::kFrame &&
         header.record <= RecordKind::kReceive &&
         (header.record == RecordKind::kNone) == (header.record_number == 0) &&
         header.reserved == 0 && header.reserved2 == 0 && message_bytes(header) == size &&
         (header.kind != MessageKind::kCut || header.payload_bytes == sizeof(Cut));
}

// All headers in the bytes, one after the other, as those of one peer: whatever they say, no piece lies outside of its slot, and no message counts as arrived that is not whole.
void look_at_segments(const uint8_t* data, size_t size) {
  constexpr uint64_t kSlotBytes = 256 << 10;
  Reassembly reassembly;
  std::vector<std::vector<uint64_t>> have(kSlots);  // bytes of each piece
  for (size_t at = 0; at + sizeof(WireHeader) <= size; at += sizeof(WireHeader)) {
    WireHeader header;
    std::memcpy(&header, data + at, sizeof(header));
    // Few of the numbers that there are would do.
    const Segment segment{header.sequence % 16, header.payload_bytes % (2 * kSlotBytes),
                          header.segment, header.segments, header.records % 4};
    if (!reassembly.fault_of(segment, reassembly.arrived() + kSlots, kSlotBytes).empty()) continue;
    const Piece piece = piece_of(segment.bytes, segment.index, segment.count);
    require(piece.offset <= kSlotBytes && piece.bytes <= kSlotBytes - piece.offset);
    const bool is_whole = reassembly.add(segment);
    std::vector<uint64_t>& pieces = have[segment.sequence % kSlots];
    pieces.push_back(piece.bytes);
    require(is_whole == (pieces.size() == segment.count));
    if (is_whole) {
      require(std::accumulate(pieces.begin(), pieces.end(), uint64_t{0}) == segment.bytes);
    }
    const uint64_t before = reassembly.arrived();
    reassembly.advance(2);
    require(reassembly.arrived() <= before + kSlots);
    for (uint64_t i = before + 1; i <= reassembly.arrived(); i++) have[i % kSlots].clear();
  }
}

// As it is, and with a seal that is right, so that the checks behind it are reached.
void look_at_message(const uint8_t* data, size_t size) {
  WireMessage message{}, again;
  const auto bytes = std::as_bytes(std::span(data, size));
  const bool good = fault_of(bytes, 0, 1, &message).empty();
  require(!good || (is_well_formed(message.header, size) && message.header.target == 1));
  if (size < sizeof(message)) return;
  std::memcpy(&message, data, sizeof(message));
  seal(&message);
  std::vector<std::byte> sealed(bytes.begin(), bytes.end());
  std::memcpy(sealed.data(), &message, sizeof(message));
  const bool fits = is_well_formed(message.header, size) && message.header.source == 0 &&
                    message.header.target == 1;
  require(fault_of(sealed, 0, 1, &again).empty() == fits);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const size_t frames = read_stream(data, size, SIZE_MAX);
  require(read_stream(data, size, 1) == frames);
  require(read_stream(data, size, 7) == frames);
  look_at_message(data, size);
  look_at_segments(data, size);
  const auto address = parse_id_text(std::string_view(reinterpret_cast<const char*>(data), size));
  require(!address || (is_valid(address->at) && parse_address(address->at.text()) == address->at));
  return 0;
}
