// SPDX-License-Identifier: Apache-2.0
// The fields of a port, and the table of links.
#include "tools/npu-smi/port.h"

#include "tools/npu-smi/grid.h"
#include "tools/npu-smi/output.h"

namespace npu::smi {
namespace {

Json known(bool is_known, uint64_t value) { return is_known ? Json(value) : Json(nullptr); }

Json text_or_null(const char* text) {
  return text[0] == '\0' ? Json(nullptr) : Json(printable(text));
}

Json counter(const npuMlPort& port, uint64_t value) {
  return known((port.flags & NPU_ML_PORT_HAS_COUNTERS) != 0, value);
}

using P = npuMlPort;
const std::vector<PortField> kPortFields = {
    {"port", "", "integer", "Number of the port on its device.",
     [](const P& p) { return Json(p.index); }},
    {"state", "", "string", "up, down, training, disabled or unknown.",
     [](const P& p) { return Json(port_state_word(p.state)); }},
    {"speed_mbps", "Mb/s", "integer", "Speed of the link, one direction.",
     [](const P& p) { return known(p.speed_mbps != 0, p.speed_mbps); }},
    {"lanes", "", "integer", "Lanes of the link.",
     [](const P& p) { return known(p.lanes != 0, p.lanes); }},
    {"leads_to", "", "string", "device: a neighbour; switch; unknown.",
     [](const P& p) {
       if ((p.flags & NPU_ML_PORT_HAS_PEER) != 0) return Json("device");
       return Json((p.flags & NPU_ML_PORT_LEADS_UP) != 0 ? "switch" : "unknown");
     }},
    {"peer_uuid", "", "string", "Device at the other end.",
     [](const P& p) { return text_or_null(p.peer_uuid); }},
    {"peer_port", "", "integer", "Its port.",
     [](const P& p) { return known((p.flags & NPU_ML_PORT_HAS_PEER) != 0, p.peer_port); }},
    {"interface", "", "string", "Interface of the host that a model's port stands for.",
     [](const P& p) { return text_or_null(p.interface_name); }},
    {"mac", "", "string", "Hardware address.", [](const P& p) { return text_or_null(p.mac); }},
    {"ipv4", "", "string", "IPv4 address.", [](const P& p) { return text_or_null(p.ipv4); }},
    {"ipv6", "", "string", "IPv6 address.", [](const P& p) { return text_or_null(p.ipv6); }},
    {"rx_bytes", "B", "integer", "Bytes received.",
     [](const P& p) { return counter(p, p.rx_bytes); }},
    {"tx_bytes", "B", "integer", "Bytes sent.", [](const P& p) { return counter(p, p.tx_bytes); }},
    {"rx_packets", "", "integer", "Packets received.",
     [](const P& p) { return counter(p, p.rx_packets); }},
    {"tx_packets", "", "integer", "Packets sent.",
     [](const P& p) { return counter(p, p.tx_packets); }},
    {"rx_errors", "", "integer", "Packets that came damaged, or could not be taken.",
     [](const P& p) { return counter(p, p.rx_errors); }},
    {"tx_errors", "", "integer", "Packets that could not be sent.",
     [](const P& p) { return counter(p, p.tx_errors); }},
    {"retransmits", "", "integer", "Packets sent again.",
     [](const P& p) { return known((p.flags & NPU_ML_PORT_HAS_RETRANSMITS) != 0, p.retransmits); }},
    {"link_downs", "", "integer", "Times that the link was lost.",
     [](const P& p) { return Json(p.link_downs); }},
    {"counters_generation", "", "integer", "Changes when the counters begin at 0 again.",
     [](const P& p) { return Json(p.counters_generation); }},
};

std::string cell(const Json& value) {
  if (value.is_null()) return "-";
  return value.is_string() ? value.get<std::string>() : value.dump();
}

// A column for people: the address that there is.
std::string address_of(const Json& port) {
  return cell(port["ipv4"].is_null() ? port["ipv6"] : port["ipv4"]);
}

std::string speed_of(const Json& port) {
  if (port["speed_mbps"].is_null()) return "-";
  const auto mbps = port["speed_mbps"].get<uint64_t>();
  return mbps % 1000 == 0 ? std::to_string(mbps / 1000) + " Gb/s" : std::to_string(mbps) + " Mb/s";
}

// "device 1:4" where that device is among those shown.
std::string peer_of(const Json& port, const Snapshot& snapshot) {
  if (port["leads_to"] != "device") return cell(port["leads_to"]);
  const std::string at = ":" + cell(port["peer_port"]);
  for (const Device& device : snapshot.devices) {
    if (!device.failure && port["peer_uuid"] == device.info.uuid) {
      return "device " + std::to_string(device.index) + at;
    }
  }
  return cell(port["peer_uuid"]) + at;
}

}  // namespace

const std::vector<PortField>& port_fields() { return kPortFields; }

const char* port_state_word(npuMlPortState state) {
  static constexpr const char* kWords[] = {"down", "training", "up", "disabled"};
  return state >= 0 && state < 4 ? kWords[state] : "unknown";
}

Json port_object(const npuMlPort& port) {
  Json object;
  for (const PortField& field : kPortFields) object[field.path] = field.read(port);
  return object;
}

std::string port_summary(const Json& port) {
  return cell(port["port"]) + " " + cell(port["state"]);
}

std::string link_table(const Snapshot& snapshot) {
  Grid grid("rrlrlllrrrrr");
  grid.row({"idx", "port", "state", "speed", "leads to", "interface", "address", "rx bytes",
            "tx bytes", "errors", "retransmits", "downs"});
  bool any = false;
  for (const Device& device : snapshot.devices) {
    for (const npuMlPort& row : device.ports) {
      any = true;
      const Json port = port_object(row);
      const bool counts = !port["rx_errors"].is_null();
      grid.row({std::to_string(device.index), cell(port["port"]), cell(port["state"]),
                speed_of(port), peer_of(port, snapshot), cell(port["interface"]), address_of(port),
                cell(port["rx_bytes"]), cell(port["tx_bytes"]),
                counts ? std::to_string(row.rx_errors + row.tx_errors) : "-",
                cell(port["retransmits"]), cell(port["link_downs"])});
    }
  }
  return grid.text() + (any ? "" : "no ports\n");
}

}  // namespace npu::smi
