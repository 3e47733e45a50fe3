// SPDX-License-Identifier: Apache-2.0
// What the three formats share.
#include "tools/npu-smi/output.h"

#include <algorithm>

namespace npu::smi {

std::vector<const Field*> chosen_fields(const Options& options) {
  const auto in_sections = [&](const Field& field) {
    const std::vector<std::string>& sections = options.sections;
    const std::string path = field.path;
    switch (options.command) {
      case Command::kProcesses:
        return path == "index" || path == "uuid";
      case Command::kLink:
        return path == "index" || path == "uuid" || path == "nics";
      case Command::kList: {
        const std::string section = field.section;
        return section == "identity" || (options.list_full && section == "architecture");
      }
      default:
        return sections.empty() || path == "index" || path == "uuid" ||
               std::find(sections.begin(), sections.end(), field.section) != sections.end();
    }
  };
  std::vector<const Field*> chosen;
  for (const Field& field : device_fields()) {
    if (in_sections(field)) chosen.push_back(&field);
  }
  return chosen;
}

std::string tool_version() {
  return std::to_string(NPU_VERSION_MAJOR) + "." + std::to_string(NPU_VERSION_MINOR) + "." +
         std::to_string(NPU_VERSION_PATCH);
}

std::string driver_version(const Snapshot& snapshot) {
  for (const Device& device : snapshot.devices) {
    if (!device.failure) return read_field(field_at("firmware.uapi"), device).value;
  }
  return "";
}

std::string printable(const std::string& text) {
  std::string out = text;
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f) c = '?';
  }
  return out;
}

}  // namespace npu::smi
