// SPDX-License-Identifier: Apache-2.0
#include "tools/npu-perf/machine.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <vector>

#include "tools/isa/command_line.h"

namespace npu::perf {
namespace {

namespace fs = std::filesystem;
using isa::Failure;
using isa::Outcome;
using model::NetworkProfile;

constexpr const char* kChanged = "--wiring";

std::string profile_directory() {
  const char* chosen = std::getenv("NPU_PROFILE_DIR");
  if (chosen != nullptr && *chosen != '\0') return chosen;
  std::error_code error;
  const fs::path tool = fs::read_symlink("/proc/self/exe", error);
  const fs::path installed = tool.parent_path().parent_path() / "share/npu/profiles";
  if (!error && fs::is_directory(installed, error)) return installed.string();
  return NPU_BUILD_PROFILE_DIR;
}

// As a device's name: letters, digits, '-' and '_', so that it cannot lead out of the folder.
bool is_name(const std::string& text) {
  return !text.empty() && text.size() < 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  });
}

Outcome<NetworkProfile> read_profile(const std::string& name) {
  const std::string directory = profile_directory();
  const std::string file = directory + "/" + name + ".toml";
  std::error_code ignored;
  if (!is_name(name) || !fs::is_regular_file(file, ignored)) {
    return Failure{"there is no profile '" + name +
                   "'. Give one of: " + model::list_profiles(directory)};
  }
  const auto bytes = isa::read_whole_file(file);
  if (!bytes) return bytes.failure();
  const std::string_view text(reinterpret_cast<const char*>(bytes->data()), bytes->size());
  std::optional<NetworkProfile> network;
  std::string problem;
  if (!model::read_network(text, &network, &problem)) {
    return Failure{"profile " + file + ": " + problem};
  }
  if (!network) {
    return Failure{"profile '" + name +
                   "' does not tell how its chips are wired: nothing is published. Give another "
                   "profile, and what is different with --wiring"};
  }
  return std::move(*network);
}

void change(NetworkProfile* network, const model::NetworkField& field, uint64_t value) {
  network->*field.member = value;
  network->sources[field.key] = kChanged;
}

std::optional<Failure> change_number(NetworkProfile* network, std::string_view word) {
  const size_t equals = word.find('=');
  const model::NetworkField* field = model::find_network_field(word.substr(0, equals));
  if (field == nullptr) {
    std::string keys;
    for (const auto& known : model::network_fields()) keys += std::string(", ") + known.key;
    return Failure{"--wiring: '" + std::string(word) +
                   "' is no change. Give KEY=NUMBER or 'switched'; keys: " + keys.substr(2)};
  }
  const std::string_view digits =
      equals == std::string_view::npos ? std::string_view() : word.substr(equals + 1);
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size() || value < field->least ||
      value > field->most) {
    return Failure{"--wiring: " + std::string(field->key) + " must be a whole number from " +
                   std::to_string(field->least) + " to " + std::to_string(field->most)};
  }
  change(network, *field, value);
  return std::nullopt;
}

void put_all_links_into_the_fabric(NetworkProfile* network) {
  const uint64_t all = (network->node_chips - 1) * network->neighbour_links + network->up_links;
  change(network, *model::find_network_field("up_links"), all);
  change(network, *model::find_network_field("neighbour_links"), 0);
  change(network, *model::find_network_field("node_chips"), 1);
}

}  // namespace

Outcome<Machine> load_machine(const std::string& profile, const std::string& wiring) {
  auto network = read_profile(profile);
  if (!network) return network.failure();
  for (size_t at = 0; at < wiring.size();) {
    const size_t end = std::min(wiring.find(',', at), wiring.size());
    const std::string_view word = std::string_view(wiring).substr(at, end - at);
    if (word == "switched") {
      put_all_links_into_the_fabric(&*network);
    } else if (const auto failure = change_number(&*network, word)) {
      return *failure;
    }
    at = end + 1;
  }
  if (const std::string cause = network->refuse(); !cause.empty()) {
    return Failure{"--wiring: " + cause};
  }
  return Machine{profile, std::move(*network)};
}

}  // namespace npu::perf
