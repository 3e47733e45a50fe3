// SPDX-License-Identifier: Apache-2.0
#include "libnpu/src/core/validation.h"

#include <algorithm>
#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>

#include "libnpu/src/core/access.h"
#include "libnpu/src/core/context.h"
#include "libnpu/src/core/device.h"
#include "libnpu/src/core/error.h"
#include "libnpu/src/core/hook.h"
#include "libnpu/src/core/library.h"
#include "libnpu/src/core/log.h"
#include "libnpu/src/core/module.h"

namespace npu {
namespace {

using Ull = unsigned long long;

// Hints of a loop would fill the log.
constexpr uint32_t kHintsMost = 100;
std::atomic<uint32_t> g_hints{0};

bool is_on() { return Hooks::has(Hook::kValidation); }

const char* function_now() {
  const Call* call = Call::current();
  return call != nullptr ? call->function() : "libnpu";
}

// |status| is of fail() just now.
Status reject(Status status, const char* remedy) {
  set_remedy("%s", remedy);
  log_message(LogLevel::kWarn, "validation: %s: %s. %s", function_now(), pending_text(), remedy);
  return status;
}

[[gnu::format(printf, 1, 2)]] void hint(const char* format, ...) {
  const uint32_t number = g_hints.fetch_add(1, std::memory_order_relaxed);
  if (number > kHintsMost) return;
  char text[384];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  log_message(LogLevel::kWarn, "validation: hint: %s: %s%s", function_now(), text,
              number == kHintsMost ? " (the last hint that is written)" : "");
}

// "copy (value 3, submitted by npuQueueCopy in call 17)"
std::string sentence(const UsedBy& user) {
  char text[160];
  std::snprintf(text, sizeof text, "%s (value %llu, submitted by %s in call %llu)",
                user.what.c_str(), Ull{user.value},
                user.submission.function != nullptr ? user.submission.function : "an earlier call",
                Ull{user.submission.call_id});
  return text;
}

struct Finding {
  Ref<Queue> queue;
  UsedBy user;
};

// The first certain user of the range among the context's queues, else an uncertain one.
std::optional<Finding> find(Context& context, const Access& range, const Queue* except = nullptr) {
  std::optional<Finding> found;
  for (const Ref<Queue>& queue : context.all_queues()) {
    if (queue.get() == except) continue;
    auto user = queue->find_use(range);
    if (!user.has_value() || (found.has_value() && !user->is_certain)) continue;
    found = Finding{queue, std::move(*user)};
    if (found->user.is_certain) break;
  }
  return found;
}

// The context of this process, other than |context|, that has memory at |dva|.
bool belongs_to_another(const Context& context, uint64_t dva) {
  const Result<Library*> library = Library::get();
  if (!library.is_ok()) return false;
  for (const Ref<Object>& device : Library::get().take()->devices().all()) {
    for (const Ref<Object>& child : static_cast<Device&>(*device).children().all()) {
      if (child->kind() != Kind::kContext || child.get() == &context) continue;
      if (static_cast<Context&>(*child).memory().query(dva).known) return true;
    }
  }
  return false;
}

Status bad_pointer(Context& context, const char* kernel, const char* arg, uint64_t dva) {
  std::string story = context.memory().story_of(dva);
  if (story.empty() && belongs_to_another(context, dva)) {
    story = "it is an address of another context";
  }
  if (story.empty()) story = "nothing was ever allocated there";
  return reject(
      fail(NPU_ERROR_INVALID_ADDRESS,
           "argument '%s' of kernel '%s' is 0x%llx, which is no memory of this context: %s", arg,
           kernel, Ull{dva}, story.c_str()),
      "Pass an address inside a live allocation of the queue's context.");
}

// A copy or fill against what other queues do now. A queue that waits for others may be ordered behind them.
Status check_race(Queue& queue, const Access& use) {
  if (!use.is_exact || use.is_word) return Status::ok();
  const auto found = find(queue.context(), use, &queue);
  if (!found.has_value() || !found->user.is_certain || queue.has_open_wait()) return Status::ok();
  return reject(
      fail(NPU_ERROR_BUSY, "[0x%llx, + %llu bytes) is %s by a %s of queue 0x%llx at the same time",
           Ull{use.dva}, Ull{use.bytes}, found->user.writes ? "written" : "read",
           sentence(found->user).c_str(), Ull{found->queue->handle()}),
      "Order the queues first: npuQueueWaitQueue, an event or a semaphore.");
}

}  // namespace

Status Validation::check_args(Context& context, const Kernel& kernel, const void* args) {
  if (!is_on() || args == nullptr) return Status::ok();
  for (const npu_note_arg& arg : kernel.image().args) {
    uint64_t dva = 0;
    if (arg.kind != NPU_ARG_DVA || arg.size != sizeof dva) continue;
    std::memcpy(&dva, static_cast<const std::byte*>(args) + arg.offset, sizeof dva);
    if (dva == 0 || context.memory().query(dva).known || context.is_word(dva)) continue;
    return bad_pointer(context, kernel.image().note.name, arg.name, dva);
  }
  return Status::ok();
}

Status Validation::check_batch(Queue& queue, std::span<const Submission> batch) {
  if (!is_on() || queue.is_capturing()) return Status::ok();
  for (const Submission& one : batch) {
    if (one.kernel != nullptr) NPU_TRY(check_args(queue.context(), *one.kernel, one.args));
    for (const Access& use : accesses_of(one.command, nullptr, nullptr))
      NPU_TRY(check_race(queue, use));
  }
  return Status::ok();
}

Status Validation::check_host_access(Context& context, uint64_t dva, uint64_t size_bytes,
                                     bool writes, const char* what) {
  if (!is_on() || size_bytes == 0) return Status::ok();
  const auto found = find(context, {.dva = dva, .bytes = size_bytes, .writes = writes});
  if (!found.has_value()) return Status::ok();
  const std::string user = sentence(found->user);
  if (!found->user.is_certain) {
    hint(
        "%s [0x%llx, + %llu bytes) is %s by the host, and a %s of queue 0x%llx that has not ended "
        "may use it; wait for that value first",
        what, Ull{dva}, Ull{size_bytes}, writes ? "written" : "read", user.c_str(),
        Ull{found->queue->handle()});
    return Status::ok();
  }
  return reject(
      fail(NPU_ERROR_BUSY, "%s [0x%llx, + %llu bytes) is %s by a %s of queue 0x%llx, not ended yet",
           what, Ull{dva}, Ull{size_bytes}, found->user.writes ? "written" : "read", user.c_str(),
           Ull{found->queue->handle()}),
      "Wait for that value with npuQueueWait first.");
}

Status Validation::check_host_buffer(Context& context, const void* host, uint64_t size_bytes,
                                     bool writes, const char* what) {
  if (!is_on() || host == nullptr) return Status::ok();
  uint64_t dva = context.memory().registered_dva(host);
  if (dva == 0) dva = context.vm().dva_of_host(host);
  return dva == 0 ? Status::ok() : check_host_access(context, dva, size_bytes, writes, what);
}

Status Validation::check_unmap(Context& context, uint64_t dva, uint64_t size_bytes) {
  if (!is_on()) return Status::ok();
  for (const bool is_word : {false, true}) {
    const auto found =
        find(context, {.dva = dva, .bytes = size_bytes, .writes = true, .is_word = is_word});
    if (!found.has_value()) continue;
    return reject(
        fail(NPU_ERROR_BUSY,
             "[0x%llx, + %llu bytes) is used by a %s of queue 0x%llx, not ended yet, which "
             "would fail",
             Ull{dva}, Ull{size_bytes}, sentence(found->user).c_str(), Ull{found->queue->handle()}),
        "Wait for that value with npuQueueWait before the memory is unmapped.");
  }
  return Status::ok();
}

Status Validation::check_semaphore_end(Context& context, uint64_t dva) {
  if (!is_on()) return Status::ok();
  const auto found =
      find(context, {.dva = dva, .bytes = sizeof(uint64_t), .writes = true, .is_word = true});
  if (!found.has_value()) return Status::ok();
  return reject(fail(NPU_ERROR_BUSY, "the semaphore is used by a %s of queue 0x%llx, not ended yet",
                     sentence(found->user).c_str(), Ull{found->queue->handle()}),
                "Let the queue come past it, or reset the queue with npuQueueReset, first.");
}

Status Validation::check_queue_end(Queue& queue) {
  if (!is_on()) return Status::ok();
  const uint64_t last = queue.busy_until();
  if (last == 0) return Status::ok();
  const Queue::Counters counters = queue.counters();
  return reject(
      fail(NPU_ERROR_BUSY, "commands %llu to %llu of the queue have not ended and would be lost",
           Ull{counters.completed + 1}, Ull{last}),
      "Wait with npuQueueSync first, or drop them with npuQueueReset.");
}

void Validation::look_at_context_end(Context& context) {
  if (!is_on()) return;
  for (const Ref<Queue>& queue : context.all_queues()) {
    if (queue->handle() == 0) continue;  // the library's own, for modules
    if (const uint64_t last = queue->busy_until(); last != 0) {
      hint(
          "work of queue 0x%llx has not ended (value %llu) and is lost with its context; wait with "
          "npuQueueSync first",
          Ull{queue->handle()}, Ull{last});
    }
  }
}

void Validation::look_at_unregister(Context& context, const void* host) {
  if (!is_on()) return;
  const uint64_t dva = context.memory().registered_dva(host);
  const Memory::Info info = dva != 0 ? context.memory().query(dva) : Memory::Info{};
  if (!info.known) return;
  const auto found = find(context, {.dva = info.base, .bytes = info.size_bytes, .writes = true});
  if (!found.has_value()) return;
  hint(
      "a %s of queue 0x%llx, not ended yet, still uses the memory; wait for it before the memory "
      "is "
      "used for something else",
      sentence(found->user).c_str(), Ull{found->queue->handle()});
}

}  // namespace npu
