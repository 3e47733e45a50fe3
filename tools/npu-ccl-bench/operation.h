// SPDX-License-Identifier: Apache-2.0
// The operations that are measured: names, counts, factors, calls, and what is right.
#pragma once

#include <npu/npu_ccl.h>

#include <cstdint>
#include <string>
#include <vector>

#include "tools/npu-ccl-bench/options.h"

namespace npu::ccl_bench {

std::vector<std::string> operation_names();
std::vector<std::string> type_names();
std::vector<std::string> reduction_names();

struct ElementType {
  const char* name;
  npuDataType type;
  uint32_t bytes;
  uint32_t mantissa_bits;  // 0: whole numbers
  int bias;
};

// One operation of one size, the same on all ranks.
class Operation {
 public:
  Operation(const Options& options, uint64_t bytes);

  uint64_t count() const { return count_; }  // as the call has it
  uint64_t bytes() const;                    // of the whole vector
  double bus_factor() const;
  bool has_reduction() const;
  // Bytes of each of a rank's two buffers.
  uint64_t buffer_bytes() const { return bytes(); }

  npuResult call(npuCclComm comm, npuQueue queue, npuDevPtr send, npuDevPtr recv) const;
  // |window|: in which the buffers lie, 0: in none. "?": unknown.
  const char* algorithm(npuCclComm comm, npuCclWindow window) const;
  // Small whole numbers, whose sums have no rounding in any type but FP8.
  std::vector<uint8_t> input(uint32_t rank) const;
  // Elements of a rank's output that are wrong. Products are not checked: of many ranks they overflow.
  uint64_t wrong(uint32_t rank, const std::vector<uint8_t>& output) const;

 private:
  float value(uint32_t rank, uint64_t element) const;
  float expected(uint32_t rank, uint64_t element) const;
  float reduced(uint64_t element) const;
  uint64_t output_count(uint32_t rank) const;

  uint32_t kind_;
  const ElementType& type_;
  npuCclRedOp reduction_;
  uint32_t ranks_;
  uint64_t count_;
};

}  // namespace npu::ccl_bench
