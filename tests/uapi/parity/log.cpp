// SPDX-License-Identifier: Apache-2.0
// Writing, reading and comparing of logs.
#include "tests/uapi/parity/log.h"

#include <fnmatch.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>

namespace npu::parity {
namespace {

constexpr const char* kHeader =
    "# SPDX-License-Identifier: Apache-2.0\n"
    "# What each case of npu_uapi_conformance gives on every road. Written by --write; read the "
    "difference before it is committed.\n";

using Lines = std::map<std::string, std::string>;

bool read_lines(const std::string& path, Lines* out) {
  std::ifstream file(path);
  if (!file) return false;
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(": ");
    if (line.empty() || line[0] == '#' || colon == std::string::npos) continue;
    (*out)[line.substr(0, colon)] = line.substr(colon + 2);
  }
  return true;
}

struct Entry {
  std::string pattern;
  std::string reason;
  bool is_exact = false;
  int differing = 0;
  int equal = 0;
};

bool read_entries(const std::string& path, const std::string& road, std::vector<Entry>* out) {
  std::ifstream file(path);
  if (!file) {
    std::fprintf(stderr, "%s cannot be read\n", path.c_str());
    return false;
  }
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string line_road;
    Entry entry;
    if (!(words >> line_road) || line_road[0] == '#') continue;
    words >> entry.pattern;
    std::getline(words >> std::ws, entry.reason);
    if (entry.reason.empty()) {
      std::fprintf(stderr, "%s: no reason in '%s'\n", path.c_str(), line.c_str());
      return false;
    }
    entry.is_exact = entry.pattern.find_first_of("*?[") == std::string::npos;
    if (line_road == road) out->push_back(entry);
  }
  return true;
}

Entry* find(std::vector<Entry>* entries, const std::string& name) {
  for (Entry& entry : *entries) {
    if (fnmatch(entry.pattern.c_str(), name.c_str(), 0) == 0) return &entry;
  }
  return nullptr;
}

// An entry that excuses nothing is an error: what it speaks of has become equal, or is gone.
int count_stale(const std::vector<Entry>& entries) {
  int stale = 0;
  for (const Entry& entry : entries) {
    const bool useless = entry.differing == 0 || (entry.is_exact && entry.equal != 0);
    if (!useless) continue;
    std::printf("exclusion %s: %s, take it out (%s)\n", entry.pattern.c_str(),
                entry.equal != 0 ? "equal after all" : "there is no such case",
                entry.reason.c_str());
    stale++;
  }
  return stale;
}

}  // namespace

void Log::add(const std::string& name, const std::string& outcome) {
  const bool known = std::any_of(lines_.begin(), lines_.end(),
                                 [&](const auto& line) { return line.first == name; });
  if (known) throw std::runtime_error("two cases are called " + name);
  lines_.emplace_back(name, outcome);
}

bool Log::write(const std::string& path) const {
  std::ofstream file(path);
  file << kHeader;
  for (const auto& [name, outcome] : lines_) file << name << ": " << outcome << "\n";
  file.flush();
  return file.good();
}

int Log::compare(const std::string& golden, const std::string& exclusions,
                 const std::string& road) const {
  Lines expected;
  std::vector<Entry> entries;
  if (!read_lines(golden, &expected)) {
    std::fprintf(stderr, "%s cannot be read\n", golden.c_str());
    return 1;
  }
  if (!read_entries(exclusions, road, &entries)) return 1;
  int wrong = 0;
  for (const auto& [name, outcome] : lines_) {
    const auto at = expected.find(name);
    const std::string before = at == expected.end() ? "(no such case)" : at->second;
    if (at != expected.end()) expected.erase(at);
    Entry* entry = find(&entries, name);
    if (entry != nullptr) (outcome == before ? entry->equal : entry->differing)++;
    if (outcome == before || entry != nullptr) continue;
    std::printf("%s\n  golden: %s\n  here:   %s\n", name.c_str(), before.c_str(), outcome.c_str());
    wrong++;
  }
  for (const auto& [name, outcome] : expected) {
    std::printf("%s\n  golden: %s\n  here:   (no such case)\n", name.c_str(), outcome.c_str());
    wrong++;
  }
  return wrong + count_stale(entries);
}

}  // namespace npu::parity
