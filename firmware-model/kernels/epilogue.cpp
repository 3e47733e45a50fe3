// SPDX-License-Identifier: Apache-2.0
// Tries the activations one after the other: the common ones come first.
#include "firmware-model/kernels/epilogue.h"

#include <iterator>

namespace npu::kernels {
namespace {

using namespace npu::isa;

void try_activation(Kernel& k, const Tile& out, const Tile& acc, const Epilogue& e, size_t i) {
  static constexpr Act kActs[] = {Act::None,    Act::Silu,    Act::Relu, Act::Gelu,
                                  Act::GeluErf, Act::Sigmoid, Act::Tanh};
  if (i == std::size(kActs)) return k.trap(1);
  k.if_(
      e.activation == static_cast<uint32_t>(kActs[i]),
      [&] {
        Tile bias_row = k.tile_l1(DType::F32, e.bias, 1, e.cols);
        const auto end = [&](Op&& op) {
          op.scale(e.scale).act(kActs[i]);
          if (e.finished) op.signal(*e.finished);
        };
        k.if_(
            e.has_bias, [&] { end(std::move(k.accst(out, acc).bias(bias_row))); },
            [&] { end(k.accst(out, acc)); });
      },
      [&] { try_activation(k, out, acc, e, i + 1); });
}

}  // namespace

void store_accumulator(Kernel& k, const Tile& out, const Tile& acc, const Epilogue& epilogue) {
  try_activation(k, out, acc, epilogue, 0);
}

}  // namespace npu::kernels
