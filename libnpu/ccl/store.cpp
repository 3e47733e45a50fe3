// SPDX-License-Identifier: Apache-2.0
// The store of rank 0, and how the others ask it.
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <thread>

#include "libnpu/ccl/bootstrap.h"

namespace npu::ccl {
namespace {

constexpr size_t kGuestsMax = 64;
constexpr auto kRetry = std::chrono::milliseconds(20);

struct Guest {
  Fd socket;
  FrameReader reader;
  std::optional<uint32_t> rank;  // after its hello
};

std::string misfit(const Agreement& mine, const Agreement& theirs) {
  const auto differs = [](const char* what, auto a, auto b) {
    return std::string(what) + " is " + std::to_string(b) + ", rank 0 has " + std::to_string(a);
  };
  if (mine.ranks != theirs.ranks) return differs("its number of ranks", mine.ranks, theirs.ranks);
  if (mine.chunk_bytes != theirs.chunk_bytes)
    return differs("its chunk_bytes", mine.chunk_bytes, theirs.chunk_bytes);
  if (mine.reduce_mode != theirs.reduce_mode)
    return differs("its reduce_mode", mine.reduce_mode, theirs.reduce_mode);
  return mine.choice != theirs.choice ? "its NPU_CCL_ALGO is not that of rank 0" : "";
}

class Store {
 public:
  Store(const Offer& offer, const SocketName& own) : offer_(offer) {
    names_.names[0] = own;
    known_[0] = true;
  }
  std::optional<Refusal> run(Welcome* out) {
    listener_ = take_listener(offer_.address);
    if (!listener_) {
      return Refusal{0, NPU_CCL_PROTOCOL,
                     "rank 0 cannot listen on port " + std::to_string(offer_.address.port) + ": " +
                         std::strerror(errno)};
    }
    while (missing() != 0 && !refusal_) {
      if (!goes_on(offer_)) return give_up();
      turn();
    }
    if (refusal_) return refuse_all();
    for (const Guest& guest : guests_) {
      if (guest.rank) send_now(guest.socket, make_frame(FrameKind::kWelcome, names_));
    }
    *out = names_;
    return std::nullopt;
  }

 private:
  uint32_t missing() const {
    return offer_.agreement.ranks -
           static_cast<uint32_t>(std::count(known_.begin(), known_.end(), true));
  }
  void turn() {
    std::vector<pollfd> fds = {{listener_.get(), POLLIN, 0}};
    for (const Guest& guest : guests_) fds.push_back({guest.socket.get(), POLLIN, 0});
    if (poll(fds.data(), fds.size(), slice_ms(offer_)) <= 0) return;
    for (size_t i = guests_.size(); i-- > 0;) {
      if (fds[i + 1].revents != 0 && !read(guests_[i])) forget(i);
    }
    if (fds[0].revents != 0) {
      if (Fd fd = accept_from(listener_)) {
        if (guests_.size() == kGuestsMax) forget_stranger();
        guests_.push_back({std::move(fd), {}, {}});
      }
    }
  }
  void forget(size_t index) {
    // A rank that went away may come again.
    if (guests_[index].rank) known_[*guests_[index].rank] = false;
    guests_.erase(guests_.begin() + static_cast<long>(index));
  }
  void forget_stranger() {
    for (size_t i = 0; i < guests_.size(); i++) {
      if (!guests_[i].rank) return forget(i);
    }
  }
  bool read(Guest& guest) {
    const long got = receive_some(guest.socket, guest.reader.room(), nullptr, 0);
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    if (got == 0 || !guest.reader.filled(static_cast<size_t>(got))) return false;
    const std::optional<Frame> frame = guest.reader.take();
    if (!frame) return true;
    return frame->kind == FrameKind::kHello && !guest.rank && greet(guest, frame->as<Hello>());
  }
  bool greet(Guest& guest, const Hello& hello) {
    if (!is_same(hello.token, offer_.address.token)) return false;
    const std::string cause = misfit(offer_.agreement, hello.agreement);
    if (!cause.empty() || hello.rank >= offer_.agreement.ranks || known_[hello.rank]) {
      refusal_ = {hello.rank, NPU_CCL_MISMATCH,
                  "rank " + std::to_string(hello.rank) + ": " +
                      (!cause.empty() ? cause : "there is one already, or no such rank")};
      return true;
    }
    guest.rank = hello.rank;
    known_[hello.rank] = true;
    names_.names[hello.rank] = hello.name;
    return true;
  }
  std::optional<Refusal> give_up() {
    std::string list;
    uint32_t first = 0;
    for (uint32_t r = offer_.agreement.ranks; r-- > 0;) {
      if (known_[r]) continue;
      first = r;
      list = " " + std::to_string(r) + list;
    }
    refusal_ = {first, NPU_CCL_TIMEOUT, "these ranks did not come in time:" + list};
    return refuse_all();
  }
  std::optional<Refusal> refuse_all() {
    Notice notice{refusal_->rank, refusal_->reason, {}};
    refusal_->text.copy(notice.text, sizeof(notice.text) - 1);
    for (const Guest& guest : guests_)
      send_now(guest.socket, make_frame(FrameKind::kRefuse, notice));
    return refusal_;
  }

  const Offer& offer_;
  Fd listener_;
  std::vector<Guest> guests_;
  Welcome names_{};
  std::array<bool, NPU_CCL_RANKS_MAX> known_{};
  std::optional<Refusal> refusal_;
};

// The answer to a hello; nothing: the store hung up, or there is no more time.
std::optional<Frame> answer_of(const Offer& offer, const Fd& socket) {
  FrameReader reader;
  while (goes_on(offer)) {
    pollfd poller{socket.get(), POLLIN, 0};
    if (poll(&poller, 1, slice_ms(offer)) <= 0) continue;
    const long got = receive_some(socket, reader.room(), nullptr, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (got <= 0 || !reader.filled(static_cast<size_t>(got))) return std::nullopt;
    if (std::optional<Frame> frame = reader.take()) return frame;
  }
  return std::nullopt;
}

}  // namespace

int slice_ms(const Offer& offer) { return std::min(poll_ms(offer.deadline), 50); }

std::optional<Refusal> serve_store(const Offer& offer, const SocketName& own, Welcome* out) {
  return Store(offer, own).run(out);
}

std::optional<Refusal> ask_store(const Offer& offer, const SocketName& own, Welcome* out) {
  const Hello hello{offer.address.token, offer.agreement, own, offer.rank, 0};
  bool was_heard = false;
  while (goes_on(offer)) {
    const Fd socket = connect_tcp(offer.address.port, offer.deadline);
    if (!socket || !send_now(socket, make_frame(FrameKind::kHello, hello))) {
      std::this_thread::sleep_for(kRetry);  // rank 0 may not be there yet
      continue;
    }
    was_heard = true;
    const std::optional<Frame> answer = answer_of(offer, socket);
    if (answer && answer->kind == FrameKind::kWelcome) {
      *out = answer->as<Welcome>();
      return std::nullopt;
    }
    if (answer && answer->kind == FrameKind::kRefuse) {
      const auto notice = answer->as<Notice>();
      return Refusal{notice.rank, notice.reason, notice.text};
    }
    std::this_thread::sleep_for(kRetry);
  }
  return Refusal{0, NPU_CCL_TIMEOUT,
                 was_heard
                     ? "rank 0 gave no answer: it waits for other ranks, or the id is not its own"
                     : "rank 0 did not come in time"};
}

}  // namespace npu::ccl
