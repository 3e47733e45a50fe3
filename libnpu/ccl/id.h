// SPDX-License-Identifier: Apache-2.0
// Ids: what is in the 128 bytes, and the listening sockets of ids that were made here.
#pragma once

#include <npu/npu_ccl.h>

#include <cstdint>
#include <optional>
#include <string_view>

#include "libnpu/ccl/address.h"
#include "libnpu/ccl/auth.h"
#include "libnpu/ccl/socket.h"

namespace npu::ccl {

struct Address {
  Token token;
  NetAddress at;  // of the store
};

// "ADDRESS:PORT:HEX" of the variable NPU_CCL_ID; an IPv6 address stands in brackets.
std::optional<Address> parse_id_text(std::string_view text);

// Listens on a port of its own of |host|, whose port does not count.
npuResult make_id(const NetAddress& host, npuCclId* out);
// That of NPU_CCL_ID if it is set; else make_id() on the interface that NPU_CCL_INTERFACE names, else on the loopback address.
npuResult get_id(npuCclId* out);
// The same for ranks of several hosts: instead of the loopback address that of the default route.
npuResult get_id_for_hosts(npuCclId* out);
std::optional<Address> read_id(const npuCclId& id);  // nothing: not one of ours

// The socket of an id that make_id() made in this process, once; else a new one on its address. Empty: errno tells.
Fd take_listener(const Address& address);

}  // namespace npu::ccl
