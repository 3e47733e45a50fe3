// SPDX-License-Identifier: Apache-2.0
// Memory of tensors: one allocation of HBM each. Copies here are the host's and done on return; those in the order of a stream are in stream.cpp.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <list>
#include <mutex>

#include "integrations/ggml/device.h"
#include "integrations/ggml/weights.h"

namespace npu::ggml {
namespace {

struct Buffer {
  Device& device;
  npuDevPtr base;
  uint64_t size_bytes;
  std::mutex mutex;            // of weights
  std::list<Weights> weights;  // tensors point to them: they stay as long as the buffer
};

// ggml gives the context back as it was handed over, but has no public way to read it; it is kept beside the buffer's type in the head of ggml's object.
struct BufferHead {
  BufferTable table;
  ggml_backend_buffer_type_t type;
  void* context;
};

Buffer& of(ggml_backend_buffer_t buffer) {
  return *static_cast<Buffer*>(reinterpret_cast<BufferHead*>(buffer)->context);
}

// ggml's functions of tensors cannot fail: what goes wrong here is a lost device or a caller that lies about sizes, and the numbers would be wrong from here on.
void must(npuResult result, const char* what) {
  if (result == NPU_OK) return;
  say_failure(what);
  std::abort();
}

void end_tiles(Weights& weights) {
  must(weights.end_tiles(), "weights could not be brought back into rows");
}

void free_buffer(ggml_backend_buffer_t handle) {
  Buffer* buffer = &of(handle);
  // The device may be lost: then its memory is too.
  npuMemFree(buffer->device.context(), buffer->base);
  delete buffer;
}

void* get_base(ggml_backend_buffer_t handle) { return to_ggml(of(handle).base); }

// Where the host writes a tensor of weights for the first time. |extra| is the backend's own.
Weights* weights_of(Buffer& buffer, ggml_tensor* tensor) {
  if (Weights* known = Weights::of(tensor); known != nullptr) return known;
  if (!Weights::may_have_tiles(tensor)) return nullptr;
  std::lock_guard lock(buffer.mutex);
  tensor->extra = &buffer.weights.emplace_back(buffer.device.context(), tensor);
  return static_cast<Weights*>(tensor->extra);
}

// A tensor that takes the place of others: what lies there has to be rows.
ggml_status init_tensor(ggml_backend_buffer_t handle, ggml_tensor* tensor) {
  if (tensor->view_src != nullptr) return GGML_STATUS_SUCCESS;
  Buffer& buffer = of(handle);
  std::lock_guard lock(buffer.mutex);
  const npuDevPtr begin = to_npu(tensor->data), end = begin + ggml_nbytes(tensor);
  for (Weights& weights : buffer.weights)
    if (weights.data() < end && begin < weights.data() + weights.size_bytes()) end_tiles(weights);
  tensor->extra = nullptr;
  return GGML_STATUS_SUCCESS;
}

// Bytes of |tensor| from |offset| on, as bytes of what it is a view of.
uint64_t offset_in_weights(const Weights& weights, const ggml_tensor* tensor, size_t offset) {
  return to_npu(tensor->data) - weights.data() + offset;
}

void memset_tensor(ggml_backend_buffer_t handle, ggml_tensor* tensor, uint8_t value, size_t offset,
                   size_t bytes) {
  if (bytes == 0) return;
  if (Weights* weights = Weights::in_tiles(tensor); weights != nullptr) end_tiles(*weights);
  must(npuMemFill(of(handle).device.context(), to_npu(tensor->data) + offset, &value, 1, bytes),
       "a tensor could not be filled");
}

void set_tensor(ggml_backend_buffer_t handle, ggml_tensor* tensor, const void* data, size_t offset,
                size_t bytes) {
  Buffer& buffer = of(handle);
  Weights* weights = weights_of(buffer, tensor);
  must(weights != nullptr ? weights->write(data, offset_in_weights(*weights, tensor, offset), bytes)
                          : npuMemCopyToDevice(buffer.device.context(),
                                               to_npu(tensor->data) + offset, data, bytes),
       "a tensor could not be written");
}

void get_tensor(ggml_backend_buffer_t handle, const ggml_tensor* tensor, void* data, size_t offset,
                size_t bytes) {
  Weights* weights = Weights::in_tiles(tensor);
  must(weights != nullptr ? weights->read(data, offset_in_weights(*weights, tensor, offset), bytes)
                          : npuMemCopyToHost(of(handle).device.context(), data,
                                             to_npu(tensor->data) + offset, bytes),
       "a tensor could not be read");
}

// Between tensors of one device. Another device, the host, or weights that may have tiles are the caller's road through set and get.
bool cpy_tensor(ggml_backend_buffer_t handle, const ggml_tensor* from, ggml_tensor* to) {
  if (Weights::need_the_host(from, to)) return false;
  Device& device = of(handle).device;
  const ggml_backend_buffer_type_t type = ggml_backend_buffer_get_type(
      from->view_src != nullptr ? from->view_src->buffer : from->buffer);
  if (type != device.buffer_type()) return false;
  npuMemCopyInfo copy{};
  copy.struct_size = sizeof(copy);
  copy.dst = to_npu(to->data);
  copy.src = to_npu(from->data);
  copy.width_bytes = ggml_nbytes(from);
  copy.height = copy.depth = 1;
  if (copy.width_bytes == 0) return true;
  return npuMemCopyStrided(device.context(), &copy) == NPU_OK;
}

void clear(ggml_backend_buffer_t handle, uint8_t value) {
  Buffer& buffer = of(handle);
  for (Weights& weights : buffer.weights) end_tiles(weights);
  must(npuMemFill(buffer.device.context(), buffer.base, &value, 1, buffer.size_bytes),
       "a buffer could not be cleared");
}

constexpr BufferTable kBufferTable = {
    .free_buffer = free_buffer,
    .get_base = get_base,
    .init_tensor = init_tensor,
    .memset_tensor = memset_tensor,
    .set_tensor = set_tensor,
    .get_tensor = get_tensor,
    .set_tensor_2d = nullptr,
    .get_tensor_2d = nullptr,
    .cpy_tensor = cpy_tensor,
    .clear = clear,
    .reset = nullptr,
};

const char* get_name(ggml_backend_buffer_type_t type) { return Device::of(type).name(); }

ggml_backend_buffer_t alloc_buffer(ggml_backend_buffer_type_t type, size_t size_bytes) {
  Device& device = Device::of(type);
  if (!device.open()) return nullptr;
  const uint64_t bytes = std::max<uint64_t>(size_bytes, 1);
  npuDevPtr base = 0;
  if (npuMemAlloc(device.context(), NPU_MEM_DEVICE, bytes, &base) != NPU_OK) {
    say_failure("no memory");
    return nullptr;
  }
  return ggml_backend_buffer_init(type, kBufferTable, new Buffer{device, base, bytes, {}, {}},
                                  size_bytes);
}

size_t get_alignment(ggml_backend_buffer_type_t) { return 256; }  // of npuMemAlloc

}  // namespace

const BufferTypeTable kBufferTypeTable = {
    .get_name = get_name,
    .alloc_buffer = alloc_buffer,
    .alloc_buffer_n = nullptr,
    .get_alignment = get_alignment,
    .get_max_size = nullptr,
    .get_alloc_size = nullptr,
    .get_alloc_size_n = nullptr,
    .is_host = nullptr,
};

}  // namespace npu::ggml
