// SPDX-License-Identifier: Apache-2.0
// Module and Kernel: a loaded blob, and what can be launched of it.
// Thread safety: all functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "libnpu/src/core/blob.h"
#include "libnpu/src/core/object.h"
#include "libnpu/src/core/status.h"

namespace npu {

class Context;

class Module final : public Object {
 public:
  static constexpr Kind kKind = Kind::kModule;

  // Copies the blob to the device, which checks and loads it.
  static Result<Ref<Module>> load(Ref<Context> context, std::span<const std::byte> blob);

  Context& context() const { return *context_; }
  uint32_t number() const { return number_; }
  const Image& image() const { return *image_; }
  // The handle of a kernel, made at the first call. 0: no memory for it.
  uint64_t kernel_handle(uint32_t index, HandleTable& handles);
  // Takes the kernels' handles away and unloads once launches submitted before have ended. Idempotent.
  void end(HandleTable& handles) override;

 private:
  Module(Ref<Context> context, uint32_t number, std::shared_ptr<const Image> image);
  ~Module() override = default;

  const Ref<Context> context_;
  const uint32_t number_;  // in the device's VM
  const std::shared_ptr<const Image> image_;
  std::mutex mutex_;
  bool closed_ = false;
  std::vector<uint64_t> kernel_handles_;
};

class Kernel final : public Object {
 public:
  static constexpr Kind kKind = Kind::kKernel;

  Kernel(Ref<Module> module, uint32_t index)
      : Object(kKind), module_(std::move(module)), index_(index) {}

  Module& module() const { return *module_; }
  uint32_t index() const { return index_; }
  const KernelImage& image() const { return module_->image().kernels[index_]; }

 private:
  ~Kernel() override = default;

  const Ref<Module> module_;
  const uint32_t index_;
};

}  // namespace npu
