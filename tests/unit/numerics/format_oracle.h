// SPDX-License-Identifier: Apache-2.0
// Formats of 8 bits and less by their definition, in double arithmetic: the value of every code, and the code nearest to a number, by search.
#ifndef NPU_TESTS_UNIT_NUMERICS_FORMAT_ORACLE_H_
#define NPU_TESTS_UNIT_NUMERICS_FORMAT_ORACLE_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace npu::model::oracle {

// Magnitudes of a format: those of the codes 0, 1, ... up to the largest number, ascending.
struct Format {
  const char* name;
  std::vector<double> magnitudes;
  int emax;           // exponent of the largest one
  int fraction_bits;  // of its significand

  double largest() const { return magnitudes.back(); }
};

inline Format float_format(const char* name, int exponent_bits, int fraction_bits,
                           uint32_t largest_code) {
  Format f{name, {}, 0, fraction_bits};
  const int bias = (1 << (exponent_bits - 1)) - 1;
  for (uint32_t code = 0; code <= largest_code; ++code) {
    const int exponent = static_cast<int>(code >> fraction_bits);
    const double fraction = std::ldexp(code & ((1u << fraction_bits) - 1), -fraction_bits);
    f.magnitudes.push_back(exponent == 0 ? std::ldexp(fraction, 1 - bias)
                                         : std::ldexp(1 + fraction, exponent - bias));
  }
  f.emax = std::ilogb(f.largest());
  return f;
}

// Magnitudes of |bits| bits that count 2^(1 - bits).
inline Format fixed_format(const char* name, int bits) {
  Format f{name, {}, 0, bits - 1};
  for (int code = 0; code < 1 << bits; ++code) f.magnitudes.push_back(std::ldexp(code, 1 - bits));
  return f;
}

inline const Format& e4m3() {
  static const Format f = float_format("e4m3", 4, 3, 0x7e);
  return f;
}
inline const Format& e5m2() {
  static const Format f = float_format("e5m2", 5, 2, 0x7b);
  return f;
}

// The magnitude of the number that would follow the largest one.
inline double beyond(const Format& f) {
  return 2 * f.largest() - f.magnitudes[f.magnitudes.size() - 2];
}

// The code of the magnitude nearest to |x| >= 0, of two equally near ones the even one; one more than the largest code where that
// is the number that would follow it, or x lies even above.
inline uint32_t nearest(const Format& f, double x) {
  std::vector<double> all = f.magnitudes;
  all.push_back(beyond(f));
  const auto above =
      static_cast<uint32_t>(std::lower_bound(all.begin(), all.end(), x) - all.begin());
  if (above == 0) return 0;
  if (above == all.size()) return above - 1;
  const double up = all[above] - x, down = x - all[above - 1];
  if (up == down) return above % 2 == 0 ? above : above - 1;
  return up < down ? above : above - 1;
}

// floor of x in units of the place at which the format rounds it, plus w / 2^32, as the code of that number (it may lie beyond the
// largest one): a walk along the magnitudes.
inline uint32_t stochastic(const Format& f, double x, uint32_t w) {
  std::vector<double> all = f.magnitudes;
  all.push_back(beyond(f));
  const auto above =
      static_cast<uint32_t>(std::upper_bound(all.begin(), all.end(), x) - all.begin());
  if (above == all.size()) return above - 1;
  const double unit = all[above] - all[above - 1];
  const double excess = (x - all[above - 1]) / unit;  // a power of two divides: exact
  // excess + w / 2^32 >= 1 without a sum that could round.
  return excess >= std::ldexp(4294967296.0 - w, -32) ? above : above - 1;
}

}  // namespace npu::model::oracle

#endif  // NPU_TESTS_UNIT_NUMERICS_FORMAT_ORACLE_H_
