// SPDX-License-Identifier: Apache-2.0
// Random numbers with a seed: the same on every machine. Thread safety: none, one for each thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>

namespace npu::test {

class Rng {
 public:
  explicit Rng(uint64_t seed) : state_(seed) {}

  uint64_t next() {  // splitmix64
    uint64_t x = state_ += 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
  }
  // From 0 to |bound| - 1.
  uint64_t below(uint64_t bound) { return next() % bound; }
  bool percent(uint32_t chance) { return below(100) < chance; }
  bool one_in(uint32_t n) { return below(n) == 0; }
  template <typename T>
  T of(std::initializer_list<T> choices) {
    return choices.begin()[below(choices.size())];
  }
  template <typename List>
  auto& any(List& list) {
    return list[below(list.size())];
  }

 private:
  uint64_t state_;
};

}  // namespace npu::test
