// SPDX-License-Identifier: Apache-2.0
// Queue: the timeline of values 1, 2, 3, ... over a Ring, and over the rings that resets put in its place.
//
// A value is: of an earlier ring (<= base_), else command value - base_ - 1 of the present one. A queue stops for ever (until reset) at the first failure: one that the device found
// (Ring::failure), or one that only the library sees (failure_): a queue that was waited for has failed, or was destroyed.
//
// Waiting for another queue is a SEM_WAIT on the other's count of completed commands. That count also passes over a command that failed, and never moves again when its queue is dead, so
// each such wait is also kept as a Dependency. settle() decides the dependencies before a value of this queue is waited for, oldest first, and without
// recursion; one that failed stops this queue with NPU_ERROR_DEPENDENCY_FAILED.
//
// Thread safety: all functions. Two queues' mutexes are never held together.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "libnpu/src/core/object.h"
#include "libnpu/src/core/point.h"
#include "libnpu/src/core/print.h"
#include "libnpu/src/core/print_buffer.h"
#include "libnpu/src/core/ring.h"
#include "libnpu/src/core/spin_choice.h"
#include "libnpu/src/core/status.h"
#include "libnpu/src/core/time.h"
#include "libnpu/src/core/watch.h"

namespace npu {

class Capture;
class Context;
class ExternalWork;
class Graph;
class Kernel;
class QueueActivity;
class QueueAccesses;
struct GraphNode;
struct SubmissionNotes;
struct Access;
struct UsedBy;

// A function of the host in queue order (npuHostFunction).
struct HostCall {
  void (*function)(npuResult status, void* user_data) = nullptr;
  void* user_data = nullptr;
};

// A command, and what belongs to it until it lies in the ring.
struct Submission {
  npu_cmd command{};  // not of a host call
  HostCall host = {};
  const void* args = nullptr;
  uint32_t args_bytes = 0;
  const Kernel* kernel = nullptr;          // of a launch
  bool runs_kernels = false;               // a list in which there are some
  bool fills = false;                      // likewise
  bool uses_semaphores = false;            // likewise
  bool prints = false;                     // a kernel that prints, or a list with one
  const SubmissionNotes* notes = nullptr;  // of a list, while somebody watches
};

// The failed command that a queue waited for, maybe through others.
struct FaultOrigin {
  uint64_t queue = 0;  // its handle; 0: none
  uint64_t value = 0;
  npuResult code = NPU_OK;
};

// One failed command; the texts are filled in by Context::explain().
struct Fault {
  npuResult code = NPU_OK;
  uint64_t value = 0;
  npu_completion record{};   // all 0 when the library, not the device, stopped the queue
  std::string message = {};  // of a CHECK that failed, or the device's report
  FaultOrigin origin = {};   // of DEPENDENCY_FAILED
};

class Queue final : public Object {
 public:
  static constexpr Kind kKind = Kind::kQueue;

  static Result<Ref<Queue>> create(Ref<Context> context, const RingOptions& options,
                                   int64_t spin_ns);

  Context& context() const { return *context_; }

  // Submits commands in this order, with few rings of the doorbell: a long batch has begun to run before all of it lies in the ring. Blocks while the ring is full. The value of the last one.
  Status submit(std::span<const Submission> batch, uint64_t* out_value);
  // As submit(), and nothing comes between them.
  Status submit_together(std::span<const Submission> batch, uint64_t* out_value);
  // The memory of a long batch, from one to the next: taken anew, its pages would be faulted in each time, which takes as long as the checks.
  std::vector<Submission> take_batch_memory();
  void keep_batch_memory(std::vector<Submission> memory);
  Status submit(const npu_cmd& command, uint64_t* out_value) {
    const Submission one{.command = command};
    return submit({&one, 1}, out_value);
  }
  // Later commands start after |other| has completed |value|. |other| may be this queue.
  Status submit_wait(Ref<Queue> other, uint64_t value, uint64_t* out_value);

  // From begin to end submissions become nodes of a graph (capture.h).
  Status begin_capture();
  Result<Ref<Graph>> end_capture();
  bool is_capturing();
  Status capture_external(std::shared_ptr<ExternalWork> work, uint64_t* out_value);
  // Adds nodes() to the capture. False: there is none.
  bool capture_child(const std::function<std::vector<GraphNode>()>& nodes, Status* out_status,
                     uint64_t* out_value);
  // This queue's next node comes after |nodes|.
  Status join_capture(const std::shared_ptr<Capture>& capture, std::span<const uint32_t> nodes);

  // Of the callback thread: whether there are host calls, the value of the next one, and running it if the queue has come to it or never will. False: nothing was run.
  bool has_host_calls();
  uint64_t next_host_call();
  bool run_host_call();

  uint64_t submitted();
  // The largest value that has ended.
  Status completed(uint64_t* out_value);
  // NPU_OK, NPU_TIMEOUT, or the error that reached |value| or one before it.
  Status wait(uint64_t value, const Deadline& deadline);
  Status wait_all(const Deadline& deadline);
  // NPU_OK, NPU_NOT_READY or the error.
  Status poll(uint64_t value);
  // As poll(), from memory alone: without a system call, and NPU_NOT_READY as long as dependencies are undecided.
  Status peek(uint64_t value);
  // As poll(). NPU_NOT_READY: the eventfd |fd| is added to when poll() may say something else.
  Status watch(uint64_t value, int fd, Watch* watch);
  // For a sleep on several queues: the ring that has to come to |*out_count|. Empty: |value| has ended, or other queues decide too.
  std::shared_ptr<Ring> ring_for(uint64_t value, uint64_t* out_count);
  // Asks the driver to look at a word of memory whenever this queue has moved.
  void watch_word(uint32_t bo_handle, uint64_t offset, uint64_t value, int fd, Watch* watch);
  // Rings without new commands, so that the device looks at all that waits. False: the queue has stopped.
  bool ring_again();
  // A descriptor that is readable when poll() says something else than NPU_NOT_READY. The caller closes it.
  Result<int> make_fd(uint64_t value);

  Status timing(uint64_t value, uint64_t* out_start_ps, uint64_t* out_end_ps);
  // The record of a completed value.
  Status record(uint64_t value, npu_completion* out);
  // What has failed, oldest first; the first one; and the first one of these values.
  std::vector<Fault> faults();
  std::optional<Fault> fault();
  std::optional<Fault> fault_in(uint64_t first, uint64_t last);
  struct Counters {
    uint64_t submitted = 0;
    uint64_t completed = 0;
    uint64_t failed = 0;   // since the last reset
    uint64_t time_ps = 0;  // likewise
  };
  Counters counters();
  uint64_t ring_bytes() const { return uint64_t{NPU_CMD_BYTES} << options_.entries_log2; }
  bool goes_on_after_errors() const { return options_.goes_on; }
  Status reset();
  // Ends the device queue. Waiters return. Idempotent.
  void close();
  void end(HandleTable&) override { close(); }

  // Hands over what kernels have printed. Nobody else does so meanwhile, and the caller holds no lock.
  void deliver_prints();
  bool may_print() const { return may_print_.load(std::memory_order_relaxed); }
  // Takes it out of the buffer, for a delivery later: the names of a module are about to go.
  void collect_prints();

  // Marks everything submitted so far.
  Result<std::shared_ptr<Point>> mark();
  // NPU_NOT_READY until the point has a device time.
  Status time_of(Point& point, uint64_t* out_ps);

  // Activities (activity.h): the last value that was noted and has not ended for sure, else 0; taking over what has ended.
  uint64_t noted_until();
  void harvest(bool forget_rest = false);

  // For the layer "validation": a command that has not ended and uses the range; whether a command that has not ended waits for others.
  std::optional<UsedBy> find_use(const Access& range);
  bool has_open_wait();

  // For memory that work of this queue may still use: the last submitted value if that work has not ended, else 0.
  uint64_t busy_until();
  bool has_passed(uint64_t value);

 private:
  struct Dependency {
    uint64_t own_value = 0;
    Ref<Queue> other;
    uint64_t value = 0;
  };
  struct PendingCall {
    uint64_t value = 0;
    uint64_t ticket = 0;
    std::shared_ptr<Ring> ring;
    HostCall call;
  };
  struct Range {
    uint64_t first = 0;
    uint64_t last = 0;
  };
  struct LibraryFailure {
    npuResult code = NPU_OK;
    uint64_t value = 0;
    FaultOrigin origin = {};
  };

  Queue(Ref<Context> context, const RingOptions& options, int64_t spin_ns);
  ~Queue() override;

  // What is known of |value| now: NPU_OK, NPU_NOT_READY, or an error. Dependencies are not looked at.
  Status look_locked(uint64_t value);
  // First value that failed, as far as known; UINT64_MAX: none. *out_code its error.
  uint64_t first_failure_locked(npuResult* out_code);
  uint64_t ended_locked();
  Status usable_locked();
  // Takes the faults of a queue that goes on out of its records, up to command |count| of the ring.
  void scan_locked(uint64_t count);
  const Fault* kept_fault_locked(uint64_t value) const;
  std::optional<Fault> stop_fault_locked();
  void keep_time_locked(uint64_t seq_of_slot);
  uint64_t push_locked(const Submission& one);
  void note_locked(const Submission& one, uint64_t seq);
  void note_uses_locked(const Submission& one, uint64_t value);
  void end_notes_locked();
  bool can_block_locked(std::span<const Submission> batch, uint64_t value);
  uint64_t push_host_call_locked(const HostCall& call);
  // What a host call is told, or NPU_NOT_READY.
  npuResult call_status(const PendingCall& call);
  Status submit_batch(std::span<const Submission> batch, uint32_t together, uint64_t* out_value);
  Status prepare_prints(std::unique_lock<std::mutex>& lock);
  void collect_prints_locked();
  void keep_text_locked(uint64_t value, std::string text);
  std::vector<Fault> known_faults_locked();
  // Where the failure of |value| began.
  FaultOrigin origin_of(uint64_t value, npuResult code);
  Status wait_for_room(std::unique_lock<std::mutex>& lock, uint32_t slots, uint32_t args_bytes);

  // What a queue that is not of class COMPUTE does not do.
  Status refuse_others(std::span<const Submission> batch) const;
  Status capture_locked(std::span<const Submission> batch, uint64_t* out_value);
  Status capture_wait(Queue& other, uint64_t value);
  Status refuse_in_capture(const char* what);
  static void release_captured(Capture& capture);

  Status notify_locked(uint64_t count, int fd, Watch* watch);
  Status watch_here(uint64_t value, bool death_only, int fd, Watch* watch,
                    std::vector<Dependency>* out_next);
  Status wait_here(uint64_t value, const Deadline& deadline);
  Status settle(uint64_t value, const Deadline& deadline);
  Status wait_with_dependencies(uint64_t value, const Deadline& deadline);
  bool first_dependency(uint64_t value, Dependency* out);
  // |result|: what became of the oldest dependency.
  Status end_dependency(const Dependency& dependency, Status result, const Deadline& deadline);
  void notice_loss();
  // The device will never touch memory for this queue again.
  bool is_stopped_locked() const {
    return closed_ || failure_.code != NPU_OK || ring_->failure().status != 0;
  }

  const Ref<Context> context_;
  const RingOptions options_;
  const bool takes_reports_;  // of every launch, whether it prints or not
  std::atomic<uint32_t> dependency_count_{0};
  SpinChoice spin_choice_;

  std::mutex mutex_;  // of all below
  std::shared_ptr<Ring> ring_;
  uint64_t base_ = 0;  // values before the present ring
  uint64_t incarnation_ = 0;
  bool closed_ = false;
  LibraryFailure failure_;
  std::vector<Range> cancelled_;  // by resets
  std::deque<Dependency> dependencies_;
  std::deque<std::shared_ptr<Point>> points_;  // ascending values
  std::deque<Fault> kept_faults_;              // of a queue that goes on, by value
  uint64_t scanned_ = 0;                       // commands of the ring whose records were looked at
  uint64_t seen_errors_ = 0;
  std::shared_ptr<Capture> capture_;
  std::vector<uint32_t> tail_;     // nodes that the next one of the capture comes after
  std::deque<PendingCall> calls_;  // not yet begun
  std::vector<Submission> batch_memory_;
  std::vector<std::pair<uint64_t, Watch>> watches_;  // of descriptors that were handed out
  std::unique_ptr<PrintBuffer> print_buffer_;        // made for the first launch that prints
  bool print_ready_ = false;                         // the present ring has been told of it
  std::deque<Printed> printed_;                      // taken, and not yet handed over
  uint64_t print_dropped_ = 0;                       // likewise, where there was no message to tell
  std::map<uint64_t, std::string> assert_texts_;     // of CHECKs that failed, and reports, by value

  // Before mutex_; held while functions of the user run, which may come back here.
  std::recursive_mutex delivery_mutex_;
  bool delivering_ = false;
  std::atomic<bool> may_print_{false};       // there is a print buffer
  std::unique_ptr<QueueActivity> activity_;  // nullptr: nothing was noted
  std::unique_ptr<QueueAccesses> uses_;      // likewise
  // Value of the last command that waits for others, while somebody watches.
  uint64_t last_wait_ = 0;
};

}  // namespace npu
