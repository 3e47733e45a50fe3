// SPDX-License-Identifier: Apache-2.0
// Images of command lists, and their launches.
#include "libnpu/src/core/graph_exec.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "libnpu/src/core/activity.h"
#include "libnpu/src/core/context.h"
#include "libnpu/src/core/error.h"
#include "libnpu/src/core/library.h"

namespace npu {
namespace {

constexpr uint64_t kArgsAlignBytes = 64;
// Commands of one EXEC; the device takes no more.
constexpr uint32_t kPieceMost = 65536;
// Launches with different arguments that may be under way; the next one waits for the oldest.
constexpr size_t kImagesMost = 16;

uint64_t align_args(uint64_t bytes) {
  return (bytes + kArgsAlignBytes - 1) & ~(kArgsAlignBytes - 1);
}

}  // namespace

GraphExec::GraphExec(Ref<Context> context, std::vector<GraphNode> nodes)
    : Object(kKind), context_(std::move(context)), nodes_(std::move(nodes)) {
  for (size_t i = 0; i < nodes_.size(); i++) {
    const GraphNode& node = nodes_[i];
    entry_of_.push_back(entries_);
    args_at_.push_back(args_bytes_);
    if (!node.is_command()) continue;
    node_of_.push_back(static_cast<uint32_t>(i + 1));
    entries_++;
    args_bytes_ += align_args(node.args.size());
    has_semaphores_ |= node.kind == NodeKind::kSignal || node.kind == NodeKind::kWait;
    has_fills_ |= node.kind == NodeKind::kFill;
    if (node.kind != NodeKind::kKernel) continue;
    has_kernels_ = true;
    has_prints_ = has_prints_ || node.kernel->image().use.prints;
    remember_kernel(*node.kernel);
  }
  changed_.assign(nodes_.size(), 1);
}

void GraphExec::remember_kernel(const Kernel& kernel) {
  const uint64_t handle = kernel.handle();
  if (std::find(kernels_.begin(), kernels_.end(), handle) == kernels_.end()) {
    kernels_.push_back(handle);
  }
}

Result<Ref<GraphExec>> GraphExec::create(Graph& graph) {
  Ref<GraphExec> exec =
      Ref<GraphExec>::adopt(new GraphExec(Ref<Context>::share(&graph.context()), graph.nodes()));
  std::lock_guard lock(exec->mutex_);
  NPU_TRY_ASSIGN(std::shared_ptr<Image> image, exec->make_image_locked());
  exec->write_locked(image.get());
  return exec;
}

uint64_t GraphExec::records_offset() const { return uint64_t{entries_} * NPU_CMD_BYTES; }

uint64_t GraphExec::args_offset() const {
  return records_offset() + uint64_t{entries_} * NPU_COMPLETION_BYTES;
}

Result<std::shared_ptr<GraphExec::Image>> GraphExec::make_image_locked() {
  auto image = std::make_shared<Image>();
  if (entries_ != 0) {
    NPU_TRY_ASSIGN(image->buffer,
                   Buffer::create(context_->vm(), {.region = Region::kSystem,
                                                   .use = Use::kQueues,
                                                   .size_bytes = args_offset() + args_bytes_}));
    NPU_TRY_ASSIGN(image->base, image->buffer->host());
  }
  make_pieces(image.get());
  images_.push_back(image);
  return image;
}

void GraphExec::make_pieces(Image* image) {
  uint32_t begin = 0;
  const auto cut = [&](uint32_t end) {
    for (; begin < end; begin = std::min(end, begin + kPieceMost)) {
      npu_cmd_exec exec{};
      exec.op = NPU_CMD_EXEC;
      exec.tag = static_cast<__u32>(image->pieces.size());
      exec.list_dva = image->buffer->dva() + uint64_t{begin} * NPU_CMD_BYTES;
      exec.records_dva =
          image->buffer->dva() + records_offset() + uint64_t{begin} * NPU_COMPLETION_BYTES;
      exec.count = std::min(end - begin, kPieceMost);
      Submission piece;
      piece.command = std::bit_cast<npu_cmd>(exec);
      piece.runs_kernels = has_kernels_;
      piece.fills = has_fills_;
      piece.prints = has_prints_;
      piece.uses_semaphores = has_semaphores_;
      image->pieces.push_back(piece);
    }
  };
  for (size_t i = 0; i < nodes_.size(); i++) {
    const GraphNode& node = nodes_[i];
    if (node.kind == NodeKind::kExternal) {
      cut(entry_of_[i]);
      image->runs.push_back({image->pieces.size(), static_cast<uint32_t>(i + 1), entry_of_[i]});
    } else if (node.kind == NodeKind::kHost) {
      cut(entry_of_[i]);
      Submission call;
      call.host = node.host;
      image->pieces.push_back(call);
    }
  }
  cut(entries_);
  if (image->pieces.empty() && image->runs.empty()) {
    image->pieces.emplace_back();  // an empty graph is a NOP
  }
  image->runs.push_back({image->pieces.size(), 0, entries_});
}

// Brings the image up to the present version. No launch uses it.
void GraphExec::write_locked(Image* image) {
  for (size_t i = 0; i < nodes_.size(); i++) {
    const GraphNode& node = nodes_[i];
    if (changed_[i] <= image->version || !node.is_command()) continue;
    npu_cmd command = node.command;
    if (!node.args.empty()) {
      const uint64_t at = args_offset() + args_at_[i];
      std::memcpy(image->base + at, node.args.data(), node.args.size());
      auto launch = std::bit_cast<npu_cmd_launch>(command);
      launch.args_dva = image->buffer->dva() + at;
      command = std::bit_cast<npu_cmd>(launch);
    }
    std::memcpy(image->base + uint64_t{entry_of_[i]} * NPU_CMD_BYTES, &command, sizeof command);
  }
  image->version = version_;
}

Result<GraphNode*> GraphExec::find_locked(uint32_t id) {
  if (id == 0 || id > nodes_.size()) {
    return fail(NPU_ERROR_INVALID_ARGUMENT, "the graph has no node %u, only 1 to %zu", id,
                nodes_.size());
  }
  return &nodes_[id - 1];
}

void GraphExec::touch_locked(uint32_t id) { changed_[id - 1] = ++version_; }

Status GraphExec::set_args(uint32_t id, uint32_t offset_bytes, const void* data,
                           uint32_t size_bytes) {
  std::lock_guard lock(mutex_);
  NPU_TRY_ASSIGN(GraphNode * node, find_locked(id));
  if (node->kind != NodeKind::kKernel) {
    return fail(NPU_ERROR_INVALID_ARGUMENT, "node %u is no kernel but a %s", id,
                node_kind_name(node->kind));
  }
  if (offset_bytes > node->args.size() || size_bytes > node->args.size() - offset_bytes) {
    return fail(NPU_ERROR_ARGUMENT_LAYOUT,
                "[%u, + %u bytes) leaves the argument block of kernel '%s', which has %zu",
                offset_bytes, size_bytes, node->kernel->image().note.name, node->args.size());
  }
  if (size_bytes != 0) std::memcpy(node->args.data() + offset_bytes, data, size_bytes);
  touch_locked(id);
  return Status::ok();
}

Status GraphExec::update(uint32_t id, const Submission& one) {
  std::lock_guard lock(mutex_);
  NPU_TRY_ASSIGN(GraphNode * node, find_locked(id));
  // A copy or fill of no bytes is an empty node, and may become one.
  const NodeKind kind = node_kind_of(one);
  const bool may_be_empty = node->kind == NodeKind::kCopy || node->kind == NodeKind::kFill;
  if (kind != node->kind && !(kind == NodeKind::kEmpty && may_be_empty)) {
    return fail(NPU_ERROR_INVALID_ARGUMENT, "node %u is a %s, the command a %s", id,
                node_kind_name(node->kind), node_kind_name(kind));
  }
  if (kind == NodeKind::kKernel) {
    if (one.args_bytes != node->args.size()) {
      return fail(NPU_ERROR_ARGUMENT_LAYOUT,
                  "kernel '%s' takes %u bytes of arguments, the node has room for %zu",
                  one.kernel->image().note.name, one.args_bytes, node->args.size());
    }
    if (one.args_bytes != 0) std::memcpy(node->args.data(), one.args, one.args_bytes);
    node->kernel = Ref<Kernel>::share(const_cast<Kernel*>(one.kernel));
    remember_kernel(*node->kernel);
  }
  node->command = one.command;
  touch_locked(id);
  return Status::ok();
}

Status GraphExec::check_usable(Queue& queue) {
  if (&queue.context() != context_.get()) {
    return fail(NPU_ERROR_INVALID_ARGUMENT, "graph and queue belong to different contexts");
  }
  std::lock_guard lock(mutex_);
  if (closed_) return fail(NPU_ERROR_INVALID_HANDLE, "the executable graph was destroyed");
  for (const uint64_t handle : kernels_) {
    Pin<Kernel> still_loaded;
    NPU_TRY(still_loaded.take(handle, "a kernel of the graph"));
  }
  return Status::ok();
}

// An image that this launch may use, or nothing. It may have to be written.
std::shared_ptr<GraphExec::Image> GraphExec::free_image_locked(Queue& queue) {
  const auto shared = [&]() -> std::shared_ptr<Image> {
    for (const auto& image : images_) {
      if (image->version == version_ && image->queue.get() == &queue) return image;
    }
    return nullptr;
  };
  // Records of nodes are lost when an image is shared: then only rather than to wait.
  const bool keeps_records = notes_nodes();
  std::shared_ptr<Image> found = keeps_records ? nullptr : shared();
  for (const auto& image : images_) {
    if (found != nullptr) break;
    const bool ended =
        image->launching == 0 && (!image->queue || image->queue->has_passed(image->value));
    if (ended) found = image;
  }
  return found == nullptr && images_.size() == kImagesMost && keeps_records ? shared() : found;
}

Result<std::shared_ptr<GraphExec::Image>> GraphExec::take_image(Queue& queue) {
  for (;;) {
    Ref<Queue> oldest;
    uint64_t value = 0;
    {
      std::lock_guard lock(mutex_);
      std::shared_ptr<Image> image = free_image_locked(queue);
      if (image == nullptr && images_.size() < kImagesMost) {
        NPU_TRY_ASSIGN(image, make_image_locked());
      }
      if (image != nullptr) {
        // What was noted of its launches, which have ended if it is not shared, is read before it is written.
        if (image->queue &&
            (notes_nodes() || image->version != version_ || image->queue.get() != &queue)) {
          image->queue->harvest();
        }
        if (image->version != version_) write_locked(image.get());
        if (image->queue.get() != &queue) {
          image->queue = Ref<Queue>::share(&queue);
          image->value = 0;
        }
        image->launching++;
        image->launches.fetch_add(1, std::memory_order_relaxed);
        return image;
      }
      oldest = images_.front()->queue;
      value = images_.front()->value;
      std::rotate(images_.begin(), images_.begin() + 1, images_.end());
    }
    // What became of that launch matters here no more than that it has ended.
    const Status status = oldest->wait(value, Deadline::never());
    if (status.code() == NPU_ERROR_IN_CALLBACK || status.code() == NPU_ERROR_DEVICE_LOST)
      return status;
  }
}

std::vector<GraphNode> GraphExec::copy_nodes() {
  std::lock_guard lock(mutex_);
  return nodes_;
}

Status GraphExec::launch(Queue& queue, uint64_t* out_value) {
  NPU_TRY(check_usable(queue));
  Status status;
  if (queue.capture_child([&] { return copy_nodes(); }, &status, out_value)) return status;
  NPU_TRY(check_args());
  NPU_TRY_ASSIGN(std::shared_ptr<Image> image, take_image(queue));
  Launch launch{image, Ref<Queue>::share(&queue), 0, 0, {}};
  if (notes_nodes() || Hooks::has(Hook::kValidation)) {
    std::vector<SubmissionNotes> notes;
    const std::vector<Submission> pieces = noted_pieces(image, &notes);
    status = submit(*image, pieces, &launch);
  } else {
    status = submit(*image, image->pieces, &launch);
  }
  if (status.is_ok()) *out_value = launch.last;
  std::shared_ptr<Image> late;
  finish_launch(std::move(launch), &late);
  if (late != nullptr) context_->retire(std::shared_ptr<void>(std::move(late)));
  return status;
}

// Run by run; |launch| has what was submitted, also when this fails.
Status GraphExec::submit(const Image& image, std::span<const Submission> pieces, Launch* launch) {
  Queue& queue = *launch->queue;
  size_t begin = 0;
  for (const Run& run : image.runs) {
    const std::span<const Submission> together = pieces.subspan(begin, run.end_piece - begin);
    begin = run.end_piece;
    uint64_t value = 0;
    if (!together.empty()) {
      NPU_TRY(queue.submit_together(together, &value));
      if (launch->first == 0) launch->first = value - together.size() + 1;
      launch->last = value;
    }
    Launch::End& end = launch->ends.emplace_back();
    end.pieces = value;
    if (run.node == 0) break;
    NPU_TRY(submit_external(run.node, queue, &end.work));
    if (launch->first == 0) launch->first = end.work;
    launch->last = std::max(launch->last, end.work);
  }
  // Work that had nothing to submit, and nothing beside it.
  if (launch->last == 0) NPU_TRY(queue.submit_together({{Submission{}}}, &launch->last));
  return Status::ok();
}

Status GraphExec::submit_external(uint32_t node, Queue& queue, uint64_t* out_value) {
  *out_value = 0;
  std::shared_ptr<const ExternalWork> work;
  {
    std::lock_guard lock(mutex_);
    work = nodes_[node - 1].external;
  }
  const npuResult result =
      work->submit(reinterpret_cast<npuQueue>(static_cast<uintptr_t>(queue.handle())), out_value);
  if (result == NPU_OK) return Status::ok();
  return fail(result, "node %u of the graph, %s, could not be submitted", node,
              work->name().c_str());
}

// |*out_late|: to be given back, since the graph was destroyed meanwhile.
void GraphExec::finish_launch(Launch launch, std::shared_ptr<Image>* out_late) {
  uint64_t value = 0;  // of the last piece
  for (const Launch::End& end : launch.ends) value = std::max(value, end.pieces);
  std::lock_guard lock(mutex_);
  Image& image = *launch.image;
  image.launching--;
  if (closed_) *out_late = launch.image;
  if (launch.last == 0 || closed_) return;
  image.value = std::max(image.value, value);
  std::swap(last_, launch);  // the one before ends after the lock
}

npu_completion GraphExec::record(const Image& image, uint32_t entry) const {
  npu_completion record;
  std::memcpy(&record, image.base + records_offset() + uint64_t{entry} * NPU_COMPLETION_BYTES,
              sizeof record);
  return record;
}

Status GraphExec::stop_of(const Launch& launch, Stop* out) {
  if (!launch.queue) return fail(NPU_ERROR_NOT_FOUND, "the graph was not launched yet");
  const Image& image = *launch.image;
  out->entry = image.runs[launch.ends.size() - 1].entry;
  const Status status = launch.queue->poll(launch.last);
  if (status.is_ok() || status.code() == NPU_NOT_READY) return status;
  const auto fault = launch.queue->fault_in(launch.first, launch.last);
  if (fault.has_value()) {
    *out = stop_at(launch, *fault);
    return Status::ok();
  }
  if (status.code() == NPU_ERROR_CANCELED) {
    return fail(NPU_ERROR_NOT_FOUND, "the queue was reset after the launch");
  }
  out->entry = 0;  // failed before the graph began
  return Status::ok();
}

GraphExec::Stop GraphExec::stop_at(const Launch& launch, const Fault& fault) const {
  Stop stop{0, 0, false, fault};
  const Image& image = *launch.image;
  size_t begin = 0;
  for (size_t i = 0; i < launch.ends.size(); i++) {
    const Run& run = image.runs[i];
    const Launch::End& end = launch.ends[i];
    if (fault.value <= end.pieces) {
      const uint64_t first = end.pieces - (run.end_piece - begin) + 1;
      const Submission& piece = image.pieces[begin + (fault.value - first)];
      if (piece.command.op != NPU_CMD_EXEC) return stop;
      const auto exec = std::bit_cast<npu_cmd_exec>(piece.command);
      const uint64_t at = (exec.list_dva - image.buffer->dva()) / NPU_CMD_BYTES;
      stop.entry = static_cast<uint32_t>(std::min<uint64_t>(at + fault.record.result, entries_));
      stop.at_entry = stop.entry < entries_;
      if (stop.at_entry) stop.node = node_of_[stop.entry];
      return stop;
    }
    stop.entry = run.entry;
    stop.node = run.node;
    if (fault.value <= end.work) return stop;
    begin = run.end_piece;
  }
  return stop;
}

Status GraphExec::timing(uint32_t id, uint64_t* out_start_ps, uint64_t* out_end_ps) {
  Launch launch;
  uint32_t entry = 0;
  {
    std::lock_guard lock(mutex_);
    NPU_TRY_ASSIGN(const GraphNode* node, find_locked(id));
    if (!node->is_command()) {
      return fail(NPU_ERROR_INVALID_ARGUMENT, "node %u is a %s node, which has no device time", id,
                  node_kind_name(node->kind));
    }
    launch = last_;
    entry = entry_of_[id - 1];
  }
  Stop stop;
  NPU_TRY(stop_of(launch, &stop));
  if (entry > stop.entry || (entry == stop.entry && !stop.at_entry)) {
    return fail(NPU_ERROR_NOT_FOUND, "the last launch failed before node %u", id);
  }
  const npu_completion done = record(*launch.image, entry);
  *out_start_ps = done.start_ps;
  *out_end_ps = done.end_ps;
  return Status::ok();
}

Status GraphExec::failure(uint32_t* out_id, Fault* out) {
  Launch launch;
  {
    std::lock_guard lock(mutex_);
    launch = last_;
  }
  Stop stop;
  NPU_TRY(stop_of(launch, &stop));
  *out = stop.fault;
  *out_id = stop.node;
  if (stop.at_entry) out->record = record(*launch.image, stop.entry);
  return Status::ok();
}

void GraphExec::close() {
  std::vector<std::shared_ptr<Image>> images;
  Launch last;
  {
    std::lock_guard lock(mutex_);
    if (closed_) return;
    closed_ = true;
    images.swap(images_);
    std::swap(last, last_);
  }
  for (std::shared_ptr<Image>& image : images) {
    context_->retire(std::shared_ptr<void>(std::move(image)));
  }
}

}  // namespace npu
