// SPDX-License-Identifier: Apache-2.0
// Modules: what a verified blob becomes, and the table of them that each context has.
//
// Thread safety: a Module is constant after its loading, apart from the cost estimate of its
// kernels. ModuleTable and ModuleCache may be used by any thread.
#ifndef NPU_MODEL_DEVICE_MODULE_H_
#define NPU_MODEL_DEVICE_MODULE_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "firmware-model/tile/tile.h"
#include "uapi/npu_fw.h"

namespace npu::model {

struct Kernel {
  Program program;
  // Host nanoseconds that a work-group took lately, 0 = not known. Decides whether other threads
  // are woken for a launch; never a result or a device time.
  mutable std::atomic<uint32_t> wall_ns_per_group{0};
};

struct SourcePlace {
  std::string file;
  uint32_t line = 0;
};

struct Module {
  std::vector<std::unique_ptr<const Kernel>> kernels;
  std::vector<npu_note_line> lines;
  std::string strings;

  // Of line id |id|; file "" when there is none.
  SourcePlace place(uint32_t id) const;
};

class ModuleTable {
 public:
  static constexpr size_t kMaxModules = 256;

  // The new module's number, 0 when the table is full.
  uint32_t add(std::shared_ptr<const Module> module);
  bool remove(uint32_t number);
  std::shared_ptr<const Module> find(uint32_t number) const;
  bool full() const;
  // Changes with each removal. Of 64 bits: one that a client brings round to an old value would revive what is known of modules that have gone.
  uint64_t removals() const { return removals_.load(std::memory_order_relaxed); }

 private:
  mutable std::mutex mutex_;
  std::atomic<uint64_t> removals_{0};
  std::map<uint32_t, std::shared_ptr<const Module>> modules_;
  uint32_t last_ = 0;
};

// What a queue found last, and a hold on it: most launches name the module of the one before. Belongs to the thread that runs the commands, which also adds and removes.
class CachedModule {
 public:
  // nullptr: there is none. Good until the next call, also if the module is removed meanwhile.
  const Module* get(const ModuleTable& table, uint32_t number) {
    if (number != number_ || table.removals() != removals_) {
      number_ = number;
      removals_ = table.removals();
      module_ = table.find(number);
    }
    return module_.get();
  }

 private:
  uint32_t number_ = 0;  // no module has it
  uint64_t removals_ = 0;
  std::shared_ptr<const Module> module_;
};

// Blobs that are loaded somewhere, by the SHA-256 of all their bytes: the same blob in another
// context is not verified again.
class ModuleCache {
 public:
  using Digest = std::array<uint8_t, 32>;

  std::shared_ptr<const Module> find(const Digest& digest);
  void add(const Digest& digest, const std::shared_ptr<const Module>& module);

 private:
  std::mutex mutex_;
  std::map<Digest, std::weak_ptr<const Module>> modules_;
};

}  // namespace npu::model

#endif  // NPU_MODEL_DEVICE_MODULE_H_
