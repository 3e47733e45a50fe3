// SPDX-License-Identifier: Apache-2.0
// Whole graphs as command lists: a graph of ggml becomes an executable graph of libnpu, one doorbell and one completion. The next graph of the same shape is compared node by node, and only
// launches that changed are patched.
// Thread safety: one stream's, as everything of a stream in ggml.
#ifndef INTEGRATIONS_GGML_GRAPH_H_
#define INTEGRATIONS_GGML_GRAPH_H_

#include <ggml.h>
#include <npu/npu.h>
#include <npu/npu_tensor.h>

#include <cstdint>
#include <list>
#include <vector>

namespace npu::ggml {

// All of a node that its launches depend on.
struct TensorKey {
  const void* data;
  int64_t sizes[4];
  uint64_t strides[4];
  ggml_type type;
};
struct NodeKey {
  static constexpr int kSources = 5;  // of FLASH_ATTN_EXT
  ggml_op op;
  int32_t params[GGML_MAX_OP_PARAMS / sizeof(int32_t)];
  TensorKey tensors[1 + kSources];
};

class GraphCache {
 public:
  GraphCache(npuContext context, npuOps ops) : context_(context), ops_(ops) {}
  ~GraphCache();
  GraphCache(const GraphCache&) = delete;
  GraphCache& operator=(const GraphCache&) = delete;

  // Submits the graph. out_value: 0 when there was nothing to compute.
  bool submit(npuQueue queue, ggml_cgraph* graph, uint64_t* out_value);

  // Graphs that were made, and launches that were patched: for tests.
  struct Counts {
    uint64_t made, patched, reused;
  };
  const Counts& counts() const { return counts_; }

 private:
  struct Entry {
    std::vector<NodeKey> keys;            // of the nodes that compute
    std::vector<npuOpsCommand> commands;  // all of theirs, in order
    npuGraphExec exec = nullptr;
  };
  bool make_commands(const std::vector<const ggml_tensor*>& nodes, std::vector<npuOpsCommand>* out);
  bool make_layouts_fit(npuQueue queue);
  Entry* find_equal();
  Entry* find_like(const std::vector<npuOpsCommand>& commands);
  bool patch(Entry& entry, const std::vector<npuOpsCommand>& commands);
  Entry* make(std::vector<npuOpsCommand> commands);
  void drop_oldest();

  npuContext context_;
  npuOps ops_;
  std::list<Entry> entries_;  // the one used last comes first
  std::vector<const ggml_tensor*> nodes_;
  uint64_t generation_ = 0;  // Weights::generation() of the keys
  Counts counts_{};
};

}  // namespace npu::ggml

#endif  // INTEGRATIONS_GGML_GRAPH_H_
