// SPDX-License-Identifier: Apache-2.0
// Reading of the list, and one child process for each test that must not share this one.
#include "tests/conformance/exclusions.h"

#include <fnmatch.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace npu::conformance {
namespace {

constexpr int kSkipped = 77;             // what ctest takes for "skipped"
constexpr unsigned kChildTimeoutS = 60;  // an excluded test that hangs has failed
// Set for the child: it runs what it is told, whatever the list says.
constexpr const char* kRawVariable = "NPU_CONFORMANCE_RAW";

bool matches(const std::string& pattern, const std::string& name) {
  return fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
}

bool any_matches(const std::string& patterns, const std::string& name) {
  std::istringstream list(patterns);
  for (std::string pattern; std::getline(list, pattern, ':');) {
    if (matches(pattern, name)) return true;
  }
  return false;
}

std::vector<std::string> all_tests() {
  std::vector<std::string> names;
  const testing::UnitTest& unit = *testing::UnitTest::GetInstance();
  for (int i = 0; i < unit.total_test_suite_count(); i++) {
    const testing::TestSuite& suite = *unit.GetTestSuite(i);
    for (int k = 0; k < suite.total_test_count(); k++) {
      names.push_back(std::string(suite.name()) + "." + suite.GetTestInfo(k)->name());
    }
  }
  return names;
}

// A test that skips itself hides from the list.
class SkipsAreErrors : public testing::EmptyTestEventListener {
  void OnTestEnd(const testing::TestInfo& info) override {
    if (info.result()->Skipped()) {
      ADD_FAILURE() << info.test_suite_name() << "." << info.name()
                    << " skipped itself: put it into exclusions.txt, with the reason";
    }
  }
};

// The test alone, in another process. True: it passed.
bool passes_alone(std::vector<std::string> command, const std::string& name) {
  command.push_back("--gtest_filter=" + name);
  std::vector<char*> arguments;
  for (std::string& argument : command) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    setenv(kRawVariable, "1", 1);
    alarm(kChildTimeoutS);
    execv(arguments[0], arguments.data());
    _exit(126);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

const Exclusion* find(const std::vector<Exclusion>& list, const std::string& name) {
  for (const Exclusion& entry : list) {
    if (matches(entry.pattern, name)) return &entry;
  }
  return nullptr;
}

// Every line must speak of a test that there is, or it outlives its test.
bool all_are_known(const std::vector<Exclusion>& list, const std::vector<std::string>& names) {
  bool known = true;
  for (const Exclusion& entry : list) {
    const bool found = std::any_of(names.begin(), names.end(), [&](const std::string& name) {
      return matches(entry.pattern, name);
    });
    if (found) continue;
    std::fprintf(stderr, "exclusions.txt: there is no test %s\n", entry.pattern.c_str());
    known = false;
  }
  return known;
}

// True: as the list says.
bool run_excluded(const Exclusion& entry, const std::string& name,
                  const std::vector<std::string>& command) {
  if (entry.kind == ExclusionKind::kSkip) {
    std::printf("[ EXCLUDED ] %s: %s\n", name.c_str(), entry.reason.c_str());
    return true;
  }
  const bool passed = passes_alone(command, name);
  if (entry.kind == ExclusionKind::kAlone) {
    std::printf("[ %s ] %s, alone\n", passed ? "      OK" : "  FAILED", name.c_str());
    return passed;
  }
  if (passed) {
    std::printf(
        "[   FAILED ] %s passed, which exclusions.txt does not expect (%s): take the line out\n",
        name.c_str(), entry.reason.c_str());
  } else {
    std::printf("[    XFAIL ] %s: %s\n", name.c_str(), entry.reason.c_str());
  }
  return !passed;
}

}  // namespace

bool read_exclusions(const std::string& path, const std::string& road, std::vector<Exclusion>* out,
                     std::string* error) {
  std::ifstream file(path);
  if (!file) {
    *error = path + " cannot be read";
    return false;
  }
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    number++;
    std::istringstream words(line);
    std::string line_road, kind;
    Exclusion entry;
    if (!(words >> line_road) || line_road[0] == '#') continue;
    words >> kind >> entry.pattern;
    std::getline(words >> std::ws, entry.reason);
    const bool known_road = line_road == "inproc" || line_road == "model" || line_road == "kmd" ||
                            line_road == "stand-in";
    const bool known_kind = kind == "xfail" || kind == "skip" || kind == "alone";
    if (!known_road || !known_kind || entry.reason.empty()) {
      *error = path + ":" + std::to_string(number) + ": not 'road kind Suite.Name reason'";
      return false;
    }
    entry.kind = kind == "xfail"  ? ExclusionKind::kXfail
                 : kind == "skip" ? ExclusionKind::kSkip
                                  : ExclusionKind::kAlone;
    const bool holds = line_road == road || (road == "stand-in" && line_road == "kmd");
    if (holds) out->push_back(std::move(entry));
  }
  return true;
}

bool filter_selects(const std::string& filter, const std::string& name) {
  const size_t minus = filter.find('-');
  const std::string wanted = filter.substr(0, minus);
  if (!any_matches(wanted.empty() ? "*" : wanted, name)) return false;
  return minus == std::string::npos || !any_matches(filter.substr(minus + 1), name);
}

int run_with_exclusions(const std::string& path, const std::string& road,
                        const std::vector<std::string>& command) {
  if (GTEST_FLAG_GET(list_tests)) return RUN_ALL_TESTS();
  testing::UnitTest::GetInstance()->listeners().Append(new SkipsAreErrors);
  if (std::getenv(kRawVariable) != nullptr) return RUN_ALL_TESTS();
  std::vector<Exclusion> list;
  std::string error;
  if (!read_exclusions(path, road, &list, &error)) {
    std::fprintf(stderr, "%s\n", error.c_str());
    return 1;
  }
  const std::vector<std::string> names = all_tests();
  if (!all_are_known(list, names)) return 1;
  std::string filter = GTEST_FLAG_GET(filter);
  std::vector<std::string> excluded;
  size_t left = 0;
  for (const std::string& name : names) {
    if (!filter_selects(filter, name)) continue;
    if (find(list, name) == nullptr) {
      left++;
    } else {
      excluded.push_back(name);
    }
  }
  bool good = true;
  size_t ran = left;
  // Before the others: a fork of their process would take along what they started.
  for (const std::string& name : excluded) {
    const Exclusion& entry = *find(list, name);
    good = run_excluded(entry, name, command) && good;
    if (entry.kind != ExclusionKind::kSkip) ran++;
  }
  if (left == 0) return !good ? 1 : ran == 0 && !excluded.empty() ? kSkipped : 0;
  bool negative = filter.find('-') != std::string::npos;
  for (const std::string& name : excluded) {
    filter += (negative ? ":" : "-") + name;
    negative = true;
  }
  GTEST_FLAG_SET(filter, filter);
  return RUN_ALL_TESTS() == 0 && good ? 0 : 1;
}

}  // namespace npu::conformance
