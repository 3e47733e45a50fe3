// SPDX-License-Identifier: Apache-2.0
// The cost model: rounds * alpha + messages * overhead + bytes * beta + reduced bytes * gamma, corrected by what was measured.
//
// It ranks algorithms; it does not know contention. For that there is the simulator.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "libnpu/ccl/schedule/algorithm.h"
#include "libnpu/ccl/schedule/traffic.h"

namespace npu::ccl {

struct Machine {
  double alpha_s = 5e-6;              // per round
  double overhead_s = 0.75e-6;        // per further message of the same round
  double local_bytes_per_s = 450e9;   // injection into the own node
  double remote_bytes_per_s = 150e9;  // injection towards other nodes
  double reduce_bytes_per_s = 900e9;  // operands read
  double window_alpha_s = 5e-6;  // per round of signals, where ranks work in each other's memory
  double window_bytes_per_s = 450e9;  // what is read or written there
  double pool_alpha_s = 0;            // per round through pools (pooling.h); 0: there are none
  double word_s = 0;  // per further rank that is heard in a round of pools or windows

  // Devices that are models, on the CPUs of one machine: measured by npu-ccl-bench on two cores, 2 and 4 ranks, 4 KiB to 16 MiB (docs/ccl.md). What is added up goes through an interpreter.
  static Machine of_model() { return {10e-6, 2e-6, 10e9, 10e9, 6e9, 4.4e-6, 20e9, 6.5e-6, 1e-6}; }
  // The same, each of them a host of its own, half of them at each end of a cable (npu-ccl-bench --network, decision 0076), 2, 4 and 8 ranks, 4 KiB to 1 MiB: calls look for messages (decision 0079). So that the order of the algorithms is that of the measurements; the times are not.
  static Machine of_models_on_hosts() { return {180e-6, 40e-6, 1e9, 1e9, 6e9}; }
};

// Measured time / modelled time at some sizes; between them the factor is linear in log2(bytes), outside it is that of the nearest size.
struct Correction {
  struct Point {
    uint64_t bytes;
    double factor;
  };
  Op op;
  Algorithm algorithm;
  std::vector<Point> points;  // ascending bytes, at least 1

  // For Machine::of_model(): what only moves needs one pass over its data in windows, and two in pools.
  static std::vector<Correction> of_model();
};

class CostModel {
 public:
  CostModel(Machine machine, std::vector<Correction> corrections)
      : machine_(machine), corrections_(std::move(corrections)) {}

  // Seconds. |algorithm| is offered for |problem|.
  double seconds(const Problem& problem, Algorithm algorithm, ElementSizes sizes) const;

 private:
  double factor(const Problem& problem, Algorithm algorithm, uint64_t bytes) const;

  Machine machine_;
  std::vector<Correction> corrections_;
};

// The size that tables and overrides speak of: the whole vector, as nccl-tests count it.
uint64_t size_bytes(const Problem& problem, ElementSizes sizes);

}  // namespace npu::ccl
