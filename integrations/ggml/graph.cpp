// SPDX-License-Identifier: Apache-2.0
#include "integrations/ggml/graph.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "integrations/ggml/device.h"
#include "integrations/ggml/fuse.h"
#include "integrations/ggml/lower.h"
#include "integrations/ggml/weights.h"

namespace npu::ggml {
namespace {

// A prompt's graph and a token's, for a few sizes of the cache each; where tensors are split over devices, each of them is two graphs for every layer.
constexpr size_t kEntriesMax = 512;

// Stands for a source that a node has not.
constexpr ggml_type kNoTensor = GGML_TYPE_COUNT;

TensorKey key_of(const ggml_tensor* tensor) {
  TensorKey key{};
  key.type = kNoTensor;
  if (tensor == nullptr) return key;
  key.data = tensor->data;
  std::copy_n(tensor->ne, 4, key.sizes);
  std::copy_n(tensor->nb, 4, key.strides);
  key.type = tensor->type;
  return key;
}

NodeKey node_key(const ggml_tensor* node) {
  NodeKey key;
  key.op = node->op;
  std::memcpy(key.params, node->op_params, sizeof(key.params));
  key.tensors[0] = key_of(node);
  for (int i = 0; i < NodeKey::kSources; ++i) key.tensors[1 + i] = key_of(node->src[i]);
  return key;
}

bool is_key_of(const TensorKey& key, const ggml_tensor* tensor) {
  if (tensor == nullptr) return key.type == kNoTensor;
  return key.data == tensor->data && key.type == tensor->type &&
         std::memcmp(key.sizes, tensor->ne, sizeof(key.sizes)) == 0 &&
         std::memcmp(key.strides, tensor->nb, sizeof(key.strides)) == 0;
}

// Without making the node's own key: for each token of a text all nodes are compared, and hardly ever one differs.
bool is_key_of(const NodeKey& key, const ggml_tensor* node) {
  if (key.op != node->op || !is_key_of(key.tensors[0], node)) return false;
  for (int i = 0; i < NodeKey::kSources; ++i)
    if (!is_key_of(key.tensors[1 + i], node->src[i])) return false;
  return std::memcmp(key.params, node->op_params, sizeof(key.params)) == 0;
}

bool same_launch(const npuOpsCommand& a, const npuOpsCommand& b) {
  return std::memcmp(&a, &b, offsetof(npuOpsCommand, args) + a.args_bytes) == 0;
}

// Launches that would have to be patched; SIZE_MAX: these are other kernels.
size_t count_differences(const std::vector<npuOpsCommand>& a, const std::vector<npuOpsCommand>& b) {
  if (a.size() != b.size()) return SIZE_MAX;
  size_t differ = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].kernel != b[i].kernel) return SIZE_MAX;
    differ += !same_launch(a[i], b[i]);
  }
  return differ;
}

npuLaunchInfo launch_info(const npuOpsCommand& command) {
  npuLaunchInfo info{};
  info.struct_size = sizeof(info);
  info.grid_x = command.grid_x;
  info.grid_y = command.grid_y;
  info.grid_z = command.grid_z;
  info.args = command.args;
  info.args_bytes = command.args_bytes;
  return info;
}

}  // namespace

GraphCache::~GraphCache() {
  for (Entry& entry : entries_) npuGraphExecDestroy(entry.exec);
}

bool GraphCache::submit(npuQueue queue, ggml_cgraph* graph, uint64_t* out_value) {
  *out_value = 0;
  nodes_.clear();
  for (int i = 0; i < ggml_graph_n_nodes(graph); ++i) {
    const ggml_tensor* node = ggml_graph_node(graph, i);
    if (is_idle(node) || (node->flags & GGML_TENSOR_FLAG_COMPUTE) == 0) continue;
    nodes_.push_back(node);
  }
  if (nodes_.empty()) return true;
  Entry* entry = find_equal();
  if (entry == nullptr) {
    std::vector<npuOpsCommand> commands;
    if (!make_layouts_fit(queue)) return false;
    if (!make_commands(nodes_, &commands)) return false;
    entry = find_like(commands);
    if (entry != nullptr ? !patch(*entry, commands)
                         : (entry = make(std::move(commands))) == nullptr)
      return false;
    entry->keys.clear();
    for (const ggml_tensor* node : nodes_) entry->keys.push_back(node_key(node));
  } else {
    ++counts_.reused;
  }
  return npuGraphLaunch(entry->exec, queue, out_value) == NPU_OK ||
         say_failure("a graph could not be submitted");
}

bool GraphCache::make_commands(const std::vector<const ggml_tensor*>& nodes,
                               std::vector<npuOpsCommand>* out) {
  const std::span<const ggml_tensor* const> all(nodes);
  for (size_t done = 0; done < all.size();) {
    const ggml_tensor* node = all[done];
    Lowered lowered;
    const size_t fused = lower_fused(all.subspan(done), &lowered);
    done += fused != 0 ? fused : 1;
    if (fused == 0 && !lower(node, &lowered)) {
      std::fprintf(stderr, "ggml-npu: %s is not supported (%s)\n", ggml_op_desc(node), node->name);
      return false;
    }
    for (uint32_t i = 0; i < lowered.count; ++i) {
      npuOpsCommand& command = out->emplace_back();
      std::memset(&command, 0, sizeof(command));
      command.struct_size = sizeof(command);
      const Operation& operation = lowered.operations[i];
      if (npuOpsGetCommand(ops_, operation.kind, &operation.info, &command) == NPU_OK) continue;
      std::fprintf(stderr, "ggml-npu: %s (%s): %s\n", ggml_op_desc(node), node->name,
                   npuOpsGetErrorText());
      return false;
    }
  }
  return true;
}

// Weights that a node of nodes_ writes, or reads by rows, are brought into rows or copied.
bool GraphCache::make_layouts_fit(npuQueue queue) {
  npuResult result = NPU_OK;
  for (const ggml_tensor* node : nodes_) {
    if (Weights* written = Weights::in_tiles(node); written != nullptr) {
      result = npuQueueSync(queue, NPU_TIMEOUT_INFINITE);
      if (result == NPU_OK) result = written->end_tiles();
    }
    for (int i = 0; i < GGML_MAX_SRC && result == NPU_OK; ++i) {
      Weights* weights = Weights::in_tiles(node->src[i]);
      if (weights != nullptr && !(i == 0 && takes_tiles(node))) result = weights->make_copy();
    }
    if (result != NPU_OK) return say_failure("weights could not be brought into rows");
  }
  return true;
}

GraphCache::Entry* GraphCache::find_equal() {
  if (const uint64_t now = Weights::generation(); now != generation_) {
    for (Entry& entry : entries_) entry.keys.clear();
    generation_ = now;
  }
  for (auto it = entries_.begin(); it != entries_.end(); ++it) {
    if (!std::equal(
            it->keys.begin(), it->keys.end(), nodes_.begin(), nodes_.end(),
            [](const NodeKey& key, const ggml_tensor* node) { return is_key_of(key, node); }))
      continue;
    entries_.splice(entries_.begin(), entries_, it);
    return &entries_.front();
  }
  return nullptr;
}

// The graph of the same kernels in the same order of which least has to be patched: of many layers that are alike, the one with the same weights.
GraphCache::Entry* GraphCache::find_like(const std::vector<npuOpsCommand>& commands) {
  auto best = entries_.end();
  size_t fewest = SIZE_MAX;
  for (auto it = entries_.begin(); it != entries_.end(); ++it) {
    const size_t differ = count_differences(it->commands, commands);
    if (differ >= fewest) continue;
    fewest = differ;
    best = it;
  }
  if (best == entries_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, best);
  return &entries_.front();
}

bool GraphCache::patch(Entry& entry, const std::vector<npuOpsCommand>& commands) {
  for (size_t i = 0; i < commands.size(); ++i) {
    if (same_launch(entry.commands[i], commands[i])) continue;
    const npuLaunchInfo info = launch_info(commands[i]);
    npuCommand command{};
    command.struct_size = sizeof(command);
    command.kind = NPU_COMMAND_LAUNCH;
    command.as.launch.kernel = commands[i].kernel;
    command.as.launch.info = &info;
    // Nodes of a graph count from 1.
    if (npuGraphExecUpdateNode(entry.exec, static_cast<npuGraphNode>(i + 1), &command) != NPU_OK)
      return say_failure("a graph could not be patched");
    ++counts_.patched;
    entry.commands[i] = commands[i];
  }
  return true;
}

GraphCache::Entry* GraphCache::make(std::vector<npuOpsCommand> commands) {
  npuGraph graph = nullptr;
  bool made = npuGraphCreate(context_, &graph) == NPU_OK;
  for (size_t i = 0; made && i < commands.size(); ++i) {
    const npuLaunchInfo info = launch_info(commands[i]);
    made = npuGraphAddKernel(graph, 0, nullptr, commands[i].kernel, &info, nullptr) == NPU_OK;
  }
  npuGraphExec exec = nullptr;
  made = made && npuGraphInstantiate(graph, &exec) == NPU_OK;
  if (!made) say_failure("a graph could not be made");
  npuGraphDestroy(graph);
  if (!made) return nullptr;
  while (entries_.size() >= kEntriesMax) drop_oldest();
  ++counts_.made;
  Entry& entry = entries_.emplace_front();
  entry.commands = std::move(commands);
  entry.exec = exec;
  return &entry;
}

void GraphCache::drop_oldest() {
  npuGraphExecDestroy(entries_.back().exec);
  entries_.pop_back();
}

}  // namespace npu::ggml
