// SPDX-License-Identifier: Apache-2.0
#include "firmware-model/network/profile.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "firmware-model/network/table.h"

namespace npu::model {
namespace {

constexpr NetworkField kFields[] = {
#define FIELD(key, least, most) {#key, &NetworkProfile::key, least, most},
    NPU_NETWORK_FIELDS(FIELD)
#undef FIELD
};

bool read_sources(const toml::table& table, NetworkProfile* out, std::string* problem) {
  constexpr const char* kKeys[] = {
#define KEY(key, least, most) #key,
      NPU_NETWORK_FIELDS(KEY)
#undef KEY
  };
  if (!check_sources(table, "network.", kKeys, problem)) return false;
  for (const char* key : kKeys) out->sources[key] = table["source"][key].value_or(std::string());
  return true;
}

bool read_table(const toml::table& table, NetworkProfile* out, std::string* problem) {
  for (const auto& [key, value] : table) {
    if (key.str() == "source" || find_network_field(key.str()) != nullptr) continue;
    *problem = "key 'network." + std::string(key.str()) + "' is unknown";
    return false;
  }
  for (const NetworkField& field : kFields) {
    const std::string allowed = std::to_string(field.least) + " to " + std::to_string(field.most);
    const auto fits = [&](uint64_t x) { return x >= field.least && x <= field.most; };
    if (!read_integer(table, field.key, std::string("network.") + field.key, allowed, fits,
                      &(out->*field.member), problem))
      return false;
  }
  *problem = out->refuse();
  return problem->empty() && read_sources(table, out, problem);
}

}  // namespace

std::string NetworkProfile::refuse() const {
  if (leaf_chips % node_chips != 0) return "leaf_chips must be a multiple of node_chips";
  if (node_chips > 1 && neighbour_links == 0 && up_links == 0) return "there are no links";
  return "";
}

std::span<const NetworkField> network_fields() { return kFields; }

const NetworkField* find_network_field(std::string_view key) {
  const auto found = std::find_if(std::begin(kFields), std::end(kFields),
                                  [key](const NetworkField& field) { return key == field.key; });
  return found == std::end(kFields) ? nullptr : found;
}

bool read_network(const toml::table& profile, std::optional<NetworkProfile>* out,
                  std::string* problem) {
  out->reset();
  const toml::node* node = profile.get("network");
  if (node == nullptr) return true;
  if (node->as_table() == nullptr) {
    *problem = "'network' must be a table";
    return false;
  }
  NetworkProfile network;
  if (!read_table(*node->as_table(), &network, problem)) return false;
  *out = std::move(network);
  return true;
}

bool read_network(std::string_view profile, std::optional<NetworkProfile>* out,
                  std::string* problem) {
  out->reset();
  const auto read = [&](const toml::table& root) { return read_network(root, out, problem); };
  return with_profile(profile, read, problem);
}

std::string list_profiles(const std::string& directory) {
  namespace fs = std::filesystem;
  std::vector<std::string> names;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(directory, ignored)) {
    if (entry.path().extension() == ".toml") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "none" : text;
}

}  // namespace npu::model
