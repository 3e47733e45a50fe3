// SPDX-License-Identifier: Apache-2.0
// By the C library, which knows how zeros of IPv6 are shortened.
#include "libnpu/src/backend/ip_text.h"

#include <arpa/inet.h>

namespace npu {

static_assert(kIpv4TextBytes == INET_ADDRSTRLEN && kIpv6TextBytes == INET6_ADDRSTRLEN);

void format_ipv4(const uint8_t address[4], char* out) {
  if (inet_ntop(AF_INET, address, out, kIpv4TextBytes) == nullptr) out[0] = '\0';
}

void format_ipv6(const uint8_t address[16], char* out) {
  if (inet_ntop(AF_INET6, address, out, kIpv6TextBytes) == nullptr) out[0] = '\0';
}

}  // namespace npu
