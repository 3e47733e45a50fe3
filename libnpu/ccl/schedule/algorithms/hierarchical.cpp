// SPDX-License-Identifier: Apache-2.0
// Two levels: direct among the ranks of a node, direct between nodes, block by block in one pipeline.
//
// The lane of a rank is its index in its node. In every node one rank, the agent, deals with the block of rank q: the one whose lane is lane(q) modulo
// the size of that node. So equal nodes only talk lane to lane, each rank over its own up-links, and uneven nodes work too. In a node, agents reduce to
// as few subtrees of the canonical tree as cover the node's ranks (one, if nodes are aligned powers of two); the block's owner finishes the tree.
//
// A rank deals with the blocks of the following node first and with those of its own node last (the gather: the other way round). With as many links to
// each neighbour as up-links, both kinds are then busy all the time.
#include "libnpu/ccl/schedule/algorithms/generators.h"

namespace npu::ccl {
namespace {

class TwoLevels {
 public:
  TwoLevels(Task& task, const BlockOf& block) : task_(task), block_(block) {
    uint32_t first = 0;
    const uint32_t nodes = task.problem.node_count();
    for (uint32_t n = 0; n < nodes; n++) {
      const uint32_t size = task.problem.nodes.empty() ? task.problem.ranks : task.problem.nodes[n];
      nodes_.push_back({first, first + size});
      if (nodes_.back().contains(task.rank)) mine_ = n;
      first += size;
    }
  }

  void scatter(Place to) {
    const auto count = static_cast<uint32_t>(nodes_.size());
    for (uint32_t t = 1; t <= count; t++) {
      const RankRange& node = nodes_[(mine_ + t) % count];
      for (uint32_t owner = node.first; owner < node.end; owner++) contribute(owner, node, to);
    }
  }

  void gather() {
    const auto count = static_cast<uint32_t>(nodes_.size());
    send_own_everywhere();
    for (uint32_t t = 0; t < count; t++) {
      const RankRange& node = nodes_[(mine_ + count - t) % count];
      for (uint32_t owner = node.first; owner < node.end; owner++) spread(owner, node);
    }
  }

 private:
  RankRange home() const { return nodes_[mine_]; }
  RankRange everybody() const { return {0, task_.problem.ranks}; }

  // Who deals in |node| with the block of |owner|, a rank of |owner_node|.
  static uint32_t agent(RankRange node, uint32_t owner, RankRange owner_node) {
    return node.first + (owner - owner_node.first) % node.size();
  }

  void contribute(uint32_t owner, RankRange owner_node, Place to) {
    const Block block = block_(owner);
    const uint32_t me = agent(home(), owner, owner_node);
    if (me != task_.rank) {
      task_.out.send(me, input(block.offset), block.count);
      return;
    }
    const std::vector<Place> inputs = collect(block);
    if (owner == task_.rank) {
      finish(inputs, block, to);
    } else {
      for (const Subtree& subtree : reduce_home(inputs, block.count)) {
        task_.out.send(owner, subtree.place, block.count);
      }
    }
  }

  // The inputs of this node's ranks for |block|.
  std::vector<Place> collect(Block block) {
    std::vector<Place> inputs;
    for (uint32_t peer = home().first; peer < home().end; peer++) {
      if (peer == task_.rank) {
        inputs.push_back(input(block.offset));
      } else {
        inputs.push_back(task_.out.scratch(block.count));
        task_.out.recv(peer, inputs.back(), block.count);
      }
    }
    return inputs;
  }

  std::vector<Subtree> reduce_home(const std::vector<Place>& inputs, uint64_t count) {
    std::vector<Subtree> subtrees;
    for (const RankRange& ranks : subtrees_within(everybody(), home())) {
      const std::span operands =
          std::span(inputs).subspan(ranks.first - home().first, ranks.size());
      Place place = operands[0];
      if (ranks.size() > 1) {
        place = task_.out.partial(count);
        task_.out.reduce(operands, place, count);
      }
      subtrees.push_back({ranks, place});
    }
    return subtrees;
  }

  void finish(const std::vector<Place>& inputs, Block block, Place to) {
    if (home() == everybody()) {
      task_.out.reduce(inputs, to, block.count);
      return;
    }
    std::vector<std::vector<Subtree>> by_node(nodes_.size());
    const auto count = static_cast<uint32_t>(nodes_.size());
    for (uint32_t t = 1; t < count; t++) {
      const uint32_t source = (mine_ + count - t) % count;
      for (const RankRange& ranks : subtrees_within(everybody(), nodes_[source])) {
        by_node[source].push_back({ranks, task_.out.room(ranks.size(), block.count)});
        task_.out.recv(agent(nodes_[source], task_.rank, home()), by_node[source].back().place,
                       block.count);
      }
    }
    by_node[mine_] = reduce_home(inputs, block.count);
    std::vector<Subtree> known;
    for (const auto& subtrees : by_node)
      known.insert(known.end(), subtrees.begin(), subtrees.end());
    reduce_subtrees(task_.out, everybody(), known, to, block.count);
  }

  // One node at a time: what has arrived there is passed on while the rest is under way.
  void send_own_everywhere() {
    const auto count = static_cast<uint32_t>(nodes_.size());
    const Block own = block_(task_.rank);
    uint32_t sent = Builder::kNoStep;
    for (uint32_t t = 1; t < count; t++) {
      const RankRange& node = nodes_[(mine_ + t) % count];
      task_.out.after(sent);
      sent = task_.out.send(agent(node, task_.rank, home()), output(own.offset), own.count);
    }
  }

  void spread(uint32_t owner, RankRange owner_node) {
    const Block block = block_(owner);
    const uint32_t me = agent(home(), owner, owner_node);
    if (owner != task_.rank) {
      task_.out.recv(me == task_.rank ? owner : me, output(block.offset), block.count);
    }
    if (me != task_.rank) return;
    for (uint32_t i = 1; i < home().size(); i++) {
      const uint32_t lane = (task_.rank - home().first + i) % home().size();
      task_.out.send(home().first + lane, output(block.offset), block.count);
    }
  }

  Task& task_;
  const BlockOf& block_;
  std::vector<RankRange> nodes_;
  uint32_t mine_ = 0;
};

// Pieces of an all-reduce, in the order of (lane, node): a lane is one run of the vector.
std::vector<uint32_t> lane_order(const Problem& problem) {
  std::vector<uint32_t> position(problem.ranks);
  if (problem.nodes.empty()) {
    for (uint32_t r = 0; r < problem.ranks; r++) position[r] = r;
    return position;
  }
  uint32_t next = 0;
  for (uint32_t lane = 0; next < problem.ranks; lane++) {
    uint32_t first = 0;
    for (uint32_t size : problem.nodes) {
      if (lane < size) position[first + lane] = next++;
      first += size;
    }
  }
  return position;
}

}  // namespace

void scatter_phase_hierarchical(Task& task, const BlockOf& block, Place to) {
  TwoLevels(task, block).scatter(to);
}

void gather_phase_hierarchical(Task& task, const BlockOf& block) {
  TwoLevels(task, block).gather();
}

void all_reduce_hierarchical(Task& task) {
  const Block vector = task.vector();
  const std::vector<uint32_t> position = lane_order(task.problem);
  const BlockOf block = [&](uint32_t r) {
    return part_of(vector, task.problem.ranks, position[r]);
  };
  scatter_phase_hierarchical(task, block, output(block(task.rank).offset));
  gather_phase_hierarchical(task, block);
}

void reduce_scatter_hierarchical(Task& task) {
  const BlockOf block = [&](uint32_t r) { return task.block(r); };
  const uint64_t start = task.blocks[task.rank].offset;
  scatter_phase_hierarchical(task, block, output(block(task.rank).offset - start));
}

void all_gather_hierarchical(Task& task) {
  const BlockOf block = [&](uint32_t r) { return task.block(r); };
  const Block own = block(task.rank);
  task.out.copy(input(task.own_offset()), output(own.offset), own.count);
  gather_phase_hierarchical(task, block);
}

}  // namespace npu::ccl
