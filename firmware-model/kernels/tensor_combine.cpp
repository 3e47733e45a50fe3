// SPDX-License-Identifier: Apache-2.0
// Functions of two operands on tensors of any strides: the second one may repeat (combine), or is gated by a function of the first (gate). Arithmetic is fp32, rounded once at the end.
#include "firmware-model/kernels/gating.h"
#include "firmware-model/kernels/tensor_walk.h"

namespace npu::kernels {
namespace {

using namespace npu::isa;

using CombineFn = Op (Kernel::*)(const Tile&, const Tile&, const BOperand&, Loc);
struct CombineRow {
  const char* name;
  CombineFn fn;
};
// In the order of npuOpsBinaryFunction.
constexpr CombineRow kCombine[] = {
    {"add", &Kernel::vadd}, {"sub", &Kernel::vsub}, {"mul", &Kernel::vmul},
    {"div", &Kernel::vdiv}, {"max", &Kernel::vmax}, {"min", &Kernel::vmin},
};

// Types of x, b and y, in the order of libnpu/ops/tensor_combine.cpp.
struct TypesRow {
  const char* name;
  DType x, b, y;
};
constexpr TypesRow kTypes[] = {
    {"f32", DType::F32, DType::F32, DType::F32},
    {"bf16", DType::BF16, DType::BF16, DType::BF16},
    {"f16", DType::F16, DType::F16, DType::F16},
    {"f16_f32_f16", DType::F16, DType::F32, DType::F16},
    {"f16_f32_f32", DType::F16, DType::F32, DType::F32},
    {"bf16_f32_bf16", DType::BF16, DType::F32, DType::BF16},
    {"bf16_f32_f32", DType::BF16, DType::F32, DType::F32},
};

// Scratchpads of x, b and the result; the result takes x's place where it has its type.
struct Buffers {
  Buffers(Kernel& k, const TypesRow& types)
      : x(k.l1(kBlockElements * 4)),
        b(k.l1(kBlockElements * 4)),
        y(types.x == types.y ? x : k.l1(kBlockElements * 4)) {}
  Buf x, b, y;
};

Program combine(const CombineRow& row, const TypesRow& types) {
  Run run("combine_" + std::string(row.name) + "_" + types.name, {"x", "b", "y"});
  Buffers bufs(run.k, types);
  run.place();
  Tile x = run.load(0, types.x, bufs.x);
  Tile b = run.load(1, types.b, bufs.b);
  Tile y = run.inner(types.y, bufs.y);
  (run.k.*row.fn)(y, x, b, Loc::current());
  run.store(2, y);
  return run.k.finish();
}

// b's block is one row (|spread| 1) or one column (2) where it repeats.
Program combine_walk(const TypesRow& types) {
  TensorWalk walk("combine_walk_" + std::string(types.name), {"x", "b", "y"});
  Kernel& k = walk.k;
  Arg function_arg = k.arg_u32("function"), spread_arg = k.arg_u32("spread");
  Buffers bufs(k, types);
  walk.run([&] {
    Reg spread = spread_arg, function = function_arg;
    Reg b_rows = select(spread == int{NPU_BCAST_ROW}, 1, walk.rows);
    Reg b_cols = select(spread == int{NPU_BCAST_COL}, 1, walk.cols);
    Tile x = walk.inner(types.x, bufs.x);
    Tile y = walk.inner(types.y, bufs.y);
    Tile b = k.tile_l1(types.b, bufs.b, b_rows, b_cols);
    walk.load(0, x);
    walk.load(1, types.b, b, b_rows, b_cols);
    choose(k, spread, NPU_BCAST_FULL, NPU_BCAST_COL + 1, [&](uint32_t bcast) {
      choose(k, function, 0, std::size(kCombine), [&](uint32_t i) {
        (k.*kCombine[i].fn)(y, x, BOperand(b, static_cast<npu_bcast>(bcast)), Loc::current());
      });
    });
    walk.store(2, y);
  });
  return k.finish();
}

struct GateBuffers {
  explicit GateBuffers(Kernel& k)
      : x(k.l1(kBlockElements * 4)),
        b(k.l1(kBlockElements * 4)),
        gate(k.l1(kBlockElements * 4)),
        work(k.l1(kBlockElements * 4)) {}
  Buf x, b, gate, work;
};

// y = f(x) b
Program gate(const GateRow& row, DType type) {
  Run run("gate_" + std::string(row.name) + "_" + tensor_type_name(type), {"x", "b", "y"});
  GateBuffers bufs(run.k);
  run.place();
  Tile x = run.load(0, type, bufs.x);
  Tile b = run.load(1, type, bufs.b);
  Tile gate = run.inner(DType::F32, bufs.gate);
  row.fn({run.k, gate, x, run.one, run.count, bufs.work});
  run.k.vmul(x, gate, b);
  run.store(2, x);
  return run.k.finish();
}

Program gate_walk(DType type) {
  TensorWalk walk("gate_walk_" + tensor_type_name(type), {"x", "b", "y"});
  Kernel& k = walk.k;
  Arg function_arg = k.arg_u32("function");
  GateBuffers bufs(k);
  walk.run([&] {
    Tile x = walk.inner(type, bufs.x);
    Tile b = walk.inner(type, bufs.b);
    Tile gate = walk.inner(DType::F32, bufs.gate);
    walk.load(0, x);
    walk.load(1, b);
    Reg function = function_arg;
    choose_gate({k, gate, x, walk.rows, walk.cols, bufs.work}, function);
    k.vmul(x, gate, b);
    walk.store(2, x);
  });
  return k.finish();
}

}  // namespace

void add_tensor_combine(Programs& out) {
  for (const TypesRow& types : kTypes) {
    for (const CombineRow& row : kCombine) out.push_back(combine(row, types));
    out.push_back(combine_walk(types));
  }
  for (DType type : kTensorTypes) {
    for (const GateRow& row : gates()) out.push_back(gate(row, type));
    out.push_back(gate_walk(type));
  }
}

}  // namespace npu::kernels
