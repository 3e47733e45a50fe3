// SPDX-License-Identifier: Apache-2.0
// Register decoding: one table, expanded from spec/regs.def when the program is compiled.
#include "firmware-model/device/registers.h"

namespace npu::model {
namespace {

struct Row {
  uint16_t offset;
  uint8_t bits;
  RegisterAccess access;
  uint64_t reset;
};

constexpr Row kRows[] = {
#define NPU_REG(offset, bits, NAME, access, reset, doc) \
  {offset, bits, RegisterAccess::access, reset},
#include "uapi/spec/regs.def"
};

constexpr uint8_t kNoRow = 0xff;

// Row of each 32-bit word of the window; both words of a 64-bit register name its row.
consteval std::array<uint8_t, RegisterFile::kWindowBytes / 4> make_index() {
  std::array<uint8_t, RegisterFile::kWindowBytes / 4> index{};
  index.fill(kNoRow);
  for (size_t row = 0; row < std::size(kRows); ++row) {
    const Row& r = kRows[row];
    if (r.bits != 32 && r.bits != 64) throw "regs.def: a register has 32 or 64 bits";
    if (r.offset % (r.bits / 8) != 0) throw "regs.def: a register is not aligned";
    for (size_t word = r.offset / 4; word < r.offset / 4 + r.bits / 32; ++word) {
      if (index[word] != kNoRow) throw "regs.def: two registers overlap";
      index[word] = static_cast<uint8_t>(row);
    }
  }
  return index;
}

constexpr auto kIndex = make_index();

}  // namespace

std::optional<RegisterRef> decode_register(uint64_t offset, uint32_t size_bytes) {
  if ((size_bytes != 4 && size_bytes != 8) || offset % size_bytes != 0 ||
      offset >= RegisterFile::kWindowBytes) {
    return std::nullopt;
  }
  const uint8_t index = kIndex[offset / 4];
  if (index == kNoRow) return std::nullopt;
  const Row& row = kRows[index];
  if (size_bytes * 8 > row.bits) return std::nullopt;
  return RegisterRef{static_cast<npu_reg>(row.offset), row.access, row.bits,
                     static_cast<uint8_t>(offset - row.offset), static_cast<uint8_t>(size_bytes)};
}

RegisterFile::RegisterFile() {
  for (const Row& row : kRows) set(static_cast<npu_reg>(row.offset), row.reset);
}

void RegisterFile::raise_to(npu_reg reg, uint64_t value) {
  uint64_t old = cell(reg).load(std::memory_order_relaxed);
  while (old < value && !cell(reg).compare_exchange_weak(old, value)) {
  }
}

uint64_t RegisterFile::read_part(const RegisterRef& ref, uint64_t value) {
  if (ref.bits == 32 || ref.size_bytes == 8) return value;
  std::atomic<uint32_t>& latch = latched_high_[static_cast<size_t>(ref.reg) / 4];
  // A register that is written from outside has no value of its own to tear.
  if (ref.first_byte == 0) {
    latch.store(static_cast<uint32_t>(value >> 32), std::memory_order_relaxed);
    return static_cast<uint32_t>(value);
  }
  return ref.access == RegisterAccess::RW ? value >> 32 : latch.load(std::memory_order_relaxed);
}

void RegisterFile::write_part(const RegisterRef& ref, uint64_t value) {
  if (ref.bits == 32) return set(ref.reg, static_cast<uint32_t>(value));
  if (ref.size_bytes == 8) return set(ref.reg, value);
  const unsigned shift = ref.first_byte * 8u;
  const uint64_t mask = uint64_t{0xffffffff} << shift;
  std::atomic<uint64_t>& target = cell(ref.reg);
  uint64_t old = target.load(std::memory_order_relaxed);
  while (!target.compare_exchange_weak(old, (old & ~mask) | ((value << shift) & mask))) {
  }
}

}  // namespace npu::model
