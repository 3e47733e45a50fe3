// SPDX-License-Identifier: Apache-2.0
// Prediction: how long an operation takes on a network by each algorithm, from the simulator.
//
// The vector is cut evenly, into parts of a byte where its length asks for that: then all blocks are equal, groups fold (simulate.h), and a prediction is a smooth
// function of the size. A schedule that is executed differs by one element in each block at most.
#pragma once

#include <string>

#include "libnpu/ccl/schedule/simulate.h"

namespace npu::ccl {

struct Question {
  Op op = Op::kAllReduce;
  double size_bytes =
      0;  // of the whole vector, as nccl-tests count it; 0: a barrier, or only what messages cost
  ElementSizes sizes;
  Order order = Order::kCanonical;
  uint32_t chunks = 1;
  Topology topology;
  Workload costs;  // sizes and scale are the question's

  // Why nobody can answer; empty: it can be asked of each algorithm.
  std::string refuse() const;
};

// More are not simulated: it would take minutes and gigabytes.
inline constexpr uint64_t kMessagesMax = 2'000'000;

// Of more than that the ends are taken together that are nearer than this part of a message (Workload::tolerance): a prediction is too low by no more than Simulation::tolerance.
inline constexpr uint64_t kExactMessagesMax = 20'000;
inline constexpr double kTolerance = 1e-3;

struct Answer {
  Algorithm algorithm = Algorithm::kDirect;
  std::string refusal;  // why there is no more; empty: there is
  double seconds = 0;
  double algbw_bytes_per_s = 0;  // size over time
  double busbw_bytes_per_s = 0;  // that times bus_factor()
  uint32_t rounds = 0;           // traffic.h
  Fold fold{1, 1};               // what was simulated stands for the rest
  Simulation simulation;
  // What is busy for the largest part of the time, which of them most, and how large that part is.
  std::string limit;
  std::string limit_where;  // empty: the same everywhere, or not told
  double limit_share = 0;
};

// What nccl-tests multiply with, so that the best algorithm reaches the rate of the links for any number of ranks.
double bus_factor(Op op, uint32_t ranks);
// The problem whose schedule stands for |question|, in elements of Workload::scale times their length.
Problem problem_of(const Question& question);
Answer predict(const Question& question, Algorithm algorithm);

}  // namespace npu::ccl
