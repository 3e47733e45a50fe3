// SPDX-License-Identifier: Apache-2.0
// A launch: the work-groups of a grid, run by all workers, and put together to one result that does
// not depend on how many workers there are.
//
// Thread safety: run() by one thread at a time; also from inside of step_aside().
#ifndef NPU_MODEL_DEVICE_LAUNCH_H_
#define NPU_MODEL_DEVICE_LAUNCH_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "firmware-model/device/module.h"
#include "firmware-model/device/npu_device.h"
#include "firmware-model/device/virtual_time.h"
#include "firmware-model/device/worker_pool.h"
#include "firmware-model/tile/tile.h"
#include "firmware-model/tile/timing.h"

namespace npu::model {

TileParams tile_params(const npu_profile& profile);

// Places work-groups on the tiles in order of their numbers: each takes the place that is free
// first, of several one in the cluster with the fewest.
class ListSchedule {
 public:
  // |groups| of |group_tiles| tiles each; a work-group lies inside one cluster.
  ListSchedule(const npu_profile& profile, uint32_t group_tiles, uint64_t groups);

  // The first tile of the next group, which takes |duration_ps|.
  uint32_t place(uint64_t duration_ps);
  uint64_t end_ps() const { return end_ps_; }
  // When the group that was placed last began.
  uint64_t start_ps() const { return start_ps_; }
  // Tiles that have work at the same time at most.
  uint64_t active_tiles() const { return count_ * group_tiles_; }

 private:
  struct Place {
    uint64_t free_ps;
    uint32_t number;
    bool operator>(const Place& other) const {
      return free_ps != other.free_ps ? free_ps > other.free_ps : number > other.number;
    }
  };
  const uint32_t group_tiles_;
  const uint32_t clusters_;
  const uint32_t tiles_per_cluster_;
  uint64_t count_ = 0;         // of places
  std::vector<Place> places_;  // a heap; empty when there is one place
  uint64_t end_ps_ = 0;
  uint64_t start_ps_ = 0;
};

struct LaunchRequest {
  const Kernel* kernel = nullptr;
  // The caller gives space, args, grid, cancel and owner; the first run() fills in the rest, in place: it is a good part of what a small launch costs.
  Launch launch;
  uint64_t budget = 0;       // instructions of all work-groups together
  uint32_t prints_most = 0;  // records that are of use; 0: nobody takes any
  bool records_ops = false;  // engine operations, for EngineTrace
  uint64_t groups = 0;       // of the grid; run() fills it in
  // Asked between two work-groups by the thread that called run(): is there something more urgent? Then step_aside() is called once no work-group runs, and the launch goes on
  // after it. The result does not depend on either. Both or none.
  std::function<bool()> urgent;
  std::function<void()> step_aside;
};

// What the work-groups did, up to the lowest one that failed. Prints are in order of work-groups, and group is set too. Recorded operations have tiles of the device, and times from the begin of
// the first work-group.
struct LaunchOutcome : GroupResult {
  uint64_t fault_group = 0;
  uint32_t fault_tile = 0;  // of the device
  uint64_t tensor_ps = 0;   // as in struct npu_launch_completion

  // Nothing but numbers, which belong into the record of the launch.
  bool is_plain() const {
    return fault.status == NPU_ST_OK && prints == nullptr && ops == nullptr && report == nullptr;
  }
  // Of one that is plain: what the next launch adds to is as it was made.
  void renew() {
    duration_ps = 0;
    stats = {};
    tensor_ps = 0;
  }
};

class LaunchEngine {
 public:
  // |threads| 0: one a CPU. |checks|: in the checking mode.
  LaunchEngine(const npu_profile& profile, unsigned threads, const Numerics& numerics,
               bool checks = false);

  // A request may run again, with other bytes in |args| and another |prints_most|; nothing else of it may have changed then.
  // |quiet| is called after each piece of a grid of several work-groups, when no access to memory is under way.
  LaunchOutcome run(LaunchRequest& request, const std::function<void()>& quiet) {
    if (request.groups == 0) [[unlikely]]
      prepare(request);
    request.launch.prints = request.prints_most != 0;
    if (request.groups != 1) return run_grid(request, quiet);
    LaunchOutcome outcome;
    run_single(request, &outcome);
    return outcome;
  }
  // As run(), of a request that has run before and has one work-group; |*outcome| is as it was made, or as renew() leaves it.
  void run_again(LaunchRequest& request, LaunchOutcome* outcome) {
    request.launch.prints = request.prints_most != 0;
    run_single(request, outcome);
  }

 private:
  class Window;
  void run_window(Window& window, const LaunchRequest& request, const std::function<void()>& quiet);
  void run_pass(Window& window, const Kernel& kernel);
  uint64_t share_worth_ns() const;
  // Nothing to share, to place or to interrupt. Small launches are most of what a model is asked for, and what a window costs is most of theirs.
  void run_single(LaunchRequest& request, LaunchOutcome* outcome) {
    pool_.own_worker().run_fresh(request.launch, 0, outcome);
    if (!outcome->is_plain() || outcome->stats.instructions > request.budget) [[unlikely]]
      end_single(request, outcome);
    finish(outcome->duration_ps, outcome);
  }
  [[gnu::noinline]] static void end_single(const LaunchRequest& request, LaunchOutcome* outcome);
  [[gnu::noinline]] LaunchOutcome run_grid(LaunchRequest& request,
                                           const std::function<void()>& quiet);
  Shares shares_of(uint64_t active_tiles, uint32_t group_tiles) const;
  [[gnu::noinline]] void prepare(LaunchRequest& request);
  // duration_ps and tensor_ps.
  void finish(uint64_t groups_end_ps, LaunchOutcome* outcome) const {
    const GroupStats& stats = outcome->stats;
    // Nothing moved and nothing multiplied: no peak can be passed.
    if ((stats.hbm_read_bytes | stats.hbm_write_bytes | stats.l2_bytes | stats.mac_ops) != 0) {
      return finish_counted(groups_end_ps, outcome);
    }
    outcome->duration_ps = later_ps(groups_end_ps, overhead_ps_);
  }
  [[gnu::noinline]] void finish_counted(uint64_t groups_end_ps, LaunchOutcome* outcome) const;
  uint64_t tensor_time(const GroupStats& stats, uint64_t body_ps) const;

  const npu_profile& profile_;
  const TileParams params_;
  const Numerics& numerics_;
  const bool checks_;
  WorkerPool pool_;
  std::vector<GroupResult> spare_results_;  // memory for the next launch
  const uint64_t overhead_ps_;              // of each launch
  const unsigned cpus_;                     // that this process may use
  uint64_t last_setup_id_ = 0;
};

}  // namespace npu::model

#endif  // NPU_MODEL_DEVICE_LAUNCH_H_
