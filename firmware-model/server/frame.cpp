// SPDX-License-Identifier: Apache-2.0
// The rules of a request frame's header.
#include "firmware-model/server/frame.h"

#include <cstring>

namespace npu::model::server {
namespace {

bool header_is_sound(const npu_frame& h) {
  if (h.magic != NPU_FRAME_MAGIC || h.flags != 0 || h.error != 0) return false;
  if (h.struct_bytes % 8 != 0 || h.struct_bytes > NPU_FRAME_MAX_STRUCT_BYTES) return false;
  if (h.payload_bytes % 8 != 0 || h.payload_bytes > NPU_FRAME_MAX_BYTES) return false;
  if (sizeof(npu_frame) + h.struct_bytes + h.payload_bytes > NPU_FRAME_MAX_BYTES) return false;
  return h.fd_count <= NPU_FRAME_MAX_FDS;
}

}  // namespace

FrameState parse_request(std::span<const std::byte> bytes, Frame* out) {
  // The magic is looked at as soon as it is there: a stranger is sent away without waiting for more.
  uint32_t magic = 0;
  if (bytes.size() < sizeof(magic)) return FrameState::kIncomplete;
  std::memcpy(&magic, bytes.data(), sizeof(magic));
  if (magic != NPU_FRAME_MAGIC) return FrameState::kBroken;
  npu_frame header{};
  if (bytes.size() < sizeof(header)) return FrameState::kIncomplete;
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (!header_is_sound(header)) return FrameState::kBroken;
  const size_t total = sizeof(header) + header.struct_bytes + header.payload_bytes;
  if (bytes.size() < total) return FrameState::kIncomplete;
  out->header = header;
  out->body = bytes.subspan(sizeof(header), header.struct_bytes);
  out->payload = bytes.subspan(sizeof(header) + header.struct_bytes, header.payload_bytes);
  out->bytes = total;
  return FrameState::kComplete;
}

}  // namespace npu::model::server
