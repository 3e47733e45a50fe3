// SPDX-License-Identifier: Apache-2.0
// Events of ggml on events of libnpu.
#ifndef INTEGRATIONS_GGML_EVENT_H_
#define INTEGRATIONS_GGML_EVENT_H_

#include <npu/npu.h>

#include "integrations/ggml/abi.h"

namespace npu::ggml {

ggml_backend_event_t event_new(ggml_backend_dev_t device);
void event_free(ggml_backend_dev_t device, ggml_backend_event_t event);
void event_synchronize(ggml_backend_dev_t device, ggml_backend_event_t event);
npuEvent event_of(ggml_backend_event_t event);

}  // namespace npu::ggml

#endif  // INTEGRATIONS_GGML_EVENT_H_
