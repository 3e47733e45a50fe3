// SPDX-License-Identifier: Apache-2.0
// Feeds a text to the profile reader: it is accepted with all numbers in range, or refused with a sentence.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "firmware-model/server/profile.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  npu_profile profile{};
  std::vector<npu::model::server::PortBinding> bindings;
  std::string error;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (!npu::model::server::parse_profile(text, "input", &profile, &bindings, &error)) {
    if (error.empty()) abort();
    return 0;
  }
#define FIELD(key, least, most, multiple)                   \
  if (profile.key % (multiple) != 0) abort();               \
  if (static_cast<int64_t>(profile.key) < (least)) abort(); \
  if (static_cast<uint64_t>(profile.key) > uint64_t{most}) abort();
  NPU_PROFILE_FIELDS(FIELD)
#undef FIELD
  if (!npu::model::server::check_bindings(bindings, &error)) abort();
  for (const auto& binding : bindings) {
    if (binding.port >= profile.ports) abort();
  }
  if (npu::model::server::make_ports(profile, bindings, 0, 2).size() != profile.ports) abort();
  return 0;
}
