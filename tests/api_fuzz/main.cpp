// SPDX-License-Identifier: Apache-2.0
// Calls every public function with random, stale and foreign handles and arguments.
//
//   api_fuzz [--calls N] [--seed S] [--threads T] [--round N]
//
// In rounds: npuInit, objects, calls, the end of everything, npuShutdown. A crash, a hang, a code that no caller can provoke, an output that was not written, a byte behind an output, a
// byte on stdout, device memory or a descriptor that is not given back: the program ends with a failure that names the function. The seed is printed.
#include <dirent.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <thread>

#include "tests/api_fuzz/callers.h"
#include "tests/api_fuzz/lane.h"
#include "tests/support/watchdog.h"

namespace npu::fuzz {

const char* blob_path() { return NPU_CONFORMANCE_BLOB; }

namespace {

struct Options {
  uint64_t calls = 150'000;
  uint64_t seed = 1;
  uint64_t threads = 1;
  uint64_t round = 25'000;  // calls of one
};

constexpr int64_t kBlockedNs = 50'000'000;
constexpr uint32_t kHangS = 60;
// A function that took so long in all is named at the end.
constexpr int64_t kSlowNs = 2'000'000'000;
// Of long runs it is said how far they are, each time that so many have been made.
constexpr uint64_t kCallsBetweenReports = 1'000'000;
constexpr uint64_t kCallsWithoutInit = 300;
// From so many calls each function has succeeded at least once.
constexpr uint64_t kCallsForSuccess = 140'000;

[[noreturn]] void die(const char* what, long long a = 0, long long b = 0) {
  std::fprintf(stderr, "api_fuzz: %s (%lld, %lld)\n", what, a, b);
  std::abort();
}

int open_descriptors() {
  int count = 0;
  DIR* const folder = opendir("/proc/self/fd");
  while (readdir(folder) != nullptr) count++;
  closedir(folder);
  return count;
}

// As many as there were. The model in the process ends with its last client, on a thread of its own.
void expect_descriptors(int count) {
  // Counted in turns, not by the clock: who is stopped meanwhile has not had the time.
  for (int i = 0; i < 5000 && open_descriptors() > count; i++) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  if (open_descriptors() > count)
    die("descriptors leaked: now and at the start", open_descriptors(), count);
}

// Who holds device memory, on stderr.
void print_holders() {
  for (const char* selector : {"0", "1"}) {
    npuMlDevice device = nullptr;
    npuMlProcess rows[8] = {};
    rows[0].struct_size = sizeof rows[0];
    uint32_t count = 8;
    if (npuMlOpen(selector, &device) == NPU_OK &&
        npuMlGetProcesses(device, &count, rows) == NPU_OK) {
      for (uint32_t i = 0; i < count; i++) {
        std::fprintf(stderr,
                     "api_fuzz: device %s: process %u holds %llu bytes, %u contexts, %u queues\n",
                     selector, rows[i].pid, static_cast<unsigned long long>(rows[i].hbm_bytes),
                     rows[i].contexts, rows[i].queues);
      }
    }
    npuMlClose(device);
  }
}

// Sees the free memory of both devices from outside of the round's objects.
class Watcher {
 public:
  Watcher() {
    for (int i = 0; i < 2; i++) {
      if (npuDeviceOpen(i == 0 ? "0" : "1", &devices_[i]) != NPU_OK ||
          npuContextCreate(devices_[i], &contexts_[i]) != NPU_OK) {
        die("cannot open a device", i);
      }
      note_free(i);
    }
  }
  ~Watcher() {
    for (const npuDevice device : devices_) npuDeviceClose(device);
  }
  // Its own devices and contexts are all that is alive.
  void expect_no_objects() {
    npuProfObject objects[64] = {};
    objects[0].struct_size = sizeof objects[0];
    uint32_t count = 64;
    if (npuProfGetObjects(&count, objects) < 0) die("no list of objects");
    for (uint32_t i = 0; i < count && count != 4; i++) {
      std::fprintf(stderr, "api_fuzz: alive: %s\n", objects[i].kind);
    }
    if (count != 4)
      die("objects are alive at the end of a round: now, and those of the watcher", count, 4);
  }
  // A daemon may still be giving back what the clients before held, so that the most ever seen is what there is.
  void expect_all_free() {
    for (int i = 0; i < 500 && !(note_free(0) && note_free(1)); i++) usleep(10000);
    for (int i = 0; i < 2; i++) {
      if (!note_free(i)) {
        print_holders();
        die("device memory leaked: free at the end, and at most before",
            static_cast<long long>(free_bytes(i)), static_cast<long long>(most_free_[i]));
      }
    }
  }

 private:
  uint64_t free_bytes(int i) {
    uint64_t free = 0;
    uint64_t total = 0;
    if (npuMemGetInfo(contexts_[i], &free, &total) != NPU_OK) die("no memory information");
    return free;
  }
  // True: there never was more.
  bool note_free(int i) {
    const uint64_t free = free_bytes(i);
    const bool is_most = free >= most_free_[i];
    if (is_most) most_free_[i] = free;
    return is_most;
  }
  npuDevice devices_[2] = {};
  npuContext contexts_[2] = {};
  static inline uint64_t most_free_[2] = {};
};

// A full ring behind a wait that nobody ends blocks its caller for ever, as the API says. Resetting the queues is the way out; here somebody does it for everybody.
class Rescuer {
 public:
  Rescuer(World& world, const std::vector<std::unique_ptr<Lane>>& lanes, test::Watchdog& dog)
      : thread_([this, &world, &lanes, &dog] { watch(world, lanes, dog); }) {}
  ~Rescuer() {
    stop_ = true;
    thread_.join();
  }

 private:
  void watch(World& world, const std::vector<std::unique_ptr<Lane>>& lanes, test::Watchdog& dog) {
    uint64_t seen = 0;
    while (!stop_) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      uint64_t calls = 0;
      bool blocked = false;
      for (const auto& lane : lanes) {
        calls += lane->calls();
        const int64_t since = lane->busy_since();
        blocked = blocked || (since != 0 && now_ns() - since > kBlockedNs);
      }
      if (calls != seen) dog.pet();
      seen = calls;
      if (!blocked) continue;
      for (const Entry& queue : world.all(Kind::kQueue)) {
        npuQueueReset(reinterpret_cast<npuQueue>(queue.handle), 100'000'000);
      }
    }
  }
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

void run_round(World& world, const std::vector<std::unique_ptr<Lane>>& lanes, uint64_t calls,
               test::Watchdog& dog) {
  if (npuInit() != NPU_OK) die("npuInit failed");
  {
    Watcher watcher;
    {
      const Rescuer rescuer(world, lanes, dog);
      std::vector<std::thread> threads;
      for (size_t i = 1; i < lanes.size(); i++) {
        threads.emplace_back([&lanes, i, calls] { lanes[i]->run(calls / lanes.size(), true); });
      }
      lanes[0]->run(calls / lanes.size(), true);
      for (std::thread& thread : threads) thread.join();
    }
    dog.pet();
    end_all(world, lanes[0]->fuzzer().rng);
    world.clear();
    npuProfStop();
    watcher.expect_no_objects();
    watcher.expect_all_free();
  }
  undo_inits();
  if (npuShutdown() != NPU_OK) die("npuShutdown failed");
  lanes[0]->run(kCallsWithoutInit, false);
  undo_inits();
  end_all(world, lanes[0]->fuzzer().rng);
  world.clear();
  dog.pet();
}

// Every function was called, and could succeed.
bool report(const std::vector<std::unique_ptr<Lane>>& lanes, uint64_t calls) {
  bool good = true;
  uint64_t least = ~0ull;
  uint64_t successes = 0;
  for (size_t i = 0; i < kFunctionCount; i++) {
    Tally sum;
    for (const auto& lane : lanes) {
      sum.calls += lane->tallies()[i].calls;
      sum.successes += lane->tallies()[i].successes;
      sum.time_ns += lane->tallies()[i].time_ns;
    }
    least = sum.calls < least ? sum.calls : least;
    successes += sum.successes;
    const bool bad = sum.calls == 0 || sum.successes == 0;
    if (bad || std::getenv("API_FUZZ_TABLE") != nullptr) {
      std::fprintf(stderr, "api_fuzz: %-30s %9llu calls, %9llu succeeded\n", kFunctions[i].name,
                   static_cast<unsigned long long>(sum.calls),
                   static_cast<unsigned long long>(sum.successes));
    }
    good = good && !(bad && calls >= kCallsForSuccess);
    if (sum.time_ns > kSlowNs) {
      std::fprintf(stderr, "api_fuzz: %-30s took %.1f s\n", kFunctions[i].name,
                   static_cast<double>(sum.time_ns) / 1e9);
    }
  }
  std::fprintf(stderr,
               "api_fuzz: %zu functions, each called at least %llu times; %llu calls succeeded\n",
               kFunctionCount, static_cast<unsigned long long>(least),
               static_cast<unsigned long long>(successes));
  return good;
}

bool parse(int argc, char** argv, Options* out) {
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string key = argv[i];
    const uint64_t number = std::strtoull(argv[i + 1], nullptr, 0);
    if (key == "--calls")
      out->calls = number;
    else if (key == "--seed")
      out->seed = number;
    else if (key == "--threads")
      out->threads = number;
    else if (key == "--round")
      out->round = number;
    else
      return false;
  }
  return argc % 2 == 1 && out->threads >= 1 && out->round >= out->threads;
}

void report_progress(uint64_t before, uint64_t now, int64_t start_ns) {
  if (before / kCallsBetweenReports == now / kCallsBetweenReports) return;
  std::fprintf(stderr, "api_fuzz: %llu calls after %.0f s\n", static_cast<unsigned long long>(now),
               static_cast<double>(now_ns() - start_ns) / 1e9);
}

int run(const Options& options) {
  const int real_stdout = dup(STDOUT_FILENO);
  const int fake_stdout = memfd_create("stdout", MFD_CLOEXEC);
  if (fake_stdout < 0 || dup2(fake_stdout, STDOUT_FILENO) < 0)
    die("cannot put a file in the place of stdout");
  std::fprintf(stderr, "api_fuzz: seed %llu, %llu calls, %llu threads\n",
               static_cast<unsigned long long>(options.seed),
               static_cast<unsigned long long>(options.calls),
               static_cast<unsigned long long>(options.threads));
  const int64_t start = now_ns();
  test::Watchdog dog(kHangS);
  World world;
  std::vector<std::unique_ptr<Lane>> lanes;
  for (uint64_t i = 0; i < options.threads; i++) {
    lanes.push_back(std::make_unique<Lane>(world, options.seed * 1'000'003 + i));
  }
  const int descriptors = open_descriptors();
  uint64_t made = 0;
  for (uint64_t round = 0; made < options.calls; round++, made += options.round) {
    run_round(world, lanes, options.round, dog);
    expect_descriptors(descriptors);
    report_progress(made, made + options.round, start);
  }
  struct stat written {};
  fflush(stdout);
  fstat(fake_stdout, &written);
  if (written.st_size != 0)
    die("bytes were written to stdout", static_cast<long long>(written.st_size));
  dup2(real_stdout, STDOUT_FILENO);
  const bool good = report(lanes, options.calls);
  std::fprintf(stderr, "api_fuzz: %.1f s\n", static_cast<double>(now_ns() - start) / 1e9);
  return good ? 0 : 1;
}

}  // namespace
}  // namespace npu::fuzz

#if defined(__SANITIZE_THREAD__)
// Several threads copy to one address at random: that is theirs to order, as the API says. These functions touch nothing but the bytes of the caller.
extern "C" __attribute__((visibility("default"))) const char* __tsan_default_suppressions() {
  return "race:npu::HostView::copy\nrace:npu::HostView::write\nrace:npu::HostView::read\n";
}
#endif

int main(int argc, char** argv) {
  npu::fuzz::Options options;
  if (!npu::fuzz::parse(argc, argv, &options)) {
    std::fprintf(stderr, "usage: api_fuzz [--calls N] [--seed S] [--threads T] [--round N]\n");
    return 2;
  }
  return npu::fuzz::run(options);
}
