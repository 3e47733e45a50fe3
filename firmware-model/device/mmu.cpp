// SPDX-License-Identifier: Apache-2.0
// Page walks and the joining of neighbouring pages into runs.
#include "firmware-model/device/mmu.h"

#include <algorithm>

#include "firmware-model/device/shared_memory.h"
#include "uapi/npu_pagetable.h"

namespace npu::model {
namespace {

// A run ends after so many pages, so that one miss has a bounded cost (about a millisecond, for
// those who want that much at once).
constexpr unsigned kMaxPagesPerRun = 65536;
// How far translate() looks ahead for the tiles: one miss then serves a large operand.
constexpr uint64_t kTileRunBytes = uint64_t{4} << 20;

struct Walk {
  const HbmWindow& hbm;
  bool poisoned = false;  // it ended at an entry that must not be read
};

int read_entry(void* ctx, __u64 hbm_offset, __u64* value) {
  auto& walk = *static_cast<Walk*>(ctx);
  const HbmWindow& hbm = walk.hbm;
  if (hbm.poison != nullptr && hbm.poison->any() && hbm.poison->holds(hbm_offset)) {
    walk.poisoned = true;
    return -1;
  }
  // pairs with firmware-model/server/vm.cpp : Vm::write64
  *value = load_word(hbm.base + hbm_offset, std::memory_order_acquire);
  return 0;
}

}  // namespace

uint64_t PageTableSpace::next_generation() {
  static std::atomic<uint64_t> last{0};
  return last.fetch_add(1) + 1;
}

bool PageTableSpace::find_page(uint64_t dva, npu_fault_access access, npu_pt_hit* out,
                               bool* poisoned_table) const {
  Walk walk{hbm_};
  npu_pt_ops ops{};
  ops.ctx = &walk;
  ops.hbm_bytes = hbm_.bytes;
  ops.read64 = read_entry;
  *out = {};
  const bool found = npu_pt_walk(&ops, root_, dva, out) == NPU_FAULT_NONE;
  if (poisoned_table != nullptr) *poisoned_table = walk.poisoned;
  return found && npu_pt_permits(out->flags, access) != 0;
}

// |writable|: what the page permits; what host memory permits may be less.
bool PageTableSpace::find_host(uint64_t iova, npu_fault_access access, HostRun* run,
                               bool* writable) const {
  const bool inside = run->host != nullptr && iova >= run->iova && iova - run->iova < run->bytes;
  if (inside && (run->writable || !*writable)) return true;
  uint64_t bytes = 0;
  void* host = ports_.host_memory(ports_.ctx, iova, *writable ? 1 : 0, &bytes);
  if (host == nullptr && *writable && access != NPU_ACCESS_WRITE) {
    *writable = false;
    host = ports_.host_memory(ports_.ctx, iova, 0, &bytes);
  }
  if (host == nullptr || bytes == 0) return false;
  *run = {iova, bytes, static_cast<std::byte*>(host), *writable};
  return true;
}

bool PageTableSpace::find_leaf(uint64_t dva, npu_fault_access access, HostRun* run,
                               Leaf* out) const {
  npu_pt_hit hit{};
  if (!find_page(dva, access, &hit)) return false;
  out->bytes = hit.bytes_left;
  out->writable = (hit.flags & NPU_PTE_WRITE) != 0;
  if ((hit.flags & NPU_PTE_SYSTEM) == 0) {
    out->host = hbm_.base + hit.pa;
    return true;
  }
  if (!find_host(hit.pa, access, run, &out->writable)) return false;
  out->host = run->host + (hit.pa - run->iova);
  out->bytes = std::min<uint64_t>(out->bytes, run->bytes - (hit.pa - run->iova));
  return true;
}

bool PageTableSpace::translate_bytes(uint64_t dva, uint64_t wanted_bytes, npu_fault_access access,
                                     Translation* out) const {
  HostRun run;
  Leaf leaf;
  if (!find_leaf(dva, access, &run, &leaf)) return false;
  *out = {dva, dva + leaf.bytes, leaf.host, leaf.writable, true, !hbm_.holds(leaf.host)};
  for (unsigned pages = 1; pages < kMaxPagesPerRun; ++pages) {
    const uint64_t length = out->end_dva - dva;
    if (length >= wanted_bytes) break;
    if (!find_leaf(out->end_dva, access, &run, &leaf)) break;
    if (leaf.host != out->host + length || leaf.writable != out->writable) break;
    out->end_dva += leaf.bytes;
  }
  return hbm_.poison == nullptr || !hbm_.poison->any() || heed_poison(access, out);
}

// A run for reading ends before the first poison; one for writing may hold some, and is not
// readable then. False: |run| is for reading and begins with poison.
bool PageTableSpace::heed_poison(npu_fault_access access, Translation* run) const {
  if (!hbm_.holds(run->host)) return true;
  const auto offset = static_cast<uint64_t>(run->host - hbm_.base);
  const uint64_t bytes = run->end_dva - run->begin_dva;
  bool poisoned = false;
  const uint64_t of_one_kind = hbm_.poison->run(offset, bytes, &poisoned);
  if (access == NPU_ACCESS_WRITE) {
    run->readable = !poisoned && of_one_kind == bytes;
    return true;
  }
  run->end_dva = run->begin_dva + of_one_kind;
  return !poisoned;
}

void PageTableSpace::overwritten(const std::byte* at, uint64_t bytes) const {
  if (hbm_.poison == nullptr || !hbm_.holds(at)) return;
  hbm_.poison->mend(static_cast<uint64_t>(at - hbm_.base), bytes);
}

npu_status PageTableSpace::fault_status(uint64_t dva, npu_fault_access access) const {
  if (hbm_.poison == nullptr || !hbm_.poison->any()) return NPU_ST_VM_FAULT;
  npu_pt_hit hit{};
  bool poisoned_table = false;
  const bool found = find_page(dva, access, &hit, &poisoned_table);
  const bool poisoned = found && access != NPU_ACCESS_WRITE && (hit.flags & NPU_PTE_SYSTEM) == 0 &&
                        hbm_.poison->holds(hit.pa);
  return poisoned || poisoned_table ? NPU_ST_MEMORY_POISON : NPU_ST_VM_FAULT;
}

uint64_t PageTableSpace::copy_by_port(uint64_t dva, uint64_t wanted_bytes, npu_fault_access access,
                                      std::byte* buffer) const {
  npu_pt_hit hit{};
  if (ports_.host_copy == nullptr || !find_page(dva, access, &hit)) return 0;
  if ((hit.flags & NPU_PTE_SYSTEM) == 0) return 0;
  const uint64_t iova = hit.pa;
  uint64_t bytes = hit.bytes_left;
  while (bytes < wanted_bytes && dva <= UINT64_MAX - bytes) {
    npu_pt_hit next{};
    if (!find_page(dva + bytes, access, &next)) break;
    if ((next.flags & NPU_PTE_SYSTEM) == 0 || next.pa != iova + bytes) break;
    bytes += next.bytes_left;
  }
  bytes = std::min(bytes, wanted_bytes);
  const int write = access == NPU_ACCESS_WRITE ? 1 : 0;
  return ports_.host_copy(ports_.ctx, iova, buffer, bytes, write) == 0 ? bytes : 0;
}

bool PageTableSpace::translate(uint64_t dva, npu_fault_access access, Translation* out) const {
  return translate_bytes(dva, kTileRunBytes, access, out);
}

bool CachedTranslation::find(const PageTableSpace& space, uint64_t dva, uint64_t wanted_bytes,
                             npu_fault_access access) {
  // The generation is read before the walk: a flush in between makes the new run look old, never an
  // old run new.
  const uint64_t generation = space.generation();
  if (holds(generation, dva, access)) return true;
  generation_ = 0;
  if (!space.translate_bytes(dva, wanted_bytes, access, &run_)) return false;
  generation_ = generation;
  return true;
}

std::byte* CachedTranslation::look_up(const PageTableSpace& space, uint64_t dva, uint64_t bytes,
                                      npu_fault_access access, uint64_t ahead_bytes) {
  if (dva > UINT64_MAX - bytes || !find(space, dva, bytes + ahead_bytes, access)) return nullptr;
  if (run_.end_dva - dva < bytes) {
    // The cached run may have been found for less than is wanted now.
    generation_ = 0;
    if (!find(space, dva, bytes + ahead_bytes, access)) return nullptr;
    if (run_.end_dva - dva < bytes) return nullptr;
  }
  return run_.host + (dva - run_.begin_dva);
}

uint64_t CachedTranslation::get_run(const PageTableSpace& space, uint64_t dva,
                                    uint64_t wanted_bytes, npu_fault_access access,
                                    std::byte** out) {
  if (!find(space, dva, wanted_bytes, access)) return 0;
  *out = run_.host + (dva - run_.begin_dva);
  return std::min(wanted_bytes, run_.end_dva - dva);
}

}  // namespace npu::model
