// SPDX-License-Identifier: Apache-2.0
// Rail: one local address by which ranks of other hosts reach this one, and all that libfabric has for it. Path: the connection of this rank with one other on one rail, and what is under way there. For the network's thread.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "libnpu/ccl/fabric.h"
#include "libnpu/ccl/frame.h"
#include "libnpu/ccl/ports.h"
#include "libnpu/ccl/segments.h"
#include "libnpu/ccl/socket.h"
#include "libnpu/ccl/wire.h"

namespace npu::ccl {

struct PeerLink;
class Path;
struct Transfer;
struct Transfers;

struct Rail {
  // Whether its interface has a link, and its port. What is not known counts as having one.
  bool has_link() const;
  // And whether the kernel sends packets by it: up to a second later. Till then it is not worth connecting.
  bool is_running() const;
  // "its interface eth1 has no link"
  std::string missing_link() const;

  uint32_t number = 0;
  std::string interface;         // its name
  const Ports* ports = nullptr;  // of the device
  uint32_t port = RailAddress::kNoPort;
  Fabric fabric;
  Region slots;  // the own ones, whence writes take what they write
  // Sends and writes of all paths that have not completed yet. Where there are none nobody asks for their completions, a system call each time.
  uint64_t sending = 0;
  uint64_t writing = 0;  // the writes among them
  void count_ended(const Transfer& transfer);

 private:
  bool has_port_link() const;
};

struct WireBuffer {
  WireMessage message;
  std::byte payload[kInlineBytesMax];
};

// What a completion leads back to.
struct Transfer {
  fi_context2 context;
  Path* path;
  Transfers* owner;
  enum class Kind : uint8_t { kReceive, kSend, kWrite } kind;
  bool is_busy;
  bool is_at_source;  // of a write: memory of the caller's is what it reads
  WireBuffer* buffer;
  uint64_t message;  // of a write: its number

  // What has come, of a receive that is complete.
  std::span<const std::byte> received(size_t bytes) const {
    return std::as_bytes(std::span(buffer, 1)).first(std::min(bytes, sizeof(WireBuffer)));
  }
};

// What is under way in one connection. It outlives that until libfabric has let go of all of it.
struct Transfers {
  static constexpr uint32_t kReceives = Fabric::kReceivesMax;
  static constexpr uint32_t kSends = 16;
  static constexpr uint32_t kWrites = 2 * kSlots;
  static constexpr uint32_t kTransfers = kReceives + kSends + kWrites;

  Region region;
  std::array<WireBuffer, kReceives + kSends> buffers;
  std::array<Transfer, kTransfers> transfers{};
};

class Path {
 public:
  enum class State : uint8_t {
    kDown,        // this side has no endpoint, and needs no word of the other one
    kConnecting,  // this side has one
    kProbing,     // the other one too, but it has yet to answer
    kUp,
    kClosed,  // this side has closed its endpoint, and waits until the other one says so too
  };
  // The counts of the last message that came here: a connection keeps its order.
  struct Counts {
    uint64_t arrived = 0, taken = 0, flushed = 0, records = 0;
  };

  Path(Rail& rail, PeerLink& link) : rail_(rail), link_(link) {}

  // |mirror|: the slots for what comes from the other rank.
  bool open(std::span<std::byte> mirror);
  // To the endpoint of |landing|.
  bool connect(std::span<const std::byte> say, std::string* out_error);
  bool accept(fi_info* request);
  void set_state(State state) { state_ = state; }
  // Of a connected one, over a provider that has a socket.
  void bound_sends(uint32_t bytes);
  // Ends the endpoint; what is under way in it ends with it, and nothing more arrives by it.
  void close(State state);

  Rail& rail() { return rail_; }
  PeerLink& link() const { return link_; }
  State state() const { return state_; }
  bool is_up() const { return state_ == State::kUp; }
  bool owns(const fid* endpoint) const { return endpoint_ && &endpoint_->fid == endpoint; }
  bool has_endpoint() const { return endpoint_ != nullptr; }
  // Whether a completion belongs to the present connection.
  bool owns(const Transfer& transfer) const {
    return endpoint_ && transfer.owner == transfers_.get();
  }

  // Whether messages are under way that libfabric has yet to hand on.
  bool is_sending() const;
  // Whether libfabric may read memory of the caller's in the connection that there is.
  bool is_at_source() const;
  // Each is false if there is no room now.
  bool send(const WireMessage& message, std::span<const std::byte> tail);
  bool write(std::span<const std::byte> payload, uint64_t offset, uint64_t message,
             bool is_at_source);
  bool post_receive(Transfer& transfer);

  Landing own_landing() const;
  Landing landing{};  // over there
  uint32_t epoch = 0;
  Counts counts;

  // Signs of life. There was a question that nothing has come after; at how many later ones another rail had given some:
  bool is_asked = false;
  int missed = 0;
  Clock::time_point asked_last{};
  Clock::time_point heard{};
  uint64_t pings = 0;  // of this connection
  uint64_t ping_to_answer = 0;
  Clock::time_point tried{};  // to connect it
  // The last connection that was closed: the other side needs word of it, also while the next one is made.
  void owe_cut() {
    closed_epoch = epoch;
    owes_cut = true;
    has_said_cut = false;
  }
  uint32_t closed_epoch = 0;
  bool owes_cut = false;
  bool has_said_cut = false;

  // For those who ask.
  std::string reason;  // why it was down the last time; guarded by the network's mutex
  std::atomic<uint64_t> downs{0}, bytes_sent{0};

 private:
  bool make_transfers();
  // For a new connection. False: too much of earlier ones is still under way.
  bool renew();
  bool post_receives();
  Transfer* free_transfer(Transfer::Kind kind);
  void count(uint64_t payload_bytes);

  Rail& rail_;
  PeerLink& link_;
  std::atomic<State> state_{State::kDown};
  Region mirror_;  // where messages of the other rank land
  std::unique_ptr<Transfers> transfers_;
  std::vector<std::unique_ptr<Transfers>> retired_;  // of connections that have ended
  EndpointPtr endpoint_;                             // ends before what is under way in it
};

}  // namespace npu::ccl
