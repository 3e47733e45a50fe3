// SPDX-License-Identifier: Apache-2.0
// Network: moves slots and counters between this rank and ranks of other hosts. To its own device a rank of another host looks like one of the same host: it has a board and slots, which are mirrors
// here. What the device counts up on the own board this class sees, and sends; what comes it puts into the mirrors, and the device goes on. So the commands of Run are the same for both roads.
//
// Of one message: the device fills the own slot and counts `sent` up -> the payload goes into the receiver's mirror slot, a small one inside of a data message, a large one by a remote write that a
// data message follows -> there checksum and sequence are checked, and `sent` of the mirror board grows -> the receiver's device takes it and counts `taken` up on its board -> the next message of
// that side says so, or one of its own if half of the slots wait for that -> `taken` of the mirror here grows, and the slot is free.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>

#include "libnpu/ccl/bootstrap.h"
#include "libnpu/ccl/fabric.h"
#include "libnpu/ccl/shared_memory.h"
#include "libnpu/ccl/wire.h"

namespace npu::ccl {

// For tests (NPU_CCL_INJECT): what rank |rank| does to its data message number |number|, counted over all of its peers.
struct Fault {
  enum class Kind : uint8_t { kNone, kPayload, kSequence, kVersion } kind = Kind::kNone;
  uint32_t rank = 0;
  uint64_t number = 0;
};
// "payload:RANK:NUMBER", "sequence:...", "version:...".
std::optional<Fault> parse_fault(std::string_view text);

class Network {
 public:
  struct Arrival {  // of a record
    uint32_t rank;
    RecordKind kind;
    uint64_t sequence;
  };

  Network(uint32_t rank, uint64_t chunk_bytes, SharedMemory& memory)
      : rank_(rank), chunk_bytes_(chunk_bytes), memory_(memory) {}

  // ---- The start ----
  std::optional<Refusal> open(const NetAddress& own, const std::vector<bool>& remote,
                              std::vector<Landing>* out);
  std::optional<Refusal> connect(const Offer& offer, const std::vector<Peer>& peers);

  bool is_remote(uint32_t rank) const { return rank < links_.size() && links_[rank] != nullptr; }
  // The address that ranks of other hosts reach this one by; nothing: there are none.
  std::optional<NetAddress> address() const;

  // ---- For the one who submits: before the commands that they are about ----
  void will_send(uint32_t to, uint64_t bytes);
  void tell(uint32_t to, RecordKind kind, const Record& record);

  // ---- For the watchdog's thread, and for nobody else at the same time ----
  // Descriptors to poll for reading; only while may_sleep().
  std::vector<int> fds() const;
  bool may_sleep();
  // True while something may happen that no descriptor tells of.
  bool has_work();
  // Lanes whose progress on the device this rank waits for.
  std::vector<uint32_t> awaited_lanes();
  struct Progress {
    bool has_moved = false;
    bool has_shown = false;  // the device has to look
  };
  // All that can be done now. |holds|: what arrives is not shown to the device. Records that came are added to |out_arrivals|.
  std::optional<Refusal> progress(bool holds, std::vector<Arrival>* out_arrivals, Progress* out);
  // The rank has ended its communicator: no more of it, these were its last counts.
  void finish(uint32_t rank, uint64_t arrived, uint64_t taken);
  // A connection that ended, and since when.
  struct Loss {
    uint32_t rank;
    std::string text;
    Clock::time_point since;
  };
  std::optional<Loss> first_loss() const;

  // All that was submitted has arrived where it should; after flush().
  bool is_flushed();

  // ---- The end ----
  // Asks every peer to say what has arrived. Any thread.
  void flush() { flushes_ = 1; }
  // When the watchdog looks no more.
  Bye farewell(uint32_t to) const;
  void close();

 private:
  static constexpr uint32_t kReceives = Fabric::kReceivesMax;
  static constexpr uint32_t kSends = 16;
  static constexpr uint32_t kWrites = 2 * kSlots;

  struct Link;
  struct Buffer {
    WireMessage message;
    std::byte payload[kInlineBytesMax];
  };
  struct Transfer {  // what a completion leads back to
    fi_context2 context;
    Link* link;
    enum class Kind : uint8_t { kReceive, kSend, kWrite } kind;
    bool is_busy;
    Buffer* buffer;
  };
  struct Waiting {  // a record that has yet to go
    RecordKind kind;
    Record record;
    Clock::time_point until;  // so long it may wait for data to go with
  };
  struct Link {
    uint32_t rank = 0;
    EndpointPtr endpoint;
    bool is_up = false;
    bool is_finished = false;
    std::optional<Loss> loss;
    Landing landing{};  // over there
    Nonce nonce{};
    Region buffers_region, mirror_region;
    std::array<Buffer, kReceives + kSends> buffers;
    std::array<Transfer, kReceives + kSends + kWrites> transfers{};

    std::deque<uint64_t> sizes;  // guarded by |mutex_|
    std::deque<Waiting> records;
    uint64_t next = 1;        // data message to send
    bool is_written = false;  // its payload
    uint32_t payload_crc = 0;
    uint32_t records_sent = 0, records_came = 0;
    uint64_t told_taken = 0;  // by the last message
    uint64_t arrived = 0, shown = 0;
    uint64_t credit_at = 1;  // so many taken messages are told of at once
    uint64_t peer_arrived = 0, peer_taken = 0;
    uint64_t flushes_sent = 0, flushes_answered = 0;  // asked by this side
    uint64_t flushes_came = 0, flushes_told = 0;      // by the other one
  };

  std::optional<Refusal> open_link(uint32_t rank, Landing* out);
  std::optional<Refusal> call_peers(const std::vector<Peer>& peers);
  void take_event(FabricEvent event);
  void accept(FabricEvent event);
  bool post_receives(Link& link);
  bool post_receive(Link& link, Transfer& transfer);
  Link* link_of(const fid* endpoint);
  void lose(Link& link, const std::string& text);

  std::optional<Refusal> complete(const FabricCompletion& completion, bool holds,
                                  std::vector<Arrival>* out_arrivals);
  std::optional<Refusal> take(Link& link, const WireMessage& message,
                              std::span<const std::byte> payload,
                              std::vector<Arrival>* out_arrivals);
  std::optional<Refusal> take_counts(Link& link, const WireHeader& header);
  std::optional<Refusal> take_data(Link& link, const WireHeader& header,
                                   std::span<const std::byte> payload);
  void take_record(Link& link, const WireMessage& message, std::vector<Arrival>* out_arrivals);
  void show(Link& link);

  void pump(Link& link);
  bool pump_record(Link& link);
  bool pump_data(Link& link);
  // The next message that the device has put into its slot, and the record that goes with it. False: none.
  bool next_data(Link& link, uint64_t* out_bytes, WireMessage* out);
  bool write_payload(Link& link, std::span<const std::byte> payload);
  void pump_counts(Link& link);
  // |payload| goes inline.
  bool send(Link& link, MessageKind kind, WireMessage message,
            std::span<const std::byte> payload = {});
  Transfer* free_transfer(Link& link, Transfer::Kind kind);

  const uint32_t rank_;
  const uint64_t chunk_bytes_;
  SharedMemory& memory_;
  Token token_{};
  Fault fault_;
  uint64_t data_sent_ = 0;
  Clock::time_point events_due_{};
  Progress progress_;  // of the present turn
  std::atomic<uint64_t> flushes_{0};
  std::mutex mutex_;
  std::unique_ptr<Fabric> fabric_;
  Region slots_region_;
  std::vector<std::unique_ptr<Link>> links_;  // by rank; empty: of this host
};

}  // namespace npu::ccl
