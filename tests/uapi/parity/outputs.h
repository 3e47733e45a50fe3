// SPDX-License-Identifier: Apache-2.0
// What a call put into its struct, as text that is the same on every road: ids, tokens and clocks only as set or not.
#pragma once

#include <cstdint>
#include <string>

#include "tests/uapi/parity/transport.h"

namespace npu::parity {

// "EINVAL", or the number of an errno that the uapi does not know.
std::string errno_name(int error);

// Errno and outputs of a call. Tells of every change that npu_accel.h does not promise.
std::string outcome_of(uint32_t nr, int error, const Bytes& before, const Bytes& after);

}  // namespace npu::parity
