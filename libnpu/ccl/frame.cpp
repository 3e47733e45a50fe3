// SPDX-License-Identifier: Apache-2.0
// Making and reading frames.
#include "libnpu/ccl/frame.h"

#include <algorithm>

namespace npu::ccl {
namespace {

constexpr uint32_t kMagic = 0x6c63706e;
constexpr uint16_t kVersion = 5;

struct Header {
  uint32_t magic;
  uint16_t version;
  uint16_t kind;
  uint32_t payload_bytes;
  uint32_t reserved;
};
static_assert(sizeof(Header) == 16);
static_assert(sizeof(Header) + sizeof(Welcome) <= FrameReader::kBytesMax);
static_assert(sizeof(Header) + sizeof(Join) <= FrameReader::kBytesMax);

// The last byte of each text.
void end_texts(Frame* frame) {
  std::byte* bytes = frame->payload.data();
  const auto end = [&](size_t at) { bytes[at] = std::byte{0}; };
  switch (frame->kind) {
    case FrameKind::kHello:
      end(offsetof(Hello, name) + sizeof(Name::unix_name) - 1);
      break;
    case FrameKind::kWelcome:
      for (size_t i = 0; i < NPU_CCL_RANKS_MAX; i++) {
        end(offsetof(Welcome, names) + i * sizeof(Name) + sizeof(Name::unix_name) - 1);
      }
      break;
    case FrameKind::kRefuse:
      end(sizeof(Refuse) - 1);
      break;
    case FrameKind::kFail:
      end(sizeof(Notice) - 1);
      break;
    case FrameKind::kWindow:
      end(sizeof(WindowOffer) - 1);
      break;
    case FrameKind::kWindowVerdict:
      end(sizeof(WindowVerdict) - 1);
      break;
    default:
      break;
  }
}

}  // namespace

bool is_valid(const Landings& landings) {
  if (landings.count == 0 || landings.count > kRailsMax) return false;
  return std::all_of(landings.rails.begin(), landings.rails.begin() + landings.count,
                     [](const Landing& landing) { return is_valid(landing.endpoint); });
}

static bool is_known(WindowState state) {
  return state >= WindowState::kShared && state <= WindowState::kRefused;
}

bool is_valid(const WindowOffer& offer) {
  return is_known(offer.state) && offer.reserved == 0 && offer.sequence != 0 &&
         offer.offset_bytes <= UINT64_MAX - offer.size_bytes;
}

bool is_valid(const WindowVerdict& verdict) {
  return is_known(verdict.state) && verdict.reserved == 0 && verdict.sequence != 0;
}

std::optional<uint32_t> payload_bytes(uint16_t kind) {
  switch (static_cast<FrameKind>(kind)) {
    case FrameKind::kHello:
      return sizeof(Hello);
    case FrameKind::kWelcome:
      return sizeof(Welcome);
    case FrameKind::kRefuse:
      return sizeof(Refuse);
    case FrameKind::kFail:
      return sizeof(Notice);
    case FrameKind::kPeer:
      return sizeof(PeerHello);
    case FrameKind::kBye:
      return sizeof(Bye);
    case FrameKind::kExchange:
      return sizeof(Exchange);
    case FrameKind::kChallenge:
      return sizeof(Challenge);
    case FrameKind::kJoin:
      return sizeof(Join);
    case FrameKind::kJoined:
      return sizeof(Joined);
    case FrameKind::kPing:
    case FrameKind::kPong:
      return sizeof(Ping);
    case FrameKind::kWindow:
      return sizeof(WindowOffer);
    case FrameKind::kWindowVerdict:
      return sizeof(WindowVerdict);
  }
  return std::nullopt;
}

std::vector<std::byte> make_frame(FrameKind kind, std::span<const std::byte> payload) {
  const Header header{kMagic, kVersion, static_cast<uint16_t>(kind),
                      static_cast<uint32_t>(payload.size()), 0};
  std::vector<std::byte> frame(sizeof(header) + payload.size());
  std::memcpy(frame.data(), &header, sizeof(header));
  std::memcpy(frame.data() + sizeof(header), payload.data(), payload.size());
  return frame;
}

std::span<std::byte> FrameReader::room() {
  return std::span(bytes_).subspan(have_, wanted_ - have_);
}

bool FrameReader::filled(size_t bytes) {
  have_ += bytes;
  if (has_header_ || have_ < sizeof(Header)) return true;
  Header header;
  std::memcpy(&header, bytes_.data(), sizeof(header));
  const std::optional<uint32_t> payload = payload_bytes(header.kind);
  if (header.magic != kMagic || header.version != kVersion || header.reserved != 0 || !payload ||
      header.payload_bytes != *payload) {
    return false;
  }
  has_header_ = true;
  wanted_ = sizeof(Header) + *payload;
  return true;
}

std::optional<Frame> FrameReader::take() {
  if (!has_header_ || have_ < wanted_) return std::nullopt;
  Header header;
  std::memcpy(&header, bytes_.data(), sizeof(header));
  Frame frame{static_cast<FrameKind>(header.kind),
              {bytes_.begin() + sizeof(Header), bytes_.begin() + static_cast<long>(wanted_)}};
  end_texts(&frame);
  have_ = 0;
  wanted_ = sizeof(Header);
  has_header_ = false;
  return frame;
}

std::optional<Frame> read_frame(std::span<const std::byte> bytes) {
  FrameReader reader;
  std::optional<Frame> frame;
  while (!bytes.empty() && !frame) {
    const std::span<std::byte> room = reader.room();
    const size_t piece = std::min(room.size(), bytes.size());
    std::copy_n(bytes.begin(), piece, room.begin());
    bytes = bytes.subspan(piece);
    if (!reader.filled(piece)) return std::nullopt;
    frame = reader.take();
  }
  if (!bytes.empty()) frame.reset();
  return frame;
}

}  // namespace npu::ccl
