// SPDX-License-Identifier: Apache-2.0
// Network: moves slots and counters between this rank and ranks of other hosts. To its own device a rank of another host looks like one of the same host: it has a board and slots, which are mirrors
// here. What the device counts up on the own board this class sees, and sends; what comes it puts into the mirrors, and the device goes on. So the commands of Run are the same for both roads.
//
// Of one message: the device fills the own slot, or leaves the message where it lies, and counts `sent` up -> the payload goes into the receiver's mirror slot, a small one inside of a data message, a large one by a remote write that a
// data message follows, a very large one in parts over all rails that are up -> there checksum and sequence are checked, and when all parts are there `sent` of the mirror board grows -> the receiver's
// device takes it and counts `taken` up on its board -> the next message of that side says so, or one of its own if half of the slots wait for that -> `taken` of the mirror here grows, and the slot is free.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <span>

#include "libnpu/ccl/bootstrap.h"
#include "libnpu/ccl/lanes.h"
#include "libnpu/ccl/peer_link.h"
#include "libnpu/ccl/shared_memory.h"
#include "libnpu/ccl/wire.h"

namespace npu::ccl {

class Network {
 public:
  struct Arrival {  // of a record
    uint32_t rank;
    RecordKind kind;
    uint64_t sequence;
  };

  // A frame of a control connection that came by a rail.
  struct Carried {
    uint32_t rank;
    std::vector<std::byte> frame;
  };

  Network(uint32_t rank, uint64_t chunk_bytes, SharedMemory& memory)
      : rank_(rank), chunk_bytes_(chunk_bytes), memory_(memory) {}

  // ---- The start ----
  void set_heartbeat(std::chrono::milliseconds heartbeat) { heartbeat_ = heartbeat; }
  // What the kernel may take of a data connection before the other side has it; 0: it decides. Nothing: what is best for this device.
  void set_send_buffer(std::optional<uint32_t> bytes, bool is_on_model) {
    send_buffer_bytes_ = bytes;
    is_on_model_ = is_on_model;
  }
  // Ports of the device that have a link are its rails, if there are such; |version| of IP.
  std::vector<RailAddress> port_rails(npuContext context, uint16_t version);
  std::optional<Refusal> open(const std::vector<RailAddress>& own, const std::vector<bool>& remote,
                              std::vector<Landings>* out);
  std::optional<Refusal> connect(const Offer& offer, const std::vector<Peer>& peers);

  bool is_remote(uint32_t rank) const { return rank < links_.size() && links_[rank] != nullptr; }
  // The first address that ranks of other hosts reach this one by; nothing: there are none.
  std::optional<NetAddress> address() const;

  // ---- For the one who submits: before the commands that they are about are submitted ----
  // Whether messages to |to| may go straight out of any memory: what has left is never sent again there.
  bool needs_no_slots(uint32_t to) const;
  // The next message, which lies in its slot when the device comes to |mark|; or at |source|, where it has to stay until Board::left counts it.
  void will_send(uint32_t to, uint64_t bytes, const Mark& mark, std::byte* source = nullptr);
  // The next message, with which the device is done at |mark|.
  void will_take(uint32_t from, uint64_t bytes, const Mark& mark);
  void tell(uint32_t to, RecordKind kind, const Record& record);
  // |frame| goes to |to| by its rails too, if there are several: the control connection follows only one of them. |is_answered|: by a frame, until which this side is_saying(). Any thread.
  void carry(uint32_t to, std::span<const std::byte> frame, bool is_answered);

  // ---- For the one who holds the watchdog's turn: its thread, movers, calls that send by themselves ----
  // Descriptors to poll for reading; only while may_sleep().
  std::vector<int> fds() const;
  bool may_sleep();
  // True while something may happen that no descriptor tells of.
  bool has_work();
  // Whether awaited() tells of anything. Any thread.
  bool awaits_device();
  // Messages are under way, or wait, that take so long that a sleep costs little beside them. Any thread.
  bool expects_large() const { return large_.load(std::memory_order_relaxed) != 0; }
  struct Awaited {
    std::vector<Mark>
        marks;  // that the device has to come to, by their order; of each peer the next ones
    std::optional<Clock::time_point> record_due;  // the first one, which goes then by itself
  };
  // What this rank waits for before it can send on.
  Awaited awaited();
  struct Progress {
    bool has_moved = false;
    bool has_shown = false;  // the device has to look
  };
  // All that can be done now. |holds|: what arrives is not shown to the device. |is_pending|: there are operations, so that rails are watched. Records that came are added to |out_arrivals|.
  std::optional<Refusal> progress(bool holds, bool is_pending, std::vector<Arrival>* out_arrivals,
                                  Progress* out);
  // Whether so many messages of each rank of another host have come and were shown.
  bool has_come(std::span<const uint64_t> counts) const;
  // A write is under way, whose rest goes when the socket takes it.
  bool is_writing() const;
  // Frames that have come by rails since the last call.
  std::vector<Carried> take_frames() { return std::exchange(carried_, {}); }
  // When there was a last sign of life by one of several rails; long ago if there is only one, whose ranks are asked by their control connections.
  Clock::time_point heard(uint32_t rank) const;
  // One of several rails to |rank| is up.
  bool reaches(uint32_t rank) const;
  // Of a communicator that has failed, or ends: only frames are sent, and are all that is looked for in what comes.
  void say_last();
  bool has_frames() const;
  // By one of several rails a frame or message has yet to leave, or a frame to come.
  bool is_saying() const;
  // The rank has ended its communicator: no more of it, these were its last counts.
  void finish(uint32_t rank, uint64_t arrived, uint64_t taken);
  std::optional<Loss> first_loss() const;

  // All that was submitted has arrived where it should; after flush().
  bool is_flushed();

  // ---- For those who ask ----
  struct RailState {
    NetAddress own, other;
    bool is_up;
    uint64_t bytes_sent, downs;
    std::string reason;
  };
  // Of the rails to |rank|. Any thread.
  std::vector<RailState> rails(uint32_t rank) const;

  // ---- The end ----
  // Asks every peer to say what has arrived. Any thread.
  void flush() { flushes_ = 1; }
  // No message is begun at its source any more. Any thread.
  void spare_sources() { spares_sources_ = true; }
  // After the return nobody reads at a source, libfabric neither: connections that still have to ends. In a turn.
  void let_go_of_sources();
  // When the watchdog looks no more.
  Bye farewell(uint32_t to) const;
  void close();

 private:
  std::optional<Refusal> open_rail(const RailAddress& own, uint32_t number, size_t ranks);
  std::optional<Refusal> open_link(uint32_t rank, Landings* out);
  std::optional<Refusal> call_peers(const std::vector<Peer>& peers);
  bool call(Path& path, std::string* out_error);
  std::optional<Refusal> await_peers(const Offer& offer);
  void take_events();
  void take_event(Rail& rail, FabricEvent event);
  void accept(Rail& rail, FabricEvent event);
  uint32_t send_buffer_bytes() const;
  void connected(Path& path);
  Path* path_of(const Rail& rail, const fid* endpoint);

  // ---- Rails that fail ----
  void lose(Path& path, const std::string& text);
  static bool has_hope(const PeerLink& link);
  void watch_rails(PeerLink& link, bool is_pending);
  void ask(Path& path);
  void reconnect(Path& path);
  void raise(Path& path);
  bool has_heard_other(const Path& path) const;
  // Another rail is up whose interface has a link.
  bool has_other(const Path& path) const;
  void answer(PeerLink& link);
  void pump_cuts(PeerLink& link);
  std::optional<Refusal> take_cut(Path& path, std::span<const std::byte> tail);
  void redo(PeerLink& link, const Cut& cut);
  std::optional<Refusal> take_control(Path& path, const WireHeader& header,
                                      std::span<const std::byte> tail);
  void pump_frames(PeerLink& link);
  void complete_last(const FabricCompletion& completion);

  // ---- What comes ----
  std::optional<Refusal> complete_all(bool holds, std::vector<Arrival>* out_arrivals);
  std::optional<Refusal> complete(const FabricCompletion& completion, bool holds,
                                  std::vector<Arrival>* out_arrivals);
  std::optional<Refusal> take(Path& path, const WireMessage& message,
                              std::span<const std::byte> tail, std::vector<Arrival>* out_arrivals);
  std::optional<Refusal> take_counts(Path& path, const WireHeader& header);
  std::optional<Refusal> take_data(PeerLink& link, const WireHeader& header,
                                   std::span<const std::byte> payload);
  std::optional<Refusal> take_record(PeerLink& link, const WireMessage& message,
                                     std::vector<Arrival>* out_arrivals);
  void show(PeerLink& link);

  // ---- What goes ----
  void pump(PeerLink& link);
  bool pump_record(PeerLink& link);
  bool pump_data(PeerLink& link);
  // Begins the next message that the device has put into its slot. False: there is none.
  bool begin_data(PeerLink& link);
  // Hands the payload of a part to its path, and finds its checksum. False: not now.
  bool write_part(Path& path, Outgoing& out, uint32_t index);
  bool write_source(Path& path, Outgoing& out, uint32_t index);
  // False: not now.
  bool send_part(PeerLink& link, Outgoing& out, uint32_t index);
  Path* path_for(PeerLink& link, const Outgoing& out, uint32_t index);
  std::span<std::byte> payload_of(const PeerLink& link, const Outgoing& out, Piece piece);
  // The record that goes next, if there is one that may.
  bool next_record(PeerLink& link, bool must_be_due, WireMessage* out);
  void pump_counts(PeerLink& link);
  bool has_credit(PeerLink& link);
  bool owes_counts(const PeerLink& link) const;
  // Completes the header. |tail| comes behind the message.
  bool send(Path& path, MessageKind kind, WireMessage message, std::span<const std::byte> tail = {},
            Fault::Kind fault = Fault::Kind::kNone);

  uint64_t taken_from(uint32_t rank) const { return read_word(memory_.own().board->taken[rank]); }

  const uint32_t rank_;
  const uint64_t chunk_bytes_;
  SharedMemory& memory_;
  Token token_{};
  Fault fault_;
  uint64_t data_sent_ = 0;
  std::chrono::milliseconds heartbeat_{};
  std::optional<uint32_t> send_buffer_bytes_;
  bool is_on_model_ = false;
  bool has_started_ = false;
  std::vector<Carried> carried_;
  Clock::time_point rails_due_{};
  Clock::time_point events_due_{};
  Progress progress_;  // of the present turn
  std::atomic<uint64_t> flushes_{0};
  std::atomic<uint64_t> large_{0};  // such messages
  mutable std::mutex mutex_;
  std::atomic<bool> spares_sources_{false};
  bool has_written_ = false;  // from a source, in the present turn
  Ports ports_;
  std::vector<std::unique_ptr<Rail>> rails_;
  std::vector<std::unique_ptr<PeerLink>> links_;  // by rank; empty: of this host
};

}  // namespace npu::ccl
