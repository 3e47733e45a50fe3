// SPDX-License-Identifier: Apache-2.0
//
// Llama models in safetensors files: names, configuration, rotary order, and the shipped model.
#include "samples/llm/hf_llama.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "samples/llm/reference.h"
#include "samples/llm/safetensors.h"
#include "tests/unit/llm/fixtures.h"

namespace npu::llm::test {
namespace {

constexpr char kQ0[] = "model.layers.0.self_attn.q_proj.weight";
constexpr char kOrigin[] = "made for this project from tinyshakespeare, a public-domain text";

struct Parts {
  std::map<std::string, std::string> metadata;
  std::vector<NamedTensor> tensors;

  Bytes file() const { return build_safetensors(metadata, tensors); }
  NamedTensor& tensor(const std::string& name) {
    return *std::find_if(tensors.begin(), tensors.end(),
                         [&](const NamedTensor& t) { return t.name == name; });
  }
};

Checkpoint tiny(uint32_t seed, bool tied = true) {
  ModelConfig config = tiny_config();
  config.tied_output = tied;
  return parse_llama2c(owned(tiny_llama2c(config, seed))).value();
}

// A written model taken apart, so that tests can damage one thing.
Parts tiny_parts(bool tied = true) {
  const Bytes bytes = write_hf_llama(tiny(1, tied), DType::kF32, "").value();
  SafetensorsIndex index = parse_safetensors(bytes).value();
  Parts out{index.metadata, {}};
  for (const auto& [name, view] : index.tensors) {
    std::vector<uint64_t> shape;
    if (name.find("norm") == std::string::npos) shape.push_back(view.rows);
    shape.push_back(view.cols);
    out.tensors.push_back({name, view.dtype, shape, {view.bytes.begin(), view.bytes.end()}});
  }
  return out;
}

std::vector<float> logits_of(const Checkpoint& checkpoint) {
  auto model = ReferenceTransformer::create(checkpoint).value();
  const int32_t tokens[] = {1, 5, 9, 3};
  auto logits = model->prefill(tokens, 0);
  return {logits->begin(), logits->end()};
}

void expect_refused(const Parts& parts, ErrorCode code, const std::string& part,
                    std::optional<std::string_view> config_json = {},
                    const LoadOptions& options = {}) {
  Result<Checkpoint> out = parse_hf_llama(owned(parts.file()), config_json, options);
  ASSERT_FALSE(out.ok()) << "want refusal with: " << part;
  EXPECT_EQ(error_code_name(out.error().code), std::string(error_code_name(code)))
      << out.error().message;
  EXPECT_NE(out.error().message.find(part), std::string::npos) << out.error().message;
  EXPECT_NE(out.error().message.find(';'), std::string::npos) << "no remedy";
}

TEST(HfLlama, AModelWrittenInF32ComputesTheSameLogits) {
  for (bool tied : {true, false}) {
    const Checkpoint before = tiny(3, tied);
    const Bytes bytes = write_hf_llama(before, DType::kF32, "").value();
    Result<Checkpoint> after = parse_hf_llama(owned(bytes), {});
    ASSERT_TRUE(after.ok()) << after.error().message;
    EXPECT_EQ(after->config.tied_output, tied);
    EXPECT_EQ(after->config.context, 10u);
    EXPECT_EQ(logits_of(before), logits_of(*after));
  }
}

TEST(HfLlama, WritingTwiceGivesTheSameBytes) {
  EXPECT_EQ(write_hf_llama(tiny(1), DType::kBf16, "x").value(),
            write_hf_llama(tiny(1), DType::kBf16, "x").value());
}

TEST(HfLlama, AnOriginThatIsNotTextIsRefused) {
  auto out = write_hf_llama(tiny(1), DType::kBf16, "\xff\xfe");
  ASSERT_FALSE(out.ok());
  EXPECT_EQ(out.error().code, ErrorCode::kBadValue);
}

TEST(HfLlama, AConfigJsonBesideTheFileServesWhenTheMetadataHasNone) {
  Parts parts = tiny_parts();
  parts.metadata = {{"format", "pt"}};
  const char config[] = R"({"hidden_size":8,"intermediate_size":12,"num_hidden_layers":2,
      "num_attention_heads":2,"num_key_value_heads":1,"vocab_size":16,"rope_scaling":null,
      "max_position_embeddings":10,"rms_norm_eps":1e-5,"rope_theta":10000.0,
      "architectures":["LlamaForCausalLM"],"tie_word_embeddings":true,"rope":"neighbour"})";
  Result<Checkpoint> got = parse_hf_llama(owned(parts.file()), config);
  ASSERT_TRUE(got.ok()) << got.error().message;
  EXPECT_EQ(logits_of(*got), logits_of(tiny(1)));
  expect_refused(parts, ErrorCode::kMismatch, "neither in the file's __metadata__ nor");
  expect_refused(parts, ErrorCode::kBadFormat, "config.json is not valid JSON", "{");
}

TEST(HfLlama, AFileThatDoesNotSayItsRotaryOrderIsRefused) {
  Parts parts = tiny_parts();
  parts.metadata.erase("rope");
  expect_refused(parts, ErrorCode::kMismatch, "llm_convert --rope half");
  Result<Checkpoint> told = parse_hf_llama(owned(parts.file()), {}, {"neighbour"});
  ASSERT_TRUE(told.ok()) << told.error().message;
  EXPECT_EQ(logits_of(*told), logits_of(tiny(1)));
}

TEST(HfLlama, AnUnknownOrContradictoryRotaryOrderIsRefused) {
  Parts parts = tiny_parts();
  expect_refused(parts, ErrorCode::kMismatch, "leave the option out", {}, {"half"});
  parts.metadata["rope"] = "spiral";
  expect_refused(parts, ErrorCode::kUnsupported, "'spiral'");
}

TEST(HfLlama, RowsInHalfOrderArePutInNeighbourOrderWhileLoading) {
  Parts parts = tiny_parts();
  const size_t row_bytes = 8 * 4;
  for (NamedTensor& tensor : parts.tensors) {
    if (tensor.name.find("q_proj") == std::string::npos &&
        tensor.name.find("k_proj") == std::string::npos) {
      continue;
    }
    const Bytes neighbour = tensor.bytes;
    for (size_t head = 0; head < tensor.shape[0] / 4; ++head) {
      // head size 4: neighbour rows 0 1 2 3 are half rows 0 2 1 3
      for (auto [from, to] : {std::pair{0, 0}, {2, 1}, {1, 2}, {3, 3}}) {
        std::copy_n(neighbour.begin() + (head * 4 + from) * row_bytes, row_bytes,
                    tensor.bytes.begin() + (head * 4 + to) * row_bytes);
      }
    }
  }
  parts.metadata["rope"] = "half";
  Result<Checkpoint> got = parse_hf_llama(owned(parts.file()), {});
  ASSERT_TRUE(got.ok()) << got.error().message;
  EXPECT_EQ(logits_of(*got), logits_of(tiny(1)));
}

TEST(HfLlama, MissingMisshapenAndForeignTensorsAreRefusedByName) {
  Parts parts = tiny_parts();
  parts.tensor(kQ0).name = "model.layers.0.self_attn.q_proj.weights";
  expect_refused(parts, ErrorCode::kMismatch, std::string("no tensor '") + kQ0);

  parts = tiny_parts();
  parts.tensor(kQ0).shape = {4, 16};
  expect_refused(parts, ErrorCode::kMismatch, "is 4 x 16 but the configuration needs 8 x 8");

  parts = tiny_parts();
  parts.tensors.push_back({"model.layers.0.self_attn.q_proj.bias", DType::kF32, {8}, Bytes(32)});
  expect_refused(parts, ErrorCode::kUnsupported, "has 1 tensors that a Llama model of 2 layers");

  parts = tiny_parts();
  parts.tensors.push_back(
      {"model.layers.0.self_attn.rotary_emb.inv_freq", DType::kF32, {2}, Bytes(8)});
  EXPECT_TRUE(parse_hf_llama(owned(parts.file()), {}).ok());
}

TEST(HfLlama, TyingMustAgreeWithTheTensors) {
  Parts parts = tiny_parts(/*tied=*/true);
  parts.metadata["tie_word_embeddings"] = "false";
  expect_refused(parts, ErrorCode::kMismatch, "lm_head.weight");
  parts = tiny_parts(/*tied=*/false);
  parts.metadata["tie_word_embeddings"] = "true";
  expect_refused(parts, ErrorCode::kUnsupported, "its output is tied");
  parts.metadata["tie_word_embeddings"] = "perhaps";
  expect_refused(parts, ErrorCode::kBadValue, "neither true nor false");
}

TEST(HfLlama, SettingsThatCannotBeRightAreRefusedByName) {
  struct Case {
    const char *key, *value;
    ErrorCode code;
    const char* part;
  };
  for (const Case& c : {
           Case{"hidden_size", "-8", ErrorCode::kBadValue, "hidden_size is '-8'"},
           Case{"hidden_size", "99999999999999999999", ErrorCode::kBadValue, "that fits"},
           Case{"hidden_size", "8.0", ErrorCode::kBadValue, "hidden_size is '8.0'"},
           Case{"vocab_size", "", ErrorCode::kBadValue, "vocab_size is ''"},
           Case{"num_hidden_layers", "4000000000", ErrorCode::kBadValue, "n_layers"},
           Case{"num_attention_heads", "0", ErrorCode::kBadValue, "n_heads is 0"},
           Case{"num_key_value_heads", "3", ErrorCode::kMismatch, "n_kv_heads (3)"},
           Case{"rms_norm_eps", "nan", ErrorCode::kBadValue, "rms_norm_eps"},
           Case{"rope_theta", "inf", ErrorCode::kBadValue, "rope_theta"},
           Case{"rope_scaling", "{\"type\":\"yarn\"}", ErrorCode::kUnsupported, "rope_scaling"},
           Case{"hidden_act", "gelu", ErrorCode::kUnsupported, "hidden_act is 'gelu'"},
           Case{"model_type", "mistral", ErrorCode::kUnsupported, "model_type is 'mistral'"},
           Case{"head_dim", "8", ErrorCode::kUnsupported, "head_dim is '8'"},
       }) {
    Parts parts = tiny_parts();
    parts.metadata[c.key] = c.value;
    expect_refused(parts, c.code, c.part);
  }
  Parts parts = tiny_parts();
  parts.metadata.erase("vocab_size");
  expect_refused(parts, ErrorCode::kMismatch, "vocab_size is missing");
}

TEST(ShippedModel, LoadsAndHasTheAnnouncedSizes) {
  Result<Checkpoint> got =
      load_checkpoint(source_path("samples/llm/model/shakespeare-3M.safetensors"));
  ASSERT_TRUE(got.ok()) << got.error().message;
  EXPECT_EQ(got->config.dim, 256u);
  EXPECT_EQ(got->config.hidden_dim, 768u);
  EXPECT_EQ(got->config.layers, 4u);
  EXPECT_EQ(got->config.heads, 8u);
  EXPECT_EQ(got->config.kv_heads, 4u);
  EXPECT_EQ(got->config.vocabulary, 384u);
  EXPECT_EQ(got->config.context, 256u);
  EXPECT_EQ(got->layers[3].w1.dtype, DType::kBf16);
  EXPECT_LE(got->storage.size(), 7'000'000u);
}

TEST(ShippedModel, IsWhatTheConverterMakesOfItsSource) {
  const auto source = test_model("shakespeare-3M/shakespeare-3M.bin");
  if (!source) GTEST_SKIP() << "needs shakespeare-3M.bin (set NPU_TEST_MODELS to its parent)";
  Result<Checkpoint> checkpoint = load_checkpoint(*source);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  const Bytes made = write_hf_llama(*checkpoint, DType::kBf16, kOrigin).value();
  const FileBytes shipped =
      FileBytes::read(source_path("samples/llm/model/shakespeare-3M.safetensors"), 7'000'000)
          .value();
  EXPECT_TRUE(std::ranges::equal(made, shipped.span()));
}

}  // namespace
}  // namespace npu::llm::test
