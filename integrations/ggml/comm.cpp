// SPDX-License-Identifier: Apache-2.0
#include "integrations/ggml/comm.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "integrations/ggml/tensor.h"

namespace npu::ggml {
namespace {

// All ranks are in this process: they meet at once or never.
constexpr uint32_t kStartTimeoutMs = 10'000;
// From the moment when one NPU has come to the operation: the others' parts of the graph may be behind.
constexpr uint32_t kOperationTimeoutMs = 60'000;

ggml_backend_buffer_type_t buffer_type_of(const ggml_tensor* tensor) {
  const ggml_tensor* owner = tensor->view_src != nullptr ? tensor->view_src : tensor;
  return owner->buffer != nullptr ? ggml_backend_buffer_get_type(owner->buffer) : nullptr;
}

// A part that was not computed on this device stands for zeros.
bool is_computed(const ggml_tensor* tensor) {
  return (tensor->flags & GGML_TENSOR_FLAG_COMPUTE) != 0;
}

bool is_reducible(npuDataType type) {
  return type == NPU_FLOAT32 || type == NPU_FLOAT16 || type == NPU_BFLOAT16;
}

// Where libnpu's messages of that level go. Not to ggml's log: programs lose the end of it.
void log_counts(size_t npus, uint64_t reduced, uint64_t refused) {
  const char* level = std::getenv("NPU_LOG_LEVEL");
  if (level == nullptr || (std::strcmp(level, "info") != 0 && std::strcmp(level, "debug") != 0))
    return;
  const char* path = std::getenv("NPU_LOG_FILE");
  const bool has_path = path != nullptr && *path != '\0';
  std::FILE* file = has_path ? std::fopen(path, "ae") : stderr;
  if (file == nullptr) return;
  std::fprintf(file, "ggml-npu: info: %zu NPUs: %llu all-reduces, %llu refused\n", npus,
               static_cast<unsigned long long>(reduced), static_cast<unsigned long long>(refused));
  if (has_path) std::fclose(file);
}

}  // namespace

Comm* Comm::make(ggml_backend_t* backends, size_t count) {
  if (backends == nullptr || count < 2 || count > NPU_CCL_RANKS_MAX) return nullptr;
  std::vector<Stream*> streams;
  for (size_t i = 0; i < count; ++i) {
    Stream* stream = Stream::of(backends[i]);
    const auto same = [&](const Stream* other) { return &other->device == &stream->device; };
    if (stream == nullptr || std::any_of(streams.begin(), streams.end(), same)) return nullptr;
    streams.push_back(stream);
  }
  return new Comm(std::move(streams));
}

Comm::~Comm() {
  disconnect();
  log_counts(streams_.size(), reduced_, refused_);
}

bool Comm::fits(ggml_tensor* const* tensors) const {
  for (size_t i = 0; i < streams_.size(); ++i) {
    const ggml_tensor* tensor = tensors[i];
    if (tensor == nullptr || tensor->type != tensors[0]->type ||
        ggml_nelements(tensor) != ggml_nelements(tensors[0]) || !ggml_is_contiguous(tensor) ||
        buffer_type_of(tensor) != streams_[i]->device.buffer_type())
      return false;
  }
  return is_reducible(type_of(tensors[0]->type));
}

// Makes the ranks at the first all-reduce.
bool Comm::connect() {
  if (state_ != State::kNew) return state_ == State::kReady && is_alive();
  npuCclId id;
  if (npuCclGetId(&id) != NPU_OK)
    return refuse_from_now_on("no address to meet at", npuCclGetErrorText());
  npuCclCommInfo info{};
  info.struct_size = sizeof(info);
  info.init_timeout_ms = kStartTimeoutMs;
  info.op_timeout_ms = kOperationTimeoutMs;
  const auto count = static_cast<uint32_t>(streams_.size());
  ranks_.assign(count, nullptr);
  bool made = npuCclGroupStart() == NPU_OK;
  for (uint32_t i = 0; made && i < count; ++i) {
    made =
        npuCclCommCreate(&id, count, i, streams_[i]->device.context(), &info, &ranks_[i]) == NPU_OK;
  }
  made = npuCclGroupEnd() == NPU_OK && made;
  if (!made) return refuse_from_now_on("the NPUs could not be joined", npuCclGetErrorText());
  state_ = State::kReady;
  return true;
}

// An operation before may have failed: this is where that is seen before anything new is submitted.
bool Comm::is_alive() {
  for (npuCclComm rank : ranks_) {
    npuCclState state = NPU_CCL_FAILED;
    npuCclFailure failure{};
    failure.struct_size = sizeof(failure);
    if (npuCclCommGetState(rank, &state) == NPU_OK && state == NPU_CCL_READY) continue;
    npuCclCommGetError(rank, &failure);
    return refuse_from_now_on("an all-reduce failed", failure.text);
  }
  return true;
}

bool Comm::submit(ggml_tensor* const* tensors) {
  const auto count = static_cast<uint64_t>(ggml_nelements(tensors[0]));
  std::vector<npuQueue> queues;
  bool done = true;
  for (size_t i = 0; i < streams_.size(); ++i) {
    queues.push_back(streams_[i]->begin_foreign());
    if (is_computed(tensors[i])) continue;
    done = done && npuQueueFill(queues[i], to_npu(tensors[i]->data), 0, 2, ggml_nbytes(tensors[i]),
                                nullptr) == NPU_OK;
  }
  // In a group: a call for one rank may wait for room that another rank has to make.
  done = done && npuCclGroupStart() == NPU_OK;
  if (!done) return false;
  for (size_t i = 0; done && i < streams_.size(); ++i) {
    const npuDevPtr data = to_npu(tensors[i]->data);
    done = npuCclAllReduce(ranks_[i], queues[i], data, data, count, type_of(tensors[i]->type),
                           NPU_CCL_SUM, nullptr) == NPU_OK;
  }
  return npuCclGroupEnd() == NPU_OK && done;
}

bool Comm::all_reduce(ggml_tensor* const* tensors) {
  if (tensors != nullptr && tensors[0] != nullptr && ggml_nelements(tensors[0]) == 0) return true;
  if (tensors == nullptr || !fits(tensors) || !connect()) {
    ++refused_;
    return false;
  }
  const bool done = submit(tensors);
  for (Stream* stream : streams_) {
    stream->end_foreign();
    // Some may hold a part and some the sum: no graph may go on from here.
    if (!done) stream->mark_failed();
  }
  if (!done) {
    ++refused_;
    return refuse_from_now_on("an all-reduce could not be submitted", npuCclGetErrorText());
  }
  ++reduced_;
  return true;
}

void Comm::disconnect() {
  for (npuCclComm rank : ranks_) {
    if (rank != nullptr) npuCclCommDestroy(rank);
  }
  ranks_.clear();
}

bool Comm::refuse_from_now_on(const char* what, const char* why) {
  std::fprintf(stderr,
               "ggml-npu: %s: %s; sums over NPUs are made by copies through the host from here on "
               "(docs/ggml.md)\n",
               what, why);
  // What is under way would be waited for.
  for (npuCclComm rank : ranks_) {
    if (rank != nullptr) npuCclCommAbort(rank);
  }
  disconnect();
  state_ = State::kRefuses;
  return false;
}

namespace {

void* comm_init(ggml_backend_t* backends, size_t count) { return Comm::make(backends, count); }
void comm_free(void* comm) { delete static_cast<Comm*>(comm); }
bool comm_all_reduce(void* comm, ggml_tensor** tensors) {
  return comm != nullptr && static_cast<Comm*>(comm)->all_reduce(tensors);
}

template <typename Function>
void* address_of(Function function) {
  return reinterpret_cast<void*>(function);
}

}  // namespace

void* find_comm_function(const char* name) {
  // The types are ggml's: a signature that differs is an error of the compiler.
  if (std::strcmp(name, "ggml_backend_comm_init") == 0)
    return address_of<ggml_backend_comm_init_t>(comm_init);
  if (std::strcmp(name, "ggml_backend_comm_free") == 0)
    return address_of<ggml_backend_comm_free_t>(comm_free);
  if (std::strcmp(name, "ggml_backend_comm_allreduce_tensor") == 0)
    return address_of<ggml_backend_comm_allreduce_tensor_t>(comm_all_reduce);
  return nullptr;
}

}  // namespace npu::ggml
