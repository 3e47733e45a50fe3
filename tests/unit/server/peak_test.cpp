// SPDX-License-Identifier: Apache-2.0
// Device times against the peaks of every profile: large products near the roofline and never above it, in each type; its knee; and what tiles share.
//
// Only times are looked at, so the arithmetic is left out: the numerics below do nothing where the time would go.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "firmware-model/device/launch.h"
#include "firmware-model/network/table.h"
#include "firmware-model/server/profile.h"
#include "firmware-model/tile/numerics/numerics.h"
#include "firmware-model/tile/timing.h"
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
  explicit Everywhere(bool on_host = false) : bytes_(4 << 20), on_host_(on_host) {}
  bool translate(uint64_t dva, npu_fault_access, Translation* out) const override {
    *out = {dva, dva + bytes_.size(), bytes_.data(), true, true, on_host_};
    return true;
  }
  uint64_t generation() const override { return 1; }

 private:
  mutable std::vector<std::byte> bytes_;
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

LaunchOutcome run(const npu_profile& profile, const isa::Program& program, uint32_t groups,
                  const AddressSpace& space) {
  Kernel kernel;
  kernel.program.code = program.insns;
  kernel.program.l1_bytes = program.note.l1_bytes;
  kernel.program.l2_bytes = program.note.l2_bytes;
  kernel.program.acc_bytes = program.note.acc_bytes;
  kernel.program.group_tiles = program.note.group_tiles;
  LaunchEngine engine(profile, 1, no_arithmetic());
  LaunchRequest request;
  request.kernel = &kernel;
  request.launch.space = &space;
  request.launch.grid = {groups, 1, 1};
  request.budget = UINT64_MAX;
  LaunchOutcome done = engine.run(request, [] {});
  EXPECT_EQ(done.fault.status, NPU_ST_OK);
  return done;
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
  return {macs / seconds, bytes / seconds, macs / bytes, p.side};
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
    // Around the knee both limits add up, as far as the setup of a DMA is in neither.
    const double of_ridge = r.macs_per_byte * bandwidth(profile) / most;
    EXPECT_GE(r.macs_per_second, (of_ridge > 0.7 && of_ridge < 1.3 ? 0.75 : 0.85) * roof);
  }
}

INSTANTIATE_TEST_SUITE_P(Profiles, Peak,
                         ::testing::Values("atom", "jalapeno", "kaist", "mach1", "maia100",
                                           "maia200", "rngd", "tiny", "warboy", "x220"));

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
