// SPDX-License-Identifier: Apache-2.0
// Machine: how chips are wired, from a profile and from what the user changes of it.
#pragma once

#include <string>

#include "firmware-model/network/profile.h"
#include "tools/isa/outcome.h"

namespace npu::perf {

struct Machine {
  std::string profile;
  model::NetworkProfile network;  // the source of a changed number is "--wiring"
};

// |profile| names a file of NPU_PROFILE_DIR, else of the installed profiles, else of those of this build. |wiring| changes numbers of it, "up_links=6,leaf_chips=64"; "switched" puts all links
// of a chip into the fabric.
isa::Outcome<Machine> load_machine(const std::string& profile, const std::string& wiring);

}  // namespace npu::perf
