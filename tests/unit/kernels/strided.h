// SPDX-License-Identifier: Apache-2.0
// Tensors of tests with random strides: values to compute a reference from, and a check that nothing but elements was written.
#pragma once

#include <npu/npu_tensor.h>

#include <array>
#include <functional>
#include <vector>

#include "libnpu/ops/plan.h"
#include "tests/unit/kernels/rig.h"

namespace npu::kernels {

using Sizes = std::array<uint64_t, 4>;
using Index = std::array<uint64_t, 4>;

// How the elements of a tensor lie in memory.
enum class Lay {
  kDense,     // as sizes are given
  kPadded,    // with gaps in every dimension but the innermost
  kPermuted,  // dimensions 1 to 3 in random order, with gaps
  kScattered  // all dimensions in random order, with gaps
};
constexpr Lay kUnitLays[] = {Lay::kDense, Lay::kPadded, Lay::kPermuted};
constexpr Lay kAllLays[] = {Lay::kDense, Lay::kPadded, Lay::kPermuted, Lay::kScattered};

// Calls |use| with every index, the innermost dimension first.
void for_each_index(const Sizes& sizes, const std::function<void(const Index&)>& use);
// |index| in an operand of |sizes| that repeats.
Index wrapped(const Index& index, const Sizes& sizes);

class Strided {
 public:
  // Elements between -scale and scale that the type holds exactly; NPU_INT32: from 0 to below scale.
  Strided(Rig& rig, Random& random, npuDataType type, const Sizes& sizes, Lay lay, float scale = 1);

  void set(const Index& index, float value);  // before the first tensor()
  const npuOpsTensor& tensor();               // in the rig's memory from now on
  const Sizes& sizes() const { return sizes_; }
  float value(const Index& index) const { return decode(words_, index); }
  // Reads memory back for got(); fails the test where something between the elements was written.
  void fetch();
  float got(const Index& index) const { return decode(now_, index); }

 private:
  uint64_t offset_of(const Index& index) const;  // bytes
  float decode(const std::vector<int32_t>& words, const Index& index) const;

  Rig& rig_;
  npuOpsTensor tensor_{};
  Sizes sizes_;
  uint64_t elem_bytes_;
  uint64_t begin_bytes_;
  uint64_t dva_ = 0;
  std::vector<int32_t> words_, now_;
};

// The tensor, or an absent one.
inline npuOpsTensor tensor_of(Strided* t) { return t != nullptr ? t->tensor() : npuOpsTensor{}; }

// A dense tensor somewhere, for checks of plans that do not run.
npuOpsTensor dense(const Sizes& sizes, npuDataType type = NPU_FLOAT32);

// Runs a plan that must be accepted, and what it wants behind it.
void run_planned(Rig& rig, npuOpsKind kind, const void* info);
void run_planned(Rig& rig, npuOpsKind kind, const void* info, npu_status expect);

// Error of the whole against the whole: sum of squares of differences by sum of squares of |want|.
class Nmse {
 public:
  void add(double got, double want) {
    difference_ += (got - want) * (got - want);
    size_ += want * want;
  }
  double value() const { return size_ > 0 ? difference_ / size_ : difference_; }

 private:
  double difference_ = 0, size_ = 0;
};

}  // namespace npu::kernels
