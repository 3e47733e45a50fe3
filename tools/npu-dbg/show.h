// SPDX-License-Identifier: Apache-2.0
// The state of a work-group as text.
#pragma once

#include <string>

#include "firmware-model/tile/group.h"
#include "tools/isa/program.h"

namespace npu::dbg {

// "file.cpp:12", or "" without a line table.
std::string source_of(const isa::Program& program, uint32_t line_id);
// "  12  file.cpp:7  vadd t0, t1, t2"
std::string instruction(const isa::Program& program, uint32_t pc);

// Registers that are not 0.
std::string registers(const model::Tile& tile);
// Semaphores that were used, with their values.
std::string semaphores(const model::Tile& tile);
// What waits in the queues of the engines, oldest first.
std::string queues(const isa::Program& program, const model::Group& group, const model::Tile& tile);
// Descriptors that were written.
std::string descriptors(const model::Tile& tile);
// The elements of the tile that descriptor |number| names, at most |most| rows and columns of them; or why it names none.
std::string contents(const model::Group& group, const model::Tile& tile, uint32_t number,
                     uint32_t most);

}  // namespace npu::dbg
