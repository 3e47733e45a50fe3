// SPDX-License-Identifier: Apache-2.0
#include "libnpu/src/core/access.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "libnpu/src/core/module.h"

namespace npu {
namespace {

uint64_t extent(uint64_t width, uint32_t height, uint32_t depth, uint64_t pitch,
                uint64_t slice_pitch) {
  return width + (height - 1) * pitch + (depth - 1) * slice_pitch;
}

std::vector<Access> accesses_of_launch(const Kernel* kernel, const void* args) {
  std::vector<Access> uses;
  if (kernel == nullptr || args == nullptr) return uses;
  for (const npu_note_arg& arg : kernel->image().args) {
    uint64_t dva = 0;
    if (arg.kind != NPU_ARG_DVA || arg.size != sizeof dva) continue;
    std::memcpy(&dva, static_cast<const std::byte*>(args) + arg.offset, sizeof dva);
    // Whether the kernel writes there its note does not tell.
    if (dva != 0) uses.push_back({.dva = dva, .bytes = 1, .writes = true});
  }
  return uses;
}

bool conflict(const Access& a, const Access& b) {
  return (a.writes || b.writes) && a.is_word == b.is_word && a.dva < b.dva + b.bytes &&
         b.dva < a.dva + a.bytes;
}

}  // namespace

std::vector<Access> accesses_of(const npu_cmd& command, const Kernel* kernel, const void* args) {
  switch (command.op) {
    case NPU_CMD_LAUNCH:
      return accesses_of_launch(kernel, args);
    case NPU_CMD_COPY: {
      const auto copy = std::bit_cast<npu_cmd_copy>(command);
      const bool is_exact = copy.height == 1 && copy.depth == 1;
      return {{.dva = copy.src_dva,
               .bytes = extent(copy.width_bytes, copy.height, copy.depth, copy.src_pitch,
                               copy.src_slice_pitch),
               .is_exact = is_exact},
              {.dva = copy.dst_dva,
               .bytes = extent(copy.width_bytes, copy.height, copy.depth, copy.dst_pitch,
                               copy.dst_slice_pitch),
               .writes = true,
               .is_exact = is_exact}};
    }
    case NPU_CMD_FILL: {
      const auto fill = std::bit_cast<npu_cmd_fill>(command);
      return {{.dva = fill.dst_dva, .bytes = fill.width_bytes, .writes = true, .is_exact = true}};
    }
    case NPU_CMD_SEM_WAIT:
    case NPU_CMD_SEM_SIGNAL: {
      const auto semaphore = std::bit_cast<npu_cmd_sem>(command);
      return {{.dva = semaphore.sem_dva,
               .bytes = sizeof(uint64_t),
               .writes = true,
               .is_exact = true,
               .is_word = true}};
    }
    case NPU_CMD_TIMESTAMP:
      return {{.dva = std::bit_cast<npu_cmd_timestamp>(command).dst_dva,
               .bytes = sizeof(uint64_t),
               .writes = true,
               .is_exact = true}};
    default:
      return {};
  }
}

void QueueAccesses::forget(uint64_t ended) {
  while (!commands_.empty() && commands_.front().value <= ended) commands_.pop_front();
}

void QueueAccesses::note(uint64_t value, uint64_t wait, uint64_t ended, std::string what,
                         std::vector<Access> uses) {
  forget(ended);
  commands_.push_back({value, wait, std::move(what), Call::birth(), std::move(uses)});
}

std::optional<UsedBy> QueueAccesses::find(const Access& range, uint64_t ended) {
  forget(ended);
  std::optional<UsedBy> found;
  for (const Command& command : commands_) {
    for (const Access& use : command.uses) {
      if (!conflict(use, range)) continue;
      const bool is_certain = use.is_exact && command.wait <= ended;
      if (found.has_value() && !is_certain) continue;
      found = {command.value, command.what, command.submission, use.writes, is_certain};
      if (is_certain) return found;
    }
  }
  return found;
}

}  // namespace npu
