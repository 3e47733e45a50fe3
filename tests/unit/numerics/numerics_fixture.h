// SPDX-License-Identifier: Apache-2.0
// Shared by the tests of the tile's arithmetic: one table for each instruction set of this host, hostile input values, arrays
// that end at an unreadable page, comparison bit by bit.
#ifndef NPU_TESTS_UNIT_NUMERICS_NUMERICS_FIXTURE_H_
#define NPU_TESTS_UNIT_NUMERICS_NUMERICS_FIXTURE_H_

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bit>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>
#include <random>
#include <string>
#include <vector>

#include "firmware-model/tile/numerics/numerics.h"
#include "firmware-model/tile/numerics/simd_parts.h"

namespace npu::model {

constexpr uint32_t bits_of(float x) { return std::bit_cast<uint32_t>(x); }
constexpr float float_of(uint32_t u) { return std::bit_cast<float>(u); }

// The tables that must agree with scalar_numerics(): one for each SIMD target that was compiled and runs here.
inline const std::vector<Numerics>& simd_tables() {
  static const std::vector<Numerics> tables = [] {
    std::vector<Numerics> all;
    for (const SimdTarget target : simd_targets()) all.push_back(make_simd_numerics(target));
    return all;
  }();
  return tables;
}

// An array of exactly |n| elements whose end is the end of the last readable page: reading or writing beyond it crashes.
template <typename T>
class Guarded {
 public:
  explicit Guarded(size_t n, size_t offset_elements = 0) : n_(n) {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    mapped_bytes_ = ((n + offset_elements) * sizeof(T) + page - 1) / page * page + page;
    void* p =
        mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) throw std::bad_alloc();
    base_ = static_cast<char*>(p);
    mprotect(base_ + mapped_bytes_ - page, page, PROT_NONE);
    data_ = reinterpret_cast<T*>(base_ + mapped_bytes_ - page) - n;
  }
  Guarded(const Guarded& other) : Guarded(other.n_) {
    std::memcpy(data_, other.data_, n_ * sizeof(T));
  }
  Guarded& operator=(const Guarded&) = delete;
  ~Guarded() { munmap(base_, mapped_bytes_); }

  T* data() { return data_; }
  const T* data() const { return data_; }
  size_t size() const { return n_; }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }

 private:
  size_t n_;
  size_t mapped_bytes_ = 0;
  char* base_ = nullptr;
  T* data_ = nullptr;
};

template <typename T>
::testing::AssertionResult same_bits(const Guarded<T>& a, const Guarded<T>& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::memcmp(&a[i], &b[i], sizeof(T)) == 0) continue;
    return ::testing::AssertionFailure() << "element " << i << " of " << a.size() << ": "
                                         << std::hexfloat << +a[i] << " against " << +b[i];
  }
  return ::testing::AssertionSuccess();
}

// Seeded values of three kinds.
class Values {
 public:
  explicit Values(uint64_t seed) : random_(seed) {}

  size_t below(size_t n) { return random_() % n; }
  float number() { return std::uniform_real_distribution<float>(-2.0f, 2.0f)(random_); }
  float any_bits() { return float_of(static_cast<uint32_t>(random_())); }
  // One in four: zero, subnormal, infinity, NaN with payload and sign, the largest, the smallest normal number.
  float hostile() {
    static constexpr uint32_t kSpecial[] = {
        0x00000000, 0x80000000, 0x00000001, 0x807fffff, 0x7f800000, 0xff800000, 0x7fc00000,
        0xffc12345, 0x7f800001, 0x7f7fffff, 0xff7fffff, 0x00800000, 0x3f800000, 0xbf800000};
    return below(4) == 0 ? float_of(kSpecial[below(std::size(kSpecial))]) : number();
  }

  void fill_numbers(Guarded<float>& v) {
    for (size_t i = 0; i < v.size(); ++i) v[i] = number();
  }
  // Every eighth array holds only plain numbers: where everything is NaN, nothing else is compared.
  void fill(Guarded<float>& v) {
    const bool plain = below(8) < 5;
    for (size_t i = 0; i < v.size(); ++i) v[i] = plain ? number() : hostile();
  }

 private:
  std::mt19937_64 random_;
};

}  // namespace npu::model

#endif  // NPU_TESTS_UNIT_NUMERICS_NUMERICS_FIXTURE_H_
