// SPDX-License-Identifier: Apache-2.0
// A tile to test: device memory in pieces, a kernel written instruction by instruction, one
// work-group run.
#ifndef NPU_TESTS_UNIT_TILE_MACHINE_H_
#define NPU_TESTS_UNIT_TILE_MACHINE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "firmware-model/tile/numerics/numerics.h"
#include "firmware-model/tile/tile.h"

namespace npu::model {

// Device memory whose runs are separate host allocations, so that an access may not run from one
// into the next.
class TestMemory : public AddressSpace {
 public:
  void map(uint64_t dva, uint64_t bytes, bool writable = true);
  void unmap(uint64_t dva);
  bool translate(uint64_t dva, npu_fault_access access, Translation* out) const override;
  uint64_t generation() const override { return generation_; }

  void write(uint64_t dva, const void* from, size_t bytes);
  void read(uint64_t dva, void* to, size_t bytes) const;
  template <typename T>
  void put(uint64_t dva, const std::vector<T>& values) {
    write(dva, values.data(), values.size() * sizeof(T));
  }
  template <typename T>
  std::vector<T> get(uint64_t dva, size_t count) const {
    std::vector<T> values(count);
    read(dva, values.data(), count * sizeof(T));
    return values;
  }

 private:
  struct Run {
    std::unique_ptr<std::byte[]> host;
    uint64_t bytes;
    bool writable;
  };
  std::map<uint64_t, Run> runs_;
  uint64_t generation_ = 1;
};

struct TileSpec {
  uint8_t space = NPU_SPACE_L1;
  uint8_t dtype = NPU_DTYPE_F32;
  uint8_t layout = NPU_LAYOUT_ROW;
};

// Writes a Program one instruction after the other; the line id of each is its index + 1. Registers
// 24..31 are used by set() and shape helpers.
class Kernel {
 public:
  explicit Kernel(uint32_t group_tiles = 1);

  npu_insn& op(npu_op code, uint8_t dst = 0, uint8_t a = 0, uint8_t b = 0, uint8_t c = 0);
  npu_insn& scalar(npu_op code, uint8_t r0, uint8_t r1 = 0, uint8_t r2 = 0, uint8_t r3 = 0);
  void li(uint8_t reg, uint64_t value);
  void li_f32(uint8_t reg, float value);
  // Descriptor |d| = the tile at |base|; stride 0: cols (ROW) or rows (PANEL).
  void set(uint8_t d, TileSpec spec, uint64_t base, uint64_t rows, uint64_t cols,
           uint64_t stride = 0);
  void hbm(uint8_t d, uint64_t base, uint64_t rows, uint64_t cols, uint8_t dtype = NPU_DTYPE_F32,
           uint64_t stride = 0);
  void l1(uint8_t d, uint64_t base, uint64_t rows, uint64_t cols, uint8_t dtype = NPU_DTYPE_F32,
          uint64_t stride = 0);
  void acc(uint8_t d, uint64_t base, uint64_t rows, uint64_t cols);
  // Stores the 64 bits of |reg| at |dva|; uses the last 16 bytes of L1, descriptors 62, 63 and
  // registers 22, 23.
  void emit(uint8_t reg, uint64_t dva);
  // Starts code that only tile |tile| of the group runs; end_only() ends it.
  void only(uint32_t tile);
  void end_only();
  // Ends the program.
  const Program& done();

  uint32_t here() const { return static_cast<uint32_t>(program.code.size()); }

  Program program;

 private:
  uint32_t only_branch_ = 0;
};

// Sizes and rates that make expected times easy: a cycle is 1,000 ps.
TileParams test_params();

class Machine {
 public:
  explicit Machine(const TileParams& params = test_params());

  GroupResult run(const Program& program, uint64_t linear = 0);

  TileParams params;
  TestMemory memory;
  Launch launch;  // everything but the program is set; tests may change it
  Worker worker;
};

uint16_t to_bf16(float value);
float from_bf16(uint16_t bits);
uint16_t to_f16(float value);
float from_f16(uint16_t bits);

// Values in [-2, 2), the same for the same seed.
std::vector<float> random_floats(size_t count, uint64_t seed);
std::vector<uint16_t> to_bf16(const std::vector<float>& values);
std::vector<float> from_bf16(const std::vector<uint16_t>& values);

inline constexpr uint64_t kIn = 0x10000000;        // 1 MiB, mapped by Machine
inline constexpr uint64_t kIn2 = 0x20000000;       // 1 MiB
inline constexpr uint64_t kOut = 0x30000000;       // 1 MiB
inline constexpr uint64_t kReadOnly = 0x40000000;  // 64 KiB

}  // namespace npu::model

#endif  // NPU_TESTS_UNIT_TILE_MACHINE_H_
