// SPDX-License-Identifier: Apache-2.0
// The functions that gate.
#include "firmware-model/kernels/gating.h"

#include <limits>

#include "firmware-model/kernels/tensor_walk.h"

namespace npu::kernels {
namespace {

using namespace npu::isa;

// x sigmoid(1.702 x), 0 for -infinity too.
void gelu_quick(const Gating& g) {
  Tile work = g.k.tile_l1(DType::F32, g.work, g.rows, g.cols);
  g.k.vmul(g.gate, g.x, 1.702f);
  g.k.sigmoid(g.gate, g.gate);
  g.k.vmax(work, g.x, -std::numeric_limits<float>::max());
  g.k.vmul(g.gate, work, g.gate);
}

constexpr GateRow kGates[] = {
    {"relu", [](const Gating& g) { g.k.relu(g.gate, g.x); }},
    {"gelu", [](const Gating& g) { g.k.gelu(g.gate, g.x); }},
    {"gelu_erf", [](const Gating& g) { g.k.gelu_erf(g.gate, g.x); }},
    {"silu", [](const Gating& g) { g.k.silu(g.gate, g.x); }},
    {"gelu_quick", gelu_quick},
};

}  // namespace

std::span<const GateRow> gates() { return kGates; }

void choose_gate(const Gating& gating, const Reg& function) {
  choose(gating.k, function, 0, std::size(kGates), [&](uint32_t i) { kGates[i].fn(gating); });
}

}  // namespace npu::kernels
