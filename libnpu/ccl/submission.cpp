// SPDX-License-Identifier: Apache-2.0
// Requests become runs.
#include "libnpu/ccl/submission.h"

#include <npu/npu_memory.h>

#include <algorithm>

#include "libnpu/ccl/watchdog.h"

namespace npu::ccl {
namespace {

uint64_t padded(uint64_t bytes) { return (bytes + 255) / 256 * 256; }

// Operations in a row on longer vectors than this had better overlap, one on the device and one on the cable, than be looked for one after the other.
constexpr uint64_t kLookedForInARowBytes = 32 << 10;

}  // namespace

Submission::Submission(CommunicatorPtr communicator, std::vector<Request> requests)
    : comm_(std::move(communicator)), requests_(std::move(requests)) {}

npuResult Submission::failed(npuResult result) {
  if (comm_->state() != NPU_CCL_FAILED) {
    const uint32_t rank = comm_->settings().rank;
    comm_->fail_with({NPU_CCL_DEVICE, rank,
                      "rank " + std::to_string(rank) + " could not submit: " + error_text()},
                     true);
    return result;
  }
  return comm_->usable();
}

npuResult Submission::pair_own_messages(std::span<const Request* const> sends,
                                        std::span<const Request* const> receives) {
  if (sends.size() != receives.size()) {
    return fail(NPU_ERROR_INVALID_ARGUMENT,
                "a rank sends to itself %zu times and receives from itself %zu times in this group",
                sends.size(), receives.size());
  }
  for (size_t i = 0; i < sends.size(); i++) {
    Request both = *sends[i];
    both.recv = receives[i]->recv;
    if (both.problem.count != receives[i]->problem.count ||
        both.reduction.type != receives[i]->reduction.type) {
      return fail(NPU_ERROR_INVALID_ARGUMENT, "a rank's send to itself and its receive differ");
    }
    messages_[kLocalLane].waiting.push_back(both);
  }
  return NPU_OK;
}

npuResult Submission::sort_requests() {
  const uint32_t own = comm_->settings().rank;
  std::vector<const Request*> own_sends, own_receives;
  for (const Request& request : requests_) {
    const Problem& p = request.problem;
    if (std::find(queues_.begin(), queues_.end(), request.queue) == queues_.end()) {
      queues_.push_back(request.queue);
    }
    if (!request.is_message()) {
      collectives_.push_back(&request);
    } else if (p.root == p.peer) {
      (request.sends_message ? own_sends : own_receives).push_back(&request);
    } else {
      messages_[p.root == own ? send_lane(p.peer) : receive_lane(p.root)].waiting.push_back(
          request);
    }
  }
  return pair_own_messages(own_sends, own_receives);
}

npuResult Submission::begin() {
  lock_ = std::unique_lock(comm_->submit_mutex_);
  NPU_CCL_TRY(comm_->usable());
  for (Request& request : requests_) comm_->place(&request);
  NPU_CCL_TRY(sort_requests());
  for (const Request& request : requests_) {
    if (request.is_message() && request.problem.root == request.problem.peer) continue;
    NPU_CCL_TRY(request.is_message() ? comm_->record_message(request)
                                     : comm_->record(request, &last_));
  }
  Lanes& lanes = comm_->transport_.lanes;
  for (npuQueue queue : queues_) {
    if (const npuResult result = lanes.begin_after(queue, &waits_); result != NPU_OK) {
      return failed(result);
    }
  }
  {
    // From here on: what blocks for room in a ring needs the watchdog too.
    std::lock_guard lock(comm_->state_mutex_);
    comm_->add_pending(lanes.submitted(), last_);
  }
  Watchdog::get().expect();
  return NPU_OK;
}

// |begin|: nothing: after all that the local lane holds now.
npuResult Submission::start_run(const Request& request, std::optional<Tick> begin,
                                std::unique_ptr<Run>* out) {
  Transport& t = comm_->transport_;
  Problem problem = request.problem;
  Reduction reduction = request.reduction;
  const uint64_t element = bytes_of(reduction.type);
  problem.in_place = problem.in_place && !request.scales_input;
  PlanPtr plan;
  NPU_CCL_TRY(comm_->plans_.find(problem, {element, sizeof(float)}, &plan));
  const uint64_t scratch = padded(plan->schedule.scratch_count * element);
  const uint64_t partial = padded(plan->schedule.partial_count * sizeof(float));
  const uint64_t count = problem.input_count(t.rank);
  npuDevPtr room = 0;
  NPU_CCL_TRY(comm_->workspace(
      scratch + partial + (request.scales_input ? padded(count * element) : 0), &room));
  npuDevPtr input = request.send;
  if (request.scales_input) {
    input = room + scratch + partial;
    reduction.scales = true;
    const Operand from{request.send};
    if (count != 0) {
      t.reducer.add(t.lanes, kLocalLane, reduction, {input}, {&from, 1}, count);
      begin.reset();
    }
    reduction.scales = false;
  }
  if (!begin) begin = plan->is_serial ? Tick{} : t.lanes.tick(kLocalLane);
  *out = std::make_unique<Run>(t, plan, reduction,
                               (const npuDevPtr[]){input, request.recv, room, room + scratch},
                               request.reached, *begin);
  return NPU_OK;
}

// Whether what a call takes can be taken, and sent, by the host.
bool Submission::begins_now(const Request& request) const {
  const Transport& t = comm_->transport_;
  return !waits_ && !request.scales_input && t.memory.is_on_model() && t.network.address() &&
         (t.lanes.is_idle() || (is_alone_ && !overlaps_ && comm_->look_for_device()));
}

npuResult Submission::step_collective(bool* out_more) {
  if (run_ == nullptr) {
    const Request& request = *collectives_[ended_collectives_];
    overlaps_ = request.problem.count * bytes_of(request.reduction.type) > kLookedForInARowBytes &&
                !comm_->transport_.lanes.is_idle();
    const bool is_now = begins_now(request);
    NPU_CCL_TRY(start_run(request, {}, &run_));
    if (is_now) run_->begin_at_once();
    has_looked_ = has_come_ = false;
  }
  const bool has_more = run_->add_round();
  const bool looks = is_alone_ && !waits_ && !overlaps_ && run_->hears_hosts() &&
                     !run_->hears_large() && !comm_->expects_large();
  if (!looks) comm_->serve(false);
  if (run_->take_sent()) {
    comm_->move_now();
    // Of several rounds the device has to do what is between them.
    has_looked_ = looks && run_->is_one_round();
    has_come_ = has_looked_ && comm_->look_for_messages(false);
  }
  *out_more = true;
  if (!has_more) {
    run_->join();
    run_.reset();
    ended_collectives_++;
  }
  NPU_CCL_TRY(comm_->transport_.lanes.flush());
  if (looks && has_more) return NPU_OK;
  if (looks && !has_looked_) has_come_ = comm_->look_for_messages(true);
  if (looks) comm_->serve(has_come_);
  comm_->hand_over();
  return NPU_OK;
}

npuResult Submission::step_messages(bool* out_more) {
  Lanes& lanes = comm_->transport_.lanes;
  comm_->serve(false);
  if (!messages_begin_) messages_begin_ = lanes.tick(kLocalLane);
  *out_more = false;
  for (auto& [lane, messages] : messages_) {
    if (messages.run == nullptr && messages.waiting.empty()) continue;
    *out_more = true;
    if (messages.run == nullptr) {
      NPU_CCL_TRY(start_run(messages.waiting.front(), *messages_begin_, &messages.run));
      messages.waiting.pop_front();
    }
    if (!messages.run->add_round()) ended_messages_.push_back(std::move(messages.run));
  }
  if (!*out_more) {
    for (const auto& run : ended_messages_) run->join();
  }
  NPU_CCL_TRY(lanes.flush());
  comm_->hand_over();
  return NPU_OK;
}

npuResult Submission::step(bool* out_more) {
  *out_more = false;
  npuResult result = NPU_OK;
  if (ended_collectives_ != collectives_.size()) {
    result = step_collective(out_more);
  } else if (!messages_.empty()) {
    result = step_messages(out_more);
  }
  return result == NPU_OK ? NPU_OK : failed(result);
}

npuResult Submission::end() {
  const Transport& t = comm_->transport_;
  {
    std::lock_guard lock(comm_->state_mutex_);
    if (!comm_->pending_.empty()) {  // it is the last one, unless the communicator has failed
      Communicator::Pending& own = comm_->pending_.back();
      own.end_value = t.lanes.submitted();
      own.sent = t.sent;
      own.received = t.received;
      own.heard = t.heard;
    }
  }
  npuResult result = NPU_OK;
  for (npuQueue queue : queues_) {
    uint64_t value = 0;
    const npuResult one = comm_->transport_.lanes.end_before(queue, &value);
    if (one != NPU_OK && result == NPU_OK) result = failed(one);
    for (const Request& request : requests_) {
      if (request.queue == queue && request.out_value != nullptr) *request.out_value = value;
    }
  }
  return result;
}

npuResult Submission::run() {
  NPU_CCL_TRY(begin());
  for (bool more = true; more;) NPU_CCL_TRY(step(&more));
  return end();
}

npuResult submit_all(std::vector<std::unique_ptr<Submission>>& submissions) {
  npuResult first = NPU_OK;
  std::vector<Submission*> going, ready;
  const auto note = [&](npuResult result) {
    if (result != NPU_OK && first == NPU_OK) first = result;
    return result == NPU_OK;
  };
  for (auto& submission : submissions) {
    if (submissions.size() > 1) submission->share_thread();
    if (note(submission->begin())) going.push_back(submission.get());
  }
  while (!going.empty()) {
    std::erase_if(going, [&](Submission* submission) {
      bool more = false;
      if (!note(submission->step(&more))) return true;
      if (!more) ready.push_back(submission);
      return !more;
    });
  }
  for (Submission* submission : ready) note(submission->end());
  submissions.clear();
  return first;
}

}  // namespace npu::ccl
