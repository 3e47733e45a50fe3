// SPDX-License-Identifier: Apache-2.0
// The replay client.
#include "tests/unit/vfio_user/replay_client.h"

#include <fcntl.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace npu::test {
namespace {

constexpr int kWaitMs = 30'000;
constexpr size_t kMaxTestFds = 64;

// What QEMU 10 and later send.
constexpr char kGreeting[] =
    "{\"capabilities\":{\"migration\":{\"pgsize\":4096,\"max_bitmap_size\":268435456},"
    "\"max_msg_fds\":16,\"max_data_xfer_size\":1048576,\"pgsizes\":4096,\"max_dma_maps\":65535,"
    "\"write_multiple\":true}}";

bool wait_readable(int fd, int timeout_ms) {
  pollfd item{fd, POLLIN, 0};
  return poll(&item, 1, timeout_ms) > 0;
}

}  // namespace

Bytes join(Bytes first, std::span<const std::byte> second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

UniqueFd make_memfd(uint64_t bytes, bool sealed) {
  UniqueFd fd(memfd_create("guest-ram", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) return UniqueFd();
  if (sealed) fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);
  return fd;
}

UniqueFd make_eventfd() { return UniqueFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }

uint64_t take_event(int fd, int timeout_ms) {
  uint64_t count = 0;
  if (!wait_readable(fd, timeout_ms) || read(fd, &count, sizeof(count)) < 0) return 0;
  return count;
}

ReplayClient::ReplayClient(int socket) : socket_(socket) {}

ReplayClient ReplayClient::connect(const std::string& path) {
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  if (::connect(fd.get(), generic, sizeof(address)) != 0) fd.reset();
  return ReplayClient(fd.release());
}

bool ReplayClient::send_bytes(const Bytes& bytes, const std::vector<int>& fds) {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxTestFds)] = {};
  size_t sent = 0;
  while (sent < bytes.size()) {
    iovec piece{const_cast<std::byte*>(bytes.data()) + sent, bytes.size() - sent};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    if (!fds.empty() && sent == 0) {
      message.msg_control = control;
      message.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
      cmsghdr* part = CMSG_FIRSTHDR(&message);
      part->cmsg_level = SOL_SOCKET;
      part->cmsg_type = SCM_RIGHTS;
      part->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
      std::memcpy(CMSG_DATA(part), fds.data(), sizeof(int) * fds.size());
    }
    const ssize_t n = sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
    if (n <= 0) return false;
    sent += static_cast<size_t>(n);
  }
  return true;
}

uint16_t ReplayClient::send(uint16_t command, const Bytes& body, const std::vector<int>& fds,
                            uint32_t flags) {
  wire::Header header{};
  header.id = next_id_++;
  header.command = command;
  header.size_bytes = static_cast<uint32_t>(sizeof(header) + body.size());
  header.flags = flags;
  send_bytes(join(bytes_of(header), body), fds);
  return header.id;
}

bool ReplayClient::read_bytes(std::byte* to, size_t bytes, std::vector<UniqueFd>* fds) {
  while (bytes != 0) {
    if (!wait_readable(socket_.get(), kWaitMs)) return false;
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxTestFds)];
    iovec piece{to, bytes};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    const ssize_t n = recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
    if (n <= 0) return false;
    for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
         part = CMSG_NXTHDR(&message, part)) {
      for (size_t at = CMSG_LEN(0); at < part->cmsg_len; at += sizeof(int)) {
        int fd = -1;
        std::memcpy(&fd, reinterpret_cast<const char*>(part) + at, sizeof(int));
        fds->push_back(UniqueFd(fd));
      }
    }
    to += n;
    bytes -= static_cast<size_t>(n);
  }
  return true;
}

std::optional<Packet> ReplayClient::receive() {
  Packet packet;
  auto* header = reinterpret_cast<std::byte*>(&packet.header);
  if (!read_bytes(header, sizeof(packet.header), &packet.fds)) return std::nullopt;
  if (packet.header.size_bytes < sizeof(packet.header)) return std::nullopt;
  packet.body.resize(packet.header.size_bytes - sizeof(packet.header));
  if (!read_bytes(packet.body.data(), packet.body.size(), &packet.fds)) return std::nullopt;
  return packet;
}

void ReplayClient::handle_request(const Packet& packet) {
  ++requests_;
  if (on_request) on_request(packet);
}

Packet ReplayClient::wait(uint16_t id) {
  while (true) {
    std::optional<Packet> packet = receive();
    if (!packet) {
      Packet gone;
      gone.header.flags = wire::kTypeReply | wire::kError;
      gone.header.error = EPIPE;
      return gone;
    }
    if ((packet->header.flags & wire::kTypeMask) == wire::kTypeCommand) {
      handle_request(*packet);
    } else if (packet->header.id == id) {
      return std::move(*packet);
    }
  }
}

Packet ReplayClient::call(uint16_t command, const Bytes& body, const std::vector<int>& fds) {
  return wait(send(command, body, fds));
}

void ReplayClient::serve(const std::function<bool()>& go) {
  while (go()) {
    if (!wait_readable(socket_.get(), 20)) continue;
    const std::optional<Packet> packet = receive();
    if (!packet) return;
    if ((packet->header.flags & wire::kTypeMask) == wire::kTypeCommand) handle_request(*packet);
  }
}

bool ReplayClient::ended() {
  while (wait_readable(socket_.get(), kWaitMs)) {
    char rest[4096];
    if (recv(socket_.get(), rest, sizeof(rest), 0) <= 0) return true;
  }
  return false;
}

void ReplayClient::reply(const wire::Header& request, const Bytes& body, int error) {
  wire::Header header = request;
  header.flags = wire::kTypeReply | (error != 0 ? wire::kError : 0);
  header.error = static_cast<uint32_t>(error);
  header.size_bytes = static_cast<uint32_t>(sizeof(header) + body.size());
  send_bytes(join(bytes_of(header), body));
}

int ReplayClient::greet() {
  const Bytes body = join(bytes_of(wire::Version{0, 0}), std::as_bytes(std::span(kGreeting)));
  const Packet answer = call(wire::kVersion, body);
  return answer.body.size() > body.size() ? EMSGSIZE : answer.error();
}

int ReplayClient::map(uint64_t iova, uint64_t bytes, int fd, uint64_t offset, uint32_t flags) {
  const wire::DmaMap map{sizeof(map), flags, offset, iova, bytes};
  return call(wire::kDmaMap, bytes_of(map), fd < 0 ? std::vector<int>{} : std::vector<int>{fd})
      .error();
}

int ReplayClient::unmap(uint64_t iova, uint64_t bytes, uint32_t flags) {
  const wire::DmaUnmap unmap{sizeof(unmap), flags, iova, bytes};
  const Packet answer = call(wire::kDmaUnmap, bytes_of(unmap));
  if (answer.error() != 0) return answer.error();
  return answer.body == bytes_of(unmap) ? 0 : EBADMSG;
}

wire::RegionInfo ReplayClient::region(uint32_t index, UniqueFd* fd) {
  const wire::RegionInfo ask{sizeof(ask), 0, index, 0, 0, 0};
  Packet answer = call(wire::kGetRegionInfo, bytes_of(ask));
  if (fd != nullptr && !answer.fds.empty()) *fd = std::move(answer.fds.front());
  return load_at<wire::RegionInfo>(answer.body);
}

int ReplayClient::set_irqs(uint32_t flags, uint32_t start, uint32_t count,
                           const std::vector<int>& fds, const Bytes& data, uint32_t index) {
  const auto argsz = static_cast<uint32_t>(sizeof(wire::IrqSet) + data.size());
  const wire::IrqSet set{argsz, flags, index, start, count};
  return call(wire::kSetIrqs, join(bytes_of(set), data), fds).error();
}

Bytes ReplayClient::read(uint32_t region, uint64_t offset, uint32_t count) {
  const Packet answer =
      call(wire::kRegionRead, bytes_of(wire::RegionAccess{offset, region, count}));
  if (answer.error() != 0 || answer.body.size() != sizeof(wire::RegionAccess) + count) return {};
  return Bytes(answer.body.begin() + sizeof(wire::RegionAccess), answer.body.end());
}

int ReplayClient::write(uint32_t region, uint64_t offset, const Bytes& data) {
  const wire::RegionAccess access{offset, region, static_cast<uint32_t>(data.size())};
  return call(wire::kRegionWrite, join(bytes_of(access), data)).error();
}

void ReplayClient::post(uint32_t region, uint64_t offset, const Bytes& data) {
  const wire::RegionAccess access{offset, region, static_cast<uint32_t>(data.size())};
  send(wire::kRegionWrite, join(bytes_of(access), data), {}, wire::kNoReply);
}

bool ReplayClient::realize(int ram_fd, uint64_t ram_bytes) {
  step_ = "version";
  if (greet() != 0) return false;
  step_ = "map";
  if (map(0, ram_bytes, ram_fd) != 0) return false;
  step_ = "device info";
  const Packet info = call(wire::kGetInfo, bytes_of(wire::DeviceInfo{16, 0, 0, 0}));
  const auto device = load_at<wire::DeviceInfo>(info.body);
  if (info.error() != 0 || (device.flags & wire::kDevicePci) == 0 || device.num_regions < 8 ||
      device.num_irqs < 3) {
    return false;
  }
  step_ = "regions";
  for (uint32_t index = wire::kBar0; index <= wire::kConfig; ++index) {
    const wire::RegionInfo found = region(index);
    if (found.argsz != sizeof(found) || found.index != index) return false;
    region_bytes[index] = found.bytes;
  }
  step_ = "irqs";
  const Packet irq = call(wire::kGetIrqInfo, bytes_of(wire::IrqInfo{16, 0, wire::kMsix, 0}));
  if (irq.error() != 0 || load_at<wire::IrqInfo>(irq.body).flags != wire::kIrqEventfd) return false;
  call(wire::kGetIrqInfo, bytes_of(wire::IrqInfo{16, 0, wire::kErr, 0}));
  call(wire::kGetIrqInfo, bytes_of(wire::IrqInfo{16, 0, wire::kReq, 0}));
  step_ = "config space";
  config = read(wire::kConfig, 0, static_cast<uint32_t>(region_bytes[wire::kConfig]));
  if (config.size() != 4096) return false;
  for (uint32_t bar = 0; bar < 6; ++bar) {
    if (read(wire::kConfig, PCI_BASE_ADDRESS_0 + bar * 4, 4).size() != 4) return false;
  }
  step_ = "driver load";
  return set_irqs(wire::kDataNone | wire::kActionTrigger, 0, 0) == 0 &&
         write(wire::kConfig, PCI_COMMAND, bytes_of(uint16_t{0})) == 0 && reset() == 0;
}

}  // namespace npu::test
