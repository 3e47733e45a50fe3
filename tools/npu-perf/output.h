// SPDX-License-Identifier: Apache-2.0
// What npu-perf prints and draws. Pure functions.
#pragma once

#include <optional>
#include <string>

#include "tools/npu-perf/usage.h"

namespace npu::perf {

std::string make_table(const Usage& usage);
// |exit_code|: of the program, if one ran.
std::string make_json(const Usage& usage, std::optional<int> exit_code);
// A picture of the roofline of each device that tells its peaks; the kernels are the dots.
std::string make_svg(const Usage& usage);

}  // namespace npu::perf
