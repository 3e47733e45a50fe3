// SPDX-License-Identifier: Apache-2.0
// Log: one line for each case, "case: what came out", and its comparison with the golden one.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace npu::parity {

class Log {
 public:
  // A case has one line; a second of that name ends the program.
  void add(const std::string& name, const std::string& outcome);

  bool write(const std::string& path) const;
  // Counts the lines in which this log and the golden one differ, and prints them. |exclusions|: "road pattern reason" a line; a case of |road| that one names
  // must differ, and every line must name a case.
  int compare(const std::string& golden, const std::string& exclusions,
              const std::string& road) const;
  size_t size() const { return lines_.size(); }

 private:
  std::vector<std::pair<std::string, std::string>> lines_;
};

}  // namespace npu::parity
