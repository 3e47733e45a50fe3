// SPDX-License-Identifier: Apache-2.0
// npu-modeld --vfio-user as a process, in its sandbox: start, serve, end.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <fstream>
#include <iomanip>
#include <utility>

#include "tests/unit/vfio_user/guest.h"

namespace npu::test {
namespace {

class VfioModeld : public ::testing::Test {
 protected:
  static constexpr uint64_t kRamBytes = 8 << 20;

  void SetUp() override {
    char name[] = "/tmp/npu-vfio-modeld-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    folder_ = name;
    ram_ = make_memfd(kRamBytes);
    keys_ = folder_ + "/keys";
    ASSERT_EQ(mkdir(keys_.c_str(), 0700), 0);
    std::ofstream key(keys_ + "/test.pub");
    for (const uint8_t byte : test_key().public_key) {
      key << std::hex << std::setw(2) << std::setfill('0') << unsigned{byte};
    }
    key << "\n";
  }
  void TearDown() override {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    std::filesystem::remove_all(folder_);
  }

  std::string path(int number) const { return folder_ + "/npu" + std::to_string(number); }

  // Starts it; what it says on stdout and stderr until it has said |lines| lines or has ended.
  std::string start(std::vector<std::string> arguments, size_t lines) {
    arguments.insert(arguments.begin(),
                     {NPU_TEST_MODELD, "--profile-dir", NPU_TEST_PROFILE_DIR, "--keys", keys_});
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return "no pipe";
    out_ = UniqueFd(ends[0]);
    UniqueFd in(ends[1]);
    pid_ = fork();
    if (pid_ == 0) {
      dup2(in.get(), STDOUT_FILENO);
      dup2(in.get(), STDERR_FILENO);
      std::vector<char*> argv;
      for (std::string& argument : arguments) argv.push_back(argument.data());
      argv.push_back(nullptr);
      execv(argv[0], argv.data());
      _exit(127);
    }
    in.reset();
    return said(lines);
  }
  int end() {
    int status = 0;
    waitpid(std::exchange(pid_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

  void use(const std::string& socket) {
    ReplayClient client = ReplayClient::connect(socket);
    ASSERT_TRUE(client.realize(ram_.get(), kRamBytes)) << client.realize_step();
    const UniqueFd event = make_eventfd();
    ASSERT_EQ(client.set_irqs(wire::kDataEventfd | wire::kActionTrigger, 1, 1, {event.get()}), 0);
    Guest guest(client, ram_.get(), kRamBytes);
    ASSERT_TRUE(guest.start());
    EXPECT_GT(take_event(event.get()), 0u);
    std::memset(guest.ram() + Guest::kFirstFreeIova, 0x77, 1 << 20);
    EXPECT_EQ(
        guest.run(copy(Guest::kRamDva + Guest::kFirstFreeIova, Guest::kHbmDva, 1 << 20)).status,
        NPU_ST_OK);
    EXPECT_EQ(guest.hbm()[(1 << 20) - 1], std::byte{0x77});
    EXPECT_EQ(guest.mailbox(NPU_MBOX_HBM_CLEAR, {Guest::kHbmOffset, 1 << 20}), NPU_ST_OK);
    EXPECT_EQ(guest.hbm()[(1 << 20) - 1], std::byte{0});
    EXPECT_EQ(client.unmap(0, kRamBytes), 0);
    EXPECT_EQ(client.reset(), 0);
  }

  void shrink(const std::string& socket) {
    const UniqueFd plain = make_memfd(kRamBytes, false);
    ReplayClient client = ReplayClient::connect(socket);
    ASSERT_TRUE(client.realize(plain.get(), kRamBytes)) << client.realize_step();
    Guest guest(client, plain.get(), kRamBytes);
    ASSERT_TRUE(guest.start());
    ASSERT_EQ(ftruncate(plain.get(), kRamBytes / 2), 0);
    guest.submit(copy(Guest::kRamDva + kRamBytes / 2, Guest::kHbmDva, 4096));
    EXPECT_TRUE(client.ended());
  }

  std::string folder_;
  std::string keys_;
  UniqueFd ram_;
  UniqueFd out_;
  pid_t pid_ = -1;

 private:
  std::string said(size_t lines) const {
    std::string text;
    char c = 0;
    while (static_cast<size_t>(std::count(text.begin(), text.end(), '\n')) < lines &&
           read(out_.get(), &c, 1) == 1) {
      text += c;
    }
    return text;
  }
};

TEST_F(VfioModeld, ServesADeviceOnEachPathAndEndsBySignal) {
  EXPECT_EQ(
      start({"--spec", "tiny", "--threads", "1", "--vfio-user", path(0), "--vfio-user", path(1)},
            2),
      "ready " + path(0) + "\nready " + path(1) + "\n");
  // Both at the same time: the first client stays while the second one works.
  ReplayClient first = ReplayClient::connect(path(0));
  ASSERT_EQ(first.greet(), 0);
  use(path(1));
  EXPECT_EQ(first.read32(wire::kBar0, NPU_REG_ID), 0x4e505530u);
  kill(pid_, SIGTERM);
  EXPECT_EQ(end(), 0);
  EXPECT_TRUE(first.ended());
  EXPECT_FALSE(std::filesystem::exists(path(0)));
  EXPECT_FALSE(std::filesystem::exists(path(1)));
}

TEST_F(VfioModeld, EndsWhenItIsIdle) {
  EXPECT_EQ(start({"--spec", "tiny", "--idle-exit", "1", "--vfio-user", path(0)}, 1),
            "ready " + path(0) + "\n");
  use(path(0));
  EXPECT_EQ(end(), 0);
}

TEST_F(VfioModeld, SurvivesAShrunkFile) {
  start({"--spec", "tiny", "--vfio-user", path(0)}, 1);
  for (int round = 0; round < 3; ++round) shrink(path(0));
  use(path(0));
}

TEST_F(VfioModeld, RefusesAPathThatIsServedAlready) {
  start({"--spec", "tiny", "--vfio-user", path(0)}, 1);
  const pid_t first = std::exchange(pid_, -1);
  EXPECT_NE(start({"--spec", "tiny", "--vfio-user", path(0)}, 1).find("holds"), std::string::npos);
  EXPECT_EQ(end(), 3);
  pid_ = first;
  use(path(0));
}

TEST_F(VfioModeld, RefusesACountThatDoesNotFit) {
  const std::string text = start({"--spec", "tiny*3", "--vfio-user", path(0)}, 1);
  EXPECT_NE(text.find("--vfio-user"), std::string::npos) << text;
  EXPECT_EQ(end(), 2);
}

}  // namespace
}  // namespace npu::test
