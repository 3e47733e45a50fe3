// SPDX-License-Identifier: Apache-2.0
// The tile interpreter: runs one work-group of a kernel and tells what it did, how long it took in virtual time, and where it failed.
//
// Thread safety: a Worker belongs to one thread at a time; Program, Launch and AddressSpace are shared and constant while a launch runs (the
// page tables behind an AddressSpace may change: its generation then does).
#ifndef NPU_MODEL_TILE_TILE_H_
#define NPU_MODEL_TILE_TILE_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "uapi/npu_isa.h"
#include "uapi/npu_queue.h"
#include "uapi/npu_status.h"

namespace npu::model {

struct Numerics;
struct Group;
struct Tile;

// A run of device addresses that is contiguous in host memory.
struct Translation {
  uint64_t begin_dva = 0;
  uint64_t end_dva = 0;       // exclusive
  std::byte* host = nullptr;  // of begin_dva
  bool writable = false;
  // False: something in it is poison. It may be written, and every write must be told to
  // AddressSpace::overwritten().
  bool readable = true;

  bool on_host = false;  // behind PCIe, not in the device's memory

  bool permits(npu_fault_access access) const {
    return access == NPU_ACCESS_WRITE ? writable : readable;
  }
};

// One process's view of memory, as the engines see it.
class AddressSpace {
 public:
  virtual ~AddressSpace() = default;
  // Finds the run that holds |dva|. False: a fault (not mapped, or write without permission).
  virtual bool translate(uint64_t dva, npu_fault_access access, Translation* out) const = 0;
  // Changes whenever a translation handed out before may be stale; cached translations are dropped then. A number is not used again, by this space or by one that is made where it was:
  // translations are kept from one work-group to the next.
  virtual uint64_t generation() const = 0;
  // |bytes| at |at|, of a run that was not readable, were written.
  virtual void overwritten(const std::byte* at, uint64_t bytes) const {
    (void)at;
    (void)bytes;
  }
};

// Sizes and rates of the chip that one tile sees. Each rate comes from the profile; see firmware-model/profiles.
struct TileParams {
  uint32_t l1_bytes = 0;
  uint32_t l2_bytes = 0;
  uint32_t acc_bytes = 0;
  uint32_t device_tiles = 0;
  uint32_t engine_fifo = 16;  // queued operations an engine holds before control waits
  uint64_t core_clock_khz = 0;
  uint32_t mac_per_cycle_bf16 = 0;  // tensor unit, also fp16
  uint32_t mac_per_cycle_f32 = 0;
  uint32_t mac_per_cycle_fp8 = 0;  // also MX9
  uint32_t mac_per_cycle_i8 = 0;
  uint32_t mac_per_cycle_fp6 = 0;
  uint32_t mac_per_cycle_fp4 = 0;
  uint32_t mac_per_cycle_fp8_fp4 = 0;  // one operand of each
  uint32_t vector_lanes = 0;           // fp32 lanes of the vector unit
  uint32_t dma_setup_cycles = 0;
  uint32_t mm_fill_cycles = 0;
  uint32_t vector_setup_cycles = 0;
  uint64_t l1_bytes_per_cycle = 0;   // port of one DMA engine
  uint64_t l2_bytes_per_cycle = 0;   // of a cluster
  uint64_t noc_bytes_per_cycle = 0;  // of a cluster, to and from all that lies outside

  bool operator==(const TileParams&) const = default;
};

// A verified kernel: every instruction has passed the verifier of loader/verifier, so the interpreter checks only what depends on run-time values.
struct Program {
  std::string name;
  std::vector<npu_insn> code;
  uint32_t regs =
      NPU_SCALAR_REGS;  // scalar registers from 0 on that the code names; the others are not read
  uint32_t args_bytes = 0;
  uint32_t l1_bytes = 0;
  uint32_t l2_bytes = 0;
  uint32_t acc_bytes = 0;
  uint32_t group_tiles = 1;
};

// Sees a work-group between its instructions: a debugger.
class Watcher {
 public:
  virtual ~Watcher() = default;
  // |tile| is about to execute instruction |pc| of its control stream; an instruction that has to wait comes again. The state is in group.h, and is not to be
  // changed. False: the work-group ends with NPU_ST_CANCELED.
  virtual bool before(const Group& group, const Tile& tile, uint32_t pc) = 0;
};

struct Launch {
  const Program* program = nullptr;
  // Not 0: a number for all of this struct but the bytes of |args|, |op_budget| and |prints|, which a worker meets in no other launch. What it has made ready for the work-group before is then not made ready again.
  uint64_t setup_id = 0;
  const AddressSpace* space = nullptr;
  const Numerics* numerics = nullptr;
  const TileParams* params = nullptr;
  std::span<const std::byte> args;
  std::array<uint32_t, 3> grid{1, 1, 1};
  // This tile's share of device memory while the launch runs, in bytes per microsecond (= 10^6 bytes a second). Not 0.
  uint64_t hbm_share_bytes_per_us = 0;
  uint64_t host_share_bytes_per_us = 0;  // likewise of the host's memory
  uint32_t cluster_tiles = 1;            // tiles that share the cluster's L2 and its link
  uint64_t op_budget =
      0;  // instructions a work-group may execute; then NPU_ST_WATCHDOG. 0: no limit
  const std::atomic<bool>* cancel =
      nullptr;  // looked at every few instructions; then NPU_ST_CANCELED
  Watcher* watcher = nullptr;
  uint64_t owner = 0;     // scratchpads are cleared before another owner may see them
  uint32_t ops_most = 0;  // engine operations of a work-group that are recorded; 0: none
  bool prints = false;    // somebody takes what PRINT sends
  bool checks =
      false;  // checking mode: races on scratchpads and reads of what nobody has written are faults
};

// Where a work-group failed.
struct Fault {
  npu_status status = NPU_ST_OK;
  uint32_t pc = 0;
  uint32_t line = 0;
  uint16_t tile_in_group = 0;
  npu_engine engine = NPU_ENGINE_CTRL;
  npu_fault_access access = NPU_ACCESS_NONE;
  // Address of a VM or alignment fault; code of a trap or assert (sign-extended); offset or index that left its range.
  uint64_t value = 0;
};

// What a work-group did; sums over its tiles.
struct GroupStats {
  uint64_t instructions = 0;
  uint64_t mac_ops = 0;
  uint64_t mac_parts = 0;  // Timing::mac_parts of them
  uint64_t vector_ops = 0;
  uint64_t hbm_read_bytes = 0;
  uint64_t hbm_write_bytes = 0;
  uint64_t host_bytes = 0;  // of both: what lies in the host's memory
  uint64_t l2_bytes = 0;
  std::array<uint64_t, NPU_ENGINE_COUNT> engine_busy_ps{};
};

// What a work-group printed, oldest first: format, line, tile, flags and args are set. At most NPU_PRINT_GROUP_MAX, and the CHECK that failed.
struct GroupPrints {
  std::vector<npu_print_record> records;
  uint64_t dropped = 0;
};

// An engine operation that has ended. Times count from the begin of the work-group.
struct OpRecord {
  uint64_t start_ps = 0;
  uint64_t end_ps = 0;
  uint64_t hbm_bytes = 0;  // read and written
  uint32_t line = 0;
  uint16_t tile = 0;  // in the work-group
  uint8_t op = 0;
  uint8_t engine = 0;
};

// In the order in which they ran; those of one engine in order of time.
struct GroupOps {
  std::vector<OpRecord> records;
  uint64_t dropped = 0;
};

struct GroupResult {
  Fault fault;  // status NPU_ST_OK: none
  uint64_t duration_ps = 0;
  GroupStats stats;
  std::unique_ptr<GroupPrints> prints;  // null: nothing
  std::unique_ptr<GroupOps> ops;        // null: nobody records them
  // A sentence about a race, a read of what nobody has written or a deadlock (report.h); null otherwise.
  std::unique_ptr<std::string> report;
};

// The scratchpads and interpreter state that one host thread uses to run work-groups, one after the other.
class Worker {
 public:
  explicit Worker(const TileParams& params);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Runs work-group |linear| = x + grid_x (y + grid_y z) to its end. The result is a function of the launch, the number and the memory contents alone, as long as the
  // program reads no scratchpad byte that it has not written: such bytes are zero or were left by an earlier work-group of the same owner.
  // NPU_ST_BAD_LAUNCH: program, arguments or number do not fit this device and grid. NPU_ST_INTERNAL: a member of |launch| is missing, or a rate is 0.
  void run(const Launch& launch, uint64_t linear, GroupResult* result) {
    *result = GroupResult{};
    run_fresh(launch, linear, result);
  }
  // Likewise; |result| is as it was made.
  void run_fresh(const Launch& launch, uint64_t linear, GroupResult* result);
  GroupResult run(const Launch& launch, uint64_t linear);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace npu::model

#endif  // NPU_MODEL_TILE_TILE_H_
