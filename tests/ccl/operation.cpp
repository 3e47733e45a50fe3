// SPDX-License-Identifier: Apache-2.0
#include "tests/ccl/operation.h"

#include <algorithm>
#include <numeric>

namespace npu::test {
namespace {

constexpr const char* kNames[kKindCount] = {
    "allreduce", "reduce",     "broadcast",      "allgather", "reducescatter", "gather", "scatter",
    "alltoall",  "allgatherv", "reducescatterv", "alltoallv", "ring",          "barrier"};

uint64_t sum(const std::vector<uint64_t>& values, size_t first, size_t number) {
  const auto begin = values.begin() + static_cast<long>(first);
  return std::accumulate(begin, begin + static_cast<long>(number), uint64_t{0});
}

void append(Bytes* to, const Bytes& from, uint64_t first, uint64_t number) {
  to->insert(to->end(), from.begin() + static_cast<long>(first),
             from.begin() + static_cast<long>(first + number));
}

bool reduces(Kind kind) {
  return kind == Kind::kAllReduce || kind == Kind::kReduce || kind == Kind::kReduceScatter ||
         kind == Kind::kReduceScatterV;
}
bool has_root(Kind kind) {
  return kind == Kind::kReduce || kind == Kind::kBroadcast || kind == Kind::kGather ||
         kind == Kind::kScatter;
}

}  // namespace

std::string Operation::text() const {
  return std::string(kNames[static_cast<uint32_t>(kind)]) + " type " + std::to_string(type) +
         " op " + std::to_string(op) + " count " + std::to_string(count) + " root " +
         std::to_string(root) + (in_place ? " in place" : "") + (in_window ? " in a window" : "") +
         " seed " + std::to_string(seed);
}

std::vector<uint64_t> Operation::counts(uint32_t ranks) const {
  if (kind == Kind::kBarrier) return {};
  std::vector<uint64_t> counts(
      kind == Kind::kAllToAllV || kind == Kind::kAllToAll ? uint64_t{ranks} * ranks : ranks, count);
  if (kind != Kind::kAllGatherV && kind != Kind::kReduceScatterV && kind != Kind::kAllToAllV) {
    return counts;
  }
  Rng rng(seed);
  for (uint64_t& one : counts) one = rng.percent(20) ? 0 : rng.below(count + 1);
  return counts;
}

uint64_t Operation::input_count(uint32_t ranks, uint32_t rank) const {
  const std::vector<uint64_t> c = counts(ranks);
  switch (kind) {
    case Kind::kAllGather:
    case Kind::kGather:
    case Kind::kAllGatherV:
      return c[rank];
    case Kind::kReduceScatter:
    case Kind::kReduceScatterV:
      return sum(c, 0, ranks);
    case Kind::kScatter:
      return rank == root ? sum(c, 0, ranks) : 0;
    case Kind::kBroadcast:
      return rank == root ? count : 0;
    case Kind::kAllToAll:
    case Kind::kAllToAllV:
      return sum(c, size_t{rank} * ranks, ranks);
    case Kind::kBarrier:
      return 0;
    default:
      return count;
  }
}

uint64_t Operation::output_count(uint32_t ranks, uint32_t rank) const {
  return expected(ranks, rank).size() / size_of(type);
}

Bytes Operation::input(uint32_t ranks, uint32_t rank) const {
  return numbers(type, input_count(ranks, rank), seed * 64 + rank);
}

Bytes Operation::expected(uint32_t ranks, uint32_t rank) const {
  const std::vector<uint64_t> c = counts(ranks);
  const uint64_t e = size_of(type);
  std::vector<Bytes> in;
  for (uint32_t r = 0; r < ranks; r++) in.push_back(input(ranks, r));
  Bytes out;
  switch (kind) {
    case Kind::kAllReduce:
      return reduced(type, op, in);
    case Kind::kReduce:
      return rank == root ? reduced(type, op, in) : out;
    case Kind::kReduceScatter:
    case Kind::kReduceScatterV:
      append(&out, reduced(type, op, in), sum(c, 0, rank) * e, c[rank] * e);
      return out;
    case Kind::kBroadcast:
      return in[root];
    case Kind::kGather:
      if (rank != root) return out;
      [[fallthrough]];
    case Kind::kAllGather:
    case Kind::kAllGatherV:
      for (const Bytes& one : in) append(&out, one, 0, one.size());
      return out;
    case Kind::kScatter:
      append(&out, in[root], rank * count * e, count * e);
      return out;
    case Kind::kAllToAll:
    case Kind::kAllToAllV:
      for (uint32_t s = 0; s < ranks; s++) {
        append(&out, in[s], sum(c, size_t{s} * ranks, rank) * e, c[size_t{s} * ranks + rank] * e);
      }
      return out;
    case Kind::kRing:
      return in[(rank + ranks - 1) % ranks];
    case Kind::kBarrier:
      break;
  }
  return out;
}

npuDataType some_type(Kind kind, uint64_t number) {
  static constexpr npuDataType kTypes[] = {NPU_FLOAT32, NPU_BFLOAT16,    NPU_FLOAT16,
                                           NPU_INT32,   NPU_FLOAT8_E4M3, NPU_FLOAT8_E5M2,
                                           NPU_INT8,    NPU_INT64};
  constexpr uint64_t kReducible = 7;
  return kTypes[number % (reduces(kind) ? kReducible : std::size(kTypes))];
}

Operation random_operation(Rng& rng, uint32_t ranks, uint64_t count_max) {
  Operation o;
  o.kind = static_cast<Kind>(rng.below(kKindCount));
  o.type = some_type(o.kind, rng.next());
  o.op = reduces(o.kind) ? static_cast<npuCclRedOp>(rng.below(5)) : NPU_CCL_SUM;
  o.count = rng.percent(10) ? rng.below(2) : rng.below(count_max) + 1;
  o.root = has_root(o.kind) ? static_cast<uint32_t>(rng.below(ranks)) : 0;
  o.seed = rng.below(1 << 20) + 1;
  o.in_place = rng.percent(40);
  o.in_window = rng.percent(50);
  return o;
}

Trial::Trial(const RankEnd& end, uint32_t ranks, uint32_t rank, const Operation& operation)
    : end_(end),
      ranks_(ranks),
      rank_(rank),
      o_(operation),
      counts_(operation.counts(ranks)),
      input_(operation.input(ranks, rank)),
      out_bytes_(operation.expected(ranks, rank).size()) {
  const bool can = o_.kind != Kind::kAllToAll && o_.kind != Kind::kAllToAllV &&
                   o_.kind != Kind::kRing && o_.kind != Kind::kBarrier;
  // In a window the buffers of all ranks lie alike, those of ranks with nothing to send too.
  const bool is_alike = o_.in_place && can;
  o_.in_place = is_alike && !input_.empty() && out_bytes_ != 0;
  const uint64_t larger = std::max<uint64_t>(input_.size(), out_bytes_);
  const bool in_window = o_.in_window && end_.arena != 0;
  if (in_window) {
    EXPECT_LE(larger, end_.arena_bytes / 2);
    in_ = end_.arena;
    out_ = end_.arena + (is_alike ? 0 : end_.arena_bytes / 2);
  }
  for (int i = 0; i < (o_.in_place ? 1 : 2) && !in_window; i++) {
    CCL_EXPECT_OK(npuMemAlloc(end_.context, NPU_MEM_DEVICE, larger + 4, &memory_[i]));
    (i == 0 ? in_ : out_) = memory_[i];
  }
  if (o_.in_place) {
    const npuDevPtr base = in_;
    in_ = base + (out_bytes_ > input_.size() ? own_offset() : 0);
    out_ = base + (out_bytes_ < input_.size() ? own_offset() : 0);
  }
  CCL_EXPECT_OK(npuMemCopyToDevice(end_.context, in_, input_.data(), input_.size()));
}

Trial::~Trial() {
  for (npuDevPtr memory : memory_) npuMemFree(end_.context, memory);
}

// Of the own block in the larger buffer.
uint64_t Trial::own_offset() const { return sum(counts_, 0, rank_) * size_of(o_.type); }

npuResult Trial::call(uint64_t* out_value) {
  const auto c = end_.comm;
  const auto q = end_.queue;
  const Operation& o = o_;
  switch (o.kind) {
    case Kind::kAllReduce:
      return npuCclAllReduce(c, q, in_, out_, o.count, o.type, o.op, out_value);
    case Kind::kReduce:
      return npuCclReduce(c, q, in_, out_, o.count, o.type, o.op, o.root, out_value);
    case Kind::kBroadcast:
      return npuCclBroadcast(c, q, in_, out_, o.count, o.type, o.root, out_value);
    case Kind::kAllGather:
      return npuCclAllGather(c, q, in_, out_, o.count, o.type, out_value);
    case Kind::kReduceScatter:
      return npuCclReduceScatter(c, q, in_, out_, o.count, o.type, o.op, out_value);
    case Kind::kGather:
      return npuCclGather(c, q, in_, out_, o.count, o.type, o.root, out_value);
    case Kind::kScatter:
      return npuCclScatter(c, q, in_, out_, o.count, o.type, o.root, out_value);
    case Kind::kAllToAll:
      return npuCclAllToAll(c, q, in_, out_, o.count, o.type, out_value);
    case Kind::kAllGatherV:
      return npuCclAllGatherV(c, q, in_, out_, counts_.data(), o.type, out_value);
    case Kind::kReduceScatterV:
      return npuCclReduceScatterV(c, q, in_, out_, counts_.data(), o.type, o.op, out_value);
    case Kind::kAllToAllV:
      return npuCclAllToAllV(c, q, in_, out_, counts_.data(), o.type, out_value);
    case Kind::kRing: {
      npuCclGroupStart();
      const npuResult sent =
          npuCclSend(c, q, in_, o.count, o.type, (rank_ + 1) % ranks_, out_value);
      const npuResult received =
          npuCclRecv(c, q, out_, o.count, o.type, (rank_ + ranks_ - 1) % ranks_, out_value);
      const npuResult ended = npuCclGroupEnd();
      return sent != NPU_OK ? sent : received != NPU_OK ? received : ended;
    }
    case Kind::kBarrier:
      break;
  }
  return npuCclBarrier(c, q, out_value);
}

testing::AssertionResult Trial::check() const {
  Bytes found(out_bytes_);
  CCL_EXPECT_OK(npuMemCopyToHost(end_.context, found.data(), out_, found.size()));
  const Bytes expected = o_.expected(ranks_, rank_);
  const auto wrong = std::mismatch(found.begin(), found.end(), expected.begin());
  if (wrong.first != found.end()) {
    return testing::AssertionFailure()
           << "rank " << rank_ << " of " << ranks_ << ", " << o_.text() << ": element "
           << (wrong.first - found.begin()) / size_of(o_.type) << " is wrong";
  }
  if (o_.in_place) return testing::AssertionSuccess();
  Bytes kept(input_.size());
  CCL_EXPECT_OK(npuMemCopyToHost(end_.context, kept.data(), in_, kept.size()));
  if (kept == input_) return testing::AssertionSuccess();
  return testing::AssertionFailure()
         << "rank " << rank_ << ", " << o_.text() << ": wrote its input";
}

}  // namespace npu::test
