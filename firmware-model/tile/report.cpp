// SPDX-License-Identifier: Apache-2.0
// Places in words, and the way through a deadlock.
#define NPU_ISA_WANT_TABLE
#include "firmware-model/tile/report.h"

#include <algorithm>
#include <vector>

#include "firmware-model/tile/engine.h"
#include "firmware-model/tile/handlers.h"
#include "firmware-model/tile/order.h"

namespace npu::model {
namespace {

const char* mnemonic(uint8_t op) {
  for (const auto& row : npu_insn_rows) {
    if (row.code == op) return row.info.mnemonic;
  }
  return "?";
}

const char* engine_name(uint32_t engine) {
  static constexpr const char* kNames[] = {
#define NPU_ENGINE(code, NAME, doc) #NAME,
#include "uapi/spec/isa.def"
  };
  return kNames[engine];
}

// A control stream or an engine that cannot go on.
struct Node {
  uint32_t tile;
  uint32_t engine;
  bool operator==(const Node&) const = default;
};

// Why it cannot: the next node, if there is one, and what to say between the two.
struct Edge {
  std::string text;
  bool goes_on = false;
  Node to{};
};

bool signals(const npu_insn& insn, uint32_t from_tile, uint32_t to_tile, uint32_t sem) {
  if (insn.op == NPU_OP_SEMSET) return from_tile == to_tile && insn.imm == sem;
  if ((insn.signal & NPU_SIGNAL_VALID) == 0 || NPU_SIGNAL_SEM(insn.signal) != sem ||
      NPU_SIGNAL_INC(insn.signal) == 0) {
    return false;
  }
  const bool to_peer = (insn.signal & NPU_SIGNAL_PEER) != 0;
  return (to_peer ? NPU_SIGNAL_PEER_TILE(insn.signal) : from_tile) == to_tile;
}

// Instructions that a control stream which stands at |pc| may come to, itself among them; how often a loop runs and where a condition goes is not asked.
std::vector<bool> reachable_from(const Group& group, uint32_t pc) {
  std::vector<bool> seen(group.code_size);
  std::vector<uint32_t> left{pc};
  while (!left.empty()) {
    const uint32_t at = left.back();
    left.pop_back();
    if (at >= group.code_size || seen[at]) continue;
    seen[at] = true;
    const npu_insn& insn = group.code[at];
    if (insn.op == NPU_OP_HALT || insn.op == NPU_OP_TRAP) continue;
    if (insn.op != NPU_OP_BR) left.push_back(at + 1);
    const bool jumps = insn.op == NPU_OP_BR || insn.op == NPU_OP_BZ || insn.op == NPU_OP_BNZ;
    if (jumps) left.push_back(at + insn.imm);
    // As loop() and end() of control.cpp: behind the END, and back to the body.
    if (insn.op == NPU_OP_LOOP || insn.op == NPU_OP_END) left.push_back(at + insn.imm + 1);
  }
  return seen;
}

class Deadlock {
 public:
  explicit Deadlock(const Group& group) : group_(group) {
    for (uint32_t i = 0; i < group.tile_count; ++i)
      reachable_.push_back(reachable_from(group, group.tiles[i].pc));
  }

  std::string describe(Node start) {
    std::vector<Edge> way;
    std::vector<Node> path{start};
    const bool cycle = find_cycle(&path, &way);
    if (!cycle) follow(start, &path, &way);
    std::string text;
    for (size_t i = 0; i < way.size(); ++i) {
      if (i != 0) text += "; ";
      text += standing(path[i]) + way[i].text;
    }
    if (cycle) text += "; " + name_of(path.back()) + " again: a cycle";
    return text;
  }

 private:
  const Engine& engine_of(Node node) const { return group_.tiles[node.tile].engines[node.engine]; }
  const npu_insn& insn_of(Node node) const {
    const Engine& engine = engine_of(node);
    if (node.engine != NPU_ENGINE_CTRL) return *engine.queue[engine.head].insn;
    return group_.code[group_.tiles[node.tile].pc];
  }
  std::string name_of(Node node) const {
    std::string name = engine_name(node.engine);
    return group_.tile_count == 1 ? name : name + " of tile " + std::to_string(node.tile);
  }
  std::string standing(Node node) const {
    const npu_insn& insn = insn_of(node);
    return name_of(node) + " waits at " + mnemonic(insn.op) + " " + at(insn);
  }
  std::string at(const npu_insn& insn) const {
    return "@" + std::to_string(&insn - group_.code) + "/" + std::to_string(insn.line);
  }

  std::vector<Edge> edges(Node node) const {
    const Tile& tile = group_.tiles[node.tile];
    const npu_insn& insn = insn_of(node);
    if (node.engine != NPU_ENGINE_CTRL || insn.op == NPU_OP_WAIT) return wait_edges(node, insn);
    if (insn.op == NPU_OP_BARRIER && tile.barrier == BarrierState::kArrived) return late_tiles();
    std::vector<Edge> found;
    const uint32_t only =
        kOps[insn.op].engine;  // control stands at an operation: its queue is full
    for (uint32_t engine = NPU_ENGINE_LD; engine < NPU_ENGINE_COUNT; ++engine) {
      if (only != NPU_ENGINE_CTRL && engine != only) continue;
      if (tile.engines[engine].queued == 0) continue;
      found.push_back({std::string(" until ") + engine_name(engine) +
                           (only == NPU_ENGINE_CTRL ? " has run dry" : " has room"),
                       true,
                       {node.tile, engine}});
    }
    return found;
  }

  std::vector<Edge> late_tiles() const {
    std::vector<Edge> found;
    for (uint32_t i = 0; i < group_.tile_count; ++i) {
      const Tile& tile = group_.tiles[i];
      if (tile.barrier == BarrierState::kArrived) continue;
      const std::string who = " until tile " + std::to_string(i) + " comes";
      found.push_back(
          {tile.halted ? who + ", which has halted" : who, !tile.halted, {i, NPU_ENGINE_CTRL}});
    }
    return found;
  }

  std::vector<Edge> wait_edges(Node node, const npu_insn& insn) const {
    npu_insn first = insn;
    first.wait1 = 0;
    const uint32_t wait = waits_hold(group_.tiles[node.tile], first) ? insn.wait1 : insn.wait0;
    const uint32_t sem = NPU_WAIT_SEM(wait);
    const std::string why = ", s" + std::to_string(sem) + " is " +
                            std::to_string(group_.tiles[node.tile].sems[sem].value()) + " of " +
                            std::to_string(NPU_WAIT_THRESHOLD(wait)) + ", ";
    std::vector<Edge> found;
    for (uint32_t i = 0; i < group_.tile_count; ++i) queued_signals(node, i, sem, why, &found);
    for (uint32_t i = 0; i < group_.tile_count; ++i) later_signals(node, i, sem, why, &found);
    if (found.empty()) found.push_back({why + "and nothing is left to signal it", false, {}});
    return found;
  }

  // Operations of tile |i| that were issued.
  void queued_signals(Node node, uint32_t i, uint32_t sem, const std::string& why,
                      std::vector<Edge>* found) const {
    for (uint32_t e = NPU_ENGINE_LD; e < NPU_ENGINE_COUNT; ++e) {
      const Engine& engine = group_.tiles[i].engines[e];
      for (uint32_t q = 0; q < engine.queued; ++q) {
        const npu_insn& insn = *engine.queue[(engine.head + q) % group_.engine_fifo].insn;
        if (!signals(insn, i, node.tile, sem)) continue;
        found->push_back({why + "for " + place_text(group_, i, insn), true, {i, e}});
        break;
      }
    }
  }

  // Instructions that the control stream of tile |i| may still come to.
  void later_signals(Node node, uint32_t i, uint32_t sem, const std::string& why,
                     std::vector<Edge>* found) const {
    const Node control{i, NPU_ENGINE_CTRL};
    if (group_.tiles[i].halted || control == node) return;
    for (uint32_t pc = 0; pc < group_.code_size; ++pc) {
      const npu_insn& insn = group_.code[pc];
      if (!reachable_[i][pc] || !signals(insn, i, node.tile, sem)) continue;
      found->push_back(
          {why + "for " + place_text(group_, i, insn) + ", not issued", true, control});
      return;
    }
  }

  // Depth first from the end of |path|, each node once; true: its last node is in it twice.
  bool find_cycle(std::vector<Node>* path, std::vector<Edge>* way) {
    for (const Edge& edge : edges(path->back())) {
      if (!edge.goes_on || contains(left_, edge.to)) continue;
      const bool known = contains(*path, edge.to);
      path->push_back(edge.to);
      way->push_back(edge);
      if (known || find_cycle(path, way)) return true;
      path->pop_back();
      way->pop_back();
    }
    left_.push_back(path->back());
    return false;
  }

  // No cycle: the first way to an end.
  void follow(Node node, std::vector<Node>* path, std::vector<Edge>* way) const {
    while (way->size() < kMaxUnits) {
      const std::vector<Edge> next = edges(node);
      if (next.empty()) return;
      way->push_back(next.front());
      if (!next.front().goes_on) return;
      node = next.front().to;
      path->push_back(node);
    }
  }

  static bool contains(const std::vector<Node>& nodes, Node node) {
    return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
  }

  const Group& group_;
  std::vector<std::vector<bool>> reachable_;  // by tile
  std::vector<Node> left_;                    // no cycle goes through them
};

}  // namespace

std::string place_text(const Group& group, uint32_t tile, const npu_insn& insn) {
  std::string text = mnemonic(insn.op);
  text += " @" + std::to_string(&insn - group.code) + "/" + std::to_string(insn.line);
  if (group.tile_count != 1) text += " on tile " + std::to_string(tile);
  return text;
}

std::string deadlock_text(const Group& group, const Tile& from) {
  uint32_t engine = NPU_ENGINE_CTRL;
  uint64_t oldest = UINT64_MAX;
  for (uint32_t e = NPU_ENGINE_LD; e < NPU_ENGINE_COUNT; ++e) {
    const Engine& one = from.engines[e];
    if (one.queued == 0 || one.queue[one.head].sequence >= oldest) continue;
    oldest = one.queue[one.head].sequence;
    engine = e;
  }
  return Deadlock(group).describe({from.index, engine});
}

}  // namespace npu::model
