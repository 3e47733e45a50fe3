// SPDX-License-Identifier: Apache-2.0
// Sizes of the buffers of a collective, and what is no collective.
#include "libnpu/ccl/schedule/problem.h"

#include <algorithm>
#include <cstddef>
#include <numeric>

namespace npu::ccl {
namespace {

struct OpRow {
  const char* name;
  bool reduces;
  bool has_counts;
  bool has_place;  // an in-place form exists
  Reach reach;
};
constexpr OpRow kOps[kOpCount] = {
    {"allreduce", true, false, true, {true, true}},
    {"allgather", false, true, true, {false, true}},
    {"reducescatter", true, true, true, {true, false}},
    {"broadcast", false, false, true, {false, true}},
    {"reduce", true, false, true, {true, false}},
    {"gather", false, true, true, {}},
    {"scatter", false, true, true, {}},
    {"alltoall", false, true, false, {false, true}},
    {"barrier", false, false, false, {}},
    {"sendrecv", false, false, false, {}},
};

const OpRow& row_of(Op op) { return kOps[static_cast<uint32_t>(op)]; }

bool sums_below(const std::vector<uint64_t>& counts, uint64_t limit) {
  uint64_t sum = 0;
  for (uint64_t count : counts) {
    if (count > limit - sum) return false;
    sum += count;
  }
  return true;
}

std::string refuse_counts(const Problem& p) {
  if (p.op == Op::kBarrier && p.count != 0) return "a barrier moves nothing: count must be 0";
  if (p.counts.empty()) {
    return p.count > Problem::kElementsMax / p.ranks ? "count is larger than any buffer" : "";
  }
  if (!row_of(p.op).has_counts) return std::string(name_of(p.op)) + " has no form with counts";
  const uint64_t wanted = p.op == Op::kAllToAll ? uint64_t{p.ranks} * p.ranks : p.ranks;
  if (p.counts.size() != wanted) {
    return "counts has " + std::to_string(p.counts.size()) + " entries, it needs " +
           std::to_string(wanted);
  }
  return sums_below(p.counts, Problem::kElementsMax) ? "" : "counts add up to more than any buffer";
}

std::string refuse_nodes(const Problem& p) {
  if (p.nodes.empty()) return "";
  uint64_t sum = 0;
  for (uint32_t size : p.nodes) {
    if (size == 0) return "a node has no ranks";
    sum += size;
  }
  return sum == p.ranks ? ""
                        : "the nodes have " + std::to_string(sum) + " ranks, the group has " +
                              std::to_string(p.ranks);
}

uint64_t sum_of(const std::vector<uint64_t>& counts, uint64_t first, uint64_t number) {
  const auto begin = counts.begin() + static_cast<std::ptrdiff_t>(first);
  return std::accumulate(begin, begin + static_cast<std::ptrdiff_t>(number), uint64_t{0});
}

uint64_t column_sum(const Problem& p, uint32_t target, uint32_t rows) {
  uint64_t sum = 0;
  for (uint32_t s = 0; s < rows; s++) sum += p.counts[uint64_t{s} * p.ranks + target];
  return sum;
}

uint64_t whole_count(const Problem& p) {
  return p.counts.empty() ? p.count * p.ranks : sum_of(p.counts, 0, p.ranks);
}

}  // namespace

const char* name_of(Op op) { return row_of(op).name; }
bool reduces(Op op) { return row_of(op).reduces; }
Reach reach_of(Op op) { return row_of(op).reach; }

Block part_of(Block whole, uint32_t parts, uint32_t index) {
  const uint64_t each = whole.count / parts;
  const uint64_t longer = whole.count % parts;
  return {whole.offset + index * each + std::min<uint64_t>(index, longer),
          each + (index < longer ? 1 : 0)};
}

std::string Problem::refuse() const {
  if (static_cast<uint32_t>(op) >= kOpCount) return "unknown operation";
  if (ranks == 0 || ranks > kRanksMax) return "ranks must be 1 to " + std::to_string(kRanksMax);
  if (root >= ranks) return "root is not a rank of the group";
  if (peer >= ranks) return "peer is not a rank of the group";
  if (chunks == 0 || chunks > kChunksMax)
    return "chunks must be 1 to " + std::to_string(kChunksMax);
  if (channels == 0 || channels > chunks) return "channels must be 1 to the number of chunks";
  if (slots > chunks) return "slots must not exceed the number of chunks";
  if (in_place && !row_of(op).has_place) return std::string(name_of(op)) + " has no in-place form";
  std::string cause = refuse_counts(*this);
  return cause.empty() ? refuse_nodes(*this) : cause;
}

Block Problem::block(uint32_t rank) const {
  if (counts.empty()) return {rank * count, count};
  return {sum_of(counts, 0, rank), counts[rank]};
}

Block Problem::outgoing(uint32_t source, uint32_t target) const {
  if (counts.empty()) return {target * count, count};
  const uint64_t row = uint64_t{source} * ranks;
  return {sum_of(counts, row, target), counts[row + target]};
}

Block Problem::incoming(uint32_t source, uint32_t target) const {
  if (counts.empty()) return {source * count, count};
  return {column_sum(*this, target, source), counts[uint64_t{source} * ranks + target]};
}

uint64_t Problem::input_count(uint32_t rank) const {
  switch (op) {
    case Op::kAllReduce:
    case Op::kReduce:
      return count;
    case Op::kAllGather:
    case Op::kGather:
      return block(rank).count;
    case Op::kReduceScatter:
      return whole_count(*this);
    case Op::kScatter:
      return rank == root ? whole_count(*this) : 0;
    case Op::kBroadcast:
    case Op::kSendRecv:
      return rank == root ? count : 0;
    case Op::kAllToAll:
      return counts.empty() ? count * ranks : sum_of(counts, uint64_t{rank} * ranks, ranks);
    case Op::kBarrier:
      break;
  }
  return 0;
}

uint64_t Problem::output_count(uint32_t rank) const {
  switch (op) {
    case Op::kAllReduce:
    case Op::kBroadcast:
      return count;
    case Op::kReduce:
      return rank == root ? count : 0;
    case Op::kAllGather:
      return whole_count(*this);
    case Op::kGather:
      return rank == root ? whole_count(*this) : 0;
    case Op::kReduceScatter:
    case Op::kScatter:
      return block(rank).count;
    case Op::kSendRecv:
      return rank == peer ? count : 0;
    case Op::kAllToAll:
      return counts.empty() ? count * ranks : column_sum(*this, rank, ranks);
    case Op::kBarrier:
      break;
  }
  return 0;
}

}  // namespace npu::ccl
