// SPDX-License-Identifier: Apache-2.0
// PeerLink: all that the network keeps for one rank of another host: its paths, what goes, what comes.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libnpu/ccl/lanes.h"
#include "libnpu/ccl/path.h"
#include "libnpu/ccl/segments.h"

namespace npu::ccl {

// For tests (NPU_CCL_INJECT): what rank |rank| does to its data message number |number|, counted over all of its peers; kCut: to each |number|-th one, it ends the connection in the middle of it if there is another.
struct Fault {
  enum class Kind : uint8_t { kNone, kPayload, kSequence, kVersion, kCut } kind = Kind::kNone;
  uint32_t rank = 0;
  uint64_t number = 0;
};
// "payload:RANK:NUMBER", "sequence:...", "version:...", "cut:...".
std::optional<Fault> parse_fault(std::string_view text);

// A connection that ended, and since when.
struct Loss {
  uint32_t rank;
  std::string text;
  Clock::time_point since;
};

// A message of this side that the other one may still need.
struct Outgoing {
  enum class State : uint8_t { kWaiting, kWritten, kSent };
  struct Part {
    State state = State::kWaiting;
    bool has_crc = false;
    uint32_t crc = 0;
    uint32_t rail = 0;   // when it is not waiting: whereby,
    uint32_t epoch = 0;  // and in which connection of that
  };

  uint64_t sequence = 0;
  uint64_t bytes = 0;
  std::byte* source = nullptr;  // where it lies; nullptr: in its slot
  uint64_t records = 0;         // told before it
  uint32_t pieces = 0;
  uint32_t unsent = 0;
  Fault::Kind fault = Fault::Kind::kNone;
  std::array<Part, kRailsMax> parts{};
};

// Records in their order, whatever the order in which they come.
class RecordWindow {
 public:
  // So many may be on their way.
  static constexpr uint64_t kRecords = 64;
  struct Entry {
    RecordKind kind = RecordKind::kNone;
    Record record{};
  };

  // False: there can be no such number now. A number that came before changes nothing.
  bool add(uint64_t number, const Entry& entry);
  // The next one, once.
  std::optional<Entry> take();
  uint64_t known() const { return known_; }

 private:
  std::array<Entry, kRecords> entries_;
  uint64_t known_ = 0;
};

struct PeerLink {
  struct Waiting {  // a record that the other side has not acknowledged
    RecordKind kind;
    Record record;
    Clock::time_point until;  // so long it may wait for data to go with
  };

  struct Said {  // a frame for the control connection that goes by the rails too
    std::vector<std::byte> frame;
    Clock::time_point until;
  };

  Path* path_at(uint32_t number) { return number < paths.size() ? paths[number].get() : nullptr; }
  // The |index|-th of the paths that are up.
  Path* up_path(uint64_t index);
  uint32_t up_count() const;
  Path* lead() { return up_path(0); }
  // When so many messages are taken the other side is told by a message of its own, if none has gone meanwhile: after a large one at once, or the pipeline would run dry, after small ones when half of the slots wait
  // for it. Nothing: there is no end of so many yet.
  struct Credit {
    uint64_t taken;
    Mark mark;
  };
  std::optional<Credit> next_credit();
  uint64_t records_unsent() const { return records_acked + records.size() - records_sent; }
  // Whether commands that were submitted wait for a message behind the first |shown| ones, or for one more than |taken| to be taken: each such wait was said before by a take or a send.
  bool awaits_message(uint64_t shown) const { return first_take + takes.size() > shown + 1; }
  bool awaits_slot(uint64_t taken) const { return next + sends.size() > taken + kSlots + 1; }

  uint32_t rank = 0;
  Nonce nonce{};
  // Written in a turn and with the network's mutex held: read with either.
  bool is_finished = false;
  std::optional<Loss> loss;
  std::vector<std::unique_ptr<Path>> paths;  // by rail

  // What goes. |sends|, |takes|, |records|, |frames| and |awaits_frame| are guarded by the network's mutex.
  struct Expected {
    uint64_t bytes;
    Mark mark;
    std::byte* source;
  };
  std::deque<Expected>
      sends;  // that the device has yet to put into slots, or this side has yet to begin
  std::deque<Waiting> records;
  uint64_t records_acked = 0;  // before the first one of |records|
  uint64_t records_sent = 0;
  uint64_t records_begun = 0;  // the most that were ever sent
  std::deque<Said> frames;
  // The frame that ends all waits for the other side's: libfabric throws away what has come by a connection when that ends under a message of its own.
  bool awaits_frame = false, has_frame = false;
  uint64_t next = 1;    // data message to begin
  uint32_t unsent = 0;  // parts of those that were begun
  std::array<Outgoing, kSlots> outgoing;
  uint64_t peer_arrived = 0, peer_taken = 0;
  uint64_t flushes_sent = 0, flushes_answered = 0;

  // What comes.
  Reassembly reassembly;
  struct Take {
    Mark mark;
    bool is_large;
  };
  std::deque<Take> takes;   // that the other side has yet to be told of
  uint64_t first_take = 1;  // the number of the first one
  RecordWindow records_came;
  uint64_t shown = 0;
  uint64_t flushes_came = 0;
  bool must_tell = false;  // counts that went may be lost
  struct Told {            // by the last message
    uint64_t arrived = 0, taken = 0, flushes = 0, records = 0;
  } told;
};

}  // namespace npu::ccl
