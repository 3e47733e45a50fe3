// SPDX-License-Identifier: Apache-2.0
// Fuzz target: any bytes as a server's reply to any call. The first two bytes choose the call and how many descriptors came.
#include <cstdint>
#include <cstring>
#include <vector>

#include "libnpu/src/backend/marshal.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  constexpr uint32_t kVerbs[] = {NPU_WIRE_HELLO, NPU_WIRE_MAP, NPU_WIRE_BO_CLOSE};
  const uint32_t nr = data[0] < NPU_CALL_COUNT ? data[0] : kVerbs[data[0] % 3];
  npu_call_desc desc{};
  if (!npu::describe_message(nr, &desc)) return 0;
  // The reply as it would lie in the receive buffer, with what a client checks before it.
  std::vector<std::byte> frame(reinterpret_cast<const std::byte*>(data) + 2,
                               reinterpret_cast<const std::byte*>(data) + size);
  if (frame.size() < sizeof(npu_frame)) return npu::frame_length(frame) == 0 ? 0 : 1;
  npu_frame header{};
  std::memcpy(&header, frame.data(), sizeof header);
  header.magic = NPU_FRAME_MAGIC;
  header.call = nr;
  header.sequence = 1;
  std::memcpy(frame.data(), &header, sizeof header);
  const int64_t length = npu::frame_length(frame);
  if (length <= 0 || static_cast<uint64_t>(length) > frame.size()) return 0;
  // Each array has exactly the room that it names, so that a sanitizer sees any write beyond.
  alignas(8) std::byte args[NPU_FRAME_MAX_STRUCT_BYTES] = {};
  std::vector<std::vector<std::byte>> rooms;
  for (uint32_t i = 0; i < desc.array_count; i++) {
    const uint32_t count = data[1] % 5;
    rooms.emplace_back(size_t{count} * desc.arrays[i].elem_bytes);
    const npu_array array{count == 0 ? 0 : desc.arrays[i].elem_bytes, count,
                          count == 0 ? 0 : reinterpret_cast<uintptr_t>(rooms.back().data())};
    std::memcpy(args + desc.arrays[i].offset, &array, sizeof array);
  }
  const int fds[4] = {100, 101, 102, 103};
  int used_fd = -1;
  bool broken = false;
  npu::read_reply(desc, {frame.data(), static_cast<size_t>(length)}, 1, {fds, size_t{data[1]} / 64},
                  args, &used_fd, &broken);
  return 0;
}
