// SPDX-License-Identifier: Apache-2.0
// Activities: the records of what was done, from queues and calls to whoever collects them: the program (npuProfStart) and the trace file (NPU_TRACE).
//
// A queue notes each command when it puts it into the ring (QueueActivity) and hands the record over when the command's completion record is read: before its slot is used again, when somebody asks, at
// a reset, at the end of the queue.
//
// Thread safety: all functions of Activities. Lock order: the mutex of a queue, then those of this file; never two of these.
#pragma once

#include <npu/npu_prof.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "libnpu/src/core/access.h"
#include "libnpu/src/core/call.h"
#include "libnpu/src/core/object.h"
#include "libnpu/src/core/status.h"
#include "libnpu/src/core/time.h"
#include "uapi/npu_queue.h"

namespace npu {

class Kernel;
class Queue;
class Ring;
struct Submission;

// The nodes of one launch of a graph, of which the device writes records.
class NodeRecords {
 public:
  virtual ~NodeRecords() = default;
  virtual size_t count() const = 0;
  // Name, sizes, result and times of the node |number|, as the record |exec| of the whole list allows. False: its record was overwritten by another launch.
  virtual bool read(size_t number, const npu_completion& exec, npuProfActivity* out) const = 0;
};

// What is noted of a list beside its command.
struct SubmissionNotes {
  std::shared_ptr<const NodeRecords> nodes;
  std::vector<Access> uses;
};

// Multiply-adds and traffic of |out|, if it is a kernel and |done| its record of success.
void take_work(const npu_completion& done, npuProfActivity* out);

// Kind, name, grid and bytes of a command. |kernel|: of a launch, may be nullptr.
void describe_command(const npu_cmd& command, const Kernel* kernel, npuProfActivity* out);

class Activities {
 public:
  static Status start(uint32_t kinds, uint32_t capacity_records);
  static Status stop();
  static Status flush(const Deadline& deadline);
  static Status read(uint32_t room, npuProfActivity* out, uint32_t* out_count, uint32_t* out_left,
                     uint64_t* out_dropped);
  // At the end of the library: nothing runs and nothing is kept.
  static void end();
  // The trace wants all kinds, or nothing any more.
  static void set_trace(bool on);

  static bool wants(npuProfKind kind);
  static void add_call(const Call& call);
  static void add(const npuProfActivity& activity);
  static void add_dropped(uint64_t count);

  // Queues that have noted something. A queue leaves in its close().
  static void enter_queue(Queue* queue);
  static void leave_queue(Queue* queue);
  // Takes over what has ended in all queues.
  static void harvest();
  // For the trace of a process that will be killed: takes over what has ended and writes it out. |now|: the caller is about to sleep; else only now and then. No mutex may be held.
  static void keep_trace_fresh(bool now);
  // The mutexes of this file around a fork. In the child the parent's queues mean nothing, and nobody reads what it has collected.
  static void before_fork();
  static void after_fork_in_parent();
  static void after_fork_in_child();
};

// What a queue has noted. Thread safety: by the mutex of its queue.
class QueueActivity {
 public:
  // Of command |seq|, which the queue is about to push; its timeline value is |value|.
  void note(Queue& queue, const Submission& one, uint64_t seq, uint64_t value);
  // Hands over what has ended among the first |count| commands of |ring|.
  void harvest(const Ring& ring, uint64_t count);
  // The ring has ended: what has not run never will.
  void end(const Ring& ring, uint64_t count);
  uint64_t last_value() const { return pending_.empty() ? 0 : pending_.back().record.value; }

 private:
  struct Pending {
    uint64_t seq = 0;
    npuProfActivity record{};
    std::shared_ptr<const NodeRecords> nodes;
  };
  void hand_over(Pending& pending, const npu_completion& done);
  static void hand_over_nodes(const Pending& pending, const npu_completion& exec);

  std::deque<Pending> pending_;
  int64_t last_end_ns_ = 0;  // on the host's clock
};

}  // namespace npu
