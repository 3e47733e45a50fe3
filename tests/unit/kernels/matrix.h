// SPDX-License-Identifier: Apache-2.0
// Matrices of tests with gaps between their rows: values to compute a reference from, and a check that the gaps were not written.
#pragma once

#include <gtest/gtest.h>
#include <npu/npu_ops_train.h>

#include <utility>
#include <vector>

#include "tests/unit/kernels/rig.h"

namespace npu::kernels {

inline npuDataType public_type(DType type) {
  return type == DType::F32 ? NPU_FLOAT32 : NPU_BFLOAT16;
}

class Matrix {
 public:
  // Elements between -scale and scale that the type holds exactly.
  Matrix(Rig& rig, Random& random, DType type, uint32_t rows, uint32_t cols, uint32_t pad = 0,
         float scale = 1)
      : rows_(rows),
        cols_(cols),
        rig_(rig),
        type_(type),
        ld_(cols + pad),
        values_(random.values(uint64_t{rows} * ld_, type, scale)) {}

  double at(uint32_t i, uint32_t j) const { return values_[uint64_t{i} * ld_ + j]; }
  void set(uint32_t i, uint32_t j, float value) { values_[uint64_t{i} * ld_ + j] = value; }
  uint32_t ld() const { return ld_; }
  // In the rig's memory from the first call on.
  npuDevPtr dva() {
    if (dva_ == 0) dva_ = rig_.put(type_, values_);
    return dva_;
  }
  // Reads memory back for got().
  void fetch() {
    got_ = rig_.get(type_, dva(), values_.size());
    for (uint32_t i = 0; i < rows_; ++i) {
      for (uint32_t j = cols_; j < ld_; ++j)
        ASSERT_EQ(got_[uint64_t{i} * ld_ + j], values_[uint64_t{i} * ld_ + j])
            << "a gap of row " << i;
    }
  }
  double got(uint32_t i, uint32_t j) const { return got_[uint64_t{i} * ld_ + j]; }

 private:
  uint32_t rows_, cols_;
  Rig& rig_;
  DType type_;
  uint32_t ld_;
  std::vector<float> values_, got_;
  npuDevPtr dva_ = 0;
};

template <typename Info>
Info blank() {
  Info info{};
  info.struct_size = sizeof(info);
  return info;
}

// An address that checks accept.
inline constexpr npuDevPtr kSomewhere = 0x10000;

// The error of a mean of |n| numbers by a tree, and of one of a chain, relative to the sum of magnitudes.
inline double tree_error(uint32_t n) { return (n / 16 + 8) * 0x1p-24; }
inline double chain_error(uint32_t n) { return (n + 2) * 0x1p-24; }

}  // namespace npu::kernels
