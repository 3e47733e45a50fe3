// SPDX-License-Identifier: Apache-2.0
// Algorithms: their names, what each is offered for, and the one function that makes a schedule.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "libnpu/ccl/schedule/problem.h"
#include "libnpu/ccl/schedule/schedule.h"

namespace npu::ccl {

enum class Algorithm : uint8_t {
  kWindow,         // no messages: straight in the memory of the other ranks
  kDirect,         // one hop: everybody to everybody
  kDoubling,       // recursive doubling; reductions along the canonical tree, any number of ranks
  kFlood,          // one round: everybody has all inputs, and adds them up
  kHalving,        // recursive halving and doubling (Rabenseifner)
  kRing,           // neighbours only; reductions in another order than the canonical one
  kHierarchical,   // direct inside a node, direct between the nodes, in one pipeline
  kBruck,          // logarithmic, any number of ranks
  kTree,           // binomial; reductions along the canonical tree
  kScatterGather,  // large rooted operations: scatter + all-gather, reduce-scatter + gather
  kChain,          // pipelined along the ranks
  kPairwise,       // one partner at a time
  kDissemination,  // barrier
};
inline constexpr uint32_t kAlgorithmCount = 13;

const char* name_of(Algorithm algorithm);
std::optional<Algorithm> algorithm_named(std::string_view name);
std::optional<Op> op_named(std::string_view name);

// In the order of the enumeration.
std::span<const Algorithm> algorithms_of(Op op);

// Why |algorithm| is not offered for |problem|; empty: it is.
std::string refuse(const Problem& problem, Algorithm algorithm);

// A pure function. Only for what refuse() does not refuse.
RankSchedule generate(const Problem& problem, Algorithm algorithm, uint32_t rank);
Schedule generate_all(const Problem& problem, Algorithm algorithm);

}  // namespace npu::ccl
