// SPDX-License-Identifier: Apache-2.0
// Schedules for other programs and for people.
#pragma once

#include <span>
#include <string>

#include "libnpu/ccl/schedule/algorithm.h"
#include "libnpu/ccl/schedule/schedule.h"

namespace npu::ccl {

// {"op", "algorithm", "count", ..., "ranks": [{"rank", "scratch", "partial", "steps": [...]}]}; a step has "kind", "count", and what applies of "peer", "channel",
// "chunk", "format", "to", "from", "after" (step numbers). Places are [buffer, offset].
std::string to_json(const Problem& problem, Algorithm algorithm,
                    std::span<const RankSchedule> schedule);

// One row per rank, one column per unit of time, with every step and every message taking one: >3 sends to 3, <3 receives, &3 receives and reduces, +4 reduces four
// operands, = copies. Several steps of one kind in one cell are >3,4,7. All ranks' schedules, and only such as verify() accepts.
std::string to_timeline(std::span<const RankSchedule> schedule);

// For Graphviz: a cluster per rank, a box per step, arrows for dependencies, dashed ones for messages. Small groups only, a person shall read it.
std::string to_dot(std::span<const RankSchedule> schedule);

}  // namespace npu::ccl
