// SPDX-License-Identifier: Apache-2.0
#include "libnpu/ccl/path.h"

#include <cstring>

namespace npu::ccl {

bool Path::open(std::span<std::byte> mirror) {
  if (!rail_.fabric.register_memory(mirror.data(), mirror.size(), FI_REMOTE_WRITE, &mirror_)) {
    return false;
  }
  return make_transfers();
}

bool Path::make_transfers() {
  auto made = std::make_unique<Transfers>();
  if (!rail_.fabric.register_memory(&made->buffers, sizeof(made->buffers), FI_SEND | FI_RECV,
                                    &made->region)) {
    return false;
  }
  for (size_t i = 0; i < made->transfers.size(); i++) {
    Transfer& transfer = made->transfers[i];
    transfer.path = this;
    transfer.owner = made.get();
    transfer.kind = i < Transfers::kReceives                       ? Transfer::Kind::kReceive
                    : i < Transfers::kReceives + Transfers::kSends ? Transfer::Kind::kSend
                                                                   : Transfer::Kind::kWrite;
    transfer.buffer = i < made->buffers.size() ? &made->buffers[i] : nullptr;
  }
  transfers_ = std::move(made);
  return true;
}

Landing Path::own_landing() const {
  return {mirror_.key(), mirror_.remote_base, rail_.fabric.address(), 0};
}

bool Path::connect(std::span<const std::byte> say, std::string* out_error) {
  endpoint_ = rail_.fabric.connect(landing.endpoint, say, out_error);
  if (!endpoint_) return false;
  state_ = State::kConnecting;
  if (post_receives()) return true;
  *out_error = "no receive could be posted";
  return false;
}

bool Path::accept(fi_info* request) {
  endpoint_ = rail_.fabric.make_endpoint(request);
  if (!endpoint_) return false;
  state_ = State::kConnecting;
  return post_receives() && fi_accept(endpoint_.get(), nullptr, 0) == 0;
}

void Path::close() {
  state_ = State::kDown;
  if (!endpoint_) return;
  fi_shutdown(endpoint_.get(), 0);
  endpoint_.reset();
}

bool Path::post_receives() {
  for (Transfer& transfer : transfers_->transfers) {
    if (transfer.kind == Transfer::Kind::kReceive && !post_receive(transfer)) return false;
  }
  return true;
}

bool Path::post_receive(Transfer& transfer) {
  transfer.is_busy = fi_recv(endpoint_.get(), transfer.buffer, sizeof(WireBuffer),
                             transfers_->region.desc(), 0, &transfer.context) == 0;
  return transfer.is_busy;
}

bool Path::send(const WireMessage& message, std::span<const std::byte> tail) {
  Transfer* const transfer = free_transfer(Transfer::Kind::kSend);
  if (transfer == nullptr) return false;
  WireBuffer& buffer = *transfer->buffer;
  buffer.message = message;
  if (!tail.empty()) std::memcpy(buffer.payload, tail.data(), tail.size());
  transfer->is_busy = fi_send(endpoint_.get(), &buffer, sizeof(message) + tail.size(),
                              transfers_->region.desc(), 0, &transfer->context) == 0;
  return transfer->is_busy;
}

bool Path::write(std::span<const std::byte> payload, uint64_t offset) {
  Transfer* const transfer = free_transfer(Transfer::Kind::kWrite);
  if (transfer == nullptr) return false;
  transfer->is_busy = fi_write(endpoint_.get(), payload.data(), payload.size(), rail_.slots.desc(),
                               0, landing.at + offset, landing.key, &transfer->context) == 0;
  return transfer->is_busy;
}

Transfer* Path::free_transfer(Transfer::Kind kind) {
  for (Transfer& transfer : transfers_->transfers) {
    if (transfer.kind == kind && !transfer.is_busy) return &transfer;
  }
  return nullptr;
}

}  // namespace npu::ccl
