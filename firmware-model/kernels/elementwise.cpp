// SPDX-License-Identifier: Apache-2.0
// Programs that work element by element on [rows, cols] with strides: unary functions, binary functions, the SwiGLU gate, conversions.
// A work-group takes block_cols columns (x) of block_rows rows (y). Arithmetic is fp32, rounded once when the result is stored.
#include "firmware-model/kernels/kernels.h"
#include "firmware-model/kernels/limits.h"

namespace npu::kernels {
namespace {

using namespace npu::isa;

constexpr uint32_t kBlockBytes = kElementwiseElements * 4;

// The common part: where this group's block lies.
class Block {
 public:
  explicit Block(const std::string& name) : k(name) {}

  // After all arguments of the program.
  void place() {
    Reg block_r = block_rows;
    Reg block_c = block_cols;
    row0 = k.group_y() * block_r;
    col0 = k.group_x() * block_c;
    rows = min(Val(rows_arg - row0), block_r);
    cols = min(Val(cols_arg - col0), block_c);
    k.chain(true);
  }
  Tile outer(DType type, const Arg& base, const Arg& ld) {
    Reg stride = ld;
    Reg at = row0 * stride;
    at += col0;
    at *= dtype_bytes(type);
    at += base;
    return k.tile_hbm(type, at, rows, cols, stride);
  }
  // A block in L1, loaded from |base|.
  Tile load(DType type, const Buf& buf, const Arg& base, const Arg& ld) {
    Tile tile = inner(type, buf);
    k.ld(tile, outer(type, base, ld));
    return tile;
  }
  Tile inner(DType type, const Buf& buf) { return k.tile_l1(type, buf, rows, cols); }

  Kernel k;
  Arg x = k.arg_dva("x"), y = k.arg_dva("y");
  Arg rows_arg = k.arg_u32("rows"), cols_arg = k.arg_u32("cols");
  Arg ldx = k.arg_u32("ldx"), ldy = k.arg_u32("ldy");
  Arg block_rows = k.arg_u32("block_rows"), block_cols = k.arg_u32("block_cols");
  Reg row0, col0, rows, cols;
};

using UnaryFn = Op (Kernel::*)(const Tile&, const Tile&, Loc);
struct UnaryRow {
  const char* name;
  UnaryFn fn;
};
constexpr UnaryRow kUnary[] = {
    {"neg", &Kernel::neg},           {"abs", &Kernel::abs},   {"relu", &Kernel::relu},
    {"exp", &Kernel::exp},           {"log", &Kernel::log},   {"sqrt", &Kernel::sqrt},
    {"rsqrt", &Kernel::rsqrt},       {"rcp", &Kernel::rcp},   {"tanh", &Kernel::tanh},
    {"sigmoid", &Kernel::sigmoid},   {"erf", &Kernel::erf},   {"gelu", &Kernel::gelu},
    {"gelu_erf", &Kernel::gelu_erf}, {"silu", &Kernel::silu}, {"sin", &Kernel::sin},
    {"cos", &Kernel::cos},
};

Program unary(const UnaryRow& row, DType type) {
  Block b(std::string(row.name) + "_" + type_name(type));
  Buf buf = b.k.l1(kBlockBytes);
  b.place();
  Tile tile = b.load(type, buf, b.x, b.ldx);
  (b.k.*row.fn)(tile, tile, Loc::current());
  b.k.st(b.outer(type, b.y, b.ldy), tile);
  return b.k.finish();
}

using BinaryFn = Op (Kernel::*)(const Tile&, const Tile&, const BOperand&, Loc);
struct BinaryRow {
  const char* name;
  BinaryFn fn;
};
constexpr BinaryRow kBinary[] = {
    {"add", &Kernel::vadd}, {"sub", &Kernel::vsub}, {"mul", &Kernel::vmul},
    {"div", &Kernel::vdiv}, {"max", &Kernel::vmax}, {"min", &Kernel::vmin},
};
constexpr const char* kSpreads[] = {"full", "row", "col", "scalar"};  // enum npu_bcast

Program binary(const BinaryRow& fn, DType type, npu_bcast spread) {
  Block b(std::string(fn.name) + "_" + type_name(type) + "_" + kSpreads[spread]);
  Arg other = b.k.arg_dva("b"), ldb = b.k.arg_u32("ldb"), value = b.k.arg_f32("value");
  Buf buf = b.k.l1(kBlockBytes);
  Buf buf_b = b.k.l1(kBlockBytes);
  b.place();
  Tile tile = b.load(type, buf, b.x, b.ldx);
  auto apply = [&](const BOperand& operand) { (b.k.*fn.fn)(tile, tile, operand, Loc::current()); };
  if (spread == NPU_BCAST_SCALAR) {
    apply(BOperand(value));
  } else if (spread == NPU_BCAST_FULL) {
    apply(BOperand(b.load(type, buf_b, other, ldb)));
  } else {
    const bool by_row = spread == NPU_BCAST_ROW;
    Reg one = b.k.reg(1);
    const Reg& rows = by_row ? one : b.rows;
    const Reg& cols = by_row ? b.cols : one;
    Reg stride = ldb;
    Reg at = by_row ? b.col0 + 0 : b.row0 * stride;
    at *= dtype_bytes(type);
    at += other;
    Tile line = b.k.tile_l1(type, buf_b, rows, cols);
    b.k.ld(line, b.k.tile_hbm(type, at, rows, cols, stride));
    apply(BOperand(line, spread));
  }
  b.k.st(b.outer(type, b.y, b.ldy), tile);
  return b.k.finish();
}

// y = silu(x) * b
Program silu_mul(DType type) {
  Block b("silu_mul_" + type_name(type));
  Arg other = b.k.arg_dva("b"), ldb = b.k.arg_u32("ldb");
  Buf buf = b.k.l1(kBlockBytes);
  Buf buf_b = b.k.l1(kBlockBytes);
  Buf buf_gate = b.k.l1(kBlockBytes);
  b.place();
  Tile gate = b.inner(DType::F32, buf_gate);
  Tile x = b.load(type, buf, b.x, b.ldx);
  Tile up = b.load(type, buf_b, other, ldb);
  b.k.silu(gate, x);
  b.k.vmul(x, gate, up);
  b.k.st(b.outer(type, b.y, b.ldy), x);
  return b.k.finish();
}

Program convert(DType from, DType to) {
  Block b("convert_" + type_name(from) + "_" + type_name(to));
  Buf buf = b.k.l1(kBlockBytes);
  Buf buf_to = b.k.l1(kBlockBytes);
  b.place();
  Tile x = b.load(from, buf, b.x, b.ldx);
  Tile y = b.inner(to, buf_to);
  b.k.cvt(y, x);
  b.k.st(b.outer(to, b.y, b.ldy), y);
  return b.k.finish();
}

}  // namespace

void add_elementwise(Programs& out) {
  for (DType type : kElementTypes) {
    for (const UnaryRow& row : kUnary) out.push_back(unary(row, type));
    for (const BinaryRow& row : kBinary) {
      for (int spread = 0; spread < 4; ++spread) {
        out.push_back(binary(row, type, static_cast<npu_bcast>(spread)));
      }
    }
    out.push_back(silu_mul(type));
  }
  out.push_back(convert(DType::F32, DType::BF16));
  out.push_back(convert(DType::BF16, DType::F32));
}

}  // namespace npu::kernels
