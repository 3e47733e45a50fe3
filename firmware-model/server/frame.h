// SPDX-License-Identifier: Apache-2.0
// Cuts a stream of bytes into request frames (uapi/npu_wire.h). Pure: no sockets, no allocation.
#ifndef NPU_MODEL_SERVER_FRAME_H_
#define NPU_MODEL_SERVER_FRAME_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "uapi/npu_wire.h"

namespace npu::model::server {

enum class FrameState {
  kIncomplete,  // more bytes are needed
  kComplete,
  kBroken,  // the peer does not speak the protocol: its connection ends
};

struct Frame {
  npu_frame header{};
  std::span<const std::byte> body;     // the call's struct
  std::span<const std::byte> payload;  // its arrays
  size_t bytes = 0;                    // of the whole frame
};

// Looks at the first frame in |bytes|. The spans of |out| point into |bytes|.
FrameState parse_request(std::span<const std::byte> bytes, Frame* out);

}  // namespace npu::model::server

#endif  // NPU_MODEL_SERVER_FRAME_H_
