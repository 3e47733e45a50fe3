// SPDX-License-Identifier: Apache-2.0
// What the runtime costs beside the work: submission in its ways, round trips, chains of queues, small copies, graphs, and being idle; against OpenCL on the CPU in the same run.
#include <dirent.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/bench/bench.h"
#include "tests/bench/measurement.h"
#include "tests/bench/opencl.h"
#include "tests/bench/session.h"

namespace npu::bench {
namespace {

constexpr int kBatch = 512;      // fits the ring
constexpr int kLongChain = 256;  // links; fits two rings
constexpr int kRounds = 15;
constexpr int kIdleS = 10;
constexpr size_t kSmallBytes = 4096;

// The empty kernel in all forms of submission.
class Work {
 public:
  explicit Work(const Session& session) : session_(session), batch_(kBatch) {
    kernel_ = load_null_kernel(session.context);
    info_.struct_size = sizeof info_;
    info_.grid_x = info_.grid_y = info_.grid_z = 1;
    check(npuLaunchPrepare(kernel_, &info_, &prepared_));
    npuGraph graph = nullptr;
    check(npuGraphCreate(session.context, &graph));
    for (npuCommand& command : batch_) {
      std::memset(&command, 0, sizeof command);
      command.struct_size = sizeof command;
      command.kind = NPU_COMMAND_LAUNCH;
      command.as.launch.kernel = kernel_;
      command.as.launch.info = &info_;
      check(npuGraphAddKernel(graph, 0, nullptr, kernel_, &info_, nullptr));
    }
    check(npuGraphInstantiate(graph, &exec_));
    check(npuQueueCreate(session.context, nullptr, &other_));
  }

  void launch(npuQueue queue) { check(npuQueueLaunch(queue, kernel_, &info_, &value_)); }
  void launch() { launch(session_.queue); }
  void launch_prepared() { check(npuQueueLaunchPrepared(session_.queue, prepared_, &value_)); }
  void submit_batch() { check(npuSubmitBatch(session_.queue, kBatch, batch_.data(), &value_)); }
  void launch_graph() { check(npuGraphLaunch(exec_, session_.queue, &value_)); }
  void wait() { wait(session_.queue); }
  void wait(npuQueue queue) { check(npuQueueWait(queue, value_, NPU_TIMEOUT_INFINITE)); }
  // Each link waits on the device for the one before it, on the other queue; the host for the last one.
  void chain(int links) {
    npuQueue queues[2] = {session_.queue, other_};
    for (int i = 0; i < links; i++) {
      if (i != 0) check(npuQueueWaitQueue(queues[i % 2], queues[(i + 1) % 2], value_, nullptr));
      launch(queues[i % 2]);
    }
    wait(queues[(links - 1) % 2]);
  }

 private:
  const Session& session_;
  npuKernel kernel_ = nullptr;
  npuLaunchInfo info_{};
  npuPreparedLaunch prepared_ = nullptr;
  npuGraphExec exec_ = nullptr;
  npuQueue other_ = nullptr;
  std::vector<npuCommand> batch_;
  uint64_t value_ = 0;
};

struct Group {
  std::string road;
  const std::string& folder;
  OpenCl* cl;

  std::string name(const std::string& what) const {
    return "runtime_" + what + "_" + road.substr(0, road.find(':'));
  }
  bool publish_us(const std::string& what, const Paired& paired, double goal) const {
    Measurement m{.name = name(what), .value = paired.ours_s * 1e6, .unit = "us"};
    if (cl != nullptr) m.peer = cl->name();
    if (paired.peer_s) m.peer_value = *paired.peer_s * 1e6;
    m.goal = goal;
    return publish(m, folder);
  }
  bool measure(const std::string& what, const Body& ours, const Body& theirs, double goal) const {
    return publish_us(what, measure_paired(kRounds, ours, cl != nullptr ? theirs : Body()), goal);
  }
};

// The calls alone; what was submitted is waited for outside of the time.
bool bench_enqueue(const Group& group, Work& work) {
  const auto alone = [&](int calls, auto submit) -> Body {
    return [&work, calls, submit] {
      const double s = seconds_per(calls, submit) * calls / kBatch;
      work.wait();
      return s;
    };
  };
  const Body theirs = [&] {
    const double s = seconds_per(kBatch, [&] { group.cl->enqueue_empty_kernel(); });
    group.cl->finish();
    return s;
  };
  return group.measure("enqueue", alone(kBatch, [&] { work.launch(); }), theirs, 4) &
         group.measure("enqueue_prepared", alone(kBatch, [&] { work.launch_prepared(); }), theirs,
                       4) &
         group.measure("enqueue_batch", alone(1, [&] { work.submit_batch(); }), theirs, 4);
}

// Until all has ended, per launch or node.
bool bench_batch(const Group& group, Work& work) {
  const auto until_end = [&](int calls, auto submit) -> Body {
    return [&work, calls, submit] {
      const auto all = [&] {
        for (int i = 0; i < calls; i++) submit();
        work.wait();
      };
      return seconds_per(1, all) / kBatch;
    };
  };
  const Body batch = until_end(1, [&] { work.submit_batch(); });
  const Body theirs = [&] {
    return seconds_per(1,
                       [&] {
                         for (int i = 0; i < kBatch; i++) group.cl->enqueue_empty_kernel();
                         group.cl->finish();
                       }) /
           kBatch;
  };
  bool good = group.measure("launches", until_end(kBatch, [&] { work.launch(); }), theirs, 4);
  good &= group.measure("batch", batch, theirs, 4);
  const Paired graph = measure_paired(kRounds, until_end(1, [&] { work.launch_graph(); }), batch);
  Measurement m{.name = group.name("graph_node"), .value = graph.ours_s * 1e6, .unit = "us"};
  m.peer = "our own batch";
  m.peer_value = *graph.peer_s * 1e6;
  m.goal = 2;
  return good & publish(m, group.folder);
}

bool bench_round_trip(const Group& group, const char* kind, int spin_us) {
  const Session session(group.road, spin_us);
  Work work(session);
  return group.measure(
      std::string("launch_wait_") + kind,
      [&] {
        return seconds_per(200, [&] {
          work.launch();
          work.wait();
        });
      },
      [&] {
        return seconds_per(200, [&] {
          group.cl->enqueue_empty_kernel();
          group.cl->finish();
        });
      },
      4);
}

// The round trip of one dependency between two queues; and what a link of a long chain costs.
bool bench_chain(const Group& group, Work& work) {
  const Body ours = [&] { return seconds_per(100, [&] { work.chain(2); }); };
  const Body theirs = [&] { return seconds_per(100, [&] { group.cl->run_chain(2); }); };
  const Body our_link = [&] {
    return seconds_per(1, [&] { work.chain(kLongChain); }) / kLongChain;
  };
  const Body their_link = [&] {
    return seconds_per(1, [&] { group.cl->run_chain(kLongChain); }) / kLongChain;
  };
  return group.measure("event_chain", ours, theirs, 4) &
         group.measure("event_chain_link", our_link, their_link, 1);
}

bool bench_copy(const Group& group, const Session& session) {
  const std::vector<char> bytes(kSmallBytes, 1);
  npuDevPtr at = 0;
  check(npuMemAlloc(session.context, NPU_MEM_DEVICE, kSmallBytes, &at));
  if (group.cl != nullptr) group.cl->make_buffer(kSmallBytes);
  return group.measure(
      "copy_4k",
      [&] {
        return seconds_per(1000, [&] {
          check(npuMemCopyToDevice(session.context, at, bytes.data(), kSmallBytes));
        });
      },
      [&] { return seconds_per(200, [&] { group.cl->write(bytes.data(), kSmallBytes); }); }, 4);
}

// User and system time of a process, in ticks of the kernel.
long ticks_of(const std::string& pid) {
  std::ifstream file("/proc/" + pid + "/stat");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  long user = 0, system = 0;
  const size_t end_of_name = text.rfind(')');
  if (end_of_name == std::string::npos) return 0;
  std::sscanf(text.c_str() + end_of_name + 1,
              " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld", &user, &system);
  return user + system;
}

// The daemon that this program has started: the one with its runtime folder.
std::string daemon_pid() {
  const std::string wanted = "XDG_RUNTIME_DIR=" + std::string(std::getenv("XDG_RUNTIME_DIR"));
  std::string found;
  DIR* proc = opendir("/proc");
  while (const dirent* entry = readdir(proc)) {
    const std::string pid = entry->d_name;
    std::ifstream comm("/proc/" + pid + "/comm");
    std::string name;
    if (!std::getline(comm, name) || name != "npu-modeld") continue;
    std::ifstream file("/proc/" + pid + "/environ", std::ios::binary);
    const std::string environment{std::istreambuf_iterator<char>(file), {}};
    if (environment.find(wanted + '\0') != std::string::npos) found = pid;
  }
  closedir(proc);
  return found;
}

bool bench_idle(const Group& group) {
  const Session session(group.road);
  Work work(session);
  work.launch();
  work.wait();
  const std::string daemon = group.road.rfind("model", 0) == 0 ? daemon_pid() : "";
  usleep(500'000);  // the last looks at a doorbell are over
  const long before = ticks_of("self") + (daemon.empty() ? 0 : ticks_of(daemon));
  sleep(kIdleS);
  const long after = ticks_of("self") + (daemon.empty() ? 0 : ticks_of(daemon));
  Measurement m{.name = group.name("idle_10s"),
                .value = static_cast<double>(after - before),
                .unit = "ticks of CPU"};
  return publish(m, group.folder) && after == before;
}

}  // namespace

bool bench_runtime(const std::string& folder) {
  const std::unique_ptr<OpenCl> cl = OpenCl::find();
  bool good = true;
  for (const char* kind : {"inproc", "model"}) {
    const Group group{model_road(kind), folder, cl.get()};
    good &= bench_round_trip(group, "spinning", 1000);
    good &= bench_round_trip(group, "sleeping", 0);
    {
      const Session session(group.road);
      Work work(session);
      good &= bench_enqueue(group, work);
      good &= bench_batch(group, work);
      good &= bench_chain(group, work);
      good &= bench_copy(group, session);
    }
    good &= bench_idle(group);
  }
  return good;
}

}  // namespace npu::bench
