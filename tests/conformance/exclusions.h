// SPDX-License-Identifier: Apache-2.0
// What a road cannot do: exclusions.txt, and a main() that holds the suite to it.
//
//   road  kind  Suite.Name  reason
//
// road    inproc, model, kmd; stand-in: only where a daemon stands in for the node of kmd, whose lines hold there too
// kind    xfail  runs in a process of its own and must fail; passing is the error: take the line out
//         skip   never runs here: it would mean nothing, or hang
//         alone  runs in a process of its own, because of what other tests leave behind, and must pass
// name    `*` stands for any characters
#pragma once

#include <string>
#include <vector>

namespace npu::conformance {

enum class ExclusionKind { kXfail, kSkip, kAlone };

struct Exclusion {
  ExclusionKind kind = ExclusionKind::kXfail;
  std::string pattern;
  std::string reason;
};

// The lines of |road| in the file; false with *error for a line that says nothing usable.
bool read_exclusions(const std::string& path, const std::string& road, std::vector<Exclusion>* out,
                     std::string* error);

// Whether gtest would run |name| with the filter |filter| (--gtest_filter).
bool filter_selects(const std::string& filter, const std::string& name);

// Runs what gtest's flags select, with the exclusions of |path|. |command|: starts this program again. The exit status: 0, 1, or 77 when all that was
// selected is skipped.
int run_with_exclusions(const std::string& path, const std::string& road,
                        const std::vector<std::string>& command);

}  // namespace npu::conformance
