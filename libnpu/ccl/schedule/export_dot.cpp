// SPDX-License-Identifier: Apache-2.0
#include "libnpu/ccl/schedule/export.h"
#include "libnpu/ccl/schedule/matching.h"

namespace npu::ccl {
namespace {

std::string node_of(uint32_t rank, uint32_t step) {
  return "r" + std::to_string(rank) + "s" + std::to_string(step);
}

std::string label_of(const Step& step) {
  const std::string count = std::to_string(step.count);
  const std::string target = step.to_all           ? " to all"
                             : step.to.is_remote() ? " to " + std::to_string(step.to.owner)
                                                   : "";
  switch (step.kind) {
    case StepKind::kSend:
      if (step.count == 0) return "tell " + std::to_string(step.peer);
      return "send " + count + " to " + std::to_string(step.peer);
    case StepKind::kRecv:
      if (step.count == 0) return "hear " + std::to_string(step.peer);
      return "recv " + count + " from " + std::to_string(step.peer);
    case StepKind::kRecvReduce:
      return "recv and add " + count + " from " + std::to_string(step.peer);
    case StepKind::kReduce:
      return "add " + std::to_string(step.operand_count) + " of " + count + target;
    case StepKind::kCopy:
      break;
  }
  return "copy " + count + target;
}

}  // namespace

std::string to_dot(std::span<const RankSchedule> schedule) {
  const Matching matching = match(schedule, Fold::none(static_cast<uint32_t>(schedule.size())));
  std::string text = "digraph schedule {\n  node [shape=box];\n";
  for (const RankSchedule& one : schedule) {
    const std::string rank = std::to_string(one.rank);
    text += "  subgraph cluster_" + rank + " {\n    label=\"rank " + rank + "\";\n";
    for (uint32_t i = 0; i < one.steps.size(); i++) {
      text += "    " + node_of(one.rank, i) + " [label=\"" + label_of(one.steps[i]) + "\"];\n";
    }
    for (uint32_t i = 0; i < one.steps.size(); i++) {
      for (uint32_t before : one.dependencies_of(one.steps[i])) {
        text += "    " + node_of(one.rank, before) + " -> " + node_of(one.rank, i) + ";\n";
      }
    }
    text += "  }\n";
  }
  for (const Message& message : matching.messages) {
    if (message.recv_step == Message::kNone) continue;
    text += "  " + node_of(message.source, message.send_step) + " -> " +
            node_of(message.target, message.recv_step) + " [style=dashed, constraint=false];\n";
  }
  return text + "}\n";
}

}  // namespace npu::ccl
