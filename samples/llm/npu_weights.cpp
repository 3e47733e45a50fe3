// SPDX-License-Identifier: Apache-2.0
//
// Conversion, upload and re-tiling of weights.
#include "samples/llm/npu_weights.h"

#include <cstring>
#include <initializer_list>
#include <new>
#include <span>

#include "samples/llm/npu_error.h"

namespace npu::llm {
namespace {

class Uploader {
 public:
  Uploader(NpuSession& session, npuDataType type) : session_(session), type_(type) {}

  /// The elements of all parts, one part behind the other.
  Failure plain(std::initializer_list<const TensorView*> parts, npuDevPtr& out);
  /// Parts of equal width as one matrix with the rows of all.
  Failure matrix(std::initializer_list<const TensorView*> parts, WeightMatrix& out);
  Failure layer(const LayerWeights& from, NpuLayer& to);

  uint64_t bytes() const { return bytes_; }
  uint64_t last_value() const { return last_value_; }

 private:
  std::vector<std::byte> encoded(std::initializer_list<const TensorView*> parts) const;
  Failure upload(std::initializer_list<const TensorView*> parts, npuDevPtr& out);

  NpuSession& session_;
  npuDataType type_;
  uint64_t bytes_ = 0;
  uint64_t last_value_ = 0;  // of the queue
};

void append_as(const TensorView& tensor, npuDataType type, std::vector<std::byte>& out) {
  if (type == NPU_BFLOAT16 && tensor.dtype == DType::kBf16) {
    out.insert(out.end(), tensor.bytes.begin(), tensor.bytes.end());
    return;
  }
  const std::vector<float> wide = widen(tensor);
  auto append = [&out](const void* from, size_t bytes) {
    const auto* begin = static_cast<const std::byte*>(from);
    out.insert(out.end(), begin, begin + bytes);
  };
  if (type == NPU_FLOAT32) return append(wide.data(), wide.size() * sizeof(float));
  for (float value : wide) {
    const uint16_t bits = float_to_bf16(value);
    append(&bits, sizeof(bits));
  }
}

std::vector<std::byte> Uploader::encoded(std::initializer_list<const TensorView*> parts) const {
  uint64_t elements = 0;
  for (const TensorView* part : parts) elements += part->elements();
  std::vector<std::byte> out;
  out.reserve(elements * type_bytes(type_));
  for (const TensorView* part : parts) append_as(*part, type_, out);
  return out;
}

Failure Uploader::upload(std::initializer_list<const TensorView*> parts, npuDevPtr& out) {
  const std::vector<std::byte> bytes = encoded(parts);
  Result<npuDevPtr> memory = session_.allocate(NPU_MEM_DEVICE, bytes.size());
  if (!memory.ok()) return memory.error();
  out = *memory;
  return session_.copy_to_device(out, bytes.data(), bytes.size());
}

Failure Uploader::plain(std::initializer_list<const TensorView*> parts, npuDevPtr& out) {
  for (const TensorView* part : parts) bytes_ += part->elements() * type_bytes(type_);
  return upload(parts, out);
}

Failure Uploader::matrix(std::initializer_list<const TensorView*> parts, WeightMatrix& out) {
  npuOpsGemmPackInfo info{};
  info.struct_size = sizeof(info);
  info.type = type_;
  info.form = NPU_OPS_TRANSPOSED;
  for (const TensorView* part : parts) info.n += static_cast<uint32_t>(part->rows);
  info.k = static_cast<uint32_t>((*parts.begin())->cols);
  if (auto bad = plain(parts, info.b)) return bad;

  uint64_t size_bytes = 0;
  npuResult result = npuOpsGemmGetPackedBytes(&info, &size_bytes);
  if (result != NPU_OK) return npu_ops_error(result, "sizing a packed weight");
  Result<npuDevPtr> memory = session_.allocate(NPU_MEM_DEVICE, size_bytes);
  if (!memory.ok()) return memory.error();
  info.packed = *memory;
  result = npuOpsGemmPackB(session_.ops(), session_.queue(), &info, &last_value_);
  if (result != NPU_OK) return npu_ops_error(result, "re-tiling a weight");
  out = {info.b, info.packed, info.n, info.k};
  bytes_ += size_bytes;
  return {};
}

Failure Uploader::layer(const LayerWeights& from, NpuLayer& to) {
  if (auto bad = plain({&from.attention_norm}, to.attention_norm)) return bad;
  if (auto bad = matrix({&from.wq, &from.wk, &from.wv}, to.projection)) return bad;
  if (auto bad = matrix({&from.wo}, to.output)) return bad;
  if (auto bad = plain({&from.ffn_norm}, to.ffn_norm)) return bad;
  if (auto bad = matrix({&from.w1, &from.w3}, to.gate_up)) return bad;
  return matrix({&from.w2}, to.down);
}

}  // namespace

Result<NpuWeights> upload_weights(NpuSession& session, const Checkpoint& checkpoint,
                                  npuDataType type) try {
  NpuWeights out;
  out.type = type;
  Uploader uploader(session, type);
  if (auto bad = uploader.plain({&checkpoint.embedding}, out.embedding)) return *bad;
  for (const LayerWeights& layer : checkpoint.layers) {
    if (auto bad = uploader.layer(layer, out.layers.emplace_back())) return *bad;
  }
  if (auto bad = uploader.plain({&checkpoint.final_norm}, out.final_norm)) return *bad;
  if (auto bad = uploader.matrix({&checkpoint.output}, out.logits)) return *bad;
  if (auto bad = session.wait(uploader.last_value())) return *bad;
  out.bytes = uploader.bytes();
  return out;
} catch (const std::bad_alloc&) {
  return Error{ErrorCode::kNoMemory,
               "no host memory to convert the weights; use a smaller model or a larger machine"};
}

}  // namespace npu::llm
