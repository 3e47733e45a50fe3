// SPDX-License-Identifier: Apache-2.0
// Frames of the bootstrap and of the control connections between ranks: a header of 16 bytes, then a payload whose size the kind fixes. What comes
// from a peer is hostile: anything that is not exactly a frame of this version ends the connection.
#pragma once

#include <npu/npu_ccl.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

namespace npu::ccl {

using Token = std::array<uint8_t, 16>;

// Takes as long whatever the bytes are.
bool is_same(const Token& a, const Token& b);

enum class FrameKind : uint16_t {
  kHello = 1,     // to the store: here I am
  kWelcome = 2,   // from the store: all have come, and where they are
  kRefuse = 3,    // from the store: why there will be no communicator
  kPeer = 4,      // between two ranks, with two descriptors
  kFail = 5,      // the communicator has failed
  kBye = 6,       // this rank has ended its communicator in order
  kExchange = 7,  // of a split
};

// Everything that all ranks must have alike.
struct Agreement {
  uint64_t chunk_bytes;
  uint64_t choice;  // fingerprint of NPU_CCL_ALGO
  uint32_t ranks;
  int32_t reduce_mode;
};

struct SocketName {
  char text[48];  // always with an end mark
};
struct Hello {
  Token token;
  Agreement agreement;
  SocketName name;
  uint32_t rank;
  uint32_t reserved;
};
struct Welcome {
  SocketName names[NPU_CCL_RANKS_MAX];
};
struct Notice {  // kRefuse, kFail
  uint32_t rank;
  int32_t reason;
  char text[240];
};
struct PeerHello {
  Token token;
  uint32_t rank;
  uint32_t reserved;
};
struct Bye {
  uint64_t reserved;
};
struct Exchange {
  uint64_t sequence;
  uint32_t color;
  uint32_t key;
  npuCclId id;
};

struct Frame {
  FrameKind kind;
  std::vector<std::byte> payload;  // of the kind's size

  // Only for the kind's own struct. Texts get their end mark.
  template <typename Payload>
  Payload as() const {
    Payload value;
    std::memcpy(&value, payload.data(), sizeof(value));
    return value;
  }
};

// Bytes of the payload of |kind|; nothing for what is no kind.
std::optional<uint32_t> payload_bytes(uint16_t kind);

std::vector<std::byte> make_frame(FrameKind kind, std::span<const std::byte> payload);
template <typename Payload>
std::vector<std::byte> make_frame(FrameKind kind, const Payload& payload) {
  return make_frame(kind, std::as_bytes(std::span(&payload, 1)));
}

// The frames in a stream of bytes. Holds one frame at most.
class FrameReader {
 public:
  static constexpr size_t kBytesMax = 2048;

  // Room for the next bytes of the current frame; never empty.
  std::span<std::byte> room();
  // |bytes| of room() were filled. False: this is no stream of frames.
  bool filled(size_t bytes);
  // The frame that is complete, once.
  std::optional<Frame> take();

 private:
  std::array<std::byte, kBytesMax> bytes_;
  size_t have_ = 0;
  size_t wanted_ = 16;
  bool has_header_ = false;
};

}  // namespace npu::ccl
