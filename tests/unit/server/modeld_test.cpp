// SPDX-License-Identifier: Apache-2.0
// npu-modeld as a process, and the server inside a process: start, use, end.
#include <dlfcn.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/unit/server/raw_client.h"
#include "uapi/npu_metrics.h"
#include "uapi/npu_model.h"
#include "uapi/npu_status.h"

namespace npu::model::test {
namespace {

namespace fs = std::filesystem;

// A child process with its standard output and error in pipes.
struct Process {
  pid_t pid = -1;
  int out = -1;
  int err = -1;

  explicit Process(std::vector<std::string> arguments) {
    int out_pipe[2];
    int err_pipe[2];
    if (pipe2(out_pipe, O_CLOEXEC) != 0 || pipe2(err_pipe, O_CLOEXEC) != 0) return;
    arguments.insert(arguments.begin(), NPU_TEST_MODELD);
    pid = fork();
    if (pid == 0) {
      dup2(out_pipe[1], STDOUT_FILENO);
      dup2(err_pipe[1], STDERR_FILENO);
      std::vector<char*> argv;
      for (std::string& argument : arguments) argv.push_back(argument.data());
      argv.push_back(nullptr);
      execv(argv[0], argv.data());
      _exit(127);
    }
    close(out_pipe[1]);
    close(err_pipe[1]);
    out = out_pipe[0];
    err = err_pipe[0];
  }
  ~Process() {
    if (pid > 0) {
      kill(pid, SIGKILL);
      waitpid(pid, nullptr, 0);
    }
    close(out);
    close(err);
  }
  static std::string read_some(int fd) {
    char buffer[1024];
    const ssize_t n = read(fd, buffer, sizeof(buffer));
    return std::string(buffer, n > 0 ? static_cast<size_t>(n) : 0);
  }
  int end() {
    int status = 0;
    waitpid(pid, &status, 0);
    pid = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
};

int connect_to(const std::string& path) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) return fd;
  close(fd);
  return -1;
}

void run_some_work(RawClient* client) {
  const uint32_t vm = client->vm_create();
  RawQueue queue(client, vm);
  ASSERT_EQ(queue.create(), 0);
  const npu_bo_create bo = client->bo_create(1 << 20, NPU_REGION_HBM);
  const SharedMap seen = client->map(bo.map_token);
  ASSERT_EQ(client->bind(vm, bo.handle, 0x10000000, 1 << 20), 0);
  ASSERT_EQ(queue.wait(queue.submit(fill_command(0x10000000, 1 << 20, 42))), 0);
  EXPECT_EQ(queue.record(0).status, 0);
  EXPECT_EQ(*seen.as<uint64_t>((1 << 20) - 8), 42u);
  const auto rows = client->query<npu_client_info>(NPU_QUERY_CLIENTS);
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].pid, static_cast<uint32_t>(getpid()));
  EXPECT_NE(rows[0].comm[0], 0) << "the sandbox must let the server read /proc/<pid>/comm";
}

class ModeldTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/npu-modeld-test-XXXXXX";
    ASSERT_NE(mkdtemp(path), nullptr);
    folder_ = path;
    socket_ = folder_ + "/m.sock";
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::vector<std::string> arguments(std::vector<std::string> more = {}) const {
    std::vector<std::string> all{"--spec", "tiny*2",        "--socket",
                                 socket_,  "--profile-dir", NPU_TEST_PROFILE_DIR};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }

  std::string folder_;
  std::string socket_;
};

TEST_F(ModeldTest, ItSaysReadyServesAndEndsWhenItIsIdle) {
  Process server(arguments({"--idle-exit", "1"}));
  EXPECT_EQ(Process::read_some(server.out), "ready " + socket_ + "\n");
  {
    RawClient client(connect_to(socket_));
    ASSERT_EQ(client.hello(1), 0);
    run_some_work(&client);
  }
  EXPECT_EQ(server.end(), 0);
  EXPECT_FALSE(fs::exists(socket_));
}

TEST_F(ModeldTest, ItSaysWhyItSendsSomebodyAway) {
  Process server(arguments({"--idle-exit", "1"}));
  EXPECT_EQ(Process::read_some(server.out), "ready " + socket_ + "\n");
  RawClient client(connect_to(socket_));
  ASSERT_TRUE(client.send_bytes(Bytes(64, 0xff)));
  const std::string text = Process::read_some(server.err);
  EXPECT_NE(text.find("of process " + std::to_string(getpid())), std::string::npos) << text;
  EXPECT_NE(text.find("sent a frame that is none"), std::string::npos) << text;
  client.close();
  EXPECT_EQ(server.end(), 0);
}

TEST_F(ModeldTest, WithAndWithoutSandboxTheWorkIsTheSame) {
  for (const char* mode : {"--sandbox=off", "--sandbox=basic"}) {
#ifndef NPU_TEST_SANDBOX
    if (std::string(mode) == "--sandbox=basic") break;
#endif
    Process server(arguments({mode}));
    ASSERT_EQ(Process::read_some(server.out), "ready " + socket_ + "\n")
        << Process::read_some(server.err);
    RawClient client(connect_to(socket_));
    ASSERT_EQ(client.hello(), 0) << mode;
    run_some_work(&client);
    kill(server.pid, SIGTERM);
    EXPECT_EQ(server.end(), 0);
    EXPECT_FALSE(fs::exists(socket_));
  }
}

TEST_F(ModeldTest, ASecondServerOfASocketEndsWithStatusThree) {
  Process first(arguments());
  EXPECT_EQ(Process::read_some(first.out), "ready " + socket_ + "\n");
  Process second(arguments());
  EXPECT_EQ(second.end(), 3);
  EXPECT_NE(Process::read_some(second.err).find("another server"), std::string::npos);
  RawClient client(connect_to(socket_));
  EXPECT_EQ(client.hello(), 0) << "the first one must not notice";
}

TEST_F(ModeldTest, ASocketThatAKilledServerLeftIsTakenOver) {
  {
    Process first(arguments());
    EXPECT_EQ(Process::read_some(first.out), "ready " + socket_ + "\n");
  }
  EXPECT_TRUE(fs::exists(socket_));
  Process second(arguments());
  EXPECT_EQ(Process::read_some(second.out), "ready " + socket_ + "\n");
}

TEST_F(ModeldTest, WhatIsNoSocketIsLeftAlone) {
  std::ofstream(socket_) << "mine";
  fs::create_symlink(socket_, folder_ + "/link");
  fs::create_directory(folder_ + "/folder");
  ASSERT_EQ(mkfifo((folder_ + "/fifo").c_str(), 0600), 0);
  for (const char* name : {"/m.sock", "/link", "/folder", "/fifo"}) {
    const std::string path = folder_ + name;
    const fs::file_type before = fs::symlink_status(path).type();
    for (const char* option : {"--socket", "--vfio-user"}) {
      Process server({"--spec", "tiny", option, path, "--profile-dir", NPU_TEST_PROFILE_DIR});
      EXPECT_EQ(server.end(), 1) << option << " " << path;
      EXPECT_NE(Process::read_some(server.err).find("is no socket"), std::string::npos) << path;
      EXPECT_EQ(fs::symlink_status(path).type(), before) << option << " " << path;
    }
  }
  std::string text;
  std::ifstream(socket_) >> text;
  EXPECT_EQ(text, "mine");
}

TEST_F(ModeldTest, TheDefaultSocketLiesInTheRuntimeFolder) {
  setenv("XDG_RUNTIME_DIR", folder_.c_str(), 1);
  Process server({"--spec", "tiny*2", "--profile-dir", NPU_TEST_PROFILE_DIR});
  EXPECT_EQ(Process::read_some(server.out), "ready " + folder_ + "/npu/tinyx2.sock\n");
  struct stat st {};
  ASSERT_EQ(stat((folder_ + "/npu").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0700u);
  chmod((folder_ + "/npu").c_str(), 0755);
  Process other({"--spec", "tiny", "--profile-dir", NPU_TEST_PROFILE_DIR});
  EXPECT_EQ(other.end(), 1);
  EXPECT_NE(Process::read_some(other.err).find("0700"), std::string::npos);
  unsetenv("XDG_RUNTIME_DIR");
}

int64_t metric_of(RawClient* client, uint32_t id) {
  for (const npu_metric& row : client->query<npu_metric>(NPU_QUERY_METRICS)) {
    if (row.id == id) return row.flags == NPU_METRIC_FLAG_VALID ? row.value : -1;
  }
  return -1;
}

TEST_F(ModeldTest, InjectedFaultsAreInEveryDeviceFromItsStart) {
  setenv("NPU_MODEL_INJECT", "temperature:-0x10,ecc-sbe:64", 1);
  Process server(arguments({"--inject", "ecc-sbe:0x1000:41", "--inject=ecc-dbe"}));
  unsetenv("NPU_MODEL_INJECT");
  ASSERT_EQ(Process::read_some(server.out), "ready " + socket_ + "\n");
  for (const uint32_t device : {0u, 1u}) {
    RawClient client(connect_to(socket_));
    ASSERT_EQ(client.hello(device), 0);
    EXPECT_EQ(metric_of(&client, NPU_METRIC_ECC_SBE), 42);
    EXPECT_EQ(metric_of(&client, NPU_METRIC_ECC_DBE), 1);
  }
}

TEST_F(ModeldTest, FaultsThatCannotBeAreExplained) {
  const struct {
    const char* fault;
    const char* reason;
  } rows[] = {{"bitrot", "ecc-sbe, ecc-dbe"}, {"ecc-sbe:", "is no fault"},
              {"ecc-sbe:0x", "is no fault"},  {"ecc-sbe:1:2:3", "is no fault"},
              {"ecc-dbe:-1", "ras.def"},      {"hang:0:1", "ras.def"},
              {"boot-fail", "FW_STATUS -500"}};
  for (const auto& row : rows) {
    Process server(arguments({"--inject", row.fault}));
    EXPECT_EQ(server.end(), 1) << row.fault;
    EXPECT_NE(Process::read_some(server.err).find(row.reason), std::string::npos) << row.fault;
  }
}

TEST_F(ModeldTest, PoisonStopsItsQueueAndDoesNotReachTheNextOwner) {
  // The whole device memory may be handed out in any order: there is poison in each megabyte, at its end, since page tables begin at the start of a block.
  std::vector<std::string> more;
  for (int i = 0; i < 256; ++i)
    more.push_back("--inject=ecc-dbe:" + std::to_string((i << 20) + (1 << 20) - 64));
  Process server(arguments(more));
  ASSERT_EQ(Process::read_some(server.out), "ready " + socket_ + "\n");
  RawClient client(connect_to(socket_));
  ASSERT_EQ(client.hello(), 0);
  const auto read_all = [&](uint64_t bytes) {
    const uint32_t vm = client.vm_create();
    RawQueue queue(&client, vm);
    EXPECT_EQ(queue.create(), 0);
    const npu_bo_create bo = client.bo_create(bytes, NPU_REGION_HBM);
    const npu_bo_create to = client.bo_create(bytes, NPU_REGION_SYSTEM);
    EXPECT_EQ(client.bind(vm, bo.handle, 0x10000000, bytes), 0);
    EXPECT_EQ(client.bind(vm, to.handle, 0x20000000, bytes), 0);
    queue.wait(queue.submit(copy_command(0x20000000, 0x10000000, bytes)));
    const int32_t status = queue.record(0).status;
    EXPECT_EQ(client.unbind(vm, 0x10000000, bytes), 0);
    EXPECT_EQ(client.unbind(vm, 0x20000000, bytes), 0);
    client.bo_close(bo.handle);
    client.bo_close(to.handle);
    return status;
  };
  EXPECT_EQ(read_all(16 << 20), NPU_ST_MEMORY_POISON);
  // Sixteen such objects are all of the memory, and the server may still be waiting for the device to
  // let go of the last one.
  int32_t status = NPU_ST_MEMORY_POISON;
  for (int i = 0; i < 24 && status != NPU_ST_OK; ++i) status = read_all(16 << 20);
  EXPECT_EQ(status, NPU_ST_OK);
}

TEST_F(ModeldTest, WrongUseIsExplainedOnOneLine) {
  const auto fails = [&](std::vector<std::string> words, int status, const std::string& text) {
    Process server(words);
    EXPECT_EQ(server.end(), status);
    EXPECT_EQ(Process::read_some(server.out), "");
    const std::string said = Process::read_some(server.err);
    EXPECT_NE(said.find(text), std::string::npos) << said;
  };
  fails({"--spec", "none", "--socket", socket_, "--profile-dir", NPU_TEST_PROFILE_DIR}, 1,
        "there are: atom");
  fails({"--spec", "tiny*99", "--socket", socket_}, 1, "1 to 16");
  fails(arguments({"--threads", "x"}), 1, "0 (one a CPU) to 1024");
  fails(arguments({"--numerics", "fast"}), 2, "--numerics");
  fails(arguments({"--no-such-option"}), 2, "--no-such-option");
  fails(arguments({"--keys", folder_ + "/none"}), 1, "holds no *.pub file");
  fails(arguments({"--keys", folder_}), 1, "holds no *.pub file");
  std::ofstream(folder_ + "/a.pub") << "zz";
  fails(arguments({"--keys", folder_ + "/a.pub"}), 1, "is no folder");
  fails(arguments({"--keys", folder_}), 1, "64 hex digits");
}

class InprocTest : public ::testing::Test {
 protected:
  void SetUp() override {
    setenv("NPU_PROFILE_DIR", NPU_TEST_PROFILE_DIR, 1);
    void* library = dlopen(NPU_TEST_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(library, nullptr) << dlerror();
    connect_ = reinterpret_cast<npu_model_connect_fn>(dlsym(library, NPU_MODEL_CONNECT));
    ASSERT_NE(connect_, nullptr);
    EXPECT_EQ(dlsym(library, "npu_device_create"), nullptr) << "one symbol only";
  }
  void TearDown() override { unsetenv("NPU_PROFILE_DIR"); }

  int connect(const char* spec) {
    error_[0] = '\0';
    return connect_(spec, error_, sizeof(error_));
  }
  static size_t threads() {
    size_t count = 0;
    for ([[maybe_unused]] const auto& entry : fs::directory_iterator("/proc/self/task")) ++count;
    return count;
  }

  npu_model_connect_fn connect_ = nullptr;
  char error_[256];
};

TEST_F(InprocTest, ItServesAndItsThreadsEndWithTheLastSocket) {
  std::thread([] {}).join();  // a sanitizer starts a thread of its own with the first one
  const size_t before = threads();
  for (int round = 0; round < 3; ++round) {
    {
      RawClient client(connect("tiny"));
      ASSERT_EQ(client.hello(), 0) << error_;
      run_some_work(&client);
      RawClient second(connect("tiny"));
      ASSERT_EQ(second.hello(), 0);
      EXPECT_EQ(second.query<npu_engine_info>(NPU_QUERY_ENGINES).at(0).queues_used, 1u)
          << "one server for a spec";
      RawClient other(connect("tiny*2"));
      ASSERT_EQ(other.hello(1), 0);
      EXPECT_EQ(other.query<npu_engine_info>(NPU_QUERY_ENGINES).at(0).queues_used, 0u);
    }
    for (int i = 0; i < 20000 && threads() > before; ++i) usleep(1000);
    EXPECT_EQ(threads(), before);
  }
}

TEST_F(InprocTest, ManyThreadsMayConnectAndLeaveAtOnce) {
  std::vector<std::thread> workers;
  std::atomic<int> failures{0};
  for (int t = 0; t < 4; ++t) {
    workers.emplace_back([&] {
      for (int i = 0; i < 25; ++i) {
        char error[256];
        const int fd = connect_("tiny", error, sizeof(error));
        RawClient client(fd);
        if (fd < 0 || client.hello() != 0) ++failures;
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  EXPECT_EQ(failures, 0);
}

TEST_F(InprocTest, ErrorsAreNegativeErrnosWithASentence) {
  EXPECT_EQ(connect("nowhere"), -EINVAL);
  EXPECT_NE(std::string(error_).find("nowhere"), std::string::npos);
  EXPECT_EQ(connect("tiny*0"), -EINVAL);
  setenv("NPU_MODEL_NUMERICS", "quick", 1);
  EXPECT_EQ(connect("tiny*3"), -EINVAL);
  EXPECT_NE(std::string(error_).find("scalar, simd"), std::string::npos);
  unsetenv("NPU_MODEL_NUMERICS");
  setenv("NPU_MODEL_CHECK", "yes", 1);
  EXPECT_EQ(connect("tiny*3"), -EINVAL);
  EXPECT_NE(std::string(error_).find("NPU_MODEL_CHECK is 'yes'; allowed: 0, 1"), std::string::npos);
  unsetenv("NPU_MODEL_CHECK");
  setenv("NPU_MODEL_THREADS", "many", 1);
  EXPECT_EQ(connect("tiny*3"), -EINVAL);
  unsetenv("NPU_MODEL_THREADS");
  char small[4] = "abc";
  EXPECT_EQ(connect_("nowhere", small, sizeof(small)), -EINVAL);
  EXPECT_EQ(small[3], '\0');
  EXPECT_EQ(connect_("nowhere", nullptr, 0), -EINVAL);
}

}  // namespace
}  // namespace npu::model::test
