// SPDX-License-Identifier: Apache-2.0
#include "integrations/ggml/weights.h"

#include <algorithm>
#include <cstring>

#include "integrations/ggml/device.h"
#include "integrations/ggml/tensor.h"

namespace npu::ggml {
namespace {

// Large matrices pass through a piece of host memory of about this size.
constexpr uint64_t kPieceBytes = 4 << 20;

std::atomic<uint64_t> g_generation{0};

const ggml_tensor* root_of(const ggml_tensor* tensor) {
  return tensor->view_src != nullptr ? tensor->view_src : tensor;
}

// |extra| belongs to the backend whose buffer the tensor lies in.
bool is_ours(ggml_backend_buffer_t buffer) {
  if (buffer == nullptr) return false;
  const ggml_backend_dev_t device =
      ggml_backend_buft_get_device(ggml_backend_buffer_get_type(buffer));
  return device != nullptr &&
         std::strcmp(ggml_backend_reg_name(ggml_backend_dev_backend_reg(device)), kBackendName) ==
             0;
}

uint64_t row_bytes(const ggml_tensor* tensor) { return ggml_row_size(tensor->type, tensor->ne[0]); }

}  // namespace

Weights* Weights::of(const ggml_tensor* tensor) {
  if (tensor == nullptr) return nullptr;
  const ggml_tensor* root = root_of(tensor);
  return root->extra != nullptr && is_ours(root->buffer) ? static_cast<Weights*>(root->extra)
                                                         : nullptr;
}

Weights* Weights::in_tiles(const ggml_tensor* tensor) {
  Weights* weights = of(tensor);
  return weights != nullptr && weights->has_tiles() ? weights : nullptr;
}

bool Weights::may_have_tiles(const ggml_tensor* tensor) {
  return tensor->view_src == nullptr && tensor->buffer != nullptr &&
         ggml_backend_buffer_get_usage(tensor->buffer) == GGML_BACKEND_BUFFER_USAGE_WEIGHTS &&
         (tensor->type == GGML_TYPE_Q8_0 || tensor->type == GGML_TYPE_Q4_0) &&
         !ggml_is_empty(tensor) && ggml_is_contiguous(tensor) &&
         tensor->ne[1] % NPU_OPS_TILE_ROWS == 0;
}

uint64_t Weights::generation() { return g_generation.load(std::memory_order_acquire); }

Weights::Weights(npuContext context, const ggml_tensor* tensor)
    : context_(context),
      data_(to_npu(tensor->data)),
      type_(type_of(tensor->type)),
      cols_(static_cast<uint64_t>(tensor->ne[0])),
      strip_bytes_(NPU_OPS_TILE_ROWS * row_bytes(tensor)),
      bytes_(ggml_nbytes(tensor)) {}

// The device may be lost: then its memory is too.
Weights::~Weights() { npuMemFree(context_, copy_); }

void Weights::set_tiled(bool tiled) {
  if (tiled_.exchange(tiled, std::memory_order_acq_rel) != tiled)
    g_generation.fetch_add(1, std::memory_order_acq_rel);
}

// Calls each(piece, offset, bytes) for the strips that |bytes| from |offset| on touch.
npuResult Weights::for_pieces(uint64_t offset, uint64_t bytes, const Piece& each) {
  const uint64_t step = std::max<uint64_t>(kPieceBytes / strip_bytes_, 1) * strip_bytes_;
  const uint64_t end = (offset + bytes + strip_bytes_ - 1) / strip_bytes_ * strip_bytes_;
  piece_.resize(std::min(step, end));
  npuResult result = NPU_OK;
  for (uint64_t at = offset / strip_bytes_ * strip_bytes_; at < end && result == NPU_OK; at += step)
    result = each(piece_.data(), at, std::min(step, end - at));
  piece_ = {};
  return result;
}

npuResult Weights::tile(std::byte* piece, uint64_t bytes) const {
  return npuOpsTileWeights(type_, bytes / strip_bytes_ * NPU_OPS_TILE_ROWS, cols_, piece, piece);
}

npuResult Weights::untile(std::byte* piece, uint64_t bytes) const {
  return npuOpsUntileWeights(type_, bytes / strip_bytes_ * NPU_OPS_TILE_ROWS, cols_, piece, piece);
}

npuResult Weights::fetch_rows(std::byte* piece, uint64_t offset, uint64_t bytes) const {
  const npuResult result = npuMemCopyToHost(context_, piece, data_ + offset, bytes);
  return result != NPU_OK ? result : untile(piece, bytes);
}

// |piece| holds rows.
npuResult Weights::store_tiles(std::byte* piece, uint64_t offset, uint64_t bytes) {
  npuResult result = NPU_OK;
  if (copy_ != 0) result = npuMemCopyToDevice(context_, copy_ + offset, piece, bytes);
  if (result == NPU_OK) result = tile(piece, bytes);
  if (result == NPU_OK) result = npuMemCopyToDevice(context_, data_ + offset, piece, bytes);
  return result;
}

// |rows|: of the whole tensor; nullptr: they are in its memory.
npuResult Weights::begin_tiles_locked(const void* rows) {
  const auto* from = static_cast<const std::byte*>(rows);
  // If a piece fails the device is lost, and the caller ends the process: nothing reads a mixture.
  const npuResult result =
      for_pieces(0, bytes_, [&](std::byte* piece, uint64_t offset, uint64_t bytes) -> npuResult {
        if (from != nullptr) {
          std::memcpy(piece, from + offset, bytes);
        } else if (const npuResult read = npuMemCopyToHost(context_, piece, data_ + offset, bytes);
                   read != NPU_OK) {
          return read;
        }
        return store_tiles(piece, offset, bytes);
      });
  if (result == NPU_OK) set_tiled(true);
  return result;
}

npuResult Weights::end_tiles_locked() {
  if (!has_tiles()) return NPU_OK;
  const npuResult result =
      for_pieces(0, bytes_, [&](std::byte* piece, uint64_t offset, uint64_t bytes) -> npuResult {
        const npuResult read = fetch_rows(piece, offset, bytes);
        return read != NPU_OK ? read : npuMemCopyToDevice(context_, data_ + offset, piece, bytes);
      });
  if (result == NPU_OK) set_tiled(false);
  written_bytes_ = 0;
  return result;
}

npuResult Weights::end_tiles() {
  std::lock_guard lock(mutex_);
  return end_tiles_locked();
}

npuResult Weights::write(const void* from, uint64_t offset, uint64_t bytes) {
  if (bytes == 0) return NPU_OK;
  std::lock_guard lock(mutex_);
  if (offset == 0 && bytes == bytes_) {
    written_bytes_ = bytes_;
    return begin_tiles_locked(from);
  }
  npuResult result = end_tiles_locked();
  if (result == NPU_OK) result = npuMemCopyToDevice(context_, data_ + offset, from, bytes);
  if (result != NPU_OK) return result;
  if (offset == 0) written_bytes_ = 0;
  written_bytes_ = offset == written_bytes_ ? offset + bytes : 0;
  return written_bytes_ == bytes_ ? begin_tiles_locked(nullptr) : NPU_OK;
}

npuResult Weights::read(void* to, uint64_t offset, uint64_t bytes) {
  if (bytes == 0) return NPU_OK;
  std::lock_guard lock(mutex_);
  if (!has_tiles()) return npuMemCopyToHost(context_, to, data_ + offset, bytes);
  return for_pieces(offset, bytes,
                    [&](std::byte* piece, uint64_t at, uint64_t piece_bytes) -> npuResult {
                      const npuResult result = fetch_rows(piece, at, piece_bytes);
                      if (result != NPU_OK) return result;
                      const uint64_t begin = std::max(offset, at);
                      const uint64_t end = std::min(offset + bytes, at + piece_bytes);
                      std::memcpy(static_cast<std::byte*>(to) + (begin - offset),
                                  piece + (begin - at), end - begin);
                      return NPU_OK;
                    });
}

npuResult Weights::make_copy() {
  std::lock_guard lock(mutex_);
  if (!has_tiles() || copy_ != 0) return NPU_OK;
  npuDevPtr copy = 0;
  npuResult result = npuMemAlloc(context_, NPU_MEM_DEVICE, bytes_, &copy);
  if (result != NPU_OK) return result;
  result =
      for_pieces(0, bytes_, [&](std::byte* piece, uint64_t offset, uint64_t bytes) -> npuResult {
        const npuResult read = fetch_rows(piece, offset, bytes);
        return read != NPU_OK ? read : npuMemCopyToDevice(context_, copy + offset, piece, bytes);
      });
  if (result == NPU_OK) {
    copy_.store(copy, std::memory_order_release);
  } else {
    npuMemFree(context_, copy);
  }
  return result;
}

bool takes_tiles(const ggml_tensor* node) {
  if (node->op != GGML_OP_MUL_MAT && node->op != GGML_OP_MUL_MAT_ID) return false;
  const ggml_tensor* part = node->src[0];
  const ggml_tensor* whole = root_of(part);
  const auto offset = static_cast<uint64_t>(static_cast<const char*>(part->data) -
                                            static_cast<const char*>(whole->data));
  const uint64_t strip_bytes = NPU_OPS_TILE_ROWS * whole->nb[1];
  return part->type == whole->type && part->ne[0] == whole->ne[0] &&
         std::equal(part->nb, part->nb + 2, whole->nb) && part->ne[1] % NPU_OPS_TILE_ROWS == 0 &&
         part->nb[2] % strip_bytes == 0 && part->nb[3] % strip_bytes == 0 &&
         offset % strip_bytes == 0 && node->src[1]->type == GGML_TYPE_F32;
}

}  // namespace npu::ggml
