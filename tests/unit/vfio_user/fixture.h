// SPDX-License-Identifier: Apache-2.0
// A vfio-user server in the test's process, on a socket of its own.
#ifndef NPU_TESTS_UNIT_VFIO_USER_FIXTURE_H_
#define NPU_TESTS_UNIT_VFIO_USER_FIXTURE_H_

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>

#include "firmware-model/vfio_user/server.h"
#include "tests/unit/device/test_driver.h"
#include "tests/unit/device/test_kernels.h"
#include "tests/unit/vfio_user/replay_client.h"

namespace npu::test {

inline model::vfio_user::FunctionOptions small_options() {
  model::vfio_user::FunctionOptions options;
  options.profile = small_profile();
  options.worker_threads = 1;
  options.scalar_numerics = true;
  options.keys.push_back(test_key().public_key);
  options.boot_from_host = false;
  return options;
}

inline UniqueFd listen_at(const std::string& path) {
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  if (bind(fd.get(), generic, sizeof(address)) != 0 || listen(fd.get(), 64) != 0) fd.reset();
  return fd;
}

inline size_t open_descriptors() {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    ++count;
  }
  return count;
}

class VfioTest : public ::testing::Test {
 protected:
  static constexpr uint64_t kRamBytes = 32 << 20;

  void SetUp() override {
    char name[] = "/tmp/npu-vfio-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    folder_ = name;
    path_ = folder_ + "/npu.sock";
    UniqueFd listener = listen_at(path_);
    ASSERT_TRUE(listener.valid());
    std::string error;
    server_ = model::vfio_user::Server::create(options(), std::move(listener), "test", &error);
    ASSERT_NE(server_, nullptr) << error;
    server_->start();
    ram_ = make_memfd(kRamBytes);
    ASSERT_TRUE(ram_.valid());
  }
  void TearDown() override {
    server_.reset();
    std::filesystem::remove_all(folder_);
  }
  virtual model::vfio_user::FunctionOptions options() { return small_options(); }

  ReplayClient connect() { return ReplayClient::connect(path_); }
  ReplayClient realized() {
    ReplayClient client = connect();
    EXPECT_TRUE(client.realize(ram_.get(), kRamBytes)) << client.realize_step();
    return client;
  }
  // The server greets the next client: nothing of the last one stands in the way.
  void expect_next_client() {
    ReplayClient next = connect();
    ASSERT_TRUE(next.connected());
    EXPECT_EQ(next.greet(), 0);
  }
  // Server and client share this process: the count of an idle server without a session.
  size_t idle_descriptors() {
    while (server_->connected()) usleep(1000);
    return open_descriptors();
  }

  std::string folder_;
  std::string path_;
  UniqueFd ram_;
  std::unique_ptr<model::vfio_user::Server> server_;
};

// A shared mapping of a descriptor for as long as the object lives.
class Mapping {
 public:
  Mapping(int fd, uint64_t bytes)
      : data_(static_cast<std::byte*>(
            mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0))),
        bytes_(bytes) {}
  ~Mapping() { munmap(data_, bytes_); }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  std::byte* data() const { return data_; }
  uint64_t* words() const { return reinterpret_cast<uint64_t*>(data_); }

 private:
  std::byte* data_;
  uint64_t bytes_;
};

}  // namespace npu::test

#endif  // NPU_TESTS_UNIT_VFIO_USER_FIXTURE_H_
