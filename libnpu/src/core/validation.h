// SPDX-License-Identifier: Apache-2.0
// Validation: checks that take time, made when NPU_LAYERS has "validation". What is surely wrong is refused; what may be wrong is a hint in the log. Both name cause and remedy.
// Each function does nothing while the layer is off.
// Thread safety: all functions. None is called with a mutex of the library held.
#pragma once

#include <cstdint>
#include <span>

#include "libnpu/src/core/status.h"

namespace npu {

class Context;
class Kernel;
class Queue;
struct Submission;

class Validation {
 public:
  // Pointers of launches lead to live memory of the context, and copies and fills do not race with other queues.
  static Status check_batch(Queue& queue, std::span<const Submission> batch);
  static Status check_args(Context& context, const Kernel& kernel, const void* args);
  // The host reads or writes memory of the context that unfinished work uses; the second one knows it by an address of the process.
  static Status check_host_access(Context& context, uint64_t dva, uint64_t size_bytes, bool writes,
                                  const char* what);
  static Status check_host_buffer(Context& context, const void* host, uint64_t size_bytes,
                                  bool writes, const char* what);
  // Ends of what unfinished work uses.
  static Status check_unmap(Context& context, uint64_t dva, uint64_t size_bytes);
  static Status check_semaphore_end(Context& context, uint64_t dva);
  static Status check_queue_end(Queue& queue);
  static void look_at_context_end(Context& context);
  static void look_at_unregister(Context& context, const void* host);
};

}  // namespace npu
