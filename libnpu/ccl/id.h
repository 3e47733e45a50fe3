// SPDX-License-Identifier: Apache-2.0
// Ids: what is in the 128 bytes, and the listening sockets of ids that were made here.
#pragma once

#include <npu/npu_ccl.h>

#include <cstdint>
#include <optional>
#include <string_view>

#include "libnpu/ccl/frame.h"
#include "libnpu/ccl/socket.h"

namespace npu::ccl {

struct Address {
  Token token;
  uint16_t port;
};

// "127.0.0.1:PORT:HEX" of the variable NPU_CCL_ID.
std::optional<Address> parse_id_text(std::string_view text);

// Listens on a port of its own.
npuResult make_id(npuCclId* out);
// That of NPU_CCL_ID if it is set; else make_id().
npuResult get_id(npuCclId* out);
std::optional<Address> read_id(const npuCclId& id);  // nothing: not one of ours

// The socket of an id that make_id() made in this process, once; else a new one on its port. Empty: errno tells.
Fd take_listener(const Address& address);

bool fill_random(std::span<uint8_t> bytes);

}  // namespace npu::ccl
