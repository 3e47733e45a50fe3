// SPDX-License-Identifier: Apache-2.0
// Builder: writes one rank's schedule. Generators say what moves; the builder finds the dependencies from what each step reads and writes.
//
// A transfer of no elements is no step, on both sides: counts are known to all ranks, so nobody waits for it.
#pragma once

#include <span>
#include <vector>

#include "libnpu/ccl/schedule/address_map.h"
#include "libnpu/ccl/schedule/hazard_map.h"
#include "libnpu/ccl/schedule/problem.h"
#include "libnpu/ccl/schedule/schedule.h"

namespace npu::ccl {

class Builder {
 public:
  static constexpr uint32_t kNoStep = UINT32_MAX;

  Builder(const Problem& problem, uint32_t rank);

  // Steps from here on belong to slice |chunk|; its scratch is that of slice chunk - slots, which the dependencies protect.
  void begin_chunk(uint32_t chunk);

  // New room, good until the end of this slice.
  Place scratch(uint64_t count);
  Place partial(uint64_t count);
  // Room for a subtree that travels: raw if it is one rank's input.
  Place room(uint32_t ranks, uint64_t count) {
    return ranks == 1 ? scratch(count) : partial(count);
  }

  // Each returns the step, or kNoStep if there was nothing to do.
  uint32_t send(uint32_t peer, Place from, uint64_t count);
  uint32_t recv(uint32_t peer, Place to, uint64_t count);
  uint32_t recv_reduce(uint32_t peer, Place local, Place to, uint64_t count);
  uint32_t reduce(std::span<const Place> operands, Place to, uint64_t count);
  uint32_t copy(Place from, Place to, uint64_t count);
  // The same, to the same place of every rank's buffer.
  uint32_t reduce_to_all(std::span<const Place> operands, Place to, uint64_t count);
  uint32_t copy_to_all(Place from, Place to, uint64_t count);
  // Messages without elements: barriers, and the order of what ranks do in each other's memory.
  uint32_t signal(uint32_t peer);
  uint32_t wait(uint32_t peer);

  // The next step waits for |step| too (kNoStep: for nothing more). A next step that is none drops this.
  void after(uint32_t step);

  RankSchedule finish() &&;

 private:
  uint32_t add(Step step, std::span<const Place> operands);
  uint32_t skip();
  uint32_t write(StepKind kind, std::span<const Place> operands, Place to, uint64_t count,
                 bool to_all);

  RankSchedule schedule_;
  AddressMap addresses_;
  HazardMap hazards_;
  std::vector<uint32_t> before_;  // of the next step
  uint32_t slots_;
  uint16_t channels_;
  uint16_t chunk_ = 0;
  // Room of the first slice, which is the longest: the size of a slot.
  uint64_t scratch_slot_ = 0;
  uint64_t partial_slot_ = 0;
  uint64_t scratch_next_ = 0;
  uint64_t partial_next_ = 0;
};

}  // namespace npu::ccl
