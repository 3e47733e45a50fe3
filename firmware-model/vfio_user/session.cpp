// SPDX-License-Identifier: Apache-2.0
// Dispatch and handlers of the commands; docs/vfio-user.md is their contract.
#include "firmware-model/vfio_user/session.h"

#include <errno.h>

#include <cstring>

namespace npu::model::vfio_user {
namespace {

// Messages handled before other descriptors get their turn.
constexpr int kBatch = 64;
constexpr char kNoRoom[] = "the kernel has no room to take a mapping away";

// The struct at the start of a body. False: the body is shorter.
template <typename T>
bool load(std::span<const std::byte> body, T* out) {
  if (body.size() < sizeof(T)) return false;
  std::memcpy(out, body.data(), sizeof(T));
  return true;
}

// Likewise for structs whose argsz counts at least themselves; nothing may follow.
template <typename T>
bool load_exactly(std::span<const std::byte> body, T* out) {
  return load(body, out) && body.size() == sizeof(T) && out->argsz >= sizeof(T);
}

bool takes_fds(uint16_t command) { return command == wire::kDmaMap || command == wire::kSetIrqs; }

}  // namespace

template <typename T>
Session::Reply Session::with_body(const T& value) {
  Reply reply;
  reply.body.resize(sizeof(T));
  std::memcpy(reply.body.data(), &value, sizeof(T));
  return reply;
}

bool Session::end(std::string why) {
  why_ = std::move(why);
  return false;
}

bool Session::on_readable() {
  for (int i = 0; i < kBatch && wants_read(); ++i) {
    Message message;
    switch (channel_.receive(&message)) {
      case Channel::Got::kMessage:
        if (!handle(message)) return false;
        break;
      case Channel::Got::kNothing:
        return true;
      case Channel::Got::kEnd:
        return end("");
      case Channel::Got::kBroken:
        return end(std::string("the client sent ") + channel_.broken());
    }
  }
  return true;
}

bool Session::on_writable() { return channel_.flush() || end(""); }

bool Session::on_wake() {
  if (function_->follow_bus() != 0) return end(kNoRoom);
  InBand::Request request;
  while (function_->in_band().take(&request)) {
    if (!function_->may_reach(request.iova, request.bytes, request.write)) {
      function_->in_band().refuse(request.id);
      continue;
    }
    const wire::DmaAccess access{request.iova, request.bytes};
    std::vector<std::byte> body(sizeof(access) + request.data.size());
    std::memcpy(body.data(), &access, sizeof(access));
    if (!request.data.empty()) {
      std::memcpy(body.data() + sizeof(access), request.data.data(), request.data.size());
    }
    wire::Header header{};
    header.id = request.id;
    header.command = request.write ? wire::kDmaWrite : wire::kDmaRead;
    header.flags = wire::kTypeCommand;
    if (!channel_.send(header, body)) return end("");
  }
  return true;
}

bool Session::handle(Message& message) {
  const wire::Header& header = message.header;
  if ((header.flags & wire::kTypeMask) == wire::kTypeReply) return handle_reply(message);
  Reply reply = dispatch(message);
  if (fatal_) return end(kNoRoom);
  if ((header.flags & wire::kNoReply) != 0) return true;
  wire::Header answer{};
  answer.id = header.id;
  answer.command = header.command;
  answer.flags = wire::kTypeReply;
  if (reply.error != 0) {
    answer.flags |= wire::kError;
    answer.error = static_cast<uint32_t>(reply.error);
    reply.body.clear();
    reply.fd = -1;
  }
  return channel_.send(answer, reply.body, reply.fd) || end("");
}

bool Session::handle_reply(const Message& message) {
  const bool write = message.header.command == wire::kDmaWrite;
  if (!write && message.header.command != wire::kDmaRead) {
    return end("the client sent a reply to a command that was never sent");
  }
  const bool error = (message.header.flags & wire::kError) != 0;
  wire::DmaAccess access{};
  Bytes payload;
  // Old clients answer DMA_WRITE with a bare header.
  if (!error && !write) {
    if (!load(Bytes(message.body), &access)) return end("the client sent a short DMA_READ reply");
    payload = Bytes(message.body).subspan(sizeof(access));
    if (access.count != payload.size()) return end("the client sent a DMA_READ reply of two sizes");
  }
  return function_->in_band().answer(message.header.id, write, error, payload) ||
         end("the client sent a reply that nobody asked for");
}

Session::Reply Session::dispatch(Message& message) {
  const uint16_t command = message.header.command;
  if (greeted_ == (command == wire::kVersion)) return failed(EINVAL);
  if (!message.fds.empty() && !takes_fds(command)) return failed(EINVAL);
  if (command == wire::kDmaMap) return dma_map(message);
  if (command == wire::kSetIrqs) return set_irqs(message);
  return dispatch_plain(message);
}

Session::Reply Session::dispatch_plain(const Message& message) {
  const Bytes body(message.body);
  switch (message.header.command) {
    case wire::kVersion:
      return version(body);
    case wire::kDmaUnmap:
      return dma_unmap(body);
    case wire::kGetInfo:
      return device_info(body);
    case wire::kGetRegionInfo:
      return region_info(body);
    case wire::kGetIrqInfo:
      return irq_info(body);
    case wire::kRegionRead:
      return region_read(body);
    case wire::kRegionWrite:
      return region_write(body);
    case wire::kReset:
      return reset(body);
    case wire::kRegionWriteMulti:
      return region_write_multi(body);
    case wire::kDeviceFeature:
      return failed(ENOTTY);
    case wire::kGetRegionIoFds:
    case wire::kMigrationRead:
    case wire::kMigrationWrite:
      return failed(ENOTSUP);
    default:
      return failed(EINVAL);
  }
}

Session::Reply Session::version(Bytes body) {
  Reply reply;
  Capabilities client;
  reply.error = negotiate(body, &client, &reply.body);
  if (reply.error != 0) return reply;
  greeted_ = true;
  client_ = client;
  function_->set_max_data_bytes(client.max_data_bytes);
  return reply;
}

Session::Reply Session::dma_map(Message& message) {
  wire::DmaMap map{};
  if (!load_exactly(Bytes(message.body), &map) || message.fds.size() > 1) return failed(EINVAL);
  if ((map.flags & ~(wire::kMapRead | wire::kMapWrite)) != 0) return failed(EINVAL);
  DmaMap::Request request;
  request.iova = map.iova;
  request.bytes = map.bytes;
  request.offset = map.offset;
  request.readable = (map.flags & wire::kMapRead) != 0;
  request.writable = (map.flags & wire::kMapWrite) != 0;
  UniqueFd fd = message.fds.empty() ? UniqueFd() : std::move(message.fds.front());
  return failed(function_->map_dma(request, std::move(fd)));
}

Session::Reply Session::dma_unmap(Bytes body) {
  wire::DmaUnmap unmap{};
  if (!load_exactly(body, &unmap) || (unmap.flags & ~wire::kUnmapAll) != 0) return failed(EINVAL);
  int error = 0;
  if ((unmap.flags & wire::kUnmapAll) != 0) {
    if (unmap.iova != 0 || unmap.bytes != 0) return failed(EINVAL);
    error = function_->dma().unmap_all();
    function_->in_band().cancel(0, UINT64_MAX);
  } else {
    error = function_->dma().unmap(unmap.iova, unmap.bytes);
    if (error == ENOENT) return failed(error);
    function_->in_band().cancel(unmap.iova, unmap.bytes);
  }
  function_->memory_withdrawn();
  fatal_ = error != 0;
  return with_body(unmap);
}

Session::Reply Session::device_info(Bytes body) const {
  wire::DeviceInfo info{};
  if (!load_exactly(body, &info)) return failed(EINVAL);
  return with_body(wire::DeviceInfo{sizeof(info), wire::kDeviceReset | wire::kDevicePci,
                                    wire::kNumRegions, wire::kNumIrqs});
}

Session::Reply Session::region_info(Bytes body) const {
  wire::RegionInfo info{};
  if (!load_exactly(body, &info) || info.index >= wire::kNumRegions) return failed(EINVAL);
  info = {sizeof(info), 0, info.index, 0, function_->region_bytes(info.index), 0};
  if (info.bytes != 0) info.flags = wire::kRegionReadable | wire::kRegionWritable;
  if (info.index == wire::kBar2) info.flags |= wire::kRegionMmap;
  Reply reply = with_body(info);
  if (info.index == wire::kBar2) reply.fd = function_->hbm_fd();
  return reply;
}

Session::Reply Session::irq_info(Bytes body) const {
  wire::IrqInfo info{};
  if (!load_exactly(body, &info) || info.index >= wire::kNumIrqs) return failed(EINVAL);
  // An error reply is how a client learns without a warning that there is no such interrupt.
  if (info.index == wire::kErr || info.index == wire::kReq) return failed(EINVAL);
  const bool msix = info.index == wire::kMsix;
  return with_body(
      wire::IrqInfo{sizeof(info), msix ? wire::kIrqEventfd : 0, info.index, msix ? kVectors : 0});
}

int Session::set_vectors(const wire::IrqSet& set, Bytes data, std::vector<UniqueFd>& fds) {
  const uint32_t kind = set.flags & wire::kDataMask;
  if (kind == wire::kDataNone && set.count == 0) {
    // The whole type is switched off.
    if (set.start != 0) return EINVAL;
    function_->irqs().detach_all();
    return 0;
  }
  if (set.start > kVectors || set.count > kVectors - set.start || set.count == 0) return EINVAL;
  if (kind == wire::kDataEventfd) {
    if (!fds.empty() && fds.size() != set.count) return EINVAL;
    for (const UniqueFd& fd : fds) {
      if (!prepare_eventfd(fd.get())) return EINVAL;
    }
    for (uint32_t i = 0; i < set.count; ++i) {
      function_->irqs().attach(set.start + i, fds.empty() ? UniqueFd() : std::move(fds[i]));
    }
    return 0;
  }
  for (uint32_t i = 0; i < set.count; ++i) {
    if (kind == wire::kDataNone || data[i] != std::byte{0}) function_->irqs().raise(set.start + i);
  }
  return 0;
}

Session::Reply Session::set_irqs(Message& message) {
  wire::IrqSet set{};
  const Bytes body(message.body);
  if (!load(body, &set) || set.argsz < sizeof(set) || set.index >= wire::kNumIrqs) {
    return failed(EINVAL);
  }
  const uint32_t kind = set.flags & wire::kDataMask;
  const bool known =
      (set.flags & ~(wire::kDataMask | wire::kActionMask)) == 0 &&
      (kind == wire::kDataNone || kind == wire::kDataBool || kind == wire::kDataEventfd);
  // Masking is not offered in the answer to GET_IRQ_INFO.
  if (!known || (set.flags & wire::kActionMask) != wire::kActionTrigger) return failed(EINVAL);
  const Bytes data = body.subspan(sizeof(set));
  if (data.size() != (kind == wire::kDataBool ? set.count : 0)) return failed(EINVAL);
  if (kind != wire::kDataEventfd && !message.fds.empty()) return failed(EINVAL);
  if (set.index == wire::kMsix) return failed(set_vectors(set, data, message.fds));
  const bool switch_off = kind == wire::kDataNone && set.start == 0 && set.count == 0;
  return failed(switch_off ? 0 : EINVAL);
}

Session::Reply Session::region_read(Bytes body) {
  wire::RegionAccess access{};
  if (!load(body, &access) || body.size() != sizeof(access)) return failed(EINVAL);
  if (access.count > wire::kMaxDataBytes) return failed(EINVAL);
  Reply reply = with_body(access);
  reply.body.resize(sizeof(access) + access.count);
  reply.error =
      function_->read(access.region, access.offset, std::span(reply.body).subspan(sizeof(access)));
  return reply;
}

Session::Reply Session::region_write(Bytes body) {
  wire::RegionAccess access{};
  if (!load(body, &access) || body.size() - sizeof(access) != access.count) return failed(EINVAL);
  Reply reply = with_body(access);
  reply.error = function_->write(access.region, access.offset, body.subspan(sizeof(access)));
  return reply;
}

Session::Reply Session::region_write_multi(Bytes body) {
  uint64_t count = 0;
  if (!load(body, &count) || count == 0 || count > wire::kMaxMultiWrites ||
      body.size() != sizeof(count) + count * sizeof(wire::MultiWrite)) {
    return failed(EINVAL);
  }
  for (uint64_t i = 0; i < count; ++i) {
    wire::MultiWrite one{};
    load(body.subspan(sizeof(count) + i * sizeof(one)), &one);
    if (one.count > sizeof(one.data)) return failed(EINVAL);
    const auto data = std::as_bytes(std::span(one.data)).first(one.count);
    if (const int error = function_->write(one.region, one.offset, data); error != 0) {
      return failed(error);
    }
  }
  return {};
}

Session::Reply Session::reset(Bytes body) {
  if (!body.empty()) return failed(EINVAL);
  function_->reset();
  return {};
}

}  // namespace npu::model::vfio_user
