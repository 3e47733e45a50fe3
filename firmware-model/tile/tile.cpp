// SPDX-License-Identifier: Apache-2.0
// A work-group from start to end: launch checks, the round robin over its tiles, deadlock,
// duration.
#include "firmware-model/tile/tile.h"

#include <algorithm>
#include <bit>

#include "firmware-model/tile/checker.h"
#include "firmware-model/tile/engine.h"
#include "firmware-model/tile/group.h"
#include "firmware-model/tile/handlers.h"
#include "firmware-model/tile/report.h"

namespace npu::model {
namespace {

// Control instructions that a tile runs before the next tile has its turn even though it is not
// blocked: a tile that polls memory cannot starve the others.
constexpr uint32_t kTurnInstructions = 4096;
constexpr uint32_t kMaxFifo = 1024;

constexpr uint32_t kFewRegs = 8;

// |regs|: so many registers are used.
void start_tile(Tile& tile, uint16_t index, uint32_t fifo, uint32_t regs) {
  for (uint64_t used = tile.sems_used; used != 0; used &= used - 1) {
    tile.sems[std::countr_zero(used)].reset();
  }
  tile.sems_used = 0;
  // Engines are as they were as long as nothing was issued.
  if (tile.issued != 0 || tile.fifo != fifo) reset_engines(tile, fifo);
  // Of known sizes: a call costs more than a few stores.
  if (regs <= kFewRegs) {
    std::fill_n(std::begin(tile.regs), kFewRegs, 0);
  } else {
    std::fill(std::begin(tile.regs), std::end(tile.regs), 0);
  }
  for (uint64_t used = tile.descs_used; used != 0; used &= used - 1) {
    tile.desc[std::countr_zero(used)] = npu_tdesc{};
  }
  tile.descs_used = 0;
  tile.narrow.clear();
  tile.loop_depth = 0;
  tile.pc = 0;
  tile.time_ps = 0;
  tile.index = index;
  tile.barrier = BarrierState::kNone;
  tile.halted = false;
}

// Instructions between two looks at whether the launch was canceled.
constexpr uint32_t kCancelInterval = 16;
static_assert(kTurnInstructions % kCancelInterval == 0);

// What a turn has executed, counted in registers and put to the group's counts at its end, and before somebody looks.
class TurnCount {
 public:
  TurnCount(Group& group, uint64_t budget)
      : group_(group), left_(budget - std::min(budget, group.result->stats.instructions)) {}
  ~TurnCount() { put(); }
  TurnCount(const TurnCount&) = delete;
  TurnCount& operator=(const TurnCount&) = delete;

  bool at_limit() const { return done_ == left_; }
  void add() { ++done_; }
  void put() {
    group_.result->stats.instructions += done_;
    group_.progress += done_;
    left_ -= done_;
    done_ = 0;
  }

 private:
  Group& group_;
  uint64_t left_;
  uint64_t done_ = 0;
};

// Runs |tile| until it blocks, halts or has had its turn. False: a fault was recorded.
template <bool kWatched>
bool run_turn(Group& group, Tile& tile, uint64_t budget) {
  const uint64_t cycle_ps = group.timing.cycle_ps();
  const npu_insn* const code = group.code;
  const uint32_t code_size = group.code_size;
  TurnCount count(group, budget);
  for (uint32_t left = kTurnInstructions; left != 0; --left) {
    uint32_t pc = tile.pc;
    if (pc >= code_size) {
      tile.pc = code_size - 1;
      return group.fail(tile, code[tile.pc], NPU_ST_KERNEL_BOUNDS, pc);
    }
    const npu_insn& insn = code[pc];
    if ((kWatched || left % kCancelInterval == 0) && group.canceled())
      return group.fail(tile, insn, NPU_ST_CANCELED);
    if constexpr (kWatched) {
      count.put();
      if (!group.launch->watcher->before(group, tile, pc))
        return group.fail(tile, insn, NPU_ST_CANCELED);
    }
    if (count.at_limit()) return group.fail(tile, insn, NPU_ST_WATCHDOG);
    tile.pc = pc + 1;
    Step step = kControlHandlers[insn.op](group, tile, insn);
    if (step == Step::kBlocked) {
      tile.pc = pc;
      return true;
    }
    if (step == Step::kFault) return false;
    count.add();
    tile.time_ps = add_capped(tile.time_ps, cycle_ps);
    if (step == Step::kHalted) return true;
  }
  return true;
}

// Gives every tile its turn until all have halted. False: a fault was recorded.
template <bool kWatched>
bool run_tiles(Group& group) {
  uint64_t budget = group.launch->op_budget != 0 ? group.launch->op_budget : UINT64_MAX;
  for (;;) {
    uint64_t progress_before = group.progress;
    Tile* lowest_running = nullptr;
    Tile* tile = group.tiles.data();
    for (uint32_t left = group.tile_count; left != 0; --left, ++tile) {
      if (tile->halted) continue;
      if (!run_turn<kWatched>(group, *tile, budget)) return false;
      if (!tile->halted && lowest_running == nullptr) lowest_running = tile;
    }
    if (lowest_running == nullptr) return true;
    if (group.progress == progress_before) {
      group.result->report = std::make_unique<std::string>(deadlock_text(group, *lowest_running));
      return group.fail(*lowest_running, oldest_blocked(group, *lowest_running),
                        NPU_ST_KERNEL_DEADLOCK);
    }
  }
}

// Apart, so that what it needs is not set up for those that nobody watches.
[[gnu::noinline]] void run_watched(Group& group) { run_tiles<true>(group); }

uint64_t end_ps(const Group& group) {
  uint64_t latest_ps = 0;
  for (uint32_t i = 0; i < group.tile_count; ++i) {
    const Tile& tile = group.tiles[i];
    latest_ps = std::max(latest_ps, tile.time_ps);
    if (tile.issued == 0) continue;
    for (const Engine& engine : tile.engines) {
      latest_ps = std::max(latest_ps, engine.free_ps);
    }
  }
  return latest_ps;
}

}  // namespace

struct Worker::Impl {
  explicit Impl(const TileParams& sizes) : params(sizes) {}

  // NPU_ST_OK, or why the launch cannot run here.
  npu_status check(const Launch& launch, uint64_t linear) const;
  static bool fits_grid(const Launch& launch, uint64_t linear);
  bool reserve_memory(const Program& program);
  void change_owner(uint64_t owner);
  // NPU_ST_OK: all that does not depend on the number of the work-group is as the launch needs it.
  npu_status make_ready(const Launch& launch, uint64_t linear);
  [[gnu::noinline]] npu_status make_ready_anew(const Launch& launch, uint64_t linear);
  void set_up(const Launch& launch);
  void place(const Launch& launch, uint64_t linear);
  void start(const Launch& launch);
  void start_checks(bool wanted);

  TileParams params;
  uint64_t owner = 0;
  // What reserve_memory() has made ready since the last change of owner.
  struct Reserved {
    uint32_t tiles = 0;
    uint32_t l1_bytes = 0;
    uint32_t l2_bytes = 0;
    uint32_t acc_bytes = 0;
    bool operator==(const Reserved&) const = default;
  } reserved;
  uint64_t ready_id = 0;  // Launch::setup_id of what make_ready() was last called for
  uint64_t ready_linear = 0;
  Group group;
  std::unique_ptr<Checker> checker;  // made for the first run that is checked
};

// Arguments and number of a work-group.
bool Worker::Impl::fits_grid(const Launch& launch, uint64_t linear) {
  uint64_t groups = 1;
  for (uint32_t extent : launch.grid) groups = mul_capped(groups, extent);
  return launch.args.size() == launch.program->args_bytes && linear < groups;
}

npu_status Worker::Impl::check(const Launch& launch, uint64_t linear) const {
  const Program* program = launch.program;
  if (program == nullptr || launch.space == nullptr || launch.numerics == nullptr ||
      launch.params == nullptr) {
    return NPU_ST_INTERNAL;
  }
  uint32_t fifo = launch.params->engine_fifo;
  if (fifo == 0 || fifo > kMaxFifo) return NPU_ST_INTERNAL;
  bool fits = !program->code.empty() && program->code.size() <= NPU_KERNEL_MAX_INSNS &&
              program->group_tiles >= 1 && program->group_tiles <= NPU_GROUP_MAX_TILES &&
              program->l1_bytes <= params.l1_bytes && program->l2_bytes <= params.l2_bytes &&
              program->acc_bytes <= params.acc_bytes && fits_grid(launch, linear);
  return fits ? NPU_ST_OK : NPU_ST_BAD_LAUNCH;
}

bool Worker::Impl::reserve_memory(const Program& program) {
  const Reserved wanted{program.group_tiles, program.l1_bytes, program.l2_bytes, program.acc_bytes};
  if (wanted == reserved) return true;
  // Scratchpads of zero size keep one page: pointers into them stay valid.
  auto sized = [](uint64_t bytes) { return static_cast<size_t>(bytes + NPU_CTRL_BYTES); };
  if (group.tiles.size() < program.group_tiles)
    group.tiles = std::vector<Tile>(program.group_tiles);
  for (uint32_t i = 0; i < program.group_tiles; ++i) {
    Tile& tile = group.tiles[i];
    if (!tile.l1.reserve(sized(params.l1_bytes)) || !tile.acc.reserve(sized(params.acc_bytes))) {
      return false;
    }
    tile.l1.mark_dirty(program.l1_bytes);
    tile.acc.mark_dirty(program.acc_bytes);
  }
  if (!group.l2.reserve(sized(params.l2_bytes))) return false;
  group.l2.mark_dirty(program.l2_bytes);
  // Widening makes an operand four times as large; one column of bytes packed to a panel of 16 columns is the worst case.
  constexpr uint64_t kWorstGrowth = 4 * NPU_PANEL_COLS;
  uint64_t largest = std::max(params.l1_bytes, params.acc_bytes);
  for (Scratchpad& staging : group.staging) {
    if (!staging.reserve(sized(largest * kWorstGrowth))) return false;
  }
  reserved = wanted;
  return true;
}

void Worker::Impl::change_owner(uint64_t next) {
  if (next == owner) return;
  for (Tile& tile : group.tiles) {
    tile.l1.clear();
    tile.acc.clear();
  }
  group.l2.clear();
  reserved = {};
  owner = next;
}

npu_status Worker::Impl::make_ready(const Launch& launch, uint64_t linear) {
  if (launch.setup_id != 0 && launch.setup_id == ready_id) [[likely]] {
    if (linear == ready_linear) return NPU_ST_OK;
    if (!fits_grid(launch, linear)) return NPU_ST_BAD_LAUNCH;
    place(launch, linear);
    return NPU_ST_OK;
  }
  return make_ready_anew(launch, linear);
}

npu_status Worker::Impl::make_ready_anew(const Launch& launch, uint64_t linear) {
  ready_id = 0;
  if (const npu_status status = check(launch, linear); status != NPU_ST_OK) return status;
  const Shares shares{launch.hbm_share_bytes_per_us, launch.host_share_bytes_per_us,
                      launch.cluster_tiles};
  if (!group.timing.configure(*launch.params, shares)) {
    return NPU_ST_INTERNAL;
  }
  change_owner(launch.owner);
  if (!reserve_memory(*launch.program)) return NPU_ST_OUT_OF_HOST_MEMORY;
  set_up(launch);
  place(launch, linear);
  ready_id = launch.setup_id;
  return NPU_ST_OK;
}

void Worker::Impl::set_up(const Launch& launch) {
  const Program& program = *launch.program;
  group.code = program.code.data();
  group.code_size = static_cast<uint32_t>(program.code.size());
  group.numerics = launch.numerics;
  group.engine_fifo = launch.params->engine_fifo;
  group.tile_count = program.group_tiles;
  group.memory.attach(launch.space);
}

void Worker::Impl::place(const Launch& launch, uint64_t linear) {
  ready_linear = linear;
  const uint64_t x = launch.grid[0];
  const uint64_t y = launch.grid[1];
  const uint64_t row = linear < x ? 0 : linear / x;  // divisions cost as much as a short work-group
  const uint64_t plane = row < y ? 0 : row / y;
  group.sregs = {linear - row * x,
                 row - plane * y,
                 plane,
                 x,
                 y,
                 launch.grid[2],
                 0,
                 launch.program->group_tiles,
                 params.l1_bytes,
                 params.l2_bytes,
                 params.acc_bytes,
                 launch.params->device_tiles};
}

void Worker::Impl::start(const Launch& launch) {
  group.launch = &launch;
  group.drain_mask = 0;
  group.at_barrier = 0;
  for (uint32_t i = 0; i < group.tile_count; ++i) {
    start_tile(group.tiles[i], static_cast<uint16_t>(i), group.engine_fifo, launch.program->regs);
  }
}

void Worker::Impl::start_checks(bool wanted) {
  group.checker = nullptr;
  if (!wanted) return;
  if (checker == nullptr) checker = std::make_unique<Checker>();
  checker->start(group);
  group.checker = checker.get();
}

bool Group::fail(const Tile& tile, const npu_insn& insn, npu_status status, uint64_t value,
                 npu_fault_access access) {
  Fault& fault = result->fault;
  fault.status = status;
  fault.pc = static_cast<uint32_t>(&insn - code);
  fault.line = insn.line;
  fault.tile_in_group = tile.index;
  fault.engine = kOps[insn.op].engine;
  fault.access = access;
  fault.value = value;
  return false;
}

Worker::Worker(const TileParams& params) : impl_(std::make_unique<Impl>(params)) {}
Worker::~Worker() = default;

GroupResult Worker::run(const Launch& launch, uint64_t linear) {
  GroupResult result;
  run_fresh(launch, linear, &result);
  return result;
}

void Worker::run_fresh(const Launch& launch, uint64_t linear, GroupResult* result) {
  Impl& impl = *impl_;
  Group& group = impl.group;
  // Without these marks the compiler takes the way of all launches for a rare one and compiles it for size.
  result->fault.status = impl.make_ready(launch, linear);
  if (result->fault.status != NPU_ST_OK) [[unlikely]]
    return;
  if (launch.ops_most != 0) [[unlikely]]
    result->ops = std::make_unique<GroupOps>();
  group.result = result;
  impl.start(launch);
  impl.start_checks(launch.checks);
  if (launch.watcher != nullptr) [[unlikely]] {
    run_watched(group);
  } else {
    run_tiles<false>(group);
  }
  group.result = nullptr;
  result->duration_ps = end_ps(group);
  if (result->duration_ps == kNever && result->fault.status == NPU_ST_OK) {
    result->fault.status = NPU_ST_WATCHDOG;
  }
  result->stats.engine_busy_ps[NPU_ENGINE_CTRL] =
      mul_capped(result->stats.instructions, group.timing.cycle_ps());
}

}  // namespace npu::model
