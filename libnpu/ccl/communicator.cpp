// SPDX-License-Identifier: Apache-2.0
// Life and state of a communicator.
#include "libnpu/ccl/communicator.h"

#include <npu/npu_memory.h>

#include <functional>

#include "libnpu/ccl/watchdog.h"

namespace npu::ccl {
namespace {

constexpr size_t kFactorsMax = 64;
// How long an end waits until the last frames have gone by the rails, and have been answered.
constexpr auto kLastFrames = std::chrono::milliseconds(1000);
constexpr npuCclRedOp kFirstFactor = 0x100;

uint64_t fingerprint(const std::string& text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  return hash;
}

}  // namespace

Communicator::Communicator(const Settings& settings, const Override& wishes)
    : settings_(settings),
      transport_(settings.rank, settings.chunk_bytes),
      plans_(settings.rank, settings.chunk_bytes, wishes),
      sends_(settings.ranks),
      receives_(settings.ranks),
      links_(settings.ranks) {
  transport_.network.set_heartbeat(settings.heartbeat);
}

Communicator::~Communicator() {
  if (workspace_dva_ != 0) npuMemFree(settings_.context, workspace_dva_);
}

npuResult Communicator::create(const Settings& settings, std::shared_ptr<Communicator>* out) {
  std::string error;
  const std::optional<Override> wishes = Override::parse(settings.choice, error);
  if (!wishes) return ccl::fail(NPU_ERROR_BAD_ENVIRONMENT, "NPU_CCL_ALGO: %s", error.c_str());
  auto made = std::make_shared<Communicator>(settings, *wishes);
  NPU_CCL_TRY(made->prepare());
  try {
    made->starter_ = std::thread([comm = made.get()] { comm->start(); });
  } catch (const std::system_error&) {
    return ccl::fail(NPU_ERROR_OUT_OF_HOST_MEMORY, "no thread for the start of the communicator");
  }
  *out = std::move(made);
  return NPU_OK;
}

npuResult Communicator::prepare() {
  Transport& t = transport_;
  NPU_CCL_TRY(
      t.memory.create(settings_.context, settings_.ranks, settings_.rank, settings_.chunk_bytes));
  if (t.memory.is_on_model()) plans_.set_machine(Machine::of_model(), Correction::of_model());
  t.network.set_send_buffer(settings_.send_buffer_bytes, t.memory.is_on_model());
  NPU_CCL_TRY(t.reducer.load(settings_.context));
  return t.lanes.create(settings_.context, settings_.ranks);
}

// In a thread of its own.
void Communicator::start() {
  const std::optional<Refusal> refusal = meet_others();
  if (refusal) {
    fail_with({refusal->reason, refusal->rank, refusal->text}, true);
    return;
  }
  {
    std::lock_guard lock(state_mutex_);
    if (state_ == NPU_CCL_INIT) state_ = NPU_CCL_READY;
  }
  changed_.notify_all();
}

std::optional<Refusal> Communicator::meet_others() {
  const auto device_failed = [&] {
    return Refusal{settings_.rank, NPU_CCL_DEVICE,
                   "rank " + std::to_string(settings_.rank) + ": " + error_text()};
  };
  std::vector<Fd> fds;
  if (transport_.memory.export_fds(&fds) != NPU_OK) return device_failed();
  const Agreement agreement{settings_.chunk_bytes, fingerprint(settings_.choice),   settings_.ranks,
                            settings_.reduce_mode, transport_.memory.is_on_model(), 0};
  const Offer offer{settings_.address,
                    agreement,
                    settings_.rank,
                    {fds[0].get(), fds[1].get()},
                    Clock::now() + settings_.init_timeout,
                    &stop_};
  std::vector<Peer> peers;
  const auto prepare = [&](const std::vector<NetAddress>& own, const std::vector<bool>& remote,
                           std::vector<Landings>* landings) {
    return transport_.network.open(rails_of(own), remote, landings);
  };
  if (auto refusal = meet(offer, prepare, &peers)) return refusal;
  for (uint32_t rank = 0; rank < settings_.ranks; rank++) {
    if (rank == settings_.rank) continue;
    const bool is_mapped =
        peers[rank].is_remote || transport_.memory.import(rank, peers[rank].memory) == NPU_OK;
    std::lock_guard lock(state_mutex_);
    links_[rank].peer.control = std::move(peers[rank].control);
    links_[rank].is_open = true;
    if (!is_mapped) return device_failed();
  }
  if (auto refusal = transport_.network.connect(offer, peers)) return refusal;
  {
    std::lock_guard lock(submit_mutex_);  // of those who ask for an algorithm meanwhile
    if (!transport_.network.address()) {
      plans_.set_near();
    } else if (transport_.memory.is_on_model()) {
      plans_.set_machine(Machine::of_models_on_hosts(), {});
    }
  }
  if (transport_.network.address()) mover_ = std::make_unique<Mover>(*this);
  Watchdog::get().add(shared_from_this());
  if (mover_ && !mover_->start()) {
    return Refusal{settings_.rank, NPU_CCL_DEVICE,
                   "rank " + std::to_string(settings_.rank) + ": no thread to be had"};
  }
  return std::nullopt;
}

// Those that NPU_CCL_INTERFACE names, else the device's ports, else the one that leads to rank 0.
std::vector<RailAddress> Communicator::rails_of(const std::vector<NetAddress>& own) {
  std::vector<RailAddress> rails;
  if (wished_interfaces().empty()) {
    rails = transport_.network.port_rails(settings_.context, own.front().version);
  }
  if (rails.empty()) {
    for (const NetAddress& at : own) rails.push_back({at});
  }
  return rails;
}

npuCclState Communicator::state() const {
  std::lock_guard lock(state_mutex_);
  return state_;
}

Failure Communicator::failure() const {
  std::lock_guard lock(state_mutex_);
  return failure_;
}

npuResult Communicator::usable() const {
  std::lock_guard lock(state_mutex_);
  if (state_ == NPU_CCL_READY) return NPU_OK;
  if (state_ == NPU_CCL_INIT) {
    return ccl::fail(NPU_NOT_READY, "the communicator is being made: other ranks are missing");
  }
  return ccl::fail(NPU_ERROR_DEPENDENCY_FAILED, "the communicator has failed: %s",
                   failure_.text.c_str());
}

void Communicator::wait_for_start() {
  std::unique_lock lock(state_mutex_);
  changed_.wait(lock, [&] { return state_ != NPU_CCL_INIT; });
}

void Communicator::fail_with(Failure failure, bool tells) {
  Notice notice{failure.rank, failure.reason, {}};
  failure.text.copy(notice.text, sizeof(notice.text) - 1);
  bool has_started = false;
  {
    std::lock_guard lock(state_mutex_);
    if (state_ == NPU_CCL_FAILED) return;
    // Before anybody here learns of it: a process that ends because of this failure must not be
    // taken for its cause.
    if (tells) tell_links(FrameKind::kFail, std::as_bytes(std::span(&notice, 1)));
    has_started = state_ == NPU_CCL_READY;
    state_ = NPU_CCL_FAILED;
    failure_ = std::move(failure);
    pending_.clear();
  }
  stop_ = true;
  if (has_started) let_go_of_sources();
  transport_.lanes.cut();
  changed_.notify_all();
  Watchdog::get().expect();  // the rails have something to say
}

// Lanes keep the memory that they work in. So before they end: nobody must be inside of libfabric with it, and nothing be left there.
void Communicator::let_go_of_sources() {
  transport_.network.spare_sources();  // what the turn under way has yet to begin
  const auto turn = Watchdog::get().between_turns();
  if (!is_closed_) transport_.network.let_go_of_sources();
}

void Communicator::leave() {
  is_closed_ = true;
  transport_.network.let_go_of_sources();
}

// With the state's mutex held; never blocks.
void Communicator::tell_links(FrameKind kind, std::span<const std::byte> payload) {
  const std::vector<std::byte> frame = make_frame(kind, payload);
  for (uint32_t rank = 0; rank < links_.size(); rank++) {
    if (links_[rank].is_open) send_now(links_[rank].peer.control, frame);
    if (state_ == NPU_CCL_READY) transport_.network.carry(rank, frame, true);
  }
}

npuResult Communicator::close() {
  npuResult result = NPU_OK;
  const bool has_network = state() == NPU_CCL_READY && transport_.network.address().has_value();
  const Deadline deadline = Clock::now() + settings_.op_timeout;
  serve(false);
  Watchdog::get().wake();
  {
    std::unique_lock lock(state_mutex_);
    stop_ = stop_ || state_ == NPU_CCL_INIT;
    bool ended = changed_.wait_until(lock, deadline,
                                     [&] { return pending_.empty() || state_ == NPU_CCL_FAILED; });
    if (has_network) {
      // What lies in the own slots must have left before they end.
      transport_.network.flush();
      Watchdog::get().wake();
      ended = changed_.wait_until(lock, deadline, [&] {
        return is_flushed_ || state_ == NPU_CCL_FAILED;
      }) && ended;
    }
    if (!ended || failure_.reason != NPU_CCL_NO_FAILURE) result = NPU_ERROR_DEPENDENCY_FAILED;
  }
  if (starter_.joinable()) starter_.join();
  if (mover_) mover_->stop();
  Watchdog::get().remove(this);
  say_bye();
  send_last_frames();
  transport_.lanes.cut();
  std::lock_guard lock(submit_mutex_);
  transport_.network.close();
  if (result == NPU_OK) return NPU_OK;
  return ccl::fail(result, "operations were cut off: %s", failure().text.c_str());
}

void Communicator::say_bye() {
  std::lock_guard lock(state_mutex_);
  if (state_ != NPU_CCL_READY) return;
  for (uint32_t rank = 0; rank < settings_.ranks; rank++) {
    if (!links_[rank].is_open) continue;
    const Bye bye = transport_.network.farewell(rank);
    const std::vector<std::byte> frame = make_frame(FrameKind::kBye, bye);
    send_now(links_[rank].peer.control, frame);
    transport_.network.carry(rank, frame, false);
  }
}

// Nobody else uses the network any more.
void Communicator::send_last_frames() {
  const Deadline end = Clock::now() + kLastFrames;
  while (transport_.network.is_saying() && Clock::now() < end) {
    transport_.network.say_last();
    std::this_thread::yield();
  }
}

NetAddress Communicator::meeting_place() const {
  return transport_.network.address().value_or(loopback(0));
}

npuResult Communicator::add_factor(float factor, npuCclRedOp* out) {
  std::lock_guard lock(state_mutex_);
  size_t at = 0;
  while (at < factors_.size() && factors_[at]) at++;
  if (at == kFactorsMax) {
    return ccl::fail(NPU_ERROR_QUOTA, "the communicator has %zu reductions already", kFactorsMax);
  }
  if (at == factors_.size()) factors_.emplace_back();
  factors_[at] = factor;
  *out = kFirstFactor + static_cast<npuCclRedOp>(at);
  return NPU_OK;
}

npuResult Communicator::remove_factor(npuCclRedOp op) {
  std::lock_guard lock(state_mutex_);
  const int64_t at = int64_t{op} - kFirstFactor;
  if (at < 0 || at >= static_cast<int64_t>(factors_.size()) || !factors_[static_cast<size_t>(at)]) {
    return ccl::fail(NPU_ERROR_INVALID_ARGUMENT, "%d is no reduction that was made here", op);
  }
  factors_[static_cast<size_t>(at)].reset();
  return NPU_OK;
}

npuResult Communicator::explain(const Request& request, const char** out_name) {
  std::lock_guard lock(submit_mutex_);
  PlanPtr plan;
  NPU_CCL_TRY(
      plans_.find(request.problem, {bytes_of(request.reduction.type), sizeof(float)}, &plan));
  *out_name = name_of(plan->algorithm);
  return NPU_OK;
}

npuResult Communicator::resolve(npuCclRedOp op, Request* request) const {
  constexpr Fold kFolds[] = {Fold::kSum, Fold::kProduct, Fold::kMinimum, Fold::kMaximum,
                             Fold::kSum};
  Reduction& reduction = request->reduction;
  const bool is_integer = reduction.type == NPU_INT32;
  request->called = op;
  if (op >= kFirstFactor) {
    std::lock_guard lock(state_mutex_);
    const auto at = static_cast<size_t>(op - kFirstFactor);
    if (at < factors_.size() && factors_[at]) {
      if (is_integer) {
        return ccl::fail(NPU_ERROR_NOT_SUPPORTED, "a pre-multiplied sum has no form for int32");
      }
      request->scales_input = true;
      reduction.factor = *factors_[at];
      return NPU_OK;
    }
  }
  if (op < NPU_CCL_SUM || op > NPU_CCL_AVG) {
    return ccl::fail(NPU_ERROR_INVALID_ARGUMENT, "%d is no reduction", op);
  }
  reduction.fold = kFolds[op];
  if (op == NPU_CCL_AVG) {
    reduction.scales = true;
    reduction.factor = 1.0f / static_cast<float>(settings_.ranks);
    reduction.divisor = settings_.ranks;
    return NPU_OK;  // the one place that scales is the last reduction of the canonical order
  }
  const bool any = is_integer || op == NPU_CCL_MIN || op == NPU_CCL_MAX ||
                   settings_.reduce_mode == NPU_CCL_REDUCE_ANY;
  if (any) request->problem.order = Order::kAny;
  return NPU_OK;
}

}  // namespace npu::ccl
