// SPDX-License-Identifier: Apache-2.0
// Readers of /proc.
#include "tests/soak/processor.h"

#include <dirent.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace npu::soak {
namespace {

std::vector<pid_t> threads_of(pid_t pid) {
  std::vector<pid_t> threads;
  DIR* const entries = opendir(("/proc/" + std::to_string(pid) + "/task").c_str());
  if (entries == nullptr) return threads;
  while (const dirent* entry = readdir(entries)) {
    if (const int thread = std::atoi(entry->d_name); thread > 0) threads.push_back(thread);
  }
  closedir(entries);
  return threads;
}

struct Told {
  ThreadTimes times;
  std::string name;
  char state = '?';
};

std::optional<Told> ask(pid_t pid, pid_t thread) {
  const std::string folder = "/proc/" + std::to_string(pid) + "/task/" + std::to_string(thread);
  Told told;
  std::ifstream times(folder + "/schedstat");
  if (!(times >> told.times.ran_ns >> told.times.waited_ns)) return std::nullopt;
  std::string line;
  std::ifstream stat(folder + "/stat");
  // "17 (name) S 1 ...", and the name may have brackets of its own.
  if (!std::getline(stat, line)) return std::nullopt;
  const size_t begin = line.find('(');
  const size_t end = line.rfind(')');
  if (begin == std::string::npos || end == std::string::npos || end + 2 >= line.size())
    return std::nullopt;
  told.name = line.substr(begin + 1, end - begin - 1);
  told.state = line[end + 2];
  told.times.is_runnable = told.state == 'R';
  return told;
}

}  // namespace

void ProcessTimes::look(int64_t took_ns) {
  std::map<pid_t, ThreadTimes> now;
  starved_.clear();
  for (const pid_t thread : threads_of(pid_)) {
    const std::optional<Told> told = ask(pid_, thread);
    if (!told.has_value()) continue;
    now[thread] = told->times;
    const auto before = times_.find(thread);
    if (before == times_.end()) continue;
    starved_[thread] = soak::starved_ns(before->second, told->times, took_ns);
  }
  times_ = std::move(now);
}

int64_t ProcessTimes::starved_ns(pid_t thread) const {
  const auto found = starved_.find(thread);
  return found != starved_.end() ? found->second : 0;
}

void tell_threads(pid_t pid) {
  for (const pid_t thread : threads_of(pid)) {
    const std::optional<Told> told = ask(pid, thread);
    if (!told.has_value()) continue;
    std::fprintf(stderr, "  process %d thread %d (%s): state %c, ran %.3f s, waited %.3f s\n", pid,
                 thread, told->name.c_str(), told->state,
                 static_cast<double>(told->times.ran_ns) * 1e-9,
                 static_cast<double>(told->times.waited_ns) * 1e-9);
  }
}

}  // namespace npu::soak
