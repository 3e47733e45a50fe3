// SPDX-License-Identifier: Apache-2.0
// The nodes of launched graphs as activities.
//
// The device writes their records into the image of the launch. A launch that shares the image of an earlier one overwrites them: the count of launches, which grows before the later one
// is submitted under the queue's mutex, tells readers, who hold that mutex. An image that is written anew has been harvested first (GraphExec::take_image).
#include <bit>
#include <cstdio>
#include <cstring>
#include <utility>

#include "libnpu/src/core/activity.h"
#include "libnpu/src/core/context.h"
#include "libnpu/src/core/graph_exec.h"
#include "libnpu/src/core/validation.h"

namespace npu {

// Those of one EXEC of a launch.
class GraphExec::Nodes final : public NodeRecords {
 public:
  Nodes(std::shared_ptr<Image> image, std::shared_ptr<const NodeNames> names, uint64_t records_at,
        const npu_cmd_exec& exec)
      : image_(std::move(image)),
        names_(std::move(names)),
        launch_(image_->launches.load(std::memory_order_relaxed)),
        records_at_(records_at),
        first_((exec.list_dva - image_->buffer->dva()) / NPU_CMD_BYTES),
        count_(exec.count) {}

  size_t count() const override { return count_; }

  bool read(size_t number, const npu_completion& exec, npuProfActivity* out) const override {
    if (image_->launches.load(std::memory_order_relaxed) != launch_) return false;
    const size_t entry = first_ + number;
    npu_cmd command;
    std::memcpy(&command, image_->base + entry * NPU_CMD_BYTES, sizeof command);
    describe_command(command, nullptr, out);
    const NodeName& name = (*names_)[entry];
    if (!name.kernel.empty()) std::snprintf(out->name, sizeof out->name, "%s", name.kernel.c_str());
    out->node_id = name.id;
    // The first node that fails ends the list.
    if (exec.status != NPU_OK && number > exec.result) {
      out->result = NPU_ERROR_CANCELED;
      out->start_ps = out->end_ps = exec.end_ps;
      return true;
    }
    npu_completion record;
    std::memcpy(&record, image_->base + records_at_ + entry * NPU_COMPLETION_BYTES, sizeof record);
    out->result = record.status;
    out->start_ps = record.start_ps;
    out->end_ps = record.end_ps;
    take_work(record, out);
    return true;
  }

 private:
  const std::shared_ptr<Image> image_;
  const std::shared_ptr<const NodeNames> names_;
  const uint64_t launch_;
  const uint64_t records_at_;
  const size_t first_;
  const size_t count_;
};

bool GraphExec::notes_nodes() {
  return Hooks::has(Hook::kActivities) && Activities::wants(NPU_PROF_GRAPH_NODE);
}

std::shared_ptr<const GraphExec::NodeNames> GraphExec::names_locked() {
  if (names_ != nullptr && names_version_ == version_) return names_;
  auto names = std::make_shared<NodeNames>();
  names->reserve(node_of_.size());
  for (const uint32_t id : node_of_) {
    const GraphNode& node = nodes_[id - 1];
    names->push_back({id, node.kind == NodeKind::kKernel ? node.kernel->image().note.name : ""});
  }
  names_ = std::move(names);
  names_version_ = version_;
  return names_;
}

// What all nodes use. With semaphores inside, the host can know that a node has ended before the list has.
std::vector<Access> GraphExec::uses_locked() const {
  std::vector<Access> all;
  for (const GraphNode& node : nodes_) {
    if (!node.is_command()) continue;
    for (Access use : accesses_of(node.command, node.kernel.get(), node.args.data())) {
      use.is_exact = use.is_exact && !has_semaphores_;
      all.push_back(use);
    }
  }
  return all;
}

Status GraphExec::check_args() {
  if (!Hooks::has(Hook::kValidation)) return Status::ok();
  for (const GraphNode& node : copy_nodes()) {
    if (node.kind != NodeKind::kKernel) continue;
    NPU_TRY(Validation::check_args(*context_, *node.kernel, node.args.data()));
  }
  return Status::ok();
}

std::vector<Submission> GraphExec::noted_pieces(const std::shared_ptr<Image>& image,
                                                std::vector<SubmissionNotes>* notes) {
  std::shared_ptr<const NodeNames> names;
  std::vector<Access> uses;
  {
    std::lock_guard lock(mutex_);
    if (notes_nodes()) names = names_locked();
    if (Hooks::has(Hook::kValidation)) uses = uses_locked();
  }
  std::vector<Submission> pieces = image->pieces;
  notes->resize(pieces.size());
  for (size_t i = 0; i < pieces.size(); i++) {
    pieces[i].notes = &(*notes)[i];
    if (names == nullptr || pieces[i].command.op != NPU_CMD_EXEC) continue;
    const auto exec = std::bit_cast<npu_cmd_exec>(pieces[i].command);
    (*notes)[i].nodes = std::make_shared<Nodes>(image, names, records_offset(), exec);
  }
  // The last piece ends when all have.
  if (!notes->empty()) notes->back().uses = std::move(uses);
  return pieces;
}

}  // namespace npu
