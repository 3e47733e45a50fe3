// SPDX-License-Identifier: Apache-2.0
// Memory of the tensors, and launches of plans.
#include "tests/unit/kernels/strided.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "libnpu/ops/check.h"
#include "libnpu/ops/tensor.h"

namespace npu::kernels {

void for_each_index(const Sizes& sizes, const std::function<void(const Index&)>& use) {
  Index i;
  for (i[3] = 0; i[3] < sizes[3]; ++i[3])
    for (i[2] = 0; i[2] < sizes[2]; ++i[2])
      for (i[1] = 0; i[1] < sizes[1]; ++i[1])
        for (i[0] = 0; i[0] < sizes[0]; ++i[0]) use(i);
}

Index wrapped(const Index& index, const Sizes& sizes) {
  Index out;
  for (size_t d = 0; d < 4; ++d) out[d] = index[d] % sizes[d];
  return out;
}

Strided::Strided(Rig& rig, Random& random, npuDataType type, const Sizes& sizes, Lay lay,
                 float scale)
    : rig_(rig), sizes_(sizes), elem_bytes_(ops::layout_of(type).block_bytes) {
  std::array<uint32_t, 4> order = {0, 1, 2, 3};
  if (lay == Lay::kPermuted || lay == Lay::kScattered) {
    const uint32_t first = lay == Lay::kScattered ? 0 : 1;
    for (uint32_t i = 3; i > first; --i)
      std::swap(order[i], order[first + random.below(i - first + 1)]);
  }
  uint64_t step = elem_bytes_;
  const bool gaps = lay != Lay::kDense;
  for (uint32_t d : order) {
    tensor_.strides[d] = step;
    step *= sizes[d] + (gaps ? random.below(3) : 0);
  }
  begin_bytes_ = gaps ? elem_bytes_ * random.below(4) : 0;
  words_.resize((begin_bytes_ + step + 3) / 4);
  for (int32_t& word : words_) word = static_cast<int32_t>(random.below(1u << 31));
  tensor_.type = type;
  std::copy(sizes.begin(), sizes.end(), tensor_.sizes);
  for_each_index(sizes_, [&](const Index& i) {
    const float value = type == NPU_INT32
                            ? static_cast<float>(random.below(static_cast<uint32_t>(scale)))
                            : random.value(scale);
    set(i, value);
  });
}

uint64_t Strided::offset_of(const Index& index) const {
  uint64_t at = begin_bytes_;
  for (size_t d = 0; d < 4; ++d) at += index[d] * tensor_.strides[d];
  return at;
}

void Strided::set(const Index& index, float value) {
  char* to = reinterpret_cast<char*>(words_.data()) + offset_of(index);
  const auto integer = static_cast<int32_t>(value);
  uint16_t half;
  switch (tensor_.type) {
    case NPU_FLOAT32:
      std::memcpy(to, &value, 4);
      break;
    case NPU_INT32:
      std::memcpy(to, &integer, 4);
      break;
    case NPU_BFLOAT16:
      half = to_bf16(value);
      std::memcpy(to, &half, 2);
      break;
    default:
      model::scalar_numerics().narrow_f16(&half, &value, 1);
      std::memcpy(to, &half, 2);
  }
}

float Strided::decode(const std::vector<int32_t>& words, const Index& index) const {
  const char* from = reinterpret_cast<const char*>(words.data()) + offset_of(index);
  float value = 0;
  int32_t integer;
  uint16_t half;
  switch (tensor_.type) {
    case NPU_FLOAT32:
      std::memcpy(&value, from, 4);
      return value;
    case NPU_INT32:
      std::memcpy(&integer, from, 4);
      return static_cast<float>(integer);
    case NPU_BFLOAT16:
      std::memcpy(&half, from, 2);
      return from_bf16(half);
    default:
      std::memcpy(&half, from, 2);
      model::scalar_numerics().widen_f16(&value, &half, 1);
      return value;
  }
}

const npuOpsTensor& Strided::tensor() {
  if (dva_ == 0) dva_ = rig_.put_i32(words_);
  tensor_.data = dva_ + begin_bytes_;
  return tensor_;
}

void Strided::fetch() {
  now_ = rig_.get_i32(dva_, words_.size());
  std::vector<int32_t> expected = words_;
  for_each_index(sizes_, [&](const Index& i) {
    std::memcpy(reinterpret_cast<char*>(expected.data()) + offset_of(i),
                reinterpret_cast<const char*>(now_.data()) + offset_of(i), elem_bytes_);
  });
  EXPECT_TRUE(expected == now_) << "something between the elements was written";
}

npuOpsTensor dense(const Sizes& sizes, npuDataType type) {
  npuOpsTensor t{};
  t.data = 0x10000;
  t.type = type;
  uint64_t step = ops::layout_of(type).block_bytes;
  for (size_t d = 0; d < 4; ++d) {
    t.sizes[d] = sizes[d];
    t.strides[d] = step;
    step *= sizes[d];
  }
  return t;
}

void run_planned(Rig& rig, npuOpsKind kind, const void* info) {
  run_planned(rig, kind, info, NPU_ST_OK);
}

void run_planned(Rig& rig, npuOpsKind kind, const void* info, npu_status expect) {
  ops::Plan plan;
  ASSERT_EQ(ops::plan_of(kind, info, &plan), NPU_OK) << ops::error_text();
  const auto run = [&](const ops::Plan& p) {
    rig.run_plan(ops::program_name(p.program), {p.args, p.block_bytes()},
                 {p.grid[0], p.grid[1], p.grid[2]}, expect);
  };
  run(plan);
  if (plan.then == nullptr) return;
  ops::Plan last;
  ASSERT_EQ(plan.then(info, &last), NPU_OK) << ops::error_text();
  run(last);
}

}  // namespace npu::kernels
