// SPDX-License-Identifier: Apache-2.0
// Rails that fail, and come back.
//
// A side that has evidence against a rail closes its endpoint there, and says so by another rail (Cut): which parts of which messages it has. The other side closes its own one and answers the same. What is not there is
// sent again by other rails only when both have closed: then no write of the failed connection can land in a slot that is in use for a later message. So each part arrives once, whatever fails.
// A message can always be sent again, since its slot is kept until the receiver has taken it; records are kept until they are acknowledged; counts are told anew.
//
// The higher rank connects anew, with the next epoch. The new connection carries messages when each side has had an answer by it.
#include <algorithm>
#include <cstring>
#include <utility>

#include "libnpu/ccl/log.h"
#include "libnpu/ccl/network.h"

namespace npu::ccl {
namespace {

// Questions in a heartbeat, and how many of them a rail may leave without an answer while another one gives some, one after the other. The time alone proves nothing: this thread or the other rank may have got no processor, and then
// answers by one rail come just before those by another.
constexpr int kAsksPerHeartbeat = 16;
constexpr int kMissedMax = 4;
// Between two attempts to connect a rail anew, and how long one may take.
constexpr auto kTryEvery = std::chrono::milliseconds(500);
constexpr auto kTryFor = std::chrono::milliseconds(2000);
// How long a frame is worth sending after its communicator has failed.
constexpr auto kLastWord = std::chrono::milliseconds(1000);

Refusal bad(uint32_t rank, const std::string& text) {
  return {rank, NPU_CCL_PROTOCOL, "rank " + std::to_string(rank) + " sent " + text};
}

}  // namespace

// ---- Evidence ----

void Network::watch_rails(PeerLink& link, bool is_pending) {
  const auto now = Clock::now();
  for (const auto& path : link.paths) {
    if (!is_pending) path->is_asked = false;
    if (!is_pending || path->state() == Path::State::kClosed) continue;
    if (path->state() == Path::State::kDown) {
      reconnect(*path);
      continue;
    }
    const bool is_late = now > path->tried + kTryFor;
    if (path->state() == Path::State::kConnecting && is_late) lose(*path, "it gives no answer");
    const bool is_connected = path->is_up() || path->state() == Path::State::kProbing;
    if (is_connected && now >= path->asked_last + heartbeat_ / kAsksPerHeartbeat) {
      if (!path->rail().has_link() && has_other(*path)) {
        lose(*path, path->rail().missing_link());
        continue;
      }
      ask(*path);
    }
    if (path->is_asked && path->missed >= kMissedMax) lose(*path, "it gives no answer");
  }
}

// The higher rank does that, as at the start.
void Network::reconnect(Path& path) {
  const auto now = Clock::now();
  if (rank_ < path.link().rank || now < path.tried + kTryEvery) return;
  path.tried = now;
  std::string error;
  if (path.rail().is_running() && !call(path, &error)) path.close(Path::State::kDown);
}

void Network::ask(Path& path) {
  WireMessage message{};
  message.header.sequence = path.pings + 1;
  if (send(path, MessageKind::kPing, message)) path.pings++;
  if (!path.is_asked) {
    path.is_asked = true;
    path.missed = 0;
  } else if (has_heard_other(path)) {
    path.missed++;
  }
  path.asked_last = Clock::now();
}

// Since this one was asked the last time.
bool Network::has_heard_other(const Path& path) const {
  const auto& paths = path.link().paths;
  return std::any_of(paths.begin(), paths.end(), [&](const auto& other) {
    return other.get() != &path && other->is_up() && other->heard > path.asked_last;
  });
}

bool Network::has_other(const Path& path) const {
  const auto& paths = path.link().paths;
  return std::any_of(paths.begin(), paths.end(), [&](const auto& other) {
    return other.get() != &path && other->is_up() && other->rail().has_link();
  });
}

void Network::answer(PeerLink& link) {
  for (const auto& path : link.paths) {
    if (path->ping_to_answer == 0 || !path->has_endpoint()) continue;
    WireMessage message{};
    message.header.sequence = path->ping_to_answer;
    if (send(*path, MessageKind::kPong, message)) path->ping_to_answer = 0;
  }
}

// It has answered.
void Network::raise(Path& path) {
  path.set_state(Path::State::kUp);
  path.owes_cut = path.has_said_cut = false;  // it would not have connected without
  log_info("rank %u: rail %u (%s) to rank %u is up again", rank_, path.rail().number,
           path.rail().fabric.address().text().c_str(), path.link().rank);
}

// ---- The end of a connection ----

// A rail is up, or connected anew and asked: the other side may have had its answer by it, and have closed one that was the last here.
bool Network::has_hope(const PeerLink& link) {
  return std::any_of(link.paths.begin(), link.paths.end(), [](const auto& path) {
    return path->is_up() || path->state() == Path::State::kProbing;
  });
}

void Network::lose(Path& path, const std::string& text) {
  PeerLink& link = path.link();
  const Path::State before = path.state();
  if (before == Path::State::kDown || before == Path::State::kClosed) return;
  // Only one that was up has carried anything of this side.
  path.close(before == Path::State::kUp ? Path::State::kClosed : Path::State::kDown);
  if (before == Path::State::kUp) {
    std::lock_guard lock(mutex_);
    path.reason = text;
  }
  if (!has_started_ || !has_hope(link)) {
    std::lock_guard lock(mutex_);
    if (!link.loss) link.loss = Loss{link.rank, text, Clock::now()};
    return;
  }
  path.tried = Clock::now();
  if (before != Path::State::kConnecting) path.owe_cut();
  link.must_tell = true;
  // What it carried for others may be lost too.
  for (const auto& other : link.paths) other->owes_cut = other->owes_cut || other->has_said_cut;
}

void Network::pump_cuts(PeerLink& link) {
  for (const auto& path : link.paths) {
    Path* const lead = link.lead();
    if (!path->owes_cut || lead == nullptr) continue;
    const Cut cut{path->rail().number, path->closed_epoch, link.reassembly.arrived(),
                  link.reassembly.parts(), 0};
    if (!send(*lead, MessageKind::kCut, {}, std::as_bytes(std::span(&cut, 1)))) return;
    path->owes_cut = false;
    path->has_said_cut = true;
  }
}

std::optional<Refusal> Network::take_cut(Path& path, std::span<const std::byte> tail) {
  PeerLink& link = path.link();
  Cut cut;
  std::memcpy(&cut, tail.data(), sizeof(cut));
  Path* const of = link.path_at(cut.rail);
  // Told once more, and connected anew meanwhile.
  if (of != nullptr && cut.epoch < of->epoch) return std::nullopt;
  if (of == nullptr || of == &path || cut.epoch > of->epoch || cut.arrived >= link.next ||
      cut.reserved != 0) {
    return bad(link.rank, "the end of a connection that cannot be");
  }
  lose(*of, "the other side has closed it");
  if (of->state() == Path::State::kClosed) {
    redo(link, cut);
    of->set_state(Path::State::kDown);
    of->downs++;
    log_info("rank %u: rail %u (%s) to rank %u is down: %s; its messages go by %u other%s", rank_,
             cut.rail, of->rail().fabric.address().text().c_str(), link.rank, of->reason.c_str(),
             link.up_count(), link.up_count() == 1 ? "" : "s");
  }
  if (of->closed_epoch != cut.epoch) of->owe_cut();
  return std::nullopt;
}

// Both sides have closed the connection that |cut| names.
void Network::redo(PeerLink& link, const Cut& cut) {
  for (uint64_t sequence = link.peer_arrived + 1; sequence < link.next; sequence++) {
    Outgoing& out = link.outgoing[sequence % kSlots];
    const uint64_t place = sequence - cut.arrived - 1;  // in |parts|; far away: it has arrived
    const uint32_t there = sequence <= cut.arrived ? ~0u
                           : place < kSlots        ? cut.parts >> place * kRailsMax
                                                   : 0;
    for (uint32_t i = 0; i < out.pieces; i++) {
      Outgoing::Part& part = out.parts[i];
      if (part.state == Outgoing::State::kWaiting) continue;
      if (part.rail != cut.rail || part.epoch != cut.epoch) continue;
      const bool was_sent = part.state == Outgoing::State::kSent;
      if (was_sent && (there & 1u << i) != 0) continue;
      part.state = Outgoing::State::kWaiting;
      if (was_sent) out.unsent++, link.unsent++;
    }
  }
  std::lock_guard lock(mutex_);
  link.records_sent = link.records_acked;
  link.flushes_sent = link.flushes_answered;
  link.must_tell = true;
}

// ---- Frames of control connections ----

void Network::carry(uint32_t to, std::span<const std::byte> frame, bool is_answered) {
  std::lock_guard lock(mutex_);  // first: the communicator may be ending
  if (!is_remote(to) || links_[to]->paths.size() < 2) return;
  links_[to]->frames.push_back({{frame.begin(), frame.end()}, Clock::now() + kLastWord});
  links_[to]->awaits_frame = links_[to]->awaits_frame || is_answered;
}

// By all rails: which ones are dead may not be known yet. A frame that comes twice does nothing the second time.
void Network::pump_frames(PeerLink& link) {
  while (true) {
    PeerLink::Said said;
    {
      std::lock_guard lock(mutex_);
      if (link.frames.empty()) return;
      said = link.frames.front();
    }
    bool is_sent = Clock::now() > said.until || link.lead() == nullptr;
    for (const auto& path : link.paths) {
      if (path->is_up()) is_sent = send(*path, MessageKind::kFrame, {}, said.frame) || is_sent;
    }
    if (!is_sent) return;
    std::lock_guard lock(mutex_);
    link.frames.pop_front();
  }
}

bool Network::has_frames() const {
  std::lock_guard lock(mutex_);
  return std::any_of(links_.begin(), links_.end(),
                     [](const auto& link) { return link && !link->frames.empty(); });
}

bool Network::is_saying() const {
  if (has_frames()) return true;
  std::lock_guard lock(mutex_);
  return std::any_of(links_.begin(), links_.end(), [](const auto& link) {
    if (!link || link->paths.size() < 2) return false;
    const bool listens = link->awaits_frame && !link->has_frame && !link->is_finished;
    return std::any_of(link->paths.begin(), link->paths.end(), [&](const auto& path) {
      return path->is_up() && (listens || path->is_sending());
    });
  });
}

void Network::say_last() {
  for (const auto& rail : rails_) {
    std::array<FabricCompletion, 32> completions;
    const size_t got = rail->fabric.next_completions(completions, rail->sending != 0);
    for (size_t i = 0; i < got; i++) complete_last(completions[i]);
  }
  for (const auto& link : links_) {
    if (link) pump_frames(*link);
  }
}

// Whatever comes is taken from the connection: with something unread in it, its end would be a reset.
void Network::complete_last(const FabricCompletion& completion) {
  auto& transfer = *static_cast<Transfer*>(completion.context);
  transfer.is_busy = false;
  Path& path = *transfer.path;
  path.rail().count_ended(transfer);
  if (!path.owns(transfer)) return;
  bool is_alive = completion.error == 0;
  if (is_alive && transfer.kind == Transfer::Kind::kReceive) {
    WireMessage message;
    const auto bytes = transfer.received(completion.bytes);
    is_alive =
        fault_of(bytes, path.link().rank, rank_, &message).empty() && path.post_receive(transfer);
    if (is_alive && message.header.kind == MessageKind::kFrame) path.link().has_frame = true;
  }
  if (!is_alive) path.close(Path::State::kDown);
}

bool Network::reaches(uint32_t rank) const {
  return is_remote(rank) && links_[rank]->paths.size() > 1 && links_[rank]->up_count() != 0;
}

Clock::time_point Network::heard(uint32_t rank) const {
  Clock::time_point last{};
  if (!is_remote(rank) || links_[rank]->paths.size() < 2) return last;
  for (const auto& path : links_[rank]->paths) last = std::max(last, path->heard);
  return last;
}

std::vector<Network::RailState> Network::rails(uint32_t rank) const {
  std::vector<RailState> all;
  std::lock_guard lock(mutex_);
  if (!is_remote(rank)) return all;
  for (const auto& path : links_[rank]->paths) {
    all.push_back({path->rail().fabric.address(), path->landing.endpoint, path->is_up(),
                   path->bytes_sent, path->downs, path->reason});
  }
  return all;
}

}  // namespace npu::ccl
