// SPDX-License-Identifier: Apache-2.0
// Building requests and reading replies; see uapi/npu_wire.h for the rules.
#include "libnpu/src/backend/marshal.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace npu {
namespace {

uint64_t round_up8(uint64_t value) { return (value + 7) & ~uint64_t{7}; }

npu_array array_at(const void* args, uint32_t offset) {
  npu_array array;
  std::memcpy(&array, static_cast<const std::byte*>(args) + offset, sizeof array);
  return array;
}

npu_call_desc describe_verb(const char* name, uint32_t nr, uint32_t bytes, bool inout,
                            int32_t fd_offset) {
  npu_call_desc desc{};
  desc.name = name;
  desc.nr = nr;
  desc.struct_bytes = bytes;
  desc.min_bytes = bytes;
  desc.is_inout = inout ? 1 : 0;
  desc.fd_offset = fd_offset;
  desc.fd_is_out = 1;
  return desc;
}

// The answered arrays lie one after the other in the payload, with the caller's stride.
int read_arrays(const npu_call_desc& desc, std::span<const std::byte> payload, const void* old_args,
                std::byte* answer) {
  uint64_t expected = 0;
  for (uint32_t i = 0; i < desc.array_count; i++) {
    const npu_call_array& info = desc.arrays[i];
    const npu_array asked = array_at(old_args, info.offset);
    npu_array got = array_at(answer, info.offset);
    if (info.is_out == 0) {
      std::memcpy(answer + info.offset, &asked, sizeof asked);
      continue;
    }
    const uint64_t count = std::min(asked.count, got.count);
    const uint64_t bytes = count * asked.stride;
    if (count != 0) {
      if (got.stride != asked.stride || got.ptr != expected) return EPROTO;
      if (got.ptr > payload.size() || bytes > payload.size() - got.ptr) return EPROTO;
      std::memcpy(reinterpret_cast<void*>(static_cast<uintptr_t>(asked.ptr)),
                  payload.data() + got.ptr, bytes);
    }
    expected += round_up8(bytes);
    got.ptr = asked.ptr;
    got.stride = asked.stride;
    std::memcpy(answer + info.offset, &got, sizeof got);
  }
  return expected == payload.size() ? 0 : EPROTO;
}

}  // namespace

bool describe_message(uint32_t nr, npu_call_desc* out) {
  switch (nr) {
    case NPU_WIRE_HELLO:
      *out = describe_verb("HELLO", nr, sizeof(npu_wire_hello), true, offsetof(npu_wire_hello, fd));
      return true;
    case NPU_WIRE_MAP:
      *out = describe_verb("MAP", nr, sizeof(npu_wire_map), true, offsetof(npu_wire_map, fd));
      return true;
    case NPU_WIRE_BO_CLOSE:
      *out = describe_verb("BO_CLOSE", nr, sizeof(npu_wire_bo_close), false, -1);
      return true;
    default:
      *out = npu_call_desc{};
      return npu_call_describe(nr, out) != 0;
  }
}

int build_request(const npu_call_desc& desc, const void* args, uint32_t sequence, Request* out) {
  uint64_t payload = 0;
  for (uint32_t i = 0; i < desc.array_count; i++) {
    if (desc.arrays[i].is_out != 0) continue;
    const npu_array array = array_at(args, desc.arrays[i].offset);
    payload += round_up8(uint64_t{array.count} * array.stride);
  }
  const uint64_t total = sizeof(npu_frame) + desc.struct_bytes + payload;
  if (total > NPU_FRAME_MAX_BYTES) return E2BIG;
  out->bytes.assign(total, std::byte{0});
  out->fd = -1;

  npu_frame header{};
  header.magic = NPU_FRAME_MAGIC;
  header.call = desc.nr;
  header.struct_bytes = desc.struct_bytes;
  header.payload_bytes = static_cast<uint32_t>(payload);
  header.sequence = sequence;
  std::byte* body = out->bytes.data() + sizeof header;
  std::memcpy(body, args, desc.struct_bytes);

  uint64_t used = 0;
  for (uint32_t i = 0; i < desc.array_count; i++) {
    npu_array array = array_at(args, desc.arrays[i].offset);
    const uint64_t bytes = uint64_t{array.count} * array.stride;
    if (array.count != 0 && array.ptr == 0) return EINVAL;
    if (desc.arrays[i].is_out != 0 || bytes == 0) {
      array.ptr = 0;
    } else {
      std::memcpy(body + desc.struct_bytes + used,
                  reinterpret_cast<const void*>(static_cast<uintptr_t>(array.ptr)), bytes);
      array.ptr = used;
      used += round_up8(bytes);
    }
    std::memcpy(body + desc.arrays[i].offset, &array, sizeof array);
  }
  if (desc.fd_offset >= 0 && desc.fd_is_out == 0) {
    int32_t fd = -1;
    std::memcpy(&fd, body + desc.fd_offset, sizeof fd);
    if (fd >= 0) {
      out->fd = fd;
      header.fd_count = 1;
      fd = 0;  // its place among the descriptors of the frame
      std::memcpy(body + desc.fd_offset, &fd, sizeof fd);
    }
  }
  std::memcpy(out->bytes.data(), &header, sizeof header);
  return 0;
}

int64_t frame_length(std::span<const std::byte> bytes) {
  if (bytes.size() < sizeof(npu_frame)) return 0;
  npu_frame header;
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.magic != NPU_FRAME_MAGIC || (header.flags & ~NPU_FRAME_FLAGS_ALL) != 0 ||
      header.struct_bytes % 8 != 0 || header.payload_bytes % 8 != 0 ||
      header.struct_bytes > NPU_FRAME_MAX_STRUCT_BYTES ||
      header.payload_bytes > NPU_FRAME_MAX_BYTES || header.fd_count > NPU_FRAME_MAX_FDS) {
    return -1;
  }
  const int64_t total = int64_t{sizeof header} + header.struct_bytes + header.payload_bytes;
  return total > NPU_FRAME_MAX_BYTES ? -1 : total;
}

int read_reply(const npu_call_desc& desc, std::span<const std::byte> frame, uint32_t sequence,
               std::span<const int> fds, void* args, int* used_fd, bool* broken) {
  *used_fd = -1;
  *broken = true;
  npu_frame header;
  std::memcpy(&header, frame.data(), sizeof header);
  const bool with_struct = desc.is_inout != 0;
  if (header.call != desc.nr || header.sequence != sequence || header.flags != NPU_FRAME_REPLY ||
      header.error < 0 || header.error > 4095 || header.fd_count != fds.size()) {
    return EPROTO;
  }
  if (header.struct_bytes != (with_struct ? desc.struct_bytes : 0)) return EPROTO;
  std::vector<std::byte> answer(frame.begin() + sizeof header,
                                frame.begin() + sizeof header + header.struct_bytes);
  const std::span<const std::byte> payload = frame.subspan(sizeof header + header.struct_bytes);
  if (header.error != 0) {
    if (!payload.empty() || !fds.empty()) return EPROTO;
    // Only plain outputs are set after an error; arrays and descriptors stay as the caller had them.
    for (uint32_t i = 0; with_struct && i < desc.array_count; i++) {
      const npu_array asked = array_at(args, desc.arrays[i].offset);
      std::memcpy(answer.data() + desc.arrays[i].offset, &asked, sizeof asked);
    }
    if (with_struct && desc.fd_offset >= 0) {
      std::memcpy(answer.data() + desc.fd_offset, static_cast<std::byte*>(args) + desc.fd_offset,
                  4);
    }
    if (with_struct) std::memcpy(args, answer.data(), answer.size());
    *broken = false;
    return header.error;
  }
  if (!with_struct) {
    *broken = !payload.empty() || !fds.empty();
    return *broken ? EPROTO : 0;
  }
  if (read_arrays(desc, payload, args, answer.data()) != 0) return EPROTO;
  if (desc.fd_offset >= 0) {
    int32_t fd = -1;
    if (desc.fd_is_out != 0) {
      int32_t index = -1;
      std::memcpy(&index, answer.data() + desc.fd_offset, sizeof index);
      if (index < -1 || index >= static_cast<int32_t>(fds.size())) return EPROTO;
      *used_fd = index;
      fd = index >= 0 ? fds[static_cast<size_t>(index)] : -1;
    } else {
      std::memcpy(&fd, static_cast<std::byte*>(args) + desc.fd_offset, sizeof fd);
    }
    std::memcpy(answer.data() + desc.fd_offset, &fd, sizeof fd);
  }
  std::memcpy(args, answer.data(), answer.size());
  *broken = false;
  return 0;
}

}  // namespace npu
