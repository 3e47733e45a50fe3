// SPDX-License-Identifier: Apache-2.0
// A context: one process's address space on the device and the modules loaded in it.
//
// Thread safety: any thread; members have their own rules.
#ifndef NPU_MODEL_DEVICE_CONTEXT_H_
#define NPU_MODEL_DEVICE_CONTEXT_H_

#include <cstdint>

#include "firmware-model/device/mmu.h"
#include "firmware-model/device/module.h"

namespace npu::model {

struct Context {
  Context(uint32_t number, uint64_t unique_owner, const HbmWindow& hbm,
          const npu_device_ports& ports, uint64_t root)
      : id(number), owner(unique_owner), space(hbm, ports, root) {}

  const uint32_t id;
  const uint64_t owner;  // never used twice: scratchpads are cleared when it changes
  PageTableSpace space;
  ModuleTable modules;
};

}  // namespace npu::model

#endif  // NPU_MODEL_DEVICE_CONTEXT_H_
