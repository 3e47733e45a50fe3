// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/kernels/weights.h"

#include <gtest/gtest.h>

#include "libnpu/ops/tensor.h"
#include "libnpu/ops/tiling.h"

namespace npu::kernels {
namespace {

// fp16 bits of a positive number of about 1/|part|.
uint16_t small_half(Random& random, int part_log2) {
  return static_cast<uint16_t>(((15 - part_log2) << 10) | random.below(1024));
}

void put_half(unsigned char* at, uint16_t bits) { std::memcpy(at, &bits, sizeof(bits)); }

// A block of random bytes with scales that bring its elements to about one.
void fill_block(npuDataType type, unsigned char* block, uint64_t bytes, Random& random) {
  for (uint64_t i = 0; i < bytes; ++i) block[i] = static_cast<unsigned char>(random.below(256));
  if (type == NPU_Q8_0) put_half(block, small_half(random, 7));
  if (type == NPU_Q4_0) put_half(block, small_half(random, 3));
  if (type == NPU_Q6_K) put_half(block + bytes - 2, small_half(random, 12));
  if (type != NPU_Q4_K) return;
  put_half(block, small_half(random, 10));
  put_half(block + 2, small_half(random, 7));
}

void decode(npuDataType type, float* to, const std::byte* from, uint64_t blocks) {
  const model::Numerics& n = model::scalar_numerics();
  if (type == NPU_Q8_0) n.decode_q8_0(to, from, blocks);
  if (type == NPU_Q4_0) n.decode_q4_0(to, from, blocks);
  if (type == NPU_Q4_K) n.decode_q4_k(to, from, blocks);
  if (type == NPU_Q6_K) n.decode_q6_k(to, from, blocks);
}

}  // namespace

Weights::Weights(npuDataType type, const Index& sizes, Random& random, bool dense) {
  if (type >= NPU_Q8_0) {
    make_blocks(type, sizes, random, dense);
    return;
  }
  floats_ = dense ? TensorMemory::dense(type, sizes) : TensorMemory::any(type, sizes, random);
  floats_->fill(random, 1);
}

void Weights::make_blocks(npuDataType type, const Index& sizes, Random& random, bool dense) {
  const ops::TypeLayout layout = ops::layout_of(type);
  tensor_.type = type;
  std::array<uint32_t, 4> order = {0, 1, 2, 3};
  if (!dense) {
    for (uint32_t i = 3; i > 1; --i) std::swap(order[i], order[1 + random.below(i)]);
  }
  uint64_t blocks = 1;
  for (uint32_t d : order) {
    tensor_.sizes[d] = sizes[d];
    tensor_.strides[d] = blocks * layout.block_bytes;
    blocks *= d == 0 ? sizes[0] / layout.block_elements : sizes[d];
    if (!dense && random.below(3) == 0) blocks += random.below(3);
  }
  bytes_.resize((blocks * layout.block_bytes + 3) / 4 * 4);
  for (uint64_t b = 0; b < blocks; ++b)
    fill_block(type, &bytes_[b * layout.block_bytes], layout.block_bytes, random);
  values_.resize(blocks * layout.block_elements);
  decode(type, values_.data(), reinterpret_cast<const std::byte*>(bytes_.data()), blocks);
}

double Weights::get(const Index& at) const {
  if (floats_) return floats_->get(at);
  const ops::TypeLayout layout = ops::layout_of(tensor_.type);
  uint64_t bytes = at[0] % tensor_.sizes[0] / layout.block_elements * layout.block_bytes;
  for (uint32_t d = 1; d < 4; ++d) bytes += at[d] % tensor_.sizes[d] * tensor_.strides[d];
  return values_[bytes / layout.block_bytes * layout.block_elements +
                 at[0] % layout.block_elements];
}

void Weights::put_tiled(Rig& rig) {
  const std::vector<unsigned char> rows = bytes_;
  const uint64_t matrix_bytes = tensor_.sizes[1] * tensor_.strides[1];
  for (uint64_t at = 0; at + matrix_bytes <= rows.size(); at += matrix_bytes)
    EXPECT_EQ(ops::tile_weights(ops::Tiling::kToTiles, tensor_.type, tensor_.sizes[1],
                                tensor_.sizes[0], &bytes_[at], &bytes_[at]),
              NPU_OK);
  tensor_.tiled = 1;
  put(rig);
  bytes_ = rows;
}

void Weights::put(Rig& rig) {
  if (floats_) return floats_->put(rig);
  std::vector<int32_t> words(bytes_.size() / 4);
  std::memcpy(words.data(), bytes_.data(), bytes_.size());
  tensor_.data = rig.put_i32(words);
}

}  // namespace npu::kernels
