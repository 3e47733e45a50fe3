// SPDX-License-Identifier: Apache-2.0
// Strict reading of profiles.
#include "firmware-model/server/profile.h"

#include <stdlib.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <vector>

#include "firmware-model/network/table.h"
#include "firmware-model/server/places.h"
#include "uapi/npu_model.h"

namespace npu::model::server {
namespace {

namespace fs = std::filesystem;

struct Field {
  const char* key;
  uint64_t least;
  uint64_t most;
  uint64_t multiple;
};

constexpr Field kFields[] = {
#define FIELD(key, least, most, multiple) {#key, least, most, multiple},
    NPU_PROFILE_FIELDS(FIELD)
#undef FIELD
};

constexpr const char* kKeys[] = {
#define KEY(key, least, most, multiple) #key,
    NPU_PROFILE_FIELDS(KEY)
#undef KEY
};

const Field* find_field(std::string_view key) {
  const auto found = std::find_if(std::begin(kFields), std::end(kFields),
                                  [key](const Field& field) { return key == field.key; });
  return found == std::end(kFields) ? nullptr : found;
}

std::string allowed(const Field& field) {
  std::string text = std::to_string(field.least) + " to " + std::to_string(field.most);
  if (field.multiple > 1) text += ", a multiple of " + std::to_string(field.multiple);
  return text;
}

bool read_number(const toml::table& table, const Field& field, uint64_t* out,
                 std::string* problem) {
  const auto fits = [&](uint64_t x) {
    return x >= field.least && x <= field.most && x % field.multiple == 0;
  };
  return read_integer(table, field.key, field.key, allowed(field), fits, out, problem);
}

bool read_name(const toml::table& root, char* out, size_t bytes, std::string* problem) {
  const toml::node* node = root.get("name");
  const toml::value<std::string>* text = node == nullptr ? nullptr : node->as_string();
  if (text == nullptr || text->get().empty() || text->get().size() >= bytes) {
    *problem =
        "key 'name' must be a string; allowed: 1 to " + std::to_string(bytes - 1) + " characters";
    return false;
  }
  const bool plain = std::all_of(text->get().begin(), text->get().end(),
                                 [](char c) { return c > 0x20 && c < 0x7f; });
  if (!plain) {
    *problem = "key 'name' must consist of visible ASCII characters";
    return false;
  }
  std::memcpy(out, text->get().data(), text->get().size());
  return true;
}

// Each tile of a cluster has a part of it.
bool check_shared(const npu_profile& profile, std::string* problem) {
  const bool l2_fits = profile.l2_bytes_per_cycle >= profile.tiles_per_cluster;
  if (l2_fits && profile.noc_bytes_per_cycle >= profile.tiles_per_cluster) return true;
  *problem = std::string("key '") + (l2_fits ? "noc" : "l2") +
             "_bytes_per_cycle' is smaller than tiles_per_cluster; allowed: " +
             std::to_string(profile.tiles_per_cluster) + " to 1048576";
  return false;
}

bool check_ports(const npu_profile& profile, std::string* problem) {
  // Neighbours are paired by exclusive or, so a group has a power of two of devices.
  if ((profile.port_neighbours & (profile.port_neighbours + 1)) != 0) {
    *problem = "key 'port_neighbours' is " + std::to_string(profile.port_neighbours) +
               "; allowed: 0, 1, 3, 7, 15";
    return false;
  }
  if (profile.ports_up > profile.ports) {
    *problem =
        "key 'ports_up' is larger than ports; allowed: 0 to " + std::to_string(profile.ports);
    return false;
  }
  const uint32_t local = profile.ports - profile.ports_up;
  if (local < profile.port_neighbours || (profile.port_neighbours == 0 && local != 0)) {
    *problem = "key 'port_neighbours' does not fit: " + std::to_string(local) +
               " ports do not lead up; allowed: at least one of them for each neighbour, and none "
               "without neighbours";
    return false;
  }
  if ((profile.ports == 0) != (profile.port_mbps == 0)) {
    *problem = "key 'port_mbps' is 0 where there are no ports, and only there";
    return false;
  }
  return true;
}

// One integer of a table [[port]].
bool read_index(const toml::table& table, const char* key, int64_t fallback, uint64_t end,
                uint32_t* out, std::string* problem) {
  const toml::node* node = table.get(key);
  const toml::value<int64_t>* number = node == nullptr ? nullptr : node->as_integer();
  const int64_t value = number != nullptr ? number->get() : node == nullptr ? fallback : -1;
  if (value >= 0 && static_cast<uint64_t>(value) < end) {
    *out = static_cast<uint32_t>(value);
    return true;
  }
  *problem = std::string("key 'port.") + key + "' must be an integer; allowed: " +
             (end == 0 ? "none, the chip has no ports" : "0 to " + std::to_string(end - 1));
  return false;
}

bool read_binding(const toml::table& table, const npu_profile& profile, PortBinding* out,
                  std::string* problem) {
  for (const auto& [key, value] : table) {
    if (key.str() == "device" || key.str() == "index") continue;
    const toml::value<std::string>* text = value.as_string();
    if ((key.str() != "interface" && key.str() != "address") || text == nullptr) {
      *problem =
          "key 'port." + std::string(key.str()) +
          "' cannot be; allowed: integers device and index, and a string interface or address";
      return false;
    }
    (key.str() == "interface" ? out->interface : out->address) = text->get();
  }
  return read_index(table, "device", 0, NPU_MODEL_MAX_DEVICES, &out->device, problem) &&
         read_index(table, "index", -1, profile.ports, &out->port, problem);
}

bool read_bindings(const toml::table& root, const npu_profile& profile,
                   std::vector<PortBinding>* out, std::string* problem) {
  const toml::node* node = root.get("port");
  if (node == nullptr) return true;
  const toml::array* tables = node->as_array();
  if (tables == nullptr) {
    *problem = "key 'port' must be tables [[port]]";
    return false;
  }
  for (const toml::node& entry : *tables) {
    if (entry.as_table() == nullptr) {
      *problem = "key 'port' must be tables [[port]]";
      return false;
    }
    PortBinding binding;
    if (!read_binding(*entry.as_table(), profile, &binding, problem)) return false;
    out->push_back(std::move(binding));
  }
  return check_bindings(*out, problem);
}

bool fill(const toml::table& root, npu_profile* out, std::vector<PortBinding>* bindings,
          std::string* problem) {
  for (const auto& [key, value] : root) {
    if (key.str() == "name" || key.str() == "source" || key.str() == "port" ||
        key.str() == "network" || find_field(key.str()) != nullptr) {
      continue;
    }
    *problem = "key '" + std::string(key.str()) + "' is unknown";
    return false;
  }
  if (!read_name(root, out->name, sizeof(out->name), problem)) return false;
  uint64_t value = 0;
  size_t row = 0;
#define FIELD(key, least, most, multiple)                                \
  if (!read_number(root, kFields[row++], &value, problem)) return false; \
  out->key = static_cast<decltype(out->key)>(value);
  NPU_PROFILE_FIELDS(FIELD)
#undef FIELD
  if (out->power_idle_mw > out->power_limit_mw) {
    *problem = "key 'power_idle_mw' is larger than power_limit_mw; allowed: 0 to " +
               std::to_string(out->power_limit_mw);
    return false;
  }
  return check_shared(*out, problem) && check_ports(*out, problem) &&
         check_sources(root, "", kKeys, problem) && read_bindings(root, *out, bindings, problem);
}

}  // namespace

bool parse_profile(std::string_view text, const std::string& file, npu_profile* out,
                   std::vector<PortBinding>* bindings, std::string* error) {
  npu_profile profile{};
  std::vector<PortBinding> found;
  std::string problem;
  const auto strange = std::find_if(text.begin(), text.end(), [](char c) {
    return (c < 0x20 || c > 0x7e) && c != '\n' && c != '\t';
  });
  if (strange != text.end()) {
    *error = "profile " + file + ": line " +
             std::to_string(1 + std::count(text.begin(), strange, '\n')) +
             ": a character that is not plain ASCII";
    return false;
  }
  const auto read = [&](const toml::table& root) {
    std::optional<NetworkProfile> network;
    return fill(root, &profile, &found, &problem) && read_network(root, &network, &problem);
  };
  if (with_profile(text, read, &problem)) {
    *out = profile;
    *bindings = std::move(found);
    return true;
  }
  *error = "profile " + file + ": " + problem;
  return false;
}

bool load_profile(const std::string& file, npu_profile* out, std::vector<PortBinding>* bindings,
                  std::string* error) {
  std::ifstream stream(file, std::ios::binary);
  constexpr std::streamsize kMaxBytes = 64 << 10;
  std::string text(static_cast<size_t>(kMaxBytes) + 1, '\0');
  if (!stream.read(text.data(), kMaxBytes + 1) && !stream.eof()) {
    const std::string directory = fs::path(file).parent_path().string();
    *error = "profile " + file + " cannot be read; there are: " + list_profiles(directory);
    return false;
  }
  text.resize(static_cast<size_t>(stream.gcount()));
  if (text.size() > static_cast<size_t>(kMaxBytes)) {
    *error = "profile " + file + " is longer than 64 KiB";
    return false;
  }
  return parse_profile(text, file, out, bindings, error);
}

std::string profile_directory() {
  const char* chosen = getenv("NPU_PROFILE_DIR");
  if (chosen != nullptr && *chosen != '\0') return chosen;
  std::error_code ignored;
  const std::string installed = shared_directory() + "/profiles";
  if (fs::is_directory(installed, ignored)) return installed;
#ifdef NPU_BUILD_PROFILE_DIR
  if (fs::is_directory(NPU_BUILD_PROFILE_DIR, ignored)) return NPU_BUILD_PROFILE_DIR;
#endif
  return installed;
}

}  // namespace npu::model::server
