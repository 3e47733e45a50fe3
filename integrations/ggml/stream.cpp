// SPDX-License-Identifier: Apache-2.0
#include "integrations/ggml/stream.h"

#include "integrations/ggml/event.h"
#include "integrations/ggml/order.h"
#include "integrations/ggml/weights.h"

namespace npu::ggml {
namespace {

Stream& of(ggml_backend_t backend) {
  return *static_cast<Stream*>(reinterpret_cast<StreamHead*>(backend)->context);
}

ggml_guid_t guid() {
  static ggml_guid id = {0x4e, 0x50, 0x55, 0x00, 0x67, 0x67, 0x6d, 0x6c,
                         0xa1, 0x5c, 0x0b, 0x7e, 0x92, 0x33, 0xd4, 0x01};
  return &id;
}

const char* get_name(ggml_backend_t backend) { return of(backend).device.name(); }

constexpr StreamTable kStreamTable = {
    .get_name = get_name,
    .free = [](ggml_backend_t backend) { delete &of(backend); },
    .set_tensor_async = [](ggml_backend_t backend, ggml_tensor* tensor, const void* data,
                           size_t offset,
                           size_t bytes) { of(backend).write(tensor, data, offset, bytes); },
    .get_tensor_async = [](ggml_backend_t backend, const ggml_tensor* tensor, void* data,
                           size_t offset,
                           size_t bytes) { of(backend).read(data, tensor, offset, bytes); },
    .set_tensor_2d_async = nullptr,
    .get_tensor_2d_async = nullptr,
    .cpy_tensor_async =
        [](ggml_backend_t from, ggml_backend_t to, const ggml_tensor* source, ggml_tensor* target) {
          Stream* source_stream = Stream::of(from);
          Stream* target_stream = Stream::of(to);
          if (source_stream == nullptr || target_stream == nullptr) return false;
          if (Weights::need_the_host(source, target)) return false;
          return target_stream->copy_from(*source_stream, to_npu(target->data),
                                          to_npu(source->data), ggml_nbytes(source));
        },
    .synchronize = [](ggml_backend_t backend) { of(backend).synchronize(); },
    .graph_plans = {},
    .graph_compute = [](ggml_backend_t backend,
                        ggml_cgraph* graph) { return of(backend).compute(graph); },
    .event_record = [](ggml_backend_t backend,
                       ggml_backend_event_t event) { of(backend).record(event); },
    .event_wait = [](ggml_backend_t backend,
                     ggml_backend_event_t event) { of(backend).wait(event); },
    .graph_optimize =
        [](ggml_backend_t, ggml_cgraph* graph) {
          gather_products(
              {ggml_graph_nodes(graph), static_cast<size_t>(ggml_graph_n_nodes(graph))});
        },
};

}  // namespace

Stream::Stream(Device& d)
    : device(d), head{guid(), kStreamTable, d.handle(), this}, graphs_(d.context(), d.ops()) {}

Stream* Stream::make(Device& device) {
  auto* stream = new Stream(device);
  if (npuQueueCreate(device.context(), nullptr, &stream->queue_) == NPU_OK) return stream;
  say_failure("no queue");
  delete stream;
  return nullptr;
}

// Another backend's stream has another table.
Stream* Stream::of(ggml_backend_t backend) {
  if (backend == nullptr || ggml_backend_guid(backend) != guid()) return nullptr;
  return static_cast<Stream*>(reinterpret_cast<StreamHead*>(backend)->context);
}

Stream::~Stream() {
  synchronize();
  npuQueueDestroy(queue_);
}

void Stream::fail(const char* what) {
  failed_ = true;
  say_failure(what);
}

ggml_status Stream::compute(ggml_cgraph* graph) {
  if (!reads_.empty()) synchronize();
  if (failed_) {
    // The stream can be used again after the failure was told once.
    failed_ = false;
    if (npuQueueReset(queue_, NPU_TIMEOUT_INFINITE) != NPU_OK) say_failure("the queue stays dead");
    submitted_ = 0;
    return GGML_STATUS_FAILED;
  }
  uint64_t value = 0;
  if (!graphs_.submit(queue_, graph, &value)) return GGML_STATUS_FAILED;
  if (value != 0) submitted_ = value;
  return GGML_STATUS_SUCCESS;
}

bool Stream::is_idle() {
  uint64_t completed = 0;
  return npuQueueGetCompleted(queue_, &completed) == NPU_OK && completed >= submitted_;
}

bool Stream::finish() {
  // Of a queue that was reset a wait would tell of the failure once more.
  if (submitted_ == 0) return true;
  if (npuQueueSync(queue_, NPU_TIMEOUT_INFINITE) == NPU_OK) {
    submitted_ = 0;
    return true;
  }
  fail("a graph failed");
  return false;
}

// The data is the caller's again on return, and mostly small (inputs of a graph): the host waits for what is under way and writes it itself.
void Stream::write(ggml_tensor* to, const void* from, size_t offset, size_t bytes) {
  if (!reads_.empty()) synchronize();
  if (!is_idle() && !finish()) return;
  if (Weights::of(to) != nullptr || Weights::may_have_tiles(to)) {
    ggml_backend_tensor_set(to, from, offset, bytes);
  } else if (npuMemCopyToDevice(device.context(), to_npu(to->data) + offset, from, bytes) !=
             NPU_OK) {
    fail("a tensor could not be written");
  }
}

void Stream::read(void* to, const ggml_tensor* from, size_t offset, size_t bytes) {
  if (bytes == 0) return;
  if (Weights::in_tiles(from) != nullptr) {
    if (finish()) ggml_backend_tensor_get(from, to, offset, bytes);
  } else {
    reads_.push_back({to, to_npu(from->data) + offset, bytes});
  }
}

void Stream::flush_reads() {
  for (const Read& read : reads_) {
    if (npuMemCopyToHost(device.context(), read.to, read.from, read.bytes) != NPU_OK)
      fail("a tensor could not be read");
  }
  reads_.clear();
}

bool Stream::copy_from(Stream& from, npuDevPtr to, npuDevPtr source, size_t bytes) {
  if (&from.device != &device) return false;
  if (!reads_.empty()) synchronize();
  uint64_t value = 0;
  if (npuQueueCopy(from.queue_, to, source, bytes, &value) != NPU_OK) return false;
  from.submitted_ = value;
  if (&from == this) return true;
  if (npuQueueWaitQueue(queue_, from.queue_, value, &value) != NPU_OK) return false;
  submitted_ = value;
  return true;
}

void Stream::record(ggml_backend_event_t event) {
  submitted_ = kUnknown;
  if (npuEventRecord(event_of(event), queue_) != NPU_OK) fail("an event could not be recorded");
}

void Stream::wait(ggml_backend_event_t event) {
  submitted_ = kUnknown;
  if (npuQueueWaitEvent(queue_, event_of(event)) != NPU_OK) fail("an event cannot be waited for");
}

void Stream::synchronize() {
  if (finish()) flush_reads();
  reads_.clear();
}

npuQueue Stream::begin_foreign() {
  if (!reads_.empty()) synchronize();
  return queue_;
}

ggml_backend_t make_stream(Device& device) {
  Stream* stream = Stream::make(device);
  return stream != nullptr ? reinterpret_cast<ggml_backend_t>(&stream->head) : nullptr;
}

}  // namespace npu::ggml
