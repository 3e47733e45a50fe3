// SPDX-License-Identifier: Apache-2.0
// Collective operations among processes, one rank each, inside of the host, with buffers anywhere and in windows, and each as a host of its own, half of them at each end of a cable between two network namespaces, with half of the CPUs (decision 0076; without root: over the loopback interface), against
// OpenMPI on shared memory and on TCP over the same cable, and Gloo on TCP, in the same run.
#include <unistd.h>

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/bench/bench.h"
#include "tests/bench/ccl_repeats.h"
#include "tests/bench/halves.h"
#include "tests/bench/measurement.h"
#include "tests/bench/mpi.h"
#include "tests/ccl/namespaces.h"

namespace npu::bench {
namespace {

constexpr const char* kOperations[] = {"allreduce", "allgather", "alltoall"};
constexpr uint32_t kRanks[] = {2, 4};
constexpr uint64_t kSmallest = 4 << 10, kLargest = 64 << 20, kFactor = 4;
constexpr int kRounds = 3;

// One operation after the other has ended, and (as nccl-tests) each behind the other, where the host is not part of the way. That of large ones is no different.
struct Pace {
  const char* suffix;  // of the measurement
  uint64_t in_a_row, largest_bytes;
};
constexpr Pace kPaces[] = {{"", 1, kLargest}, {"_in_a_row", 20, 1 << 20}};

struct Way {
  const char* name;
  const char* ours;  // options of npu-ccl-bench
  const char* peer;
  const char* theirs;  // of mpirun
  const test::Namespaces* cable =
      nullptr;  // between them; nullptr: all ranks are where this program is
};

using Seconds = std::map<uint64_t, std::vector<double>>;  // by size

// Hands each line of the command's output to |parse|. False: the command failed.
template <typename Parse>
bool run(const std::string& command, const Parse& parse) {
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return false;
  char line[512];
  while (std::fgets(line, sizeof line, pipe) != nullptr) parse(line);
  return pclose(pipe) == 0;
}

std::string in_namespace(const Way& way, uint32_t host) {
  return "ip netns exec " + way.cable->name(host) + " " + on_half(host);
}

// Where each host's daemon is found: a folder of its own.
std::string runtime_of(uint32_t host) {
  const std::filesystem::path folder =
      std::filesystem::path(std::getenv("XDG_RUNTIME_DIR")) / ("host" + std::to_string(host));
  std::filesystem::create_directories(folder);
  std::filesystem::permissions(folder, std::filesystem::perms::owner_all);
  return folder;
}

// Of each rank, found through NPU_CCL_ID; the first one prints.
std::string over_cable(const Way& way, uint32_t ranks, const std::string& command) {
  std::random_device random;
  char end[48];
  // A port below those that the system hands out by itself.
  std::snprintf(end, sizeof end, ":%u:%08x%08x%08x%08x", 20000 + random() % 10000, random(),
                random(), random(), random());
  const std::string all = "NPU_CCL_INTERFACE=" + way.cable->interfaces() +
                          " NPU_CCL_ID=" + test::Namespaces::address(0) + end +
                          " NPU_CCL_RANKS=" + std::to_string(ranks) + " NPU_CCL_RANK=";
  std::string script;
  for (uint32_t rank = ranks; rank-- > 0;) {
    const uint32_t host = rank * test::Namespaces::kHosts / ranks;
    script += all + std::to_string(rank) + " XDG_RUNTIME_DIR='" + runtime_of(host) + "' " +
              in_namespace(way, host) + command +
              (rank == 0 ? "; code=$?; wait; exit $code" : " & ");
  }
  return script;
}

bool run_ours(const Way& way, const Pace& pace, const char* operation, uint32_t ranks,
              Seconds* out) {
  const std::string program =
      "'" + own_folder() + "/../../tools/npu-ccl-bench/npu-ccl-bench' " + way.ours +
      " --operation " + operation + " --min-bytes " + std::to_string(kSmallest) + " --max-bytes " +
      std::to_string(pace.largest_bytes) + " --factor " + std::to_string(kFactor) + " --in-a-row " +
      std::to_string(pace.in_a_row) + " --warmups " + std::to_string(kCclWarmups) + " --repeats " +
      std::to_string(kCclRepeats) + " --repeat-bytes " + std::to_string(kCclRepeatBytes);
  const std::string command =
      "export NPU_DEVICE='model:maia100*" + std::to_string(ranks) + "'; " +
      (way.cable != nullptr ? over_cable(way, ranks, program)
                            : program + " --processes --ranks " + std::to_string(ranks));
  return run(command, [&](const char* line) {
    uint64_t bytes = 0;
    double us = 0;
    if (std::sscanf(line, "%" SCNu64 " %*u %*s %*s %*s %lf", &bytes, &us) == 2) {
      (*out)[bytes].push_back(us * 1e-6);
    }
  });
}

// Of peers: CclProbe.
std::string probe_of(const Pace& pace, const char* operation) {
  std::string what = std::string(operation) + ":";
  for (uint64_t bytes = kSmallest; bytes <= pace.largest_bytes; bytes *= kFactor) {
    what += (bytes == kSmallest ? "" : ",") + std::to_string(bytes) + "*" +
            std::to_string(pace.in_a_row);
  }
  return what;
}

bool run_probe(const std::string& command, Seconds* out) {
  return run(command + " 2>/dev/null", [&](const char* line) {
    uint64_t bytes = 0;
    double s = 0;
    if (std::sscanf(line, "%" SCNu64 " %lf", &bytes, &s) == 2) (*out)[bytes].push_back(s);
  });
}

bool run_mpi(const Way& way, const std::string& what, uint32_t ranks, Seconds* out) {
  const std::string probe = "'" + own_folder() + "/npu_bench' --probe-mpi '" + what + "'";
  std::string begin = "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 ";
  const std::string mpirun =
      "mpirun --oversubscribe --bind-to none --mca pml ob1 " + std::string(way.theirs) + " ";
  if (way.cable == nullptr) {
    return run_probe(begin + mpirun + "-np " + std::to_string(ranks) + " " + probe, out);
  }
  // One mpirun, whose ranks in the other namespace reach its server over the cable too.
  const std::string cable = way.cable->interfaces();
  begin += "PMIX_MCA_ptl_tcp_remote_connections=1 PMIX_MCA_ptl_tcp_if_include=" + cable + " ";
  const std::string half = "-np " + std::to_string(ranks / test::Namespaces::kHosts) + " ";
  return run_probe(begin + in_namespace(way, 0) + mpirun + "--mca btl_tcp_if_include " + cable +
                       " --mca oob_tcp_if_include " + cable + " " + half + probe + " : " + half +
                       in_namespace(way, 1) + probe,
                   out);
}

std::string gloo_program() { return own_folder() + "/npu_bench_gloo"; }

bool run_gloo(const Way& way, const std::string& what, uint32_t ranks, Seconds* out) {
  std::string command = "'" + gloo_program() + "' '" + what + "' " + std::to_string(ranks);
  if (way.cable != nullptr) {
    command += " " + way.cable->interfaces() + " " + way.cable->name(0) + " " + way.cable->name(1);
  }
  return run_probe(command, out);
}

// What ours is compared with, in turn with it.
struct Peer {
  const char* name;    // nullptr: that of the way; empty: not on this machine
  const char* suffix;  // of the measurement
  bool (*run)(const Way& way, const std::string& what, uint32_t ranks, Seconds* out);
};

// Of nccl-tests: what each rank's link carries.
double bus_bytes(const char* operation, uint64_t bytes, uint32_t ranks) {
  const double share = static_cast<double>(ranks - 1) / ranks;
  return static_cast<double>(bytes) * share * (operation == kOperations[0] ? 2 : 1);
}

bool measure(const Way& way, const Pace& pace, const char* operation, uint32_t ranks,
             const std::vector<Peer>& peers, const std::string& folder) {
  Seconds ours;
  std::vector<Seconds> theirs(peers.size());
  bool good = true;
  for (int i = 0; i < kRounds; i++) {
    good &= run_ours(way, pace, operation, ranks, &ours);
    for (size_t p = 0; p < peers.size(); p++) {
      good &= peers[p].run(way, probe_of(pace, operation), ranks, &theirs[p]);
    }
  }
  for (const auto& [bytes, times] : ours) {
    const double bus = bus_bytes(operation, bytes, ranks);
    Measurement m{.name = "ccl_" + std::string(way.name) + "_" + operation + "_" +
                          std::to_string(ranks) + "_" + std::to_string(bytes >> 10) + "KiB" +
                          pace.suffix};
    m.value = bus / median(times) / 1e9;
    m.unit = "GB/s";
    m.smaller_is_better = false;
    m.goal = 1;
    for (size_t p = 0; p < peers.size(); p++) {
      Measurement with = m;
      with.name += peers[p].suffix;
      with.peer = peers[p].name != nullptr ? peers[p].name : way.peer;
      if (!theirs[p][bytes].empty()) with.peer_value = bus / median(theirs[p][bytes]) / 1e9;
      good &= publish(with, folder);
    }
  }
  return good && !ours.empty();
}

}  // namespace

bool bench_ccl(const std::string& folder) {
  std::vector<Peer> peers = {{nullptr, "", run_mpi}};
  if (!has_mpi()) {
    peers[0] = {"", "", [](const Way&, const std::string&, uint32_t, Seconds*) { return true; }};
    std::fprintf(stderr, "npu_bench: no mpirun here: apt-get install openmpi-bin\n");
  }
  if (access(gloo_program().c_str(), X_OK) == 0) {
    peers.push_back({"Gloo, TCP", "_gloo", run_gloo});
  } else {
    std::fprintf(stderr,
                 "npu_bench: Gloo was not there at the build: apt-get install libgloo-dev\n");
  }
  const test::Namespaces cable;
  const Way host{"host", "", "OpenMPI, shared memory", "--mca btl vader,self"};
  const Way window{"window", "--register", "OpenMPI, shared memory", "--mca btl vader,self"};
  Way network{"network", "--network", "OpenMPI, TCP", "--mca btl tcp,self", &cable};
  if (!cable.cause().empty()) {
    std::fprintf(stderr, "npu_bench: over the loopback interface: %s\n", cable.cause().c_str());
    network.name = "loopback";
    network.cable = nullptr;
  }
  bool good = true;
  for (const Way& way : {host, window, network}) {
    // Gloo has no such buffers: once is enough.
    const std::vector<Peer> some(peers.begin(),
                                 way.name == window.name ? peers.begin() + 1 : peers.end());
    for (const char* operation : kOperations) {
      for (const uint32_t ranks : kRanks) {
        for (const Pace& pace : kPaces) good &= measure(way, pace, operation, ranks, some, folder);
      }
    }
  }
  return good;
}

}  // namespace npu::bench
