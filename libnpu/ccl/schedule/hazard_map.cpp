// SPDX-License-Identifier: Apache-2.0
#include "libnpu/ccl/schedule/hazard_map.h"

namespace npu::ccl {

void HazardMap::cut(Runs& runs, uint64_t at) {
  auto it = runs.upper_bound(at);
  if (it == runs.begin()) return;
  --it;
  if (it->first == at || it->second.end <= at) return;
  Run tail = it->second;
  it->second.end = at;
  runs.emplace(at, std::move(tail));
}

void HazardMap::cover(Runs& runs, Block range) {
  cut(runs, range.offset);
  cut(runs, range.end());
  uint64_t at = range.offset;
  auto it = runs.lower_bound(at);
  while (at < range.end()) {
    const uint64_t next = it == runs.end() ? range.end() : std::min(it->first, range.end());
    if (at < next) runs.emplace_hint(it, at, Run{next, kNobody, {}});
    if (next == range.end()) break;
    at = it->second.end;
    ++it;
  }
}

void HazardMap::read(Place place, uint64_t count, uint32_t step, std::vector<uint32_t>& before) {
  Runs& runs = runs_[static_cast<size_t>(place.buffer)];
  const Block range{place.offset, count};
  cover(runs, range);
  for (auto it = runs.lower_bound(range.offset); it != runs.end() && it->first < range.end();
       ++it) {
    if (it->second.writer != kNobody) before.push_back(it->second.writer);
    it->second.readers.push_back(step);
  }
}

void HazardMap::write(Place place, uint64_t count, uint32_t step, std::vector<uint32_t>& before) {
  Runs& runs = runs_[static_cast<size_t>(place.buffer)];
  const Block range{place.offset, count};
  cover(runs, range);
  auto it = runs.lower_bound(range.offset);
  while (it != runs.end() && it->first < range.end()) {
    const Run& run = it->second;
    bool read_since = false;
    for (uint32_t reader : run.readers) {
      if (reader == step) continue;
      before.push_back(reader);
      read_since = true;
    }
    // Every reader has waited for the writer already.
    if (!read_since && run.writer != kNobody) before.push_back(run.writer);
    it = runs.erase(it);
  }
  if (count != 0) runs.emplace(range.offset, Run{range.end(), step, {}});
}

}  // namespace npu::ccl
