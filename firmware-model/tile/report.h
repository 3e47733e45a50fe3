// SPDX-License-Identifier: Apache-2.0
// Sentences about a work-group that failed. A place in a program reads "@PC/LINE", instruction and line id: who has the line table makes a file and a line of it.
#ifndef NPU_MODEL_TILE_REPORT_H_
#define NPU_MODEL_TILE_REPORT_H_

#include <string>

#include "firmware-model/tile/group.h"

namespace npu::model {

// "vadd @12/7", with " on tile 3" in a work-group of several.
std::string place_text(const Group& group, uint32_t tile, const npu_insn& insn);

// Why nothing moves, seen from a tile that has not halted: who waits for which semaphore, which operation would signal it, why that one does not run, and so on to
// where it began or to an end.
std::string deadlock_text(const Group& group, const Tile& from);

}  // namespace npu::model

#endif  // NPU_MODEL_TILE_REPORT_H_
