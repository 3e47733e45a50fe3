// SPDX-License-Identifier: Apache-2.0
// The flow-level simulator: how long a schedule takes on a network, in virtual time.
//
// A message is a flow. It starts when its send and receive are ready, its predecessor in the stream has gone out and its sender may start one; all flows share the directed
// links max-min fairly; the sender is done when the last byte has left, the receiver message_s + hops * latency later. Reductions and copies of a rank run one after
// another at the given rate. The result depends on the inputs only.
//
// Folding. If the schedules of all parts of the group (a node or a leaf's nodes each) are images of each other under the shift by one part, or under the exclusive or, all of
// them run in step, and it is enough to simulate one part whose messages to the outside come back in as those of its images (matching.h). This is exact, because max-min rates
// are unique and so have the symmetry of the problem; refuse_fold() compares the schedules step by step, and the tests compare both simulations.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "libnpu/ccl/schedule/algorithm.h"
#include "libnpu/ccl/schedule/topology.h"
#include "libnpu/ccl/schedule/traffic.h"

namespace npu::ccl {

inline constexpr double kToleranceExact = 1e-9;
inline constexpr double kToleranceMost = 0.05;

struct Workload {
  ElementSizes sizes;
  double reduce_bytes_per_s = 0;  // operands read, copies too; 0: they take no time
  double message_s = 0;           // of each message, besides its bytes and hops
  double gap_s = 0;               // from one start of a message to the next of the same rank
  double scale = 1;               // of all bytes: elements of another length than |sizes| says
  // A message of which no more than this part is left when another one ends, ends with it: so much too early. Thousands that end one by one are so many moments less.
  // Not less than what keeps rounding from separating those that end together. Where it is more, it is raised, at most to kToleranceMost, while a simulation goes on and on.
  double tolerance = kToleranceExact;
};

// All links of one kind, of all ranks.
struct LinkLoad {
  uint64_t links = 0;
  double bytes = 0;
  double bytes_per_s = 0;  // capacity of all together
  double busiest_s = 0;    // that the most loaded one needs for its bytes
  std::string busiest;     // its ends
};

struct Simulation {
  std::string error;  // why there is no result; empty: there is one
  double seconds = 0;
  std::vector<double> rank_seconds;  // end of each kept rank
  uint64_t messages = 0;             // of the kept ranks
  double sent_bytes = 0;             // of all ranks
  double reduce_s = 0;               // that the busiest rank reduces and copies
  double starting_s = 0;             // that the busiest rank starts messages
  double tolerance = 0;              // at the end
  std::array<LinkLoad, kLinkKindCount> loads;
};

// |schedules| are those of ranks 0 ... fold.kept - 1.
Simulation simulate(std::span<const RankSchedule> schedules, Fold fold, const Topology& topology,
                    const Workload& workload);

// Why the schedules of |problem| are no images under |fold| on |topology|; empty: they are. Compares all images in groups up to kFoldCheckAll ranks, and
// the second, the middle and the last of larger ones.
inline constexpr uint32_t kFoldCheckAll = 256;
std::string refuse_fold(const Problem& problem, Algorithm algorithm, const Topology& topology,
                        Fold fold);
// The fold that keeps the fewest ranks; nothing: the whole must be simulated.
std::optional<Fold> fold_of(const Problem& problem, Algorithm algorithm, const Topology& topology);

// Generates and simulates. |fold| is none or one that refuse_fold() does not refuse.
Simulation simulate(const Problem& problem, Algorithm algorithm, const Topology& topology,
                    const Workload& workload, Fold fold);

}  // namespace npu::ccl
