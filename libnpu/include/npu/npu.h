/* SPDX-License-Identifier: Apache-2.0 */
/* Everything of libnpu. The rules that hold for all functions are in npu_types.h. */
#ifndef NPU_NPU_H
#define NPU_NPU_H

#include <npu/npu_device.h>
#include <npu/npu_error.h>
#include <npu/npu_event.h>
#include <npu/npu_graph.h>
#include <npu/npu_memory.h>
#include <npu/npu_module.h>
#include <npu/npu_print.h>
#include <npu/npu_prof.h>
#include <npu/npu_queue.h>
#include <npu/npu_semaphore.h>
#include <npu/npu_types.h>

#endif
