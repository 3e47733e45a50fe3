// SPDX-License-Identifier: Apache-2.0
#include "libnpu/ccl/host.h"

#include <sodium.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <string>

namespace npu::ccl {
namespace {

std::string text_of_link(const char* path) {
  char text[128];
  const ssize_t bytes = readlink(path, text, sizeof(text));
  return bytes > 0 ? std::string(text, static_cast<size_t>(bytes)) : std::string();
}

std::string text_of_host() {
  std::string boot;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> boot;
  return boot + " " + text_of_link("/proc/self/ns/net") + " " + text_of_link("/proc/self/ns/user") +
         " " + std::to_string(geteuid());
}

// "rank", "rank/N".
std::string text_of_wish(const std::string& wish, uint32_t rank) {
  uint32_t ranks_of_host = 1;
  if (wish.starts_with("rank/")) {
    std::from_chars(wish.data() + 5, wish.data() + wish.size(), ranks_of_host);
  } else if (wish != "rank") {
    return wish;
  }
  return "rank " + std::to_string(rank / std::max(ranks_of_host, 1u));
}

}  // namespace

HostId host_of(uint32_t rank) {
  const char* wish = std::getenv("NPU_CCL_HOST_ID");
  const bool has_wish = wish != nullptr && *wish != '\0';
  const std::string text = has_wish ? "wish " + text_of_wish(wish, rank) : text_of_host();
  HostId id;
  crypto_generichash(id.data(), id.size(), reinterpret_cast<const unsigned char*>(text.data()),
                     text.size(), nullptr, 0);
  return id;
}

}  // namespace npu::ccl
