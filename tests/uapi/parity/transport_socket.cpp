// SPDX-License-Identifier: Apache-2.0
// The road of the socket, by frames made by hand: the model inside the process, or a daemon of this program's own.
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>

#include "tests/uapi/parity/transport.h"
#include "tests/unit/server/raw_client.h"
#include "uapi/npu_model.h"

namespace npu::parity {
namespace {

using model::test::Answer;
using model::test::RawClient;
using model::test::SharedMap;

constexpr size_t kPtr = offsetof(npu_array, ptr);

class Mapped final : public Memory {
 public:
  explicit Mapped(SharedMap map) : map_(std::move(map)) {}
  uint8_t* data() override { return map_.data(); }

 private:
  SharedMap map_;
};

class SocketTransport final : public Transport {
 public:
  explicit SocketTransport(int socket) : client_(socket) {
    if (client_.hello() != 0) throw std::runtime_error("HELLO was refused");
  }

  int call(uint32_t nr, Bytes* args, const std::vector<ArrayArg>& arrays, int fd) override {
    Bytes payload;
    for (const ArrayArg& array : arrays) put_array(args, array, &payload);
    const Bytes request = *args;
    npu_call_desc desc{};
    const bool takes_fd = npu_call_describe(nr, &desc) != 0 && has_fd(*args, desc);
    std::vector<int> fds;
    if (fd >= 0 && takes_fd) {
      const int32_t index = 0;
      std::memcpy(args->data() + desc.fd_offset, &index, sizeof index);
      fds.push_back(fd);
    }
    auto answer = client_.wait_reply(client_.send_call(nr, *args, payload, fds));
    if (!answer) throw std::runtime_error("the server has hung up");
    if (answer->body.size() == args->size()) *args = answer->body;
    if (takes_fd) {
      int32_t member = -1;
      std::memcpy(&member, request.data() + desc.fd_offset, sizeof member);
      // A file that came is named by its number here, as the kernel does; one that went keeps the caller's.
      if (!answer->fds.empty()) member = answer->fds[0];
      if (fd >= 0) member = fd;
      std::memcpy(args->data() + desc.fd_offset, &member, sizeof member);
    }
    take_arrays(request, *answer, arrays);
    for (const ArrayArg& array : arrays) {
      if (array.place == ArrayArg::Place::kAsItIs || !has_array(*args, array)) continue;
      std::memset(args->data() + array.offset + kPtr, 0, sizeof(uint64_t));
    }
    return answer->header.error;
  }

  int close_object(uint32_t handle) override { return client_.bo_close(handle); }

  std::unique_ptr<Memory> map(uint64_t token, uint64_t) override {
    return std::make_unique<Mapped>(client_.map(token));
  }

  void ring(uint64_t, uint32_t slot, uint64_t value) override { client_.ring(slot, value); }

  Bytes read_event(int timeout_ms) override {
    if (client_.events.empty()) {
      auto answer = client_.receive(timeout_ms);
      if (!answer) return {};
      client_.events.push_back(std::move(*answer));
    }
    const Bytes event = client_.events.front().payload;
    client_.events.pop_front();
    return event;
  }

  void user_memory(uint64_t size_bytes, uint64_t* address, int* fd) override {
    *fd = memfd_create("npu-parity", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (*fd < 0 || ftruncate(*fd, static_cast<off_t>(size_bytes)) != 0 ||
        fcntl(*fd, F_ADD_SEALS, F_SEAL_SHRINK) != 0) {
      throw std::runtime_error("memfd");
    }
    *address = 0;
  }

 private:
  static void put_array(Bytes* args, const ArrayArg& array, Bytes* payload) {
    if (array.place == ArrayArg::Place::kAsItIs || !has_array(*args, array)) return;
    uint64_t ptr = 0;
    if (!array.is_out && !array.memory->empty()) {
      ptr = payload->size();
      payload->insert(payload->end(), array.memory->begin(), array.memory->end());
      payload->resize((payload->size() + 7) & ~size_t{7});
    }
    if (array.place == ArrayArg::Place::kUnaligned) ptr += 4;
    if (array.place == ArrayArg::Place::kNowhere) ptr = 1 << 30;
    std::memcpy(args->data() + array.offset + kPtr, &ptr, sizeof ptr);
  }

  // OUT arrays follow each other in the reply's payload.
  static void take_arrays(const Bytes& request, const Answer& answer,
                          const std::vector<ArrayArg>& arrays) {
    size_t at = 0;
    for (const ArrayArg& array : arrays) {
      if (!array.is_out || answer.header.error != 0) continue;
      npu_array asked{};
      npu_array got{};
      std::memcpy(&asked, request.data() + array.offset, sizeof asked);
      std::memcpy(&got, answer.body.data() + array.offset, sizeof got);
      const size_t bytes = static_cast<size_t>(std::min(asked.count, got.count)) * asked.stride;
      if (bytes > answer.payload.size() - at || bytes > array.memory->size()) {
        throw std::runtime_error("a reply with a payload of a wrong size");
      }
      if (bytes == 0) continue;  // vectors without elements have no memory to copy from
      std::memcpy(array.memory->data(), answer.payload.data() + at, bytes);
      at += bytes;
    }
  }

  RawClient client_;
};

class InProcessRoad final : public Road {
 public:
  InProcessRoad(const std::string& library, std::string spec) : spec_(std::move(spec)) {
    void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (handle == nullptr) throw std::runtime_error(dlerror());
    connect_ = reinterpret_cast<npu_model_connect_fn>(dlsym(handle, NPU_MODEL_CONNECT));
    if (connect_ == nullptr) throw std::runtime_error(library + " has no " NPU_MODEL_CONNECT);
  }
  std::unique_ptr<Transport> open() override {
    char error[512] = {};
    const int socket = connect_(spec_.c_str(), error, sizeof error);
    if (socket < 0) throw std::runtime_error(error);
    return std::make_unique<SocketTransport>(socket);
  }

 private:
  std::string spec_;
  npu_model_connect_fn connect_;
};

class DaemonRoad final : public Road {
 public:
  DaemonRoad(const std::string& program, const std::string& spec) {
    char folder[] = "/tmp/npu-parity-XXXXXX";
    if (mkdtemp(folder) == nullptr) throw std::runtime_error("mkdtemp");
    folder_ = folder;
    path_ = folder_ + "/modeld.sock";
    int ends[2];
    if (pipe(ends) != 0) throw std::runtime_error("pipe");
    daemon_ = fork();
    if (daemon_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that crashes leaves nobody behind
      dup2(ends[1], STDOUT_FILENO);
      close(ends[0]);
      close(ends[1]);
      execl(program.c_str(), program.c_str(), "--spec", spec.c_str(), "--socket", path_.c_str(),
            "--idle-exit", "0", static_cast<char*>(nullptr));
      _exit(127);
    }
    close(ends[1]);
    // "ready PATH", or the end of the daemon.
    char byte = 0;
    const ssize_t got = read(ends[0], &byte, 1);
    close(ends[0]);
    if (got != 1) {
      stop();
      throw std::runtime_error(program + " did not start");
    }
  }
  ~DaemonRoad() override { stop(); }

  std::unique_ptr<Transport> open() override {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path_.c_str(), sizeof address.sun_path - 1);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
      throw std::runtime_error("connecting to " + path_);
    }
    return std::make_unique<SocketTransport>(fd);
  }

 private:
  void stop() {
    if (daemon_ > 0) {
      kill(daemon_, SIGTERM);
      waitpid(daemon_, nullptr, 0);
    }
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  std::string folder_;
  std::string path_;
  pid_t daemon_ = -1;
};

}  // namespace

std::unique_ptr<Road> in_process_road(const std::string& library, const std::string& spec) {
  return std::make_unique<InProcessRoad>(library, spec);
}

std::unique_ptr<Road> daemon_road(const std::string& program, const std::string& spec) {
  return std::make_unique<DaemonRoad>(program, spec);
}

}  // namespace npu::parity
