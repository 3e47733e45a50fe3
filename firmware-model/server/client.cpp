// SPDX-License-Identifier: Apache-2.0
// Dispatch of the calls by calls.def, and the end of a client.
#include "firmware-model/server/client.h"

#include <fcntl.h>

#include <algorithm>

#include "firmware-model/server/copy_engine.h"
#include "uapi/npu_validate.h"

namespace npu::model::server {
namespace {

// Requests of one connection that wait for their answer count against NPU_FRAME_MAX_PENDING.
bool may_answer_later(uint32_t nr) {
  return nr == NPU_CALL_WAIT || nr == NPU_CALL_COPY_SUBMIT || nr == NPU_CALL_QUEUE_SET ||
         nr == NPU_CALL_BO_CREATE;
}

// Outputs that npu_accel.h promises on errors too.
bool writes_on_error(uint32_t nr) { return nr == NPU_CALL_VM_BIND || nr == NPU_CALL_WAIT; }

bool is_inout(uint32_t nr) {
  npu_call_desc desc{};
  return npu_call_describe(nr, &desc) != 0 && desc.is_inout != 0;
}

// Every file of the frame is named by the struct's `fd`, and it names nothing else.
bool files_are_named(const Call& call, const void* args) {
  npu_call_desc desc{};
  int32_t fd = -1;
  if (npu_call_describe(call.number(), &desc) != 0 && desc.fd_offset >= 0 && desc.fd_is_out == 0) {
    std::memcpy(&fd, static_cast<const std::byte*>(args) + desc.fd_offset, sizeof(fd));
  }
  return call.fd_count() == (fd == -1 ? 0u : 1u);
}

}  // namespace

Client::Client(Device* device, CopyEngine* copies, ClientHost* host, const Peer& peer)
    : device_(device),
      copies_(copies),
      host_(host),
      peer_(peer),
      account_(
          std::make_shared<Account>(device->connection_limits(), device->user_account(peer.uid))),
      doorbells_(device) {
  device_->add_port_listener(this);
}

Client::~Client() {
  device_->remove_port_listener(this);
  for (const auto& [job, call] : copy_waits_) copies_->abandon(job);
  for (const Wait& wait : waits_) unwatch(wait);
  for (const auto& [cookie, notification] : notifications_) {
    device_->events().remove(notification);
  }
}

template <typename T>
void Client::invoke(std::unique_ptr<Call> call, size_t min_bytes,
                    int (*validate)(const T*, const npu_limits*), int (Client::*run)(Call&, T&)) {
  const uint32_t nr = call->number();
  T args{};
  const npu_limits& limits = device_->limits();
  int err = call->read_struct(&args, sizeof(args), min_bytes);
  if (err == 0 && !files_are_named(*call, &args)) err = EINVAL;
  if (err == 0) err = -validate(&args, &limits);
  if (err == 0 && may_answer_later(nr) &&
      waits_.size() + copy_waits_.size() + suspensions_.size() + starved_.size() >=
          NPU_FRAME_MAX_PENDING) {
    err = EBUSY;
  }
  const bool ran = err == 0;
  if (ran) err = (this->*run)(*call, args);
  if (err == kLater) {
    *later_ = std::move(call);
    return;
  }
  if (!is_inout(nr)) return host_->send(call->reply(err, nullptr, 0));
  // Outputs are written only on success, but for the members that npu_accel.h names; else the struct goes back as it came.
  const bool full = err == 0 || (ran && writes_on_error(nr));
  host_->send(call->reply(err, &args, full ? sizeof(T) : 0));
}

void Client::handle(std::unique_ptr<Call> call) {
  switch (call->number()) {
#define NPU_CALL(nr, NAME, name, dir, min_bytes, doc) \
  case NPU_CALL_##NAME:                               \
    return invoke<npu_##name>(std::move(call), min_bytes, npu_validate_##name, &Client::name);
#include "uapi/spec/calls.def"
    default:
      host_->send(call->reply(EOPNOTSUPP, nullptr, 0));
  }
}

uint64_t Client::doorbell_token() const { return 2ull << 32; }

int Client::map(npu_wire_map* args, UniqueFd* out) {
  int file = -1;
  if (args->offset != 0 || args->size_bytes != 0 || args->fd != -1 || args->flags != 0) {
    return EINVAL;
  }
  if (args->token == doorbell_token()) {
    file = doorbells_.file();
    args->size_bytes = Doorbells::kBytes;
  } else {
    const std::shared_ptr<Bo> bo =
        args->token >> 32 == 1 ? find_bo(static_cast<uint32_t>(args->token)) : nullptr;
    if (bo == nullptr || !bo->mappable()) return ENOENT;
    file = bo->file();
    args->offset = bo->file_offset();
    args->size_bytes = bo->bytes();
  }
  *out = UniqueFd(fcntl(file, F_DUPFD_CLOEXEC, 0));
  return out->valid() ? 0 : ENOMEM;
}

npu_client_info Client::row() const {
  npu_client_info row{};
  row.pid = static_cast<uint32_t>(peer_.pid);
  row.uid = peer_.uid;
  row.queues = static_cast<uint32_t>(queues_.size());
  row.vms = static_cast<uint32_t>(vms_.size());
  row.hbm_bytes = account_->used(Resource::kHbmBytes);
  row.system_bytes = account_->used(Resource::kSystemBytes);
  row.busy_ns = ended_busy_ns_;
  row.launches = ended_commands_;
  for (const auto& [id, queue] : queues_) {
    // The page belongs to the client: it can falsify its own row, and no other.
    row.busy_ns += __atomic_load_n(&queue->view()->ctrl->time_ps, __ATOMIC_RELAXED) / 1000;
    row.launches += queue->progress();
  }
  std::memcpy(row.comm, peer_.comm.data(), std::min(peer_.comm.size(), sizeof(row.comm) - 1));
  return row;
}

}  // namespace npu::model::server
