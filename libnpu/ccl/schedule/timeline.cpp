// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>

#include "libnpu/ccl/schedule/export.h"
#include "libnpu/ccl/schedule/matching.h"

namespace npu::ccl {
namespace {

// The unit of time in which each step runs: one later than the last thing that it waits for.
class Clock {
 public:
  Clock(std::span<const RankSchedule> schedule, const Matching& matching)
      : schedule_(schedule), matching_(matching) {
    for (const RankSchedule& one : schedule) time_.emplace_back(one.steps.size(), 0);
    size_t steps = 1;
    for (const auto& one : time_) steps += one.size();
    // Each round settles one unit of time at least; only a deadlock never settles.
    while (steps-- > 0 && round()) {
    }
  }
  uint32_t time(uint32_t rank, uint32_t step) const { return time_[rank][step]; }

 private:
  static void raise(uint32_t& time, uint32_t to, bool& changed) {
    if (time >= to) return;
    time = to;
    changed = true;
  }

  bool round() {
    bool changed = false;
    for (uint32_t rank = 0; rank < schedule_.size(); rank++) {
      for (uint32_t i = 0; i < time_[rank].size(); i++) {
        for (uint32_t d : schedule_[rank].dependencies_of(schedule_[rank].steps[i])) {
          raise(time_[rank][i], time_[rank][d] + 1, changed);
        }
      }
    }
    for (const Message& message : matching_.messages) {
      uint32_t& sent = time_[message.source][message.send_step];
      uint32_t& received = time_[message.target][message.recv_step];
      raise(sent, received, changed);
      raise(received, sent, changed);
      if (message.next == Message::kNone) continue;
      raise(time_[message.source][matching_.messages[message.next].send_step], sent + 1, changed);
    }
    return changed;
  }

  std::span<const RankSchedule> schedule_;
  const Matching& matching_;
  std::vector<std::vector<uint32_t>> time_;
};

std::string cell_of(const std::vector<const Step*>& steps) {
  static constexpr char kSigns[kStepKindCount] = {'>', '<', '&', '+', '='};
  std::map<StepKind, std::string> parts;
  for (const Step* step : steps) {
    std::string& part = parts[step->kind];
    const bool is_message = step->sends() || step->receives();
    if (part.empty()) {
      part = kSigns[static_cast<size_t>(step->kind)];
    } else if (is_message) {
      part += ',';
    }
    if (is_message) part += std::to_string(step->peer);
    if (step->kind == StepKind::kReduce) part += std::to_string(step->operand_count);
  }
  std::string cell;
  for (const auto& [kind, part] : parts) cell += (cell.empty() ? "" : " ") + part;
  return cell;
}

}  // namespace

std::string to_timeline(std::span<const RankSchedule> schedule) {
  const Matching matching = match(schedule, Fold::none(static_cast<uint32_t>(schedule.size())));
  if (!matching.error.empty()) return matching.error + "\n";
  const Clock clock(schedule, matching);
  std::vector<std::map<uint32_t, std::string>> rows(schedule.size());
  std::map<uint32_t, size_t> widths;
  for (uint32_t rank = 0; rank < schedule.size(); rank++) {
    std::map<uint32_t, std::vector<const Step*>> cells;
    for (uint32_t i = 0; i < schedule[rank].steps.size(); i++) {
      cells[clock.time(rank, i)].push_back(&schedule[rank].steps[i]);
    }
    for (const auto& [time, steps] : cells) {
      rows[rank][time] = cell_of(steps);
      widths[time] = std::max(widths[time], rows[rank][time].size());
    }
  }
  std::string text;
  const size_t name_width = std::to_string(schedule.size()).size();
  for (uint32_t rank = 0; rank < schedule.size(); rank++) {
    const std::string name = std::to_string(rank);
    std::string line =
        std::string(name_width - std::min(name_width, name.size()), ' ') + name + " |";
    for (const auto& [time, width] : widths) {
      std::string cell = rows[rank].contains(time) ? rows[rank][time] : "";
      cell.resize(width, ' ');
      line += " " + cell + " |";
    }
    text += line + "\n";
  }
  return text;
}

}  // namespace npu::ccl
