// SPDX-License-Identifier: Apache-2.0
// npu_memory.h, memory from elsewhere and of peers: check, call, translate.
#include <cstring>

#include "libnpu/src/api/guard.h"
#include "libnpu/src/api/memory.h"
#include "libnpu/src/backend/unique_fd.h"
#include "libnpu/src/core/context.h"
#include "libnpu/src/core/device.h"
#include "libnpu/src/core/validation.h"
#include "uapi/npu_accel.h"

using namespace npu;
using api::guard;

namespace {

// Also by its place on the bus: two device models may say the same identity.
bool is_same(const npu_dev_info& a, const npu_dev_info& b) {
  return std::memcmp(a.uuid, b.uuid, NPU_UUID_BYTES) == 0 && a.pci_domain == b.pci_domain &&
         a.pci_bus == b.pci_bus && a.pci_devfn == b.pci_devfn;
}

npuPeerAccess access_of(const Device& device, const Device& peer) {
  const bool same = is_same(device.info(), peer.info());
  return same || device.backend().maps_memory_of(peer.backend()) ? NPU_PEER_MAPPED : NPU_PEER_COPY;
}

}  // namespace

extern "C" {

npuResult npuDeviceCanAccessPeer(npuDevice device, npuDevice peer, npuPeerAccess* out_access) {
  return guard(__func__, NPU_ARGS(device, peer, out_access), [&]() -> Status {
    NPU_TRY(api::need(out_access, "out_access"));
    *out_access = NPU_PEER_NONE;
    Pin<Device> pin;
    Pin<Device> peer_pin;
    NPU_TRY(api::take(pin, device, "device"));
    NPU_TRY(api::take(peer_pin, peer, "peer"));
    *out_access = access_of(*pin, *peer_pin);
    return Status::ok();
  });
}

npuResult npuContextEnablePeer(npuContext context, npuContext peer) {
  return guard(__func__, NPU_ARGS(context, peer), [&]() -> Status {
    Pin<Context> pin;
    Pin<Context> peer_pin;
    NPU_TRY(api::take(pin, context, "context"));
    NPU_TRY(api::take(peer_pin, peer, "peer"));
    if (pin.get() == peer_pin.get()) {
      return fail(NPU_ERROR_INVALID_ARGUMENT, "a context is no peer of itself");
    }
    if (access_of(pin->device(), peer_pin->device()) != NPU_PEER_MAPPED) {
      const Status status =
          fail(NPU_ERROR_NOT_SUPPORTED, "memory of the peer cannot be mapped by this device");
      set_remedy(
          "Copy with npuMemCopyPeer, which needs no enabling. For mappings the kernel needs "
          "CONFIG_PCI_P2PDMA, and both devices one PCIe switch or a host bridge that it trusts.");
      return status;
    }
    pin->enable_peer(api::number_of(peer));
    return Status::ok();
  });
}

npuResult npuMemMapPeer(npuContext context, npuContext peer, npuDevPtr ptr, uint32_t flags,
                        npuDevPtr* out_ptr) {
  return guard(__func__, NPU_ARGS(context, peer, ptr, flags, out_ptr), [&]() -> Status {
    NPU_TRY(api::need(out_ptr, "out_ptr"));
    *out_ptr = 0;
    Pin<Context> pin;
    Pin<Context> peer_pin;
    NPU_TRY(api::take(pin, context, "context"));
    NPU_TRY(api::take(peer_pin, peer, "peer"));
    NPU_TRY(api::check_flags(flags, NPU_MEM_READONLY));
    if (!pin->has_peer(api::number_of(peer))) {
      const Status status = fail(NPU_ERROR_PERMISSION, "the peer was not enabled for this context");
      set_remedy("Call npuContextEnablePeer(context, peer) first.");
      return status;
    }
    int fd = -1;
    uint64_t shared_id = 0;
    NPU_TRY(peer_pin->memory().export_fd(ptr, &fd, &shared_id));
    const UniqueFd file(fd);
    NPU_TRY_ASSIGN(*out_ptr,
                   pin->memory().import(file.get(), 0, 0, (flags & NPU_MEM_READONLY) != 0));
    return Status::ok();
  });
}

npuResult npuMemExportFd(npuContext context, npuDevPtr ptr, int* out_fd, uint64_t* out_shared_id) {
  return guard(__func__, NPU_ARGS(context, ptr, out_fd, out_shared_id), [&]() -> Status {
    if (out_shared_id != nullptr) *out_shared_id = 0;
    NPU_TRY(api::need(out_fd, "out_fd"));
    *out_fd = -1;
    Pin<Context> pin;
    NPU_TRY(api::take(pin, context, "context"));
    uint64_t shared_id = 0;
    NPU_TRY(pin->memory().export_fd(ptr, out_fd, &shared_id));
    if (out_shared_id != nullptr) *out_shared_id = shared_id;
    return Status::ok();
  });
}

npuResult npuMemImportFd(npuContext context, int fd, uint64_t offset, uint64_t size_bytes,
                         uint32_t flags, npuDevPtr* out_ptr) {
  return guard(__func__, NPU_ARGS(context, fd, offset, size_bytes, flags, out_ptr),
               [&]() -> Status {
                 NPU_TRY(api::need(out_ptr, "out_ptr"));
                 *out_ptr = 0;
                 Pin<Context> pin;
                 NPU_TRY(api::take(pin, context, "context"));
                 NPU_TRY(api::check_flags(flags, NPU_MEM_READONLY));
                 pin->collect();
                 NPU_TRY_ASSIGN(*out_ptr, pin->memory().import(fd, offset, size_bytes,
                                                               (flags & NPU_MEM_READONLY) != 0));
                 return Status::ok();
               });
}

npuResult npuMemRegisterHost(npuContext context, void* host, uint64_t size_bytes, uint32_t flags,
                             npuDevPtr* out_dva) {
  return guard(__func__, NPU_ARGS(context, host, size_bytes, flags, out_dva), [&]() -> Status {
    NPU_TRY(api::need(out_dva, "out_dva"));
    *out_dva = 0;
    Pin<Context> pin;
    NPU_TRY(api::take(pin, context, "context"));
    NPU_TRY(api::need(host, "host"));
    NPU_TRY(api::check_flags(flags, NPU_MEM_READONLY));
    pin->collect();
    NPU_TRY_ASSIGN(*out_dva,
                   pin->memory().register_host(host, size_bytes, (flags & NPU_MEM_READONLY) != 0));
    return Status::ok();
  });
}

npuResult npuMemUnregisterHost(npuContext context, const void* host) {
  return guard(__func__, NPU_ARGS(context, host), [&]() -> Status {
    Pin<Context> pin;
    NPU_TRY(api::take(pin, context, "context"));
    if (host == nullptr) return Status::ok();
    Validation::look_at_unregister(*pin, host);
    NPU_TRY_ASSIGN(Memory::Detached detached, pin->memory().unregister_host(host));
    pin->retire(std::move(detached));
    return Status::ok();
  });
}

}  // extern "C"
