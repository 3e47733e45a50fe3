// SPDX-License-Identifier: Apache-2.0
// The functions that gate: f of SwiGLU and its relatives, f(x) * b.
// Thread safety: one kernel belongs to one thread.
#ifndef NPU_FIRMWARE_MODEL_KERNELS_GATING_H_
#define NPU_FIRMWARE_MODEL_KERNELS_GATING_H_

#include <span>

#include "tools/isa/builder.h"

namespace npu::kernels {

// gate = f(x) in fp32; |work| is a buffer for what lies between.
struct Gating {
  isa::Kernel& k;
  const isa::Tile &gate, &x;
  const isa::Reg &rows, &cols;
  const isa::Buf& work;
};
struct GateRow {
  const char* name;
  void (*fn)(const Gating&);
};

// In the order of libnpu/ops/tensor_combine.cpp.
std::span<const GateRow> gates();

// The one that |function| holds the number of.
void choose_gate(const Gating& gating, const isa::Reg& function);

}  // namespace npu::kernels

#endif  // NPU_FIRMWARE_MODEL_KERNELS_GATING_H_
