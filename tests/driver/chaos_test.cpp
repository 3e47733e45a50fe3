// SPDX-License-Identifier: Apache-2.0
// Everything at once: threads of one file that make, map, copy and destroy at random, while the device is reset, the process killed, the device
// taken away. Only what the situation allows may be answered, and nothing may stay behind.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <optional>
#include <random>
#include <set>
#include <sstream>
#include <thread>

#include "tests/driver/guest.h"

namespace npu::driver_test {
namespace {

constexpr uint32_t kThreads = 5;

// One thread's random calls. Ids and handles are guessed: those of the other threads, too.
class Actor {
 public:
  Actor(File* file, uint32_t seed, const std::set<int>& allowed, std::atomic<int>* wrong)
      : file_(*file), random_(seed), allowed_(allowed), wrong_(*wrong) {}

  void act() {
    switch (below(12)) {
      case 0:
        return make_vm();
      case 1:
        return check("VM_DESTROY", file_.destroy_vm(some_vm()));
      case 2:
        return make_object();
      case 3:
        return check("GEM_CLOSE", file_.close_object(1 + below(64)));
      case 4: {
        npu_vm_query query{};
        return check("VM_QUERY", file_.query_vm(some_vm(), &query));
      }
      case 5:
        return check("COPY_SUBMIT", file_.copy({copy_op(1 + below(40), 0, 1 + below(40), 0, 4096)},
                                               NPU_COPY_WAIT));
      default:
        return check("VM_BIND", file_.bind_all(some_vm(), random_ops()));
    }
  }

 private:
  uint32_t below(uint32_t end) { return static_cast<uint32_t>(random_() % end); }
  uint32_t some_vm() { return below(2) != 0 && vm_ != 0 ? vm_ : 1 + below(12); }

  void check(const char* call, int err) {
    if (err == 0 || allowed_.count(err) != 0) return;
    fprintf(stderr, "%s: errno %d\n", call, err);
    ++wrong_;
  }

  void make_vm() {
    npu_vm_create args{};
    const int err = file_.silent(NPU_CALL_VM_CREATE, &args);
    if (err == 0) vm_ = args.vm_id;
    check("VM_CREATE", err);
  }

  void make_object() {
    npu_bo_create args{};
    args.size_bytes = NPU_PAGE_64K * (1 + below(64));
    args.region = below(2);
    const int err = file_.silent(NPU_CALL_BO_CREATE, &args);
    check("BO_CREATE", err);
    if (err == 0 && args.handle > 60) file_.close_object(args.handle);
  }

  std::vector<npu_bind_op> random_ops() {
    std::vector<npu_bind_op> ops;
    for (uint32_t count = 1 + below(4); count > 0; --count) {
      const uint64_t dva = NPU_PAGE_64K * (1 + below(256)), bytes = NPU_PAGE_64K * (1 + below(16));
      ops.push_back(below(3) == 0 ? unmap_op(dva, bytes) : map_op(1 + below(40), 0, dva, bytes));
    }
    return ops;
  }

  File& file_;
  std::mt19937 random_;
  const std::set<int>& allowed_;
  std::atomic<int>& wrong_;
  uint32_t vm_ = 0;
};

// Threads of one file that act until they are stopped.
class Crowd {
 public:
  // |starved|: allocations of the kernel on behalf of these threads fail, as far as the machine was told to (failslab).
  Crowd(File* file, uint32_t seed, std::set<int> allowed, bool starved = false)
      : allowed_(std::move(allowed)) {
    printf("seed %u\n", seed);
    for (uint32_t i = 0; i < kThreads; ++i) {
      threads_.emplace_back([this, file, seed, i, starved] {
        if (starved && write_file("/proc/thread-self/make-it-fail", "1") != 0) ++wrong_;
        Actor actor(file, seed * kThreads + i, allowed_, &wrong_);
        while (!stop_) {
          actor.act();
          ++acts_;
        }
      });
    }
  }
  ~Crowd() { stop(); }
  // How many answers were wrong.
  int stop() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    return wrong_;
  }
  // So much has been done since the last call.
  void let_act(uint64_t count) {
    const uint64_t end = acts_ + count;
    becomes([&] { return acts_ >= end; }, 60);
  }

 private:
  const std::set<int> allowed_;
  std::atomic<bool> stop_{false};
  std::atomic<int> wrong_{0};
  std::atomic<uint64_t> acts_{0};
  std::vector<std::thread> threads_;
};

// What guessed ids and quotas explain. GEM_CLOSE of nothing is DRM's EINVAL.
const std::set<int> kGuesses = {ENOENT, EINVAL, EDQUOT, ENOSPC, ENOMEM};

std::set<int> guesses_and(std::set<int> more) {
  more.insert(kGuesses.begin(), kGuesses.end());
  return more;
}

class Chaos : public GuestTest {};

TEST_F(Chaos, OnAQuietDevice) {
  File file;
  Crowd crowd(&file, 1, kGuesses);
  crowd.let_act(3000);
  EXPECT_EQ(crowd.stop(), 0);
}

TEST_F(Chaos, UnderResets) {
  File file;
  Crowd crowd(&file, 2, guesses_and({ECANCELED}));
  for (int i = 0; i < 12; ++i) {
    crowd.let_act(500);
    EXPECT_EQ(write_file(sysfs("npu/reset"), "1"), 0);
  }
  EXPECT_EQ(crowd.stop(), 0);
}

TEST_F(Chaos, UnderFirmwareThatDies) {
  File file;
  // EIO: the call itself met the silence.
  Crowd crowd(&file, 3, guesses_and({ECANCELED, EIO}));
  for (int i = 0; i < 2; ++i) {
    const uint64_t before = debug_number("epoch");
    crowd.let_act(500);
    inject(i % 2 == 0 ? "mbox-stall 0 1" : "fw-assert");
    EXPECT_TRUE(becomes([&] { return debug_number("epoch") > before; }, 60));
    expect_works();
  }
  EXPECT_EQ(crowd.stop(), 0);
}

// From the first to the last function of the kernel whose name begins with |prefix|.
std::pair<uint64_t, uint64_t> text_of(const std::string& prefix) {
  std::ifstream symbols("/proc/kallsyms");
  uint64_t first = UINT64_MAX, last = 0;
  std::string address, type, name;
  for (std::string line; std::getline(symbols, line);) {
    std::istringstream words(line);
    if (!(words >> address >> type >> name) || name.rfind(prefix, 0) != 0) continue;
    if (type != "t" && type != "T") continue;
    const uint64_t at = std::stoull(address, nullptr, 16);
    first = std::min(first, at);
    last = std::max(last, at);
  }
  return {first, last};
}

std::string hex(uint64_t value) {
  std::ostringstream text;
  text << std::hex << "0x" << value;
  return text.str();
}

TEST_F(Chaos, UnderFailingAllocations) {
  const std::string failslab = "/sys/kernel/debug/failslab/";
  if (access(failslab.c_str(), F_OK) != 0)
    GTEST_SKIP() << "this kernel cannot let allocations fail (FAILSLAB)";
  const std::vector<std::pair<std::string, std::string>> settings = {{"task-filter", "Y"},
                                                                     {"ignore-gfp-wait", "N"},
                                                                     {"interval", "1"},
                                                                     {"times", "-1"},
                                                                     {"verbose", "0"}};
  // The kernel's buddy allocator puts a free block into its tree a second time when a split finds no memory (6.12.117, drivers/gpu/buddy.c,
  // alloc_from_freetree), and turns round in it for ever. Outside of this test such small allocations do not fail.
  const auto [begin, end] = text_of("gpu_buddy_");
  ASSERT_LT(begin, end) << "no functions of the allocator in kallsyms";
  ASSERT_EQ(write_file(failslab + "reject-start", hex(begin)), 0);
  ASSERT_EQ(write_file(failslab + "reject-end", hex(end + 4096)), 0);
  ASSERT_EQ(write_file(failslab + "stacktrace-depth", "32"), 0);
  for (const auto& [name, value] : settings)
    ASSERT_EQ(write_file(failslab + name, value), 0) << name;
  for (const char* percent : {"1", "5", "20"}) {
    ASSERT_EQ(write_file(failslab + "probability", percent), 0);
    File file;
    Crowd crowd(&file, 40, kGuesses, true);
    crowd.let_act(3000);
    EXPECT_EQ(crowd.stop(), 0);
    ASSERT_EQ(write_file(failslab + "probability", "0"), 0);
  }
}

TEST_F(Chaos, OfProcessesThatAreKilled) {
  for (uint32_t i = 0; i < 6; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      File file;
      Crowd crowd(&file, 10 + i, kGuesses);
      for (;;) pause();
    }
    becomes([] { return debug_number("vms") >= 2; });
    std::this_thread::sleep_for(std::chrono::milliseconds(20 * i));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
  }
}

TEST_F(Chaos, WhileTheDeviceLeaves) {
  const std::string address = pci_address();
  const std::string driver = "/sys/bus/pci/drivers/npu/";
  for (uint32_t i = 0; i < 4; ++i) {
    std::optional<File> file;
    file.emplace();
    Crowd crowd(&*file, 20 + i, guesses_and({ECANCELED, ENODEV, EIO}));
    crowd.let_act(300);
    const bool unbind = i % 2 != 0;
    EXPECT_EQ(unbind ? write_file(driver + "unbind", address) : write_file(sysfs("remove"), "1"),
              0);
    npu_dev_info info{};
    EXPECT_TRUE(becomes([&] { return file->device_info(&info) == ENODEV; }));
    EXPECT_EQ(crowd.stop(), 0);
    file.reset();  // whoever keeps it open keeps the number of the node, too
    EXPECT_EQ(
        unbind ? write_file(driver + "bind", address) : write_file("/sys/bus/pci/rescan", "1"), 0);
    EXPECT_TRUE(becomes([&] { return pci_address() == address; }));
  }
}

}  // namespace
}  // namespace npu::driver_test
