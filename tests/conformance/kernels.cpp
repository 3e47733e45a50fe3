// SPDX-License-Identifier: Apache-2.0
// Generator of the blob that the conformance tests launch: one small kernel for each behaviour.
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <vector>

#include "tools/isa/blob.h"
#include "tools/isa/builder.h"

using namespace npu::isa;

namespace {

constexpr uint32_t kColumns = 256;  // elements of one work-group

Program null_kernel() {
  Kernel k("null");
  return k.finish();
}

// y = x + s, kColumns elements a work-group.
Program add_scalar() {
  Kernel k("add_scalar");
  Reg x = k.arg_dva("x");
  Reg y = k.arg_dva("y");
  Reg s = k.arg_f32("s");
  k.chain(true);
  const Buf buffer = k.l1(kColumns * 4);
  const Reg offset = k.group_x() * (kColumns * 4);
  Tile tile = k.tile_l1(DType::F32, buffer, 1, kColumns);
  k.ld(tile, k.tile_hbm(DType::F32, x + offset, 1, kColumns));
  k.vadd(tile, tile, s);
  k.st(k.tile_hbm(DType::F32, y + offset, 1, kColumns), tile);
  return k.finish();
}

// Writes one element at any address: nothing but the address decides whether it may.
Program poke() {
  Kernel k("poke");
  Reg at = k.arg_dva("at");
  Reg value = k.arg_f32("value");
  k.chain(true);
  Tile tile = k.tile_l1(DType::F32, k.l1(64), 1, 1);
  k.vfill(tile, 0.0f);
  k.vadd(tile, tile, value);
  k.st(k.tile_hbm(DType::F32, at, 1, 1), tile);
  return k.finish();
}

// Prints |n| lines a work-group.
Program print_lines() {
  Kernel k("print_lines");
  Reg n = k.arg_u32("n");
  Reg value = k.arg_f32("value");
  Reg group = k.group_x();
  k.for_range(n, [&](const Reg& i) { k.print("group %d, %u: %.2f", {group, i, value}); });
  return k.finish();
}

// Ends the job unless |value| is positive.
Program check_value() {
  Kernel k("check_value");
  Reg value = k.arg_i32("value");
  k.print("value is %d", {value});
  k.check(value > 0, "%d is not positive, in 100%% of cases", {value});
  return k.finish();
}

// Copies one element from any address to |out|.
Program peek() {
  Kernel k("peek");
  Reg at = k.arg_dva("at");
  Reg out = k.arg_dva("out");
  k.chain(true);
  Tile tile = k.tile_l1(DType::F32, k.l1(64), 1, 1);
  k.ld(tile, k.tile_hbm(DType::F32, at, 1, 1));
  k.st(k.tile_hbm(DType::F32, out, 1, 1), tile);
  return k.finish();
}

Program trap() {
  Kernel k("trap");
  k.trap(0x2a);
  return k.finish();
}

Program assert_positive() {
  Kernel k("assert_positive");
  Reg n = k.arg_u32("n");
  k.assert_that(n, 7);
  return k.finish();
}

Program divide() {
  Kernel k("divide");
  Reg n = k.arg_u32("n");
  Reg d = k.arg_u32("d");
  Reg q = n / d;
  k.assert_that(q, 1);
  return k.finish();
}

// Multiplies matrices of ones, kSide on each side, in fp32 and then in bf16: every work-group writes one element of the sum of both products.
Program multiply() {
  constexpr uint32_t kSide = 64, kBytes = kSide * kSide * 4;
  Kernel k("multiply");
  Reg out = k.arg_dva("out");
  k.chain(true);
  const Buf sum = k.l1(kBytes), ones = k.l1(kBytes);
  Reg side = k.reg(static_cast<int32_t>(kSide));
  Tile result = k.tile_l1(DType::F32, sum, side, side);
  k.vfill(result, 0.0f);
  for (const DType type : {DType::F32, DType::BF16}) {
    Tile matrix = k.tile_l1(type, ones, side, side);
    k.vfill(matrix, 1.0f);
    k.mm(result, matrix, k.panel_l1(type, ones, side, side)).acc();
  }
  k.st(k.tile_hbm(DType::F32, out + k.group_x() * 4, 1, 1), k.tile_l1(DType::F32, sum, 1, 1));
  return k.finish();
}

// Runs until somebody ends it.
Program forever() {
  Kernel k("forever");
  k.while_([&] { return k.reg(1); }, [] {});
  return k.finish();
}

// out[x + grid_x (y + grid_y z)] = x + 100 y + 10000 z, to see every work-group.
Program grid() {
  Kernel k("grid");
  Reg out = k.arg_dva("out");
  k.chain(true);
  Reg x = k.group_x();
  Reg y = k.group_y();
  Reg z = k.group_z();
  Reg linear = x + k.sreg(NPU_SREG_GRID_X) * (y + k.sreg(NPU_SREG_GRID_Y) * z);
  Tile tile = k.tile_l1(DType::I32, k.l1(64), 1, 1);
  k.iota(tile, x + y * 100 + z * 10000, 0, 0);
  k.st(k.tile_hbm(DType::I32, out + linear * 4, 1, 1), tile);
  return k.finish();
}

// out = in + in, 64 numbers; VE waits for nobody.
Program racing_add() {
  Kernel k("racing_add");
  Arg in = k.arg_dva("in"), out = k.arg_dva("out");
  Tile tile = k.tile_l1(DType::F32, k.l1(256), 1, 64);
  Sem added = k.sem();
  k.ld(tile, k.tile_hbm(DType::F32, in, 1, 64));
  k.vadd(tile, tile, tile).signal(added);
  k.st(k.tile_hbm(DType::F32, out, 1, 64), tile).consume(added);
  return k.finish();
}

// Work-group |group| stores 64 numbers of which it has written 32.
Program half_written() {
  Kernel k("half_written");
  Arg out = k.arg_dva("out"), group = k.arg_u32("group");
  k.chain(true);
  Buf place = k.l1(256);
  Tile half = k.tile_l1(DType::F32, place, 1, 32);
  Tile all = k.tile_l1(DType::F32, place, 1, 64);
  k.if_(
      k.group_x() == group, [&] { k.vfill(half, 1.0f); }, [&] { k.vfill(all, 1.0f); });
  k.st(k.tile_hbm(DType::F32, out + k.group_x() * 256, 1, 64), all);
  return k.finish();
}

// LD and VE wait for each other.
Program deadlock() {
  Kernel k("deadlock");
  Arg in = k.arg_dva("in");
  Tile tile = k.tile_l1(DType::F32, k.l1(256), 1, 64);
  Sem full = k.sem(), empty = k.sem();
  k.ld(tile, k.tile_hbm(DType::F32, in, 1, 64)).consume(empty).signal(full);
  k.vadd(tile, tile, tile).consume(full).signal(empty);
  return k.finish();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s OUTPUT\n", argv[0]);
    return 2;
  }
  std::vector<Program> programs;
  programs.push_back(null_kernel());
  programs.push_back(add_scalar());
  programs.push_back(poke());
  programs.push_back(peek());
  programs.push_back(trap());
  programs.push_back(assert_positive());
  programs.push_back(divide());
  programs.push_back(multiply());
  programs.push_back(forever());
  programs.push_back(grid());
  programs.push_back(print_lines());
  programs.push_back(check_value());
  programs.push_back(racing_add());
  programs.push_back(half_written());
  programs.push_back(deadlock());
  auto elf = write_elf(programs);
  if (!elf) {
    std::fprintf(stderr, "%s\n", elf.error().c_str());
    return 1;
  }
  std::ofstream file(argv[1], std::ios::binary);
  file.write(reinterpret_cast<const char*>(elf->data()), static_cast<std::streamsize>(elf->size()));
  return file.good() ? 0 : 1;
}
