// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target: any bytes as a checkpoint of either format; what loads must also run.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

#include "samples/llm/checkpoint.h"
#include "samples/llm/hf_llama.h"
#include "samples/llm/reference.h"

namespace {

using namespace npu::llm;

constexpr char kConfig[] = R"({"hidden_size":8,"intermediate_size":12,"num_hidden_layers":2,
    "num_attention_heads":2,"num_key_value_heads":1,"vocab_size":16,
    "max_position_embeddings":10,"rope":"half"})";

void require(bool condition) {
  if (!condition) std::abort();
}

void check(const Result<Checkpoint>& out) {
  if (!out.ok()) {
    // A refusal carries a cause and, after the semicolon or the comma, a remedy.
    require(out.error().message.find_first_of(";,") != std::string::npos);
    return;
  }
  auto model = ReferenceTransformer::create(*out);
  require(model.ok());
  require((*model)->forward(static_cast<int32_t>(out->config.vocabulary) - 1, 0).ok());
  auto again = write_hf_llama(*out, DType::kF32, "");
  require(again.ok());
  require(parse_hf_llama(FileBytes::copy_of(*again).value(), {}).ok());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  check(parse_llama2c(FileBytes::copy_of(bytes).value()));
  check(parse_hf_llama(FileBytes::copy_of(bytes).value(), kConfig));
  return 0;
}
