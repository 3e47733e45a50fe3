// SPDX-License-Identifier: Apache-2.0
// Lanes: the internal queues of a communicator. Lane 0 does what is local; each peer has one lane for what goes to it and one for what comes from it, so that a wait for one peer holds up
// nothing else. Lanes wait for each other on the device: each has a word that counts its ticks, which it signals where another lane depends on it.
#pragma once

#include <npu/npu_queue.h>

#include <array>
#include <atomic>
#include <deque>
#include <mutex>
#include <span>
#include <vector>

#include "libnpu/ccl/error.h"

namespace npu::ccl {

inline constexpr uint32_t kLocalLane = 0;
inline constexpr size_t kLaunchArgsMax = 320;
constexpr uint32_t send_lane(uint32_t peer) { return 1 + 2 * peer; }
constexpr uint32_t receive_lane(uint32_t peer) { return 2 + 2 * peer; }

// A point in the work of a lane; tick 0 is the beginning.
struct Tick {
  uint32_t lane = 0;
  uint64_t count = 0;
};

// The end of a command of a lane, and which one of all marks it is.
struct Mark {
  uint32_t lane = 0;
  uint64_t value = 0;  // of the lane's queue
  uint64_t order = 0;
};

class Lanes {
 public:
  Lanes() = default;
  Lanes(const Lanes&) = delete;
  Lanes& operator=(const Lanes&) = delete;
  ~Lanes();

  npuResult create(npuContext context, uint32_t ranks);

  // ---- For the one who submits ----
  void copy(uint32_t lane, npuDevPtr to, npuDevPtr from, uint64_t bytes);
  void signal(uint32_t lane, npuDevPtr word, uint64_t value);
  void wait(uint32_t lane, npuDevPtr word, uint64_t value);
  // |args|: kLaunchArgsMax at most.
  void launch(uint32_t lane, npuKernel kernel, uint32_t groups, std::span<const std::byte> args);
  Tick tick(uint32_t lane);
  void wait_tick(uint32_t lane, Tick tick);
  // Of the command that was added last.
  Mark mark(uint32_t lane);
  // Of what the local lane was given before: when it is idle, it has come to that.
  Mark past() { return {kLocalLane, lanes_[kLocalLane].submitted, ++marks_}; }
  // Submits what was added to all lanes. Blocks while a ring is full.
  npuResult flush();
  // The local lane waits for what |queue| holds now, unless that has ended or is known to the lane, as of operations in a row behind the first: then |out_waits| is left alone, else it becomes true; |queue| waits for what the local lane holds now.
  npuResult begin_after(npuQueue queue, bool* out_waits);
  npuResult end_before(npuQueue queue, uint64_t* out_value);
  // Nothing is left of what the local lane was given, which is the last to end of all.
  bool is_idle() const;
  // What the local lane was given.
  uint64_t submitted() const { return lanes_[kLocalLane].submitted; }

  // ---- For everybody, at any time ----
  npuResult completed(uint64_t* out_value) const;
  // The error of a lane that failed by itself; its number in |out_lane|.
  npuResult first_failure(uint32_t* out_lane) const;
  // Ends all lanes, for ever; queues that wait for them stop with DEPENDENCY_FAILED.
  void cut();
  // Blocks until the device has come to one of |marks|, |out_index|. NPU_NOT_READY: one of them is not submitted yet; NPU_TIMEOUT; else lanes are cut, or have failed.
  npuResult await(std::span<const Mark> marks, int64_t timeout_ns, uint32_t* out_index) const;
  // Makes the device look at its waits: one device does not see that another has signalled in shared memory.
  void nudge();

 private:
  struct Launch {
    npuLaunchInfo info;
    std::array<std::byte, kLaunchArgsMax> args;
  };
  // A queue of the caller's between begin_after() and the next one.
  struct Followed {
    npuQueue queue = nullptr;
    uint64_t begin_value = 0;  // its last command at begin_after()
    uint64_t end_value = 0;    // its wait for the local lane, if that came right after; else 0
  };
  struct Lane {
    npuQueue queue = nullptr;  // guarded by |mutex_|, written by the one who submits
    uint64_t submitted = 0;    // by this lane's timeline; likewise
    uint64_t ticks = 0;
    std::vector<uint64_t> known;  // ticks of each lane that this one has waited for
    std::vector<npuCommand> commands;
  };

  npuDevPtr word(uint32_t lane) const { return words_dva_ + lane * 64; }
  npuCommand& add(uint32_t lane, npuCommandKind kind);
  npuResult open(Lane& lane);
  bool follows(npuQueue queue, uint64_t submitted) const;

  npuContext context_ = nullptr;
  npuDevPtr words_dva_ = 0;
  npuSemaphore nudge_ = nullptr;
  std::atomic<uint64_t> nudges_{0};
  std::vector<Lane> lanes_;
  std::deque<Launch> launches_;  // the commands point to them
  size_t launches_used_ = 0;     // since the last flush()
  Followed followed_;            // the last one
  uint64_t forks_ = 0;
  uint64_t marks_ = 0;
  mutable std::mutex mutex_;
  bool is_cut_ = false;
};

}  // namespace npu::ccl
