// SPDX-License-Identifier: Apache-2.0
// The schedule IR: what one rank does in one collective, as data. Executed, verified, costed, simulated and exported; made by pure functions.
//
// A rank's schedule is a list of steps. Contract between generators and everything that reads a schedule:
//
//  1. Order. A step starts when all its dependencies are complete; they are earlier steps of the same rank, so the list is in topological order.
//     Nothing else orders steps, except rule 2. There is no barrier between phases: the dependencies are the pipeline.
//  2. Matching. The i-th send of rank s to rank d on channel c is received by the i-th receive of d from s on c, both counted in list
//     order. Channels are in order: a message starts when its send and its receive are ready and its predecessor on (s, d, c) has gone out.
//     Lengths and formats of both ends are equal. Arrival order never decides what is computed.
//  3. Completion. A send is complete when its source may be overwritten; it proves nothing about the receiver. Every other step is complete
//     when its destination may be read.
//  4. Memory. Four buffers, offsets in elements. Input and output belong to the caller; the input is never written. Scratch holds elements
//     of the data type, partial those of the accumulator type (fp32 for fp32, bf16, fp16 and fp8; the type itself for integers). What a
//     message carries is the format of the buffer that it leaves: no step but a reduction converts.
//  5. Hazards. Two steps that touch the same element, one of them writing, are ordered by a path of dependencies; with Problem::in_place
//     "the same element" includes the overlap of input and output. A reduction may write exactly over one of its operands: it is element-wise.
//  6. Reduction. k operands in the order given, evaluated by the canonical tree over their index (canonical.h), in the accumulator type. A
//     destination in scratch or output takes one rounding, one in partial none. Executors evaluate the tree with a stack of
//     log2(k) accumulators: push each operand, merge the two topmost while they cover equal numbers, at the end merge from the top.
//  7. Progress. A schedule is free of deadlock with rendezvous (no credit at all), and so with any number of credits per channel.
//  8. Serial. Of one chunk, ranks that do one step at a time in the order of their lists come to their ends too, as long as no send waits
//     for room.
//  9. Windows. With Problem::in_windows a copy or a reduction may read and write inputs and outputs of other ranks (Place::owner), which lie there
//     at the places where the own ones do. All messages are signals then, two at most to each rank. Those of one number go out together, behind all that
//     stands before the first of them in the list, and nothing stands between them: ranks do one step at a time. Two accesses of different ranks to the same element, one of them writing, are ordered by
//     dependencies and signals; and an access to another rank's memory comes after a step of that rank and before one: its memory is
//     its own again when its steps have ended.
//
// An executor turns send/recv pairs into a copy between two devices' memories plus a semaphore, reduce into one kernel launch with k pointers;
// a transport turns them into frames {channel, sequence, chunk}; the simulator into flows.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace npu::ccl {

enum class Buffer : uint8_t { kInput, kOutput, kScratch, kPartial };
inline constexpr uint32_t kBufferCount = 4;

enum class Format : uint8_t { kData, kAccumulator };
inline Format format_of(Buffer buffer) {
  return buffer == Buffer::kPartial ? Format::kAccumulator : Format::kData;
}

struct Place {
  Buffer buffer = Buffer::kInput;
  uint64_t offset = 0;
  uint32_t owner = kOwn;  // another rank; never the own one's number
  static constexpr uint32_t kOwn = UINT32_MAX;
  bool is_remote() const { return owner != kOwn; }
  Place at(uint64_t delta) const { return {buffer, offset + delta, owner}; }
  bool operator==(const Place&) const = default;
};

enum class StepKind : uint8_t {
  kSend,        // operand 0 -> peer
  kRecv,        // peer -> to
  kRecvReduce,  // reduce(message, operand 0) -> to, in the order that message_first says
  kReduce,      // reduce(operands) -> to
  kCopy,        // operand 0 -> to, same format
};
inline constexpr uint32_t kStepKindCount = 5;

struct Step {
  StepKind kind = StepKind::kCopy;
  Format format = Format::kData;  // of the message, if there is one
  bool message_first = false;     // kRecvReduce
  bool to_all =
      false;  // kReduce, kCopy: |to| is the same place of every rank's buffer, the own one among them
  uint16_t channel = 0;
  uint16_t chunk = 0;  // which slice of the collective; for frames, traces and pictures
  uint32_t peer = 0;
  uint64_t count = 0;  // elements; 0 only in signals
  Place to;
  uint32_t operand_first = 0;  // into RankSchedule::operands
  uint32_t operand_count = 0;
  uint32_t dependency_first = 0;  // into RankSchedule::dependencies
  uint32_t dependency_count = 0;

  bool sends() const { return kind == StepKind::kSend; }
  bool receives() const { return kind == StepKind::kRecv || kind == StepKind::kRecvReduce; }
  bool writes() const { return kind != StepKind::kSend; }
};

struct RankSchedule {
  uint32_t rank = 0;
  uint64_t scratch_count = 0;  // elements of the data type
  uint64_t partial_count = 0;  // elements of the accumulator type
  std::vector<Step> steps;
  std::vector<Place> operands;
  std::vector<uint32_t> dependencies;

  std::span<const Place> operands_of(const Step& step) const {
    return std::span(operands).subspan(step.operand_first, step.operand_count);
  }
  std::span<const uint32_t> dependencies_of(const Step& step) const {
    return std::span(dependencies).subspan(step.dependency_first, step.dependency_count);
  }
};

// The most signals of a rank to another one in a schedule that goes through windows.
inline constexpr uint32_t kWindowSignals = 2;

using Schedule = std::vector<RankSchedule>;  // one per rank, in rank order

// Calls |visit| with each place that |step| writes, those of other ranks too.
template <typename Visit>
void each_target(const RankSchedule& schedule, const Step& step, uint32_t ranks,
                 const Visit& visit) {
  if (!step.writes()) return;
  visit(step.to);
  for (uint32_t rank = 0; rank < ranks && step.to_all; rank++) {
    if (rank != schedule.rank) visit(Place{step.to.buffer, step.to.offset, rank});
  }
}

}  // namespace npu::ccl
