// SPDX-License-Identifier: Apache-2.0
// Device times against the peaks of every profile: large products near the roofline and never above it, in each type; its knee; and what tiles share.
//
// Only times are looked at, so the arithmetic is left out: the numerics below do nothing where the time would go.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "firmware-model/device/launch.h"
#include "firmware-model/kernels/kernels.h"
#include "firmware-model/network/table.h"
#include "firmware-model/server/profile.h"
#include "firmware-model/tile/numerics/numerics.h"
#include "firmware-model/tile/timing.h"
#include "libnpu/ops/error.h"
#include "libnpu/ops/plan.h"
#include "libnpu/ops/type.h"
#include "tools/isa/builder.h"
#include "tools/isa/pipe.h"

namespace npu::model {
namespace {

using isa::DType;

constexpr uint32_t kElements = 32 << 10;  // of an operand's block, at most

const Numerics& no_arithmetic() {
  static const Numerics numerics = [] {
    Numerics n = simd_numerics();
    n.mm = [](const MmArgs&) {};
    n.pack_panel = [](float*, const PackArgs&) {};
    n.pack_panel_u16 = [](uint16_t*, const PackArgs&) {};
    n.pack_panel_u8 = [](uint8_t*, const PackArgs&) {};
    n.widen_bf16 = [](float*, const uint16_t*, size_t) {};
    n.widen_small = [](Small, float*, const uint8_t*, size_t) {};
    n.decode_mx = [](Mx, float*, const std::byte*, size_t) {};
    return n;
  }();
  return numerics;
}

// The same memory wherever one looks.
class Everywhere final : public AddressSpace {
 public:
  explicit Everywhere(bool on_host = false) : on_host_(on_host) {}
  bool translate(uint64_t dva, npu_fault_access, Translation* out) const override {
    *out = {dva, dva + kBytes, bytes_.get(), true, true, on_host_};
    return true;
  }
  uint64_t generation() const override { return 1; }

 private:
  static constexpr uint64_t kBytes = 64 << 20;
  struct Free {
    void operator()(std::byte* bytes) const { std::free(bytes); }
  };
  // Zeros that take no memory until they are written.
  std::unique_ptr<std::byte[], Free> bytes_{static_cast<std::byte*>(std::calloc(kBytes, 1))};
  const bool on_host_;
};

npu_profile load(const std::string& name) {
  npu_profile profile{};
  std::vector<server::PortBinding> bindings;
  std::string error;
  EXPECT_TRUE(server::load_profile(std::string(NPU_TEST_PROFILE_DIR) + "/" + name + ".toml",
                                   &profile, &bindings, &error))
      << error;
  return profile;
}

LaunchOutcome run(const npu_profile& profile, const isa::Program& program,
                  const std::array<uint32_t, 3>& grid, std::span<const std::byte> args,
                  const AddressSpace& space) {
  Kernel kernel;
  kernel.program.code = program.insns;
  kernel.program.args_bytes = program.note.args_bytes;
  kernel.program.l1_bytes = program.note.l1_bytes;
  kernel.program.l2_bytes = program.note.l2_bytes;
  kernel.program.acc_bytes = program.note.acc_bytes;
  kernel.program.group_tiles = program.note.group_tiles;
  LaunchEngine engine(profile, 1, no_arithmetic());
  LaunchRequest request;
  request.kernel = &kernel;
  request.launch.space = &space;
  request.launch.grid = grid;
  request.launch.args = args;
  request.budget = UINT64_MAX;
  LaunchOutcome done = engine.run(request, [] {});
  EXPECT_EQ(done.fault.status, NPU_ST_OK);
  return done;
}

LaunchOutcome run(const npu_profile& profile, const isa::Program& program, uint32_t groups,
                  const AddressSpace& space) {
  return run(profile, program, {groups, 1, 1}, {}, space);
}

struct Product {
  DType a, b;
  uint32_t side, depth, steps;
};

bool is_block(DType type) { return isa::in_blocks(type); }
uint32_t l1_bytes_of(DType type) { return is_block(type) ? 4 : isa::dtype_bytes(type); }

// A block of C that stays in L1, side x side, through |steps| blocks of A and B: the inner part of a large product.
isa::Program product(const Product& p) {
  isa::Kernel k("product");
  const uint32_t a_bytes = p.side * p.depth * l1_bytes_of(p.a);
  isa::Pipe<2> pipe(k, a_bytes + p.side * p.depth * l1_bytes_of(p.b));
  const DType sums = p.a == DType::I8 ? DType::I32 : DType::F32;
  isa::Buf l1_c = k.l1(p.side * p.side * 4);
  isa::Reg side = k.reg(static_cast<int32_t>(p.side)), depth = k.reg(static_cast<int32_t>(p.depth));
  isa::Reg from = k.reg(0);
  const auto in_l1 = [](DType type) { return is_block(type) ? DType::F32 : type; };
  isa::Tile c = k.tile_l1(sums, l1_c, side, side);
  const auto load_a = [&](const isa::Tile& to) {
    isa::Tile outer = k.tile_hbm(p.a, from, side, depth);
    is_block(p.a) ? k.ldc(to, outer) : k.ld(to, outer);
  };
  const auto load_b = [&](const isa::Tile& to) {
    isa::Tile outer = k.tile_hbm(p.b, from, side, depth);  // [n, k]
    is_block(p.b) ? k.ldc(to, outer).trans() : k.ld(to, outer).trans();
  };
  isa::Reg count = k.reg(static_cast<int32_t>(p.steps));
  k.for_range(std::move(count), [&](const isa::Reg&) {
    pipe.produce([&](const isa::Reg& at) {
      load_a(k.tile_l1(in_l1(p.a), at, side, depth));
      load_b(k.panel_l1(in_l1(p.b), at + a_bytes, depth, side));
    });
    pipe.consume([&](const isa::Reg& at) {
      k.mm(c, k.tile_l1(in_l1(p.a), at, side, depth),
           k.panel_l1(in_l1(p.b), at + a_bytes, depth, side))
          .acc();
    });
  });
  return k.finish();
}

// The largest block whose operands fit beside it.
Product largest(const npu_profile& profile, DType a, DType b, uint32_t steps) {
  Product p{a, b, 64, 64, steps};
  const auto bytes = [&](uint64_t side) {
    return side * side * 4 + 2 * side * p.depth * (l1_bytes_of(a) + l1_bytes_of(b)) + 4096;
  };
  while (p.side < 1024 && bytes(p.side + 32) <= profile.l1_bytes) p.side += 32;
  return p;
}

struct Reached {
  double macs_per_second, bytes_per_second, macs_per_byte;
  double peak_told;  // multiply-adds a second
  uint32_t side;
};

Reached measure(const npu_profile& profile, const Product& p) {
  static const Everywhere memory;
  const LaunchOutcome done =
      run(profile, product(p), profile.clusters * profile.tiles_per_cluster, memory);
  const double seconds =
      (static_cast<double>(done.duration_ps) - profile.launch_overhead_ns * 1e3) * 1e-12;
  const auto macs = static_cast<double>(done.stats.mac_ops);
  const auto bytes = static_cast<double>(done.stats.hbm_read_bytes);
  const double tensor_seconds = static_cast<double>(done.tensor_ps) * 1e-12;
  return {macs / seconds, bytes / seconds, macs / bytes, macs / tensor_seconds, p.side};
}

double bandwidth(const npu_profile& profile) {
  return static_cast<double>(profile.hbm_mbytes_per_s) * 1e6;
}

// Of the whole chip, for |rate| multiply-adds a cycle and tile.
double peak(const npu_profile& profile, double rate) {
  return rate * profile.clusters * profile.tiles_per_cluster * profile.core_clock_khz * 1e3;
}

struct Case {
  const char* name;
  DType a, b;
  uint32_t npu_profile::*rate;
};
constexpr Case kCases[] = {
    {"f32", DType::F32, DType::F32, &npu_profile::mac_per_cycle_f32},
    {"bf16", DType::BF16, DType::BF16, &npu_profile::mac_per_cycle_bf16},
    {"fp8", DType::E4M3, DType::E5M2, &npu_profile::mac_per_cycle_fp8},
    {"i8", DType::I8, DType::I8, &npu_profile::mac_per_cycle_i8},
    {"mxfp8", DType::MXFP8_E4M3, DType::MXFP8_E4M3, &npu_profile::mac_per_cycle_fp8},
    {"mx9", DType::MX9, DType::MX9, &npu_profile::mac_per_cycle_fp8},
    {"mxint8", DType::MXINT8, DType::MXINT8, &npu_profile::mac_per_cycle_i8},
    {"mxfp6", DType::MXFP6_E2M3, DType::MXFP6_E3M2, &npu_profile::mac_per_cycle_fp6},
    {"mxfp4", DType::MXFP4, DType::MXFP4, &npu_profile::mac_per_cycle_fp4},
    {"mxfp8 x mxfp4", DType::MXFP8_E4M3, DType::MXFP4, &npu_profile::mac_per_cycle_fp8_fp4},
    {"q8_0", DType::Q8_0, DType::Q8_0, &npu_profile::mac_per_cycle_f32},
};

class Peak : public ::testing::TestWithParam<const char*> {};

TEST_P(Peak, LargeProductsComeNearTheRooflineOfTheirTypeAndNeverAboveIt) {
  npu_profile profile = load(GetParam());
  // One cluster with its part of the memory's bandwidth: each tile has what it has on the whole chip.
  profile.hbm_mbytes_per_s /= profile.clusters;
  profile.clusters = 1;
  for (const Case& c : kCases) {
    const Reached r = measure(profile, largest(profile, c.a, c.b, 32));
    const double most = peak(profile, profile.*c.rate);
    const double roof = std::min(most, r.macs_per_byte * bandwidth(profile));
    SCOPED_TRACE(std::string(c.name) + ": side " + std::to_string(r.side) + ", roof / peak " +
                 std::to_string(roof / most));
    EXPECT_LE(r.macs_per_second, roof);
    EXPECT_NEAR(r.peak_told, most, 1e-5 * most);
    // Around the knee both limits add up, as far as the setup of a DMA is in neither.
    const double of_ridge = r.macs_per_byte * bandwidth(profile) / most;
    EXPECT_GE(r.macs_per_second, (of_ridge > 0.7 && of_ridge < 1.3 ? 0.75 : 0.85) * roof);
  }
}

INSTANTIATE_TEST_SUITE_P(Profiles, Peak,
                         ::testing::Values("atom", "jalapeno", "kaist", "mach1", "maia100",
                                           "maia200", "rngd", "tiny", "warboy", "x220"));

constexpr uint32_t kTwoTypesSide = 64;

// The same product in each of |types|, one after the other.
isa::Program products(std::initializer_list<DType> types) {
  constexpr uint32_t kBytes = kTwoTypesSide * kTwoTypesSide * 4;
  isa::Kernel k("products");
  isa::Buf c = k.l1(kBytes), a = k.l1(kBytes), b = k.l1(kBytes);
  isa::Reg side = k.reg(static_cast<int32_t>(kTwoTypesSide));
  for (const DType type : types) {
    k.mm(k.tile_l1(DType::F32, c, side, side), k.tile_l1(type, a, side, side),
         k.panel_l1(type, b, side, side))
        .acc();
  }
  return k.finish();
}

TEST(PeakOfMixtures, EachPartIsCountedAtTheRateOfItsType) {
  static const Everywhere memory;
  const npu_profile profile = load("tiny");
  const auto told = [&](std::initializer_list<DType> types, uint32_t groups) {
    const LaunchOutcome done = run(profile, products(types), groups, memory);
    EXPECT_LE(done.tensor_ps, done.duration_ps);
    return done.tensor_ps;
  };
  // Of all tiles, also where the launch leaves some of them without work.
  const double macs = std::pow(kTwoTypesSide, 3);
  const double f32_ps = macs / peak(profile, profile.mac_per_cycle_f32) * 1e12;
  const double bf16_ps = macs / peak(profile, profile.mac_per_cycle_bf16) * 1e12;
  const double fp8_ps = macs / peak(profile, profile.mac_per_cycle_fp8) * 1e12;
  EXPECT_EQ(told({DType::F32}, 1), std::round(f32_ps));
  EXPECT_EQ(told({DType::F32, DType::BF16}, 1), std::round(f32_ps + bf16_ps));
  EXPECT_EQ(told({DType::E4M3, DType::F32, DType::BF16}, 3),
            std::round(3 * (f32_ps + bf16_ps + fp8_ps)));
  EXPECT_EQ(told({}, 1), 0u);
}

// The device that libnpuops would find behind such a profile.
class ProfileChip final : public ops::ChipSource {
 public:
  explicit ProfileChip(const npu_profile& p) {
    chip_.tiles = p.clusters * p.tiles_per_cluster;
    chip_.core_clock_khz = p.core_clock_khz;
    chip_.memory_bytes_per_second = p.hbm_mbytes_per_s * 1'000'000;
    uint32_t npu_profile::*const kRates[ops::kRateCount] = {
        &npu_profile::mac_per_cycle_f32, &npu_profile::mac_per_cycle_bf16,
        &npu_profile::mac_per_cycle_fp8, &npu_profile::mac_per_cycle_i8,
        &npu_profile::mac_per_cycle_fp6, &npu_profile::mac_per_cycle_fp4};
    for (uint32_t i = 0; i < ops::kRateCount; ++i)
      chip_.macs_per_second[i] = static_cast<uint64_t>(peak(p, p.*kRates[i]));
    chip_.wide_l1 = ops::wide_l1_of(p.l1_bytes, p.acc_bytes);
  }
  const ops::Chip& chip() override { return chip_; }

 private:
  ops::Chip chip_;
};

const isa::Program& shipped(const std::string& name, uint32_t wide_l1) {
  static std::map<std::string, isa::Program> programs;
  const std::string key = name + (name.ends_with("_wide") ? std::to_string(wide_l1) : "");
  if (programs.empty()) {
    for (isa::Program& p : kernels::all_kernels()) {
      const std::string program_name = p.note.name;
      programs.emplace(program_name, std::move(p));
    }
    for (uint32_t l1 = 1; l1 <= 4; ++l1) {
      kernels::Programs wide;
      kernels::add_gemm_wide(wide, l1);
      for (isa::Program& p : wide) {
        const std::string program_name = p.note.name + std::to_string(l1);
        programs.emplace(program_name, std::move(p));
      }
    }
  }
  return programs.at(key);
}

// What libnpuops makes of a large product: multiply-adds a second.
double reached_by_ops(const npu_profile& profile, npuDataType a, npuDataType b, std::string* how) {
  static const Everywhere memory;
  ProfileChip chip(profile);
  ops::Plan plan;
  plan.chips = &chip;
  npuOpsGemmInfo info{};
  info.struct_size = sizeof(info);
  info.type = a;
  info.mixed = a != b;
  if (a != b) info.b_type = b;
  info.out_type = a == NPU_FLOAT32 ? NPU_FLOAT32 : NPU_BFLOAT16;
  info.b_form = NPU_OPS_TRANSPOSED;
  info.m = 2048;
  info.n = 1024 * profile.clusters * profile.tiles_per_cluster;
  info.k = isa::in_blocks(static_cast<DType>(ops::device_type(a))) ? 4096 : 10240;
  info.a = 1 << 20;
  info.b = uint64_t{1} << 34;
  info.d = uint64_t{1} << 36;
  info.alpha = 1;
  EXPECT_EQ(ops::plan_gemm(&info, &plan), NPU_OK) << ops::error_text();
  const std::string name = ops::program_name(plan.program);
  const isa::Program& program = shipped(name, chip.chip().wide_l1);
  const LaunchOutcome done = run(profile, program, {plan.grid[0], plan.grid[1], plan.grid[2]},
                                 std::as_bytes(std::span(plan.args, plan.block_bytes())), memory);
  const double seconds =
      (static_cast<double>(done.duration_ps) - profile.launch_overhead_ns * 1e3) * 1e-12;
  *how = name + " grid " + std::to_string(plan.grid[0]) + " x " + std::to_string(plan.grid[1]);
  EXPECT_EQ(done.stats.mac_ops, uint64_t{info.m} * info.n * info.k);
  return static_cast<double>(done.stats.mac_ops) / seconds;
}

double bytes_of_one(npuDataType type) {
  const ops::TypeLayout layout = ops::layout_of(type);
  return static_cast<double>(layout.block_bytes) / layout.block_elements;
}

TEST_P(Peak, OfTheOperatorIsReachedByLargeProducts) {
  npu_profile profile = load(GetParam());
  profile.hbm_mbytes_per_s /= profile.clusters;
  profile.clusters = 1;
  const npuDataType kTypes[][2] = {{NPU_FLOAT32, NPU_FLOAT32},
                                   {NPU_BFLOAT16, NPU_BFLOAT16},
                                   {NPU_FLOAT8_E4M3, NPU_FLOAT8_E5M2},
                                   {NPU_INT8, NPU_INT8},
                                   {NPU_MXFP8_E4M3, NPU_MXFP8_E4M3},
                                   {NPU_MX9, NPU_MX9},
                                   {NPU_MXINT8, NPU_MXINT8},
                                   {NPU_MXFP6_E2M3, NPU_MXFP6_E3M2},
                                   {NPU_MXFP4, NPU_MXFP4},
                                   {NPU_MXFP8_E4M3, NPU_MXFP4},
                                   {NPU_Q8_0, NPU_Q8_0}};
  // A block of C cannot be larger than what holds its sums, which limits the multiplications for each byte. The smallest chip comes to that limit.
  const double side = std::min(1024.0, std::sqrt((profile.l1_bytes + profile.acc_bytes) / 4.0));
  for (size_t i = 0; i < std::size(kCases); ++i) {
    std::string how;
    const double most = peak(profile, profile.*kCases[i].rate);
    const double operand_bytes = bytes_of_one(kTypes[i][0]) + bytes_of_one(kTypes[i][1]);
    const double roof = std::min(most, side / operand_bytes * bandwidth(profile));
    const double got = reached_by_ops(profile, kTypes[i][0], kTypes[i][1], &how);
    SCOPED_TRACE(std::string(kCases[i].name) + ": " + std::to_string(got / most) +
                 " of the peak, " + how);
    EXPECT_LE(got, most);
    // Types in blocks lie in L1 as fp32, so that their blocks are less deep and their loads short.
    const bool in_blocks = is_block(kCases[i].a);
    EXPECT_GE(got, (in_blocks ? 0.55 : roof < most ? 0.8 : 0.85) * roof);
  }
}

// What the host's speed is measured with: no large block would save device time there.
TEST(Operator, ProductsThatTheDefaultChipDoesWellStayAsTheyWere) {
  ProfileChip chip(load("maia100"));
  for (const uint32_t side : {512u, 1024u, 2048u}) {
    npuOpsGemmInfo info{};
    info.struct_size = sizeof(info);
    info.m = info.n = info.k = side;
    info.a = info.b = info.d = 1 << 20;
    info.alpha = 1;
    ops::Plan known, unknown;
    known.chips = &chip;
    ASSERT_EQ(ops::plan_gemm(&info, &known), NPU_OK);
    ASSERT_EQ(ops::plan_gemm(&info, &unknown), NPU_OK);
    EXPECT_EQ(known.program, unknown.program) << side;
    EXPECT_TRUE(std::ranges::equal(known.grid, unknown.grid));
    EXPECT_TRUE(std::ranges::equal(known.args, unknown.args));
  }
}

TEST(PeakOfTheProfile, IsWhatWasPublished) {
  struct Published {
    const char* profile;
    uint32_t npu_profile::*rate;
    double tera;  // operations a second
  };
  constexpr Published kPublished[] = {
      {"maia100", &npu_profile::mac_per_cycle_fp8, 1500},
      {"maia100", &npu_profile::mac_per_cycle_fp6, 3000},
      {"maia200", &npu_profile::mac_per_cycle_bf16, 1268},
      {"maia200", &npu_profile::mac_per_cycle_fp8, 5072},
      {"maia200", &npu_profile::mac_per_cycle_fp4, 10145},
      {"jalapeno", &npu_profile::mac_per_cycle_fp8, 3400},
      {"jalapeno", &npu_profile::mac_per_cycle_fp8_fp4, 6700},
      {"jalapeno", &npu_profile::mac_per_cycle_fp4, 13400},
      {"rngd", &npu_profile::mac_per_cycle_bf16, 256},
      {"rngd", &npu_profile::mac_per_cycle_fp8, 512},
      {"rngd", &npu_profile::mac_per_cycle_i8, 512},
      {"atom", &npu_profile::mac_per_cycle_bf16, 32},
      {"atom", &npu_profile::mac_per_cycle_i8, 128},
      {"warboy", &npu_profile::mac_per_cycle_i8, 64},
  };
  for (const Published& p : kPublished) {
    const npu_profile profile = load(p.profile);
    EXPECT_NEAR(2e-12 * peak(profile, profile.*p.rate) / p.tera, 1, 0.03)
        << p.profile << " " << p.tera;
  }
}

TEST(Roofline, HasItsKneeWhereThePeakMeetsTheBandwidth) {
  const npu_profile profile = load("tiny");
  for (const Case& c : {kCases[0], kCases[1], kCases[2], kCases[8]}) {
    const double most = peak(profile, profile.*c.rate);
    const double ridge = most / bandwidth(profile);
    int below = 0, above = 0;
    for (uint32_t side = 32; side <= 352; side += 32) {
      const uint32_t depth = kElements / side / 32 * 32;
      const Reached r = measure(profile, {c.a, c.b, side, depth, 24});
      SCOPED_TRACE(std::string(c.name) + ": side " + std::to_string(side) + ", of the ridge " +
                   std::to_string(r.macs_per_byte / ridge));
      EXPECT_LE(r.macs_per_second, most);
      EXPECT_LE(r.bytes_per_second, bandwidth(profile));
      if (r.macs_per_byte < 0.7 * ridge) {
        ++below;
        EXPECT_GE(r.bytes_per_second, 0.85 * bandwidth(profile));
        EXPECT_LT(r.macs_per_second, 0.75 * most);
      } else if (r.macs_per_byte > 1.3 * ridge) {
        ++above;
        EXPECT_GE(r.macs_per_second, 0.75 * most);
        EXPECT_LT(r.bytes_per_second, 0.8 * bandwidth(profile));
      }
    }
    EXPECT_GT(below, 0) << c.name;
    EXPECT_GT(above, 0) << c.name;
  }
}

// Each tile moves |count| tiles of 256 KiB from |space| to L1, one after the other.
isa::Program loads(isa::Space space, uint32_t count) {
  isa::Kernel k("loads");
  isa::Buf l1 = k.l1(256 << 10);
  if (space == isa::Space::L2) k.l2(256 << 10);
  isa::Reg base = k.reg(0), rows = k.reg(256), cols = k.reg(256);
  isa::Tile to = k.tile_l1(DType::F32, l1, rows, cols);
  isa::Tile from = k.tile(space, DType::F32, base, rows, cols, cols, isa::Layout::Row);
  isa::Reg n = k.reg(static_cast<int32_t>(count));
  k.for_range(std::move(n), [&](const isa::Reg&) { k.ld(to, from); });
  return k.finish();
}

// Bytes a second of |tiles| tiles that load at the same time.
double loaded(const npu_profile& profile, isa::Space space, uint32_t tiles, bool on_host = false) {
  const Everywhere memory(on_host);
  const LaunchOutcome done = run(profile, loads(space, 8), tiles, memory);
  const double seconds =
      (static_cast<double>(done.duration_ps) - profile.launch_overhead_ns * 1e3) * 1e-12;
  return tiles * 8.0 * (256 << 10) / seconds;
}

void expect_near(double value, double most) {
  EXPECT_LE(value, most);
  EXPECT_GE(value, 0.7 * most);
}

TEST(Contention, TilesShareDeviceMemoryTheHostsAndTheL2OfTheirCluster) {
  for (const char* name : {"tiny", "maia100", "maia200", "rngd", "atom"}) {
    SCOPED_TRACE(name);
    const npu_profile profile = load(name);
    const uint32_t all = profile.clusters * profile.tiles_per_cluster;
    const double clock = profile.core_clock_khz * 1e3;
    expect_near(loaded(profile, isa::Space::Hbm, all), bandwidth(profile));
    expect_near(loaded(profile, isa::Space::Hbm, all, true),
                static_cast<double>(profile.host_mbytes_per_s) * 1e6);
    const double alone = loaded(profile, isa::Space::L2, 1),
                 shared = loaded(profile, isa::Space::L2, all);
    expect_near(shared, clock * profile.l2_bytes_per_cycle * profile.clusters);
    expect_near(alone, clock * profile.l1_port_bytes_per_cycle);
    EXPECT_LT(shared, all * alone * 0.8);
  }
}

TEST(Contention, AClusterGetsNoMoreThanItsLinkCarries) {
  npu_profile profile = load("rngd");
  profile.noc_bytes_per_cycle = 64;  // 8 clusters: 512 GB/s, of memory that has 1500
  const uint32_t clusters = profile.clusters;
  expect_near(loaded(profile, isa::Space::Hbm, clusters * profile.tiles_per_cluster),
              clusters * 64e9);
  // Groups are spread: one in each cluster has the link for itself.
  expect_near(loaded(profile, isa::Space::Hbm, clusters), clusters * 64e9);
  expect_near(loaded(profile, isa::Space::Hbm, 1), 64e9);
}

}  // namespace
}  // namespace npu::model
