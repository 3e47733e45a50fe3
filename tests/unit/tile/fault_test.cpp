// SPDX-License-Identifier: Apache-2.0
// Every way to fail: the status, and the place that the fault names.
#include <gtest/gtest.h>

#include <functional>
#include <thread>

#include "machine.h"

namespace npu::model {
namespace {

using Body = std::function<void(Kernel&)>;

// Runs |body|, whose last instruction must fail, on tile 1 of two; the fault names it.
Fault fault_of(const Body& body, const std::function<void(Machine&)>& more = {}) {
  Machine m;
  if (more) more(m);
  Kernel k(2);
  k.only(1);
  body(k);
  uint32_t pc = k.here() - 1;
  k.end_only();
  Fault fault = m.run(k.done()).fault;
  EXPECT_EQ(fault.pc, pc);
  EXPECT_EQ(fault.line, pc + 1);
  EXPECT_EQ(fault.tile_in_group, 1);
  return fault;
}

void expect(const Fault& fault, npu_status status, npu_engine engine, uint64_t value = 0,
            npu_fault_access access = NPU_ACCESS_NONE) {
  EXPECT_EQ(fault.status, status);
  EXPECT_EQ(fault.engine, engine);
  EXPECT_EQ(fault.value, value);
  EXPECT_EQ(fault.access, access);
}

TEST(Fault, ControlInstructionsReportTheirOwn) {
  expect(fault_of([](Kernel& k) { k.op(NPU_OP_TRAP).imm = static_cast<uint32_t>(-5); }),
         NPU_ST_KERNEL_TRAP, NPU_ENGINE_CTRL, static_cast<uint64_t>(-5));
  expect(fault_of([](Kernel& k) { k.scalar(NPU_OP_ASSERT, 0).imm = 42; }), NPU_ST_KERNEL_ASSERT,
         NPU_ENGINE_CTRL, 42);
  for (npu_op op : {NPU_OP_DIVU, NPU_OP_REMU}) {
    expect(fault_of([&](Kernel& k) { k.scalar(op, 1, 2, 0); }), NPU_ST_DIVIDE_BY_ZERO,
           NPU_ENGINE_CTRL);
  }
  expect(fault_of([](Kernel& k) { k.scalar(NPU_OP_ARG, 1).imm = 8; }), NPU_ST_KERNEL_BOUNDS,
         NPU_ENGINE_CTRL, 8);
}

TEST(Fault, DescriptorsRefuseWhatTheyCannotHold) {
  expect(fault_of([](Kernel& k) { k.l1(0, 0, uint64_t{1} << 31, 1); }), NPU_ST_KERNEL_OPERANDS,
         NPU_ENGINE_CTRL, uint64_t{1} << 31);
  auto view = [](uint64_t row, uint64_t col, uint64_t rows, uint64_t cols, uint8_t layout) {
    return fault_of([=](Kernel& k) {
      k.set(0, {NPU_SPACE_L1, NPU_DTYPE_F32, layout}, 0, 32, 32);
      k.li(1, row);
      k.li(2, col);
      k.li(3, rows);
      k.li(4, cols);
      k.scalar(NPU_OP_TVIEW, 1, 2, 3, 4).dst = 1;
    });
  };
  EXPECT_EQ(view(33, 0, 0, 0, 0).status, NPU_ST_KERNEL_BOUNDS);
  EXPECT_EQ(view(16, 0, 17, 1, 0).status, NPU_ST_KERNEL_BOUNDS);
  EXPECT_EQ(view(0, 32, 1, 1, 0).status, NPU_ST_KERNEL_BOUNDS);
  EXPECT_EQ(view(UINT64_MAX, 0, 2, 1, 0).status, NPU_ST_KERNEL_BOUNDS);
  EXPECT_EQ(view(0, 8, 1, 1, NPU_LAYOUT_PANEL).status, NPU_ST_KERNEL_OPERANDS);
}

TEST(Fault, ScalarLoadsFaultOnAddressAndAlignment) {
  auto load = [](uint64_t dva) {
    return fault_of([=](Kernel& k) {
      k.li(2, dva);
      k.scalar(NPU_OP_SLDW, 1, 2);
    });
  };
  expect(load(0x1000), NPU_ST_VM_FAULT, NPU_ENGINE_CTRL, 0x1000, NPU_ACCESS_READ);
  expect(load(kIn + 2), NPU_ST_UNALIGNED_ACCESS, NPU_ENGINE_CTRL, kIn + 2, NPU_ACCESS_READ);
}

TEST(Fault, LeavingAScratchpadNamesTheOffset) {
  constexpr uint64_t kEnd = 256 << 10;
  expect(fault_of([](Kernel& k) {
           k.l1(0, kEnd - 4, 1, 2);
           k.op(NPU_OP_NEG, 0, 0);
         }),
         NPU_ST_KERNEL_BOUNDS, NPU_ENGINE_VE, kEnd);
  expect(fault_of([](Kernel& k) {
           k.acc(0, 1 << 20, 1, 1);
           k.l1(1, 0, 1, 1);
           k.op(NPU_OP_MM, 0, 1, 1);
         }),
         NPU_ST_KERNEL_BOUNDS, NPU_ENGINE_MM, 1 << 20);
  expect(fault_of([](Kernel& k) {
           k.set(0, {NPU_SPACE_L2}, kEnd, 1, 1);
           k.l1(1, 0, 1, 1);
           k.op(NPU_OP_LD, 1, 0);
         }),
         NPU_ST_KERNEL_BOUNDS, NPU_ENGINE_LD, kEnd);
  // Sizes whose product leaves 64 bits.
  expect(fault_of([](Kernel& k) {
           k.l1(0, 0, 0x7fffffff, 0x7fffffff, NPU_DTYPE_F32, 0x7fffffff);
           k.op(NPU_OP_NEG, 0, 0);
         }),
         NPU_ST_KERNEL_BOUNDS, NPU_ENGINE_VE, kEnd);
  expect(fault_of([](Kernel& k) {
           k.l1(0, UINT64_MAX - 3, 1, 1);
           k.op(NPU_OP_NEG, 0, 0);
         }),
         NPU_ST_KERNEL_BOUNDS, NPU_ENGINE_VE, UINT64_MAX - 3);
}

TEST(Fault, DeviceMemoryThatIsNotThereNamesTheFirstBadAddress) {
  auto ld = [](uint64_t base, uint64_t rows, uint64_t cols, uint64_t stride) {
    return fault_of([=](Kernel& k) {
      k.hbm(0, base, rows, cols, NPU_DTYPE_F32, stride);
      k.l1(1, 0, rows, cols);
      k.op(NPU_OP_LD, 1, 0);
    });
  };
  constexpr uint64_t kEnd = kIn + (1 << 20);
  expect(ld(kEnd - 8, 1, 4, 4), NPU_ST_VM_FAULT, NPU_ENGINE_LD, kEnd, NPU_ACCESS_READ);
  expect(ld(kEnd - 4096, 3, 4, 512), NPU_ST_VM_FAULT, NPU_ENGINE_LD, kEnd, NPU_ACCESS_READ);
  expect(ld(kEnd - 4096, 16, 16, 0x7fffffff), NPU_ST_VM_FAULT, NPU_ENGINE_LD,
         kEnd - 4096 + uint64_t{0x7fffffff} * 4, NPU_ACCESS_READ);
  expect(ld(UINT64_MAX - 3, 2, 1, 1), NPU_ST_VM_FAULT, NPU_ENGINE_LD, UINT64_MAX - 3,
         NPU_ACCESS_READ);
  expect(fault_of([](Kernel& k) {
           k.hbm(0, kReadOnly, 1, 1);
           k.l1(1, 0, 1, 1);
           k.op(NPU_OP_LD, 1, 0);
           k.op(NPU_OP_ST, 0, 1);
         }),
         NPU_ST_VM_FAULT, NPU_ENGINE_ST, kReadOnly, NPU_ACCESS_WRITE);
  expect(fault_of([](Kernel& k) {
           k.hbm(0, kIn + 2, 1, 1);
           k.l1(1, 0, 1, 1);
           k.op(NPU_OP_LD, 1, 0);
         }),
         NPU_ST_UNALIGNED_ACCESS, NPU_ENGINE_LD, kIn + 2);
}

TEST(Fault, MemoryThatWasTakenAwayFaultsOnTheNextRun) {
  Machine m;
  Kernel k;
  k.hbm(0, kIn, 1, 1);
  k.l1(1, 0, 1, 1);
  k.op(NPU_OP_LD, 1, 0);
  k.done();
  EXPECT_EQ(m.run(k.program).fault.status, NPU_ST_OK);
  m.memory.unmap(kIn);
  EXPECT_EQ(m.run(k.program).fault.status, NPU_ST_VM_FAULT);
}

// Memory that counts how often it is asked.
class CountingMemory : public TestMemory {
 public:
  bool translate(uint64_t dva, npu_fault_access access, Translation* out) const override {
    ++asked;
    return TestMemory::translate(dva, access, out);
  }
  mutable uint32_t asked = 0;
};

TEST(Fault, TranslationsAreKeptUntilTheSpaceOrItsGenerationIsAnother) {
  Machine m;
  CountingMemory spaces[2];
  for (CountingMemory& space : spaces) {
    space.map(kIn, 4096);
    space.put<uint32_t>(kIn, {7});
  }
  Kernel k;
  k.li(1, kIn);
  k.scalar(NPU_OP_SLDW, 2, 1);
  k.done();
  const auto asked_by_run = [&](CountingMemory& space) {
    const uint32_t before = space.asked;
    m.launch.space = &space;
    EXPECT_EQ(m.run(k.program).fault.status, NPU_ST_OK);
    return space.asked - before;
  };
  EXPECT_EQ(asked_by_run(spaces[0]), 1u);
  EXPECT_EQ(asked_by_run(spaces[0]), 0u);
  EXPECT_EQ(asked_by_run(spaces[1]), 1u);  // of the same generation
  EXPECT_EQ(asked_by_run(spaces[0]), 1u);
  spaces[0].map(kIn + 4096, 4096);
  EXPECT_EQ(asked_by_run(spaces[0]), 1u);
}

TEST(Fault, IndicesOutsideTheTableAreBounds) {
  for (int32_t index : {-1, 20}) {
    for (bool scatter : {false, true}) {
      Fault fault = fault_of([=](Kernel& k) {
        k.l1(0, 0, 1, 1, NPU_DTYPE_I32);
        k.li(1, static_cast<uint64_t>(int64_t{index}));
        k.scalar(NPU_OP_IOTA, 1).dst = 0;
        k.hbm(1, kIn, 20, 4);
        k.l1(2, 64, 1, 4);
        scatter ? k.op(NPU_OP_SCATTER, 1, 2, 0) : k.op(NPU_OP_GATHER, 2, 1, 0);
      });
      expect(fault, NPU_ST_KERNEL_BOUNDS, scatter ? NPU_ENGINE_ST : NPU_ENGINE_LD,
             static_cast<uint64_t>(int64_t{index}));
    }
  }
}

struct BadTile {
  uint8_t space;
  uint64_t rows;
  uint64_t cols;
  uint8_t dtype = NPU_DTYPE_F32;
  uint8_t layout = NPU_LAYOUT_ROW;
  uint64_t stride = 0;
  uint64_t offset = 0;
};

// The operation on tiles for dst, a, b, c, 4 KiB apart, must be refused.
void expect_refused(const char* what, npu_op op, std::vector<BadTile> tiles, uint16_t flags = 0) {
  SCOPED_TRACE(what);
  Fault fault = fault_of([&](Kernel& k) {
    for (size_t i = 0; i < tiles.size(); ++i) {
      const BadTile& t = tiles[i];
      uint64_t base = (t.space == NPU_SPACE_HBM ? kIn : 0) + 4096 * i + t.offset;
      k.set(static_cast<uint8_t>(i), {t.space, t.dtype, t.layout}, base, t.rows, t.cols, t.stride);
    }
    k.op(op, 0, 1, 2, 3).flags = flags;
  });
  EXPECT_EQ(fault.status, NPU_ST_KERNEL_OPERANDS);
}

constexpr uint8_t kHbm = NPU_SPACE_HBM, kL1 = NPU_SPACE_L1, kAcc = NPU_SPACE_ACC;
constexpr uint8_t kFp32 = NPU_DTYPE_F32, kBf16 = NPU_DTYPE_BF16, kInt = NPU_DTYPE_I32;
constexpr uint8_t kPanels = NPU_LAYOUT_PANEL;

TEST(Fault, DmaRefusesOtherTypesShapesSpacesAndLayouts) {
  expect_refused("into HBM", NPU_OP_LD, {{kHbm, 1, 1}, {kHbm, 1, 1}});
  expect_refused("from L1", NPU_OP_LD, {{kL1, 1, 1}, {kL1, 1, 1}});
  expect_refused("type", NPU_OP_LD, {{kL1, 1, 1}, {kHbm, 1, 1, kBf16}});
  expect_refused("shape", NPU_OP_LD, {{kL1, 3, 2}, {kHbm, 2, 3}});
  expect_refused("transposed shape", NPU_OP_LD, {{kL1, 2, 3}, {kHbm, 2, 3}}, NPU_F_TRANS);
  expect_refused("unpacking", NPU_OP_LD, {{kL1, 2, 3}, {kHbm, 2, 3, kFp32, kPanels}});
  expect_refused("packing", NPU_OP_ST, {{kHbm, 2, 3, kFp32, kPanels}, {kL1, 2, 3}});
  expect_refused("two panels", NPU_OP_LD,
                 {{kL1, 2, 2, kFp32, kPanels}, {kHbm, 2, 2, kFp32, kPanels}}, NPU_F_TRANS);
  expect_refused("panel stride", NPU_OP_LD, {{kL1, 4, 4, kFp32, kPanels, 3}, {kHbm, 4, 4}});
  expect_refused("few indices", NPU_OP_GATHER, {{kL1, 3, 3}, {kHbm, 3, 3}, {kL1, 1, 2, kInt}});
  expect_refused("float indices", NPU_OP_GATHER, {{kL1, 3, 3}, {kHbm, 3, 3}, {kL1, 1, 3}});
  expect_refused("table in L2", NPU_OP_GATHER,
                 {{kL1, 3, 3}, {NPU_SPACE_L2, 3, 3}, {kL1, 1, 3, kInt}});
}

TEST(Fault, ConversionRefusesWhatIsNoneOfItsOwn) {
  constexpr uint8_t kQ8 = NPU_DTYPE_Q8_0, kQ6 = NPU_DTYPE_Q6_K;
  expect_refused("into HBM", NPU_OP_LDC, {{kHbm, 1, 1}, {kHbm, 1, 1}});
  expect_refused("from L1", NPU_OP_LDC, {{kL1, 1, 1}, {kL1, 1, 1}});
  expect_refused("from L2", NPU_OP_LDC, {{kL1, 1, 1}, {NPU_SPACE_L2, 1, 1}});
  expect_refused("to integers", NPU_OP_LDC, {{kL1, 1, 1, kInt}, {kHbm, 1, 1}});
  expect_refused("from panels", NPU_OP_LDC, {{kL1, 2, 3}, {kHbm, 2, 3, kFp32, kPanels}});
  expect_refused("shape", NPU_OP_LDC, {{kL1, 3, 2}, {kHbm, 2, 3}});
  expect_refused("transposed shape", NPU_OP_LDC, {{kL1, 2, 3}, {kHbm, 2, 3}}, NPU_F_TRANS);
  expect_refused("half a block", NPU_OP_LDC, {{kL1, 1, 16}, {kHbm, 1, 16, kQ8, 0, 32}});
  expect_refused("a stride of half blocks", NPU_OP_LDC,
                 {{kL1, 2, 256}, {kHbm, 2, 256, kQ6, 0, 384}});
}

TEST(Fault, ProductsWithWeightsRefuseWhatDoesNotMultiply) {
  constexpr uint8_t kQ8 = NPU_DTYPE_Q8_0;
  expect_refused("weights in L1", NPU_OP_MMS, {{kL1, 2, 3}, {kL1, 2, 4}, {kL1, 3, 4}});
  expect_refused("vectors in HBM", NPU_OP_MMS, {{kL1, 2, 3}, {kHbm, 2, 4}, {kHbm, 3, 4}});
  expect_refused("bf16 vectors", NPU_OP_MMS, {{kL1, 2, 3}, {kL1, 2, 4, kBf16}, {kHbm, 3, 4}});
  expect_refused("integers", NPU_OP_MMS, {{kL1, 2, 3}, {kL1, 2, 4}, {kHbm, 3, 4, kInt}});
  expect_refused("panels", NPU_OP_MMS, {{kL1, 2, 3}, {kL1, 2, 4}, {kHbm, 3, 4, kFp32, kPanels}});
  expect_refused("depth", NPU_OP_MMS, {{kL1, 2, 3}, {kL1, 2, 4}, {kHbm, 3, 5}});
  expect_refused("rows", NPU_OP_MMS, {{kL1, 2, 4}, {kL1, 2, 4}, {kHbm, 3, 4}});
  expect_refused("its own operand", NPU_OP_MMS,
                 {{kL1, 2, 2, kFp32, 0, 0, 4104}, {kL1, 2, 2}, {kHbm, 2, 2}});
  expect_refused("half a block", NPU_OP_MMS,
                 {{kL1, 1, 3}, {kL1, 1, 16}, {kHbm, 3, 16, kQ8, 0, 32}});
  for (uint8_t other : {kFp32, kBf16, static_cast<uint8_t>(NPU_DTYPE_MXINT8)})
    expect_refused("integers of another type", NPU_OP_MMS,
                   {{kL1, 1, 3}, {kL1, 1, 32}, {kHbm, 3, 32, other}}, NPU_F_INTEGER);
  expect_refused("tiles without integers", NPU_OP_MMS,
                 {{kL1, 1, 16}, {kL1, 1, 32}, {kHbm, 16, 32, kQ8}}, NPU_F_TILED);
  expect_refused("half a tile", NPU_OP_MMS, {{kL1, 1, 24}, {kL1, 1, 32}, {kHbm, 24, 32, kQ8}},
                 NPU_F_INTEGER | NPU_F_TILED);
  expect(fault_of([](Kernel& k) {
           k.l1(0, 0, 1, 16);
           k.l1(1, 4096, 1, 32);
           k.hbm(2, kIn + 16, 16, 32, kQ8);
           k.op(NPU_OP_MMS, 0, 1, 2).flags = NPU_F_INTEGER | NPU_F_TILED;
         }),
         NPU_ST_UNALIGNED_ACCESS, NPU_ENGINE_MM, kIn + 16);
  constexpr uint64_t kEnd = kIn + (1 << 20);
  expect(fault_of([](Kernel& k) {
           k.l1(0, 0, 1, 40);
           k.l1(1, 4096, 1, 64);
           k.hbm(2, kEnd - 68 * 39, 40, 64, kQ8);
           k.op(NPU_OP_MMS, 0, 1, 2);
         }),
         NPU_ST_VM_FAULT, NPU_ENGINE_MM, kEnd, NPU_ACCESS_READ);
}

TEST(Fault, BlocksAreReadByConversionAloneAndFromHbm) {
  constexpr uint8_t kQ8 = NPU_DTYPE_Q8_0;
  expect_refused("LD", NPU_OP_LD, {{kL1, 1, 32}, {kHbm, 1, 32, kQ8}});
  expect_refused("ST", NPU_OP_ST, {{kHbm, 1, 32, kQ8}, {kL1, 1, 32}});
  expect_refused("GATHER", NPU_OP_GATHER, {{kL1, 1, 32}, {kHbm, 3, 32, kQ8}, {kL1, 1, 1, kInt}});
  expect_refused("SCATTER", NPU_OP_SCATTER, {{kHbm, 3, 32, kQ8}, {kL1, 1, 32}, {kL1, 1, 1, kInt}});
  auto word = [](uint32_t imm) {
    return fault_of([=](Kernel& k) { k.op(NPU_OP_TSET).imm = imm; }).status;
  };
  EXPECT_EQ(word(NPU_TDESC(NPU_SPACE_L1, kQ8, NPU_LAYOUT_ROW)), NPU_ST_KERNEL_OPERANDS);
  EXPECT_EQ(word(NPU_TDESC(NPU_SPACE_L2, kQ8, NPU_LAYOUT_ROW)), NPU_ST_KERNEL_OPERANDS);
  EXPECT_EQ(word(NPU_TDESC(NPU_SPACE_HBM, kQ8, NPU_LAYOUT_PANEL)), NPU_ST_KERNEL_OPERANDS);
  EXPECT_EQ(word(NPU_TDESC(NPU_SPACE_HBM, NPU_DTYPE_COUNT, NPU_LAYOUT_ROW)),
            NPU_ST_KERNEL_OPERANDS);
  auto view = [](uint64_t col, uint64_t stride) {
    return fault_of([=](Kernel& k) {
             k.set(0, {NPU_SPACE_HBM, kQ8, NPU_LAYOUT_ROW}, kIn, 4, 64, stride);
             k.li(1, col);
             k.li(2, 32);
             k.scalar(NPU_OP_TVIEW, 0, 1, 0, 2).dst = 1;
           })
        .status;
  };
  EXPECT_EQ(view(16, 64), NPU_ST_KERNEL_OPERANDS);
  EXPECT_EQ(view(32, 80), NPU_ST_KERNEL_OPERANDS);
}

TEST(Fault, ConversionNamesTheFirstAddressThatIsNotThere) {
  constexpr uint64_t kEnd = kIn + (1 << 20);
  auto ldc = [](uint64_t base, uint64_t rows, uint64_t cols, uint64_t stride) {
    return fault_of([=](Kernel& k) {
      k.hbm(0, base, rows, cols, NPU_DTYPE_Q8_0, stride);
      k.l1(1, 0, rows, cols);
      k.op(NPU_OP_LDC, 1, 0);
    });
  };
  expect(ldc(kEnd - 34, 1, 64, 64), NPU_ST_VM_FAULT, NPU_ENGINE_LD, kEnd, NPU_ACCESS_READ);
  expect(ldc(kEnd - 68, 3, 32, 64), NPU_ST_VM_FAULT, NPU_ENGINE_LD, kEnd, NPU_ACCESS_READ);
  expect(ldc(kIn + 1, 1, 32, 32), NPU_ST_UNALIGNED_ACCESS, NPU_ENGINE_LD, kIn + 1);
  expect(ldc(UINT64_MAX - 33, 2, 32, 32), NPU_ST_VM_FAULT, NPU_ENGINE_LD, UINT64_MAX - 33,
         NPU_ACCESS_READ);
}

TEST(Fault, TheTensorUnitRefusesWhatDoesNotMultiply) {
  expect_refused("depth", NPU_OP_MM, {{kAcc, 2, 2}, {kL1, 2, 3}, {kL1, 2, 2}});
  expect_refused("types", NPU_OP_MM, {{kAcc, 2, 2}, {kL1, 2, 2}, {kL1, 2, 2, kBf16}});
  expect_refused("integers", NPU_OP_MM, {{kAcc, 2, 2}, {kL1, 2, 2, kInt}, {kL1, 2, 2, kInt}});
  expect_refused("a panel as a", NPU_OP_MM,
                 {{kAcc, 2, 2}, {kL1, 2, 2, kFp32, kPanels}, {kL1, 2, 2}});
  expect_refused("a panel transposed", NPU_OP_MM,
                 {{kAcc, 2, 2}, {kL1, 2, 2}, {kL1, 2, 2, kFp32, kPanels}}, NPU_F_TB);
  expect_refused("its own operand", NPU_OP_MM,
                 {{kL1, 2, 2, kFp32, 0, 0, 4104}, {kL1, 2, 2}, {kL1, 2, 2}});
  expect_refused("bf16 result", NPU_OP_MM, {{kL1, 2, 2, kBf16}, {kL1, 2, 2}, {kL1, 2, 2}});
  expect_refused("rows of b", NPU_OP_MMD, {{kAcc, 2, 2}, {kL1, 2, 3}, {kL1, 3, 3}});
  expect_refused("ACCLD into L1", NPU_OP_ACCLD, {{kL1, 1, 1}, {kL1, 1, 1}});
  expect_refused("bias", NPU_OP_ACCST, {{kL1, 2, 2}, {kAcc, 2, 2}, {kL1, 1, 3}}, NPU_F_BIAS);
}

TEST(Fault, TheVectorUnitRefusesWhatItCannotPair) {
  constexpr uint16_t kRowB = NPU_BCAST_ROW << NPU_F_BCAST_B_SHIFT;
  expect_refused("stride", NPU_OP_NEG, {{kL1, 2, 3, kFp32, 0, 2}, {kL1, 2, 3}});
  expect_refused("offset", NPU_OP_NEG, {{kL1, 1, 1, kFp32, 0, 0, 2}, {kL1, 1, 1}});
  expect_refused("integers", NPU_OP_NEG, {{kL1, 1, 1, kInt}, {kL1, 1, 1, kInt}});
  expect_refused("panel", NPU_OP_NEG, {{kL1, 1, 1}, {kL1, 1, 1, kFp32, kPanels}});
  expect_refused("HBM", NPU_OP_NEG, {{kHbm, 1, 1}, {kL1, 1, 1}});
  expect_refused("bf16 in ACC", NPU_OP_NEG, {{kAcc, 1, 1, kBf16}, {kL1, 1, 1}});
  expect_refused("shape", NPU_OP_NEG, {{kL1, 1, 2}, {kL1, 2, 1}});
  expect_refused("long row", NPU_OP_VADD, {{kL1, 2, 2}, {kL1, 2, 2}, {kL1, 1, 3}}, kRowB);
  expect_refused("c", NPU_OP_VFMA, {{kL1, 2, 2}, {kL1, 2, 2}, {kL1, 2, 2}, {kL1, 2, 3}});
  expect_refused("RSUM", NPU_OP_RSUM, {{kL1, 1, 3}, {kL1, 3, 3}});
  expect_refused("RARGMAX", NPU_OP_RARGMAX, {{kL1, 3, 1}, {kL1, 3, 3}});
  expect_refused("IOTA", NPU_OP_IOTA, {{kL1, 3, 3, kBf16}});
  expect_refused("softmax state", NPU_OP_SMSTEP,
                 {{kL1, 3, 3}, {kL1, 3, 3}, {kL1, 3, 1}, {kL1, 3, 1}});
  expect_refused("odd columns", NPU_OP_ROPE, {{kL1, 3, 3}, {kL1, 3, 3}, {kL1, 3, 1}, {kL1, 3, 1}});
}

TEST(Fault, SemaphoresAndPeersThatDoNotExist) {
  expect(fault_of([](Kernel& k) { k.op(NPU_OP_SIG).signal = NPU_SIGNAL_TO(0, 1, 2); }),
         NPU_ST_KERNEL_OPERANDS, NPU_ENGINE_CTRL, 2);
  expect(fault_of([](Kernel& k) {
           k.op(NPU_OP_SIG).signal = NPU_SIGNAL(3, 65535);
           k.op(NPU_OP_SIG).signal = NPU_SIGNAL(3, 1);
         }),
         NPU_ST_KERNEL_OPERANDS, NPU_ENGINE_CTRL, 3);
  expect(fault_of([](Kernel& k) {
           k.li(1, 65536);
           k.scalar(NPU_OP_SEMSET, 1);
         }),
         NPU_ST_KERNEL_OPERANDS, NPU_ENGINE_CTRL, 65536);
}

TEST(Fault, AQueuedOperationFaultsWhereItStands) {
  Machine m;
  Kernel k;
  k.hbm(0, 0x1000, 1, 1);
  k.l1(1, 0, 1, 1);
  uint32_t pc = k.here();
  k.op(NPU_OP_LD, 1, 0).wait0 = NPU_WAIT(0, 1, 1);
  for (int i = 0; i < 3; ++i) k.op(NPU_OP_NOP);
  k.op(NPU_OP_SIG).signal = NPU_SIGNAL(0, 1);
  Fault fault = m.run(k.done()).fault;
  EXPECT_EQ(fault.status, NPU_ST_VM_FAULT);
  EXPECT_EQ(fault.pc, pc);
  EXPECT_EQ(fault.engine, NPU_ENGINE_LD);
}

TEST(Fault, AnEndlessLoopMeetsItsBudget) {
  Machine m;
  m.launch.op_budget = 1000;
  Kernel k;
  k.op(NPU_OP_BR);
  GroupResult result = m.run(k.done());
  EXPECT_EQ(result.fault.status, NPU_ST_WATCHDOG);
  EXPECT_EQ(result.stats.instructions, 1000u);
}

TEST(Fault, ACanceledLaunchEndsBeforeItsNextInstruction) {
  Machine m;
  std::atomic<bool> cancel{true};
  m.launch.cancel = &cancel;
  m.launch.op_budget = 0;
  Kernel k;
  k.op(NPU_OP_BR);
  GroupResult result = m.run(k.done());
  EXPECT_EQ(result.fault.status, NPU_ST_CANCELED);
  EXPECT_EQ(result.stats.instructions, 0u);
}

TEST(Fault, ALaunchThatIsCanceledWhileItRunsEndsWithinSixteenInstructions) {
  Machine m;
  std::atomic<bool> cancel{false};
  m.launch.cancel = &cancel;
  m.launch.op_budget = 0;
  Kernel k;
  k.op(NPU_OP_BR);
  k.done();
  std::thread other([&] { cancel = true; });
  GroupResult result = m.run(k.program);
  other.join();
  EXPECT_EQ(result.fault.status, NPU_ST_CANCELED);
  EXPECT_EQ(result.stats.instructions % 16, 0u);  // where it is looked at
}

TEST(Fault, LaunchesThatDoNotFitTheDeviceAreRefused) {
  auto status = [](const std::function<void(Kernel&, Machine&)>& change, uint64_t linear = 0) {
    Machine m;
    Kernel k;
    change(k, m);
    return m.run(k.done(), linear).fault.status;
  };
  EXPECT_EQ(status([](Kernel& k, Machine&) { k.program.l1_bytes = 1 << 20; }), NPU_ST_BAD_LAUNCH);
  EXPECT_EQ(status([](Kernel& k, Machine&) { k.program.l2_bytes = 2 << 20; }), NPU_ST_BAD_LAUNCH);
  EXPECT_EQ(status([](Kernel& k, Machine&) { k.program.acc_bytes = 1 << 20; }), NPU_ST_BAD_LAUNCH);
  EXPECT_EQ(status([](Kernel& k, Machine&) { k.program.args_bytes = 8; }), NPU_ST_BAD_LAUNCH);
  EXPECT_EQ(status([](Kernel& k, Machine&) { k.program.group_tiles = 17; }), NPU_ST_BAD_LAUNCH);
  EXPECT_EQ(status([](Kernel& k, Machine&) { k.program.group_tiles = 0; }), NPU_ST_BAD_LAUNCH);
  EXPECT_EQ(status([](Kernel&, Machine&) {}, 1), NPU_ST_BAD_LAUNCH);
  EXPECT_EQ(status([](Kernel&, Machine& m) { m.launch.grid = {0, 1, 1}; }), NPU_ST_BAD_LAUNCH);
  EXPECT_EQ(status([](Kernel&, Machine& m) { m.launch.hbm_share_bytes_per_us = 0; }),
            NPU_ST_INTERNAL);
}

TEST(Fault, TheWorkerRunsTheNextGroupAfterAFault) {
  Machine m;
  Kernel bad;
  bad.op(NPU_OP_WAIT).wait0 = NPU_WAIT(0, 1, 1);
  EXPECT_EQ(m.run(bad.done()).fault.status, NPU_ST_KERNEL_DEADLOCK);
  Kernel good;
  good.l1(0, 0, 1, 1);
  good.op(NPU_OP_NEG, 0, 0);
  EXPECT_EQ(m.run(good.done()).fault.status, NPU_ST_OK);
}

}  // namespace
}  // namespace npu::model
