// SPDX-License-Identifier: Apache-2.0
// Words of the command line to argument blocks and memory.
#include "tools/npu-dbg/inputs.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <map>

#include "firmware-model/tile/numerics/numerics.h"
#include "firmware-model/tile/operand.h"
#include "firmware-model/tile/rows.h"
#include "tools/isa/command_line.h"
#include "tools/isa/text_names.h"

namespace npu::dbg {
namespace {

using isa::Failure;
using isa::Outcome;

constexpr uint64_t kFirstDva = 0x100000000;
constexpr uint64_t kGapBytes = uint64_t{1} << 32;
constexpr uint64_t kMaxBytes = uint64_t{1} << 30;

// A whole word as a number; a minus gives the two's complement.
bool parse_number(std::string_view text, uint64_t* out) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  const bool hex = text.starts_with("0x");
  if (hex) text.remove_prefix(2);
  const char* const end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(text.data(), end, *out, hex ? 16 : 10);
  if (negative) *out = 0 - *out;
  return problem == std::errc() && stop == end;
}

bool parse_float(std::string_view text, uint64_t* out) {
  float value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(text.data(), end, value);
  *out = std::bit_cast<uint32_t>(value);
  return problem == std::errc() && stop == end;
}

bool fits(uint64_t value, uint8_t kind) {
  if (kind == NPU_ARG_U32) return value <= UINT32_MAX;
  if (kind != NPU_ARG_I32) return true;
  const auto number = static_cast<int64_t>(value);
  return number >= INT32_MIN && number <= INT32_MAX;
}

void fill_iota(uint8_t dtype, uint64_t count, std::vector<std::byte>* bytes) {
  const model::Unit unit = model::unit_of(dtype);
  for (uint64_t i = 0; i < count; ++i) {
    std::byte* const at = bytes->data() + i * unit.bytes;
    const auto number = static_cast<int32_t>(i);
    const auto value = static_cast<float>(i);
    if (dtype == NPU_DTYPE_I32) {
      std::memcpy(at, &number, sizeof number);
    } else {
      model::narrow(model::scalar_numerics(), dtype, at, &value, 1);
    }
  }
}

Outcome<std::vector<std::byte>> read_memory(const std::string& what, uint64_t bytes) {
  const auto file = isa::read_whole_file(what);
  if (!file) return Failure{file.error()};
  if (file->size() != bytes) {
    return Failure{"'" + what + "' has " + std::to_string(file->size()) + " bytes, the argument " +
                   std::to_string(bytes)};
  }
  const auto* begin = reinterpret_cast<const std::byte*>(file->data());
  return std::vector<std::byte>(begin, begin + bytes);
}

// TYPE:COUNT[=WHAT]
Outcome<std::vector<std::byte>> make_memory(const std::string& value) {
  const size_t colon = value.find(':');
  const size_t equals = value.find('=');
  const std::string type = value.substr(0, colon);
  const auto found = std::find(std::begin(isa::text::kDtypes), std::end(isa::text::kDtypes), type);
  uint64_t count = 0;
  if (colon == std::string::npos || found == std::end(isa::text::kDtypes) ||
      !parse_number(std::string_view(value).substr(0, equals).substr(colon + 1), &count)) {
    return Failure{"'" + value + "' is no memory; write TYPE:COUNT, as f32:1024, or f32:1024=iota"};
  }
  const auto dtype = static_cast<uint8_t>(found - std::begin(isa::text::kDtypes));
  const model::Unit unit = model::unit_of(dtype);
  if ((count >> unit.shift) << unit.shift != count ||
      (count >> unit.shift) > kMaxBytes / unit.bytes) {
    return Failure{"'" + value + "': whole blocks, and at most 1 GiB"};
  }
  const uint64_t bytes = (count >> unit.shift) * unit.bytes;
  const std::string what = equals == std::string::npos ? "zeros" : value.substr(equals + 1);
  if (what != "zeros" && what != "iota") return read_memory(what, bytes);
  std::vector<std::byte> made(bytes);
  if (what == "zeros") return made;
  if (unit.shift != 0) return Failure{"'" + value + "': iota is for types without blocks"};
  fill_iota(dtype, count, &made);
  return made;
}

std::string shape_of(const npu_note_arg& arg) {
  return std::string(arg.name) + "=" +
         (arg.kind == NPU_ARG_DVA ? "TYPE:COUNT" : std::string(isa::text::kArgKinds[arg.kind]));
}

// Puts |value| where |arg| lies; the reason when it does not fit.
std::string put(const npu_note_arg& arg, const std::string& value, Memory* memory,
                std::vector<std::byte>* block) {
  uint64_t bits = 0;
  if (arg.kind == NPU_ARG_DVA && value.find(':') != std::string::npos) {
    auto bytes = make_memory(value);
    if (!bytes) return bytes.error();
    bits = memory->add(std::move(*bytes));
  } else if (arg.kind == NPU_ARG_F32 ? !parse_float(value, &bits)
                                     : !parse_number(value, &bits) || !fits(bits, arg.kind)) {
    return "'" + value + "' is no value for " + shape_of(arg);
  }
  std::memcpy(block->data() + arg.offset, &bits, arg.size);
  return "";
}

}  // namespace

uint64_t Memory::add(std::vector<std::byte> bytes) {
  const uint64_t dva = kFirstDva + runs_.size() * kGapBytes;
  runs_.push_back({dva, std::move(bytes)});
  return dva;
}

bool Memory::translate(uint64_t dva, npu_fault_access, model::Translation* out) const {
  for (const Run& run : runs_) {
    if (dva < run.dva || dva - run.dva >= run.bytes.size()) continue;
    *out = {run.dva, run.dva + run.bytes.size(), const_cast<std::byte*>(run.bytes.data()), true};
    return true;
  }
  return false;
}

Outcome<std::vector<std::byte>> make_arguments(const isa::Program& program,
                                               const std::vector<std::string>& words,
                                               Memory* memory) {
  std::map<std::string, std::string> values;
  for (const std::string& word : words) {
    const size_t equals = word.find('=');
    if (equals == std::string::npos || equals == 0)
      return Failure{"'" + word + "' is no argument; write NAME=VALUE"};
    if (!values.emplace(word.substr(0, equals), word.substr(equals + 1)).second)
      return Failure{"argument '" + word.substr(0, equals) + "' stands twice"};
  }
  std::vector<std::byte> block(program.note.args_bytes);
  for (const npu_note_arg& arg : program.args) {
    const auto found = values.find(arg.name);
    if (found == values.end())
      return Failure{"kernel '" + std::string(program.note.name) + "' needs --arg " +
                     shape_of(arg)};
    const std::string problem = put(arg, found->second, memory, &block);
    if (!problem.empty()) return Failure{problem};
    values.erase(found);
  }
  if (!values.empty())
    return Failure{"kernel '" + std::string(program.note.name) + "' has no argument '" +
                   values.begin()->first + "'"};
  return block;
}

}  // namespace npu::dbg
