// SPDX-License-Identifier: Apache-2.0
// Running of grids in windows: a bounded number of results is kept, and they are counted in order
// of group numbers.
#include "firmware-model/device/launch.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <mutex>
#include <thread>
#include <utility>

#include "firmware-model/device/crew.h"
#include "firmware-model/device/thread.h"
#include "firmware-model/device/virtual_time.h"
#include "firmware-model/tile/timing.h"

namespace npu::model {
namespace {

using Wide = unsigned __int128;

constexpr uint64_t kWindowGroups = 1024;
constexpr uint64_t kMaxChunk = 16;
// Engine operations of a launch that are recorded: some 10 MB, or 80 MB as text.
constexpr uint64_t kLaunchOpsMost = uint64_t{1} << 18;
// A launch that is expected to be shorter is not worth the wake-up of another thread; nor, when that is awake, the way of the job to it and back.
constexpr uint64_t kShareWorthNs = 15'000;
constexpr uint64_t kShareWorthAwakeNs = 3'000;
// Nor, unless it is much longer, where as many other devices are awake as there are CPUs, as they are in a collective: a helper would only push one of them aside.
constexpr uint64_t kShareWorthCrowdedNs = 300'000;

void check_own_rule(bool holds, const char* rule) {
  if (holds) return;
  std::fprintf(stderr, "npu device model: broken rule of the model itself: %s\n", rule);
  std::abort();
}

void add_stats(const GroupStats& from, GroupStats* to) {
  to->instructions += from.instructions;
  to->mac_ops += from.mac_ops;
  to->mac_parts = add_capped(to->mac_parts, from.mac_parts);
  to->vector_ops += from.vector_ops;
  to->hbm_read_bytes += from.hbm_read_bytes;
  to->hbm_write_bytes += from.hbm_write_bytes;
  to->host_bytes += from.host_bytes;
  to->l2_bytes += from.l2_bytes;
  for (size_t i = 0; i < to->engine_busy_ps.size(); ++i) {
    to->engine_busy_ps[i] += from.engine_busy_ps[i];
  }
}

// Puts what the next group in order of numbers has printed to the outcome.
void take_prints(std::unique_ptr<GroupPrints> prints, uint64_t group, uint32_t most,
                 LaunchOutcome* outcome) {
  if (prints == nullptr) return;
  if (outcome->prints == nullptr) outcome->prints = std::make_unique<GroupPrints>();
  GroupPrints& all = *outcome->prints;
  all.dropped += prints->dropped;
  for (npu_print_record& record : prints->records) {
    if (all.records.size() >= most) {
      ++all.dropped;
      continue;
    }
    record.group = static_cast<__u32>(group);
    all.records.push_back(record);
  }
}

// Puts what the engines did in the next group, which began |start_ps| after the first one on |tile|, to the outcome.
void take_ops(std::unique_ptr<GroupOps> ops, uint32_t tile, uint64_t start_ps,
              LaunchOutcome* outcome) {
  if (ops == nullptr) return;
  if (outcome->ops == nullptr) outcome->ops = std::make_unique<GroupOps>();
  GroupOps& all = *outcome->ops;
  all.dropped += ops->dropped;
  for (OpRecord& record : ops->records) {
    if (all.records.size() >= kLaunchOpsMost) {
      ++all.dropped;
      continue;
    }
    record.tile = static_cast<uint16_t>(record.tile + tile);
    record.start_ps = later_ps(record.start_ps, start_ps);
    record.end_ps = later_ps(record.end_ps, start_ps);
    all.records.push_back(record);
  }
}

// Fills in where |outcome| failed, if it did: in |group|, which began on |tile| and ran |instructions|.
void end_group(uint64_t instructions, uint64_t group, uint32_t tile, uint64_t* budget,
               LaunchOutcome* outcome) {
  if (instructions > *budget && outcome->fault.status == NPU_ST_OK) {
    outcome->fault.status = NPU_ST_WATCHDOG;
  }
  if (outcome->fault.status == NPU_ST_OK) {
    *budget -= instructions;
    return;
  }
  outcome->fault_group = group;
  outcome->fault_tile = tile + outcome->fault.tile_in_group;
}

// Puts the next group in order of numbers to the outcome.
void count_group(GroupResult& result, uint64_t group, uint32_t tile, uint64_t* budget,
                 LaunchOutcome* outcome) {
  add_stats(result.stats, &outcome->stats);
  outcome->fault = result.fault;
  outcome->report = std::move(result.report);
  end_group(result.stats.instructions, group, tile, budget, outcome);
}

}  // namespace

TileParams tile_params(const npu_profile& profile) {
  TileParams params;
  params.l1_bytes = profile.l1_bytes;
  params.l2_bytes = profile.l2_bytes;
  params.acc_bytes = profile.acc_bytes;
  params.device_tiles = profile.clusters * profile.tiles_per_cluster;
  params.core_clock_khz = profile.core_clock_khz;
  params.mac_per_cycle_bf16 = profile.mac_per_cycle_bf16;
  params.mac_per_cycle_f32 = profile.mac_per_cycle_f32;
  params.mac_per_cycle_fp8 = profile.mac_per_cycle_fp8;
  params.mac_per_cycle_i8 = profile.mac_per_cycle_i8;
  params.mac_per_cycle_fp6 = profile.mac_per_cycle_fp6;
  params.mac_per_cycle_fp4 = profile.mac_per_cycle_fp4;
  params.mac_per_cycle_fp8_fp4 = profile.mac_per_cycle_fp8_fp4;
  params.vector_lanes = profile.vector_lanes;
  params.dma_setup_cycles = profile.dma_setup_cycles;
  params.mm_fill_cycles = profile.mm_fill_cycles;
  params.vector_setup_cycles = profile.vector_setup_cycles;
  params.l1_bytes_per_cycle = profile.l1_port_bytes_per_cycle;
  params.l2_bytes_per_cycle = profile.l2_bytes_per_cycle;
  params.noc_bytes_per_cycle = profile.noc_bytes_per_cycle;
  return params;
}

ListSchedule::ListSchedule(const npu_profile& profile, uint32_t group_tiles, uint64_t groups)
    : group_tiles_(group_tiles),
      clusters_(profile.clusters),
      tiles_per_cluster_(profile.tiles_per_cluster) {
  const uint64_t all = uint64_t{profile.clusters} * (profile.tiles_per_cluster / group_tiles);
  count_ = std::min(all, groups);
  if (count_ <= 1) return;  // no heap for one place
  // Ascending numbers with equal times are a heap already.
  places_.reserve(count_);
  for (uint32_t n = 0; n < count_; ++n) places_.push_back({0, n});
}

uint32_t ListSchedule::place(uint64_t duration_ps) {
  if (count_ <= 1) {
    start_ps_ = end_ps_;
    end_ps_ = later_ps(end_ps_, duration_ps);
    return 0;
  }
  std::pop_heap(places_.begin(), places_.end(), std::greater<>());
  Place& place = places_.back();
  const uint32_t number = place.number;
  start_ps_ = place.free_ps;
  place.free_ps = later_ps(place.free_ps, duration_ps);
  end_ps_ = std::max(end_ps_, place.free_ps);
  std::push_heap(places_.begin(), places_.end(), std::greater<>());
  return number % clusters_ * tiles_per_cluster_ + number / clusters_ * group_tiles_;
}

// A piece of the grid that is small enough to keep all its results. It is run in passes: one, unless
// something urgent comes. Groups are taken in ascending order, so those that were taken are always a
// prefix; what a thread had taken and not begun when it stopped comes first in the next pass.
class LaunchEngine::Window final : public WorkerPool::Job {
 public:
  Window(const Launch& launch, std::vector<GroupResult>& results, unsigned threads,
         const std::function<bool()>& urgent)
      : launch_(launch),
        results_(results),
        threads_(threads),
        urgent_(urgent),
        asker_(std::this_thread::get_id()) {}

  void begin(uint64_t first, uint64_t count) {
    first_ = first;
    count_ = count;
    next_.store(0, std::memory_order_relaxed);
    instructions_.store(0, std::memory_order_relaxed);
    lowest_fault_.store(kNone, std::memory_order_relaxed);
  }

  // Before each pass. Groups that are left at most.
  uint64_t begin_pass() {
    interrupted_.store(false, std::memory_order_relaxed);
    uint64_t left = count_ - next_.load(std::memory_order_relaxed);
    for (const Range& range : returned_) left += range.end - range.begin;
    return left;
  }
  // After a pass: whether another one is needed, once the urgent thing is done.
  bool was_interrupted() const { return interrupted_.load(std::memory_order_relaxed); }

  void work(Worker& worker) override {
    const bool asks = urgent_ && std::this_thread::get_id() == asker_;
    Range range;
    while (take(&range)) {
      for (uint64_t i = range.begin; i < range.end; ++i) {
        if (i != range.begin && interrupted_.load(std::memory_order_relaxed)) {
          give_back({i, range.end});
          return;
        }
        // Groups above a failed one do not matter; those below it must run, for one of them may
        // fail too.
        if (i > lowest_fault_.load(std::memory_order_relaxed)) break;
        run_group(worker, i);
        if (asks && i + 1 < count_ && urgent_()) {
          interrupted_.store(true, std::memory_order_relaxed);
        }
      }
    }
  }

 private:
  static constexpr uint64_t kNone = std::numeric_limits<uint64_t>::max();
  struct Range {
    uint64_t begin = 0;
    uint64_t end = 0;
  };

  // The next groups; fewer at a time towards the end, so that all threads finish together.
  bool take(Range* out) {
    if (interrupted_.load(std::memory_order_relaxed)) return false;
    if (take_returned(out)) return true;
    // Once the budget is used up no new group is needed: the one that goes too far is among those
    // taken.
    if (instructions_.load(std::memory_order_relaxed) > launch_.op_budget) return false;
    out->begin = next_.load(std::memory_order_relaxed);
    do {
      const uint64_t left = count_ - out->begin;
      if (left == 0) return false;
      out->end = out->begin + std::clamp<uint64_t>(left / (uint64_t{threads_} * 4), 1, kMaxChunk);
    } while (!next_.compare_exchange_weak(out->begin, out->end, std::memory_order_relaxed));
    return true;
  }

  bool take_returned(Range* out) {
    if (!has_returned_.load(std::memory_order_relaxed)) return false;
    std::lock_guard lock(returned_mutex_);
    if (returned_.empty()) return false;
    *out = returned_.back();
    returned_.pop_back();
    has_returned_.store(!returned_.empty(), std::memory_order_relaxed);
    return true;
  }

  void give_back(Range range) {
    std::lock_guard lock(returned_mutex_);
    returned_.push_back(range);
    has_returned_.store(true, std::memory_order_relaxed);
  }

  void run_group(Worker& worker, uint64_t i) {
    worker.run(launch_, first_ + i, &results_[i]);
    instructions_.fetch_add(results_[i].stats.instructions, std::memory_order_relaxed);
    if (results_[i].fault.status == NPU_ST_OK) return;
    uint64_t lowest = lowest_fault_.load(std::memory_order_relaxed);
    while (i < lowest && !lowest_fault_.compare_exchange_weak(lowest, i)) {
    }
  }

  const Launch& launch_;
  std::vector<GroupResult>& results_;
  const unsigned threads_;
  const std::function<bool()>& urgent_;
  const std::thread::id asker_;
  uint64_t first_ = 0;
  uint64_t count_ = 0;
  std::atomic<uint64_t> next_{0};
  std::atomic<uint64_t> instructions_{0};
  std::atomic<uint64_t> lowest_fault_{kNone};
  std::atomic<bool> interrupted_{false};
  std::atomic<bool> has_returned_{false};
  std::mutex returned_mutex_;
  std::vector<Range> returned_;
};

LaunchEngine::LaunchEngine(const npu_profile& profile, unsigned threads, const Numerics& numerics,
                           bool checks)
    : profile_(profile),
      params_(tile_params(profile)),
      numerics_(numerics),
      checks_(checks),
      pool_(params_, threads != 0 ? threads : usable_cpus()),
      overhead_ps_(uint64_t{profile.launch_overhead_ns} * 1000),
      cpus_(usable_cpus()) {}

uint64_t LaunchEngine::share_worth_ns() const {
  if (Crew::of_process().awake() >= cpus_) return kShareWorthCrowdedNs;
  return pool_.helper_is_awake() ? kShareWorthAwakeNs : kShareWorthNs;
}

void LaunchEngine::run_pass(Window& window, const Kernel& kernel) {
  const uint64_t groups = window.begin_pass();
  if (groups == 0) return;  // the pass before was interrupted after its last group
  const uint64_t estimate_ns =
      uint64_t{kernel.wall_ns_per_group.load(std::memory_order_relaxed)} * groups;
  const bool share = groups > 1 && (estimate_ns == 0 || estimate_ns >= share_worth_ns());
  if (pool_.threads() < 2 || groups == 1) return pool_.run(window, false);
  const auto begin = std::chrono::steady_clock::now();
  pool_.run(window, share);
  if (window.was_interrupted()) return;
  const auto wall = std::chrono::steady_clock::now() - begin;
  const uint64_t used_ns =
      static_cast<uint64_t>(std::chrono::nanoseconds(wall).count()) * (share ? pool_.threads() : 1);
  kernel.wall_ns_per_group.store(
      static_cast<uint32_t>(std::clamp<uint64_t>(used_ns / groups, 1, UINT32_MAX)),
      std::memory_order_relaxed);
}

void LaunchEngine::run_window(Window& window, const LaunchRequest& request,
                              const std::function<void()>& quiet) {
  for (;;) {
    run_pass(window, *request.kernel);
    quiet();
    if (!window.was_interrupted()) return;
    request.step_aside();
  }
}

// A division of 128 bits costs as much as a short launch.
Wide bytes_ps(uint64_t bytes, uint64_t mbytes_per_s) {
  return bytes == 0 ? 0 : (Wide{bytes} * 1'000'000 + mbytes_per_s - 1) / mbytes_per_s;
}

// All tensor units at the rates of the types that were multiplied; 0: it does not fit into the record.
uint64_t LaunchEngine::tensor_time(const GroupStats& stats, uint64_t body_ps) const {
  if (stats.mac_ops == 0) return 0;
  constexpr uint64_t kPsPerMs = 1'000'000'000;
  const Wide parts_per_ms = Wide{profile_.core_clock_khz} * params_.device_tiles * kMacParts;
  check_own_rule(Wide{stats.mac_parts} * kPsPerMs <= Wide{body_ps} * parts_per_ms,
                 "a launch did more multiplications than the tensor units can in its types");
  if (stats.mac_parts == UINT64_MAX) return 0;
  const Wide ps = (Wide{stats.mac_parts} * kPsPerMs + parts_per_ms - 1) / parts_per_ms;
  return ps >> NPU_TENSOR_PS_BITS == 0 ? static_cast<uint64_t>(ps) : 0;
}

void LaunchEngine::finish_counted(uint64_t groups_end_ps, LaunchOutcome* outcome) const {
  const uint64_t all_bytes = outcome->stats.hbm_read_bytes + outcome->stats.hbm_write_bytes;
  const uint64_t host_bytes = outcome->stats.host_bytes;
  const uint64_t bytes = all_bytes - host_bytes;
  const uint64_t rate = std::max<uint64_t>(1, profile_.hbm_mbytes_per_s);
  const uint64_t host_rate = std::max<uint64_t>(1, profile_.host_mbytes_per_s);
  const Wide memory_ps = std::max(bytes_ps(bytes, rate), bytes_ps(host_bytes, host_rate));
  const auto body_ps =
      static_cast<uint64_t>(std::min<Wide>(std::max<Wide>(groups_end_ps, memory_ps), UINT64_MAX));
  const uint64_t end_ps = later_ps(body_ps, overhead_ps_);
  outcome->duration_ps = end_ps;
  // The time of a work-group that failed ends at the fault; what it had begun is not in it.
  if (outcome->fault.status != NPU_ST_OK || end_ps == UINT64_MAX) return;
  const Wide l2_bytes = outcome->stats.l2_bytes;
  check_own_rule(l2_bytes * 1'000'000'000 <= Wide{body_ps} * profile_.core_clock_khz *
                                                 profile_.clusters * profile_.l2_bytes_per_cycle,
                 "a launch moved more bytes than the memories of the clusters can");
  outcome->tensor_ps = tensor_time(outcome->stats, body_ps);
  if (all_bytes == 0) return;
  check_own_rule(Wide{bytes} * 1'000'000 <= Wide{body_ps} * rate &&
                     Wide{host_bytes} * 1'000'000 <= Wide{body_ps} * host_rate,
                 "a launch moved more bytes than the device memory or the link to the host can");
}

Shares LaunchEngine::shares_of(uint64_t active_tiles, uint32_t group_tiles) const {
  Shares shares;
  shares.hbm_bytes_per_us = std::max<uint64_t>(1, profile_.hbm_mbytes_per_s / active_tiles);
  shares.host_bytes_per_us = std::max<uint64_t>(1, profile_.host_mbytes_per_s / active_tiles);
  // Groups are spread over the clusters.
  shares.cluster_tiles =
      active_tiles <= uint64_t{profile_.clusters} * group_tiles
          ? group_tiles
          : static_cast<uint32_t>((active_tiles / group_tiles + profile_.clusters - 1) /
                                  profile_.clusters * group_tiles);
  return shares;
}

void LaunchEngine::prepare(LaunchRequest& request) {
  Launch& launch = request.launch;
  launch.setup_id = ++last_setup_id_;
  launch.program = &request.kernel->program;
  launch.numerics = &numerics_;
  launch.params = &params_;
  const uint64_t groups = uint64_t{launch.grid[0]} * launch.grid[1] * launch.grid[2];
  request.groups = groups;
  launch.op_budget = std::max<uint64_t>(request.budget, 1);  // 0 would mean no limit
  const uint32_t group_tiles = launch.program->group_tiles;
  const Shares shares =
      shares_of(ListSchedule(profile_, group_tiles, groups).active_tiles(), group_tiles);
  launch.hbm_share_bytes_per_us = shares.hbm_bytes_per_us;
  launch.host_share_bytes_per_us = shares.host_bytes_per_us;
  launch.cluster_tiles = shares.cluster_tiles;
  // Of the groups of one window, whose results are kept at the same time.
  if (request.records_ops)
    launch.ops_most = static_cast<uint32_t>(kLaunchOpsMost / std::min(groups, kWindowGroups));
  launch.checks = checks_;
}

LaunchOutcome LaunchEngine::run_grid(LaunchRequest& request, const std::function<void()>& quiet) {
  Launch& launch = request.launch;
  const uint64_t groups = request.groups;
  ListSchedule schedule(profile_, launch.program->group_tiles, groups);

  // Taken away for the time of this launch: another one may come in between.
  std::vector<GroupResult> results = std::move(spare_results_);
  LaunchOutcome outcome;
  Window window(launch, results, pool_.threads(), request.urgent);
  uint64_t budget = request.budget;
  for (uint64_t first = 0; first < groups && outcome.fault.status == NPU_ST_OK;
       first += kWindowGroups) {
    const uint64_t count = std::min(kWindowGroups, groups - first);
    if (results.size() < count) results.resize(count);
    launch.op_budget = std::max<uint64_t>(budget, 1);  // 0 would mean no limit
    window.begin(first, count);
    run_window(window, request, quiet);
    for (uint64_t i = 0; i < count && outcome.fault.status == NPU_ST_OK; ++i) {
      take_prints(std::move(results[i].prints), first + i, request.prints_most, &outcome);
      const uint32_t tile = schedule.place(results[i].duration_ps);
      take_ops(std::move(results[i].ops), tile, schedule.start_ps(), &outcome);
      count_group(results[i], first + i, tile, &budget, &outcome);
    }
  }
  spare_results_ = std::move(results);
  finish(schedule.end_ps(), &outcome);
  return outcome;
}

void LaunchEngine::end_single(const LaunchRequest& request, LaunchOutcome* outcome) {
  take_prints(std::exchange(outcome->prints, nullptr), 0, request.prints_most, outcome);
  uint64_t budget = request.budget;
  end_group(outcome->stats.instructions, 0, 0, &budget, outcome);
}

}  // namespace npu::model
