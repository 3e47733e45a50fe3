// SPDX-License-Identifier: Apache-2.0
//
// What libnpu and libnpuops say about a failed call, as an Error of this sample.
#ifndef SAMPLES_LLM_NPU_ERROR_H_
#define SAMPLES_LLM_NPU_ERROR_H_

#include <npu/npu.h>

#include "samples/llm/result.h"

namespace npu::llm {

/// For the failed call of this thread that returned `code`: kNoMemory for memory and quotas, else
/// kDevice, with the library's cause and remedy. `doing` says what this program wanted.
Error npu_error(npuResult code, const char* doing);

/// As npu_error, for a call into libnpuops.
Error npu_ops_error(npuResult code, const char* doing);

/// For a queue that stopped: adds kernel, work-group, tile, instruction and address of the fault.
Error npu_queue_error(npuResult code, npuQueue queue);

}  // namespace npu::llm

#endif  // SAMPLES_LLM_NPU_ERROR_H_
