// SPDX-License-Identifier: Apache-2.0
// Pooling: whether a schedule consists of rounds in each of which every rank sends one message to every other rank, and hears every other one. Its executor may then lay all that a rank sends in a round into
// one place, its pool, and tell all others by one word; they read it there, and need not tell that they have.
//
// That is safe with two pools in turns: who signals for a round is done with what he has read in the one before, and hears all others in each; so when he comes to the round after the next, all others
// are done with this one.
#pragma once

#include <optional>
#include <vector>

#include "libnpu/ccl/schedule/algorithm.h"

namespace npu::ccl {

struct Pooling {
  // Of a receive.
  struct Take {
    uint64_t offset = 0;  // of the message in the sender's buffer, and so in its pool, in elements
    bool in_place =
        false;  // only reductions read it, before the next round: they may do so in the pool
  };

  uint32_t rounds = 0;
  uint64_t extent = 0;      // elements that a pool has to hold
  std::vector<Take> takes;  // by step of the own rank
};

// Nothing: it has no such rounds. The same verdict on all ranks. |own|: generate()'s, of one chunk.
std::optional<Pooling> find_pooling(const Problem& problem, Algorithm algorithm,
                                    const RankSchedule& own);

// The rounds of it, without looking at schedules; of v-forms it knows nothing.
uint32_t pooled_rounds(const Problem& problem, Algorithm algorithm);

}  // namespace npu::ccl
