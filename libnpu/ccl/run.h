// SPDX-License-Identifier: Apache-2.0
// Run: one schedule becomes commands of lanes. Round by round: a round of all ranks fits into the rings at once, so that one thread can submit for several ranks.
//
// Pools. Where a schedule is rounds of messages from all to all (Plan::pooling), what a rank has for the others is laid into a pool of its own in one piece, and one word tells all of them: a copy and a
// signal, where each message by itself takes two waits, a copy and two signals. The others copy it out of there, or reduce it there.
#pragma once

#include <array>
#include <utility>

#include "libnpu/ccl/lanes.h"
#include "libnpu/ccl/network.h"
#include "libnpu/ccl/plan.h"
#include "libnpu/ccl/reducer.h"
#include "libnpu/ccl/request.h"
#include "libnpu/ccl/shared_memory.h"

namespace npu::ccl {

// One number of each rank.
using Counts = std::array<uint64_t, NPU_CCL_RANKS_MAX>;

// What all runs of a communicator share.
struct Transport {
  Transport(uint32_t own_rank, uint64_t bytes) : rank(own_rank), chunk_bytes(bytes) {}

  const uint32_t rank;
  const uint64_t chunk_bytes;
  Lanes lanes;
  SharedMemory memory;
  Network network{rank, chunk_bytes, memory};
  Reducer reducer;
  Counts sent{};       // messages to each rank so far
  Counts received{};   // and from each
  uint64_t posts = 0;  // signals of operations through windows and pools, the same on all ranks
  uint64_t pools = 0;  // rounds through pools, likewise
  Counts heard{};      // of each rank's, what this one waits for
};

class Run {
 public:
  // |bases|: where the schedule's buffers lie, by Buffer; |reached|: those of other ranks. |begin|: what every lane waits for first.
  Run(Transport& transport, PlanPtr plan, const Reduction& reduction,
      const npuDevPtr (&bases)[kBufferCount], const Reached& reached, Tick begin);

  // What the first sends take lies there now, and nothing else is under way: the host may put it into slots by itself.
  void begin_at_once() { is_first_ = true; }
  // Whether the host has done so since the last call.
  bool take_sent() { return std::exchange(has_sent_, false); }
  bool is_one_round() const { return plan_->is_one_round; }
  // Messages of other hosts are waited for, of those that were added.
  bool hears_hosts() const { return hears_hosts_; }
  // There are large ones among them.
  bool hears_large() const { return hears_large_; }
  // Adds the next round to the lanes; false: there is none.
  bool add_round();
  // After the last round: the local lane waits for everything.
  void join();

 private:
  uint64_t element_bytes(Format format) const;
  uint64_t bytes_of(Place place, uint64_t count) const;
  Operand operand(Place place) const;
  Operand read_from(Place place) const;
  void add(uint32_t index);
  template <typename Visit>
  void each_target(const Step& step, const Visit& visit) const;
  void lay(uint32_t index);
  void take(uint32_t index);
  void post(const Step& step);
  void hear(const Step& step);
  // A piece of messages that a reduction has taken out of its slot.
  struct Taken {
    uint32_t lane;    // of the reduction,
    uint32_t by;      // which is this step
    uint64_t behind;  // pieces of the same message
    uint64_t count;   // elements
  };
  uint64_t piece_count(Format format) const;
  void note_coming(const Step& step);
  void expect(const Step& step);
  void reduce(uint32_t index, uint32_t lane);
  const Step* source_of(const Step& step, uint32_t operand) const;
  Operand await(const Step& message, uint32_t lane, uint64_t behind);
  void give_back(const Step& message, const Taken& taken);
  void send(uint32_t index, uint32_t lane);
  std::byte* source_at(uint32_t peer, npuDevPtr from, uint64_t bytes) const;
  void await_left(uint32_t lane, uint32_t before);
  bool send_at_once(const Step& step);
  void receive(const Step& step, uint32_t lane);
  void reduce_message(const Step& step, uint32_t lane, npuDevPtr message, uint64_t first,
                      uint64_t count);
  void enter(uint32_t lane);

  Transport& t_;
  PlanPtr plan_;
  Reduction reduction_;
  npuDevPtr bases_[kBufferCount];
  Reached reached_;
  uint64_t posts_;       // before this run
  uint64_t pools_;       // likewise
  uint32_t round_ = 0;   // of the pooling
  Counts told_{};        // signals to each rank
  Counts heard_{};       // and from each
  uint64_t posted_ = 0;  // the most to any
  // Messages of this round that are read where they lie, in pools, and not in the scratch that they are for.
  struct Pooled {
    uint64_t offset;  // of the scratch, elements
    npuDevPtr at;
  };
  std::array<Pooled, NPU_CCL_RANKS_MAX> pooled_;
  size_t pooled_count_ = 0;
  Tick begin_;
  bool is_first_ = false;  // nothing was added, and may be sent by the host
  bool has_sent_ = false;
  bool hears_hosts_ = false, hears_large_ = false;
  uint32_t next_ = 0;
  std::vector<Tick> ticks_;  // of steps; none of a serial plan
  // Of steps, empty if there are none: sends straight out of the buffer, whose last message this is; it is the buffer's until that has left.
  std::vector<uint64_t> leaving_;
  Counts last_leaving_{};  // of this run, to each rank
  uint64_t used_ = 0;      // bits of lanes
};

}  // namespace npu::ccl
