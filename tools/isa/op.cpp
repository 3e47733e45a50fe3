// SPDX-License-Identifier: Apache-2.0
// Engine operations of the kernel builder: operands, what may stand where, and the methods of Kernel that begin one.
#include "tools/isa/op.h"

#include <string>

#include "tools/isa/builder.h"
#include "tools/isa/codec.h"

namespace npu::isa {
namespace {

constexpr uint32_t kHbm = 1u << NPU_SPACE_HBM;
constexpr uint32_t kL1 = 1u << NPU_SPACE_L1;
constexpr uint32_t kL2 = 1u << NPU_SPACE_L2;
constexpr uint32_t kAcc = 1u << NPU_SPACE_ACC;

// Spaces that an operand may lie in, by instruction: dst, a, b, c. See isa.def.
std::array<uint32_t, 4> spaces_of(uint8_t op) {
  switch (op) {
    case NPU_OP_LD:
      return {kL1, kHbm | kL2, 0, 0};
    case NPU_OP_LDC:
      return {kL1, kHbm, 0, 0};
    case NPU_OP_GATHER:
      return {kL1, kHbm, kL1, 0};
    case NPU_OP_ST:
      return {kHbm | kL2, kL1, 0, 0};
    case NPU_OP_STC:
      return {kHbm, kL1, 0, 0};
    case NPU_OP_SCATTER:
      return {kHbm, kL1, kL1, 0};
    case NPU_OP_MM:
    case NPU_OP_MMD:
      return {kAcc | kL1, kL1, kL1, 0};
    case NPU_OP_MMS:
      return {kAcc | kL1, kL1, kHbm, 0};
    case NPU_OP_ACCLD:
      return {kAcc, kL1, 0, 0};
    case NPU_OP_ACCST:
      return {kL1, kAcc | kL1, kL1, 0};
    default:
      return {kL1 | kAcc, kL1 | kAcc, kL1 | kAcc, kL1 | kAcc};
  }
}

bool is_copy(uint8_t op) {
  return op == NPU_OP_LD || op == NPU_OP_ST || op == NPU_OP_GATHER || op == NPU_OP_SCATTER;
}

}  // namespace

Op::Op(Kernel& kernel, const OpInit& init, const Loc& loc) : kernel_(kernel), loc_(loc) {
  insn_.op = static_cast<uint8_t>(init.op);
  insn_.flags = static_cast<uint16_t>(init.flags);
  insn_.imm = init.imm;
  for (int i = 0; i < 4; ++i) {
    if (init.tiles[i] != nullptr) set_tile(i, *init.tiles[i]);
  }
  for (const auto& [operand, value] : init.regs) set_reg(operand, value);
}

Op::~Op() {
  check();
  kernel_.emit_op(insn_, loc_);
}

void Op::set_tile(int operand, const Tile& tile) {
  if (tile.kernel() != &kernel_) kernel_.fail(loc_, "a Tile that was freed or moved from is used");
  uint8_t* const fields[] = {&insn_.dst, &insn_.a, &insn_.b, &insn_.c};
  *fields[operand] = tile.number();
  tiles_[operand] = &tile;
}

void Op::set_reg(int operand, const Val& value) {
  Reg temp;
  insn_.r[operand] = kernel_.use(value, temp);
  if (!temp.empty()) temps_.push_back(std::move(temp));
}

Op& Op::flag(uint32_t bits, bool on) {
  if ((bits & ~kInsnTable[insn_.op].flags) != 0)
    kernel_.fail(loc_, std::string("'") + kInsnTable[insn_.op].mnemonic + "' has no such flag");
  insn_.flags = static_cast<uint16_t>(on ? insn_.flags | bits : insn_.flags & ~bits);
  return *this;
}

Op& Op::wait(Sem sem, uint32_t n) {
  kernel_.add_wait(insn_, sem, n, false, loc_);
  return *this;
}

Op& Op::consume(Sem sem, uint32_t n) {
  kernel_.add_wait(insn_, sem, n, true, loc_);
  return *this;
}

Op& Op::signal(Sem sem, uint32_t n) {
  if (insn_.signal != 0) kernel_.fail(loc_, "an instruction gives one signal");
  if (n == 0 || n > 0xffff) kernel_.fail(loc_, "a signal adds 1 to 65535");
  insn_.signal = NPU_SIGNAL(sem.number, n);
  return *this;
}

Op& Op::signal_peer(Sem sem, uint32_t tile, uint32_t n) {
  signal(sem, n);
  if (tile >= NPU_GROUP_MAX_TILES) kernel_.fail(loc_, "a work-group has at most 16 tiles");
  insn_.signal = NPU_SIGNAL_TO(sem.number, n, tile);
  return *this;
}

Op& Op::scale(const F32& factor) {
  set_reg(0, factor.value());
  return flag(NPU_F_SCALE, true);
}

Op& Op::bias(const Tile& row) {
  set_tile(2, row);
  return flag(NPU_F_BIAS, true);
}

Op& Op::act(Act activation) {
  flag(NPU_F_ACT_MASK, false);
  return flag(static_cast<uint32_t>(activation) << NPU_F_ACT_SHIFT, true);
}

Op& Op::window(const Val& columns) {
  set_reg(2, columns);
  return flag(NPU_F_WINDOW, true);
}

Op& Op::length(const Val& columns) {
  set_reg(3, columns);
  return flag(NPU_F_LENGTH, true);
}

Op& Op::rounding_flag(uint32_t bits, bool on) {
  if (insn_.op != NPU_OP_CVT && insn_.op != NPU_OP_STC)
    kernel_.fail(loc_, std::string("'") + kInsnTable[insn_.op].mnemonic + "' has no such flag");
  return flag(bits, on);
}

Op& Op::random(const Val& seed, const Val& first, const Val& pitch) {
  set_reg(0, seed);
  set_reg(1, first);
  set_reg(2, pitch);
  return rounding_flag(NPU_F_RANDOM, true);
}

Op& Op::scale_rule(ScaleRule rule) {
  rounding_flag(NPU_F_SCALE_RULE_MASK, false);
  return rounding_flag(static_cast<uint32_t>(rule) << NPU_F_SCALE_RULE_SHIFT, true);
}

void Op::check() const {
  static constexpr const char* kOperands[] = {"destination", "operand a", "operand b", "operand c"};
  const std::string name = kInsnTable[insn_.op].mnemonic;
  const auto spaces = spaces_of(insn_.op);
  for (int i = 0; i < 4; ++i) {
    if (tiles_[i] == nullptr) continue;
    if ((spaces[i] >> static_cast<unsigned>(tiles_[i]->space()) & 1u) == 0)
      kernel_.fail(loc_, name + ": " + kOperands[i] + " lies in the wrong memory");
    if (kInsnTable[insn_.op].engine == NPU_ENGINE_VE && tiles_[i]->layout() != Layout::Row)
      kernel_.fail(loc_, name + ": " + kOperands[i] + " must be ROW");
  }
  if (is_copy(insn_.op) && tiles_[0]->dtype() != tiles_[1]->dtype())
    kernel_.fail(loc_, name + ": destination and source have different types");
  if (is_copy(insn_.op) && in_blocks(tiles_[1]->dtype()))
    kernel_.fail(loc_, name + ": types in blocks are loaded by ldc() and stored by stc()");
  if (insn_.op == NPU_OP_LDC && !is_floating(tiles_[0]->dtype()))
    kernel_.fail(loc_, name + ": the destination has a floating type");
  if ((insn_.op == NPU_OP_GATHER || insn_.op == NPU_OP_SCATTER) && tiles_[2]->dtype() != DType::I32)
    kernel_.fail(loc_, name + ": the index must be i32");
  if (insn_.op == NPU_OP_MMS) {
    if (tiles_[0]->dtype() != DType::F32 || tiles_[1]->dtype() != DType::F32)
      kernel_.fail(loc_, name + ": destination and a are fp32");
    if (tiles_[2]->dtype() == DType::I32 || tiles_[2]->layout() == Layout::Panel)
      kernel_.fail(loc_, name + ": b is of a floating type, i8 or in blocks, ROW");
    const bool small = tiles_[2]->dtype() == DType::Q8_0 || tiles_[2]->dtype() == DType::Q4_0;
    if ((insn_.flags & NPU_F_INTEGER) != 0 && !small)
      kernel_.fail(loc_, name + ": integer() is for Q8_0 and Q4_0");
    if ((insn_.flags & NPU_F_TILED) != 0 && (insn_.flags & NPU_F_INTEGER) == 0)
      kernel_.fail(loc_, name + ": tiled() is for integer()");
  }
  if (insn_.op == NPU_OP_CVT || insn_.op == NPU_OP_STC) check_rounding(name);
  if (insn_.op == NPU_OP_MM || insn_.op == NPU_OP_MMD) {
    const DType a = tiles_[1]->dtype(), b = tiles_[2]->dtype();
    if (a == DType::I32 || (a != b && !(is_fp8(a) && is_fp8(b))))
      kernel_.fail(loc_, name + ": a and b must have one floating type, be of FP8, or be i8");
    if (tiles_[0]->dtype() != (a == DType::I8 ? DType::I32 : DType::F32))
      kernel_.fail(loc_, name + ": the destination is fp32, of i8 it is i32");
    if (tiles_[2]->layout() == Layout::Panel &&
        (insn_.op == NPU_OP_MMD || (insn_.flags & NPU_F_TB) != 0))
      kernel_.fail(loc_, name + ": a transposed b must be ROW");
  }
}

void Op::check_rounding(const std::string& name) const {
  const DType d = tiles_[0]->dtype(), a = tiles_[1]->dtype();
  if (insn_.op == NPU_OP_STC && (!is_floating(a) || d == DType::Q4_K || d == DType::Q6_K))
    kernel_.fail(loc_, name + ": from a floating type, and not into Q4_K, Q6_K");
  if ((insn_.flags & NPU_F_OVERFLOW) != 0 && !is_fp8(d))
    kernel_.fail(loc_, name + ": overflow() is for FP8");
  const bool mx = d >= DType::MXFP8_E4M3;
  const bool narrow = mx || is_fp8(d) || d == DType::BF16 || d == DType::F16;
  if ((insn_.flags & NPU_F_RANDOM) != 0 && !(narrow && is_floating(a)))
    kernel_.fail(loc_, name + ": random() is for bf16, fp16, FP8 and MX, from a floating type");
  if ((insn_.flags & NPU_F_SCALE_RULE_MASK) != 0 && !(mx && d < DType::MX9))
    kernel_.fail(loc_, name + ": scale_rule() is for the OCP MX types");
}

// --- Kernel: how operations begin ---------------------------------------------------------------------------------------

Op Kernel::ld(const Tile& d, const Tile& a, Loc loc) {
  return Op(*this, {.op = NPU_OP_LD, .tiles = {&d, &a}, .regs = {}}, loc);
}
Op Kernel::ldc(const Tile& d, const Tile& a, Loc loc) {
  return Op(*this, {.op = NPU_OP_LDC, .tiles = {&d, &a}, .regs = {}}, loc);
}
Op Kernel::gather(const Tile& d, const Tile& a, const Tile& index, Loc loc) {
  return Op(*this, {.op = NPU_OP_GATHER, .tiles = {&d, &a, &index}, .regs = {}}, loc);
}
Op Kernel::st(const Tile& d, const Tile& a, Loc loc) {
  return Op(*this, {.op = NPU_OP_ST, .tiles = {&d, &a}, .regs = {}}, loc);
}
Op Kernel::stc(const Tile& d, const Tile& a, Loc loc) {
  return Op(*this, {.op = NPU_OP_STC, .tiles = {&d, &a}, .regs = {}}, loc);
}
Op Kernel::scatter(const Tile& d, const Tile& a, const Tile& index, Loc loc) {
  return Op(*this, {.op = NPU_OP_SCATTER, .tiles = {&d, &a, &index}, .regs = {}}, loc);
}
Op Kernel::mm(const Tile& d, const Tile& a, const Tile& b, Loc loc) {
  return Op(*this, {.op = NPU_OP_MM, .tiles = {&d, &a, &b}, .regs = {}}, loc);
}
Op Kernel::mmd(const Tile& d, const Tile& a, const Tile& b, Loc loc) {
  return Op(*this, {.op = NPU_OP_MMD, .tiles = {&d, &a, &b}, .regs = {}}, loc);
}
Op Kernel::mms(const Tile& d, const Tile& a, const Tile& b, Loc loc) {
  return Op(*this, {.op = NPU_OP_MMS, .tiles = {&d, &a, &b}, .regs = {}}, loc);
}
Op Kernel::accld(const Tile& d, const Tile& a, Loc loc) {
  return Op(*this, {.op = NPU_OP_ACCLD, .tiles = {&d, &a}, .regs = {}}, loc);
}
Op Kernel::accst(const Tile& d, const Tile& a, Loc loc) {
  return Op(*this, {.op = NPU_OP_ACCST, .tiles = {&d, &a}, .regs = {}}, loc);
}

Op Kernel::vector_op(npu_op op, const Tile& d, const Tile& a, const BOperand& b, const Loc& loc) {
  OpInit init{.op = op, .tiles = {&d, &a, b.tile()}, .regs = {}};
  init.flags = static_cast<uint32_t>(b.bcast()) << NPU_F_BCAST_B_SHIFT;
  if (b.bcast() == NPU_BCAST_SCALAR) init.regs.emplace_back(0, b.scalar());
  return Op(*this, init, loc);
}

Op Kernel::vfma(const Tile& d, const Tile& a, const BOperand& b, const BOperand& c, Loc loc) {
  OpInit init{.op = NPU_OP_VFMA, .tiles = {&d, &a, b.tile(), c.tile()}, .regs = {}};
  init.flags = static_cast<uint32_t>(b.bcast()) << NPU_F_BCAST_B_SHIFT |
               static_cast<uint32_t>(c.bcast()) << NPU_F_BCAST_C_SHIFT;
  if (b.bcast() == NPU_BCAST_SCALAR) init.regs.emplace_back(0, b.scalar());
  if (c.bcast() == NPU_BCAST_SCALAR) init.regs.emplace_back(1, c.scalar());
  return Op(*this, init, loc);
}

Op Kernel::vfill(const Tile& d, float value, Loc loc) {
  return Op(*this, {.op = NPU_OP_VFILL, .tiles = {&d}, .regs = {}, .imm = F32::bits(value)}, loc);
}

Op Kernel::iota(const Tile& d, const Val& start, const Val& row_step, const Val& col_step,
                Loc loc) {
  return Op(*this,
            {.op = NPU_OP_IOTA, .tiles = {&d}, .regs = {{0, start}, {1, row_step}, {2, col_step}}},
            loc);
}

Op Kernel::mask(const Tile& d, const Tile& a, const Val& row0, const Val& col0, float fill,
                Loc loc) {
  return Op(*this,
            {.op = NPU_OP_MASK,
             .tiles = {&d, &a},
             .regs = {{0, row0}, {1, col0}},
             .imm = F32::bits(fill)},
            loc);
}

Op Kernel::smstep(const Tile& d, const Tile& a, const Tile& state, const Tile& factor, Loc loc) {
  return Op(*this, {.op = NPU_OP_SMSTEP, .tiles = {&d, &a, &state, &factor}, .regs = {}}, loc);
}

Op Kernel::rope(const Tile& d, const Tile& a, const Tile& cos, const Tile& sin, Loc loc) {
  return Op(*this, {.op = NPU_OP_ROPE, .tiles = {&d, &a, &cos, &sin}, .regs = {}}, loc);
}

}  // namespace npu::isa
