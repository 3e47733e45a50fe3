// SPDX-License-Identifier: Apache-2.0
// Registers, queues and matrices in words.
#include "tools/npu-dbg/show.h"

#include <algorithm>
#include <bit>
#include <cinttypes>
#include <cstdio>
#include <cstring>

#include "firmware-model/tile/numerics/numerics.h"
#include "firmware-model/tile/operand.h"
#include "firmware-model/tile/rows.h"
#include "tools/isa/text.h"
#include "tools/isa/text_names.h"

namespace npu::dbg {
namespace {

constexpr const char* kEngines[] = {
#define NPU_ENGINE(code, NAME, doc) #NAME,
#include "uapi/spec/isa.def"
};

template <typename... Values>
std::string format(const char* pattern, Values... values) {
  char text[256];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
  std::snprintf(text, sizeof text, pattern, values...);
#pragma GCC diagnostic pop
  return text;
}

std::string descriptor(const npu_tdesc& d) {
  return format("%s.%s.%s at 0x%" PRIx64 ", %u x %u, stride %u", isa::text::kSpaces[d.space].data(),
                isa::text::kDtypes[d.dtype].data(), isa::text::kLayouts[d.layout].data(),
                static_cast<uint64_t>(d.base), d.rows, d.cols, d.stride);
}

// Byte offset of element (row, col); 128 bits because descriptors are not checked before they are used.
unsigned __int128 offset_of(const npu_tdesc& d, uint64_t row, uint64_t col) {
  const unsigned __int128 element =
      d.layout == NPU_LAYOUT_ROW
          ? static_cast<unsigned __int128>(row) * d.stride + col
          : (static_cast<unsigned __int128>(col / NPU_PANEL_COLS) * d.stride + row) *
                    NPU_PANEL_COLS +
                col % NPU_PANEL_COLS;
  return element * model::unit_of(d.dtype).bytes;
}

// The bytes of one element, or null when they lie outside.
const std::byte* element(const model::Group& group, const model::Tile& tile, const npu_tdesc& d,
                         uint64_t row, uint64_t col) {
  const unsigned __int128 at = offset_of(d, row, col) + d.base;
  const uint32_t bytes = model::unit_of(d.dtype).bytes;
  if (at > UINT64_MAX - bytes) return nullptr;
  const auto offset = static_cast<uint64_t>(at);
  if (d.space == NPU_SPACE_HBM) {
    model::Translation run;
    const bool mapped = group.launch->space->translate(offset, NPU_ACCESS_READ, &run);
    return mapped && run.end_dva - offset >= bytes ? run.host + (offset - run.begin_dva) : nullptr;
  }
  const model::Program& program = *group.launch->program;
  if (d.space == NPU_SPACE_L1)
    return offset + bytes <= program.l1_bytes ? tile.l1.data() + offset : nullptr;
  if (d.space == NPU_SPACE_ACC)
    return offset + bytes <= program.acc_bytes ? tile.acc.data() + offset : nullptr;
  return offset + bytes <= program.l2_bytes ? group.l2.data() + offset : nullptr;
}

std::string value_text(uint8_t dtype, const std::byte* at) {
  if (dtype == NPU_DTYPE_I32) {
    int32_t number;
    std::memcpy(&number, at, sizeof number);
    return format("%d", number);
  }
  float value = 0;
  model::widen(model::scalar_numerics(), dtype, &value, at, 1);
  return format("%g", static_cast<double>(value));
}

}  // namespace

std::string source_of(const isa::Program& program, uint32_t line_id) {
  if (line_id == 0 || line_id > program.lines.size()) return "";
  const isa::SourceLine& line = program.lines[line_id - 1];
  return line.file + ":" + std::to_string(line.line);
}

std::string instruction(const isa::Program& program, uint32_t pc) {
  npu_insn insn = program.insns[pc];
  const std::string source = source_of(program, insn.line);
  insn.line = 0;
  return format("%5u  ", pc) + (source.empty() ? "" : source + "  ") + isa::format_insn(insn);
}

std::string registers(const model::Tile& tile) {
  std::string text;
  for (int i = 1; i < NPU_SCALAR_REGS; ++i) {
    if (tile.regs[i] == 0) continue;
    text += format("r%d = %" PRId64 " (0x%" PRIx64 ")\n", i, static_cast<int64_t>(tile.regs[i]),
                   static_cast<uint64_t>(tile.regs[i]));
  }
  return text.empty() ? "all registers are 0\n" : text;
}

std::string semaphores(const model::Tile& tile) {
  std::string text;
  for (uint64_t left = tile.sems_used; left != 0; left &= left - 1) {
    const int sem = std::countr_zero(left);
    text += format("s%d = %u\n", sem, tile.sems[sem].value());
  }
  return text.empty() ? "all semaphores are 0\n" : text;
}

std::string queues(const isa::Program& program, const model::Group& group,
                   const model::Tile& tile) {
  std::string text;
  for (int which = NPU_ENGINE_LD; which < NPU_ENGINE_COUNT; ++which) {
    const model::Engine& engine = tile.engines[which];
    for (uint32_t i = 0; i < engine.queued; ++i) {
      const model::QueuedOp& op = engine.queue[(engine.head + i) % group.engine_fifo];
      text += std::string(kEngines[which]) +
              instruction(program, static_cast<uint32_t>(op.insn - group.code)) + "\n";
    }
  }
  return text.empty() ? "no operation waits\n" : text;
}

std::string descriptors(const model::Tile& tile) {
  std::string text;
  for (uint64_t left = tile.descs_used; left != 0; left &= left - 1) {
    const int number = std::countr_zero(left);
    text += format("t%d = ", number) + descriptor(tile.desc[number]) + "\n";
  }
  return text.empty() ? "no descriptor was written\n" : text;
}

std::string contents(const model::Group& group, const model::Tile& tile, uint32_t number,
                     uint32_t most) {
  const npu_tdesc& d = tile.desc[number];
  std::string text = format("t%u = ", number) + descriptor(d) + "\n";
  if (npu_dtype_in_blocks(d.dtype) != 0) return text + "a type in blocks is not shown\n";
  for (uint32_t i = 0; i < std::min(d.rows, most); ++i) {
    for (uint32_t j = 0; j < std::min(d.cols, most); ++j) {
      const std::byte* at = element(group, tile, d, i, j);
      if (at == nullptr) return text + format("\n(%u, %u) lies outside of its memory\n", i, j);
      text += (j == 0 ? "" : " ") + value_text(d.dtype, at);
    }
    text += d.cols > most ? " ...\n" : "\n";
  }
  return d.rows > most ? text + "...\n" : text;
}

}  // namespace npu::dbg
