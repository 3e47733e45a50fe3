// SPDX-License-Identifier: Apache-2.0
// Communicator: one rank's end of a group of ranks. Its life: init (a thread of its own meets the other ranks), ready, failed. A failure is the first one and stays.
//
// Threads: submit_mutex_ is held while commands are added and submitted, and that may block on full rings; state_mutex_ never while anything blocks. fail_with() takes the second one and, without it, the
// watchdog's turn, in which nobody waits for the first one: so it gets through in every state.
#pragma once

#include <condition_variable>
#include <deque>
#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <thread>

#include "libnpu/ccl/bootstrap.h"
#include "libnpu/ccl/look_choice.h"
#include "libnpu/ccl/mover.h"
#include "libnpu/ccl/plan.h"
#include "libnpu/ccl/request.h"
#include "libnpu/ccl/run.h"
#include "libnpu/ccl/window.h"

namespace npu::ccl {

struct Settings {
  Address address;
  npuContext context = nullptr;
  uint32_t ranks = 1;
  uint32_t rank = 0;
  std::chrono::milliseconds init_timeout{};
  std::chrono::milliseconds op_timeout{};
  uint64_t chunk_bytes = 0;
  npuCclReduceMode reduce_mode = NPU_CCL_REDUCE_CANONICAL;
  std::string choice;  // NPU_CCL_ALGO
  std::chrono::milliseconds heartbeat{};
  std::optional<uint32_t> send_buffer_bytes;  // NPU_CCL_SEND_BUFFER
};

struct Failure {
  npuCclReason reason = NPU_CCL_NO_FAILURE;
  uint32_t rank = 0;
  std::string text;
};

// Questions of a heartbeat.
inline constexpr int kAsks = 4;

class Submission;

class Communicator : public std::enable_shared_from_this<Communicator> {
 public:
  static npuResult create(const Settings& settings, std::shared_ptr<Communicator>* out);
  Communicator(const Settings& settings, const Override& wishes);
  ~Communicator();

  const Settings& settings() const { return settings_; }
  npuCclState state() const;
  Failure failure() const;
  // NPU_OK if it is ready, else the error of a call that needs that.
  npuResult usable() const;
  // Until it is not in init any more.
  void wait_for_start();
  // Waits for the operations, says bye, ends. NPU_OK: nothing was cut off.
  npuResult close();
  // The first one counts. Ends the lanes and tells the other ranks if |tells|.
  void fail_with(Failure failure, bool tells);

  // ---- Reductions ----
  npuResult add_factor(float factor, npuCclRedOp* out);
  npuResult remove_factor(npuCclRedOp op);
  // What |op| means for |request|.
  npuResult resolve(npuCclRedOp op, Request* request) const;

  // The name of the algorithm for |request|.
  npuResult explain(const Request& request, const char** out_name);

  // ---- Exchanges of a split ----
  // Tells |members| this rank's part, and waits for theirs; the own place holds the own one.
  npuResult begin_exchange(const std::vector<bool>& members, const Exchange& mine);
  npuResult end_exchange(const std::vector<bool>& members, const Exchange& mine,
                         std::vector<Exchange>* out);

  // ---- Windows (communicator_windows.cpp) ----
  // The three parts of a registration; each tells the other ranks, the next one waits for what they tell. |bytes| from |base| on.
  npuResult offer_window(npuDevPtr base, uint64_t bytes, std::shared_ptr<Registration>* out);
  npuResult import_windows(Registration* registration);
  npuResult add_window(Registration* registration, npuCclWindow* out);
  // Whether one is between its first part and its end.
  bool is_registering() const;
  // Waits for the operations that were submitted before, at most op_timeout.
  npuResult remove_window(npuCclWindow number);
  npuResult find_window(npuCclWindow number, WindowPtr* out);
  // Whether |request| goes through windows, and where. With submit_mutex_ held.
  void place(Request* request);

  // NPU_NOT_READY while it is in init.
  npuResult rails(uint32_t rank, std::vector<Network::RailState>* out) const;

  // The address on which ranks of a new communicator meet, port 0.
  NetAddress meeting_place() const;

  // ---- For the watchdog ----
  bool has_pending();
  // Whether the device has to be told to look at its waits: another one signals for it, and nothing wakes it.
  bool must_nudge() const { return transport_.memory.has_strangers(); }
  Network& network() { return transport_.network; }
  // True if move() has to be called when a descriptor of the network is ready.
  bool moves() const;
  // Large messages are under way or wait; of a communicator that has failed none are. Any thread.
  bool expects_large() const { return transport_.network.expects_large() && !has_failed(); }
  bool has_failed() const { return state() == NPU_CCL_FAILED; }
  // Moves data between hosts. True: some came. |nudges|: the device is made to look if it has to.
  bool move(bool nudges = true);
  // Calls have seen all that came of late: nobody else need listen to other hosts. Any thread.
  bool is_served() const { return is_served_.load(std::memory_order_seq_cst) && !has_failed(); }
  // In the turn that is the last one: nobody moves anything after it.
  void leave();
  // Descriptors to poll for reading, with the rank of each.
  std::vector<std::pair<int, uint32_t>> sockets() const;
  void read_from(uint32_t rank);
  void judge_loss(Clock::time_point until, std::span<const uint32_t> heard);
  void look();

  // What moves without the watchdog's looks is the mover's.
  void wake_mover();

  // ---- For the mover ----
  // What has to happen on the device before more can move; nothing: nothing of it is known yet.
  Network::Awaited awaited();
  // See Lanes::await().
  npuResult await(std::span<const Mark> marks, int64_t timeout_ns, uint32_t* out_index) const {
    return transport_.lanes.await(marks, timeout_ns, out_index);
  }

 private:
  friend class Submission;
  struct Pending {
    uint64_t begin_value;       // of the local lane: all queues have come to the operation
    uint64_t end_value;         // UINT64_MAX: not all is submitted yet
    Record record;              // sequence 0: a group of messages
    Counts sent{}, received{};  // of the communicator, up to this operation; 0: not known yet
    Counts heard{};             // likewise: Transport::heard
    std::optional<Deadline> deadline;
  };
  struct Link {  // to a peer
    Peer peer;
    FrameReader reader;
    bool is_open = false;
    bool said_bye = false;
    std::deque<Exchange> exchanges;
    std::vector<Fd> fds;  // of the frame that is being read
    std::deque<OfferedWindow> windows;
    std::deque<WindowVerdict> verdicts;
    // While operations are pending, where there are other hosts: the last question, and the first one since the last sign of life.
    Clock::time_point asked_last{};
    std::optional<Clock::time_point> asked_first;
    int asks = 0;  // since then
  };
  // Ranks of other hosts that may have called something else: what arrives is held back until all is known, or enough time has passed.
  struct Suspicion {
    uint64_t sequence;
    Deadline until;
  };

  npuResult prepare();
  void start();
  std::optional<Refusal> meet_others();
  std::vector<RailAddress> rails_of(const std::vector<NetAddress>& own);
  void let_go_of_sources();
  void say_bye();
  void send_last_frames();
  // With the state's mutex held.
  void add_pending(uint64_t begin_value, const Record& record);
  void end_pending();
  void tell_links(FrameKind kind, std::span<const std::byte> payload);
  void take_frame(uint32_t rank, const Frame& frame);
  void take_carried(const Network::Carried& carried);
  void lost(uint32_t rank, bool in_order, int error);
  Failure blame(const Pending& late) const;
  Failure late_message(const Pending& late) const;
  std::optional<Failure> silent_rank(int asks) const;
  std::optional<Failure> beat();
  npuResult record(const Request& request, Record* out);
  npuResult record_message(const Request& request);
  bool is_suspicious() const;
  bool is_waiting() const;
  void suspect(uint64_t sequence);
  void settle();
  void compare(const Network::Arrival& arrival);
  bool find_collective(uint32_t rank, uint64_t sequence, Called* out) const;
  std::optional<Failure> odd_one(uint64_t sequence) const;
  Failure odd_message(uint32_t sender, const Record& sent, uint32_t receiver,
                      const Record& received) const;
  npuResult mismatch(Failure failure);
  npuResult workspace(uint64_t bytes, npuDevPtr* out);
  bool is_full_of_windows();
  // ---- Of calls, with the submitter's mutex held (communicator_network.cpp) ----
  void move_now();
  bool look_for_messages(bool nudges);
  bool look_for_device();
  template <typename Done>
  bool look_until(bool nudges, const Done& is_done);
  void hand_over();
  void serve(bool is_served);
  npuResult send_to_all(const std::vector<std::byte>& frame, int fd);
  template <typename Queue>
  npuResult await_from(uint32_t rank, Queue Link::*queue, uint64_t sequence,
                       typename Queue::value_type* out);
  void take_window(uint32_t rank, const Frame& frame);

  const Settings settings_;
  std::atomic<bool> stop_{false};
  std::thread starter_;

  std::mutex submit_mutex_;
  Transport transport_;
  PlanCache plans_;
  CallChoice choice_;
  std::atomic<bool> is_served_{false};
  npuDevPtr workspace_dva_ = 0;
  uint64_t workspace_bytes_ = 0;
  std::vector<WindowPtr> windows_;
  uint64_t registrations_ = 0;               // begun; guarded by state_mutex_
  std::weak_ptr<Registration> registering_;  // the last one; likewise
  uint64_t collectives_ = 0;
  std::vector<uint64_t> sends_, receives_;  // calls

  mutable std::mutex state_mutex_;
  std::condition_variable changed_;
  npuCclState state_ = NPU_CCL_INIT;
  Failure failure_;
  std::list<Pending> pending_, ended_;  // those that have ended are used again
  std::vector<Link> links_;
  std::vector<std::optional<float>> factors_;
  std::optional<Suspicion> suspicion_;
  bool is_flushed_ = false;
  bool is_closed_ = false;  // the one who ends it has the network to itself; guarded by the turn
  uint64_t pings_ = 0;
  std::unique_ptr<Mover>
      mover_;  // where there are ranks of other hosts; ends before all that it uses
};

using CommunicatorPtr = std::shared_ptr<Communicator>;

}  // namespace npu::ccl
