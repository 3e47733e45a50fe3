// SPDX-License-Identifier: Apache-2.0
// Device: one device that is looked at, through a connection of its own.
// Thread safety: all functions.
#pragma once

#include <npu/npu_ml.h>

#include <memory>
#include <vector>

#include "libnpu/src/backend/backend.h"
#include "libnpu/src/core/object.h"
#include "uapi/npu_accel.h"

namespace npu::ml {

class Device final : public Object {
 public:
  // |selector| as in npuMlOpen.
  static Result<Ref<Device>> open(const char* selector);

  explicit Device(std::unique_ptr<Backend> backend)
      : Object(Kind::kDevice), backend_(std::move(backend)) {}

  Result<npuMlInfo> info();
  Result<std::vector<npuMlMetric>> metrics();
  Result<std::vector<npuMlProcess>> processes();
  Result<std::vector<npuMlPort>> ports();
  Status select_events(npuMlEventKind kinds);
  // NPU_TIMEOUT: none came.
  Status wait_event(int64_t timeout_ns, npuMlEvent* out);

 private:
  template <typename T>
  Status query(uint32_t type, const char* what, std::vector<T>* out);

  const std::unique_ptr<Backend> backend_;
};

}  // namespace npu::ml
