// SPDX-License-Identifier: Apache-2.0
// What ranks share. Each rank exports two pieces of memory, which the others map for reading only: a board in host memory, with the words that its queues signal and the records of
// what it has called; and slots in HBM (host memory where devices do not reach each other's), through which data goes.
//
// Message q (1, 2, ...) from s to d: s waits until d's board says that q - kSlots was taken, copies into its slot q % kSlots for d, and signals q on its own board. d waits for that,
// copies or reduces out of the mapped slot, and signals q on its own board.
#pragma once

#include <npu/npu_ccl.h>
#include <npu/npu_memory.h>

#include <array>
#include <cstdint>
#include <vector>

#include "libnpu/ccl/socket.h"

namespace npu::ccl {

inline constexpr uint32_t kSlots = 4;
inline constexpr uint32_t kRecordedCollectives = 1024;
inline constexpr uint32_t kRecordedMessages = 64;

// What a rank has called as its |sequence|-th operation (1, 2, ...), in shared memory: read it by read_record().
struct Record {
  uint64_t sequence;
  uint64_t count;
  uint64_t counts;  // fingerprint of the counts of a v-form
  uint32_t op;
  uint32_t type;
  uint32_t reduction;
  uint32_t root;
};

// The board, in every rank's host memory at the same offsets.
struct Board {
  struct alignas(64) Word {
    uint64_t value;
  };
  Word sent[NPU_CCL_RANKS_MAX];   // messages that lie in slots for that rank, or have lain there
  Word taken[NPU_CCL_RANKS_MAX];  // messages that came from that rank and are done with
  Record collectives[kRecordedCollectives];
  Record sends[NPU_CCL_RANKS_MAX][kRecordedMessages];
  Record receives[NPU_CCL_RANKS_MAX][kRecordedMessages];
};

void write_record(Record* place, const Record& record);
// The record number |sequence| if it is there.
bool read_record(const Record* place, uint64_t sequence, Record* out);
uint64_t read_word(const Board::Word& word);

class SharedMemory {
 public:
  struct Rank {
    npuDevPtr board_dva = 0;
    Board* board = nullptr;
    npuDevPtr slots_dva = 0;

    npuDevPtr sent_dva(uint32_t to) const {
      return board_dva + offsetof(Board, sent) + to * sizeof(Board::Word);
    }
    npuDevPtr taken_dva(uint32_t from) const {
      return board_dva + offsetof(Board, taken) + from * sizeof(Board::Word);
    }
  };

  SharedMemory() = default;
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;
  ~SharedMemory();

  npuResult create(npuContext context, uint32_t ranks, uint32_t rank, uint64_t chunk_bytes);
  npuResult export_fds(std::vector<Fd>* out) const;
  npuResult import(uint32_t rank, const std::vector<Fd>& fds);

  const Rank& rank(uint32_t rank) const { return ranks_[rank]; }
  const Rank& own() const { return ranks_[own_]; }
  // Where message |sequence| from |source| to |target| lies.
  npuDevPtr slot(uint32_t source, uint32_t target, uint64_t sequence) const {
    return ranks_[source].slots_dva + (target * kSlots + sequence % kSlots) * chunk_bytes_;
  }

 private:
  uint64_t slots_bytes() const { return ranks_.size() * kSlots * chunk_bytes_; }
  npuResult map_board(Rank& rank);

  npuContext context_ = nullptr;
  uint32_t own_ = 0;
  uint64_t chunk_bytes_ = 0;
  std::vector<Rank> ranks_;
};

}  // namespace npu::ccl
