// SPDX-License-Identifier: Apache-2.0
// The device's check of a kernel: every instruction, every branch. A program that passes can do
// nothing but what isa.def says; the interpreter relies on it.
//
// Thread safety: pure function.
#ifndef NPU_MODEL_DEVICE_VERIFIER_H_
#define NPU_MODEL_DEVICE_VERIFIER_H_

#include <cstdint>
#include <optional>
#include <span>

#include "uapi/npu_isa.h"

namespace npu::model {

struct VerifierLimits {
  uint32_t args_bytes = 0;
  uint32_t group_tiles = 1;
  uint32_t line_count = 0;
  std::span<const uint8_t> format_args = {};  // arguments of each format of the blob
  uint32_t isa_minor = NPU_ISA_MINOR;         // what the blob says to need
};

// The index of an instruction that breaks a rule; nothing when the kernel may run.
std::optional<uint32_t> find_bad_instruction(std::span<const npu_insn> code,
                                             const VerifierLimits& limits);

}  // namespace npu::model

#endif  // NPU_MODEL_DEVICE_VERIFIER_H_
