// SPDX-License-Identifier: Apache-2.0
#include "libnpu/src/core/recorder.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <mutex>

#include "libnpu/src/backend/process.h"
#include "libnpu/src/core/error.h"
#include "libnpu/src/core/json.h"
#include "libnpu/src/core/log.h"
#include "libnpu/src/core/output_file.h"
#include "libnpu/src/core/text.h"
#include "libnpu/src/core/time.h"

namespace npu {
namespace {

constexpr size_t kTextMost = 256;
constexpr uint32_t kStructMost = 4096;
constexpr npuResult kFirstSystemError = -200;

std::mutex g_mutex;  // of what follows
OutputFile* g_file = nullptr;
uint64_t g_lost = 0;  // lines behind the limit

template <typename T>
T* pointer_to(uint64_t address) {
  return reinterpret_cast<T*>(static_cast<uintptr_t>(address));
}

std::string struct_json(uint64_t address) {
  uint32_t size_bytes = 0;
  std::memcpy(&size_bytes, pointer_to<void>(address), sizeof size_bytes);
  std::string text = "{\"at\": " + json_hex(address) + ", \"bytes\": \"";
  const auto* bytes = pointer_to<const unsigned char>(address);
  for (uint32_t i = 0; i < std::min(size_bytes, kStructMost); i++)
    text += formatted("%02x", bytes[i]);
  return text + "\"}";
}

uint64_t word_at(const CallArg& arg) {
  uint64_t word = 0;
  std::memcpy(&word, pointer_to<void>(arg.value), std::min<size_t>(arg.bytes, sizeof word));
  return word;
}

// What the library has looked at itself can be read here; nothing else.
std::string arg_json(const CallArg& arg, npuResult result) {
  const bool is_good = result >= 0;
  const bool text_was_read =
      is_good || result == NPU_ERROR_NOT_FOUND || result <= kFirstSystemError;
  switch (arg.kind) {
    case CallArg::Kind::kUnsigned:
      return formatted("%" PRIu64, arg.value);
    case CallArg::Kind::kSigned:
      return formatted("%" PRId64, static_cast<int64_t>(arg.value));
    case CallArg::Kind::kAddress:
      break;
    case CallArg::Kind::kText:
      if (arg.value == 0 || !text_was_read) break;
      return json_quoted(pointer_to<const char>(arg.value), kTextMost);
    case CallArg::Kind::kStruct:
      if (arg.value == 0 || !is_good) break;
      return struct_json(arg.value);
    case CallArg::Kind::kOutWord:
      if (arg.value == 0 || !is_good) break;
      return formatted("%" PRIu64, word_at(arg));
    case CallArg::Kind::kOutHandle:
      if (arg.value == 0 || !is_good) break;
      return json_hex(word_at(arg));
  }
  return arg.value == 0 ? "null" : json_hex(arg.value);
}

// "queue, value" and their values.
std::string args_json(const Call& call) {
  std::string text;
  const char* name = call.arg_names();
  for (const CallArg& arg : call.args()) {
    const size_t length = std::strcspn(name, ",");
    text += text.empty() ? "" : ", ";
    text += json_quoted(name, length) + ": " + arg_json(arg, call.result());
    name += length;
    name += std::strspn(name, ", ");
  }
  return text;
}

std::string line_of(const Call& call) {
  const StatusText* status = find_status_text(call.result());
  std::string text = formatted("{\"id\": %" PRIu64 ", \"function\": \"%s\", \"thread\": %" PRIu64,
                               call.id(), call.function(), call.thread_id());
  text += formatted(", \"start_ns\": %" PRId64 ", \"end_ns\": %" PRId64 ", \"result\": \"%s\"",
                    call.enter_ns(), call.leave_ns(), status != nullptr ? status->name : "?");
  text += ", \"args\": {" + args_json(call) + "}";
  if (call.result() < 0) text += ", \"detail\": " + json_quoted(last_error().text);
  return text + "}\n";
}

}  // namespace

Status Recorder::start(const std::string& path, uint64_t limit_bytes) {
  std::lock_guard lock(g_mutex);
  if (g_file == nullptr) g_file = new OutputFile;
  NPU_TRY(g_file->open("NPU_RECORD_FILE", path, limit_bytes, 0));
  g_lost = 0;
  g_file->write(
      formatted("{\"record\": \"npu\", \"version\": 1, \"library\": \"%d.%d.%d\", "
                "\"process\": %" PRIu64 ", \"start_ns\": %" PRId64 ", \"unix_s\": %lld}\n",
                NPU_VERSION_MAJOR, NPU_VERSION_MINOR, NPU_VERSION_PATCH, process_id(),
                Deadline::now_ns(), static_cast<long long>(std::time(nullptr))));
  Hooks::set(Hook::kRecord, true);
  return Status::ok();
}

void Recorder::write(const Call& call) {
  const std::string line = line_of(call);
  std::lock_guard lock(g_mutex);
  if (g_file == nullptr || !g_file->is_open() || g_file->write(line)) return;
  if (g_lost++ == 0) {
    log_message(LogLevel::kWarn,
                "NPU_RECORD_FILE has reached NPU_RECORD_MAX_MB; what follows is not recorded");
  }
}

void Recorder::stop(const char* why) {
  std::lock_guard lock(g_mutex);
  Hooks::set(Hook::kRecord, false);
  if (g_file == nullptr) return;
  g_file->close(formatted("{\"end\": \"%s\", \"lost_calls\": %" PRIu64 ", \"end_ns\": %" PRId64
                          "}\n",
                          why, g_lost, Deadline::now_ns()));
}

void Recorder::before_fork() { g_mutex.lock(); }

void Recorder::after_fork_in_parent() { g_mutex.unlock(); }

void Recorder::after_fork_in_child() {
  Hooks::set(Hook::kRecord, false);
  if (g_file != nullptr) g_file->abandon();
  g_mutex.unlock();
}

}  // namespace npu
