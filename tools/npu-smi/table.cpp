// SPDX-License-Identifier: Apache-2.0
// Tables for people; "-" stands for what is not available.
#include <cstdio>

#include "tools/npu-smi/grid.h"
#include "tools/npu-smi/output.h"
#include "tools/npu-smi/port.h"

namespace npu::smi {
namespace {

constexpr double kMiB = 1024.0 * 1024.0;

std::string number_text(double value, int decimals) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

// A value with its unit as in `info`.
std::string value_text(const Json& value, const std::string& unit) {
  std::string text;
  if (value.is_null()) return "-";
  if (value.is_string()) {
    text = printable(value.get<std::string>());
  } else if (value.is_boolean()) {
    text = value.get<bool>() ? "yes" : "no";
  } else if (value.is_number_float()) {
    text = number_text(value.get<double>(), 2);
  } else if (value.is_array()) {
    for (const Json& word : value) text += (text.empty() ? "" : ", ") + value_text(word, "");
    if (value.empty()) text = "none";
  } else if (value.is_object()) {
    text = port_summary(value);
  } else {
    text = value.dump();
  }
  return unit.empty() ? text : text + " " + unit;
}

// The field at |path| as a number with a short unit, for the narrow columns of the overview.
std::string short_text(const Device& device, const char* path, double scale, int decimals) {
  const Reading reading = read_field(field_at(path), device);
  return reading.value.is_number() ? number_text(reading.value.get<double>() / scale, decimals)
                                   : "-";
}

std::string text_at(const Device& device, const char* path) {
  return value_text(read_field(field_at(path), device).value, "");
}

std::string bus_text(const Device& device) {
  return device.info.bus_id[0] != '\0' ? device.info.bus_id
                                       : "virtual:" + std::to_string(device.index);
}

std::string upper(std::string text) {
  for (char& c : text) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - ('a' - 'A')) : c;
  return text;
}

std::string device_grid(const Snapshot& snapshot) {
  Grid grid("rllllrrrr");
  grid.row({"idx", "bus-id", "name", "health", "temp", "power / cap", "core", "mem-bw",
            "memory used / total"});
  for (const Device& d : snapshot.devices) {
    const std::string index = std::to_string(d.index);
    if (d.failure) {
      grid.row({index, "-", "-", "ERROR", "-", "-", "-", "-", "-"});
      continue;
    }
    grid.row({index, bus_text(d), text_at(d, "name"), upper(text_at(d, "health.state")),
              short_text(d, "temperature_c.die", 1, 0) + " C",
              short_text(d, "power_w", 1, 0) + " / " + short_text(d, "power_cap_w", 1, 0) + " W",
              short_text(d, "utilization_pct.core", 1, 0) + " %",
              short_text(d, "utilization_pct.memory_bw", 1, 0) + " %",
              short_text(d, "memory_bytes.used", kMiB, 0) + " / " +
                  short_text(d, "memory_bytes.total", kMiB, 0) + " MiB"});
  }
  return grid.text();
}

std::string process_grid(const Snapshot& snapshot) {
  Grid grid("rrllrrrl");
  grid.row({"idx", "pid", "user", "type", "device ms", "launches", "memory MiB", "command"});
  bool any = false;
  for (const Device& device : snapshot.devices) {
    for (const Process& p : device.processes) {
      any = true;
      grid.row(
          {std::to_string(p.device), std::to_string(p.row.pid), printable(p.user),
           p.row.contexts + p.row.queues > 0 ? "compute" : "monitor",
           number_text(static_cast<double>(p.row.busy_ns) / 1e6, 1), std::to_string(p.row.launches),
           number_text(static_cast<double>(p.row.hbm_bytes) / kMiB, 0), printable(p.row.command)});
    }
  }
  return grid.text() + (any ? "" : "no processes\n");
}

std::string headline(const Snapshot& snapshot) {
  size_t virtual_count = 0;
  for (const Device& device : snapshot.devices)
    virtual_count += !device.failure && device.info.is_virtual;
  const std::string driver = driver_version(snapshot);
  return "npu-smi " + tool_version() + "   driver " + (driver.empty() ? "-" : driver) + "   API " +
         std::to_string(NPU_VERSION_MAJOR) + "." + std::to_string(NPU_VERSION_MINOR) +
         "   devices " + std::to_string(snapshot.devices.size()) + " (" +
         std::to_string(virtual_count) + " virtual)\n";
}

std::string list_table(const Options& options, const Snapshot& snapshot) {
  Grid grid(options.list_full ? "rlllrrr" : "rlll");
  for (const Device& d : snapshot.devices) {
    if (d.failure) continue;
    std::vector<std::string> cells = {std::to_string(d.index), bus_text(d), d.info.uuid,
                                      text_at(d, "name")};
    if (options.list_full) {
      cells.push_back(std::to_string(uint64_t{d.info.clusters} * d.info.tiles_per_cluster) +
                      " tiles");
      cells.push_back(short_text(d, "memory_bytes.total", kMiB, 0) + " MiB");
      cells.push_back(number_text(d.info.core_clock_khz / 1e3, 0) + " MHz");
    }
    grid.row(cells);
  }
  return grid.text();
}

std::string info_table(const Options& options, const Snapshot& snapshot) {
  std::string out;
  for (const Device& device : snapshot.devices) {
    if (device.failure) continue;
    out += (out.empty() ? "" : "\n") + ("device " + std::to_string(device.index)) + "  " +
           bus_text(device) + "\n";
    std::string section;
    Grid grid("ll");
    for (const Field* field : chosen_fields(options)) {
      const bool asked = options.sections.empty() || std::string(field->path) != "index";
      if (!asked) continue;
      if (section != field->section) {
        section = field->section;
        grid.row({"  " + section, ""});
      }
      const std::string value = value_text(read_field(*field, device).value, unit_of(*field));
      grid.row({"    " + std::string(field->path), value});
    }
    out += grid.text();
  }
  return out;
}

std::string schema_table() {
  Grid grid("lllll");
  grid.row({"path", "type", "unit", "section", "meaning"});
  for (const Field& field : device_fields()) {
    grid.row({field.path, type_of(field), unit_of(field), field.section, doc_of(field)});
  }
  for (const ProcessField& field : process_fields()) {
    grid.row({field.path, field.type, field.unit, "(ps)", field.doc});
  }
  for (const PortField& field : port_fields()) {
    grid.row({field.path, field.type, field.unit, "(link)", field.doc});
  }
  return grid.text();
}

}  // namespace

std::string make_table(const Options& options, const Snapshot& snapshot) {
  switch (options.command) {
    case Command::kList:
      return list_table(options, snapshot);
    case Command::kInfo:
      return info_table(options, snapshot);
    case Command::kProcesses:
      return process_grid(snapshot);
    case Command::kLink:
      return link_table(snapshot);
    case Command::kSchema:
      return schema_table();
    case Command::kEvent:   // has no snapshot: follow_events()
    case Command::kDoctor:  // has no snapshot: make_report()
    case Command::kOverview:
      break;
  }
  return headline(snapshot) + device_grid(snapshot) + process_grid(snapshot);
}

}  // namespace npu::smi
