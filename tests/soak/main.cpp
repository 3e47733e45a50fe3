// SPDX-License-Identifier: Apache-2.0
// Processes that use one device at random and die at random, for as long as one wants.
//
//   npu_soak [--seconds S] [--processes P] [--threads T] [--seed N] [--hang-seconds S] [--stop-one 1]
//
// A daemon of its own, P worker processes of T threads each. From time to time a worker is killed (SIGKILL) and another starts. At the end the workers end by themselves; then the device must
// have all its memory, the daemon its descriptors of the start and no process in its list. A worker's result that is not legal, wrong data, a leak or a hang fails the run; the message has
// the seed of the worker. Nobody hangs who gets no processor (judge.h). --stop-one stops the first worker and kills none: a hang, to see it found.
// Times are random too, so a seed gives the same actions in each thread, not the same order between them.
#include <npu/npu.h>
#include <npu/npu_ml.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/soak/board.h"
#include "tests/soak/daemon.h"
#include "tests/soak/judge.h"
#include "tests/soak/processor.h"
#include "tests/soak/session.h"
#include "tests/soak/worker.h"
#include "tests/support/rng.h"

namespace npu::soak {
namespace {

// What the daemon's own memory may grow by; a sanitizer keeps what was freed for a while.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr uint64_t kGrowthBytes = uint64_t{1} << 30;
#else
constexpr uint64_t kGrowthBytes = 48u << 20;
#endif
// How long a worker may take to answer where it hangs; not longer than it may be silent.
constexpr int64_t kAnswerNs = 30'000'000'000;

struct Options {
  WorkerOptions worker;
  uint32_t hang_seconds = 180;
  bool stop_one = false;
  bool is_worker = false;

  Limits limits() const { return {int64_t{hang_seconds} * 1'000'000'000}; }
};

struct Child {
  pid_t pid = -1;
  uint64_t seed = 0;
  bool killed = false;
};

[[noreturn]] void die(const char* what, long long now = 0, long long wanted = 0) {
  std::fprintf(stderr, "soak: %s (%lld, %lld)\n", what, now, wanted);
  std::exit(1);
}

// What must be at the end as it was at the start.
class Books {
 public:
  Books(Daemon& daemon, Limits limits) : daemon_(daemon), limits_(limits) {
    if (npuInit() != NPU_OK || npuDeviceOpen(nullptr, &device_) != NPU_OK ||
        npuContextCreate(device_, &context_) != NPU_OK || npuMlOpen(nullptr, &ml_) != NPU_OK) {
      die("cannot open the device");
    }
    free_ = free_bytes();
    descriptors_ = daemon_.descriptors();
    processes_ = processes();
  }
  ~Books() {
    npuMlClose(ml_);
    npuDeviceClose(device_);
    npuShutdown();
  }
  // The daemon learns of a process's end when the kernel closes its socket: some time is allowed.
  void expect_as_before() {
    wait_for(daemon_.pid(), limits_, [this] { return is_as_before(); });
    if (free_bytes() != free_)
      die("device memory is not free again", static_cast<long long>(free_bytes()),
          static_cast<long long>(free_));
    if (processes() != processes_) die("processes in the daemon's list", processes(), processes_);
    if (daemon_.descriptors() != descriptors_)
      die("descriptors of the daemon", daemon_.descriptors(), descriptors_);
  }

 private:
  bool is_as_before() {
    return free_bytes() == free_ && processes() == processes_ &&
           daemon_.descriptors() == descriptors_;
  }
  uint64_t free_bytes() {
    uint64_t free = 0;
    uint64_t total = 0;
    if (npuMemGetInfo(context_, &free, &total) != NPU_OK)
      die("the device does not tell its free memory");
    return free;
  }
  uint32_t processes() {
    uint32_t count = 0;
    const npuResult result = npuMlGetProcesses(ml_, &count, nullptr);
    if (result < 0) die("the device does not list its processes", result);
    return count;
  }

  Daemon& daemon_;
  Limits limits_;
  npuDevice device_ = nullptr;
  npuContext context_ = nullptr;
  npuMlDevice ml_ = nullptr;
  uint64_t free_ = 0;
  int descriptors_ = 0;
  uint32_t processes_ = 0;
};

class Soak {
 public:
  Soak(const Options& options, Daemon& daemon)
      : options_(options),
        rng_(options.worker.seed),
        daemon_(daemon),
        board_(options.worker.processes),
        judge_(daemon.pid(), options.worker.processes, options.limits()) {
    // A queue of letters without a reader in particular: each worker puts in and takes out.
    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, box_) != 0) die("no socket pair");
    end_ns_ = now_ns() + int64_t{options.worker.seconds} * 1'000'000'000;
  }

  // Workers for the given time. Afterwards none is left.
  void run() {
    for (uint32_t i = 0; i < options_.worker.processes; i++) children_.push_back(start(i));
    int64_t next_kill_ns = now_ns() + pause_ns();
    while (now_ns() < end_ns_) {
      usleep(20'000);
      look(false);
      if (now_ns() < next_kill_ns || now_ns() + 1'000'000'000 > end_ns_) continue;
      next_kill_ns = now_ns() + pause_ns();
      if (options_.stop_one)
        kill(children_[0].pid, SIGSTOP);
      else
        kill_one();
    }
    // Memory in letters that nobody fetched.
    close(box_[0]);
    close(box_[1]);
    while (look(true) != 0) usleep(20'000);
    std::fprintf(
        stderr,
        "soak: %u workers were killed; the longest silence: %.0f s, of which %.0f s without "
        "a processor\n",
        kills_, seconds(judge_.longest().silent_ns), seconds(judge_.longest().starved_ns));
  }

 private:
  int64_t pause_ns() { return static_cast<int64_t>(200'000'000 + rng_.below(1'500'000'000)); }

  static double seconds(int64_t ns) { return static_cast<double>(ns) * 1e-9; }

  Child start(uint32_t number) {
    Child child;
    board_.page(number).clear();
    child.seed = options_.worker.seed * 10'000 + serial_++;
    const int64_t left_s = (end_ns_ - now_ns()) / 1'000'000'000 + 1;
    const std::string arguments[] = {"npu_soak",
                                     "--worker",
                                     std::to_string(number),
                                     "--seed",
                                     std::to_string(child.seed),
                                     "--threads",
                                     std::to_string(options_.worker.threads),
                                     "--seconds",
                                     std::to_string(left_s),
                                     "--in",
                                     std::to_string(box_[0]),
                                     "--out",
                                     std::to_string(box_[1]),
                                     "--board",
                                     std::to_string(board_.descriptor()),
                                     "--processes",
                                     std::to_string(options_.worker.processes)};
    std::vector<char*> argv;
    for (const std::string& argument : arguments)
      argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    child.pid = fork();
    if (child.pid == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      execv("/proc/self/exe", argv.data());
      _exit(127);
    }
    judge_.begin(number, child.pid);
    return child;
  }

  void kill_one() {
    const uint64_t number = rng_.below(children_.size());
    if (judge_.is_suspect(static_cast<uint32_t>(number))) return;
    Child& child = children_[number];
    child.killed = true;
    kill(child.pid, SIGKILL);
    kills_++;
  }

  // Reaps; a worker that was killed gets a successor unless it is time. Returns how many run.
  uint32_t look(bool at_end) {
    uint32_t running = 0;
    if (!daemon_.is_running()) die("the daemon has ended");
    if (const auto silence = judge_.look(board_)) hang(*silence);
    for (uint32_t i = 0; i < children_.size(); i++) {
      Child& child = children_[i];
      int status = 0;
      if (child.pid < 0) continue;
      if (waitpid(child.pid, &status, WNOHANG) != child.pid) {
        running++;
        continue;
      }
      const bool good =
          (child.killed && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) || status == 0;
      if (!good) {
        // A worker may learn of the daemon's end before this process can.
        usleep(1'000'000);
        std::fprintf(stderr,
                     "soak: worker %u with seed %llu ended with status 0x%x; the daemon %s\n", i,
                     static_cast<unsigned long long>(child.seed), status, daemon_.state().c_str());
        end_all();
        std::exit(1);
      }
      child.pid = -1;
      judge_.end(i);
      if (at_end) continue;
      child = start(i);
      running++;
    }
    return running;
  }

  [[noreturn]] void hang(const Silence& silence) {
    const Child& child = children_[silence.worker];
    std::fprintf(
        stderr,
        "soak: worker %u (seed %llu) hangs: thread %u has given no sign of life for %.0f s, "
        "of which %.0f s without a processor; the daemon %s\n",
        silence.worker, static_cast<unsigned long long>(child.seed), silence.thread,
        seconds(silence.silent_ns), seconds(silence.starved_ns), daemon_.state().c_str());
    tell_threads(daemon_.pid());
    tell_threads(child.pid);
    board_.page(silence.worker).question = 1 + silence.thread;
    const int64_t deadline = now_ns() + std::min(kAnswerNs, options_.limits().hang_ns);
    while (waitpid(child.pid, nullptr, WNOHANG) == 0 && now_ns() < deadline) usleep(20'000);
    end_all();
    std::exit(1);
  }
  void end_all() {
    for (const Child& child : children_) {
      if (child.pid > 0) kill(child.pid, SIGKILL);
    }
  }

  Options options_;
  Rng rng_;
  Daemon& daemon_;
  Board board_;
  Judge judge_;
  int box_[2] = {-1, -1};
  int64_t end_ns_ = 0;
  std::vector<Child> children_;
  uint64_t serial_ = 0;
  uint32_t kills_ = 0;
};

int run_parent(const Options& options) {
  std::fprintf(stderr, "soak: seed %llu, %u s, %u processes of %u threads\n",
               static_cast<unsigned long long>(options.worker.seed), options.worker.seconds,
               options.worker.processes, options.worker.threads);
  char folder[] = "/tmp/npu-soak-XXXXXX";
  if (mkdtemp(folder) == nullptr) die("no folder");
  const std::string socket = std::string(folder) + "/soak.sock";
  setenv("NPU_DEVICE", ("unix:" + socket).c_str(), 1);
  int code = 0;
  {
    Daemon daemon(NPU_SOAK_MODELD, NPU_SOAK_PROFILES, socket, options.limits());
    uint64_t own_bytes = 0;
    {
      Books books(daemon, options.limits());
      // A short run first: what the daemon keeps after its first load is no growth.
      Options warm = options;
      warm.worker.seconds = options.worker.seconds >= 8 ? options.worker.seconds / 4 : 1;
      Soak(warm, daemon).run();
      books.expect_as_before();
      own_bytes = daemon.own_bytes();
      Options rest = options;
      rest.worker.seconds = options.worker.seconds - warm.worker.seconds;
      rest.worker.seed++;
      Soak(rest, daemon).run();
      books.expect_as_before();
    }
    std::fprintf(stderr,
                 "soak: the daemon's own memory: %llu KiB, before the second part %llu KiB\n",
                 static_cast<unsigned long long>(daemon.own_bytes() >> 10),
                 static_cast<unsigned long long>(own_bytes >> 10));
    if (daemon.own_bytes() > own_bytes + kGrowthBytes) code = 1;
    if (!daemon.end()) die("the daemon did not end well");
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  std::fprintf(stderr, code == 0 ? "soak: all is as it was\n" : "soak: the daemon has grown\n");
  return code;
}

bool parse(int argc, char** argv, Options* out) {
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string key = argv[i];
    const auto number = std::strtoull(argv[i + 1], nullptr, 0);
    const auto small = static_cast<uint32_t>(number);
    if (key == "--seconds")
      out->worker.seconds = small;
    else if (key == "--processes")
      out->worker.processes = small;
    else if (key == "--threads")
      out->worker.threads = small;
    else if (key == "--seed")
      out->worker.seed = number;
    else if (key == "--in")
      out->worker.exchange_in = static_cast<int>(small);
    else if (key == "--out")
      out->worker.exchange_out = static_cast<int>(small);
    else if (key == "--board")
      out->worker.board = static_cast<int>(small);
    else if (key == "--hang-seconds")
      out->hang_seconds = small;
    else if (key == "--stop-one")
      out->stop_one = small != 0;
    else if (key == "--worker")
      out->is_worker = true, out->worker.number = small;
    else
      return false;
  }
  return argc % 2 == 1 && out->worker.processes != 0 && out->worker.threads != 0 &&
         out->worker.threads <= kThreadsMost && out->worker.seconds != 0 && out->hang_seconds != 0;
}

}  // namespace
}  // namespace npu::soak

int main(int argc, char** argv) {
  npu::soak::Options options;
  options.worker.blob = NPU_CONFORMANCE_BLOB;
  if (!npu::soak::parse(argc, argv, &options)) {
    std::fprintf(stderr,
                 "usage: npu_soak [--seconds S] [--processes P] [--threads T] [--seed N] "
                 "[--hang-seconds S] [--stop-one 1]\n");
    return 2;
  }
  return options.is_worker ? npu::soak::run_worker(options.worker) : npu::soak::run_parent(options);
}
