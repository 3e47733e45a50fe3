// SPDX-License-Identifier: Apache-2.0
#include "firmware-model/network/table.h"

#include <algorithm>
#include <sstream>

namespace npu::model {

bool read_integer(const toml::table& table, const char* key, const std::string& name,
                  const std::string& allowed, const std::function<bool(uint64_t)>& fits,
                  uint64_t* out, std::string* problem) {
  const std::string subject = "key '" + name + "' ";
  const toml::node* node = table.get(key);
  const toml::value<int64_t>* number = node == nullptr ? nullptr : node->as_integer();
  if (number == nullptr) {
    *problem =
        subject + (node == nullptr ? "is missing" : "must be an integer") + "; allowed: " + allowed;
    return false;
  }
  const int64_t value = number->get();
  if (value < 0 || !fits(static_cast<uint64_t>(value))) {
    *problem = subject + "is " + std::to_string(value) + "; allowed: " + allowed;
    return false;
  }
  *out = static_cast<uint64_t>(value);
  return true;
}

bool check_sources(const toml::table& table, const std::string& prefix,
                   std::span<const char* const> keys, std::string* problem) {
  const std::string name = prefix + "source";
  const toml::node* node = table.get("source");
  const toml::table* sources = node == nullptr ? nullptr : node->as_table();
  if (sources == nullptr) {
    *problem = "table [" + name + "] is missing; it names for each key where its number comes from";
    return false;
  }
  for (const auto& [key, value] : *sources) {
    const std::string subject = "key '" + name + "." + std::string(key.str()) + "' ";
    const toml::value<std::string>* text = value.as_string();
    if (std::find(keys.begin(), keys.end(), key.str()) == keys.end()) {
      *problem = subject + "is unknown";
      return false;
    }
    if (text == nullptr || text->get().empty()) {
      *problem = subject + "must be a string that is not empty";
      return false;
    }
  }
  for (const char* key : keys) {
    if (sources->get(key) != nullptr) continue;
    *problem = "key '" + name + "." + key +
               "' is missing; write 'inferred: ...' where nothing is published";
    return false;
  }
  return true;
}

bool with_profile(std::string_view text, const std::function<bool(const toml::table&)>& read,
                  std::string* problem) {
  try {
    return read(toml::parse(text));
  } catch (const toml::parse_error& parse) {
    std::ostringstream where;
    where << "line " << parse.source().begin.line << ": " << parse.description();
    *problem = where.str();
  } catch (const std::invalid_argument& broken) {
    *problem = broken.what();
  }
  return false;
}

}  // namespace npu::model
