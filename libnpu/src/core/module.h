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
#include "libnpu/src/core/code_cache.h"
#include "libnpu/src/core/object.h"
#include "libnpu/src/core/status.h"

namespace npu {

class Context;
class Device;

class Module final : public Object {
 public:
  static constexpr Kind kKind = Kind::kModule;

  // Copies the blob to the device, which checks and loads it; or shares what is there.
  static Result<Ref<Module>> load(Ref<Context> context, std::span<const std::byte> blob);
  // Ok, or the error that loading would give.
  static Status check(Device& device, std::span<const std::byte> blob, HandleTable& handles);

  Context& context() const { return *context_; }
  uint32_t number() const { return code_->number; }
  const Image& image() const { return *code_->image; }
  // The handle of a kernel, made at the first call. 0: no memory for it.
  uint64_t kernel_handle(uint32_t index, HandleTable& handles);
  // Takes the kernels' handles away and unloads what nobody shares once launches submitted before have ended. Idempotent.
  void end(HandleTable& handles) override;

 private:
  Module(Ref<Context> context, std::shared_ptr<LoadedCode> code);
  ~Module() override = default;

  const Ref<Context> context_;
  const std::shared_ptr<LoadedCode> code_;
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
