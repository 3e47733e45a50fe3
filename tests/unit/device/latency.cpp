// SPDX-License-Identifier: Apache-2.0
// How long the device core takes on this host: launches, batches, copies. Prints a table; not a
// test, for times are not asserted.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <vector>

#include "tests/unit/device/test_driver.h"
#include "tests/unit/device/test_kernels.h"

namespace {

using namespace npu::test;
using Clock = std::chrono::steady_clock;

double us_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
}

void print_quantiles(const char* name, std::vector<double> values) {
  std::sort(values.begin(), values.end());
  std::printf("%-44s median %8.2f us   p90 %8.2f   best %8.2f\n", name, values[values.size() / 2],
              values[values.size() * 9 / 10], values.front());
}

struct Bench {
  explicit Bench(uint32_t threads) : driver(options(threads)) {
    module = static_cast<uint32_t>(driver.load_module(queue, standard_blob()).result);
  }
  static DriverOptions options(uint32_t threads) {
    DriverOptions result;
    result.worker_threads = threads;
    result.shared_doorbells = true;
    result.scalar_numerics = false;
    result.profile.hbm_bytes = uint64_t{1} << 30;
    return result;
  }
  static TestDriver::QueueOptions deep() {
    TestDriver::QueueOptions result;
    result.log2 = 12;
    return result;
  }
  npu_cmd_launch null_launch() const { return launch(module, kNull, {1, 1, 1}, 0, 0); }

  TestDriver driver;
  uint32_t context = driver.create_context();
  TestQueue queue = driver.create_queue(context, deep());
  uint32_t module = 0;
};

template <typename Wait>
void round_trips(Bench& bench, const char* name, int rounds, unsigned pause_us, Wait wait) {
  std::vector<double> times;
  for (int i = 0; i < rounds; ++i) {
    if (pause_us != 0) usleep(pause_us);
    const auto begin = Clock::now();
    const uint64_t seq = bench.queue.push(bench.null_launch());
    bench.queue.ring();
    wait(seq);
    times.push_back(us_since(begin));
  }
  print_quantiles(name, times);
}

template <typename Command>
void batch(Bench& bench, const char* name, const Command& command, uint64_t count = 4096,
           uint64_t divide = 1) {
  double best = 1e9;
  for (int round = 0; round < 20; ++round) {
    for (uint64_t i = 0; i < count; ++i) bench.queue.push(command);
    const auto begin = Clock::now();
    bench.queue.ring();
    bench.queue.spin(bench.queue.written - 1);
    best = std::min(best, us_since(begin));
  }
  std::printf("%-44s best   %8.3f us each\n", name, best / static_cast<double>(count * divide));
}

template <typename Run>
double best_gbytes_per_s(uint64_t bytes, Run run) {
  double best = 1e9;
  for (int round = 0; round < 6; ++round) {
    const auto begin = Clock::now();
    run();
    best = std::min(best, us_since(begin));
  }
  return static_cast<double>(bytes) / best / 1e3;
}

void copies(Bench& bench) {
  const uint64_t bytes = 64 << 20;
  const Buffer hbm = bench.driver.make_buffer(bench.context, bytes);
  const Buffer hbm2 = bench.driver.make_buffer(bench.context, bytes);
  const Buffer host = bench.driver.make_buffer(bench.context, bytes, Place::kHost);
  std::memset(hbm.data, 1, bytes);
  std::memset(hbm2.data, 2, bytes);
  std::memset(host.data, 3, bytes);
  const auto device = [&](const auto& command) {
    return best_gbytes_per_s(bytes, [&] {
      const uint64_t seq = bench.queue.push(command);
      bench.queue.ring();
      bench.queue.wait(seq);  // asleep: the CPU belongs to the copy
    });
  };
  const double plain = best_gbytes_per_s(bytes, [&] { std::memcpy(hbm2.data, host.data, bytes); });
  const double set = best_gbytes_per_s(bytes, [&] { std::memset(hbm2.data, 5, bytes); });
  std::printf("memcpy 64 MiB            %6.2f GB/s\n", plain);
  std::printf("COPY host to HBM         %6.2f GB/s   %.2f of memcpy\n",
              device(copy(host.dva, hbm2.dva, bytes)),
              device(copy(host.dva, hbm2.dva, bytes)) / plain);
  std::printf("COPY HBM to HBM          %6.2f GB/s\n", device(copy(hbm.dva, hbm2.dva, bytes)));
  std::printf("memset 64 MiB            %6.2f GB/s\n", set);
  std::printf("FILL 1 byte              %6.2f GB/s\n", device(fill(hbm2.dva, bytes, 7, 1)));
  std::printf("FILL 8 bytes             %6.2f GB/s\n",
              device(fill(hbm2.dva, bytes, 0x0102030405060708, 8)));
}

}  // namespace

int main() {
  Bench bench(1);
  round_trips(bench, "null launch, both spin", 20000, 0, [&](uint64_t s) { bench.queue.spin(s); });
  round_trips(bench, "null launch, client blocks", 5000, 0,
              [&](uint64_t s) { bench.queue.wait(s); });
  round_trips(bench, "null launch, device asleep, client spins", 500, 1000,
              [&](uint64_t s) { bench.queue.spin(s); });
  round_trips(bench, "null launch, device asleep, client blocks", 500, 1000,
              [&](uint64_t s) { bench.queue.wait(s); });
  batch(bench, "NOP in a batch of 4096", nop());
  batch(bench, "null launch in a batch of 4096", bench.null_launch());
  const Buffer list = bench.driver.make_buffer(bench.context, 64 * 1024);
  for (npu_cmd& entry : list.as<npu_cmd>()) {
    const npu_cmd_launch command = bench.null_launch();
    std::memcpy(&entry, &command, sizeof(entry));
  }
  batch(bench, "null launch in an EXEC of 1000", exec(list.dva, 1000), 2, 1000);
  std::vector<TestQueue> idle;
  for (int i = 0; i < 900; ++i) idle.push_back(bench.driver.create_queue(bench.context));
  round_trips(bench, "null launch, both spin, 900 idle queues", 20000, 0,
              [&](uint64_t s) { bench.queue.spin(s); });
  batch(bench, "NOP in a batch, 900 idle queues", nop());
  copies(bench);
  Bench two(2);
  batch(two, "launch of 8 groups of 1 instruction, 2 workers",
        launch(two.module, kNull, {8, 1, 1}, 0, 0));
  return 0;
}
