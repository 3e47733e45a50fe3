// SPDX-License-Identifier: Apache-2.0
// The state of one work-group while it is interpreted: tiles with their registers, engines and
// semaphores, the scratchpads, and what has happened so far.
//
// Thread safety: belongs to one Worker, hence to one thread at a time.
#ifndef NPU_MODEL_TILE_GROUP_H_
#define NPU_MODEL_TILE_GROUP_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "firmware-model/tile/device_memory.h"
#include "firmware-model/tile/scratchpad.h"
#include "firmware-model/tile/semaphore.h"
#include "firmware-model/tile/tile.h"
#include "firmware-model/tile/timing.h"

namespace npu::model {

// An engine operation that waits in its engine's queue, with everything that was captured at issue.
struct QueuedOp {
  const npu_insn* insn = nullptr;
  uint64_t issue_ps = 0;
  uint64_t sequence = 0;  // place in the tile's issue order
  npu_tdesc desc[4];
  uint64_t scalar[4];
};

// One asynchronous unit of a tile. An operation runs as soon as it is at the head and its waits
// hold.
struct Engine {
  std::vector<QueuedOp> queue;  // ring of engine_fifo places
  // When the most recent engine_fifo operations left the queue, in virtual time.
  std::vector<uint64_t> started_ps;
  uint32_t head = 0;
  uint32_t queued = 0;
  uint32_t place = 0;  // in started_ps, of the next operation to run
  uint32_t slot = 0;   // in started_ps, of the operation whose start makes room for the next issue
  uint64_t free_ps = 0;
};

struct LoopFrame {
  uint32_t body_pc = 0;
  uint8_t reg = 0;
  uint64_t index = 0;
  uint64_t count = 0;
};

enum class BarrierState : uint8_t { kNone, kArrived, kReleased };

// Where L1 holds what LDC made of a narrower type, so that the tensor unit can multiply it as that type (decision 0037). Any other write there ends it.
class NarrowRanges {
 public:
  bool empty() const { return count_ == 0; }
  void clear() { count_ = 0; }
  void add(uint64_t begin, uint64_t end, uint8_t dtype);
  // |begin| to |end| is written.
  void forget(uint64_t begin, uint64_t end);
  // The type of all that lies there; fp32 where nothing is known.
  uint8_t type_of(uint64_t begin, uint64_t end) const;

 private:
  struct Range {
    uint64_t begin = 0;
    uint64_t end = 0;
    uint8_t dtype = 0;
  };
  std::array<Range, 16> ranges_;
  uint32_t count_ = 0;
  uint32_t oldest_ = 0;
};

struct Tile {
  uint64_t regs[NPU_SCALAR_REGS];
  npu_tdesc desc[NPU_TILE_DESCS];
  uint64_t descs_used = 0;  // bit d: descriptor d was written
  Semaphore sems[NPU_TILE_SEMS];
  uint64_t sems_used = 0;  // bit s: semaphore s is not in its first state
  std::array<Engine, NPU_ENGINE_COUNT> engines;
  LoopFrame loops[NPU_LOOP_DEPTH];
  uint32_t loop_depth = 0;
  uint32_t pc = 0;
  uint64_t time_ps = 0;
  uint64_t issued = 0;          // engine operations so far
  uint32_t queued_engines = 0;  // bit e: engine e has queued operations
  uint32_t fifo = 0;            // places of the engines' queues
  uint16_t index = 0;
  BarrierState barrier = BarrierState::kNone;
  bool halted = false;
  Scratchpad l1;
  Scratchpad acc;
  NarrowRanges narrow;

  npu_tdesc& write_desc(uint8_t number) {
    static_assert(NPU_TILE_DESCS == 64);
    descs_used |= uint64_t{1} << number;
    return desc[number];
  }
  // Register 0 reads as zero whatever is written to it.
  void set_reg(uint8_t reg, uint64_t value) {
    regs[reg] = value;
    regs[0] = 0;
  }
};

class Checker;

// What became of an instruction of the control stream.
enum class Step : uint8_t { kNext, kBlocked, kHalted, kFault };

struct Group {
  const Launch* launch = nullptr;
  const npu_insn* code = nullptr;
  uint32_t code_size = 0;
  const Numerics* numerics = nullptr;
  uint32_t engine_fifo = 0;
  uint32_t tile_count = 0;
  std::array<uint64_t, NPU_SREG_COUNT> sregs{};  // TILE is the tile's own
  std::vector<Tile> tiles;
  Scratchpad l2;
  Scratchpad
      staging[4];  // fp32 copies of operands while an operation runs; never seen by a program
  DeviceMemory memory;
  Timing timing;
  Checker* checker = nullptr;     // null unless the run is checked
  GroupResult* result = nullptr;  // of the run that is under way
  uint64_t progress = 0;          // changes with every step that a tile makes
  uint32_t drain_mask = 0;        // bit t: tile t got a signal that may let a queued operation run
  uint32_t at_barrier = 0;

  // Records the failure of |insn| and returns false.
  bool fail(const Tile& tile, const npu_insn& insn, npu_status status, uint64_t value = 0,
            npu_fault_access access = NPU_ACCESS_NONE);
  // Counts a transfer between L1 and what a device address leads to, which has been made; how long it takes. The whole of it counts where its last byte lies.
  uint64_t outer_dma_ps(uint64_t l1_bytes, uint64_t bytes) {
    if (!memory.last_on_host()) return timing.dma_ps(l1_bytes, bytes);
    result->stats.host_bytes += bytes;
    return timing.host_dma_ps(l1_bytes, bytes);
  }
  bool canceled() const {
    return launch->cancel != nullptr && launch->cancel->load(std::memory_order_relaxed);
  }
};

}  // namespace npu::model

#endif  // NPU_MODEL_TILE_GROUP_H_
