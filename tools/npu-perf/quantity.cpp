// SPDX-License-Identifier: Apache-2.0
#include "tools/npu-perf/quantity.h"

#include <algorithm>
#include <cstdio>
#include <iterator>

namespace npu::perf {
namespace {

// Three digits, as far as a number below 1000 has them.
std::string three_digits(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.*f", value < 9.995 ? 2 : value < 99.95 ? 1 : 0, value);
  return text;
}

std::string scaled(double value, const char* const* prefixes, size_t count, const char* unit) {
  size_t at = 0;
  // What would be rounded to 1000 gets the next prefix.
  while (at + 1 < count && value >= 999.5) {
    value /= 1000;
    at++;
  }
  return three_digits(value) + " " + prefixes[at] + unit;
}

}  // namespace

std::string with_prefix(double value, const char* unit) {
  static constexpr const char* kPrefixes[] = {"", "k", "M", "G", "T", "P", "E"};
  if (value == 0) return std::string("0 ") + unit;
  return scaled(value, kPrefixes, std::size(kPrefixes), unit);
}

std::string duration(double ps) {
  static constexpr const char* kUnits[] = {"ps", "ns", "us", "ms", "s"};
  if (ps == 0) return "0 ps";
  return scaled(ps, kUnits, std::size(kUnits), "");
}

std::string percent(double share) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f %%", share * 100);
  return text;
}

std::string align(const std::vector<Row>& rows) {
  std::vector<size_t> widths(rows[0].size());
  for (const Row& row : rows) {
    for (size_t i = 0; i < row.size(); i++) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const Row& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); i++) {
      const std::string gap(widths[i] - row[i].size(), ' ');
      line += i == 0 ? row[i] + gap : "  " + gap + row[i];
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

}  // namespace npu::perf
