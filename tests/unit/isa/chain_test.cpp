// SPDX-License-Identifier: Apache-2.0
// chain(true): whatever the control flow and however the engines run, operations are complete in program order.
// A small machine runs random kernels: control, four queues, semaphores, and a random choice of who moves next.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <deque>
#include <random>
#include <string>
#include <vector>

#include "tools/isa/builder.h"
#include "tools/isa/codec.h"
#include "tools/isa/pipe.h"
#include "tools/isa/text.h"

namespace npu::isa {
namespace {

using Random = std::mt19937_64;

// Executes the control instructions that the kernels below contain. Operations start and end at random moments.
class Machine {
 public:
  Machine(const Program& program, uint64_t seed) : insns_(program.insns), random_(seed) {}

  // "" when the program ended and every operation had ended before the next one in program order began.
  std::string run(bool ordered) {
    for (int steps = 0; steps < 200000; ++steps) {
      std::vector<int> movers;
      if (!halted_ && control_can_move()) movers.push_back(-1);
      for (int e = 0; e < NPU_ENGINE_COUNT; ++e) {
        if (running_[e].active || (!queues_[e].empty() && ready(queues_[e].front())))
          movers.push_back(e);
      }
      if (movers.empty()) return halted_ && idle() ? "" : "deadlock at pc " + std::to_string(pc_);
      const int who = movers[random_() % movers.size()];
      const std::string error = who < 0 ? control() : engine(who, ordered);
      if (!error.empty()) return error;
    }
    return "does not end";
  }

  uint64_t issued() const { return issued_; }

 private:
  struct Issued {
    npu_insn insn;
    uint64_t number;
  };
  struct Running {
    bool active = false;
    Issued op{};
  };

  bool holds(uint32_t wait) const {
    return wait == 0 || sems_[NPU_WAIT_SEM(wait)] >= NPU_WAIT_THRESHOLD(wait);
  }
  void consume(uint32_t wait) {
    if (wait & NPU_WAIT_CONSUME) sems_[NPU_WAIT_SEM(wait)] -= NPU_WAIT_THRESHOLD(wait);
  }
  bool ready(const Issued& op) const { return holds(op.insn.wait0) && holds(op.insn.wait1); }
  bool idle() const {
    for (int e = 0; e < NPU_ENGINE_COUNT; ++e) {
      if (running_[e].active || !queues_[e].empty()) return false;
    }
    return true;
  }

  bool control_can_move() const {
    const npu_insn& insn = insns_[pc_];
    if (insn.op == NPU_OP_FENCE) return idle();
    if (insn.op == NPU_OP_WAIT) return holds(insn.wait0) && holds(insn.wait1);
    const uint8_t engine = kInsnTable[insn.op].engine;
    return engine == NPU_ENGINE_CTRL || queues_[engine].size() < 4;
  }

  std::string engine(int e, bool ordered) {
    Running& running = running_[e];
    if (!running.active) {
      running = {true, queues_[e].front()};
      queues_[e].pop_front();
      consume(running.op.insn.wait0);
      consume(running.op.insn.wait1);
      if (ordered && running.op.number != ended_)
        return "operation " + std::to_string(running.op.number) + " begins when " +
               std::to_string(ended_) + " have ended";
      return "";
    }
    running.active = false;
    ++ended_;
    signal(running.op.insn.signal);
    return "";
  }

  void signal(uint32_t signal) {
    if (signal != 0) sems_[NPU_SIGNAL_SEM(signal)] += NPU_SIGNAL_INC(signal);
  }

  // Both give the distance to the next instruction.
  int32_t begin_loop(const npu_insn& insn) {
    if (regs_[insn.r[1]] <= 0) return static_cast<int32_t>(insn.imm) + 1;
    loops_.push_back({0, regs_[insn.r[1]]});
    regs_[insn.r[0]] = 0;
    return 1;
  }
  int32_t end_loop(int32_t jump) {
    auto& [index, count] = loops_.back();
    if (++index < count) {
      regs_[insns_[pc_ + static_cast<uint32_t>(jump)].r[0]] = index;
      return jump + 1;
    }
    loops_.pop_back();
    return 1;
  }

  std::string control() {
    const npu_insn insn = insns_[pc_];
    const auto jump = static_cast<int32_t>(insn.imm);
    int32_t next = 1;
    if (kInsnTable[insn.op].engine != NPU_ENGINE_CTRL) {
      queues_[kInsnTable[insn.op].engine].push_back({insn, issued_++});
      pc_ += 1;
      return "";
    }
    switch (insn.op) {
      case NPU_OP_HALT:
        halted_ = true;
        return "";
      case NPU_OP_LI:
        regs_[insn.r[0]] = jump;
        break;
      case NPU_OP_ADDI:
        regs_[insn.r[0]] = regs_[insn.r[1]] + jump;
        break;
      case NPU_OP_SUB:
        regs_[insn.r[0]] = regs_[insn.r[1]] - regs_[insn.r[2]];
        break;
      case NPU_OP_SEMSET:
        sems_[insn.imm] = static_cast<uint32_t>(regs_[insn.r[0]]);
        break;
      case NPU_OP_ARGW:  // a random argument: each condition goes either way
        regs_[insn.r[0]] = static_cast<int64_t>(random_() % 4);
        break;
      case NPU_OP_BZ:
        if (regs_[insn.r[0]] == 0) next = jump;
        break;
      case NPU_OP_BR:
        next = jump;
        break;
      case NPU_OP_LOOP:
        next = begin_loop(insn);
        break;
      case NPU_OP_END:
        next = end_loop(jump);
        break;
      case NPU_OP_WAIT:
        consume(insn.wait0);
        consume(insn.wait1);
        break;
      case NPU_OP_SIG:
        signal(insn.signal);
        break;
      case NPU_OP_FENCE:
      case NPU_OP_TSET:
        break;
      default:
        return std::string("the machine does not know ") + kInsnTable[insn.op].mnemonic;
    }
    regs_[0] = 0;
    pc_ = static_cast<uint32_t>(static_cast<int32_t>(pc_) + next);
    return "";
  }

  std::vector<npu_insn> insns_;
  Random random_;
  uint32_t pc_ = 0;
  bool halted_ = false;
  std::array<int64_t, 32> regs_{};
  std::array<uint32_t, 64> sems_{};
  std::vector<std::pair<int64_t, int64_t>> loops_;
  std::array<std::deque<Issued>, NPU_ENGINE_COUNT> queues_;
  std::array<Running, NPU_ENGINE_COUNT> running_;
  uint64_t issued_ = 0, ended_ = 0;
};

// Random blocks of operations, loops, conditions, fences and author's semaphores.
class RandomKernel {
 public:
  explicit RandomKernel(uint64_t seed)
      : random_(seed), k_("random"), choice_(k_.arg_u32("choice")) {}

  Program make() {
    {
      Tile hbm = k_.tile_hbm(DType::F32, 0, 4, 4), l1 = k_.tile_l1(DType::F32, 0, 4, 4);
      Tile acc = k_.tile_acc(0, 4, 4);
      hbm_ = &hbm, l1_ = &l1, acc_ = &acc;
      own_ = k_.sem();
      if (random_() % 4 == 0) operation(false);
      k_.chain(true);
      block(0);
      if (random_() % 4 == 0) {
        k_.chain(false);
        k_.fence();
        k_.chain(true);
        block(2);
      }
    }
    return k_.finish();
  }

 private:
  void operation(bool own_signal) {
    const auto mark = [&](Op& op) {
      if (own_signal) op.signal(own_);
    };
    switch (random_() % 4) {
      case 0: {
        Op op = k_.ld(*l1_, *hbm_);
        return mark(op);
      }
      case 1: {
        Op op = k_.st(*hbm_, *l1_);
        return mark(op);
      }
      case 2: {
        Op op = k_.mm(*acc_, *l1_, *l1_);
        return mark(op);
      }
      default: {
        Op op = k_.exp(*l1_, *l1_);
        return mark(op);
      }
    }
  }

  void block(int depth) {
    for (uint64_t n = random_() % 5; n > 0; --n) {
      const uint64_t what = random_() % 12;
      if (what == 0 && depth < 4) {
        k_.for_range(static_cast<int>(random_() % 4), [&](const Reg&) { block(depth + 1); });
      } else if (what == 1 && depth < 4) {
        k_.for_range(choice_, [&](const Reg&) { block(depth + 1); });
      } else if (what == 2 && depth < 4) {
        k_.if_(Reg(choice_), [&] { block(depth + 1); });
      } else if (what == 3 && depth < 4) {
        k_.if_(
            Reg(choice_), [&] { block(depth + 1); }, [&] { block(depth + 1); });
      } else if (what == 4 && depth < 4) {
        k_.while_([&] { return Reg(choice_); }, [&] { block(depth + 1); });
      } else if (what == 5) {
        k_.fence();
      } else {
        operation(what == 6);
      }
    }
  }

  Random random_;
  Kernel k_;
  Arg choice_;
  Sem own_;
  const Tile *hbm_ = nullptr, *l1_ = nullptr, *acc_ = nullptr;
};

TEST(Chain, RandomKernelsKeepTheirOrderUnderRandomSchedules) {
  std::printf("seeds 1 to 3000, 4 schedules each\n");
  uint64_t operations = 0;
  for (uint64_t seed = 1; seed <= 3000; ++seed) {
    const Program program = RandomKernel(seed).make();
    for (uint64_t schedule = 0; schedule < 4; ++schedule) {
      Machine machine(program, seed * 100 + schedule);
      const std::string error = machine.run(true);
      ASSERT_EQ(error, "") << "seed " << seed << " schedule " << schedule << "\n"
                           << disassemble(program);
      operations += machine.issued();
    }
  }
  EXPECT_GT(operations, 10000u) << "the random kernels do too little to prove anything";
}

TEST(Chain, WithoutItTheMachineSeesDisorder) {
  Kernel k("plain");
  Tile hbm = k.tile_hbm(DType::F32, 0, 4, 4), l1 = k.tile_l1(DType::F32, 0, 4, 4);
  for (int i = 0; i < 10; ++i) {
    k.ld(l1, hbm);
    k.exp(l1, l1);
  }
  EXPECT_NE(Machine(k.finish(), 1).run(true), "");
}

TEST(Chain, AStraightLineNeedsNoControlInstruction) {
  Kernel k("line");
  Tile hbm = k.tile_hbm(DType::F32, 0, 4, 4), l1 = k.tile_l1(DType::F32, 0, 4, 4);
  k.chain(true);
  k.ld(l1, hbm);
  k.exp(l1, l1);
  k.neg(l1, l1);
  k.st(hbm, l1);
  const Program program = k.finish();
  const auto ops = std::span(program.insns).last(5);
  EXPECT_EQ(ops[0].op, NPU_OP_LD);
  EXPECT_NE(ops[0].signal, 0u);
  EXPECT_EQ(NPU_WAIT_SEM(ops[1].wait0), NPU_SIGNAL_SEM(ops[0].signal));
  EXPECT_EQ(ops[1].signal, 0u);
  EXPECT_EQ(ops[2].wait0, 0u);
  EXPECT_EQ(NPU_WAIT_SEM(ops[3].wait0), NPU_SIGNAL_SEM(ops[2].signal));
  EXPECT_EQ(ops[4].op, NPU_OP_HALT);
}

TEST(Pipe, OverlapsAndNeverDeadlocks) {
  std::printf("1000 schedules each of N = 1, 2\n");
  const auto make = [](auto count) {
    Kernel k("pipe");
    Tile hbm = k.tile_hbm(DType::F32, 0, 4, 4), acc = k.tile_acc(0, 4, 4);
    Tile l1 = k.tile_l1(DType::F32, 0, 4, 4);
    Pipe<decltype(count)::value> p(k, 64);
    k.for_range(9, [&](const Reg&) {
      p.produce([&](const Reg&) {
        k.ld(l1, hbm);
        k.ld(l1, hbm);
      });
      p.consume([&](const Reg&) { k.mm(acc, l1, l1).acc(); });
    });
    return k.finish();
  };
  for (uint64_t schedule = 0; schedule < 1000; ++schedule) {
    EXPECT_EQ(Machine(make(std::integral_constant<uint32_t, 1>()), schedule).run(false), "");
    EXPECT_EQ(Machine(make(std::integral_constant<uint32_t, 2>()), schedule).run(false), "");
  }
}

}  // namespace
}  // namespace npu::isa
