// SPDX-License-Identifier: Apache-2.0
// Functions of one operand on tensors of any strides, copies, changes of type. Arithmetic is fp32, rounded once when the result is made.
//
// The vector unit has no comparison. Where a function needs one, a difference is made so large that the limits 0 and 1 turn it into a truth value.
#include <limits>

#include "firmware-model/kernels/tensor_walk.h"

namespace npu::kernels {
namespace {

using namespace npu::isa;

constexpr float kHuge = 0x1p126f;      // twice this makes 1 or more of every number but 0
constexpr float kMostWhole = 0x1p23f;  // from here on every number is whole
constexpr float kMost = std::numeric_limits<float>::max();

// fp32 blocks for what lies between x and the result; a program has those that one of its functions needs.
class Scratch {
 public:
  explicit Scratch(Kernel& k) : k_(k) {}
  const Buf& buf(int i) {
    if (!bufs_[i]) bufs_[i] = k_.l1(kBlockElements * 4);
    return *bufs_[i];
  }

 private:
  Kernel& k_;
  std::optional<Buf> bufs_[3];
};

// One function at work: a block of x, of the result, the numbers a and b, and blocks in between, which are there once they are named.
struct Job {
  Kernel& k;
  Scratch& scratch;
  const Reg &rows, &cols;
  const Tile &y, &x;
  const Arg *a = nullptr, *b = nullptr;
  std::optional<Tile> made[3] = {};

  const Tile& t(int i) {
    if (!made[i]) made[i].emplace(k.tile_l1(DType::F32, scratch.buf(i), rows, cols));
    return *made[i];
  }
};

// to = x > 0 ? 1 : 0, or with |below| -1 also -1 for x < 0. |sign| -1 turns x around first. t0 is written.
void truth(Job& j, const Tile& to, const Tile& x, float below, float sign = 1) {
  const Tile& t0 = j.t(0);
  j.k.vmul(t0, x, sign * kHuge);
  j.k.vmul(t0, t0, kHuge);
  j.k.vmax(t0, t0, below);
  j.k.vmin(to, t0, 1.0f);
}

// t0 = x between the limits of kMostWhole, t1 = what rounding t0 to nearest even takes away; x - t1 is x rounded, however large.
void fraction(Job& j) {
  const Tile &t0 = j.t(0), &t1 = j.t(1);
  j.k.vmax(t0, j.x, -kMostWhole);
  j.k.vmin(t0, t0, kMostWhole);
  Tile whole = j.k.tile_l1(DType::I32, j.scratch.buf(1), j.rows, j.cols);
  j.k.cvt(whole, t0);
  j.k.cvt(t1, whole);
  j.k.vsub(t1, t0, t1);
}

void floor(Job& j) {
  fraction(j);
  truth(j, j.t(0), j.t(1), 0, -1);
  j.k.vsub(j.t(1), j.x, j.t(1));
  j.k.vsub(j.y, j.t(1), j.t(0));
}

void ceil(Job& j) {
  fraction(j);
  truth(j, j.t(0), j.t(1), 0);
  j.k.vsub(j.t(1), j.x, j.t(1));
  j.k.vadd(j.y, j.t(1), j.t(0));
}

// t0 = the sign of t0 where that is at least 1/2 large; smaller ones stay below 1.
void sign_of_halves(Job& j) {
  const Tile& t0 = j.t(0);
  j.k.vadd(t0, t0, t0);
  j.k.vmax(t0, t0, -1.0f);
  j.k.vmin(t0, t0, 1.0f);
}

// Rounding went away from zero where the fraction and x have different signs: x is at least 1/2 large then, their product at least 2^-25.
void trunc(Job& j) {
  const Tile &t0 = j.t(0), &t1 = j.t(1), &t2 = j.t(2);
  fraction(j);
  j.k.vmul(t2, t1, t0);
  j.k.vmul(t2, t2, -0x1p60f);
  j.k.vmax(t2, t2, 0.0f);
  j.k.vmin(t2, t2, 1.0f);
  sign_of_halves(j);
  j.k.vmul(t0, t0, t2);
  j.k.vsub(t1, j.x, t1);
  j.k.vsub(j.y, t1, t0);
}

// Rounding went towards zero at a half where the fraction has the sign of x and is 1/2; the next smaller product is 1/2 - 2^-24.
void round(Job& j) {
  const Tile &t0 = j.t(0), &t1 = j.t(1), &t2 = j.t(2);
  fraction(j);
  sign_of_halves(j);
  j.k.vmul(t2, t1, t0);
  j.k.vadd(t2, t2, -0.5f);
  j.k.vfma(t2, t2, 0x1p24f, 1.0f);
  j.k.vmax(t2, t2, 0.0f);
  j.k.vsub(t1, j.x, t1);
  j.k.vfma(j.y, t2, t0, t1);
}

// t0 = e^t0 - 1 for t0 <= 1, as 2 h / (1 - h) with h = tanh(t0 / 2): no digits cancel.
void expm1_small(Job& j) {
  const Tile &t0 = j.t(0), &t1 = j.t(1);
  j.k.vmul(t0, t0, 0.5f);
  j.k.tanh(t0, t0);
  j.k.vfma(t1, t0, -1.0f, 1.0f);
  j.k.vadd(t0, t0, t0);
  j.k.vdiv(t0, t0, t1);
}

void elu(Job& j) {
  j.k.vmin(j.t(0), j.x, 0.0f);
  expm1_small(j);
  j.k.relu(j.t(1), j.x);
  j.k.vadd(j.y, j.t(1), j.t(0));
}

// With c = min(x, 1) and r = x - c: e^r (e^c - 1) + (e^r - 1).
void expm1(Job& j) {
  const Tile &t0 = j.t(0), &t1 = j.t(1), &t2 = j.t(2);
  j.k.vmin(t0, j.x, 1.0f);
  expm1_small(j);
  j.k.vadd(t1, j.x, -1.0f);
  j.k.relu(t1, t1);
  j.k.exp(t1, t1);
  j.k.vadd(t2, t1, -1.0f);
  j.k.vfma(j.y, t1, t0, t2);
}

// max(x, 0) + ln(1 + z) with z = e^-|x|; u = 1 + z rounds, which (z - (u - 1)) / u makes good.
void softplus(Job& j) {
  const Tile &t0 = j.t(0), &t1 = j.t(1), &t2 = j.t(2);
  j.k.abs(t0, j.x);
  j.k.neg(t0, t0);
  j.k.exp(t0, t0);
  j.k.vadd(t1, t0, 1.0f);
  j.k.vadd(t2, t1, -1.0f);
  j.k.vsub(t2, t0, t2);
  j.k.vdiv(t2, t2, t1);
  j.k.log(t1, t1);
  j.k.vadd(t1, t1, t2);
  j.k.relu(t0, j.x);
  j.k.vadd(j.y, t1, t0);
}

void hardsigmoid(Job& j, const Tile& to) {
  const Tile& t0 = j.t(0);
  j.k.vadd(t0, j.x, 3.0f);
  j.k.vdiv(t0, t0, 6.0f);
  j.k.vmax(t0, t0, 0.0f);
  j.k.vmin(to, t0, 1.0f);
}

// y = x t0, where t0 is 0 for -infinity too.
void times_x(Job& j) {
  j.k.vmax(j.t(1), j.x, -kMost);
  j.k.vmul(j.y, j.t(1), j.t(0));
}

using MapFn = void (*)(Job&);
struct MapRow {
  const char* name;
  MapFn fn;
};
// In the order of libnpu/ops/tensor_map.cpp.
constexpr MapRow kMap[] = {
    {"neg", [](Job& j) { j.k.neg(j.y, j.x); }},
    {"abs", [](Job& j) { j.k.abs(j.y, j.x); }},
    {"relu", [](Job& j) { j.k.relu(j.y, j.x); }},
    {"exp", [](Job& j) { j.k.exp(j.y, j.x); }},
    {"log", [](Job& j) { j.k.log(j.y, j.x); }},
    {"sqrt", [](Job& j) { j.k.sqrt(j.y, j.x); }},
    {"rsqrt", [](Job& j) { j.k.rsqrt(j.y, j.x); }},
    {"rcp", [](Job& j) { j.k.rcp(j.y, j.x); }},
    {"tanh", [](Job& j) { j.k.tanh(j.y, j.x); }},
    {"sigmoid", [](Job& j) { j.k.sigmoid(j.y, j.x); }},
    {"erf", [](Job& j) { j.k.erf(j.y, j.x); }},
    {"gelu", [](Job& j) { j.k.gelu(j.y, j.x); }},
    {"gelu_erf", [](Job& j) { j.k.gelu_erf(j.y, j.x); }},
    {"silu", [](Job& j) { j.k.silu(j.y, j.x); }},
    {"sin", [](Job& j) { j.k.sin(j.y, j.x); }},
    {"cos", [](Job& j) { j.k.cos(j.y, j.x); }},
    {"scale", [](Job& j) { j.k.vfma(j.y, j.x, *j.a, *j.b); }},
    {"clamp",
     [](Job& j) {
       j.k.vmax(j.t(0), j.x, *j.a);
       j.k.vmin(j.y, j.t(0), *j.b);
     }},
    {"square", [](Job& j) { j.k.vmul(j.y, j.x, j.x); }},
    {"gelu_quick",
     [](Job& j) {
       j.k.vmul(j.t(0), j.x, 1.702f);
       j.k.sigmoid(j.t(0), j.t(0));
       times_x(j);
     }},
    {"leaky_relu",
     [](Job& j) {
       j.k.vmin(j.t(0), j.x, 0.0f);
       j.k.relu(j.t(1), j.x);
       j.k.vfma(j.y, j.t(0), *j.a, j.t(1));
     }},
    {"sign", [](Job& j) { truth(j, j.y, j.x, -1); }},
    {"step", [](Job& j) { truth(j, j.y, j.x, 0); }},
    {"elu", elu},
    {"hardswish",
     [](Job& j) {
       hardsigmoid(j, j.t(0));
       times_x(j);
     }},
    {"hardsigmoid", [](Job& j) { hardsigmoid(j, j.y); }},
    {"floor", floor},
    {"ceil", ceil},
    {"round", round},
    {"trunc", trunc},
    {"softplus", softplus},
    {"expm1", expm1},
};

// y = f(x) for a run of elements.
Program map(const MapRow& row, DType type) {
  Run run("map_" + std::string(row.name) + "_" + tensor_type_name(type), {"x", "y"});
  Arg a = run.k.arg_f32("a"), b = run.k.arg_f32("b");
  Buf buf = run.k.l1(kBlockElements * 4);
  Scratch scratch(run.k);
  run.place();
  Tile x = run.load(0, type, buf);
  Job job{run.k, scratch, run.one, run.count, x, x, &a, &b};
  row.fn(job);
  run.store(1, x);
  return run.k.finish();
}

// y = one of all functions for any strides.
Program map_walk(DType type) {
  TensorWalk walk("map_walk_" + tensor_type_name(type), {"x", "y"});
  Kernel& k = walk.k;
  Arg function_arg = k.arg_u32("function"), a = k.arg_f32("a"), b = k.arg_f32("b");
  Buf buf = k.l1(kBlockElements * 4), l2 = k.l2(kBlockElements * 4);
  Scratch scratch(k);
  walk.run([&] {
    Tile x = walk.inner(type, buf);
    walk.load_or_spread(0, type, x, buf, l2);
    Reg function = function_arg;
    choose(k, function, 0, std::size(kMap), [&](uint32_t i) {
      Job job{k, scratch, walk.rows, walk.cols, x, x, &a, &b};
      kMap[i].fn(job);
    });
    walk.store(1, x);
  });
  return k.finish();
}

// Copies in the order of libnpu/ops/tensor_map.cpp. Equal types move as bits. Those from blocks come for any strides only.
struct CopyRow {
  const char* name;
  DType from, to;
};
constexpr CopyRow kCopies[] = {
    {"b32", DType::I32, DType::I32},         {"b16", DType::F16, DType::F16},
    {"f32_bf16", DType::F32, DType::BF16},   {"f32_f16", DType::F32, DType::F16},
    {"bf16_f32", DType::BF16, DType::F32},   {"bf16_f16", DType::BF16, DType::F16},
    {"f16_f32", DType::F16, DType::F32},     {"f16_bf16", DType::F16, DType::BF16},
    {"i32_f32", DType::I32, DType::F32},     {"f32_i32", DType::F32, DType::I32},
    {"q8_0_f32", DType::Q8_0, DType::F32},   {"q4_0_f32", DType::Q4_0, DType::F32},
    {"q4_k_f32", DType::Q4_K, DType::F32},   {"q6_k_f32", DType::Q6_K, DType::F32},
    {"f32_q8_0", DType::F32, DType::Q8_0},   {"f32_q4_0", DType::F32, DType::Q4_0},
    {"bf16_q8_0", DType::BF16, DType::Q8_0}, {"bf16_q4_0", DType::BF16, DType::Q4_0},
    {"f16_q8_0", DType::F16, DType::Q8_0},   {"f16_q4_0", DType::F16, DType::Q4_0},
};

// Loading converts, except to int32: that takes fp32, cut towards zero, in |x| and gives it in |y|, which may lie in one place.
DType loaded_as(const CopyRow& row) {
  if (in_blocks(row.to)) return DType::F32;
  return row.to == DType::I32 ? row.from : row.to;
}

void to_int32(Kernel& k, Scratch& scratch, const Reg& rows, const Reg& cols, const Tile& y,
              const Tile& x) {
  Job whole{k, scratch, rows, cols, x, x};
  trunc(whole);
  k.cvt(y, x);
}

Program copy(const CopyRow& row) {
  Run run("copy_" + std::string(row.name), {"x", "y"});
  Buf buf = run.k.l1(kBlockElements * 4);
  Scratch scratch(run.k);
  run.place();
  Tile x = run.load(0, row.from, loaded_as(row), buf);
  if (x.dtype() == row.to) {
    run.store(1, x);
  } else {
    Tile y = run.inner(row.to, buf);
    to_int32(run.k, scratch, run.one, run.count, y, x);
    run.store(1, y);
  }
  return run.k.finish();
}

Program copy_walk(const CopyRow& row) {
  TensorWalk walk("copy_walk_" + std::string(row.name), {"x", "y"});
  Kernel& k = walk.k;
  Buf buf = k.l1(kBlockElements * 4), l2 = k.l2(kBlockElements * 4);
  Scratch scratch(k);
  if (in_blocks(row.from)) walk.set_blocks(0, row.from);
  if (in_blocks(row.to)) walk.set_blocks(1, row.to);
  walk.run([&] {
    Tile x = walk.inner(loaded_as(row), buf);
    if (in_blocks(row.from)) {
      walk.load(0, row.from, x, walk.rows, walk.cols);
    } else {
      walk.load_or_spread(0, row.from, x, buf, l2);
    }
    if (x.dtype() == row.to) return walk.store(1, x);
    if (in_blocks(row.to)) return walk.store_blocks(1, row.to, x);
    Tile y = walk.inner(row.to, buf);
    to_int32(k, scratch, walk.rows, walk.cols, y, x);
    walk.store(1, y);
  });
  return k.finish();
}

}  // namespace

void add_tensor_map(Programs& out) {
  for (DType type : kTensorTypes) {
    for (const MapRow& row : kMap) out.push_back(map(row, type));
    out.push_back(map_walk(type));
  }
  for (const CopyRow& row : kCopies) {
    if (!in_blocks(row.from) && !in_blocks(row.to)) out.push_back(copy(row));
    out.push_back(copy_walk(row));
  }
}

}  // namespace npu::kernels
