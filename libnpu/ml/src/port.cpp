// SPDX-License-Identifier: Apache-2.0
// Ports and events in words of npu_ml.h.
#include "libnpu/ml/src/port.h"

#include <cstdio>
#include <cstring>

#include "libnpu/src/backend/ip_text.h"
#include "libnpu/src/core/uuid.h"

namespace npu::ml {
namespace {

static_assert(int{NPU_ML_PORT_DOWN} == int{NPU_PORT_DOWN});
static_assert(int{NPU_ML_PORT_TRAINING} == int{NPU_PORT_TRAINING});
static_assert(int{NPU_ML_PORT_UP} == int{NPU_PORT_UP});
static_assert(int{NPU_ML_PORT_DISABLED} == int{NPU_PORT_DISABLED});
static_assert(NPU_ML_PORT_HAS_PEER == NPU_PORT_FLAG_PEER);
static_assert(NPU_ML_PORT_LEADS_UP == NPU_PORT_FLAG_UP_LINK);
static_assert(NPU_ML_PORT_IS_BOUND == NPU_PORT_FLAG_BOUND);
static_assert(NPU_ML_PORT_HAS_MAC == NPU_PORT_FLAG_MAC);
static_assert(NPU_ML_PORT_HAS_IPV4 == NPU_PORT_FLAG_IPV4);
static_assert(NPU_ML_PORT_HAS_IPV6 == NPU_PORT_FLAG_IPV6);
static_assert(NPU_ML_PORT_HAS_COUNTERS == NPU_PORT_FLAG_COUNTERS);
static_assert(NPU_ML_PORT_HAS_RETRANSMITS == NPU_PORT_FLAG_RETRANSMITS);
static_assert(NPU_ML_EVENT_DEVICE_RESET == NPU_EVENT_MASK_DEVICE_RESET);
static_assert(NPU_ML_EVENT_PORT_STATE == NPU_EVENT_MASK_PORT_STATE);

void write_addresses(const npu_port_info& in, npuMlPort* out) {
  static_assert(sizeof out->peer_uuid == kUuidTextBytes);
  static_assert(sizeof out->ipv4 >= kIpv4TextBytes && sizeof out->ipv6 >= kIpv6TextBytes);
  if ((in.flags & NPU_PORT_FLAG_PEER) != 0) format_uuid(in.peer_uuid, out->peer_uuid);
  if ((in.flags & NPU_PORT_FLAG_MAC) != 0) {
    std::snprintf(out->mac, sizeof out->mac, "%02x:%02x:%02x:%02x:%02x:%02x", in.mac[0], in.mac[1],
                  in.mac[2], in.mac[3], in.mac[4], in.mac[5]);
  }
  if ((in.flags & NPU_PORT_FLAG_IPV4) != 0) format_ipv4(in.ipv4, out->ipv4);
  if ((in.flags & NPU_PORT_FLAG_IPV6) != 0) format_ipv6(in.ipv6, out->ipv6);
}

void write_counters(const npu_port_info& in, npuMlPort* out) {
  if ((in.flags & NPU_PORT_FLAG_COUNTERS) != 0) {
    out->rx_bytes = in.rx_bytes;
    out->tx_bytes = in.tx_bytes;
    out->rx_packets = in.rx_packets;
    out->tx_packets = in.tx_packets;
    out->rx_errors = in.rx_errors;
    out->tx_errors = in.tx_errors;
  }
  if ((in.flags & NPU_PORT_FLAG_RETRANSMITS) != 0) out->retransmits = in.retransmits;
  out->link_downs = in.flaps;
  out->counters_generation = in.counters_generation;
}

}  // namespace

npuMlPort translate_port(const npu_port_info& in) {
  npuMlPort out{};
  out.struct_size = sizeof out;
  out.index = in.index;
  out.state = static_cast<npuMlPortState>(in.state);
  // A newer driver may say what this header has no word for.
  out.flags = in.flags & NPU_PORT_FLAGS_ALL;
  out.speed_mbps = in.speed_mbps;
  out.lanes = in.lanes;
  if ((in.flags & NPU_PORT_FLAG_PEER) != 0) out.peer_port = in.peer_port;
  static_assert(sizeof out.interface_name == sizeof in.interface);
  std::memcpy(out.interface_name, in.interface, sizeof in.interface - 1);
  write_addresses(in, &out);
  write_counters(in, &out);
  return out;
}

bool translate_event(const std::byte* bytes, npuMlEvent* out) {
  npu_event head;
  std::memcpy(&head, bytes, sizeof head);
  *out = {};
  out->lost = (head.flags & NPU_EVENT_FLAG_LOST) != 0;
  out->time_ns = head.time_ns;
  if (head.type == NPU_EVENT_TYPE_PORT_STATE) {
    npu_event_port_state event;
    std::memcpy(&event, bytes, sizeof event);
    out->kind = NPU_ML_EVENT_PORT_STATE;
    out->port = event.port;
    out->port_state = static_cast<npuMlPortState>(event.state);
    return head.length >= sizeof event;
  }
  if (head.type == NPU_EVENT_TYPE_DEVICE_RESET) {
    npu_event_device_reset event;
    std::memcpy(&event, bytes, sizeof event);
    out->kind = NPU_ML_EVENT_DEVICE_RESET;
    out->epoch = event.new_epoch;
    return head.length >= sizeof event;
  }
  return false;
}

}  // namespace npu::ml
