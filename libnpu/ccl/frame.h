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

#include "libnpu/ccl/address.h"
#include "libnpu/ccl/auth.h"
#include "libnpu/ccl/host.h"

namespace npu::ccl {

enum class FrameKind : uint16_t {
  kHello = 1,      // to the store: here I am
  kWelcome = 2,    // from the store: all have come, and where they are
  kRefuse = 3,     // from the store: why there will be no communicator
  kPeer = 4,       // between two ranks of a host, with two descriptors
  kFail = 5,       // the communicator has failed
  kBye = 6,        // this rank has ended its communicator in order
  kExchange = 7,   // of a split
  kChallenge = 8,  // from whoever accepted a TCP connection, before anything else
  kJoin = 9,       // between two ranks of different hosts
  kJoined = 10,    // and the answer
  kPing = 11,      // is somebody there?
  kPong = 12,
  kWindow = 13,         // of memory that is registered; with a descriptor if the rank shares it
  kWindowVerdict = 14,  // whether the rank can use those of all
};

// Everything that all ranks must have alike.
struct Agreement {
  uint64_t chunk_bytes;
  uint64_t choice;  // fingerprint of NPU_CCL_ALGO
  uint32_t ranks;
  int32_t reduce_mode;
  uint32_t is_model;  // the device: algorithms are chosen by other constants
  uint32_t reserved;
};

// Where a rank is.
struct Name {
  char unix_name[48];  // of its Unix socket; always with an end mark
  HostId host;
  NetAddress control;  // for ranks of other hosts
  uint32_t reserved;
};
// Where data for a rank lands on one of its rails: its libfabric endpoint, and its slots for messages of one other rank.
struct Landing {
  uint64_t key;
  uint64_t at;
  NetAddress endpoint;
  uint32_t reserved;
};
struct Landings {  // by rail; those behind |count| are zeros
  uint32_t count;
  uint32_t reserved;
  std::array<Landing, kRailsMax> rails;
};
// True for what may come from another rank.
bool is_valid(const Landings& landings);

// A |mac| is over all that follows it, with the nonce that the other side sent before.
struct Challenge {
  Nonce nonce;
};
struct Hello {
  Mac mac;
  Nonce nonce;
  Agreement agreement;
  Name name;
  uint32_t rank;
  uint32_t reserved;
};
struct Welcome {
  Mac mac;
  Name names[NPU_CCL_RANKS_MAX];
};
struct Notice {  // kFail
  uint32_t rank;
  int32_t reason;
  char text[240];
};
struct Refuse {
  Mac mac;
  Notice notice;
};
struct PeerHello {
  Token token;
  uint32_t rank;
  uint32_t reserved;
};
struct Join {
  Mac mac;
  Nonce nonce;
  Landings landings;
  uint32_t rank;
  uint32_t target;
};
struct Joined {
  Mac mac;
  Landings landings;
  uint32_t rank;
  uint32_t target;
};
struct Bye {  // what the rank has received from the other one in all; ranks of one host: 0
  uint64_t arrived;
  uint64_t taken;
};
struct Ping {
  uint64_t number;
};
enum class WindowState : uint32_t {
  kShared = 1,   // here is the memory; or: all are mapped
  kApart = 2,    // ranks do not reach each other's memory: the window is one in name
  kRefused = 3,  // there will be no window
};
struct WindowOffer {
  uint64_t sequence;  // registrations of the communicator count from 1
  uint64_t size_bytes;
  uint64_t offset_bytes;  // of its first byte behind the descriptor
  WindowState state;
  uint32_t reserved;
  char text[160];  // why it is not shared
};
struct WindowVerdict {
  uint64_t sequence;
  WindowState state;
  uint32_t reserved;
  char text[160];
};
// True for what may come from another rank.
bool is_valid(const WindowOffer& offer);
bool is_valid(const WindowVerdict& verdict);
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

// The frame that |bytes| are, whole.
std::optional<Frame> read_frame(std::span<const std::byte> bytes);

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
