// SPDX-License-Identifier: Apache-2.0
//
// llm: generates text on the NPU and tells how fast, and which kernels took the time.
#include <cstdio>
#include <memory>
#include <string_view>

#include "samples/llm/checked_transformer.h"
#include "samples/llm/generate.h"
#include "samples/llm/npu_transformer.h"
#include "samples/llm/options.h"

namespace {

using namespace npu::llm;

constexpr int kFailed = 1;
constexpr int kUsageError = 2;
constexpr double kNanosecondsPerSecond = 1e9;

int fail(const Error& error) {
  std::fprintf(stderr, "llm: %s: %s\n", error_code_name(error.code), error.message.c_str());
  return kFailed;
}

void print_piece(std::string_view piece) {
  if (!is_printable(piece)) return;
  std::fwrite(piece.data(), 1, piece.size(), stdout);
  std::fflush(stdout);
}

void print_head(const Options& options, const NpuTransformer& model) {
  const npuDeviceInfo& device = model.device();
  const ModelConfig& config = model.config();
  std::printf("%s%s: %u tiles in %u clusters; %u layers of width %u, %.1f MB of weights as %s\n\n",
              device.name, device.is_virtual != 0 ? " (device model)" : "",
              device.clusters * device.tiles_per_cluster, device.clusters, config.layers,
              config.dim, static_cast<double>(model.weight_bytes()) / 1e6,
              options.type == NPU_BFLOAT16 ? "bf16" : "f32");
  std::fflush(stdout);
}

void print_speed(const char* phase, uint64_t tokens, int64_t host_ns,
                 const KernelProfile& profile) {
  const double host = host_ns > 0 ? static_cast<double>(tokens) * kNanosecondsPerSecond /
                                        static_cast<double>(host_ns)
                                  : 0.0;
  std::printf("%-8s %5u tokens  %10.0f tokens/s host clock  %10.0f tokens/s device clock\n", phase,
              static_cast<unsigned>(tokens), host, profile.tokens_per_second());
}

void print_report(const Options& options, const Generation& text, const NpuTransformer& model) {
  std::printf("\n\n");
  print_speed("prompt", text.prompt_tokens, text.prefill_ns, model.prefill_profile());
  print_speed("decode", text.decode_steps, text.decode_ns, model.decode_profile());
  if (options.profile) {
    std::printf("\nDevice time of the prompt\n%s", format_profile(model.prefill_profile()).c_str());
  }
  if (text.decode_steps != 0) {
    std::printf("\nDevice time of generation\n%s", format_profile(model.decode_profile()).c_str());
  }
}

int run(Options options) {
  Result<Sampler> sampler = Sampler::create(options.sampler);
  if (!sampler.ok()) {
    fail(sampler.error());
    return kUsageError;
  }
  find_shipped_model(options);
  Result<Checkpoint> checkpoint = load_checkpoint(options.model, {options.rope});
  if (!checkpoint.ok()) return fail(checkpoint.error());
  Result<Tokenizer> tokenizer = Tokenizer::load(options.tokenizer, checkpoint->config.vocabulary);
  if (!tokenizer.ok()) return fail(tokenizer.error());
  auto model = NpuTransformer::create(*checkpoint, {options.device, options.type});
  if (!model.ok()) return fail(model.error());
  print_head(options, **model);

  std::unique_ptr<ReferenceTransformer> reference;
  std::unique_ptr<CheckedTransformer> checked;
  Transformer* generator = model->get();
  if (options.check) {
    auto made = ReferenceTransformer::create(*checkpoint);
    if (!made.ok()) return fail(made.error());
    reference = std::move(made).value();
    checked = std::make_unique<CheckedTransformer>(**model, *reference);
    generator = checked.get();
  }
  Result<Generation> text =
      generate(*generator, *tokenizer, *sampler, options.prompt, options.count, print_piece);
  if (!text.ok()) {
    std::printf("\n");
    return fail(text.error());
  }
  print_report(options, *text, **model);
  if (checked) {
    std::printf(
        "\nchecked: %u choices agree with double precision; largest difference of a "
        "logit %.2e (host clock includes the check)\n",
        checked->comparisons(), checked->largest_difference());
  }
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    return fail(
        {ErrorCode::kIo, "the text could not be written to standard output; is the disk full?"});
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  int exit_code = 0;
  std::optional<Options> options = parse_options(argc, argv, &exit_code);
  if (!options) return exit_code;
  return run(std::move(*options));
}
