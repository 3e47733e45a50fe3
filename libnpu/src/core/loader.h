// SPDX-License-Identifier: Apache-2.0
// Loader: the context's own queue on which modules are loaded and unloaded. Made when the first module comes.
// Thread safety: all functions.
#pragma once

#include <cstdint>
#include <mutex>

#include "libnpu/src/core/object.h"
#include "libnpu/src/core/queue.h"
#include "libnpu/src/core/status.h"

namespace npu {

class Context;

class Loader {
 public:
  // Loads the blob at |dva|, or only checks it; the module's number in the VM, or the device's reason to refuse it. |*out_record| tells where.
  Result<uint32_t> load(Context& context, uint64_t dva, uint64_t size_bytes, bool check_only,
                        npu_completion* out_record);
  // Nothing launched uses the module any more. Errors do not matter: the VM's end unloads it as well.
  void unload(uint32_t number);
  // The context ends: a load that is under way fails, and there are no more.
  void end();

 private:
  Result<Ref<Queue>> prepare(Context& context);
  void close(bool for_ever);

  // One load at a time. Never taken by unload(): what a queue's reset or end gives back may be a module.
  std::mutex load_mutex_;
  std::mutex mutex_;  // of what follows; held for moments only
  bool ended_ = false;
  Ref<Queue> queue_;
};

}  // namespace npu
