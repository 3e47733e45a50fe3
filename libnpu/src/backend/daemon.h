// SPDX-License-Identifier: Apache-2.0
// npu-modeld for this user: where its socket is, and how it is started when nobody listens there (uapi/npu_model.h).
#pragma once

#include "libnpu/src/backend/unique_fd.h"
#include "libnpu/src/core/environment.h"
#include "libnpu/src/core/status.h"

namespace npu {

// A connection to the daemon of |environment|'s spec; starts it first if it does not run. At most 10 seconds.
Result<UniqueFd> connect_daemon(const Environment& environment);

}  // namespace npu
