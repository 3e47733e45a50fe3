// SPDX-License-Identifier: Apache-2.0
// Jumps by type.
#include "firmware-model/kernels/any_type.h"

#include <algorithm>
#include <iterator>

namespace npu::kernels {
namespace {

using namespace npu::isa;

constexpr DType kRead[] = {
    DType::F32,        DType::BF16,       DType::F16,        DType::Q8_0,       DType::Q4_0,
    DType::Q4_K,       DType::Q6_K,       DType::E4M3,       DType::E5M2,       DType::I8,
    DType::MXFP8_E4M3, DType::MXFP8_E5M2, DType::MXFP6_E2M3, DType::MXFP6_E3M2, DType::MXFP4,
    DType::MXINT8,     DType::MX9,        DType::MX6,        DType::MX4};
constexpr DType kWritten[] = {
    DType::F32,        DType::BF16,       DType::F16,   DType::Q8_0,       DType::Q4_0,
    DType::E4M3,       DType::E5M2,       DType::I8,    DType::MXFP8_E4M3, DType::MXFP8_E5M2,
    DType::MXFP6_E2M3, DType::MXFP6_E3M2, DType::MXFP4, DType::MXINT8,     DType::MX9,
    DType::MX6,        DType::MX4};
static_assert(std::is_sorted(std::begin(kRead), std::end(kRead)));
static_assert(std::is_sorted(std::begin(kWritten), std::end(kWritten)));

// Those of them that stochastic rounding takes.
constexpr DType kRandom[] = {
    DType::BF16,       DType::F16,        DType::E4M3,       DType::E5M2,  DType::MXFP8_E4M3,
    DType::MXFP8_E5M2, DType::MXFP6_E2M3, DType::MXFP6_E3M2, DType::MXFP4, DType::MXINT8,
    DType::MX9,        DType::MX6,        DType::MX4};
static_assert(std::is_sorted(std::begin(kRandom), std::end(kRandom)));

bool has_rules(DType type) { return type >= DType::MXFP8_E4M3 && type <= DType::MXINT8; }

using Flags = std::function<void(Op&)>;

// Runs store(flags) with the flags that an STC into |type| gets by the arguments.
void choose_flags(Kernel& k, const RoundingArgs& rounding, DType type,
                  const std::function<void(const Flags&)>& store) {
  const Flags none = [](Op&) {};
  if (is_fp8(type)) {
    Reg overflow = rounding.overflow;
    return k.if_(
        std::move(overflow), [&] { store([](Op& op) { op.overflow(); }); }, [&] { store(none); });
  }
  if (!has_rules(type)) return store(none);
  auto with = [&](ScaleRule rule) {
    return [&store, rule] { store([rule](Op& op) { op.scale_rule(rule); }); };
  };
  Reg rule = rounding.scale_rule;
  k.if_(
      rule < 2, [&] { k.if_(rule == 0, with(ScaleRule::Floor), with(ScaleRule::Ceil)); },
      [&] { k.if_(rule == 2, with(ScaleRule::Even), with(ScaleRule::Wide)); });
}

}  // namespace

std::span<const DType> read_types() { return kRead; }
std::span<const DType> written_types() { return kWritten; }

void pick(Kernel& k, const Reg& code, std::span<const DType> types,
          const std::function<void(DType)>& body) {
  if (types.size() == 1) return body(types[0]);
  const size_t half = types.size() / 2;
  k.if_(
      code < static_cast<int>(types[half]), [&] { pick(k, code, types.first(half), body); },
      [&] { pick(k, code, types.subspan(half), body); });
}

void store_as(Kernel& k, const RoundingArgs& rounding, const BlockPlace& place,
              const std::function<Tile(DType)>& outer, const Tile& from) {
  auto store = [&](std::span<const DType> types, const Flags& random) {
    Reg code = rounding.type;
    pick(k, code, types, [&](DType type) {
      choose_flags(k, rounding, type, [&](const Flags& flags) {
        const Tile to = outer(type);
        Op op = k.stc(to, from);
        random(op);
        flags(op);
      });
    });
  };
  Reg random = rounding.random;
  k.if_(
      std::move(random),
      [&] {
        Reg number = place.number();
        number += rounding.first;
        store(kRandom, [&](Op& op) { op.random(rounding.seed, number, place.pitch); });
      },
      [&] { store(kWritten, [](Op&) {}); });
}

Reg whole_blocks(const Reg& elements, DType type) {
  const int block = static_cast<int>(block_shape(type).elements);
  Reg up = elements + (block - 1);
  if (block > 1) up = up & -block;
  return up;
}

}  // namespace npu::kernels
