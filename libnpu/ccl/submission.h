// SPDX-License-Identifier: Apache-2.0
// Submission: what one call, or one group, has for one communicator. In steps, so that a group can take turns among the communicators of one thread: a step that waits for room in a ring then
// waits for work of which all ranks have submitted their part.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <span>

#include "libnpu/ccl/communicator.h"

namespace npu::ccl {

class Submission {
 public:
  Submission(CommunicatorPtr communicator, std::vector<Request> requests);
  // Others take turns with it in this thread, so what they send does not come during a step.
  void share_thread() { is_alone_ = false; }

  // Records what is called, compares it with what others have called, and waits for the queues. Takes the communicator for this thread.
  npuResult begin();
  npuResult step(bool* out_more);
  npuResult end();
  // All of it, where there is no other one to take turns with.
  npuResult run();

 private:
  struct Messages {  // of one pair and direction
    std::deque<Request> waiting;
    std::unique_ptr<Run> run;
  };

  npuResult sort_requests();
  npuResult pair_own_messages(std::span<const Request* const> sends,
                              std::span<const Request* const> receives);
  npuResult start_run(const Request& request, std::optional<Tick> begin, std::unique_ptr<Run>* out);
  bool begins_now(const Request& request) const;
  npuResult step_collective(bool* out_more);
  npuResult step_messages(bool* out_more);
  // The communicator's failure if it has failed meanwhile, else it fails by |result|.
  npuResult failed(npuResult result);

  CommunicatorPtr comm_;
  std::unique_lock<std::mutex> lock_;
  std::vector<Request> requests_;
  std::vector<npuQueue> queues_;  // each once
  bool waits_ = false;            // for what one of them holds
  bool is_alone_ = true;
  std::vector<const Request*> collectives_;  // of requests_
  size_t ended_collectives_ = 0;
  std::unique_ptr<Run> run_;
  bool overlaps_ = false;                       // it does not wait for what is before it
  bool has_looked_ = false, has_come_ = false;  // for all that it waits for of other hosts
  std::map<uint32_t, Messages> messages_;       // by lane
  std::vector<std::unique_ptr<Run>> ended_messages_;
  std::optional<Tick> messages_begin_;
  Record last_{};
};

// Begins all, steps in turn until nothing is left, ends all. The first error is the result; the others still run to their ends.
npuResult submit_all(std::vector<std::unique_ptr<Submission>>& submissions);

}  // namespace npu::ccl
