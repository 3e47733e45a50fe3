// SPDX-License-Identifier: Apache-2.0
// Programs for tests: the simple ones instruction by instruction, the row kernel with the builder.
#include "tests/unit/device/test_kernels.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tools/isa/builder.h"

namespace npu::test {

isa::KeyPair test_key() {
  std::array<uint8_t, 32> seed{};
  for (size_t i = 0; i < seed.size(); ++i) seed[i] = static_cast<uint8_t>(i * 7 + 1);
  return isa::key_pair_from_seed(seed);
}

npu_insn insn(npu_op op, std::initializer_list<uint8_t> regs, int32_t imm) {
  npu_insn result{};
  result.op = static_cast<uint8_t>(op);
  size_t n = 0;
  for (const uint8_t reg : regs) result.r[n++] = reg;
  result.imm = static_cast<uint32_t>(imm);
  return result;
}

isa::Program program(std::string_view name, std::vector<npu_insn> code, uint32_t args_bytes) {
  isa::Program result;
  result.insns = std::move(code);
  std::memcpy(result.note.name, name.data(), name.size());
  result.note.insn_count = static_cast<uint32_t>(result.insns.size());
  result.note.args_bytes = args_bytes;
  result.note.group_tiles = 1;
  return result;
}

isa::Program null_kernel() { return program("null", {insn(NPU_OP_HALT)}); }

isa::Program row_kernel() {
  using namespace npu::isa;
  Kernel k("row");
  Arg src = k.arg_dva("src");
  Arg dst = k.arg_dva("dst");
  k.chain(true);
  Reg group = k.group_x();
  Reg offset = group * (kRowElements * 4);
  Buf data = k.l1(kRowElements * 4);
  Buf number = k.l1(kRowElements * 4);
  Tile row_tile = k.tile_l1(DType::F32, data, 1, kRowElements);
  Tile numbers = k.tile_l1(DType::F32, number, 1, kRowElements);
  k.ld(row_tile, k.tile_hbm(DType::F32, src + offset, 1, kRowElements));
  k.iota(numbers, group, 0, 0);
  k.vmul(row_tile, row_tile, 2.0f);
  k.vadd(row_tile, row_tile, numbers);
  k.st(k.tile_hbm(DType::F32, dst + offset, 1, kRowElements), row_tile);
  return k.finish();
}

isa::Program touch_kernel() {
  return program(
      "touch",
      {insn(NPU_OP_SREG, {1}, NPU_SREG_GROUP_X), insn(NPU_OP_ARG, {2}, 8),
       insn(NPU_OP_ARG, {3}, 16), insn(NPU_OP_CMP, {4, 1, 2}, NPU_CC_LTU), insn(NPU_OP_BNZ, {4}, 5),
       insn(NPU_OP_CMP, {4, 1, 3}, NPU_CC_LTU), insn(NPU_OP_BZ, {4}, 3), insn(NPU_OP_ARG, {5}, 0),
       insn(NPU_OP_SLDW, {6, 5}, 0), insn(NPU_OP_HALT)},
      24);
}

isa::Program work_kernel() {
  return program(
      "work",
      {insn(NPU_OP_SREG, {1}, NPU_SREG_GROUP_X), insn(NPU_OP_ADDI, {1, 1}, 1),
       insn(NPU_OP_ARG, {2}, 0), insn(NPU_OP_MUL, {3, 1, 2}), insn(NPU_OP_LOOP, {4, 3}, 2),
       insn(NPU_OP_NOP), insn(NPU_OP_END, {}, -2), insn(NPU_OP_HALT)},
      8);
}

isa::Program trap_kernel() {
  return program("trap", {insn(NPU_OP_SREG, {1}, NPU_SREG_GROUP_X), insn(NPU_OP_ADDI, {1, 1}, -3),
                          insn(NPU_OP_BNZ, {1}, 2), insn(NPU_OP_TRAP, {}, 7), insn(NPU_OP_HALT)});
}

isa::Program print_kernel() {
  isa::Program result = program(
      "print",
      {insn(NPU_OP_ARGW, {1}, 0), insn(NPU_OP_ARGW, {4}, 4),
       insn(NPU_OP_SREG, {2}, NPU_SREG_GROUP_X), insn(NPU_OP_LOOP, {3, 1}, 2),
       insn(NPU_OP_PRINT, {2, 3}, 1), insn(NPU_OP_END, {}, -2),
       insn(NPU_OP_CMP, {5, 2, 4}, NPU_CC_NE), insn(NPU_OP_CHECK, {5, 2}, 2), insn(NPU_OP_HALT)},
      8);
  result.formats = {"%d, %u", "x = %-4d"};
  return result;
}

isa::Program endless_kernel() { return program("endless", {insn(NPU_OP_BR, {}, 0)}); }

namespace {

std::vector<uint8_t> signed_or_abort(const isa::Outcome<isa::Bytes>& elf, const isa::KeyPair& key,
                                     const isa::SignOptions& options) {
  if (!elf) {
    std::fprintf(stderr, "test kernels: %s\n", elf.error().c_str());
    std::abort();
  }
  auto blob = isa::sign_elf(*elf, key, options);
  if (!blob) {
    std::fprintf(stderr, "test kernels: %s\n", blob.error().c_str());
    std::abort();
  }
  return *blob;
}

}  // namespace

std::vector<uint8_t> signed_blob(std::span<const isa::Program> programs, const isa::KeyPair& key,
                                 const isa::SignOptions& options) {
  return signed_or_abort(isa::write_elf(programs), key, options);
}

std::vector<uint8_t> firmware_image(uint16_t abi_major, uint16_t abi_minor, const isa::KeyPair& key,
                                    const isa::SignOptions& options) {
  const isa::Program programs[] = {null_kernel()};
  isa::FirmwareVersion version;
  version.abi_major = abi_major;
  version.abi_minor = abi_minor;
  version.text = "1.2.3-test";
  return signed_or_abort(isa::write_elf(programs, version), key, options);
}

std::vector<uint8_t> standard_blob() {
  const isa::Program programs[] = {null_kernel(), row_kernel(),     touch_kernel(), work_kernel(),
                                   trap_kernel(), endless_kernel(), print_kernel()};
  return signed_blob(programs);
}

}  // namespace npu::test
