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
constexpr auto kAttempt = std::chrono::seconds(1);

struct Guest {
  Fd socket;
  FrameReader reader;
  Nonce sent;                    // our challenge
  Nonce came;                    // its own
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
  if (mine.is_model != theirs.is_model)
    return differs("its device: whether it is a model (1) or silicon (0)", mine.is_model,
                   theirs.is_model);
  return mine.choice != theirs.choice ? "its NPU_CCL_ALGO is not that of rank 0" : "";
}

class Store {
 public:
  Store(const Offer& offer, const Name& own) : offer_(offer) {
    names_.names[0] = own;
    known_[0] = came_[0] = true;
  }
  std::optional<Refusal> run(Welcome* out) {
    listener_ = take_listener(offer_.address);
    if (!listener_) {
      return Refusal{
          0, NPU_CCL_PROTOCOL,
          "rank 0 cannot listen on " + offer_.address.at.text() + ": " + std::strerror(errno)};
    }
    while (missing() != 0 && !refusal_) {
      if (!goes_on(offer_)) return give_up();
      turn();
    }
    if (refusal_) return refuse_all();
    for (const Guest& guest : guests_) {
      if (!guest.rank) continue;
      Welcome signed_names = names_;
      signed_names.mac = mac_of(offer_.address.token, "welcome", guest.came, names_);
      send_now(guest.socket, make_frame(FrameKind::kWelcome, signed_names));
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
        Guest guest{std::move(fd), {}, {}, {}, {}};
        if (!fill_random(guest.sent)) return;
        if (!send_now(guest.socket, make_frame(FrameKind::kChallenge, Challenge{guest.sent}))) {
          return;
        }
        guests_.push_back(std::move(guest));
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
    if (!is_same(hello.mac, mac_of(offer_.address.token, "hello", guest.sent, hello))) return false;
    guest.came = hello.nonce;
    const std::string cause = misfit(offer_.agreement, hello.agreement);
    if (!cause.empty() || hello.rank >= offer_.agreement.ranks || known_[hello.rank]) {
      refusal_ = {hello.rank, NPU_CCL_MISMATCH,
                  "rank " + std::to_string(hello.rank) + ": " +
                      (!cause.empty() ? cause : "there is one already, or no such rank")};
      refuse(guest);
      return true;
    }
    guest.rank = hello.rank;
    known_[hello.rank] = came_[hello.rank] = true;
    names_.names[hello.rank] = hello.name;
    return true;
  }
  // Who has come and gone again has lost patience with those who never came: it is not to blame.
  std::optional<Refusal> give_up() {
    const auto end = came_.begin() + offer_.agreement.ranks;
    const bool all_came = std::find(came_.begin(), end, false) == end;
    std::string list;
    uint32_t first = 0;
    for (uint32_t r = offer_.agreement.ranks; r-- > 0;) {
      if (all_came ? known_[r] : came_[r]) continue;
      first = r;
      list = " " + std::to_string(r) + list;
    }
    refusal_ = {
        first, NPU_CCL_TIMEOUT,
        (all_came ? "these ranks came and did not stay:" : "these ranks did not come in time:") +
            list};
    return refuse_all();
  }
  std::optional<Refusal> refuse_all() {
    for (const Guest& guest : guests_) {
      if (guest.rank) refuse(guest);
    }
    return refusal_;
  }
  void refuse(const Guest& guest) const {
    Refuse refuse{{}, {refusal_->rank, refusal_->reason, {}}};
    refusal_->text.copy(refuse.notice.text, sizeof(refuse.notice.text) - 1);
    refuse.mac = mac_of(offer_.address.token, "refuse", guest.came, refuse);
    send_now(guest.socket, make_frame(FrameKind::kRefuse, refuse));
  }

  const Offer& offer_;
  Fd listener_;
  std::vector<Guest> guests_;
  Welcome names_{};
  std::array<bool, NPU_CCL_RANKS_MAX> known_{};  // that are here
  std::array<bool, NPU_CCL_RANKS_MAX> came_{};   // also those that went away
  std::optional<Refusal> refusal_;
};

// The next frame; nothing: the store hung up, or there is no more time.
std::optional<Frame> next_frame(const Offer& offer, const Fd& socket, FrameReader* reader) {
  while (goes_on(offer)) {
    pollfd poller{socket.get(), POLLIN, 0};
    if (poll(&poller, 1, slice_ms(offer)) <= 0) continue;
    const long got = receive_some(socket, reader->room(), nullptr, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (got <= 0 || !reader->filled(static_cast<size_t>(got))) return std::nullopt;
    if (std::optional<Frame> frame = reader->take()) return frame;
  }
  return std::nullopt;
}

enum class Answer : uint8_t { kNone, kHungUp, kWelcome, kRefused };

// One conversation with whoever listens at the store's address. Nothing is believed that has not the secret's mark.
Answer converse(const Offer& offer, const Name& own, Welcome* out, Refusal* out_refusal) {
  const Token& token = offer.address.token;
  const Fd socket = try_to_connect(offer, offer.address.at);
  if (!socket) return Answer::kNone;
  FrameReader reader;
  const std::optional<Frame> challenge = next_frame(offer, socket, &reader);
  if (!challenge || challenge->kind != FrameKind::kChallenge) return Answer::kNone;
  Hello hello{{}, {}, offer.agreement, own, offer.rank, 0};
  if (!fill_random(hello.nonce)) return Answer::kNone;
  hello.mac = mac_of(token, "hello", challenge->as<Challenge>().nonce, hello);
  if (!send_now(socket, make_frame(FrameKind::kHello, hello))) return Answer::kNone;
  const std::optional<Frame> answer = next_frame(offer, socket, &reader);
  if (answer && answer->kind == FrameKind::kWelcome) {
    *out = answer->as<Welcome>();
    if (is_same(out->mac, mac_of(token, "welcome", hello.nonce, *out))) return Answer::kWelcome;
  }
  if (answer && answer->kind == FrameKind::kRefuse) {
    const auto refuse = answer->as<Refuse>();
    *out_refusal = {refuse.notice.rank, refuse.notice.reason, refuse.notice.text};
    if (is_same(refuse.mac, mac_of(token, "refuse", hello.nonce, refuse))) return Answer::kRefused;
  }
  return Answer::kHungUp;
}

}  // namespace

int slice_ms(const Offer& offer) { return std::min(poll_ms(offer.deadline), 50); }

std::optional<Refusal> serve_store(const Offer& offer, const Name& own, Welcome* out) {
  return Store(offer, own).run(out);
}

Fd try_to_connect(const Offer& offer, const NetAddress& to) {
  return connect_tcp(to, std::min(offer.deadline, Clock::now() + kAttempt));
}

std::optional<Refusal> ask_store(const Offer& offer, const Name& own, Welcome* out) {
  bool was_heard = false;
  while (goes_on(offer)) {
    Refusal refusal{};
    switch (converse(offer, own, out, &refusal)) {
      case Answer::kWelcome:
        return std::nullopt;
      case Answer::kRefused:
        return refusal;
      case Answer::kHungUp:
        was_heard = true;
        break;
      case Answer::kNone:
        break;
    }
    std::this_thread::sleep_for(kRetry);  // rank 0 may not be there yet
  }
  const std::string place = " (" + offer.address.at.text() + ")";
  return Refusal{0, NPU_CCL_TIMEOUT,
                 was_heard ? "rank 0 gave no answer: it waits for other ranks, or the id is not "
                             "its own" +
                                 place
                           : "rank 0 did not come in time" + place};
}

}  // namespace npu::ccl
