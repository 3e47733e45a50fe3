// SPDX-License-Identifier: Apache-2.0
#include "firmware-model/network/profile.h"

#include <algorithm>
#include <sstream>

#include "firmware-model/network/toml.h"

namespace npu::model {
namespace {

constexpr NetworkField kFields[] = {
#define FIELD(key, least, most) {#key, &NetworkProfile::key, least, most},
    NPU_NETWORK_FIELDS(FIELD)
#undef FIELD
};

bool read_number(const toml::table& table, const NetworkField& field, uint64_t* out,
                 std::string* problem) {
  const std::string key = std::string("key 'network.") + field.key + "' ";
  const std::string allowed =
      "; allowed: " + std::to_string(field.least) + " to " + std::to_string(field.most);
  const toml::node* node = table.get(field.key);
  const toml::value<int64_t>* number = node == nullptr ? nullptr : node->as_integer();
  if (number == nullptr) {
    *problem = key + (node == nullptr ? "is missing" : "must be an integer") + allowed;
    return false;
  }
  const int64_t value = number->get();
  if (value < 0 || static_cast<uint64_t>(value) < field.least ||
      static_cast<uint64_t>(value) > field.most) {
    *problem = key + "is " + std::to_string(value) + allowed;
    return false;
  }
  *out = static_cast<uint64_t>(value);
  return true;
}

bool read_sources(const toml::table& table, NetworkProfile* out, std::string* problem) {
  const toml::node* node = table.get("source");
  const toml::table* sources = node == nullptr ? nullptr : node->as_table();
  if (sources == nullptr) {
    *problem = "table [network.source] is missing; it names for each key where its number is from";
    return false;
  }
  for (const auto& [key, value] : *sources) {
    const std::string name(key.str());
    const toml::value<std::string>* text = value.as_string();
    if (find_network_field(name) == nullptr) {
      *problem = "key 'network.source." + name + "' is unknown";
      return false;
    }
    if (text == nullptr || text->get().empty()) {
      *problem = "key 'network.source." + name + "' must be a string that is not empty";
      return false;
    }
    out->sources[name] = text->get();
  }
  for (const NetworkField& field : kFields) {
    if (out->sources.contains(field.key)) continue;
    *problem = std::string("key 'network.source.") + field.key +
               "' is missing; write 'inferred: ...' where nothing is published";
    return false;
  }
  return true;
}

bool read_table(const toml::table& table, NetworkProfile* out, std::string* problem) {
  for (const auto& [key, value] : table) {
    if (key.str() == "source" || find_network_field(key.str()) != nullptr) continue;
    *problem = "key 'network." + std::string(key.str()) + "' is unknown";
    return false;
  }
  for (const NetworkField& field : kFields) {
    if (!read_number(table, field, &(out->*field.member), problem)) return false;
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

bool read_network(std::string_view profile, std::optional<NetworkProfile>* out,
                  std::string* problem) {
  out->reset();
  try {
    const toml::table root = toml::parse(profile);
    const toml::node* node = root.get("network");
    if (node == nullptr) return true;
    if (node->as_table() == nullptr) {
      *problem = "'network' must be a table";
      return false;
    }
    NetworkProfile network;
    if (!read_table(*node->as_table(), &network, problem)) return false;
    *out = std::move(network);
    return true;
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
