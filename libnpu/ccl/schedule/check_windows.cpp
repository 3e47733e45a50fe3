// SPDX-License-Identifier: Apache-2.0
// What ranks do in each other's memory: the order that signals give it.
#include <algorithm>
#include <tuple>

#include "libnpu/ccl/schedule/address_map.h"
#include "libnpu/ccl/schedule/verify.h"

namespace npu::ccl {
namespace {

// For each step of all ranks the set of steps that are complete before it starts: along dependencies, and from each signal to its wait.
class StepOrder {
 public:
  StepOrder(std::span<const RankSchedule> schedule, const Matching& matching) : graph_(schedule) {
    const uint32_t size = graph_.size();
    words_ = (size + 63) / 64;
    bits_.resize(words_ * size);
    std::vector<uint32_t> waiting(size), ready;
    std::vector<uint32_t> heard_by(size, Message::kNone);
    for (uint32_t node = 0; node < size; node++) waiting[node] = graph_.waiting(node);
    for (const Message& message : matching.messages) {
      if (message.recv_step == Message::kNone) continue;
      const uint32_t to = graph_.node(message.target, message.recv_step);
      heard_by[graph_.node(message.source, message.send_step)] = to;
      waiting[to]++;
    }
    for (uint32_t node = 0; node < size; node++) {
      if (waiting[node] == 0) ready.push_back(node);
    }
    const auto pass = [&](uint32_t from, uint32_t to) {
      for (size_t w = 0; w < words_; w++) bits_[to * words_ + w] |= bits_[from * words_ + w];
      bits_[to * words_ + from / 64] |= 1ull << from % 64;
      if (--waiting[to] == 0) ready.push_back(to);
    };
    while (!ready.empty()) {
      const uint32_t node = ready.back();
      ready.pop_back();
      for (uint32_t next : graph_.successors(node)) pass(node, next);
      if (heard_by[node] != Message::kNone) pass(node, heard_by[node]);
    }
  }
  const StepGraph& graph() const { return graph_; }
  bool ordered(uint32_t earlier, uint32_t later) const {
    return bits_[later * words_ + earlier / 64] >> earlier % 64 & 1;
  }
  // Whether a step of |rank| is complete before |node| starts; whether one starts after it.
  bool begins_after(uint32_t node, uint32_t rank, uint32_t steps) const {
    for (uint32_t i = 0; i < steps; i++) {
      if (ordered(graph_.node(rank, i), node)) return true;
    }
    return false;
  }
  bool ends_before(uint32_t node, uint32_t rank, uint32_t steps) const {
    for (uint32_t i = 0; i < steps; i++) {
      if (ordered(node, graph_.node(rank, i))) return true;
    }
    return false;
  }

 private:
  StepGraph graph_;
  size_t words_;
  std::vector<uint64_t> bits_;
};

struct Access {
  uint32_t owner;
  Place place;  // in the owner's memory
  uint64_t end;
  uint32_t node;
  bool writes;
};

class Check {
 public:
  Check(const Problem& problem, std::span<const RankSchedule> schedule, const Matching& matching)
      : problem_(problem), schedule_(schedule), order_(schedule, matching) {}

  std::optional<Finding> run() {
    for (const RankSchedule& one : schedule_) {
      if (auto finding = check_signals(one)) return finding;
    }
    for (uint32_t rank = 0; rank < schedule_.size(); rank++) maps_.emplace_back(problem_, rank);
    for (const RankSchedule& one : schedule_) gather(one);
    for (const Access& access : accesses_) {
      if (auto finding = check_frame(access)) return finding;
    }
    std::sort(accesses_.begin(), accesses_.end(), [](const Access& a, const Access& b) {
      return std::tie(a.owner, a.place.buffer, a.place.offset, a.node) <
             std::tie(b.owner, b.place.buffer, b.place.offset, b.node);
    });
    return check_pairs();
  }

 private:
  std::string text_of(uint32_t node) const {
    return "rank " + std::to_string(order_.graph().rank_of(node)) + " step " +
           std::to_string(order_.graph().step_of(node));
  }

  // At most two to each rank, those of one number side by side.
  std::optional<Finding> check_signals(const RankSchedule& one) const {
    std::vector<uint32_t> sent(problem_.ranks);
    uint32_t number = 0;
    bool is_broken = false;  // something came after the last signal
    for (uint32_t i = 0; i < one.steps.size(); i++) {
      const Step& step = one.steps[i];
      if (!step.sends()) {
        is_broken = true;
        continue;
      }
      const uint32_t own = ++sent[step.peer];
      if (own > kWindowSignals || (own <= number && is_broken)) {
        return Finding{Flaw::kMalformed, "rank " + std::to_string(one.rank) + " step " +
                                             std::to_string(i) +
                                             ": signals of one number go out together"};
      }
      number = std::max(number, own);
      is_broken = false;
    }
    return std::nullopt;
  }

  void gather(const RankSchedule& one) {
    for (uint32_t i = 0; i < one.steps.size(); i++) {
      const Step& step = one.steps[i];
      const auto add = [&](Place place, bool writes) {
        const uint32_t owner = place.is_remote() ? place.owner : one.rank;
        Place memory = maps_[owner].locate(place);
        memory.owner = Place::kOwn;
        accesses_.push_back(
            {owner, memory, memory.offset + step.count, order_.graph().node(one.rank, i), writes});
      };
      if (step.count == 0) continue;
      for (const Place& place : one.operands_of(step)) add(place, false);
      each_target(one, step, problem_.ranks, [&](Place place) { add(place, true); });
    }
  }

  // The owner has begun, and has not ended.
  std::optional<Finding> check_frame(const Access& access) const {
    if (order_.graph().rank_of(access.node) == access.owner) return std::nullopt;
    const auto steps = static_cast<uint32_t>(schedule_[access.owner].steps.size());
    if (!order_.begins_after(access.node, access.owner, steps)) {
      return Finding{Flaw::kRace, text_of(access.node) + " touches memory of rank " +
                                      std::to_string(access.owner) + " before that has begun"};
    }
    if (!order_.ends_before(access.node, access.owner, steps)) {
      return Finding{Flaw::kRace, "rank " + std::to_string(access.owner) + " ends before " +
                                      text_of(access.node) + " is done with its memory"};
    }
    return std::nullopt;
  }

  std::optional<Finding> check_pairs() const {
    for (size_t i = 0; i < accesses_.size(); i++) {
      const Access& a = accesses_[i];
      for (size_t j = i + 1; j < accesses_.size(); j++) {
        const Access& b = accesses_[j];
        if (b.owner != a.owner || b.place.buffer != a.place.buffer || b.place.offset >= a.end) {
          break;
        }
        if (!a.writes && !b.writes) continue;
        const bool same = a.node == b.node && a.place == b.place;  // exactly over an operand
        if (same || order_.ordered(a.node, b.node) || order_.ordered(b.node, a.node)) continue;
        return Finding{Flaw::kRace, text_of(a.node) + " and " + text_of(b.node) +
                                        " race for elements of rank " + std::to_string(a.owner)};
      }
    }
    return std::nullopt;
  }

  const Problem& problem_;
  std::span<const RankSchedule> schedule_;
  StepOrder order_;
  std::vector<AddressMap> maps_;
  std::vector<Access> accesses_;
};

}  // namespace

std::optional<Finding> check_windows(const Problem& problem, std::span<const RankSchedule> schedule,
                                     const Matching& matching) {
  return Check(problem, schedule, matching).run();
}

}  // namespace npu::ccl
