// SPDX-License-Identifier: Apache-2.0
// The one Library of a process, across forks.
#include "libnpu/ml/src/library.h"

#include <atomic>

#include "libnpu/src/backend/process.h"
#include "libnpu/src/core/log.h"

namespace npu::ml {
namespace {

// Tables of libnpu count their instances from 0: handles of one library mean nothing to the other.
constexpr uint32_t kFirstInstance = 0x4d4c00;

std::atomic<Library*> g_library{nullptr};
std::atomic<Library*> g_parents_library{nullptr};
std::atomic<uint32_t> g_instance{kFirstInstance};
std::atomic<bool> g_watching{false};

void nothing() {}

void start_afresh_in_child() {
  close_descriptors_in_child();
  if (Library* old = g_library.exchange(nullptr); old != nullptr) g_parents_library.store(old);
  g_instance.fetch_add(1);
}

}  // namespace

Library& Library::get() {
  Library* library = g_library.load();
  if (library != nullptr) return *library;
  if (!g_watching.exchange(true)) watch_forks(nothing, nothing, start_afresh_in_child);
  auto* fresh = new Library(g_instance.load(), g_parents_library.load());
  if (g_library.compare_exchange_strong(library, fresh)) return *fresh;
  delete fresh;
  return *library;
}

Result<Environment> current_environment() {
  NPU_TRY_ASSIGN(Environment environment, read_environment());
  NPU_TRY(set_log(environment.log_level, environment.log_file));
  // Management is about the machine, whatever part of it a program may use.
  environment.visible.clear();
  return environment;
}

}  // namespace npu::ml
