// SPDX-License-Identifier: Apache-2.0
#include "libnpu/ccl/schedule/address_map.h"

namespace npu::ccl {

AddressMap::AddressMap(const Problem& problem, uint32_t rank) {
  if (!problem.in_place) return;
  joined_ = true;
  switch (problem.op) {
    case Op::kAllGather:
      input_shift_ = problem.block(rank).offset;
      break;
    case Op::kReduceScatter:
      output_shift_ = problem.block(rank).offset;
      break;
    case Op::kGather:
      joined_ = rank == problem.root;
      input_shift_ = problem.block(rank).offset;
      break;
    case Op::kScatter:
      joined_ = rank == problem.root;
      output_shift_ = problem.block(rank).offset;
      break;
    default:
      break;
  }
}

Place AddressMap::locate(Place place) const {
  if (!joined_) return place;
  if (place.buffer == Buffer::kInput) {
    return {Buffer::kOutput, place.offset + input_shift_, place.owner};
  }
  if (place.buffer == Buffer::kOutput) {
    return {Buffer::kOutput, place.offset + output_shift_, place.owner};
  }
  return place;
}

}  // namespace npu::ccl
