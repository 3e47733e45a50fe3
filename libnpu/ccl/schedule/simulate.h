// SPDX-License-Identifier: Apache-2.0
// The flow-level simulator: how long a schedule takes on a network, in virtual time.
//
// A message is a flow. It starts when its send and receive are ready and its predecessor in the stream has gone out; all flows share the directed
// links max-min fairly; the sender is done when the last byte has left, the receiver hops * latency later. Reductions and copies of a rank run one after
// another at the given rate. The result depends on the inputs only.
//
// Folding. If the schedules of all nodes are images of each other under the shift by one node, all of them run in step, and it is enough to simulate one node
// whose messages to the outside come back in as those of its images (matching.h). This is exact, because max-min rates are unique and so have the
// symmetry of the problem; refuse_fold() compares the schedules step by step, and the tests compare both simulations.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "libnpu/ccl/schedule/algorithm.h"
#include "libnpu/ccl/schedule/topology.h"
#include "libnpu/ccl/schedule/traffic.h"

namespace npu::ccl {

struct Workload {
  ElementSizes sizes;
  double reduce_bytes_per_s = 0;  // operands read, copies too; 0: they take no time
};

struct Simulation {
  std::string error;  // why there is no result; empty: there is one
  double seconds = 0;
  std::vector<double> rank_seconds;  // end of each kept rank
  uint64_t messages = 0;             // of the kept ranks
};

// |schedules| are those of ranks 0 ... fold.kept - 1.
Simulation simulate(std::span<const RankSchedule> schedules, Fold fold, const Topology& topology,
                    const Workload& workload);

// Why the schedules of |problem| cannot be folded to one node of |topology|; empty: they can. Compares all nodes of groups up to kFoldCheckAll ranks, and
// the second, the middle and the last node of larger ones.
inline constexpr uint32_t kFoldCheckAll = 256;
std::string refuse_fold(const Problem& problem, Algorithm algorithm, const Topology& topology);

// Generates and simulates, folded where |folded| asks for it.
Simulation simulate(const Problem& problem, Algorithm algorithm, const Topology& topology,
                    const Workload& workload, bool folded);

}  // namespace npu::ccl
