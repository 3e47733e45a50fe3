// SPDX-License-Identifier: Apache-2.0
#include "tools/npu-ccl-bench/operation.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace npu::ccl_bench {
namespace {

enum Kind : uint32_t {
  kAllReduce,
  kReduce,
  kBroadcast,
  kAllGather,
  kReduceScatter,
  kGather,
  kScatter,
  kAllToAll,
  kSendRecv,  // everybody sends to the next rank
};
constexpr const char* kOperations[] = {"allreduce", "reduce",        "broadcast",
                                       "allgather", "reducescatter", "gather",
                                       "scatter",   "alltoall",      "sendrecv"};
constexpr ElementType kTypes[] = {
    {"float32", NPU_FLOAT32, 4, 23, 127},
    {"bfloat16", NPU_BFLOAT16, 2, 7, 127},
    {"float16", NPU_FLOAT16, 2, 10, 15},
    {"int32", NPU_INT32, 4, 0, 0},
    {"float8_e4m3", NPU_FLOAT8_E4M3, 1, 3, 7},
    {"float8_e5m2", NPU_FLOAT8_E5M2, 1, 2, 15},
    {"int8", NPU_INT8, 1, 0, 0},
};
constexpr const char* kReductions[] = {"sum", "prod", "min", "max", "avg"};

template <typename Names>
uint32_t index_of(const Names& names, const std::string& name) {
  return static_cast<uint32_t>(std::find(std::begin(names), std::end(names), name) -
                               std::begin(names));
}

// One count, that of the whole vector.
bool is_whole(uint32_t kind) {
  return kind == kAllReduce || kind == kReduce || kind == kBroadcast || kind == kSendRecv;
}

npuResult send_to_next(npuCclComm comm, npuQueue queue, npuDevPtr send, npuDevPtr recv,
                       uint64_t count, npuDataType type) {
  uint32_t ranks = 0, rank = 0;
  npuResult first = npuCclCommGetRank(comm, &ranks, &rank);
  if (first == NPU_OK) first = npuCclGroupStart();
  if (first != NPU_OK) return first;
  first = npuCclSend(comm, queue, send, count, type, (rank + 1) % ranks, nullptr);
  const npuResult received =
      npuCclRecv(comm, queue, recv, count, type, (rank + ranks - 1) % ranks, nullptr);
  const npuResult ended = npuCclGroupEnd();
  if (first == NPU_OK) first = received;
  return first != NPU_OK ? first : ended;
}

// The numbers sent and their results are small and not negative, so a code is the exponent, or 0, and behind it the mantissa, rounded to nearest even.
void put(const ElementType& type, float value, uint8_t* to) {
  auto bits = static_cast<uint32_t>(value);
  if (type.mantissa_bits != 0 && value != 0) {
    int exponent = 0;
    const float fraction = 2 * std::frexp(value, &exponent) - 1;
    const float mantissa =
        std::nearbyint(std::ldexp(fraction, static_cast<int>(type.mantissa_bits)));
    // A sum: what is rounded up to the next power of two carries into the exponent.
    bits = (static_cast<uint32_t>(exponent - 1 + type.bias) << type.mantissa_bits) +
           static_cast<uint32_t>(mantissa);
  }
  std::memcpy(to, &bits, type.bytes);
}

}  // namespace

std::vector<std::string> operation_names() {
  return {std::begin(kOperations), std::end(kOperations)};
}
std::vector<std::string> type_names() {
  std::vector<std::string> names;
  for (const ElementType& type : kTypes) names.emplace_back(type.name);
  return names;
}
std::vector<std::string> reduction_names() {
  return {std::begin(kReductions), std::end(kReductions)};
}

Operation::Operation(const Options& options, uint64_t bytes)
    : kind_(index_of(kOperations, options.operation)),
      type_(*std::find_if(std::begin(kTypes), std::end(kTypes),
                          [&](const ElementType& type) { return type.name == options.type; })),
      reduction_(static_cast<npuCclRedOp>(index_of(kReductions, options.reduction))),
      ranks_(options.ranks) {
  count_ = std::max<uint64_t>(bytes / type_.bytes / (is_whole(kind_) ? 1 : ranks_), 1);
}

uint64_t Operation::bytes() const { return count_ * type_.bytes * (is_whole(kind_) ? 1 : ranks_); }

double Operation::bus_factor() const {
  const double share = static_cast<double>(ranks_ - 1) / ranks_;
  if (kind_ == kAllReduce) return 2 * share;
  return is_whole(kind_) ? 1 : share;
}

bool Operation::has_reduction() const {
  return kind_ == kAllReduce || kind_ == kReduce || kind_ == kReduceScatter;
}

npuResult Operation::call(npuCclComm comm, npuQueue queue, npuDevPtr send, npuDevPtr recv) const {
  switch (kind_) {
    case kAllReduce:
      return npuCclAllReduce(comm, queue, send, recv, count_, type_.type, reduction_, nullptr);
    case kReduce:
      return npuCclReduce(comm, queue, send, recv, count_, type_.type, reduction_, 0, nullptr);
    case kBroadcast:
      return npuCclBroadcast(comm, queue, send, recv, count_, type_.type, 0, nullptr);
    case kAllGather:
      return npuCclAllGather(comm, queue, send, recv, count_, type_.type, nullptr);
    case kReduceScatter:
      return npuCclReduceScatter(comm, queue, send, recv, count_, type_.type, reduction_, nullptr);
    case kGather:
      return npuCclGather(comm, queue, send, recv, count_, type_.type, 0, nullptr);
    case kScatter:
      return npuCclScatter(comm, queue, send, recv, count_, type_.type, 0, nullptr);
    case kSendRecv:
      return send_to_next(comm, queue, send, recv, count_, type_.type);
    default:
      return npuCclAllToAll(comm, queue, send, recv, count_, type_.type, nullptr);
  }
}

const char* Operation::algorithm(npuCclComm comm, npuCclWindow window) const {
  constexpr npuCclOperation kNumbers[] = {
      NPU_CCL_ALL_REDUCE,     NPU_CCL_REDUCE, NPU_CCL_BROADCAST, NPU_CCL_ALL_GATHER,
      NPU_CCL_REDUCE_SCATTER, NPU_CCL_GATHER, NPU_CCL_SCATTER,   NPU_CCL_ALL_TO_ALL};
  if (kind_ == kSendRecv) return "direct";  // it has no other
  const char* name = nullptr;
  const npuCclRedOp op = has_reduction() ? reduction_ : NPU_CCL_SUM;
  const npuResult result =
      window != 0 ? npuCclCommWindowGetAlgorithm(comm, window, kNumbers[kind_], count_, type_.type,
                                                 op, &name)
                  : npuCclCommGetAlgorithm(comm, kNumbers[kind_], count_, type_.type, op, &name);
  return result == NPU_OK ? name : "?";
}

float Operation::value(uint32_t rank, uint64_t element) const {
  return static_cast<float>((element * 7 + rank * 3) % 8);
}

float Operation::reduced(uint64_t element) const {
  float result = value(0, element);
  for (uint32_t r = 1; r < ranks_; r++) {
    const float next = value(r, element);
    if (reduction_ == NPU_CCL_MIN) result = std::min(result, next);
    if (reduction_ == NPU_CCL_MAX) result = std::max(result, next);
    if (reduction_ == NPU_CCL_SUM || reduction_ == NPU_CCL_AVG) result += next;
  }
  if (reduction_ != NPU_CCL_AVG) return result;
  const auto parts = static_cast<float>(ranks_);
  if (type_.type == NPU_INT32) return std::trunc(result / parts);
  return type_.type == NPU_INT8 ? std::nearbyint(result * (1 / parts)) : result * (1 / parts);
}

uint64_t Operation::output_count(uint32_t rank) const {
  if (rank != 0 && (kind_ == kReduce || kind_ == kGather)) return 0;
  return kind_ == kReduceScatter || kind_ == kScatter ? count_ : bytes() / type_.bytes;
}

float Operation::expected(uint32_t rank, uint64_t element) const {
  switch (kind_) {
    case kAllReduce:
    case kReduce:
      return reduced(element);
    case kReduceScatter:
      return reduced(rank * count_ + element);
    case kBroadcast:
      return value(0, element);
    case kScatter:
      return value(0, rank * count_ + element);
    case kSendRecv:
      return value((rank + ranks_ - 1) % ranks_, element);
    case kAllToAll:
      return value(static_cast<uint32_t>(element / count_), rank * count_ + element % count_);
    default:
      return value(static_cast<uint32_t>(element / count_), element % count_);
  }
}

std::vector<uint8_t> Operation::input(uint32_t rank) const {
  std::vector<uint8_t> bytes(buffer_bytes());
  const uint32_t size = type_.bytes;
  for (uint64_t i = 0; i * size < bytes.size(); i++) put(type_, value(rank, i), &bytes[i * size]);
  return bytes;
}

uint64_t Operation::wrong(uint32_t rank, const std::vector<uint8_t>& output) const {
  if (has_reduction() && reduction_ == NPU_CCL_PROD) return 0;
  uint64_t wrong = 0;
  const uint32_t size = type_.bytes;
  for (uint64_t i = 0; i < output_count(rank); i++) {
    uint8_t wanted[sizeof(uint32_t)];
    put(type_, expected(rank, i), wanted);
    wrong += std::memcmp(&output[i * size], wanted, size) != 0 ? 1 : 0;
  }
  return wrong;
}

}  // namespace npu::ccl_bench
