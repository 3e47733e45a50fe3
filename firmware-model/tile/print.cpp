// SPDX-License-Identifier: Apache-2.0
// PRINT and CHECK: records that a work-group keeps until the launch puts them in order.
#include <iterator>
#include <memory>

#include "firmware-model/tile/handlers.h"

namespace npu::model {
namespace {

// The time and the traffic of one record do not depend on whether it is kept: the place for it may be gone for reasons that are none of the program's.
void send(Group& group, Tile& tile, const npu_insn& insn, uint32_t first_reg, uint32_t flags) {
  if (!group.launch->prints) return;
  constexpr uint64_t kBytes = sizeof(npu_print_record);
  group.result->stats.hbm_write_bytes += kBytes;
  tile.time_ps = add_capped(tile.time_ps, group.timing.dma_ps(kBytes, kBytes));
  if (group.result->prints == nullptr) group.result->prints = std::make_unique<GroupPrints>();
  GroupPrints& prints = *group.result->prints;
  // The reason of a fault is worth more than what was said before.
  if (flags == 0 && prints.records.size() >= NPU_PRINT_GROUP_MAX) {
    ++prints.dropped;
    return;
  }
  npu_print_record record{};
  record.format = insn.imm;
  record.line = insn.line;
  record.tile = tile.index;
  record.flags = flags;
  for (uint32_t i = first_reg; i < std::size(insn.r); ++i) {
    record.args[i - first_reg] = tile.regs[insn.r[i]];
  }
  prints.records.push_back(record);
}

}  // namespace

Step print(Group& group, Tile& tile, const npu_insn& insn) {
  send(group, tile, insn, 0, 0);
  return Step::kNext;
}

Step check(Group& group, Tile& tile, const npu_insn& insn) {
  if (tile.regs[insn.r[0]] != 0) return Step::kNext;
  send(group, tile, insn, 1, NPU_PRINT_ASSERT);
  group.fail(tile, insn, NPU_ST_KERNEL_ASSERT, NPU_ASSERT_FORMAT | insn.imm);
  return Step::kFault;
}

}  // namespace npu::model
