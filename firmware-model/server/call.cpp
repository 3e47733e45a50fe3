// SPDX-License-Identifier: Apache-2.0
// Decoding of a request's struct and arrays, encoding of its reply.
#include "firmware-model/server/call.h"

#include <algorithm>

namespace npu::model::server {

int copy_grown(const std::byte* from, size_t from_bytes, void* to, size_t to_bytes) {
  const size_t common = std::min(from_bytes, to_bytes);
  std::memcpy(to, from, common);
  std::memset(static_cast<std::byte*>(to) + common, 0, to_bytes - common);
  const bool zero =
      std::all_of(from + common, from + from_bytes, [](std::byte b) { return b == std::byte{0}; });
  return zero ? 0 : E2BIG;
}

Call::Call(const Frame& frame, std::vector<UniqueFd> fds)
    : header_(frame.header),
      body_(frame.body.begin(), frame.body.end()),
      payload_(frame.payload),
      fds_(std::move(fds)) {}

int Call::read_struct(void* out, size_t bytes, size_t min_bytes) const {
  if (body_.size() < min_bytes) return EINVAL;
  return copy_grown(body_.data(), body_.size(), out, bytes);
}

int Call::locate(const npu_array& array, std::span<const std::byte>* out) const {
  const uint64_t bytes = static_cast<uint64_t>(array.stride) * array.count;
  if (array.ptr > payload_.size() || bytes > payload_.size() - array.ptr) return EFAULT;
  *out = payload_.subspan(array.ptr, bytes);
  return 0;
}

int Call::write_elements(npu_array* array, const std::byte* elements, size_t element_bytes,
                         size_t count) {
  if (array->ptr != 0) return EINVAL;
  const size_t written = std::min<size_t>(array->count, count);
  const size_t bytes = written * array->stride;
  const size_t others = sizeof(npu_frame) + body_.size() + out_payload_.size();
  if (bytes > NPU_FRAME_MAX_BYTES - others) return E2BIG;
  const size_t at = out_payload_.size();
  out_payload_.resize(at + bytes);
  const size_t common = std::min<size_t>(array->stride, element_bytes);
  for (size_t i = 0; i < written; ++i) {
    std::memcpy(out_payload_.data() + at + i * array->stride, elements + i * element_bytes, common);
  }
  array->ptr = bytes == 0 ? 0 : at;
  array->count = static_cast<uint32_t>(count);
  return 0;
}

int Call::take_fd(int index, UniqueFd* out) {
  if (index < 0 || static_cast<size_t>(index) >= fds_.size()) return EINVAL;
  *out = std::move(fds_[static_cast<size_t>(index)]);
  return out->valid() ? 0 : EINVAL;
}

int Call::give_fd(UniqueFd fd) {
  out_fds_.push_back(std::move(fd));
  return static_cast<int>(out_fds_.size()) - 1;
}

Reply Call::reply(int error, const void* args, size_t bytes) {
  Reply reply;
  reply.header = header_;
  reply.header.error = error;
  reply.header.flags = NPU_FRAME_REPLY;
  if (args != nullptr) {
    reply.body = body_;
    const size_t common = std::min(bytes, body_.size());
    std::copy_n(static_cast<const std::byte*>(args), common, reply.body.begin());
  }
  if (error == 0) {
    reply.payload = std::move(out_payload_);
    reply.fds = std::move(out_fds_);
  }
  reply.header.struct_bytes = static_cast<uint32_t>(reply.body.size());
  reply.header.payload_bytes = static_cast<uint32_t>(reply.payload.size());
  reply.header.fd_count = static_cast<uint32_t>(reply.fds.size());
  return reply;
}

}  // namespace npu::model::server
