// SPDX-License-Identifier: Apache-2.0
// The negotiation at the start of a connection: a JSON text of capabilities each way.
//
// Thread safety: pure.
#ifndef NPU_MODEL_VFIO_USER_VERSION_H_
#define NPU_MODEL_VFIO_USER_VERSION_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "firmware-model/vfio_user/wire.h"

namespace npu::model::vfio_user {

// What the client has told; defaults are the protocol's.
struct Capabilities {
  uint64_t max_fds = wire::kDefaultFds;
  uint64_t max_data_bytes = wire::kMaxDataBytes;
};

// Reads {"capabilities":{...}}; keys that mean nothing here are skipped. False: not JSON, nested too
// deeply, or a known key whose value makes no sense.
bool parse_capabilities(std::string_view json, Capabilities* out);

// The answer to a VERSION request with |body|. 0 or errno. The answer is never longer than the
// request: clients read it into the same buffer.
int negotiate(std::span<const std::byte> body, Capabilities* client,
              std::vector<std::byte>* answer);

}  // namespace npu::model::vfio_user

#endif  // NPU_MODEL_VFIO_USER_VERSION_H_
