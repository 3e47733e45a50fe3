// SPDX-License-Identifier: Apache-2.0
// Kernel: emission, resources, control flow, and the last step that makes a Program of the emitted instructions.
#include "tools/isa/builder.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tools/isa/codec.h"

namespace npu::isa {
namespace {

// Source names as seen from the root of the sources, whichever way the compiler was called: this file knows its own place.
std::string relative_name(std::string_view file) {
  static constexpr std::string_view kSelf = "tools/isa/builder.cpp";
  constexpr std::string_view here = __FILE__;
  if (!here.ends_with(kSelf)) return std::string(file);
  const std::string_view root = here.substr(0, here.size() - kSelf.size());
  if (file.starts_with(root)) file.remove_prefix(root.size());
  return std::string(file);
}

template <size_t N>
bool copy_name(char (&field)[N], std::string_view name) {
  if (name.empty() || name.size() >= N) return false;
  std::memcpy(field, name.data(), name.size());
  return is_valid_name(field, N);
}

}  // namespace

// --- Loop -------------------------------------------------------------------------------------------------------

Loop::Loop(Kernel& kernel, const Val& count, const Loc& loc) : kernel_(kernel), loc_(loc) {
  if (kernel.loop_depth_++ == NPU_LOOP_DEPTH) kernel.fail(loc, "loops are more than 8 deep");
  Reg temp;
  const uint8_t count_reg = kernel.use(count, temp);
  index_ = kernel.new_reg(loc);
  chained_ = kernel.chain_.enabled();
  if (chained_) kernel.chain_.loop_begin(loc);
  loop_label_ = kernel.new_label();
  end_label_ = kernel.new_label();
  kernel.bind(loop_label_);
  npu_insn insn{};
  insn.op = NPU_OP_LOOP;
  insn.r[0] = index_.number();
  insn.r[1] = count_reg;
  kernel.emit(insn, loc, end_label_);
  kernel.enter_block();
}

Loop::~Loop() {
  if (chained_ != kernel_.chain_.enabled())
    kernel_.fail(loc_, "chain() differs between the start and the end of this loop");
  if (chained_) kernel_.chain_.loop_back_edge(loc_);
  kernel_.leave_block();
  kernel_.bind(end_label_);
  npu_insn insn{};
  insn.op = NPU_OP_END;
  kernel_.emit(insn, loc_, loop_label_);
  kernel_.last_bound_ = static_cast<uint32_t>(kernel_.slots_.size());  // reached from LOOP too
  --kernel_.loop_depth_;
  if (chained_) kernel_.chain_.loop_end(loc_);
}

// --- Arguments and resources --------------------------------------------------------------------------------------

Kernel::Kernel(std::string_view name) : name_(name) {
  if (!copy_name(program_.note.name, name))
    fail(Loc::current(), "a kernel's name has 1 to 63 characters of [A-Za-z0-9_.-]");
  program_.note.group_tiles = 1;
}

Kernel::~Kernel() = default;

Arg Kernel::add_arg(std::string_view name, npu_arg_kind kind, const Loc& loc) {
  npu_note_arg arg{};
  if (!copy_name(arg.name, name))
    fail(loc, "an argument's name has 1 to 31 characters of [A-Za-z0-9_.-]");
  arg.kind = kind;
  arg.size = static_cast<uint8_t>(arg_size(arg.kind));
  arg.offset = (args_end_bytes_ + arg.size - 1u) / arg.size * arg.size;
  args_end_bytes_ = arg.offset + arg.size;
  program_.args.push_back(arg);
  if (program_.args.size() > NPU_KERNEL_MAX_ARGS) fail(loc, "more than 64 arguments");
  return Arg(this, arg.offset, arg.kind);
}

Arg Kernel::arg_dva(std::string_view name, Loc loc) { return add_arg(name, NPU_ARG_DVA, loc); }
Arg Kernel::arg_u64(std::string_view name, Loc loc) { return add_arg(name, NPU_ARG_U64, loc); }
Arg Kernel::arg_u32(std::string_view name, Loc loc) { return add_arg(name, NPU_ARG_U32, loc); }
Arg Kernel::arg_i32(std::string_view name, Loc loc) { return add_arg(name, NPU_ARG_I32, loc); }
Arg Kernel::arg_f32(std::string_view name, Loc loc) { return add_arg(name, NPU_ARG_F32, loc); }

Buf Kernel::take(uint32_t& used_bytes, uint32_t bytes, uint32_t align_bytes, const Loc& loc) {
  if (!std::has_single_bit(align_bytes)) fail(loc, "an alignment must be a power of two");
  const uint64_t offset = (uint64_t{used_bytes} + align_bytes - 1) & ~(uint64_t{align_bytes} - 1);
  if (offset + bytes > INT32_MAX) fail(loc, "a scratchpad of more than 2 GiB");
  used_bytes = static_cast<uint32_t>(offset + bytes);
  return {static_cast<uint32_t>(offset), bytes};
}

Buf Kernel::l1(uint32_t bytes, uint32_t align_bytes, Loc loc) {
  return take(program_.note.l1_bytes, bytes, align_bytes, loc);
}
Buf Kernel::l2(uint32_t bytes, uint32_t align_bytes, Loc loc) {
  return take(program_.note.l2_bytes, bytes, align_bytes, loc);
}
Buf Kernel::acc(uint32_t bytes, uint32_t align_bytes, Loc loc) {
  return take(program_.note.acc_bytes, bytes, align_bytes, loc);
}

Sem Kernel::sem(uint32_t initial, Loc loc) {
  if (sems_used_ == NPU_TILE_SEMS) fail(loc, "all 64 semaphores are in use");
  if (initial > 0xffff) fail(loc, "a semaphore counts to 65535");
  const Sem sem{static_cast<uint8_t>(sems_used_++)};
  if (initial != 0) {
    Reg temp;
    npu_insn insn{};
    insn.op = NPU_OP_SEMSET;
    insn.r[0] = use(Val(initial, loc), temp);
    insn.imm = sem.number;
    emit(insn, loc);
  }
  return sem;
}

void Kernel::group(uint32_t tiles) { program_.note.group_tiles = tiles; }

// --- Emission -------------------------------------------------------------------------------------------------------

void Kernel::fail(const Loc& loc, std::string_view text) const {
  std::fflush(stdout);
  std::fprintf(stderr, "%s:%u: kernel '%s': %.*s\n", loc.file_name(),
               static_cast<unsigned>(loc.line()), name_.c_str(), static_cast<int>(text.size()),
               text.data());
  std::abort();
}

uint32_t Kernel::emit(npu_insn insn, const Loc& loc, uint32_t label) {
  if (finished_) fail(loc, "the kernel is finished");
  slots_.push_back({insn, loc, label, false});
  return static_cast<uint32_t>(slots_.size() - 1);
}

uint32_t Kernel::reserve(const Loc& loc) {
  const uint32_t index = emit({}, loc);
  slots_[index].dead = true;
  return index;
}

void Kernel::activate(uint32_t index, const npu_insn& insn) {
  slots_[index].insn = insn;
  slots_[index].dead = false;
}

uint32_t Kernel::new_label() {
  labels_.push_back(UINT32_MAX);
  return static_cast<uint32_t>(labels_.size() - 1);
}

void Kernel::bind(uint32_t label) {
  labels_[label] = static_cast<uint32_t>(slots_.size());
  last_bound_ = labels_[label];
}

uint32_t Kernel::emit_op(npu_insn insn, const Loc& loc) {
  const uint8_t engine = kInsnTable[insn.op].engine;
  chain_.before_op(insn, loc);
  const uint32_t index = emit(insn, loc);
  issued_.push_back({index, block()});
  chain_.after_op(index, engine);
  return index;
}

void Kernel::add_wait(npu_insn& insn, Sem sem, uint32_t n, bool consume, const Loc& loc) const {
  if (n == 0 || n > 0xffff) fail(loc, "a wait needs a threshold of 1 to 65535");
  const uint32_t word = NPU_WAIT(sem.number, n, consume);
  if (insn.wait0 == 0) {
    insn.wait0 = word;
  } else if (insn.wait1 == 0) {
    insn.wait1 = word;
  } else {
    fail(loc, "an instruction waits for at most two semaphores; use k.wait() or k.consume()");
  }
}

// --- Control flow ---------------------------------------------------------------------------------------------------

void Kernel::branch(npu_op op, uint8_t reg, uint32_t label, const Loc& loc) {
  npu_insn insn{};
  insn.op = static_cast<uint8_t>(op);
  insn.r[0] = reg;
  emit(insn, loc, label);
}

void Kernel::if_(const Val& condition, const std::function<void()>& then,
                 const std::function<void()>& otherwise, Loc loc) {
  const uint32_t else_label = new_label();
  {
    Reg temp;
    branch(NPU_OP_BZ, use(condition, temp), else_label, loc);
  }
  branches(else_label, then, otherwise, loc);
}

void Kernel::if_once(Reg&& condition, const std::function<void()>& then,
                     const std::function<void()>& otherwise, const Loc& loc) {
  const uint32_t else_label = new_label();
  branch(NPU_OP_BZ, condition.number(), else_label, loc);
  condition.free();
  branches(else_label, then, otherwise, loc);
}

void Kernel::branches(uint32_t else_label, const std::function<void()>& then,
                      const std::function<void()>& otherwise, const Loc& loc) {
  const bool chained = chain_.enabled();
  if (chained) chain_.branch_begin(false);
  enter_block();
  then();
  leave_block();
  if (otherwise) {
    const uint32_t end_label = new_label();
    branch(NPU_OP_BR, 0, end_label, loc);
    bind(else_label);
    if (chained) chain_.branch_else();
    enter_block();
    otherwise();
    leave_block();
    bind(end_label);
  } else {
    bind(else_label);
  }
  if (chained != chain_.enabled())
    fail(loc, "chain() differs between the start and the end of this condition");
  if (chained) chain_.branch_end();
}

void Kernel::while_(const std::function<Reg()>& condition, const std::function<void()>& body,
                    Loc loc) {
  const uint32_t top = new_label();
  const uint32_t end = new_label();
  const bool chained = chain_.enabled();
  bind(top);
  if (chained) chain_.branch_begin(true);
  enter_block();
  {
    Reg go_on = condition();
    branch(NPU_OP_BZ, go_on.number(), end, loc);
  }
  body();
  branch(NPU_OP_BR, 0, top, loc);
  leave_block();
  bind(end);
  if (chained != chain_.enabled())
    fail(loc, "chain() differs between the start and the end of this loop");
  if (chained) chain_.branch_end();
}

void Kernel::halt(Loc loc) {
  npu_insn insn{};
  insn.op = NPU_OP_HALT;
  emit(insn, loc);
}

void Kernel::trap(uint32_t code, Loc loc) {
  npu_insn insn{};
  insn.op = NPU_OP_TRAP;
  insn.imm = code;
  emit(insn, loc);
}

void Kernel::assert_that(const Val& condition, uint32_t code, Loc loc) {
  Reg temp;
  npu_insn insn{};
  insn.op = NPU_OP_ASSERT;
  insn.r[0] = use(condition, temp);
  insn.imm = code;
  emit(insn, loc);
}

void Kernel::emit_format(npu_op op, std::string_view format, std::span<const Val> operands,
                         const Loc& loc) {
  npu_insn insn{};
  insn.op = static_cast<uint8_t>(op);
  const size_t taken = operands.size() - (op == NPU_OP_CHECK ? 1 : 0);
  const auto args = format_args(std::string(format));
  if (!args) fail(loc, "this is no format (uapi/npu_format.h)");
  if (*args != taken || operands.size() > std::size(insn.r))
    fail(loc, "the format takes " + std::to_string(*args) + " arguments, not " +
                  std::to_string(taken) + "; print() has up to 4, check() 3");
  Reg temps[std::size(insn.r)];
  for (size_t i = 0; i < operands.size(); ++i) insn.r[i] = use(operands[i], temps[i]);
  insn.imm = program_.format_number(format);
  emit(insn, loc);
}

void Kernel::print(std::string_view format, std::initializer_list<Val> args, Loc loc) {
  emit_format(NPU_OP_PRINT, format, {args.begin(), args.size()}, loc);
}

void Kernel::check(const Val& condition, std::string_view format, std::initializer_list<Val> args,
                   Loc loc) {
  std::vector<Val> operands{condition};
  operands.insert(operands.end(), args.begin(), args.end());
  emit_format(NPU_OP_CHECK, format, operands, loc);
}

void Kernel::sync(npu_op op, uint32_t wait, uint32_t signal, const Loc& loc) {
  npu_insn insn{};
  insn.op = static_cast<uint8_t>(op);
  insn.wait0 = wait;
  insn.signal = signal;
  emit(insn, loc);
}

void Kernel::fence(Loc loc) {
  sync(NPU_OP_FENCE, 0, 0, loc);
  chain_.fenced();
}

void Kernel::barrier(Loc loc) {
  sync(NPU_OP_BARRIER, 0, 0, loc);
  chain_.fenced();
}

void Kernel::wait(Sem sem, uint32_t n, Loc loc) {
  sync(NPU_OP_WAIT, NPU_WAIT(sem.number, n, false), 0, loc);
}

void Kernel::consume(Sem sem, uint32_t n, Loc loc) {
  sync(NPU_OP_WAIT, NPU_WAIT(sem.number, n, true), 0, loc);
}

void Kernel::signal(Sem sem, uint32_t n, Loc loc) {
  sync(NPU_OP_SIG, 0, NPU_SIGNAL(sem.number, n), loc);
}

void Kernel::signal_peer(Sem sem, uint32_t tile, uint32_t n, Loc loc) {
  sync(NPU_OP_SIG, 0, NPU_SIGNAL_TO(sem.number, n, tile), loc);
}

// --- The end ----------------------------------------------------------------------------------------------------------

uint32_t Kernel::line_id(const Loc& loc) {
  const SourceLine line{relative_name(loc.file_name()), static_cast<uint32_t>(loc.line())};
  auto& lines = program_.lines;
  const auto found = std::find(lines.begin(), lines.end(), line);
  if (found != lines.end()) return static_cast<uint32_t>(found - lines.begin()) + 1;
  lines.push_back(line);
  return static_cast<uint32_t>(lines.size());
}

void Kernel::place_labels(const std::vector<uint32_t>& new_index) {
  for (uint32_t i = 0; i < slots_.size(); ++i) {
    const Slot& slot = slots_[i];
    if (slot.dead || slot.label == kNoLabel) continue;
    const int64_t target = new_index[labels_[slot.label]];
    program_.insns[new_index[i]].imm =
        static_cast<uint32_t>(static_cast<int32_t>(target - int64_t{new_index[i]}));
  }
}

Program Kernel::finish(Loc loc) {
  const bool needs_end =
      slots_.empty() || last_bound_ == slots_.size() || slots_.back().dead ||
      (slots_.back().insn.op != NPU_OP_HALT && slots_.back().insn.op != NPU_OP_BR &&
       slots_.back().insn.op != NPU_OP_TRAP);
  if (needs_end) halt(loc);
  finished_ = true;
  std::vector<uint32_t> new_index;  // of each slot: the place of the first live one from there on
  std::vector<Loc> locs;
  for (const Slot& slot : slots_) {
    new_index.push_back(static_cast<uint32_t>(program_.insns.size()));
    if (slot.dead) continue;
    program_.insns.push_back(slot.insn);
    program_.insns.back().line = line_id(slot.loc);
    locs.push_back(slot.loc);
  }
  place_labels(new_index);
  npu_note_kernel& note = program_.note;
  note.insn_count = static_cast<uint32_t>(program_.insns.size());
  note.nargs = static_cast<uint32_t>(program_.args.size());
  note.args_bytes = (args_end_bytes_ + 7) / 8 * 8;
  if (auto error = verify_program(program_)) {
    fail(error->pc < locs.size() ? locs[error->pc] : loc,
         "instruction " + std::to_string(error->pc) + ": " + error->text);
  }
  return std::move(program_);
}

}  // namespace npu::isa
