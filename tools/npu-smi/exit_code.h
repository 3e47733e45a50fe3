// SPDX-License-Identifier: Apache-2.0
// Exit codes of npu-smi. They never change; 2, 3, 4, 6, 9 and 15 are those of the tool that scripts already know.
#pragma once

#include <npu/npu_types.h>

namespace npu::smi {

enum ExitCode {
  kExitDone = 0,
  kExitInternal = 1,
  kExitUsage = 2,
  kExitNotSupported = 3,
  kExitPermission = 4,
  kExitBusy = 5,
  kExitNotFound = 6,
  kExitTimeout = 7,
  kExitNoDriver = 9,
  kExitDeviceLost = 15,
  kExitPartial = 20,
  kExitVersionSkew = 24,
};

ExitCode exit_code_of(npuResult result);

}  // namespace npu::smi
