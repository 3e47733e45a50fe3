// SPDX-License-Identifier: Apache-2.0
// What a kernel is given: its argument block, and the device memory that its arguments point to.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "firmware-model/tile/tile.h"
#include "tools/isa/outcome.h"
#include "tools/isa/program.h"

namespace npu::dbg {

// Device memory of the arguments of kind dva. Each is an allocation of its own: what runs over its end is a fault.
class Memory final : public model::AddressSpace {
 public:
  // The address of a new allocation.
  uint64_t add(std::vector<std::byte> bytes);
  bool translate(uint64_t dva, npu_fault_access access, model::Translation* out) const override;
  uint64_t generation() const override { return 1; }

 private:
  struct Run {
    uint64_t dva;
    std::vector<std::byte> bytes;
  };
  std::deque<Run> runs_;
};

// The argument block of |program| from words NAME=VALUE, one for each argument. VALUE is a number (0x for hexadecimal; with a point for f32) or, for an
// address, TYPE:COUNT[=WHAT], memory of so many elements: WHAT is zeros (when left out), iota (0, 1, 2, ...) or the path of a file with their bytes.
isa::Outcome<std::vector<std::byte>> make_arguments(const isa::Program& program,
                                                    const std::vector<std::string>& words,
                                                    Memory* memory);

}  // namespace npu::dbg
