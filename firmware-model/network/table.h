// SPDX-License-Identifier: Apache-2.0
// Strict reading of the tables that a profile consists of: integers with a range, and a source for each. For the two readers of profiles only: it brings toml++ along.
#ifndef NPU_MODEL_NETWORK_TABLE_H_
#define NPU_MODEL_NETWORK_TABLE_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "firmware-model/network/profile.h"
#include "firmware-model/network/toml.h"

namespace npu::model {

// The integer of |table| at |key|, called |name| in words; |allowed| says which ones |fits| takes. False: |problem| is set, as below.
bool read_integer(const toml::table& table, const char* key, const std::string& name,
                  const std::string& allowed, const std::function<bool(uint64_t)>& fits,
                  uint64_t* out, std::string* problem);

// Table |prefix|source of |table| has a text that is not empty for each of |keys|, and nothing else.
bool check_sources(const toml::table& table, const std::string& prefix,
                   std::span<const char* const> keys, std::string* problem);

// Calls |read| with the table of a whole profile. False: it is none, and |problem| says where, or |read| has refused it.
bool with_profile(std::string_view text, const std::function<bool(const toml::table&)>& read,
                  std::string* problem);

// As read_network(), of a profile that was parsed.
bool read_network(const toml::table& profile, std::optional<NetworkProfile>* out,
                  std::string* problem);

}  // namespace npu::model

#endif  // NPU_MODEL_NETWORK_TABLE_H_
