// SPDX-License-Identifier: Apache-2.0
// What happened before what in a work-group, by its program alone: vector clocks of its control streams and engines.
//
// A unit is a control stream or an engine of one tile. Each counts its own steps; its Clocks tell, of every unit, up to which step all is surely over when the
// present step begins. The order of one unit's steps, issue, signals and waits, FENCE and BARRIER put steps in an order; that the interpreter ran one
// before the other does not.
//
// Thread safety: belongs to one Checker, hence to one thread at a time.
#ifndef NPU_MODEL_TILE_ORDER_H_
#define NPU_MODEL_TILE_ORDER_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "uapi/npu_isa.h"

namespace npu::model {

inline constexpr uint32_t kMaxUnits = NPU_GROUP_MAX_TILES * NPU_ENGINE_COUNT;

inline uint32_t unit_number(uint32_t tile, uint32_t engine) {
  return tile * NPU_ENGINE_COUNT + engine;
}

// The first |units| of the work-group count; the rest is never looked at.
class Clocks {
 public:
  uint32_t at(uint32_t unit) const { return steps_[unit]; }
  uint32_t step(uint32_t unit) { return ++steps_[unit]; }
  void clear(uint32_t units) { std::fill_n(steps_.begin(), units, 0); }
  void copy(const Clocks& from, uint32_t units) {
    std::copy_n(from.steps_.begin(), units, steps_.begin());
  }
  // From now on also what |other| knows.
  void join(const Clocks& other, uint32_t units) {
    for (uint32_t i = 0; i < units; ++i) steps_[i] = std::max(steps_[i], other.steps_[i]);
  }

 private:
  std::array<uint32_t, kMaxUnits> steps_{};
};

// What the counts of one semaphore tell those who wait for them.
//
// A wait that needs |t| counts, with all that were consumed before, tells of a signal when no |t| counts can have come without it: those that came before it, and
// those of units that did not know of it. With one signalling unit that is its first |t| counts; of two that signal independently, one count tells of neither.
class SemaphoreOrder {
 public:
  void clear(uint32_t units);
  // |unit| has added |count| when it had come to knows.at(unit).
  void signal(const Clocks& knows, uint32_t unit, uint32_t count, uint32_t units);
  // A wait that holds adds to *knows what it tells.
  void wait(uint32_t threshold, bool consume, Clocks* knows, uint32_t units);

 private:
  struct Signal {
    Clocks knows;
    uint32_t unit;
    uint32_t count;
  };
  // Signals that are remembered one by one; beyond that the oldest two count as the later of them, which may hide a race and never invents one.
  static constexpr size_t kMaxSignals = 64;

  uint64_t counts_without(size_t i, uint64_t before) const;
  void fold(uint32_t units);

  std::vector<Signal> signals_;  // oldest first
  Clocks folded_;                // of older ones, of which every wait tells
  uint64_t folded_count_ = 0;
  uint64_t consumed_ = 0;
};

}  // namespace npu::model

#endif  // NPU_MODEL_TILE_ORDER_H_
