// SPDX-License-Identifier: Apache-2.0
//
// The command line, and the places of the shipped model.
#include "samples/llm/options.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <map>
#include <system_error>

namespace npu::llm {
namespace {

constexpr int kUsageError = 2;
constexpr char kModelName[] = "shakespeare-3M.safetensors";
constexpr char kTokenizerName[] = "shakespeare-3M-tok.bin";

void describe(CLI::App& app, Options& out) {
  app.add_option("--model", out.model,
                 "checkpoint: llama2.c version 0 (.bin) or Llama in safetensors; default: the "
                 "shipped shakespeare-3M")
      ->type_name("FILE");
  app.add_option("--tokenizer", out.tokenizer, "tokenizer in llama2.c layout")->type_name("FILE");
  app.add_option("--rope", out.rope,
                 "order of q and k rows of a safetensors file that does not say it: half, "
                 "neighbour");
  app.add_option("--prompt", out.prompt, "text to continue")->capture_default_str();
  app.add_option("--count", out.count, "tokens to generate, at most")->capture_default_str();
  app.add_option("--temperature", out.sampler.temperature, "0: always the most probable token")
      ->capture_default_str();
  app.add_option("--top-p", out.sampler.top_p, "choose among the most probable tokens of this sum")
      ->capture_default_str();
  app.add_option("--seed", out.sampler.seed, "of the choices")->capture_default_str();
  app.add_option("--type", out.type, "arithmetic on the NPU: f32 or bf16; default: f32")
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, npuDataType>{{"f32", NPU_FLOAT32}, {"bf16", NPU_BFLOAT16}}))
      ->type_name("TYPE");
  app.add_option("--device", out.device, "index or UUID of the NPU; default: the first");
  app.add_flag("--check", out.check,
               "compare every choice with a double-precision forward pass on the host");
  app.add_flag("--profile", out.profile, "also print the kernels of the prompt's pass");
}

}  // namespace

std::optional<Options> parse_options(int argc, const char* const* argv, int* exit_code) {
  Options out;
  CLI::App app("Generates text with a language model that runs on the NPU.", "llm");
  describe(app, out);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    *exit_code = app.exit(help);
    return {};
  } catch (const CLI::ParseError& error) {
    app.exit(error);
    *exit_code = kUsageError;
    return {};
  }
  if (!out.model.empty() && out.tokenizer.empty()) {
    std::fputs("llm: --model needs the --tokenizer that belongs to it\n", stderr);
    *exit_code = kUsageError;
    return {};
  }
  return out;
}

void find_shipped_model(Options& options) {
  std::error_code ignored;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", ignored);
  auto folder = program.parent_path() / "../share/npu/llm";
  if (!std::filesystem::exists(folder / kModelName, ignored)) folder = LLM_MODEL_DIR;
  if (options.model.empty()) options.model = (folder / kModelName).string();
  if (options.tokenizer.empty()) options.tokenizer = (folder / kTokenizerName).string();
}

}  // namespace npu::llm
