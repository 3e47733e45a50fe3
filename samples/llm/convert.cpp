// SPDX-License-Identifier: Apache-2.0
//
// llm_convert: rewrites a checkpoint as a safetensors file that says everything about itself.
#include <cstdio>
#include <string>
#include <string_view>

#include "samples/llm/checkpoint.h"
#include "samples/llm/hf_llama.h"

namespace {

using npu::llm::DType;

constexpr char kUsage[] =
    "usage: llm_convert [--dtype F32|BF16] [--rope half|neighbour] [--origin TEXT] INPUT OUTPUT\n"
    "  INPUT   llama2.c version 0 checkpoint (.bin) or safetensors (.safetensors)\n"
    "  OUTPUT  safetensors file, BF16 unless --dtype says otherwise\n"
    "  --rope  order of the q and k rows when a safetensors INPUT does not say it: half for "
    "models\n"
    "          of the transformers library, neighbour for llama2.c order\n"
    "  --origin  one line on where the model comes from, kept in the file's metadata\n";

struct Arguments {
  std::string input, output, origin, rope;
  DType dtype = DType::kBf16;
};

bool set_option(std::string_view name, const std::string& value, Arguments& out) {
  if (name == "--origin") {
    out.origin = value;
    return true;
  }
  if (name == "--rope") {
    out.rope = value;
    return true;
  }
  auto dtype = npu::llm::dtype_from_name(value);
  if (name != "--dtype" || !dtype) return false;
  out.dtype = *dtype;
  return true;
}

bool parse_arguments(int argc, char** argv, Arguments& out) {
  std::string* const positional[] = {&out.input, &out.output};
  size_t count = 0;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument.starts_with("--")) {
      if (i + 1 == argc || !set_option(argument, argv[i + 1], out)) return false;
      ++i;
    } else if (count < 2) {
      *positional[count++] = argument;
    } else {
      return false;
    }
  }
  return count == 2 && (out.rope.empty() || out.input.ends_with(".safetensors"));
}

int fail(const npu::llm::Error& error) {
  std::fprintf(stderr, "llm_convert: %s: %s\n", npu::llm::error_code_name(error.code),
               error.message.c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (!parse_arguments(argc, argv, arguments)) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  auto checkpoint = npu::llm::load_checkpoint(arguments.input, {arguments.rope});
  if (!checkpoint.ok()) return fail(checkpoint.error());
  auto bytes = npu::llm::write_hf_llama(*checkpoint, arguments.dtype, arguments.origin);
  if (!bytes.ok()) return fail(bytes.error());
  if (auto bad = npu::llm::write_file(arguments.output, *bytes)) return fail(*bad);
  std::printf("%s: %zu bytes, %s\n", arguments.output.c_str(), bytes->size(),
              std::string(npu::llm::dtype_name(arguments.dtype)).c_str());
  return 0;
}
