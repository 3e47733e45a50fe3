// SPDX-License-Identifier: Apache-2.0
#include "tools/npu-ccl-bench/operation.h"

#include <algorithm>
#include <bit>
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
};
constexpr const char* kOperations[] = {"allreduce",     "reduce", "broadcast", "allgather",
                                       "reducescatter", "gather", "scatter",   "alltoall"};
constexpr const char* kTypes[] = {"float32", "bfloat16", "float16", "int32"};
constexpr const char* kReductions[] = {"sum", "prod", "min", "max", "avg"};

template <typename Names>
uint32_t index_of(const Names& names, const std::string& name) {
  return static_cast<uint32_t>(std::find(std::begin(names), std::end(names), name) -
                               std::begin(names));
}

uint32_t element_bytes(npuDataType type) {
  return type == NPU_BFLOAT16 || type == NPU_FLOAT16 ? 2 : 4;
}

void put(npuDataType type, float value, uint8_t* to) {
  const auto whole = static_cast<int32_t>(value);
  const auto half = static_cast<_Float16>(value);
  const auto bits = static_cast<uint32_t>(std::bit_cast<uint32_t>(value)) >> 16;
  const auto high = static_cast<uint16_t>(bits);  // exact: few significant bits
  if (type == NPU_INT32) std::memcpy(to, &whole, 4);
  if (type == NPU_FLOAT32) std::memcpy(to, &value, 4);
  if (type == NPU_FLOAT16) std::memcpy(to, &half, 2);
  if (type == NPU_BFLOAT16) std::memcpy(to, &high, 2);
}

float get(npuDataType type, const uint8_t* from) {
  int32_t whole;
  float value;
  _Float16 half;
  uint16_t high;
  if (type == NPU_INT32) return std::memcpy(&whole, from, 4), static_cast<float>(whole);
  if (type == NPU_FLOAT32) return std::memcpy(&value, from, 4), value;
  if (type == NPU_FLOAT16) return std::memcpy(&half, from, 2), static_cast<float>(half);
  std::memcpy(&high, from, 2);
  return std::bit_cast<float>(uint32_t{high} << 16);
}

}  // namespace

std::vector<std::string> operation_names() {
  return {std::begin(kOperations), std::end(kOperations)};
}
std::vector<std::string> type_names() { return {std::begin(kTypes), std::end(kTypes)}; }
std::vector<std::string> reduction_names() {
  return {std::begin(kReductions), std::end(kReductions)};
}

Operation::Operation(const Options& options, uint64_t bytes)
    : kind_(index_of(kOperations, options.operation)),
      type_(static_cast<npuDataType>(index_of(kTypes, options.type))),
      reduction_(static_cast<npuCclRedOp>(index_of(kReductions, options.reduction))),
      ranks_(options.ranks) {
  const bool is_whole = kind_ == kAllReduce || kind_ == kReduce || kind_ == kBroadcast;
  count_ = std::max<uint64_t>(bytes / element_bytes(type_) / (is_whole ? 1 : ranks_), 1);
}

uint64_t Operation::bytes() const {
  const bool is_whole = kind_ == kAllReduce || kind_ == kReduce || kind_ == kBroadcast;
  return count_ * element_bytes(type_) * (is_whole ? 1 : ranks_);
}

double Operation::bus_factor() const {
  const double share = static_cast<double>(ranks_ - 1) / ranks_;
  if (kind_ == kAllReduce) return 2 * share;
  return kind_ == kReduce || kind_ == kBroadcast ? 1 : share;
}

bool Operation::has_reduction() const {
  return kind_ == kAllReduce || kind_ == kReduce || kind_ == kReduceScatter;
}

npuResult Operation::call(npuCclComm comm, npuQueue queue, npuDevPtr send, npuDevPtr recv) const {
  switch (kind_) {
    case kAllReduce:
      return npuCclAllReduce(comm, queue, send, recv, count_, type_, reduction_, nullptr);
    case kReduce:
      return npuCclReduce(comm, queue, send, recv, count_, type_, reduction_, 0, nullptr);
    case kBroadcast:
      return npuCclBroadcast(comm, queue, send, recv, count_, type_, 0, nullptr);
    case kAllGather:
      return npuCclAllGather(comm, queue, send, recv, count_, type_, nullptr);
    case kReduceScatter:
      return npuCclReduceScatter(comm, queue, send, recv, count_, type_, reduction_, nullptr);
    case kGather:
      return npuCclGather(comm, queue, send, recv, count_, type_, 0, nullptr);
    case kScatter:
      return npuCclScatter(comm, queue, send, recv, count_, type_, 0, nullptr);
    default:
      return npuCclAllToAll(comm, queue, send, recv, count_, type_, nullptr);
  }
}

const char* Operation::algorithm(npuCclComm comm) const {
  constexpr npuCclOperation kNumbers[] = {
      NPU_CCL_ALL_REDUCE,     NPU_CCL_REDUCE, NPU_CCL_BROADCAST, NPU_CCL_ALL_GATHER,
      NPU_CCL_REDUCE_SCATTER, NPU_CCL_GATHER, NPU_CCL_SCATTER,   NPU_CCL_ALL_TO_ALL};
  const char* name = nullptr;
  const npuResult result = npuCclCommGetAlgorithm(
      comm, kNumbers[kind_], count_, type_, has_reduction() ? reduction_ : NPU_CCL_SUM, &name);
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
  return type_ == NPU_INT32 ? std::trunc(result / parts) : result * (1 / parts);
}

uint64_t Operation::output_count(uint32_t rank) const {
  if (rank != 0 && (kind_ == kReduce || kind_ == kGather)) return 0;
  return kind_ == kReduceScatter || kind_ == kScatter ? count_ : bytes() / element_bytes(type_);
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
    case kAllToAll:
      return value(static_cast<uint32_t>(element / count_), rank * count_ + element % count_);
    default:
      return value(static_cast<uint32_t>(element / count_), element % count_);
  }
}

std::vector<uint8_t> Operation::input(uint32_t rank) const {
  std::vector<uint8_t> bytes(buffer_bytes());
  const uint32_t size = element_bytes(type_);
  for (uint64_t i = 0; i * size < bytes.size(); i++) put(type_, value(rank, i), &bytes[i * size]);
  return bytes;
}

uint64_t Operation::wrong(uint32_t rank, const std::vector<uint8_t>& output) const {
  if (has_reduction() && reduction_ == NPU_CCL_PROD) return 0;
  uint64_t wrong = 0;
  const uint32_t size = element_bytes(type_);
  // An average of numbers that the ranks do not divide is rounded: to half a unit in the last place of 8 bits.
  const float room = reduction_ == NPU_CCL_AVG && type_ != NPU_INT32 ? 0.03f : 0;
  for (uint64_t i = 0; i < output_count(rank); i++) {
    wrong += std::fabs(get(type_, &output[i * size]) - expected(rank, i)) > room ? 1 : 0;
  }
  return wrong;
}

}  // namespace npu::ccl_bench
