// SPDX-License-Identifier: Apache-2.0
// Fuzzes the tile interpreter: the input becomes a program of which only the static rules hold.
// Whatever it does, it must end, stay inside its memory (sanitizers tell), and come out the same
// with scalar and with SIMD arithmetic, and in the checking mode, unless that finds something.
//
// Input: byte 0 = tiles of the work-group - 1 (2 bits), then instructions of 32 bytes.
#define NPU_ISA_WANT_TABLE
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "firmware-model/tile/numerics/numerics.h"
#include "firmware-model/tile/tile.h"

namespace {

using npu::model::GroupResult;
using npu::model::Program;

constexpr uint64_t kMemoryDva = 0x10000;
constexpr size_t kRunBytes = 4096;
constexpr size_t kRuns = 8;
constexpr size_t kMaxInsns = 256;
constexpr uint32_t kScratchBytes = 16384;

// Eight pages one behind the other, each its own allocation; the last one is read-only.
class Memory final : public npu::model::AddressSpace {
 public:
  Memory() {
    for (size_t i = 0; i < kRuns; ++i) {
      runs_[i].resize(kRunBytes);
      for (size_t j = 0; j < kRunBytes; ++j) {
        runs_[i][j] = std::byte(static_cast<uint8_t>((i * kRunBytes + j) * 2654435761u >> 24));
      }
    }
  }

  bool translate(uint64_t dva, npu_fault_access access,
                 npu::model::Translation* out) const override {
    if (dva < kMemoryDva || dva - kMemoryDva >= kRuns * kRunBytes) return false;
    size_t i = (dva - kMemoryDva) / kRunBytes;
    bool writable = i + 1 != kRuns;
    if (access == NPU_ACCESS_WRITE && !writable) return false;
    uint64_t begin = kMemoryDva + i * kRunBytes;
    *out = {begin, begin + kRunBytes, const_cast<std::byte*>(runs_[i].data()), writable};
    return true;
  }
  uint64_t generation() const override { return generation_; }

  bool operator==(const Memory& other) const { return runs_ == other.runs_; }

 private:
  static inline uint64_t last_generation_ = 0;
  const uint64_t generation_ = ++last_generation_;  // one worker sees all of them
  std::array<std::vector<std::byte>, kRuns> runs_;
};

const std::array<npu_insn_info, 256>& table() {
  static const std::array<npu_insn_info, 256> rows = [] {
    std::array<npu_insn_info, 256> result{};
    for (const auto& row : npu_insn_rows) result[row.code] = row.info;
    return result;
  }();
  return rows;
}

void fit_immediate(npu_insn* insn, char kind) {
  switch (kind) {
    case 'N':
      insn->imm = 0;
      break;
    case 'C':
      insn->imm %= NPU_CC_COUNT;
      break;
    case 'S':
      insn->imm %= NPU_SREG_COUNT;
      break;
    case 'D':
      insn->imm =
          NPU_TDESC((insn->imm & 0xff) % NPU_SPACE_COUNT, (insn->imm >> 8 & 0xff) % NPU_DTYPE_COUNT,
                    (insn->imm >> 16 & 0xff) % NPU_LAYOUT_COUNT);
      if (npu_dtype_in_blocks(insn->imm >> 8 & 0xff) != 0)
        insn->imm = NPU_TDESC(NPU_SPACE_HBM, insn->imm >> 8 & 0xff, NPU_LAYOUT_ROW);
      break;
    case 'M':
      insn->imm %= NPU_TILE_SEMS;
      break;
    case 'O':
      insn->imm = static_cast<uint32_t>(static_cast<int32_t>(insn->imm << 26) >> 26);
      break;
    default:
      break;
  }
}

// Makes the static rules hold that a verifier checks for one instruction. Pairs of LOOP and END are
// left as they are: the interpreter does not rely on them.
npu_insn fitted(npu_insn insn) {
  const npu_insn_info& info = table()[insn.op];
  if (info.mnemonic == nullptr) insn.op = NPU_OP_NOP;
  insn.flags &= info.flags;
  if ((insn.flags & NPU_F_ACT_MASK) >> NPU_F_ACT_SHIFT >= NPU_ACT_COUNT) {
    insn.flags &= static_cast<uint16_t>(~NPU_F_ACT_MASK);
  }
  uint8_t* tiles[4] = {&insn.dst, &insn.a, &insn.b, &insn.c};
  for (int i = 0; i < 4; ++i) {
    *tiles[i] = info.tile[i] == 'T' ? *tiles[i] % NPU_TILE_DESCS : 0;
    insn.r[i] = info.reg[i] == 'N' ? 0 : insn.r[i] % NPU_SCALAR_REGS;
  }
  bool engine = info.mnemonic != nullptr && info.engine != NPU_ENGINE_CTRL;
  bool waits = engine || insn.op == NPU_OP_WAIT;
  bool signals = engine || insn.op == NPU_OP_SIG;
  auto fit_wait = [&](uint32_t wait) {
    return waits && (wait & NPU_WAIT_VALID) != 0 ? wait & ~NPU_WAIT_RESERVED : 0;
  };
  insn.wait0 = fit_wait(insn.wait0);
  insn.wait1 = fit_wait(insn.wait1);
  bool valid = signals && (insn.signal & NPU_SIGNAL_VALID) != 0;
  insn.signal = valid ? insn.signal & ~NPU_SIGNAL_RESERVED : 0;
  fit_immediate(&insn, info.imm);
  return insn;
}

npu::model::TileParams params() {
  npu::model::TileParams p;
  p.l1_bytes = kScratchBytes;
  p.l2_bytes = kScratchBytes;
  p.acc_bytes = kScratchBytes;
  p.device_tiles = 4;
  p.engine_fifo = 2;
  p.core_clock_khz = 1234567;
  p.mac_per_cycle_bf16 = 4096;
  p.mac_per_cycle_f32 = 1024;
  p.mac_per_cycle_fp8 = 4096;
  p.mac_per_cycle_i8 = 4096;
  p.mac_per_cycle_fp6 = 4096;
  p.mac_per_cycle_fp4 = 4096;
  p.mac_per_cycle_fp8_fp4 = 4096;
  p.vector_lanes = 64;
  p.dma_setup_cycles = 100;
  p.mm_fill_cycles = 32;
  p.vector_setup_cycles = 8;
  p.l1_bytes_per_cycle = 128;
  p.l2_bytes_per_cycle = 1024;
  p.noc_bytes_per_cycle = 1024;
  return p;
}

GroupResult run(const Program& program, const npu::model::Numerics& numerics, uint64_t owner,
                Memory* memory, bool checks = false) {
  static const npu::model::TileParams kParams = params();
  static npu::model::Worker worker(kParams);
  static const std::array<std::byte, 64> kArgs{};
  npu::model::Launch launch;
  launch.program = &program;
  launch.space = memory;
  launch.numerics = &numerics;
  launch.params = &kParams;
  launch.args = kArgs;
  launch.hbm_share_bytes_per_us = 1000;
  launch.host_share_bytes_per_us = 1000;
  launch.op_budget = 500;
  launch.owner = owner;
  launch.checks = checks;
  return worker.run(launch, 0);
}

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1 + sizeof(npu_insn)) return 0;
  Program program;
  program.name = "fuzz";
  program.args_bytes = 64;
  program.l1_bytes = kScratchBytes;
  program.l2_bytes = kScratchBytes;
  program.acc_bytes = kScratchBytes;
  program.group_tiles = 1 + (data[0] & 3);
  for (size_t at = 1; at + sizeof(npu_insn) <= size && program.code.size() < kMaxInsns;
       at += sizeof(npu_insn)) {
    npu_insn insn;
    std::memcpy(&insn, data + at, sizeof(insn));
    program.code.push_back(fitted(insn));
  }
  npu_insn halt{};
  halt.op = NPU_OP_HALT;
  program.code.push_back(halt);

  // Another owner each time, so that both begin with clean scratchpads.
  static uint64_t owner = 0;
  Memory scalar_memory;
  Memory simd_memory;
  GroupResult scalar = run(program, npu::model::scalar_numerics(), ++owner, &scalar_memory);
  GroupResult simd = run(program, npu::model::simd_numerics(), ++owner, &simd_memory);
  Memory checked_memory;
  GroupResult checked = run(program, npu::model::simd_numerics(), ++owner, &checked_memory, true);
  require(scalar.fault.status == simd.fault.status && scalar.fault.pc == simd.fault.pc);
  const bool found = checked.fault.status == NPU_ST_KERNEL_RACE ||
                     checked.fault.status == NPU_ST_KERNEL_UNINITIALISED;
  require(found ? checked.report != nullptr
                : checked.fault.status == simd.fault.status && checked.fault.pc == simd.fault.pc &&
                      checked.duration_ps == simd.duration_ps && checked_memory == simd_memory);
  require(scalar.duration_ps == simd.duration_ps);
  require(scalar.stats.instructions == simd.stats.instructions);
  require(scalar.stats.instructions <= 500);
  require(scalar_memory == simd_memory);
  return 0;
}
