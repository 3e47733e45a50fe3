// SPDX-License-Identifier: Apache-2.0
#include "libnpu/ccl/schedule/simulate.h"

#include <algorithm>
#include <limits>
#include <queue>
#include <tuple>

#include "libnpu/ccl/schedule/fair_share.h"

namespace npu::ccl {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

class Engine {
 public:
  Engine(std::span<const RankSchedule> schedules, Fold fold, const Topology& topology,
         const Workload& workload)
      : schedules_(schedules),
        workload_(workload),
        latency_s_(topology.hop_latency_s),
        matching_(match(schedules, fold)),
        graph_(schedules),
        network_(topology, fold),
        sharing_(network_.capacities()),
        engine_free_(schedules.size()) {
    result_.rank_seconds.resize(schedules.size());
    result_.error = matching_.error;
    result_.messages = matching_.messages.size();
  }

  Simulation run() {
    if (!result_.error.empty()) return std::move(result_);
    if (!find_routes()) return std::move(result_);
    for (uint32_t node = 0; node < graph_.size(); node++) {
      if (graph_.waiting(node) == 0) ready_.push_back(node);
    }
    start_ready();
    while (!flows_.empty() || !events_.empty()) advance();
    if (done_ != graph_.size()) result_.error = "the schedule has a deadlock";
    for (double end : result_.rank_seconds) result_.seconds = std::max(result_.seconds, end);
    return std::move(result_);
  }

 private:
  struct Flow {
    uint32_t message;
    double left_bytes;
    double all_bytes;
  };
  struct Event {
    double time_s;
    uint32_t node;  // becomes complete
    bool operator>(const Event& other) const {
      return std::tie(time_s, node) > std::tie(other.time_s, other.node);
    }
  };

  const Step& step(uint32_t node) const {
    return schedules_[graph_.rank_of(node)].steps[graph_.step_of(node)];
  }

  bool find_routes() {
    for (const Message& message : matching_.messages) {
      const uint32_t peer = schedules_[message.source].steps[message.send_step].peer;
      routes_.push_back(network_.route(message.source, peer));
      waits_.push_back(message.first ? 2 : 3);
      if (!routes_.back().links.empty()) continue;
      result_.error = "no link is left from rank " + std::to_string(message.source) + " to rank " +
                      std::to_string(peer);
      return false;
    }
    return true;
  }

  void start_ready() {
    while (!ready_.empty()) {
      const uint32_t node = ready_.back();
      ready_.pop_back();
      const uint32_t message = matching_.message_of[graph_.rank_of(node)][graph_.step_of(node)];
      if (message != Message::kNone) {
        release(message);
      } else {
        run_locally(node);
      }
    }
  }

  void run_locally(uint32_t node) {
    const Step& s = step(node);
    const RankSchedule& schedule = schedules_[graph_.rank_of(node)];
    if (workload_.reduce_bytes_per_s == 0) return complete(node);
    uint64_t bytes = 0;
    for (const Place& place : schedule.operands_of(s)) {
      bytes += s.count * workload_.sizes.of(format_of(place.buffer));
    }
    double& free_s = engine_free_[graph_.rank_of(node)];
    free_s = std::max(free_s, now_s_) + static_cast<double>(bytes) / workload_.reduce_bytes_per_s;
    events_.push({free_s, node});
  }

  void release(uint32_t index) {
    if (--waits_[index] != 0) return;
    const Message& message = matching_.messages[index];
    const Step& s = schedules_[message.source].steps[message.send_step];
    const auto bytes = static_cast<double>(s.count * workload_.sizes.of(s.format));
    if (bytes == 0) return leave(index);
    flows_.push_back({index, bytes, bytes});
    changed_ = true;
  }

  // The last byte of a message has left.
  void leave(uint32_t index) {
    const Message& message = matching_.messages[index];
    complete(graph_.node(message.source, message.send_step));
    const double arrival_s = now_s_ + routes_[index].hops * latency_s_;
    events_.push({arrival_s, graph_.node(message.target, message.recv_step)});
    if (message.next != Message::kNone) release(message.next);
  }

  void complete(uint32_t node) {
    done_++;
    double& end = result_.rank_seconds[graph_.rank_of(node)];
    end = std::max(end, now_s_);
    for (uint32_t next : graph_.successors(node)) {
      if (graph_.release(next)) ready_.push_back(next);
    }
  }

  void share_links() {
    if (!changed_) return;
    shares_.clear();
    for (const Flow& flow : flows_) shares_.push_back({routes_[flow.message].links, 0});
    sharing_.share(shares_);
    changed_ = false;
  }

  // To the next moment at which something ends, and over it.
  void advance() {
    share_links();
    double next_s = events_.empty() ? kNever : events_.top().time_s;
    for (size_t i = 0; i < flows_.size(); i++) {
      next_s = std::min(next_s, now_s_ + flows_[i].left_bytes / shares_[i].rate);
    }
    const double elapsed_s = next_s - now_s_;
    now_s_ = next_s;
    std::vector<uint32_t> gone;
    size_t kept = 0;
    for (size_t i = 0; i < flows_.size(); i++) {
      Flow flow = flows_[i];
      flow.left_bytes -= elapsed_s * shares_[i].rate;
      // Flows that end together must not be separated by rounding.
      if (flow.left_bytes <= flow.all_bytes * 1e-9) {
        gone.push_back(flow.message);
        continue;
      }
      shares_[kept] = shares_[i];
      flows_[kept++] = flow;
    }
    changed_ = changed_ || kept != flows_.size();
    flows_.resize(kept);
    for (uint32_t message : gone) leave(message);
    while (!events_.empty() && events_.top().time_s <= now_s_) {
      const uint32_t node = events_.top().node;
      events_.pop();
      complete(node);
    }
    start_ready();
  }

  std::span<const RankSchedule> schedules_;
  const Workload& workload_;
  double latency_s_;
  Matching matching_;
  StepGraph graph_;
  Network network_;
  FairShare sharing_;
  std::vector<Network::Route> routes_;  // by message
  std::vector<uint32_t> waits_;         // by message: ends that are not ready, and the predecessor
  std::vector<Flow> flows_;
  std::vector<FairShare::Flow> shares_;  // of flows_
  bool changed_ = false;                 // flows_ since shares_
  std::vector<uint32_t> ready_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::vector<double> engine_free_;  // by rank: when its reductions have ended
  double now_s_ = 0;
  uint32_t done_ = 0;
  Simulation result_;
};

// Equal but for the shift by whole nodes.
bool is_image(const RankSchedule& a, const RankSchedule& b, Fold fold) {
  if (a.steps.size() != b.steps.size() || a.dependencies != b.dependencies) return false;
  for (size_t i = 0; i < a.steps.size(); i++) {
    const Step& x = a.steps[i];
    const Step& y = b.steps[i];
    const bool same = x.kind == y.kind && x.format == y.format && x.channel == y.channel &&
                      x.count == y.count && x.operand_count == y.operand_count &&
                      x.dependency_count == y.dependency_count;
    if (!same) return false;
    if (!x.sends() && !x.receives()) continue;
    if (fold.image_of(x.peer) != fold.image_of(y.peer) ||
        fold.distance(a.rank, x.peer) != fold.distance(b.rank, y.peer)) {
      return false;
    }
  }
  return true;
}

}  // namespace

Simulation simulate(std::span<const RankSchedule> schedules, Fold fold, const Topology& topology,
                    const Workload& workload) {
  Simulation refused;
  refused.error = topology.refuse();
  if (refused.error.empty() && topology.ranks() != fold.ranks) {
    refused.error = "the topology has another number of chips than the group has ranks";
  }
  if (refused.error.empty() && schedules.size() != fold.kept) {
    refused.error = "one schedule per kept rank";
  }
  if (!refused.error.empty()) return refused;
  return Engine(schedules, fold, topology, workload).run();
}

std::string refuse_fold(const Problem& problem, Algorithm algorithm, const Topology& topology) {
  const Fold fold{problem.ranks, topology.chips_per_node};
  if (!topology.failures.empty()) return "a failed link breaks the symmetry";
  if (topology.ranks() != problem.ranks) return "the topology is of another group";
  const uint32_t nodes = topology.nodes;
  std::vector<uint32_t> images{1 % nodes, nodes / 2, nodes - 1};
  if (problem.ranks <= kFoldCheckAll) {
    images.clear();
    for (uint32_t node = 1; node < nodes; node++) images.push_back(node);
  }
  for (uint32_t chip = 0; chip < fold.kept; chip++) {
    const RankSchedule first = generate(problem, algorithm, chip);
    for (uint32_t node : images) {
      if (!is_image(first, generate(problem, algorithm, node * fold.kept + chip), fold)) {
        return "node " + std::to_string(node) + " is no image of node 0";
      }
    }
  }
  return "";
}

Simulation simulate(const Problem& problem, Algorithm algorithm, const Topology& topology,
                    const Workload& workload, bool folded) {
  Simulation refused;
  refused.error = refuse(problem, algorithm);
  if (refused.error.empty() && folded) refused.error = refuse_fold(problem, algorithm, topology);
  if (!refused.error.empty()) return refused;
  const Fold fold{problem.ranks, folded ? topology.chips_per_node : problem.ranks};
  Schedule schedules;
  for (uint32_t rank = 0; rank < fold.kept; rank++) {
    schedules.push_back(generate(problem, algorithm, rank));
  }
  return simulate(schedules, fold, topology, workload);
}

}  // namespace npu::ccl
