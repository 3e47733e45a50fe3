// SPDX-License-Identifier: Apache-2.0
// What ranks share. Each rank exports two pieces of memory, which the others map for reading only: a board in host memory, with the words that its queues signal and the records of
// what it has called; and slots in HBM (host memory where devices do not reach each other's), through which data goes.
//
// Message q (1, 2, ...) from s to d: s waits until d's board says that q - kSlots was taken, copies into its slot q % kSlots for d, and signals q on its own board. d waits for that,
// copies or reduces out of the mapped slot, and signals q on its own board. A large message to another host may stay in the buffer it comes from until it has left (decision 0077).
//
// The slots of a rank for itself are two pools, used in turns: what a rank has for all others in one round of an operation lies there in one piece (run.h, schedule/pooling.h).
//
// Of a rank of another host this rank has mirrors: a board and slots for what comes from there, in memory of its own, which network.cpp fills.
#pragma once

#include <npu/npu_ccl.h>
#include <npu/npu_memory.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

#include "libnpu/ccl/record.h"
#include "libnpu/ccl/socket.h"

namespace npu::ccl {

inline constexpr uint32_t kSlots = 4;
inline constexpr uint32_t kRecordedCollectives = 1024;
inline constexpr uint32_t kRecordedMessages = 64;

// The board, in every rank's host memory at the same offsets.
struct Board {
  struct alignas(64) Word {
    uint64_t value;
  };
  Word sent[NPU_CCL_RANKS_MAX];   // messages that lie in slots for that rank, or have lain there
  Word taken[NPU_CCL_RANKS_MAX];  // messages that came from that rank and are done with
  Word posted;  // signals of operations that go through windows or pools: one for all ranks
  alignas(64) Called collectives[kRecordedCollectives];
  Record sends[NPU_CCL_RANKS_MAX][kRecordedMessages];
  Record receives[NPU_CCL_RANKS_MAX][kRecordedMessages];
  int64_t model_process;  // of the rank's device, 0: not known
  Word left
      [NPU_CCL_RANKS_MAX];  // messages to that rank that have left this host: those that go straight out of a buffer need it no more
};

inline constexpr uint32_t kPools = 2;
constexpr uint64_t pool_bytes(uint64_t chunk_bytes) { return kSlots / kPools * chunk_bytes; }

// Records are in shared memory: only these two touch them.
void write_record(Record* place, const Record& record);
// The record number |sequence| if it is there.
bool read_record(const Record* place, uint64_t sequence, Record* out);
// Likewise the |sequence|-th collective.
void write_called(Board* board, const Called& called);
bool read_called(const Board& board, uint64_t sequence, Called* out);
// Words of the boards, which devices of both roads signal and wait for.
uint64_t read_word(const Board::Word& word);
void write_word(Board::Word* word, uint64_t value);

class SharedMemory {
 public:
  struct Rank {
    npuDevPtr board_dva = 0;
    Board* board = nullptr;
    npuDevPtr slots_dva = 0;
    std::byte* slots_host = nullptr;  // where the network needs it
    bool is_mirror = false;           // its slots are those for this rank alone

    npuDevPtr sent_dva(uint32_t to) const {
      return board_dva + offsetof(Board, sent) + to * sizeof(Board::Word);
    }
    npuDevPtr taken_dva(uint32_t from) const {
      return board_dva + offsetof(Board, taken) + from * sizeof(Board::Word);
    }
    npuDevPtr left_dva(uint32_t to) const {
      return board_dva + offsetof(Board, left) + to * sizeof(Board::Word);
    }
    npuDevPtr posted_dva() const { return board_dva + offsetof(Board, posted); }
  };

  SharedMemory() = default;
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;
  ~SharedMemory();

  npuResult create(npuContext context, uint32_t ranks, uint32_t rank, uint64_t chunk_bytes);
  npuResult export_fds(std::vector<Fd>* out) const;
  npuResult import(uint32_t rank, const std::vector<Fd>& fds);
  // Makes the mirrors of a rank of another host.
  npuResult mirror(uint32_t rank);
  // Shows the host the own slots.
  npuResult map_slots();

  // ---- For the host, in the device's stead: while it has nothing to do ----
  // Whether the slot of message |sequence| to |target| of another host is free, and the messages before it have been shown.
  bool has_room(uint32_t target, uint64_t sequence) const;
  // Its data, from anywhere in the device's memory.
  npuResult fill(uint32_t target, uint64_t sequence, npuDevPtr from, uint64_t bytes) const;
  void show_sent(uint32_t target, uint64_t sequence) const;
  // Where the host sees [from, from + bytes) of the device's memory as fast as the device does; nullptr: nowhere.
  std::byte* view(npuDevPtr from, uint64_t bytes) const;

  // Whether the own device is a model, not silicon.
  bool is_on_model() const { return is_on_model_; }
  // Whether a device of another process, or silicon, signals for the own one.
  bool has_strangers() const { return has_strangers_.load(std::memory_order_relaxed); }

  const Rank& rank(uint32_t rank) const { return ranks_[rank]; }
  const Rank& own() const { return ranks_[own_]; }
  // Where message |sequence| from |source| to |target| lies.
  npuDevPtr slot(uint32_t source, uint32_t target, uint64_t sequence) const {
    const uint64_t row = ranks_[source].is_mirror ? 0 : target;
    return ranks_[source].slots_dva + (row * kSlots + sequence % kSlots) * chunk_bytes_;
  }
  // Where |source|, of this host, lays what it has for all others in its |sequence|-th round of that kind.
  npuDevPtr pool(uint32_t source, uint64_t sequence) const {
    return ranks_[source].slots_dva + source * kSlots * chunk_bytes_ +
           sequence % kPools * pool_bytes(chunk_bytes_);
  }
  uint64_t slots_bytes() const { return ranks_.size() * kSlots * chunk_bytes_; }
  uint64_t mirror_bytes() const { return kSlots * chunk_bytes_; }

 private:
  npuResult map_board(Rank& rank);

  npuContext context_ = nullptr;
  uint32_t own_ = 0;
  uint64_t chunk_bytes_ = 0;
  npuMemKind slots_kind_ = NPU_MEM_HOST;
  int64_t model_process_ = 0;
  bool is_on_model_ = false;
  std::atomic<bool> has_strangers_{false};
  std::vector<Rank> ranks_;
};

}  // namespace npu::ccl
