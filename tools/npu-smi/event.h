// SPDX-License-Identifier: Apache-2.0
// `npu-smi event`: what happens to the devices, as it happens.
#pragma once

#include <string>

#include "tools/npu-smi/device.h"
#include "tools/npu-smi/options.h"
#include "tools/npu-smi/selector.h"

namespace npu::smi {

// One event of device |index| as a line of |format|; |timestamp| is the moment at which it was read.
std::string event_line(Format format, const std::string& timestamp, uint32_t index,
                       const npuMlEvent& event);

// Prints events until a signal comes, or |options.event_count| of them. The exit code.
int follow_events(const Options& options, const Selector& selector);

}  // namespace npu::smi
