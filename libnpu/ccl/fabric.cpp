// SPDX-License-Identifier: Apache-2.0
#include "libnpu/ccl/fabric.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "libnpu/ccl/auth.h"
#include "libnpu/ccl/loaded_library.h"
#include "libnpu/ccl/socket.h"

namespace npu::ccl {
namespace {

constexpr uint32_t kApi = FI_VERSION(1, 17);
constexpr const char* kLibrary = "libfabric.so.1";

// The functions that are no inline ones of its headers.
struct Library : LoadedLibrary {
  using LoadedLibrary::LoadedLibrary;
  decltype(&fi_getinfo) getinfo = nullptr;
  decltype(&fi_freeinfo) freeinfo = nullptr;
  decltype(&fi_dupinfo) dupinfo = nullptr;
  decltype(&fi_fabric) fabric = nullptr;
  decltype(&fi_strerror) strerror = nullptr;
};

// Never unloaded: its providers leave things behind.
const Library& library() {
  static const Library* const loaded = [] {
    auto* made = new Library(kLibrary, "libfabric", "libfabric1");
    made->find("fi_getinfo", &made->getinfo);
    made->find("fi_freeinfo", &made->freeinfo);
    made->find("fi_dupinfo", &made->dupinfo);
    made->find("fi_fabric", &made->fabric);
    made->find("fi_strerror", &made->strerror);
    return made;
  }();
  return *loaded;
}

std::string text_of(int error) { return library().strerror(error < 0 ? -error : error); }

void* copy_of(const SocketAddress& address) {
  void* copy = std::malloc(address.bytes);  // libfabric frees it
  if (copy != nullptr) std::memcpy(copy, &address.storage, address.bytes);
  return copy;
}

bool is_from(const fi_info& info, const NetAddress& source, const std::string& provider) {
  if (provider != info.fabric_attr->prov_name || info.src_addr == nullptr) return false;
  const auto found = from_socket(static_cast<const sockaddr*>(info.src_addr));
  return found && found->ip == source.ip && found->version == source.version;
}

// verbs reserves room in the completion queue for as many receives as an endpoint could have, by default far more than there ever are, and goes on without room when there is none left.
void limit_receives(fi_info* info) {
  info->rx_attr->size = std::min<size_t>(info->rx_attr->size, Fabric::kReceivesMax);
}

// A failed one comes alone.
size_t completions_of(fid_cq* queue, std::span<FabricCompletion> out) {
  if (out.empty()) return 0;
  constexpr size_t kAtOnce = 32;
  std::array<fi_cq_msg_entry, kAtOnce> entries;
  const ssize_t got = fi_cq_read(queue, entries.data(), std::min(kAtOnce, out.size()));
  for (ssize_t i = 0; i < got; i++) {
    const fi_cq_msg_entry& entry = entries[static_cast<size_t>(i)];
    out[static_cast<size_t>(i)] = {entry.op_context, entry.len, 0};
  }
  if (got != -FI_EAVAIL) return got > 0 ? static_cast<size_t>(got) : 0;
  fi_cq_err_entry error{};
  if (fi_cq_readerr(queue, &error, 0) != 1) return 0;
  out[0] = {error.op_context, 0, error.err != 0 ? error.err : FI_EIO};
  return 1;
}

}  // namespace

void InfoCloser::operator()(fi_info* info) const { library().freeinfo(info); }

InfoPtr Fabric::find_info(const NetAddress& source, const NetAddress* to, std::string* out_error) {
  const InfoPtr hints(library().dupinfo(nullptr));
  if (!hints) return nullptr;
  const SocketAddress from = to_socket({source.ip, 0, source.version});
  hints->ep_attr->type = FI_EP_MSG;
  hints->caps = FI_MSG | FI_RMA;
  hints->mode = FI_CONTEXT | FI_CONTEXT2;
  hints->domain_attr->mr_mode = FI_MR_LOCAL | FI_MR_VIRT_ADDR | FI_MR_ALLOCATED | FI_MR_PROV_KEY;
  hints->domain_attr->threading = FI_THREAD_SAFE;
  // A message comes after what was written before it.
  hints->tx_attr->msg_order = FI_ORDER_SAS | FI_ORDER_SAW;
  hints->fabric_attr->prov_name = strdup(provider_.c_str());
  hints->addr_format = source.version == 6 ? FI_SOCKADDR_IN6 : FI_SOCKADDR_IN;
  hints->src_addr = copy_of(from);
  hints->src_addrlen = from.bytes;
  if (to != nullptr) {
    const SocketAddress other = to_socket(*to);
    hints->dest_addr = copy_of(other);
    hints->dest_addrlen = other.bytes;
  }
  fi_info* all = nullptr;
  const int result = library().getinfo(kApi, nullptr, nullptr, 0, hints.get(), &all);
  const InfoPtr owner(all);
  // Never the first one unseen: other interfaces are offered too.
  for (fi_info* info = all; result == 0 && info != nullptr; info = info->next) {
    if (is_from(*info, source, provider_)) return InfoPtr(library().dupinfo(info));
  }
  *out_error = "libfabric has no connected endpoints of provider \"" + provider_ + "\" on " +
               source.text() + (result != 0 ? ": " + text_of(result) : "");
  return nullptr;
}

bool Fabric::open(const NetAddress& own, const std::string& provider, size_t completions,
                  std::string* out_error) {
  provider_ = provider;
  address_ = own;
  if (!library().error.empty()) return *out_error = library().error, false;
  info_ = find_info(own, nullptr, out_error);
  if (!info_) return false;
  fid_fabric* fabric = nullptr;
  fid_eq* events = nullptr;
  fid_domain* domain = nullptr;
  fi_eq_attr event_attr{};
  event_attr.wait_obj = FI_WAIT_FD;
  int result = library().fabric(info_->fabric_attr, &fabric, nullptr);
  fabric_.reset(fabric);
  if (result == 0) result = fi_eq_open(fabric, &event_attr, &events, nullptr);
  events_.reset(events);
  if (result == 0) result = fi_domain(fabric, info_.get(), &domain, nullptr);
  domain_.reset(domain);
  if (result == 0) result = open_queue(completions, FI_WAIT_FD, &receives_);
  if (result == 0) result = open_queue(completions, FI_WAIT_NONE, &sends_);
  if (result == 0) return listen(out_error);
  *out_error = "libfabric cannot use " + own.text() + ": " + text_of(result);
  return false;
}

int Fabric::open_queue(size_t completions, fi_wait_obj wait, FidPtr<fid_cq>* out) {
  fid_cq* queue = nullptr;
  fi_cq_attr attributes{};
  attributes.size = completions;
  attributes.format = FI_CQ_FORMAT_MSG;
  attributes.wait_obj = wait;
  const int result = fi_cq_open(domain_.get(), &attributes, &queue, nullptr);
  out->reset(queue);
  return result;
}

bool Fabric::listen(std::string* out_error) {
  fid_pep* listener = nullptr;
  SocketAddress name{};
  size_t bytes = sizeof(name.storage);
  int result = fi_passive_ep(fabric_.get(), info_.get(), &listener, nullptr);
  listener_.reset(listener);
  if (result == 0) result = fi_pep_bind(listener, &events_->fid, 0);
  if (result == 0) result = fi_listen(listener);
  if (result == 0) result = fi_getname(&listener->fid, &name.storage, &bytes);
  const auto found = result == 0 ? from_socket(name.get()) : std::nullopt;
  if (found) {
    address_ = *found;
    return true;
  }
  *out_error = "libfabric cannot listen on " + address_.text() + ": " + text_of(result);
  return false;
}

bool Fabric::register_memory(void* at, size_t bytes, uint64_t access, Region* out) {
  // A key that nobody guesses, and none twice.
  uint64_t key = 0;
  if (!fill_random(std::span(reinterpret_cast<uint8_t*>(&key), sizeof(key)))) return false;
  fid_mr* mr = nullptr;
  if (fi_mr_reg(domain_.get(), at, bytes, access, 0, key, 0, &mr, nullptr) != 0) return false;
  out->mr.reset(mr);
  const bool is_virtual = (info_->domain_attr->mr_mode & FI_MR_VIRT_ADDR) != 0;
  out->remote_base = is_virtual ? reinterpret_cast<uintptr_t>(at) : 0;
  return true;
}

bool Fabric::needs_registration() const { return (info_->domain_attr->mr_mode & FI_MR_LOCAL) != 0; }

EndpointPtr Fabric::make_endpoint(fi_info* info) {
  limit_receives(info);
  fid_ep* made = nullptr;
  if (fi_endpoint(domain_.get(), info, &made, nullptr) != 0) return nullptr;
  EndpointPtr endpoint(made);
  if (fi_ep_bind(made, &events_->fid, 0) != 0 || fi_ep_bind(made, &receives_->fid, FI_RECV) != 0 ||
      fi_ep_bind(made, &sends_->fid, FI_TRANSMIT) != 0 || fi_enable(made) != 0) {
    return nullptr;
  }
  return endpoint;
}

EndpointPtr Fabric::connect(const NetAddress& to, std::span<const std::byte> say,
                            std::string* out_error) {
  const InfoPtr info = find_info(address_, &to, out_error);
  if (!info) return nullptr;
  EndpointPtr endpoint = make_endpoint(info.get());
  const SocketAddress address = to_socket(to);
  const int result =
      endpoint ? fi_connect(endpoint.get(), &address.storage, say.data(), say.size()) : -FI_ENOMEM;
  if (result == 0) return endpoint;
  *out_error = "no connection to " + to.text() + ": " + text_of(result);
  return nullptr;
}

void Fabric::refuse(fi_info* request) { fi_reject(listener_.get(), request->handle, nullptr, 0); }

int Fabric::socket_of(fid_ep* endpoint) const {
  SocketAddress own{}, other{};
  size_t own_bytes = sizeof(own.storage), other_bytes = sizeof(other.storage);
  if (fi_getname(&endpoint->fid, &own.storage, &own_bytes) != 0 ||
      fi_getpeer(endpoint, &other.storage, &other_bytes) != 0) {
    return -1;
  }
  const auto from = from_socket(own.get()), to = from_socket(other.get());
  return from && to ? find_tcp(*from, *to) : -1;
}

FabricEvent Fabric::next_event() {
  constexpr size_t kSaidMax = 256;
  alignas(fi_eq_cm_entry) std::byte room[sizeof(fi_eq_cm_entry) + kSaidMax];
  uint32_t kind = 0;
  FabricEvent event;
  const ssize_t got = fi_eq_read(events_.get(), &kind, room, sizeof(room), 0);
  if (got == -FI_EAVAIL) {
    fi_eq_err_entry error{};
    if (fi_eq_readerr(events_.get(), &error, 0) < 0) return event;
    event.kind = FabricEvent::Kind::kEnded;
    event.endpoint = error.fid;
    event.text = text_of(error.err);
    return event;
  }
  if (got < static_cast<ssize_t>(sizeof(fi_eq_cm_entry))) return event;
  fi_eq_cm_entry entry;
  std::memcpy(&entry, room, sizeof(entry));
  event.endpoint = entry.fid;
  if (kind == FI_CONNREQ) {
    event.kind = FabricEvent::Kind::kRequest;
    event.request.reset(entry.info);
    event.said.assign(room + sizeof(entry), room + got);
  } else if (kind == FI_CONNECTED) {
    event.kind = FabricEvent::Kind::kConnected;
  } else if (kind == FI_SHUTDOWN) {
    event.kind = FabricEvent::Kind::kEnded;
    event.text = "the other side has closed it";
  }
  return event;
}

size_t Fabric::next_completions(std::span<FabricCompletion> out, bool has_sends) {
  const size_t received = completions_of(receives_.get(), out);
  if (!has_sends) return received;
  return received + completions_of(sends_.get(), out.subspan(received));
}

std::vector<int> Fabric::fds() const {
  std::vector<int> found;
  for (fid* of : {&events_->fid, &receives_->fid}) {
    int fd = -1;
    if (fi_control(of, FI_GETWAIT, &fd) == 0 && fd >= 0) found.push_back(fd);
  }
  return found;
}

bool Fabric::may_sleep() {
  fid* all[] = {&events_->fid, &receives_->fid};
  return fi_trywait(fabric_.get(), all, 2) == 0;
}

}  // namespace npu::ccl
