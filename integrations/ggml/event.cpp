// SPDX-License-Identifier: Apache-2.0
#include "integrations/ggml/event.h"

#include "integrations/ggml/device.h"

namespace npu::ggml {

ggml_backend_event_t event_new(ggml_backend_dev_t handle) {
  Device& device = Device::of(handle);
  npuEvent event = nullptr;
  if (!device.open()) return nullptr;
  if (npuEventCreate(device.context(), &event) != NPU_OK) {
    say_failure("no event");
    return nullptr;
  }
  return reinterpret_cast<ggml_backend_event_t>(new EventHead{handle, event});
}

npuEvent event_of(ggml_backend_event_t event) {
  return static_cast<npuEvent>(reinterpret_cast<EventHead*>(event)->context);
}

void event_free(ggml_backend_dev_t, ggml_backend_event_t event) {
  npuEventDestroy(event_of(event));
  delete reinterpret_cast<EventHead*>(event);
}

void event_synchronize(ggml_backend_dev_t, ggml_backend_event_t event) {
  if (npuEventWait(event_of(event), NPU_TIMEOUT_INFINITE) != NPU_OK)
    say_failure("work before an event failed");
}

}  // namespace npu::ggml
