// SPDX-License-Identifier: Apache-2.0
// Ports and events, from the driver's form into the public one. Thread safety: pure.
#pragma once

#include <npu/npu_ml.h>

#include <cstddef>

#include "uapi/npu_accel.h"

namespace npu::ml {

npuMlPort translate_port(const npu_port_info& in);
// |bytes|: NPU_EVENT_MAX_BYTES, zero behind the event. False: a kind that npu_ml.h does not know.
bool translate_event(const std::byte* bytes, npuMlEvent* out);

}  // namespace npu::ml
