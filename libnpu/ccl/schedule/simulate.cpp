// SPDX-License-Identifier: Apache-2.0
#include "libnpu/ccl/schedule/simulate.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <map>
#include <queue>
#include <tuple>

#include "libnpu/ccl/schedule/flows.h"

namespace npu::ccl {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

class Engine {
 public:
  Engine(std::span<const RankSchedule> schedules, Fold fold, const Topology& topology,
         const Workload& workload)
      : schedules_(schedules),
        workload_(workload),
        fold_(fold),
        latency_s_(topology.hop_latency_s),
        matching_(match(schedules, fold)),
        graph_(schedules),
        network_(topology, fold),
        flows_(network_.capacities(), workload.tolerance),
        reducers_(schedules.size()),
        starters_(schedules.size()) {
    result_.rank_seconds.resize(schedules.size());
    result_.error = matching_.error;
    result_.messages = matching_.messages.size();
  }

  Simulation run() {
    if (!result_.error.empty()) return std::move(result_);
    if (!find_routes() || !find_reaches()) return std::move(result_);
    for (uint32_t node = 0; node < graph_.size(); node++) {
      if (graph_.waiting(node) == 0) ready_.push_back(node);
    }
    start_ready();
    while (!flows_.empty() || !events_.empty()) advance();
    if (done_ != graph_.size()) result_.error = "the schedule has a deadlock";
    for (double end : result_.rank_seconds) result_.seconds = std::max(result_.seconds, end);
    sum_up();
    return std::move(result_);
  }

 private:
  struct Route {
    uint32_t bundle;
    uint32_t hops;
  };
  struct Reached {  // another rank's memory
    uint32_t node;
    uint32_t bundle;
    uint32_t hops;
  };
  struct Event {
    double time_s;
    uint32_t number;  // of a node that becomes complete, or of a message that starts
    bool starts;
    bool operator>(const Event& other) const {
      return std::tie(time_s, starts, number) > std::tie(other.time_s, other.starts, other.number);
    }
  };
  // What does one thing after another.
  struct Serial {
    double free_s = 0;
    double busy_s = 0;
  };

  const Step& step(uint32_t node) const {
    return schedules_[graph_.rank_of(node)].steps[graph_.step_of(node)];
  }

  double bytes_of(const Message& message) const {
    const Step& s = schedules_[message.source].steps[message.send_step];
    return static_cast<double>(s.count * workload_.sizes.of(s.format)) * workload_.scale;
  }

  bool find_routes() {
    for (const Message& message : matching_.messages) {
      const uint32_t peer = schedules_[message.source].steps[message.send_step].peer;
      const Network::Route route = network_.route(message.source, peer);
      if (route.links.empty()) {
        result_.error = "no link is left from rank " + std::to_string(message.source) +
                        " to rank " + std::to_string(peer);
        return false;
      }
      routes_.push_back({flows_.bundle_of(route.links), route.hops});
      waits_.push_back(message.first ? 2 : 3);
    }
    return true;
  }

  // What steps read and write of other ranks' memory: flows that start with the step, behind the numbers of the messages.
  bool find_reaches() {
    reaches_of_.resize(graph_.size());
    for (uint32_t node = 0; node < graph_.size(); node++) {
      const RankSchedule& schedule = schedules_[graph_.rank_of(node)];
      const Step& s = step(node);
      bool has_routes = true;
      const auto add = [&](uint32_t source, uint32_t target) {
        const Network::Route route = network_.route(source, target);
        has_routes = has_routes && !route.links.empty();
        if (!has_routes) return;
        reaches_of_[node].push_back(static_cast<uint32_t>(reaches_.size()));
        reaches_.push_back({node, flows_.bundle_of(route.links), route.hops});
      };
      for (const Place& place : schedule.operands_of(s)) {
        if (place.is_remote()) add(place.owner, schedule.rank);
      }
      each_target(schedule, s, fold_.ranks, [&](Place place) {
        if (place.is_remote()) add(schedule.rank, place.owner);
      });
      if (has_routes) continue;
      result_.error =
          "no link is left between rank " + std::to_string(schedule.rank) + " and another one";
      return false;
    }
    return true;
  }

  // Messages that become ready at one moment start in the order of the schedule: their senders start them one after another.
  void start_ready() {
    while (!ready_.empty() || !starting_.empty()) {
      for (size_t i = 0; i < ready_.size(); i++) begin(ready_[i]);
      ready_.clear();
      std::sort(starting_.begin(), starting_.end());
      std::vector<uint32_t> starting;
      starting.swap(starting_);
      for (uint32_t message : starting) take_turn(message);
    }
  }

  void begin(uint32_t node) {
    const uint32_t message = matching_.message_of[graph_.rank_of(node)][graph_.step_of(node)];
    if (message != Message::kNone) {
      release(message);
    } else if (!reaches_of_[node].empty()) {
      reach(node);
    } else {
      run_locally(node, now_s_);
    }
  }

  // What it reads has to come and what it writes to go, in whichever order: the sum is taken to begin behind both.
  void reach(uint32_t node) {
    const double bytes =
        static_cast<double>(step(node).count * workload_.sizes.data_bytes) * workload_.scale;
    reaching_[node] = static_cast<uint32_t>(reaches_of_[node].size());
    for (uint32_t index : reaches_of_[node]) {
      result_.sent_bytes += bytes;
      flows_.start(reaches_[index].bundle, first_reach() + index, bytes);
    }
  }

  void reached(uint32_t index) {
    const Reached& one = reaches_[index];
    if (--reaching_[one.node] == 0) run_locally(one.node, now_s_ + one.hops * latency_s_);
  }

  uint32_t first_reach() const { return static_cast<uint32_t>(matching_.messages.size()); }

  void run_locally(uint32_t node, double begin_s) {
    const Step& s = step(node);
    const RankSchedule& schedule = schedules_[graph_.rank_of(node)];
    if (workload_.reduce_bytes_per_s == 0 && begin_s <= now_s_) return complete(node);
    if (workload_.reduce_bytes_per_s == 0) return events_.push({begin_s, node, false});
    uint64_t bytes = 0;
    for (const Place& place : schedule.operands_of(s)) {
      bytes += s.count * workload_.sizes.of(format_of(place.buffer));
    }
    const double needed_s =
        static_cast<double>(bytes) * workload_.scale / workload_.reduce_bytes_per_s;
    Serial& reducing = reducers_[graph_.rank_of(node)];
    reducing.busy_s += needed_s;
    reducing.free_s = std::max(reducing.free_s, begin_s) + needed_s;
    events_.push({reducing.free_s, node, false});
  }

  void release(uint32_t index) {
    if (--waits_[index] == 0) starting_.push_back(index);
  }

  void take_turn(uint32_t index) {
    Serial& sender = starters_[matching_.messages[index].source];
    const double start_s = std::max(sender.free_s, now_s_);
    sender.free_s = start_s + workload_.gap_s;
    sender.busy_s += workload_.gap_s;
    if (start_s > now_s_) {
      events_.push({start_s, index, true});
    } else {
      start(index);
    }
  }

  void start(uint32_t index) {
    const double bytes = bytes_of(matching_.messages[index]);
    if (bytes == 0) return leave(index);
    result_.sent_bytes += bytes;
    flows_.start(routes_[index].bundle, index, bytes);
  }

  // The last byte of a message has left.
  void leave(uint32_t index) {
    const Message& message = matching_.messages[index];
    complete(graph_.node(message.source, message.send_step));
    const double arrival_s = now_s_ + workload_.message_s + routes_[index].hops * latency_s_;
    events_.push({arrival_s, graph_.node(message.target, message.recv_step), false});
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

  // Counts work, not time: the result must depend on the inputs only.
  void hurry() {
    constexpr uint64_t kPatience = 5'000'000;
    work_ += flows_.bundles();
    if (work_ < kPatience || workload_.tolerance <= kToleranceExact) return;
    work_ = 0;
    flows_.raise_tolerance(std::min(kToleranceMost, flows_.tolerance() * 4));
  }

  // To the next moment at which something ends, and over it.
  void advance() {
    hurry();
    const double event_s = events_.empty() ? kNever : events_.top().time_s;
    const double elapsed_s = std::min(flows_.next_end_s(), event_s - now_s_);
    now_s_ = std::min(now_s_ + elapsed_s, event_s);
    for (uint32_t number : flows_.advance(elapsed_s)) {
      number < first_reach() ? leave(number) : reached(number - first_reach());
    }
    // Moments that only rounding separates are one, and those that the tolerance takes from the time of a message.
    constexpr double kSame = 1e-12;
    const double same_s =
        std::max(now_s_ * kSame, flows_.tolerance() * (workload_.message_s + latency_s_));
    while (!events_.empty() && events_.top().time_s <= now_s_ + same_s) {
      const Event event = events_.top();
      events_.pop();
      if (event.starts) {
        start(event.number);
      } else {
        complete(event.number);
      }
    }
    start_ready();
  }

  void sum_up() {
    const double images = fold_.ranks / fold_.kept;
    result_.sent_bytes *= images;
    result_.tolerance = flows_.tolerance();
    for (const Serial& one : reducers_) result_.reduce_s = std::max(result_.reduce_s, one.busy_s);
    for (const Serial& one : starters_) {
      result_.starting_s = std::max(result_.starting_s, one.busy_s);
    }
    for (uint32_t link = 0; link < network_.capacities().size(); link++) {
      if (!network_.exists(link)) continue;
      LinkLoad& load = result_.loads[static_cast<size_t>(network_.kind_of(link))];
      const double bytes = flows_.carried_bytes()[link];
      const double needed_s = bytes / network_.capacities()[link];
      load.links += static_cast<uint64_t>(images);
      load.bytes += bytes * images;
      load.bytes_per_s += network_.capacities()[link] * images;
      if (!load.busiest.empty() && needed_s <= load.busiest_s) continue;
      load.busiest_s = needed_s;
      load.busiest = network_.ends_of(link);
    }
  }

  std::span<const RankSchedule> schedules_;
  const Workload& workload_;
  Fold fold_;
  double latency_s_;
  Matching matching_;
  StepGraph graph_;
  Network network_;
  Flows flows_;
  std::vector<Route> routes_;  // by message
  std::vector<Reached> reaches_;
  std::vector<std::vector<uint32_t>> reaches_of_;  // by node
  std::map<uint32_t, uint32_t> reaching_;          // nodes, and how many of their flows go on
  std::vector<uint32_t> waits_;     // by message: ends that are not ready, and the predecessor
  std::vector<uint32_t> ready_;     // nodes
  std::vector<uint32_t> starting_;  // messages
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::vector<Serial> reducers_;  // by rank: of reductions and copies
  std::vector<Serial> starters_;  // by rank: of messages
  double now_s_ = 0;
  uint64_t work_ = 0;
  uint32_t done_ = 0;
  Simulation result_;
};

// Equal but for the way from one image to the other.
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

std::string refuse_fold(const Problem& problem, Algorithm algorithm, const Topology& topology,
                        Fold fold) {
  if (problem.in_windows) return "memory of other ranks has no image";
  if (!topology.failures.empty()) return "a failed link breaks the symmetry";
  if (topology.ranks() != problem.ranks || fold.ranks != problem.ranks) {
    return "the topology is of another group";
  }
  const uint32_t period = topology.period();
  if (period == 0) return "the last leaf has fewer nodes than the others";
  if (fold.kept == 0 || fold.ranks % fold.kept != 0 || fold.kept % period != 0) {
    return "the part that is kept does not repeat";
  }
  const uint32_t count = fold.ranks / fold.kept;
  if (fold.mirrored && !std::has_single_bit(count)) return "a mirror needs a power of two images";
  std::vector<uint32_t> images{1 % count, count / 2, count - 1};
  if (problem.ranks <= kFoldCheckAll) {
    images.clear();
    for (uint32_t image = 1; image < count; image++) images.push_back(image);
  }
  for (uint32_t rank = 0; rank < fold.kept; rank++) {
    const RankSchedule first = generate(problem, algorithm, rank);
    for (uint32_t image : images) {
      if (!is_image(first, generate(problem, algorithm, image * fold.kept + rank), fold)) {
        return "ranks from " + std::to_string(image * fold.kept) +
               " on are no image of those from 0 on";
      }
    }
  }
  return "";
}

std::optional<Fold> fold_of(const Problem& problem, Algorithm algorithm, const Topology& topology) {
  for (const bool mirrored : {false, true}) {
    const Fold fold{problem.ranks, topology.period(), mirrored};
    if (refuse_fold(problem, algorithm, topology, fold).empty()) return fold;
  }
  return std::nullopt;
}

Simulation simulate(const Problem& problem, Algorithm algorithm, const Topology& topology,
                    const Workload& workload, Fold fold) {
  Simulation refused;
  refused.error = refuse(problem, algorithm);
  if (!refused.error.empty()) return refused;
  Schedule schedules;
  for (uint32_t rank = 0; rank < fold.kept; rank++) {
    schedules.push_back(generate(problem, algorithm, rank));
  }
  return simulate(schedules, fold, topology, workload);
}

}  // namespace npu::ccl
