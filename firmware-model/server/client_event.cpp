// SPDX-License-Identifier: Apache-2.0
// EVENT_MASK, and the sending of events.
#include "firmware-model/server/client.h"

namespace npu::model::server {

int Client::event_mask(Call&, npu_event_mask& args) {
  args.previous = event_mask_;
  event_mask_ = args.mask;
  return 0;
}

void Client::send_event(npu_event* event, uint32_t type, uint32_t bytes) {
  // Bit n of the mask belongs to the n-th type.
  if ((event_mask_ >> (type - NPU_EVENT_TYPE_QUEUE_ERROR) & 1) == 0) return;
  event->type = type;
  event->length = bytes;
  event->flags = events_lost_ ? NPU_EVENT_FLAG_LOST : 0;
  event->time_ns = monotonic_ns();
  events_lost_ = !host_->send_event(event, bytes);
}

void Client::on_port_state(uint32_t port, uint32_t state) {
  npu_event_port_state event{};
  event.port = port;
  event.state = state;
  send_event(&event.base, NPU_EVENT_TYPE_PORT_STATE, sizeof(event));
}

void Client::on_ports_lost() {
  if ((event_mask_ & NPU_EVENT_MASK_PORT_STATE) != 0) events_lost_ = true;
}

}  // namespace npu::model::server
