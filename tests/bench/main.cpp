// SPDX-License-Identifier: Apache-2.0
// npu_bench: measures against peers on the same machine in the same run. npu_bench --out DIR [names]
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "tests/bench/bench.h"
#include "tests/bench/mpi.h"
#include "tests/bench/session.h"

namespace npu::bench {
namespace {

constexpr int kUsage = 2;

struct Group {
  const char* name;
  bool (*run)(const std::string& folder);
};
constexpr Group kGroups[] = {
    {"host", bench_host},           {"gemm", bench_gemm},       {"attention", bench_attention},
    {"launch", bench_launch},       {"runtime", bench_runtime}, {"dma", bench_dma},
    {"open", bench_open},           {"llm", bench_llm},         {"ccl", bench_ccl},
    {"ccl_rails", bench_ccl_rails}, {"scale", bench_scale}};

// A daemon of our own: the user's may be of another build, and busy.
class RuntimeFolder {
 public:
  RuntimeFolder() {
    if (mkdtemp(path_) == nullptr) {
      std::perror("npu_bench: a folder in /tmp");
      std::exit(1);
    }
    setenv("XDG_RUNTIME_DIR", path_, 1);
    setenv("NPU_MODEL_IDLE_S", "2", 0);
  }
  ~RuntimeFolder() {
    const std::string command = "rm -rf '" + std::string(path_) + "'";
    if (std::system(command.c_str()) != 0) std::fprintf(stderr, "npu_bench: %s stays\n", path_);
  }

 private:
  char path_[32] = "/tmp/npu-bench.XXXXXX";
};

int run(const std::string& folder, const std::vector<std::string>& names) {
  const RuntimeFolder runtime;
  bool good = true;
  for (const Group& group : kGroups) {
    const bool wanted =
        names.empty() || std::find(names.begin(), names.end(), group.name) != names.end();
    if (!wanted) continue;
    if (group.run(folder)) continue;
    std::fprintf(stderr, "npu_bench: '%s' could not be measured in full\n", group.name);
    good = false;
  }
  return good ? 0 : 1;
}

}  // namespace

std::string own_folder() {
  char path[4096];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  const std::string file(path, length > 0 ? static_cast<size_t>(length) : 0);
  return file.substr(0, file.rfind('/'));
}

}  // namespace npu::bench

int main(int argc, char** argv) {
  using namespace npu::bench;
  std::string folder, probe, mpi;
  std::vector<std::string> names, known;
  for (const Group& group : kGroups) known.push_back(group.name);
  CLI::App app{"Measures the NPU stack against its peers on this machine."};
  app.add_option("--out", folder, "folder for one JSON file a measurement");
  app.add_option("--probe-open", probe)->group("");
  app.add_option("--probe-mpi", mpi)->group("");
  app.add_option("names", names, "groups of measurements; all when left out")
      ->check(CLI::IsMember(known));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsage;
  }
  if (!mpi.empty()) return probe_mpi(mpi);
  default_road();
  if (!probe.empty()) return probe_open(probe);
  if (folder.empty()) {
    std::fprintf(stderr, "npu_bench: --out DIR is missing\n");
    return kUsage;
  }
  mkdir(folder.c_str(), 0777);
  return run(folder, names);
}
