// SPDX-License-Identifier: Apache-2.0
// Windows of a communicator. All ranks register memory of one size: each offers its own to the others over the control connections, maps theirs, and tells whether that went well; there is a window
// if all say so, so that all ranks have it or none. An operation whose buffers lie in windows writes down where, and the others compare that with theirs as they do with the rest of the call.
#include <algorithm>
#include <cinttypes>
#include <cstring>

#include "libnpu/ccl/communicator.h"
#include "libnpu/ccl/watchdog.h"

namespace npu::ccl {
namespace {

constexpr size_t kFramesMax = 8;  // of a kind, of registrations that this rank has yet to call

void say(WindowVerdict* verdict, WindowState state, const std::string& text) {
  if (verdict->state >= state) return;  // a refusal counts more than apart, that more than shared
  verdict->state = state;
  const size_t length = text.copy(verdict->text, sizeof(verdict->text) - 1);
  verdict->text[length] = '\0';
}

std::string rank_text(uint32_t rank, const std::string& text) {
  return "rank " + std::to_string(rank) + ": " + text;
}

}  // namespace

npuResult Communicator::send_to_all(const std::vector<std::byte>& frame, int fd) {
  std::lock_guard lock(state_mutex_);
  for (uint32_t rank = 0; rank < settings_.ranks; rank++) {
    if (rank == settings_.rank) continue;
    const std::span<const int> fds(&fd, fd >= 0 ? 1 : 0);
    if (!links_[rank].is_open || !send_now(links_[rank].peer.control, frame, fds)) {
      return ccl::fail(NPU_ERROR_DEPENDENCY_FAILED, "rank %u is gone", rank);
    }
  }
  return NPU_OK;
}

bool Communicator::is_full_of_windows() {
  std::lock_guard lock(submit_mutex_);
  return windows_.size() >= kWindowsMax;
}

bool Communicator::is_registering() const {
  std::lock_guard lock(state_mutex_);
  return !registering_.expired();
}

npuResult Communicator::offer_window(npuDevPtr base, uint64_t bytes,
                                     std::shared_ptr<Registration>* out) {
  NPU_CCL_TRY(usable());
  auto made = std::make_shared<Registration>();
  made->window = std::make_shared<Window>(settings_.context, settings_.ranks, base, bytes);
  {
    std::lock_guard lock(state_mutex_);
    made->sequence = ++registrations_;
    registering_ = made;
  }
  made->mine.sequence = made->verdict.sequence = made->sequence;
  made->mine.size_bytes = bytes;
  if (is_full_of_windows()) {
    made->mine.state = WindowState::kRefused;
    std::snprintf(made->mine.text, sizeof(made->mine.text), "rank %u has %zu windows",
                  settings_.rank, kWindowsMax);
  } else {
    offer_memory(settings_.context, settings_.rank, base, bytes, &made->mine,
                 &made->window->allocation_id, &made->fd);
  }
  for (uint32_t rank = 0; rank < settings_.ranks && made->fd; rank++) {
    if (!transport_.network.is_remote(rank)) continue;
    made->mine.state = WindowState::kApart;
    std::snprintf(made->mine.text, sizeof(made->mine.text), "rank %u and rank %u are on two hosts",
                  std::min(rank, settings_.rank), std::max(rank, settings_.rank));
    made->fd = {};
  }
  say(&made->verdict, made->mine.state, made->mine.text);
  NPU_CCL_TRY(send_to_all(make_frame(FrameKind::kWindow, made->mine), made->fd.get()));
  *out = std::move(made);
  return NPU_OK;
}

// What |rank| has sent for the registration |sequence|. Who does not send it in time fails the communicator: the next registration could not be told from this one.
template <typename Queue>
npuResult Communicator::await_from(uint32_t rank, Queue Link::*queue, uint64_t sequence,
                                   typename Queue::value_type* out) {
  const Deadline deadline = Clock::now() + settings_.op_timeout;
  bool came_out_of_place = false;
  {
    std::unique_lock lock(state_mutex_);
    Link& link = links_[rank];
    changed_.wait_until(lock, deadline, [&] {
      return !(link.*queue).empty() || !link.is_open || state_ != NPU_CCL_READY;
    });
    if (!(link.*queue).empty() && state_ == NPU_CCL_READY) {
      *out = std::move((link.*queue).front());
      (link.*queue).pop_front();
      if (sequence_of(*out) == sequence) return NPU_OK;
      came_out_of_place = true;
    } else if (!link.is_open) {
      return ccl::fail(NPU_ERROR_DEPENDENCY_FAILED, "rank %u is gone", rank);
    }
  }
  if (came_out_of_place) {
    fail_with({NPU_CCL_PROTOCOL, rank, rank_text(rank, "sent what is no window")}, true);
    return usable();
  }
  fail_with(
      {NPU_CCL_TIMEOUT, rank,
       "rank " + std::to_string(rank) + " has not registered window " + std::to_string(sequence) +
           " within " + std::to_string(settings_.op_timeout.count()) + " ms"},
      true);
  return usable();
}

npuResult Communicator::import_windows(Registration* registration) {
  Registration& r = *registration;
  for (uint32_t rank = 0; rank < settings_.ranks; rank++) {
    OfferedWindow theirs;
    if (rank == settings_.rank) continue;
    NPU_CCL_TRY(await_from(rank, &Link::windows, r.sequence, &theirs));
    const WindowOffer& offer = theirs.offer;
    say(&r.verdict, offer.state, offer.text);
    if (offer.state == WindowState::kRefused) continue;
    if (offer.size_bytes != r.mine.size_bytes) {
      const uint32_t first = std::min(rank, settings_.rank);
      say(&r.verdict, WindowState::kRefused,
          rank_text(first, "registers ") +
              std::to_string(first == rank ? offer.size_bytes : r.mine.size_bytes) +
              " bytes, rank " + std::to_string(std::max(rank, settings_.rank)) + " " +
              std::to_string(first == rank ? r.mine.size_bytes : offer.size_bytes));
    } else if (r.verdict.state == WindowState::kShared &&
               r.window->import(rank, offer, theirs.fd) != NPU_OK) {
      say(&r.verdict, WindowState::kApart,
          rank_text(settings_.rank, "the memory of rank " + std::to_string(rank) +
                                        " cannot be mapped: " + error_text()));
    }
  }
  return send_to_all(make_frame(FrameKind::kWindowVerdict, r.verdict), -1);
}

npuResult Communicator::add_window(Registration* registration, npuCclWindow* out) {
  Registration& r = *registration;
  WindowVerdict all = r.verdict;
  for (uint32_t rank = 0; rank < settings_.ranks; rank++) {
    WindowVerdict theirs;
    if (rank == settings_.rank) continue;
    NPU_CCL_TRY(await_from(rank, &Link::verdicts, r.sequence, &theirs));
    say(&all, theirs.state, theirs.text);
  }
  if (all.state == WindowState::kRefused) {
    return ccl::fail(NPU_ERROR_INVALID_ARGUMENT, "there is no window: %s", all.text);
  }
  WindowPtr window = r.window;
  if (all.state == WindowState::kApart) {  // what was mapped of it is of no use
    window = std::make_shared<Window>(settings_.context, settings_.ranks, window->base_dva,
                                      window->size_bytes);
    window->reason = all.text;
  }
  window->is_mapped = all.state == WindowState::kShared;
  window->number = static_cast<npuCclWindow>(r.sequence);
  std::lock_guard lock(submit_mutex_);
  windows_.push_back(window);
  *out = window->number;
  return NPU_OK;
}

void Communicator::take_window(uint32_t rank, const Frame& frame) {
  Link& link = links_[rank];
  std::vector<Fd> fds = std::exchange(link.fds, {});
  bool is_right = false;
  if (frame.kind == FrameKind::kWindow) {
    OfferedWindow offered{frame.as<WindowOffer>(), {}};
    const bool is_shared = offered.offer.state == WindowState::kShared;
    is_right = is_valid(offered.offer) && fds.size() == (is_shared ? 1 : 0);
    if (is_shared && is_right) offered.fd = std::move(fds[0]);
    std::lock_guard lock(state_mutex_);
    is_right = is_right && link.windows.size() < kFramesMax;
    if (is_right) link.windows.push_back(std::move(offered));
  } else {
    const auto verdict = frame.as<WindowVerdict>();
    std::lock_guard lock(state_mutex_);
    is_right = is_valid(verdict) && link.verdicts.size() < kFramesMax;
    if (is_right) link.verdicts.push_back(verdict);
  }
  if (is_right) return changed_.notify_all();
  fail_with({NPU_CCL_PROTOCOL, rank, rank_text(rank, "sent what is no window")}, true);
}

npuResult Communicator::find_window(npuCclWindow number, WindowPtr* out) {
  std::lock_guard lock(submit_mutex_);
  const auto found = std::find_if(windows_.begin(), windows_.end(),
                                  [&](const WindowPtr& one) { return one->number == number; });
  if (found == windows_.end()) {
    return ccl::fail(NPU_ERROR_NOT_FOUND, "the communicator has no window %u", number);
  }
  *out = *found;
  return NPU_OK;
}

npuResult Communicator::remove_window(npuCclWindow number) {
  WindowPtr window;
  NPU_CCL_TRY(find_window(number, &window));
  {
    std::lock_guard lock(submit_mutex_);
    std::erase(windows_, window);
  }
  // Operations that were submitted with it. A communicator that has failed has let go of its queues.
  const Deadline deadline = Clock::now() + settings_.op_timeout;
  Watchdog::get().wake();
  std::unique_lock lock(state_mutex_);
  const uint64_t last = pending_.empty() ? 0 : pending_.back().begin_value;
  const bool ended = changed_.wait_until(lock, deadline, [&] {
    return state_ != NPU_CCL_READY || pending_.empty() || pending_.front().begin_value > last;
  });
  if (ended) return NPU_OK;
  return ccl::fail(NPU_TIMEOUT, "operations in window %u did not end in time", number);
}

void Communicator::place(Request* request) {
  const Problem& p = request->problem;
  const Reach reach = reach_of(p.op);
  request->problem.in_windows = false;
  request->placed = {};
  request->reached = {};
  if (windows_.empty() || p.ranks == 1 || request->scales_input || !(reach.input || reach.output)) {
    return;
  }
  const uint64_t element = bytes_of(request->reduction.type);
  // First, as it costs less than finding out where the buffers lie.
  PlanPtr plan;
  request->problem.in_windows = true;
  const npuResult found = plans_.find(p, {element, sizeof(float)}, &plan);
  request->problem.in_windows = false;
  if (found != NPU_OK || !plan->is_window()) return;
  // Nothing: some rank's buffer would not fit.
  const auto window_of = [&](npuDevPtr at, auto count_at) -> const Window* {
    for (const WindowPtr& one : windows_) {
      if (!one->is_mapped || !one->holds(at, 0)) continue;
      bool fits = true;
      for (uint32_t rank = 0; rank < p.ranks; rank++) {
        fits = fits && one->holds(at, count_at(rank) * element);
      }
      if (fits && one->is_there()) return one.get();
    }
    return nullptr;
  };
  const Window* const send =
      reach.input ? window_of(request->send, [&](uint32_t r) { return p.input_count(r); })
                  : nullptr;
  const Window* const recv =
      reach.output ? window_of(request->recv, [&](uint32_t r) { return p.output_count(r); })
                   : nullptr;
  if (reach.input != (send != nullptr) || reach.output != (recv != nullptr)) return;
  request->problem.in_windows = true;
  if (send != nullptr) {
    request->placed.send_window = send->number;
    request->placed.send_offset = request->send - send->base_dva;
    request->reached.input = {send->peers_dva.data(), request->placed.send_offset};
  }
  if (recv != nullptr) {
    request->placed.recv_window = recv->number;
    request->placed.recv_offset = request->recv - recv->base_dva;
    request->reached.output = {recv->peers_dva.data(), request->placed.recv_offset};
  }
}

}  // namespace npu::ccl
