// SPDX-License-Identifier: Apache-2.0
// From the results of the library to exit codes.
#include "tools/npu-smi/exit_code.h"

namespace npu::smi {

ExitCode exit_code_of(npuResult result) {
  switch (result) {
    case NPU_OK:
      return kExitDone;
    case NPU_TIMEOUT:
      return kExitTimeout;
    case NPU_ERROR_INVALID_ARGUMENT:
    case NPU_ERROR_BAD_ENVIRONMENT:
      return kExitUsage;
    case NPU_ERROR_NOT_SUPPORTED:
      return kExitNotSupported;
    case NPU_ERROR_PERMISSION:
      return kExitPermission;
    case NPU_ERROR_BUSY:
    case NPU_ERROR_QUOTA:
      return kExitBusy;
    case NPU_ERROR_NO_DEVICE:
    case NPU_ERROR_NOT_FOUND:
      return kExitNotFound;
    case NPU_ERROR_START_MODEL:
    case NPU_ERROR_DRIVER:
      return kExitNoDriver;
    case NPU_ERROR_DEVICE_LOST:
      return kExitDeviceLost;
    case NPU_ERROR_VERSION_SKEW:
    case NPU_ERROR_PROTOCOL:
      return kExitVersionSkew;
    default:
      return kExitInternal;
  }
}

}  // namespace npu::smi
