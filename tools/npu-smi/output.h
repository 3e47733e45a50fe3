// SPDX-License-Identifier: Apache-2.0
// What a command prints, in each format. Pure functions of what was read.
#pragma once

#include <string>
#include <vector>

#include "tools/npu-smi/device.h"
#include "tools/npu-smi/field.h"
#include "tools/npu-smi/options.h"

namespace npu::smi {

std::string make_json(const Options& options, const Snapshot& snapshot);
std::string make_csv(const Options& options, const Snapshot& snapshot);
std::string make_table(const Options& options, const Snapshot& snapshot);

// Device fields that |options| ask for.
std::vector<const Field*> chosen_fields(const Options& options);

std::string tool_version();
// "1.0" of the first device that answered; empty: none did.
std::string driver_version(const Snapshot& snapshot);
// A cell of CSV: in quotes where RFC 4180 wants them.
std::string csv_quoted(const std::string& text);
// Without what could move a terminal's cursor: names of programs are not ours.
std::string printable(const std::string& text);

}  // namespace npu::smi
