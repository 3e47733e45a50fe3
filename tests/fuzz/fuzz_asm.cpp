// SPDX-License-Identifier: Apache-2.0
// Fuzz target: any text through the assembler; what it accepts must verify and survive the round trip.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "tools/isa/blob.h"
#include "tools/isa/codec.h"
#include "tools/isa/text.h"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

bool same(const npu::isa::Program& a, const npu::isa::Program& b) {
  return a.insns.size() == b.insns.size() && a.args.size() == b.args.size() && a.lines == b.lines &&
         a.formats == b.formats && std::memcmp(&a.note, &b.note, sizeof(a.note)) == 0 &&
         std::memcmp(a.insns.data(), b.insns.data(), a.insns.size() * sizeof(npu_insn)) == 0 &&
         (a.args.empty() ||
          std::memcmp(a.args.data(), b.args.data(), a.args.size() * sizeof(npu_note_arg)) == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace npu::isa;
  // The first byte decides which reader gets the rest: the assembler, or the reader of program files.
  if (size > 0 && data[0] == 0x7f) {
    if (const auto blob = read_blob({data, size})) require(!disassemble(blob->programs).empty());
    return 0;
  }
  const Assembly first = assemble({reinterpret_cast<const char*>(data), size});
  if (first.error) {
    require(first.programs.empty() && !first.error->text.empty());
    return 0;
  }
  for (const Program& program : first.programs) require(!verify_program(program));
  const Assembly second = assemble(disassemble(first.programs));
  require(!second.error && second.programs.size() == first.programs.size());
  for (size_t i = 0; i < first.programs.size(); ++i)
    require(same(first.programs[i], second.programs[i]));
  return 0;
}
