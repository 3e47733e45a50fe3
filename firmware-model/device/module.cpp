// SPDX-License-Identifier: Apache-2.0
// Module tables.
#include "firmware-model/device/module.h"

#include <utility>

namespace npu::model {

SourcePlace Module::place(uint32_t id) const {
  if (id == 0 || id > lines.size()) return {};
  const npu_note_line& row = lines[id - 1];
  // The reader has checked that the name ends inside the strings.
  return {std::string(strings.c_str() + row.file), row.line};
}

uint32_t ModuleTable::add(std::shared_ptr<const Module> module) {
  std::lock_guard lock(mutex_);
  if (modules_.size() >= kMaxModules) return 0;
  // Numbers are not used again soon: a launch that names an unloaded module is an error, not
  // another kernel.
  do {
    ++last_;
  } while (last_ == 0 || modules_.contains(last_));
  modules_.emplace(last_, std::move(module));
  return last_;
}

bool ModuleTable::remove(uint32_t number) {
  std::lock_guard lock(mutex_);
  removals_.fetch_add(1, std::memory_order_relaxed);
  return modules_.erase(number) != 0;
}

std::shared_ptr<const Module> ModuleTable::find(uint32_t number) const {
  std::lock_guard lock(mutex_);
  const auto found = modules_.find(number);
  return found == modules_.end() ? nullptr : found->second;
}

bool ModuleTable::full() const {
  std::lock_guard lock(mutex_);
  return modules_.size() >= kMaxModules;
}

std::shared_ptr<const Module> ModuleCache::find(const Digest& digest) {
  std::lock_guard lock(mutex_);
  const auto found = modules_.find(digest);
  return found == modules_.end() ? nullptr : found->second.lock();
}

void ModuleCache::add(const Digest& digest, const std::shared_ptr<const Module>& module) {
  std::lock_guard lock(mutex_);
  std::erase_if(modules_, [](const auto& entry) { return entry.second.expired(); });
  modules_[digest] = module;
}

}  // namespace npu::model
