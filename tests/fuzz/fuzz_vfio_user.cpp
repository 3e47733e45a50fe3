// SPDX-License-Identifier: Apache-2.0
// Fuzz target: a hostile virtual machine. Each input is a connection of its own to a live server:
// raw bytes, commands with descriptors, a guest that drives the device, files that shrink, replies
// to in-band requests. The server must end the connection when the client does, and greet the next
// one.
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdio>
#include <cstdlib>

#include "tests/unit/vfio_user/guest.h"

namespace {

using namespace npu::test;
namespace vfio_user = npu::model::vfio_user;

constexpr uint64_t kRamBytes = 2 << 20;
constexpr size_t kMaxSteps = 64;

[[noreturn]] void die(const char* why) {
  fprintf(stderr, "fuzz_vfio_user: %s\n", why);
  abort();
}

// Abstract: nothing stays behind in a file system.
struct Place {
  sockaddr_un address{};
  socklen_t length = sizeof(sa_family_t);
};

// Lives as long as the process.
const Place& the_server() {
  static const Place* const place = [] {
    auto* made = new Place;
    made->address.sun_family = AF_UNIX;
    UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    auto* generic = reinterpret_cast<sockaddr*>(&made->address);
    if (bind(fd.get(), generic, made->length) != 0 || listen(fd.get(), 16) != 0) die("no socket");
    made->length = sizeof(made->address);
    if (getsockname(fd.get(), generic, &made->length) != 0) die("no name");
    vfio_user::FunctionOptions options = small_options();
    options.boot_from_host = true;
    std::string error;
    auto server = vfio_user::Server::create(options, std::move(fd), "fuzz", &error);
    if (server == nullptr) die(error.c_str());
    server->start();
    server.release();
    // What it says about broken sessions would be most of the output.
    if (freopen("/dev/null", "w", stderr) == nullptr) die("no /dev/null");
    return made;
  }();
  return *place;
}

ReplayClient connect_to(const Place& place) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto* generic = reinterpret_cast<const sockaddr*>(&place.address);
  if (connect(fd, generic, place.length) != 0) die("the server does not listen any more");
  return ReplayClient(fd);
}

class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  bool empty() const { return size_ == 0; }
  uint8_t byte() {
    if (size_ == 0) return 0;
    --size_;
    return *data_++;
  }
  uint64_t word(unsigned bytes) {
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; ++i) value |= uint64_t{byte()} << (8 * i);
    return value;
  }
  Bytes bytes(size_t count) {
    Bytes out(count);
    for (std::byte& at : out) at = static_cast<std::byte>(byte());
    return out;
  }

 private:
  const uint8_t* data_;
  size_t size_;
};

struct Machine {
  ReplayClient client;
  UniqueFd ram;
  UniqueFd plain;  // can be shrunk
  UniqueFd event;
  std::unique_ptr<Guest> guest;
  bool guest_in_plain = false;

  std::vector<int> fds(uint8_t choice) const {
    const int all[] = {ram.get(), plain.get(), event.get(), client.fd()};
    return std::vector<int>(choice % 5, all[choice / 5 % 4]);
  }
};

// Reads what has come, answers requests as the input wants it.
void drain(Machine& machine, Input& input) {
  machine.client.on_request = [&](const Packet& packet) {
    const uint8_t how = input.byte();
    const auto access = load_at<wire::DmaAccess>(packet.body);
    const bool read = packet.header.command == wire::kDmaRead;
    Bytes body = bytes_of(access);
    if (read) body.resize(body.size() + (access.count <= wire::kMaxDataBytes ? access.count : 0));
    if (how % 4 == 1) body.resize(how);
    if (how % 4 == 3) return;
    machine.client.reply(packet.header, body, how % 4 == 2 ? EFAULT : 0);
  };
  int looks = 1 + input.byte() % 4;
  machine.client.serve([&] {
    pollfd item{machine.client.fd(), POLLIN, 0};
    return looks-- > 0 && poll(&item, 1, 0) > 0;
  });
}

void submit(Machine& machine, Input& input) {
  if (machine.guest == nullptr) return;
  npu_cmd command{};
  const Bytes bytes = input.bytes(1 + input.byte() % sizeof(command));
  std::memcpy(&command, bytes.data(), bytes.size());
  machine.guest->submit(command);
}

void transfer(Machine& machine, Input& input) {
  if (machine.guest == nullptr) return;
  const uint64_t host = Guest::kRamDva + uint64_t{input.byte()} * 65536;
  const uint64_t device = Guest::kHbmDva + uint64_t{input.byte()} * 4096;
  const uint64_t bytes = input.word(3);
  const bool out = bytes % 2 != 0;
  machine.guest->submit(out ? copy(device, host, bytes) : copy(host, device, bytes));
}

void shrink(Machine& machine, Input& input) {
  if (ftruncate(machine.plain.get(), input.byte() * 8192) != 0) die("ftruncate fails");
  if (!machine.guest_in_plain || machine.guest == nullptr) return;
  // The guest itself must not touch it any more. The device still may.
  machine.client.post(wire::kBar0, NPU_BAR0_DOORBELLS, bytes_of(uint64_t{input.byte()}));
  machine.guest.reset();
}

void one_step(Machine& machine, Input& input) {
  ReplayClient& client = machine.client;
  const uint8_t kind = input.byte();
  const uint32_t flags = (kind & 0x80) != 0 ? wire::kNoReply : 0;
  switch (kind % 11) {
    case 0:
      client.send_bytes(input.bytes(1 + input.byte() % 64), machine.fds(input.byte()));
      break;
    case 1: {
      const uint16_t command = input.byte() % 20;
      const uint8_t choice = input.byte();
      client.send(command, input.bytes(input.byte() % 64), machine.fds(choice), flags);
      break;
    }
    case 2: {
      const wire::RegionAccess access{input.word(2), input.byte() % 10u, 8};
      client.send(wire::kRegionWrite, join(bytes_of(access), input.bytes(8)), {}, flags);
      break;
    }
    case 3:
      for (uint64_t i = 0; i < 7; ++i) {
        client.post(wire::kBar0, NPU_REG_MBOX_ARG0 + i * 8, bytes_of(input.word(2)));
      }
      client.post(wire::kBar0, NPU_REG_MBOX_CMD, bytes_of(uint32_t{input.byte()} % 14));
      break;
    case 4: {
      const wire::DmaMap map{32, 1 + input.byte() % 3u, uint64_t{input.byte()} * 4096,
                             input.byte() * 65536u, (1 + uint64_t{input.byte()}) * 4096};
      client.send(wire::kDmaMap, bytes_of(map), machine.fds(input.byte()), flags);
      break;
    }
    case 5: {
      const wire::DmaUnmap unmap{24, input.byte() % 4u, input.byte() * 65536u,
                                 uint64_t{input.byte()} * 4096};
      client.send(wire::kDmaUnmap, bytes_of(unmap), {}, flags);
      break;
    }
    case 6: {
      const wire::IrqSet set{20, input.byte() % 64u, input.byte() % 6u, input.byte() % 20u,
                             input.byte() % 20u};
      client.send(wire::kSetIrqs, bytes_of(set), machine.fds(input.byte()), flags);
      break;
    }
    case 7:
      shrink(machine, input);
      break;
    case 8:
      drain(machine, input);
      break;
    case 9:
      submit(machine, input);
      break;
    default:
      transfer(machine, input);
      break;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Machine machine{connect_to(the_server()),
                  make_memfd(kRamBytes),
                  make_memfd(kRamBytes, false),
                  make_eventfd(),
                  nullptr,
                  false};
  Input input(data, size);
  const uint8_t begin = input.byte();
  if (begin % 8 != 0) {
    machine.guest_in_plain = begin % 2 == 0;
    const int memory = begin % 2 != 0 ? machine.ram.get() : machine.plain.get();
    if (!machine.client.realize(memory, kRamBytes)) die("the server does not greet any more");
    if (begin % 4 > 1) {
      machine.guest = std::make_unique<Guest>(machine.client, memory, kRamBytes);
      if (!machine.guest->start()) die("the device does not start");
      // Addresses behind the memory, for maps to come.
      machine.guest->map_system(kRamBytes, 14 << 20);
    }
  }
  for (size_t i = 0; i < kMaxSteps && !input.empty(); ++i) one_step(machine, input);
  shutdown(machine.client.fd(), SHUT_WR);
  if (!machine.client.ended()) die("the server does not end the connection");
  return 0;
}
