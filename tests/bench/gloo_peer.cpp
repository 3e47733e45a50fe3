// SPDX-License-Identifier: Apache-2.0
// npu_bench_gloo PROBE RANKS [INTERFACE NAMESPACE NAMESPACE]: collective operations of Gloo over TCP among processes that it starts itself, on the loopback interface, or each half of them in one of two
// network namespaces. A program of its own since Gloo has no C interface to find at run time. Prints "BYTES SECONDS" for each size, bytes of the whole vector as npu-ccl-bench counts them. PROBE: CclProbe.
#include <fcntl.h>
#include <gloo/allgather.h>
#include <gloo/allreduce.h>
#include <gloo/alltoall.h>
#include <gloo/barrier.h>
#include <gloo/math.h>
#include <gloo/rendezvous/context.h>
#include <gloo/rendezvous/file_store.h>
#include <gloo/transport/tcp/device.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/bench/ccl_repeats.h"
#include "tests/bench/halves.h"

namespace {

using npu::bench::ccl_repeats;
using npu::bench::CclCase;
using npu::bench::CclProbe;
using npu::bench::kCclWarmups;
using ContextPtr = std::shared_ptr<gloo::rendezvous::Context>;

template <typename T>
void all_reduce(const ContextPtr& context, T* send, T* recv, size_t count,
                void (*function)(void*, const void*, const void*, size_t)) {
  gloo::AllreduceOptions options(context);
  options.setInput(send, count);
  options.setOutput(recv, count);
  options.setReduceFunction(function);
  gloo::allreduce(options);
}

struct Case {
  std::string operation;
  size_t ranks;
  size_t count;  // elements of a rank, or of each of its blocks
  std::vector<float> send, recv;
};

void run_once(const ContextPtr& context, Case& c) {
  if (c.operation == "allreduce") {
    all_reduce<float>(context, c.send.data(), c.recv.data(), c.count, gloo::sum<float>);
  } else if (c.operation == "allgather") {
    gloo::AllgatherOptions options(context);
    options.setInput(c.send.data(), c.count);
    options.setOutput(c.recv.data(), c.count * c.ranks);
    gloo::allgather(options);
  } else {
    gloo::AlltoallOptions options(context);
    options.setInput(c.send.data(), c.count * c.ranks);
    options.setOutput(c.recv.data(), c.count * c.ranks);
    gloo::alltoall(options);
  }
}

// All ranks send ones.
bool is_right(const Case& c) {
  const bool sums = c.operation == "allreduce";
  const float wanted = sums ? static_cast<float>(c.ranks) : 1;
  const auto end = c.recv.begin() + static_cast<long>(sums ? c.count : c.count * c.ranks);
  return std::all_of(c.recv.begin(), end, [&](float value) { return value == wanted; });
}

// A barrier, operations in a row, the median of the repeats, the slowest rank.
double seconds_of(const ContextPtr& context, Case& c, const CclCase& size) {
  std::vector<double> times;
  for (uint64_t i = 0; i < kCclWarmups + ccl_repeats(size); i++) {
    gloo::BarrierOptions barrier(context);
    gloo::barrier(barrier);
    const auto begin = std::chrono::steady_clock::now();
    for (uint64_t n = 0; n < size.in_a_row; n++) run_once(context, c);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    if (i >= kCclWarmups) times.push_back(took.count() / static_cast<double>(size.in_a_row));
  }
  std::sort(times.begin(), times.end());
  double own = times[times.size() / 2], slowest = own;
  all_reduce<double>(context, &own, &slowest, 1, gloo::max<double>);
  return slowest;
}

struct Plan {
  std::string folder, what;
  int ranks;
  std::string interface = "lo";
  std::vector<std::string> namespaces =
      {};  // named ones of ip-netns(8); none: that of this process
};

int run_rank(const Plan& plan, int rank) {
  const auto& [folder, what, ranks, interface, namespaces] = plan;
  if (!namespaces.empty()) {
    const auto half = static_cast<size_t>(rank * 2 / ranks);
    const int fd = open(("/run/netns/" + namespaces[half]).c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, CLONE_NEWNET) != 0) throw std::runtime_error("no such namespace");
    close(fd);
    npu::bench::move_to_half(static_cast<uint32_t>(half));
  }
  gloo::transport::tcp::attr place;
  place.iface = interface;
  auto device = gloo::transport::tcp::CreateDevice(place);
  gloo::rendezvous::FileStore store(folder);
  const auto context = std::make_shared<gloo::rendezvous::Context>(rank, ranks);
  context->connectFullMesh(store, device);
  const CclProbe probe(what);
  const bool is_whole = probe.operation == "allreduce";
  for (const CclCase& size : probe.cases) {
    const uint64_t bytes = size.bytes;
    const auto parts = static_cast<size_t>(ranks);
    const size_t count = std::max<size_t>(bytes / sizeof(float) / (is_whole ? 1 : parts), 1);
    const size_t room = is_whole ? count : count * parts;
    Case c{probe.operation, parts, count, std::vector<float>(room, 1), std::vector<float>(room)};
    const double s = seconds_of(context, c, size);
    if (!is_right(c)) return 1;
    if (rank == 0) std::printf("%" PRIu64 " %.9f\n", bytes, s);
  }
  return 0;
}

int run_guarded(const Plan& plan, int rank) {
  try {
    const int code = run_rank(plan, rank);
    std::fflush(stdout);
    return code;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "npu_bench_gloo: rank %d: %s\n", rank, error.what());
    return 1;
  }
}

}  // namespace

int main(int argc, char** argv) {
  const bool is_right = argc == 3 || argc == 6;
  const std::string what = is_right ? argv[1] : "";
  const int ranks = is_right ? std::atoi(argv[2]) : 0;
  char folder[] = "/tmp/npu-gloo.XXXXXX";
  if (what.find(':') == std::string::npos || ranks < 1 || mkdtemp(folder) == nullptr) return 2;
  Plan plan{folder, what, ranks};
  if (argc == 6) plan.interface = argv[3], plan.namespaces = {argv[4], argv[5]};
  std::vector<pid_t> others;
  for (int rank = 1; rank < ranks; rank++) {
    const pid_t pid = fork();
    if (pid == 0) _exit(run_guarded(plan, rank));
    others.push_back(pid);
  }
  int code = run_guarded(plan, 0);
  for (pid_t pid : others) {
    int status = 0;
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0) code = 1;
  }
  std::filesystem::remove_all(folder);
  return code;
}
