// SPDX-License-Identifier: Apache-2.0
// Small programs and signed blobs for tests of the device.
#ifndef NPU_TESTS_UNIT_DEVICE_TEST_KERNELS_H_
#define NPU_TESTS_UNIT_DEVICE_TEST_KERNELS_H_

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "tools/isa/blob.h"
#include "tools/isa/keys.h"
#include "tools/isa/program.h"
#include "uapi/npu_isa.h"

namespace npu::test {

// The key that a TestDriver accepts unless it is told otherwise.
isa::KeyPair test_key();

// A program from single instructions.
isa::Program program(std::string_view name, std::vector<npu_insn> code, uint32_t args_bytes = 0);
npu_insn insn(npu_op op, std::initializer_list<uint8_t> regs = {}, int32_t imm = 0);

// Ends at once.
isa::Program null_kernel();
// args {src, dst}: dst[g][0..255] = src[g][0..255] * 2 + g; fp32, one row a work-group.
isa::Program row_kernel();
inline constexpr uint32_t kRowElements = 256;
// args {address, from, to}: work-groups with from <= x < to read the address; they fault when
// nothing is there.
isa::Program touch_kernel();
// args {count}: work-group x runs a loop of count * (x + 1) steps.
isa::Program work_kernel();
// args {code}: traps with code 7 in work-group x = 3.
isa::Program trap_kernel();
// Never ends.
isa::Program endless_kernel();
// args {count, group}: every work-group x prints "x, i" for i < count; work-group |group| then fails with the text "x = ...".
isa::Program print_kernel();

std::vector<uint8_t> signed_blob(std::span<const isa::Program> programs,
                                 const isa::KeyPair& key = test_key(),
                                 const isa::SignOptions& options = {});
// Control firmware whose FW_ABI is |abi_major|.|abi_minor|.
std::vector<uint8_t> firmware_image(uint16_t abi_major = NPU_FW_ABI_MAJOR,
                                    uint16_t abi_minor = NPU_FW_ABI_MINOR,
                                    const isa::KeyPair& key = test_key(),
                                    const isa::SignOptions& options = {});
// All kernels above in one blob; the index of each.
std::vector<uint8_t> standard_blob();
enum StandardKernel : uint32_t { kNull, kRow, kTouch, kWork, kTrap, kEndless, kPrint };

}  // namespace npu::test

#endif  // NPU_TESTS_UNIT_DEVICE_TEST_KERNELS_H_
