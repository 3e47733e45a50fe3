// SPDX-License-Identifier: Apache-2.0
// Every way to fail: the status, and the place that the fault names.
#include <gtest/gtest.h>

#include <functional>

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
  constexpr uint64_t kL1 = 256 << 10;
  expect(fault_of([](Kernel& k) {
           k.l1(0, kL1 - 4, 1, 2);
           k.op(NPU_OP_NEG, 0, 0);
         }),
         NPU_ST_KERNEL_BOUNDS, NPU_ENGINE_VE, kL1);
  expect(fault_of([](Kernel& k) {
           k.acc(0, 1 << 20, 1, 1);
           k.l1(1, 0, 1, 1);
           k.op(NPU_OP_MM, 0, 1, 1);
         }),
         NPU_ST_KERNEL_BOUNDS, NPU_ENGINE_MM, 1 << 20);
  expect(fault_of([](Kernel& k) {
           k.set(0, {NPU_SPACE_L2}, kL1, 1, 1);
           k.l1(1, 0, 1, 1);
           k.op(NPU_OP_LD, 1, 0);
         }),
         NPU_ST_KERNEL_BOUNDS, NPU_ENGINE_LD, kL1);
  // Sizes whose product leaves 64 bits.
  expect(fault_of([](Kernel& k) {
           k.l1(0, 0, 0x7fffffff, 0x7fffffff, NPU_DTYPE_F32, 0x7fffffff);
           k.op(NPU_OP_NEG, 0, 0);
         }),
         NPU_ST_KERNEL_BOUNDS, NPU_ENGINE_VE, kL1);
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

struct Bad {
  const char* what;
  Body body;
};

TEST(Fault, OperandsThatDoNotFitAreRefused) {
  const uint8_t bf16 = NPU_DTYPE_BF16, i32 = NPU_DTYPE_I32;
  const TileSpec panel{NPU_SPACE_L1, NPU_DTYPE_F32, NPU_LAYOUT_PANEL};
  const Bad cases[] = {
      {"LD into HBM",
       [](Kernel& k) {
         k.hbm(0, kIn, 1, 1);
         k.op(NPU_OP_LD, 0, 0);
       }},
      {"LD of another type",
       [=](Kernel& k) {
         k.hbm(0, kIn, 1, 1, bf16);
         k.l1(1, 0, 1, 1);
         k.op(NPU_OP_LD, 1, 0);
       }},
      {"LD of another shape",
       [](Kernel& k) {
         k.hbm(0, kIn, 2, 3);
         k.l1(1, 0, 3, 2);
         k.op(NPU_OP_LD, 1, 0);
       }},
      {"LD TRANS of the same shape",
       [](Kernel& k) {
         k.hbm(0, kIn, 2, 3);
         k.l1(1, 0, 2, 3);
         k.op(NPU_OP_LD, 1, 0).flags = NPU_F_TRANS;
       }},
      {"LD from PANEL to ROW",
       [](Kernel& k) {
         k.set(0, {NPU_SPACE_HBM, 0, NPU_LAYOUT_PANEL}, kIn, 2, 3);
         k.l1(1, 0, 2, 3);
         k.op(NPU_OP_LD, 1, 0);
       }},
      {"ST from ROW to PANEL",
       [](Kernel& k) {
         k.set(0, {NPU_SPACE_HBM, 0, NPU_LAYOUT_PANEL}, kIn, 2, 3);
         k.l1(1, 0, 2, 3);
         k.op(NPU_OP_ST, 0, 1);
       }},
      {"stride below columns",
       [](Kernel& k) {
         k.l1(0, 0, 2, 3, 0, 2);
         k.op(NPU_OP_NEG, 0, 0);
       }},
      {"stride below rows of a panel",
       [=](Kernel& k) {
         k.hbm(0, kIn, 4, 4);
         k.set(1, panel, 0, 4, 4, 3);
         k.op(NPU_OP_LD, 1, 0);
       }},
      {"misaligned offset",
       [](Kernel& k) {
         k.l1(0, 2, 1, 1);
         k.op(NPU_OP_NEG, 0, 0);
       }},
      {"NEG of integers",
       [=](Kernel& k) {
         k.l1(0, 0, 1, 1, i32);
         k.op(NPU_OP_NEG, 0, 0);
       }},
      {"NEG of a PANEL",
       [=](Kernel& k) {
         k.set(0, panel, 0, 1, 1);
         k.op(NPU_OP_NEG, 0, 0);
       }},
      {"NEG in HBM",
       [](Kernel& k) {
         k.hbm(0, kIn, 1, 1);
         k.op(NPU_OP_NEG, 0, 0);
       }},
      {"bf16 in ACC",
       [=](Kernel& k) {
         k.set(0, {NPU_SPACE_ACC, bf16}, 0, 1, 1);
         k.op(NPU_OP_NEG, 0, 0);
       }},
      {"VADD with a row too long",
       [](Kernel& k) {
         k.l1(0, 0, 2, 2);
         k.l1(1, 0, 1, 3);
         k.op(NPU_OP_VADD, 0, 0, 1).flags = NPU_BCAST_ROW << NPU_F_BCAST_B_SHIFT;
       }},
      {"VFMA with a wrong c",
       [](Kernel& k) {
         k.l1(0, 0, 2, 2);
         k.l1(1, 0, 2, 3);
         k.op(NPU_OP_VFMA, 0, 0, 0, 1);
       }},
      {"MM with another depth",
       [](Kernel& k) {
         k.acc(0, 0, 2, 2);
         k.l1(1, 0, 2, 3);
         k.l1(2, 64, 2, 2);
         k.op(NPU_OP_MM, 0, 1, 2);
       }},
      {"MM with mixed types",
       [=](Kernel& k) {
         k.acc(0, 0, 2, 2);
         k.l1(1, 0, 2, 2);
         k.l1(2, 64, 2, 2, bf16);
         k.op(NPU_OP_MM, 0, 1, 2);
       }},
      {"MM over its own operand",
       [](Kernel& k) {
         k.l1(0, 0, 2, 2);
         k.l1(1, 8, 2, 2);
         k.l1(2, 64, 2, 2);
         k.op(NPU_OP_MM, 0, 1, 2);
       }},
      {"MM TB with a PANEL",
       [=](Kernel& k) {
         k.acc(0, 0, 2, 2);
         k.l1(1, 0, 2, 2);
         k.set(2, panel, 64, 2, 2);
         k.op(NPU_OP_MM, 0, 1, 2).flags = NPU_F_TB;
       }},
      {"MM of integers",
       [=](Kernel& k) {
         k.acc(0, 0, 2, 2);
         k.l1(1, 0, 2, 2, i32);
         k.op(NPU_OP_MM, 0, 1, 1);
       }},
      {"ACCLD into L1",
       [](Kernel& k) {
         k.l1(0, 0, 1, 1);
         k.op(NPU_OP_ACCLD, 0, 0);
       }},
      {"ACCST with a bias of another width",
       [](Kernel& k) {
         k.l1(0, 0, 2, 2);
         k.acc(1, 0, 2, 2);
         k.l1(2, 64, 1, 3);
         k.op(NPU_OP_ACCST, 0, 1, 2).flags = NPU_F_BIAS;
       }},
      {"RSUM into a row",
       [](Kernel& k) {
         k.l1(0, 0, 3, 3);
         k.l1(1, 64, 1, 3);
         k.op(NPU_OP_RSUM, 1, 0);
       }},
      {"RARGMAX into floats",
       [](Kernel& k) {
         k.l1(0, 0, 3, 3);
         k.l1(1, 64, 3, 1);
         k.op(NPU_OP_RARGMAX, 1, 0);
       }},
      {"IOTA into bf16",
       [=](Kernel& k) {
         k.l1(0, 0, 3, 3, bf16);
         k.scalar(NPU_OP_IOTA, 1).dst = 0;
       }},
      {"SMSTEP with a narrow state",
       [](Kernel& k) {
         k.l1(0, 0, 3, 3);
         k.l1(1, 64, 3, 1);
         k.op(NPU_OP_SMSTEP, 0, 0, 1, 1);
       }},
      {"ROPE with odd columns",
       [](Kernel& k) {
         k.l1(0, 0, 3, 3);
         k.l1(1, 64, 3, 1);
         k.op(NPU_OP_ROPE, 0, 0, 1, 1);
       }},
      {"GATHER with too few indices",
       [=](Kernel& k) {
         k.l1(0, 0, 3, 3);
         k.hbm(1, kIn, 3, 3);
         k.l1(2, 64, 1, 2, i32);
         k.op(NPU_OP_GATHER, 0, 1, 2);
       }},
      {"GATHER with float indices",
       [](Kernel& k) {
         k.l1(0, 0, 3, 3);
         k.hbm(1, kIn, 3, 3);
         k.l1(2, 64, 1, 3);
         k.op(NPU_OP_GATHER, 0, 1, 2);
       }},
  };
  for (const Bad& bad : cases) {
    SCOPED_TRACE(bad.what);
    EXPECT_EQ(fault_of(bad.body).status, NPU_ST_KERNEL_OPERANDS);
  }
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
