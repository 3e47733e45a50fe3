// SPDX-License-Identifier: Apache-2.0
// Rails: an operation of two ranks between two network namespaces, over cables of a known rate; what the cables allow, what the flow model says, and what it takes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "libnpu/ccl/schedule/algorithm.h"
#include "tests/ccl/namespaces.h"

namespace npu::test {

// Frames of Ethernet with an MTU of 1500 bytes: header of IPv4 (RFC 791), of TCP (RFC 9293), its option with timestamps, padded (RFC 7323, appendix A); the Ethernet header (IEEE 802.3) is what a bucket counts besides. A
// virtual interface has no preamble, checksum or gap. Packets that the kernel cuts later count as what they will be cut into.
inline constexpr double kMtuBytes = 1500;
inline constexpr double kPayloadBytes = kMtuBytes - 20 - 20 - 12;
inline constexpr double kFrameBytes = kMtuBytes + 14;

struct RailPlan {
  ccl::Op op = ccl::Op::kAllReduce;
  uint64_t bytes = 0;  // of the whole vector
  uint32_t rails = 1;
  Shape shape;
  uint32_t repeats = 3;
  bool least = false;     // the fastest of them counts, not the median
  uint32_t in_a_row = 1;  // operations of a repeat, of which the mean is its time
};

// How long each cable needs at least for an operation, full buckets at the start of a repeat given: what nobody can go below.
double least_seconds(const RailPlan& plan);
// The flow model's word: the rates of the cables, the pieces that the library cuts a vector in, and the costs that it chooses algorithms by. Of full buckets it knows nothing.
double predicted_seconds(const RailPlan& plan, ccl::Algorithm algorithm);

struct RailTime {
  double seconds = 0;
  ccl::Algorithm algorithm = ccl::Algorithm::kDirect;
};
// Two processes of npu-ccl-bench, |program|, one in each namespace. Nothing: it failed, or a result was wrong.
std::optional<RailTime> measure_rails(const RailPlan& plan, const Namespaces& namespaces,
                                      const std::string& program);

}  // namespace npu::test
