// SPDX-License-Identifier: Apache-2.0
// One kernel as the tools hold it: instructions, resources, arguments and its own line table.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "uapi/npu_fw.h"
#include "uapi/npu_isa.h"

namespace npu::isa {

// A place in a source file; the name is relative to the root of the sources.
struct SourceLine {
  std::string file;
  uint32_t line = 0;
  bool operator==(const SourceLine&) const = default;
};

// Line id n of an instruction names lines[n - 1]; 0 names none. Immediate n of PRINT and CHECK names formats[n - 1] (uapi/npu_format.h). note.entry is set by the
// blob writer.
struct Program {
  std::vector<npu_insn> insns;
  npu_note_kernel note{};
  std::vector<npu_note_arg> args;
  std::vector<SourceLine> lines;
  std::vector<std::string> formats;

  // The number of a format, which is added when it is new.
  uint32_t format_number(std::string_view text) {
    const auto found = std::find(formats.begin(), formats.end(), text);
    const auto number = static_cast<uint32_t>(found - formats.begin()) + 1;
    if (found == formats.end()) formats.emplace_back(text);
    return number;
  }
};

}  // namespace npu::isa
