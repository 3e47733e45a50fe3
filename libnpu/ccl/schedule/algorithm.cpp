// SPDX-License-Identifier: Apache-2.0
// The table of algorithms: one row per pair of operation and algorithm.
#include "libnpu/ccl/schedule/algorithm.h"

#include <array>
#include <bit>
#include <utility>
#include <vector>

#include "libnpu/ccl/schedule/algorithms/generators.h"

namespace npu::ccl {
namespace {

constexpr const char* kNames[kAlgorithmCount] = {
    "window", "direct", "doubling", "flood", "halving",  "ring",         "hierarchical",
    "bruck",  "tree",   "scatter",  "chain", "pairwise", "dissemination"};

// What a row asks of the problem.
enum Needs : uint8_t {
  kNothing = 0,
  kPowerOfTwo = 1,
  kAnyOrder = 2,     // does not evaluate the canonical tree
  kEqualCounts = 4,  // no v-form
  kWindows = 8,      // of one node; in one chunk whatever the problem says
};

struct Row {
  Op op;
  Algorithm algorithm;
  void (*generate)(Task&);
  uint8_t needs;
};

constexpr Row kRows[] = {
    {Op::kAllReduce, Algorithm::kWindow, all_reduce_window, kWindows},
    {Op::kAllReduce, Algorithm::kDirect, all_reduce_direct, kNothing},
    {Op::kAllReduce, Algorithm::kDoubling, all_reduce_doubling, kNothing},
    {Op::kAllReduce, Algorithm::kFlood, all_reduce_flood, kNothing},
    {Op::kAllReduce, Algorithm::kHalving, all_reduce_halving, kNothing},
    {Op::kAllReduce, Algorithm::kRing, all_reduce_ring, kAnyOrder},
    {Op::kAllReduce, Algorithm::kHierarchical, all_reduce_hierarchical, kNothing},
    {Op::kAllGather, Algorithm::kWindow, all_gather_window, kWindows},
    {Op::kAllGather, Algorithm::kDirect, all_gather_direct, kNothing},
    {Op::kAllGather, Algorithm::kDoubling, all_gather_doubling, kPowerOfTwo},
    {Op::kAllGather, Algorithm::kRing, all_gather_ring, kNothing},
    {Op::kAllGather, Algorithm::kHierarchical, all_gather_hierarchical, kNothing},
    {Op::kAllGather, Algorithm::kBruck, all_gather_bruck, kNothing},
    {Op::kReduceScatter, Algorithm::kWindow, reduce_scatter_window, kWindows},
    {Op::kReduceScatter, Algorithm::kDirect, reduce_scatter_direct, kNothing},
    {Op::kReduceScatter, Algorithm::kHalving, reduce_scatter_halving, kPowerOfTwo},
    {Op::kReduceScatter, Algorithm::kRing, reduce_scatter_ring, kAnyOrder},
    {Op::kReduceScatter, Algorithm::kHierarchical, reduce_scatter_hierarchical, kNothing},
    {Op::kReduceScatter, Algorithm::kBruck, reduce_scatter_bruck, kAnyOrder},
    {Op::kBroadcast, Algorithm::kWindow, broadcast_window, kWindows},
    {Op::kBroadcast, Algorithm::kTree, broadcast_tree, kNothing},
    {Op::kBroadcast, Algorithm::kScatterGather, broadcast_scatter_gather, kNothing},
    {Op::kBroadcast, Algorithm::kChain, broadcast_chain, kNothing},
    {Op::kReduce, Algorithm::kWindow, reduce_window, kWindows},
    {Op::kReduce, Algorithm::kTree, reduce_tree, kNothing},
    {Op::kReduce, Algorithm::kScatterGather, reduce_scatter_gather, kNothing},
    {Op::kGather, Algorithm::kDirect, gather_direct, kNothing},
    {Op::kGather, Algorithm::kTree, gather_tree, kNothing},
    {Op::kScatter, Algorithm::kDirect, scatter_direct, kNothing},
    {Op::kScatter, Algorithm::kTree, scatter_tree, kNothing},
    {Op::kAllToAll, Algorithm::kWindow, all_to_all_window, kWindows},
    {Op::kAllToAll, Algorithm::kDirect, all_to_all_direct, kNothing},
    {Op::kAllToAll, Algorithm::kBruck, all_to_all_bruck, kEqualCounts},
    {Op::kAllToAll, Algorithm::kPairwise, all_to_all_pairwise, kNothing},
    {Op::kBarrier, Algorithm::kDirect, barrier_direct, kNothing},
    {Op::kBarrier, Algorithm::kDissemination, barrier_dissemination, kNothing},
    {Op::kSendRecv, Algorithm::kDirect, send_recv, kNothing},
};

const Row* row_of(Op op, Algorithm algorithm) {
  for (const Row& row : kRows) {
    if (row.op == op && row.algorithm == algorithm) return &row;
  }
  return nullptr;
}

// A buffer of no length lies nowhere.
bool reaches_all(const Problem& problem) {
  if (!problem.in_windows || problem.node_count() != 1) return false;
  const Reach reach = reach_of(problem.op);
  for (uint32_t rank = 0; rank < problem.ranks; rank++) {
    if (reach.input && problem.input_count(rank) == 0) return false;
    if (reach.output && problem.output_count(rank) == 0) return false;
  }
  return true;
}

using AlgorithmLists = std::array<std::vector<Algorithm>, kOpCount>;
AlgorithmLists make_lists() {
  AlgorithmLists lists;
  for (const Row& row : kRows) lists[static_cast<size_t>(row.op)].push_back(row.algorithm);
  return lists;
}

}  // namespace

const char* name_of(Algorithm algorithm) { return kNames[static_cast<uint32_t>(algorithm)]; }

std::optional<Algorithm> algorithm_named(std::string_view name) {
  for (uint32_t i = 0; i < kAlgorithmCount; i++) {
    if (name == kNames[i]) return static_cast<Algorithm>(i);
  }
  return std::nullopt;
}

std::optional<Op> op_named(std::string_view name) {
  for (uint32_t i = 0; i < kOpCount; i++) {
    if (name == name_of(static_cast<Op>(i))) return static_cast<Op>(i);
  }
  return std::nullopt;
}

std::span<const Algorithm> algorithms_of(Op op) {
  static const AlgorithmLists lists = make_lists();
  return lists[static_cast<size_t>(op)];
}

std::string refuse(const Problem& problem, Algorithm algorithm) {
  std::string cause = problem.refuse();
  if (!cause.empty()) return cause;
  const std::string name = name_of(algorithm);
  const Row* row = row_of(problem.op, algorithm);
  if (row == nullptr) return name + " is no algorithm for " + name_of(problem.op);
  if ((row->needs & kPowerOfTwo) && !std::has_single_bit(problem.ranks)) {
    return name + " needs a power of two ranks";
  }
  if ((row->needs & kAnyOrder) && problem.order == Order::kCanonical) {
    return name + " does not reduce in the canonical order: only for integers, min and max";
  }
  if ((row->needs & kEqualCounts) && !problem.counts.empty()) {
    return name + " needs equal counts";
  }
  if ((row->needs & kWindows) && !reaches_all(problem)) {
    return name + " needs buffers of all ranks in windows, none of them empty, and one node";
  }
  if (problem.op == Op::kBarrier && problem.chunks != 1) return "a barrier has one chunk";
  return "";
}

RankSchedule generate(const Problem& problem, Algorithm algorithm, uint32_t rank) {
  const Row* row = row_of(problem.op, algorithm);
  if ((row->needs & kWindows) && problem.chunks != 1) {
    Problem whole = problem;
    whole.chunks = whole.channels = 1;
    whole.slots = 0;
    return generate(whole, algorithm, rank);
  }
  const BlockTable blocks(problem);
  Builder builder(problem, rank);
  for (uint32_t chunk = 0; chunk < problem.chunks; chunk++) {
    builder.begin_chunk(chunk);
    Task task{problem, blocks, rank, chunk, builder};
    row->generate(task);
  }
  return std::move(builder).finish();
}

Schedule generate_all(const Problem& problem, Algorithm algorithm) {
  Schedule schedule;
  for (uint32_t rank = 0; rank < problem.ranks; rank++) {
    schedule.push_back(generate(problem, algorithm, rank));
  }
  return schedule;
}

}  // namespace npu::ccl
