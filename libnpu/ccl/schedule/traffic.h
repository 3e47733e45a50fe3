// SPDX-License-Identifier: Apache-2.0
// Traffic: what a rank sends and adds up. Measured from a schedule, and in closed form for each algorithm; the tests hold one against the other.
#pragma once

#include <optional>

#include "libnpu/ccl/schedule/algorithm.h"
#include "libnpu/ccl/schedule/problem.h"
#include "libnpu/ccl/schedule/schedule.h"

namespace npu::ccl {

struct ElementSizes {
  uint64_t data_bytes = 4;
  uint64_t accumulator_bytes = 4;
  uint64_t of(Format format) const {
    return format == Format::kData ? data_bytes : accumulator_bytes;
  }
};

struct Traffic {
  uint64_t data = 0;         // elements sent in the data type
  uint64_t accumulator = 0;  // elements sent in the accumulator type
  uint64_t bytes(ElementSizes sizes) const {
    return data * sizes.data_bytes + accumulator * sizes.accumulator_bytes;
  }
  bool operator==(const Traffic&) const = default;
};

// What it moves through windows counts, in whichever direction.
Traffic sent_by(const RankSchedule& schedule, uint32_t ranks);

// The closed form: the most that a rank sends. Exact where blocks are equal (count divisible by ranks, and by the powers of two below them for halving),
// one chunk; for other counts take the next one that is. Nothing where there is no closed form: v-forms, uneven or unaligned nodes.
std::optional<Traffic> most_sent(const Problem& problem, Algorithm algorithm);

// Steps one after another that a message of no length takes: what alpha is multiplied with.
uint32_t rounds_of(const Problem& problem, Algorithm algorithm);
// Messages that the busiest rank sends in these rounds.
uint32_t messages_of(const Problem& problem, Algorithm algorithm);
// Elements that a rank reads as operands of reductions, all its own and received ones together.
uint64_t reduced_by(const Problem& problem, Algorithm algorithm);

}  // namespace npu::ccl
