// SPDX-License-Identifier: Apache-2.0
// The collection of activities, and the list of queues that have some.
#include "libnpu/src/core/activity.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <mutex>
#include <unordered_set>

#include "libnpu/src/core/error.h"
#include "libnpu/src/core/queue.h"
#include "libnpu/src/core/trace.h"

namespace npu {
namespace {

constexpr uint32_t kCapacityDefault = 65536;
constexpr uint32_t kCapacityMax = 1 << 24;
// Records that are taken out in one go, so that a submitting thread never waits long.
constexpr uint32_t kReadStep = 64;

// Plain globals without destructors, as in library.cpp.
std::mutex g_collection_mutex;                      // of what follows
std::vector<npuProfActivity>* g_records = nullptr;  // a ring; nullptr: never started
size_t g_first = 0;
size_t g_count = 0;
uint64_t g_dropped = 0;
bool g_runs = false;

std::mutex g_queues_mutex;
std::unordered_set<Queue*>* g_queues = nullptr;
std::unordered_set<Queue*>* g_abandoned =
    nullptr;  // of the parent; kept so that it stays reachable

// Between two writes of the trace, while calls are made.
constexpr int64_t kFreshNs = 20'000'000;
std::atomic<int64_t> g_fresh_until_ns{0};

std::atomic<uint32_t> g_collected_kinds{0};
std::atomic<bool> g_traced{false};

void update_hook() {
  Hooks::set(Hook::kActivities, g_traced.load() || g_collected_kinds.load() != 0);
}

Status not_running() {
  const Status status = fail(NPU_ERROR_NOT_FOUND, "no activities are collected");
  set_remedy("Call npuProfStart first.");
  return status;
}

std::vector<Ref<Queue>> noted_queues() {
  std::vector<Ref<Queue>> queues;
  std::lock_guard lock(g_queues_mutex);
  if (g_queues == nullptr) return queues;
  for (Queue* queue : *g_queues) queues.push_back(Ref<Queue>::share(queue));
  return queues;
}

void collect(const npuProfActivity& activity) {
  std::lock_guard lock(g_collection_mutex);
  if (!g_runs) return;
  if (g_count == g_records->size()) {
    g_dropped++;
    return;
  }
  (*g_records)[(g_first + g_count++) % g_records->size()] = activity;
}

}  // namespace

Status Activities::start(uint32_t kinds, uint32_t capacity_records) {
  if (kinds == 0 || (kinds & ~NPU_PROF_ALL) != 0) {
    return fail(NPU_ERROR_INVALID_ARGUMENT, "kinds is 0x%x, it must be bits of 0x%x", kinds,
                NPU_PROF_ALL);
  }
  if (capacity_records > kCapacityMax) {
    return fail(NPU_ERROR_INVALID_ARGUMENT, "capacity_records is %u, at most %u are possible",
                capacity_records, kCapacityMax);
  }
  const uint32_t capacity = capacity_records == 0 ? kCapacityDefault : capacity_records;
  std::lock_guard lock(g_collection_mutex);
  if (g_runs) {
    const Status status = fail(NPU_ERROR_BUSY, "activities are collected already");
    set_remedy("Only one collection can run in a process: end the other with npuProfStop.");
    return status;
  }
  auto records = std::make_unique<std::vector<npuProfActivity>>(capacity);
  delete g_records;
  g_records = records.release();
  g_first = g_count = 0;
  g_dropped = 0;
  g_runs = true;
  g_collected_kinds.store(kinds);
  update_hook();
  return Status::ok();
}

Status Activities::stop() {
  harvest();
  {
    std::lock_guard lock(g_collection_mutex);
    if (!g_runs) return not_running();
    g_runs = false;
    g_collected_kinds.store(0);
    update_hook();
  }
  if (g_traced.load()) return Status::ok();
  for (const Ref<Queue>& queue : noted_queues()) queue->harvest(true);
  return Status::ok();
}

Status Activities::flush(const Deadline& deadline) {
  {
    std::lock_guard lock(g_collection_mutex);
    if (!g_runs) return not_running();
  }
  Status worst = Status::ok();
  for (const Ref<Queue>& queue : noted_queues()) {
    const uint64_t value = queue->noted_until();
    const Status status = value == 0 ? Status::ok() : queue->wait(value, deadline);
    // How the work ended is told by its records.
    if (status.code() == NPU_TIMEOUT || status.code() == NPU_ERROR_IN_CALLBACK) worst = status;
    queue->harvest();
  }
  return worst;
}

Status Activities::read(uint32_t room, npuProfActivity* out, uint32_t* out_count,
                        uint32_t* out_left, uint64_t* out_dropped) {
  harvest();
  *out_count = 0;
  for (;;) {
    std::lock_guard lock(g_collection_mutex);
    if (g_records == nullptr) return not_running();
    const auto step = static_cast<uint32_t>(
        std::min<size_t>({g_count, kReadStep, out == nullptr ? 0 : room - *out_count}));
    for (uint32_t i = 0; i < step; i++) {
      out[(*out_count)++] = (*g_records)[g_first];
      g_first = (g_first + 1) % g_records->size();
      g_count--;
    }
    *out_left = static_cast<uint32_t>(g_count);
    *out_dropped = g_dropped;
    if (step == 0) return Status::ok();
  }
}

void Activities::end() {
  std::lock_guard lock(g_collection_mutex);
  g_runs = false;
  g_collected_kinds.store(0);
  update_hook();
  delete g_records;
  g_records = nullptr;
}

void Activities::set_trace(bool on) {
  g_traced.store(on);
  update_hook();
}

bool Activities::wants(npuProfKind kind) {
  return g_traced.load(std::memory_order_relaxed) ||
         (g_collected_kinds.load(std::memory_order_relaxed) >> kind & 1) != 0;
}

void Activities::add(const npuProfActivity& activity) {
  if ((g_collected_kinds.load(std::memory_order_relaxed) >> activity.kind & 1) != 0) {
    collect(activity);
  }
  if (g_traced.load(std::memory_order_relaxed)) Trace::write(activity);
}

void Activities::add_dropped(uint64_t count) {
  if (count == 0) return;
  std::lock_guard lock(g_collection_mutex);
  g_dropped += count;
}

void Activities::add_call(const Call& call) {
  npuProfActivity record{};
  record.struct_size = sizeof record;
  record.kind = NPU_PROF_CALL;
  record.result = call.result();
  record.correlation_id = call.id();
  record.thread_id = call.thread_id();
  record.queued_ns = record.host_start_ns = call.enter_ns();
  record.submitted_ns = record.host_end_ns = call.leave_ns();
  std::snprintf(record.name, sizeof record.name, "%s", call.function());
  add(record);
}

void Activities::enter_queue(Queue* queue) {
  std::lock_guard lock(g_queues_mutex);
  if (g_queues == nullptr) g_queues = new std::unordered_set<Queue*>;
  g_queues->insert(queue);
}

void Activities::leave_queue(Queue* queue) {
  std::lock_guard lock(g_queues_mutex);
  if (g_queues != nullptr) g_queues->erase(queue);
}

void Activities::harvest() {
  for (const Ref<Queue>& queue : noted_queues()) queue->harvest();
}

void Activities::keep_trace_fresh(bool now) {
  if (!g_traced.load(std::memory_order_relaxed)) return;
  const int64_t time_ns = Deadline::now_ns();
  if (!now && time_ns < g_fresh_until_ns.load(std::memory_order_relaxed)) return;
  g_fresh_until_ns.store(time_ns + kFreshNs, std::memory_order_relaxed);
  harvest();
  Trace::flush();
}

void Activities::before_fork() {
  g_collection_mutex.lock();
  g_queues_mutex.lock();
}

void Activities::after_fork_in_parent() {
  g_queues_mutex.unlock();
  g_collection_mutex.unlock();
}

void Activities::after_fork_in_child() {
  g_abandoned = g_queues;  // the parent's objects stay as they are
  g_queues = nullptr;
  g_runs = false;
  g_count = 0;
  g_collected_kinds.store(0);
  g_traced.store(false);
  update_hook();
  after_fork_in_parent();
}

}  // namespace npu
