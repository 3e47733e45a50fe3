// SPDX-License-Identifier: Apache-2.0
// MODULE_LOAD and MODULE_UNLOAD commands.
#include "libnpu/src/core/loader.h"

#include <bit>
#include <utility>

#include "libnpu/src/core/context.h"
#include "libnpu/src/core/error.h"

namespace npu {
namespace {

constexpr uint32_t kLoaderEntriesLog2 = NPU_RING_LOG2_MIN;

npu_cmd make_command(npu_cmd_op op, uint64_t dva, uint64_t size_bytes, uint32_t number,
                     bool check_only = false) {
  npu_cmd_module command{};
  command.op = static_cast<__u8>(op);
  command.blob_dva = dva;
  command.blob_bytes = size_bytes;
  command.module = number;
  command.check_only = check_only ? 1 : 0;
  return std::bit_cast<npu_cmd>(command);
}

}  // namespace

Result<Ref<Queue>> Loader::prepare(Context& context) {
  {
    std::lock_guard lock(mutex_);
    if (queue_) return queue_;
  }
  RingOptions options;
  options.entries_log2 = kLoaderEntriesLog2;
  NPU_TRY_ASSIGN(Ref<Queue> queue, context.create_queue(options, false));
  {
    std::lock_guard lock(mutex_);
    if (!ended_) {
      queue_ = queue;
      return queue;
    }
  }
  queue->close();
  return fail(NPU_ERROR_INVALID_HANDLE, "the context was destroyed");
}

Result<uint32_t> Loader::load(Context& context, uint64_t dva, uint64_t size_bytes, bool check_only,
                              npu_completion* out_record) {
  std::lock_guard lock(load_mutex_);
  NPU_TRY_ASSIGN(const Ref<Queue> queue, prepare(context));
  uint64_t value = 0;
  NPU_TRY(queue->submit(make_command(NPU_CMD_MODULE_LOAD, dva, size_bytes, 0, check_only), &value));
  const Status loaded = queue->wait(value, Deadline::never());
  if (loaded.is_ok()) {
    NPU_TRY(queue->record(value, out_record));
    return static_cast<uint32_t>(out_record->result);
  }
  if (const auto fault = queue->fault(); fault.has_value()) *out_record = fault->record;
  // A queue stops at its first error; the next load needs one that runs.
  if (!queue->reset().is_ok()) close(false);
  return loaded;
}

void Loader::unload(uint32_t number) {
  Ref<Queue> queue;
  {
    std::lock_guard lock(mutex_);
    queue = queue_;
  }
  if (!queue) return;
  uint64_t value = 0;
  [[maybe_unused]] const Status status =
      queue->submit(make_command(NPU_CMD_MODULE_UNLOAD, 0, 0, number), &value);
}

void Loader::close(bool for_ever) {
  Ref<Queue> queue;
  {
    std::lock_guard lock(mutex_);
    ended_ = ended_ || for_ever;
    queue = std::exchange(queue_, {});
  }
  if (queue) queue->close();
}

void Loader::end() { close(true); }

}  // namespace npu
