// SPDX-License-Identifier: Apache-2.0
// What npu-modeld may still ask of the kernel once it has started.
#ifndef NPU_MODEL_SERVER_SANDBOX_H_
#define NPU_MODEL_SERVER_SANDBOX_H_

#include <string>

namespace npu::model::server {

// Whether this build has it.
bool sandbox_available();

// Gives up new privileges for good and allows only the system calls that serving needs; any other one fails with EPERM. It holds for threads that
// start later; none may have been started before. False: |error| says why.
bool enter_sandbox(std::string* error);

}  // namespace npu::model::server

#endif  // NPU_MODEL_SERVER_SANDBOX_H_
