// SPDX-License-Identifier: Apache-2.0
// Device: an opened device and what is known of it.
// Thread safety: all functions.
#pragma once

#include <cstdint>
#include <memory>

#include "libnpu/src/backend/backend.h"
#include "libnpu/src/core/children.h"
#include "libnpu/src/core/environment.h"
#include "libnpu/src/core/object.h"
#include "libnpu/src/core/status.h"

struct npu_dev_info;
struct npu_limits;
struct npu_metric;

namespace npu {

class Device final : public Object {
 public:
  static constexpr Kind kKind = Kind::kDevice;

  // selector: nullptr, an index, or a UUID.
  static Result<Ref<Device>> open(const Environment& environment, const char* selector,
                                  int64_t spin_ns);
  // For tests: a device behind a backend of the caller.
  static Result<Ref<Device>> adopt(std::unique_ptr<Backend> backend, int64_t spin_ns);

  Backend& backend() const { return *backend_; }
  const npu_dev_info& info() const { return *info_; }
  const npu_limits& limits() const { return *limits_; }
  int64_t spin_ns() const { return spin_ns_; }
  // For queues that are created without one; 0: the device's default.
  uint32_t exec_timeout_ms() const { return exec_timeout_ms_; }
  Children& children() { return children_; }

  // Asks the device anew: epoch and health change.
  Status refresh(npu_dev_info* out);
  // A row of metrics.def, as the device measures it now.
  Status read_metric(uint32_t id, npu_metric* out);
  Status memory_info(uint64_t* out_free_bytes, uint64_t* out_total_bytes);

  void end(HandleTable& handles) override;

 private:
  Device(std::unique_ptr<Backend> backend, int64_t spin_ns);
  ~Device() override;
  static Result<Ref<Device>> find(const Environment& environment, const char* selector,
                                  int64_t spin_ns);

  const std::unique_ptr<Backend> backend_;
  const int64_t spin_ns_;
  uint32_t exec_timeout_ms_ = 0;
  std::unique_ptr<npu_dev_info> info_;
  std::unique_ptr<npu_limits> limits_;
  Children children_;
};

}  // namespace npu
