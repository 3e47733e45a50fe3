// SPDX-License-Identifier: Apache-2.0
// Network ports: what `npu-smi link` shows, and the same in the field "nics".
#pragma once

#include <string>
#include <vector>

#include "tools/npu-smi/field.h"

namespace npu::smi {

struct PortField {
  const char* path;
  const char* unit;
  const char* type;
  const char* doc;
  Json (*read)(const npuMlPort& port);  // null: not known, or nothing of this kind
};

const std::vector<PortField>& port_fields();
const char* port_state_word(npuMlPortState state);
Json port_object(const npuMlPort& port);
// "0 up": where a line has no room for more.
std::string port_summary(const Json& port);

std::string link_table(const Snapshot& snapshot);

}  // namespace npu::smi
