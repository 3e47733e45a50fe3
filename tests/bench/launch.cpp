// SPDX-License-Identifier: Apache-2.0
// Launches of a kernel that does nothing: with a wait after each (spinning and sleeping), the call alone, and many for one wait; against OpenCL on the CPU.
#include <cstdlib>
#include <string>
#include <vector>

#include "tests/bench/bench.h"
#include "tests/bench/measurement.h"
#include "tests/bench/opencl.h"
#include "tests/bench/session.h"

namespace npu::bench {
namespace {

constexpr int kBatch = 512;  // fits the ring
constexpr int kRounds = 9;

class NullKernel {
 public:
  explicit NullKernel(const Session& session) : session_(session) {
    kernel_ = load_null_kernel(session.context);
    info_.struct_size = sizeof info_;
    info_.grid_x = info_.grid_y = info_.grid_z = 1;
  }
  uint64_t launch() {
    uint64_t value = 0;
    check(npuQueueLaunch(session_.queue, kernel_, &info_, &value));
    return value;
  }
  void wait(uint64_t value) { check(npuQueueWait(session_.queue, value, NPU_TIMEOUT_INFINITE)); }

 private:
  const Session& session_;
  npuKernel kernel_ = nullptr;
  npuLaunchInfo info_{};
};

Measurement make(const std::string& name, const Paired& paired, const OpenCl* cl, double goal) {
  Measurement m{.name = name, .value = paired.ours_s * 1e6, .unit = "us"};
  if (cl != nullptr) m.peer = cl->name();
  if (paired.peer_s) m.peer_value = *paired.peer_s * 1e6;
  m.goal = goal;
  return m;
}

bool bench_round_trip(const std::string& road, const char* kind, int spin_us, OpenCl* cl,
                      const std::string& folder) {
  const Session session(road, spin_us);
  NullKernel kernel(session);
  const Body ours = [&] { return seconds_per(200, [&] { kernel.wait(kernel.launch()); }); };
  const Body theirs = [&] {
    return seconds_per(200, [&] {
      cl->enqueue_empty_kernel();
      cl->finish();
    });
  };
  const Paired paired = measure_paired(kRounds, ours, cl != nullptr ? theirs : Body());
  const std::string name =
      "launch_wait_" + std::string(kind) + "_" + road.substr(0, road.find(':'));
  return publish(make(name, paired, cl, 4), folder);
}

// The call alone, into a ring with room, and the whole batch until its end.
bool bench_batch(const std::string& road, OpenCl* cl, const std::string& folder) {
  const Session session(road);
  NullKernel kernel(session);
  uint64_t last = 0;
  const Body enqueue = [&] {
    const double s = seconds_per(kBatch, [&] { last = kernel.launch(); });
    kernel.wait(last);
    return s;
  };
  const Body enqueue_cl = [&] {
    const double s = seconds_per(kBatch, [&] { cl->enqueue_empty_kernel(); });
    cl->finish();
    return s;
  };
  const Body batch = [&] {
    return seconds_per(1,
                       [&] {
                         for (int i = 0; i < kBatch; i++) last = kernel.launch();
                         kernel.wait(last);
                       }) /
           kBatch;
  };
  const Body batch_cl = [&] {
    return seconds_per(1,
                       [&] {
                         for (int i = 0; i < kBatch; i++) cl->enqueue_empty_kernel();
                         cl->finish();
                       }) /
           kBatch;
  };
  const std::string suffix = "_" + road.substr(0, road.find(':'));
  const bool has_peer = cl != nullptr;
  const Paired one = measure_paired(kRounds, enqueue, has_peer ? enqueue_cl : Body());
  const Paired many = measure_paired(kRounds, batch, has_peer ? batch_cl : Body());
  return publish(make("launch_enqueue" + suffix, one, cl, 1), folder) &
         publish(make("launch_batched" + suffix, many, cl, 4), folder);
}

// Queues that do nothing, of two more openings of the device: one has not as many.
class IdleQueues {
 public:
  static constexpr size_t kCount = 1000;

  IdleQueues() {
    npuQueueInfo small{};
    small.struct_size = sizeof small;
    small.ring_entries = 64;
    for (npuDevice& device : devices_) {
      npuContext context = nullptr;
      check(npuDeviceOpen(nullptr, &device));
      check(npuContextCreate(device, &context));
      for (size_t i = 0; i < kCount / 2; i++) {
        npuQueue queue = nullptr;
        check(npuQueueCreate(context, &small, &queue));
      }
    }
  }
  ~IdleQueues() {
    for (const npuDevice device : devices_) check(npuDeviceClose(device));
  }

 private:
  npuDevice devices_[2] = {};
};

// A launch with a wait beside them, against one alone.
bool bench_idle_queues(const std::string& road, const std::string& folder) {
  const Session session(road);
  NullKernel kernel(session);
  const Body round = [&] { return seconds_per(500, [&] { kernel.wait(kernel.launch()); }); };
  std::vector<double> alone, beside;
  for (int turn = 0; turn < 3; turn++) {
    for (int i = 0; i < kRounds; i++) alone.push_back(round());
    const IdleQueues idle;
    for (int i = 0; i < kRounds; i++) beside.push_back(round());
  }
  Paired paired{median(beside), median(alone)};
  Measurement m =
      make("launch_wait_1000_idle_" + road.substr(0, road.find(':')), paired, nullptr, 0.9);
  m.peer = "no other queue";
  return publish(m, folder);
}

}  // namespace

bool bench_launch(const std::string& folder) {
  const std::unique_ptr<OpenCl> cl = OpenCl::find();
  bool good = true;
  for (const char* kind : {"inproc", "model"}) {
    const std::string road = model_road(kind);
    good &= bench_round_trip(road, "spinning", 1000, cl.get(), folder);
    good &= bench_round_trip(road, "sleeping", 0, cl.get(), folder);
    good &= bench_batch(road, cl.get(), folder);
    good &= bench_idle_queues(road, folder);
  }
  return good;
}

}  // namespace npu::bench
