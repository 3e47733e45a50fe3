// SPDX-License-Identifier: Apache-2.0
// GraphExec: a graph as an indirect command list in memory of the device.
//
// An image is one copy of the list, with its argument blocks and with room for the records of its commands. A launch that is under way keeps its image as it is: changes go into
// another one. Launches of one queue follow each other and share an image; two queues never do, since the records would mix.
//
// Host functions cut the list in pieces. Each piece is an EXEC command; its tag is the number of the piece. Work of other libraries (ExternalWork) cuts the pieces in runs, each of which is submitted by
// itself, with the work between them.
//
// Thread safety: all functions. The mutex is not held while a launch waits for room in a ring.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "libnpu/src/core/buffer.h"
#include "libnpu/src/core/graph.h"
#include "libnpu/src/core/object.h"
#include "libnpu/src/core/queue.h"
#include "libnpu/src/core/status.h"

namespace npu {

class GraphExec final : public Object {
 public:
  static constexpr Kind kKind = Kind::kGraphExec;

  static Result<Ref<GraphExec>> create(Graph& graph);

  Context& context() const { return *context_; }

  Status set_args(uint32_t id, uint32_t offset_bytes, const void* data, uint32_t size_bytes);
  // |one| is of the node's kind.
  Status update(uint32_t id, const Submission& one);
  Status launch(Queue& queue, uint64_t* out_value);

  // Of the last launch.
  Status timing(uint32_t id, uint64_t* out_start_ps, uint64_t* out_end_ps);
  // |*out_id| 0: it has ended well.
  Status failure(uint32_t* out_id, Fault* out);

  // Gives the memory back once what was launched has ended. Idempotent.
  void end(HandleTable&) override { close(); }
  void close();

 private:
  // Pieces that are submitted together, and the work behind them.
  struct Run {
    size_t end_piece = 0;
    uint32_t node = 0;   // id of the work; 0: none, this is the last run
    uint32_t entry = 0;  // the first behind the work
  };
  struct Image {
    std::unique_ptr<Buffer> buffer;
    std::byte* base = nullptr;
    uint64_t version = 0;    // changes up to this one are in it; 0: nothing is
    uint32_t launching = 0;  // launches that are being submitted
    std::atomic<uint64_t> launches{0};
    Ref<Queue> queue;    // of its launches
    uint64_t value = 0;  // of the last one
    std::vector<Submission> pieces;
    std::vector<Run> runs;
  };
  struct NodeName {
    uint32_t id = 0;
    std::string kernel;
  };
  using NodeNames = std::vector<NodeName>;  // by entry
  class Nodes;
  struct Launch {
    std::shared_ptr<Image> image;
    Ref<Queue> queue;
    uint64_t first = 0;  // value of its first command
    uint64_t last = 0;
    // Of each run the values of its last piece and of the work behind it; 0: there was nothing.
    struct End {
      uint64_t pieces = 0;
      uint64_t work = 0;
    };
    std::vector<End> ends;  // fewer than runs: the work behind the last one could not be submitted
  };
  // Where a launch has stopped.
  struct Stop {
    uint32_t entry =
        0;  // of the list: it failed there, or it has not run; the number of entries: none
    uint32_t node = 0;      // id of the node that failed; 0: none
    bool at_entry = false;  // the failed node is |entry|
    Fault fault;            // value 0: none
  };

  GraphExec(Ref<Context> context, std::vector<GraphNode> nodes);
  ~GraphExec() override = default;

  // Activities of nodes (graph_activity.cpp).
  static bool notes_nodes();
  std::shared_ptr<const NodeNames> names_locked();
  std::vector<Access> uses_locked() const;
  Status check_args();
  std::vector<GraphNode> copy_nodes();
  std::vector<Submission> noted_pieces(const std::shared_ptr<Image>& image,
                                       std::vector<SubmissionNotes>* notes);

  Status check_usable(Queue& queue);
  Result<GraphNode*> find_locked(uint32_t id);
  void touch_locked(uint32_t id);
  void remember_kernel(const Kernel& kernel);
  Result<std::shared_ptr<Image>> take_image(Queue& queue);
  Status submit(const Image& image, std::span<const Submission> pieces, Launch* launch);
  Status submit_external(uint32_t node, Queue& queue, uint64_t* out_value);
  void finish_launch(Launch launch, std::shared_ptr<Image>* out_late);
  std::shared_ptr<Image> free_image_locked(Queue& queue);
  Result<std::shared_ptr<Image>> make_image_locked();
  void write_locked(Image* image);
  void make_pieces(Image* image);
  uint64_t records_offset() const;
  uint64_t args_offset() const;
  npu_completion record(const Image& image, uint32_t entry) const;
  Status stop_of(const Launch& launch, Stop* out);
  Stop stop_at(const Launch& launch, const Fault& fault) const;

  const Ref<Context> context_;
  uint32_t entries_ = 0;            // commands of the list
  std::vector<uint32_t> entry_of_;  // by node index
  std::vector<uint64_t> args_at_;   // by node index: offset from args_offset()
  std::vector<uint32_t> node_of_;   // by entry: id
  std::vector<uint64_t> kernels_;   // handles: stale when a module was unloaded
  uint64_t args_bytes_ = 0;
  bool has_kernels_ = false;
  bool has_fills_ = false;
  bool has_prints_ = false;
  bool has_semaphores_ = false;

  std::mutex mutex_;  // of what follows
  bool closed_ = false;
  std::vector<GraphNode> nodes_;
  std::vector<uint64_t> changed_;  // by node index: version of the last change
  uint64_t version_ = 1;
  std::vector<std::shared_ptr<Image>> images_;
  Launch last_;
  std::shared_ptr<const NodeNames> names_;  // of names_version_
  uint64_t names_version_ = 0;
};

}  // namespace npu
