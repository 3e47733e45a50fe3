// SPDX-License-Identifier: Apache-2.0
// npu-smi doctor: what a program would run into on this machine, in this environment, as this user.
#pragma once

#include <string>
#include <vector>

#include "tools/npu-smi/options.h"

namespace npu::smi {

struct Finding {
  enum class State { kOk, kWarning, kFailed };
  std::string check;    // environment, limits, devices
  std::string subject;  // "NPU_DEVICE", "locked memory", "device 0"
  State state = State::kOk;
  std::string found;
  std::string remedy;  // empty when there is nothing to do
};

// Looks at everything; never fails. The first look at a device may start npu-modeld, as every program would.
std::vector<Finding> examine();

std::string make_report(const Options& options, const std::vector<Finding>& findings);

// 0, or kExitPartial when something failed. Warnings do not count.
int exit_code_of(const std::vector<Finding>& findings);

}  // namespace npu::smi
