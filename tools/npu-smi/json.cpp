// SPDX-License-Identifier: Apache-2.0
// JSON output; docs/schema/npu-smi-1.0.json describes it.
#include <algorithm>

#include "tools/npu-smi/output.h"
#include "tools/npu-smi/port.h"

namespace npu::smi {
namespace {

constexpr const char* kSchema = "npu-smi/1.0";

// Puts |value| at "a.b" of |object|.
void put(Json& object, const std::string& path, Json value) {
  const size_t dot = path.find('.');
  if (dot == std::string::npos) {
    object[path] = std::move(value);
  } else {
    put(object[path.substr(0, dot)], path.substr(dot + 1), std::move(value));
  }
}

Json device_object(const std::vector<const Field*>& fields, const Device& device) {
  Json object;
  if (device.failure) {
    object["index"] = device.index;
    object["error"] = {{"code", device.failure->code},
                       {"text", device.failure->text},
                       {"remedy", device.failure->remedy}};
    return object;
  }
  Json unavailable = Json::object();
  for (const Field* field : fields) {
    Reading reading = read_field(*field, device);
    if (reading.unavailable != nullptr) unavailable[field->path] = reading.unavailable;
    put(object, field->path, std::move(reading.value));
  }
  object["unavailable"] = std::move(unavailable);
  return object;
}

Json process_object(const Process& process) {
  Json object;
  for (const ProcessField& field : process_fields()) put(object, field.path, field.read(process));
  return object;
}

// |indent| -1: in one line.
std::string text_of(const Json& json, int indent = 2) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string schema_text() {
  Json root;
  root["schema"] = kSchema;
  for (const Field& field : device_fields()) {
    root["fields"].push_back({{"path", field.path},
                              {"section", field.section},
                              {"unit", unit_of(field)},
                              {"type", type_of(field)},
                              {"description", doc_of(field)}});
  }
  for (const ProcessField& field : process_fields()) {
    root["process_fields"].push_back({{"path", field.path},
                                      {"unit", field.unit},
                                      {"type", field.type},
                                      {"description", field.doc}});
  }
  for (const PortField& field : port_fields()) {
    root["port_fields"].push_back({{"path", field.path},
                                   {"unit", field.unit},
                                   {"type", field.type},
                                   {"description", field.doc}});
  }
  return text_of(root);
}

}  // namespace

std::string make_json(const Options& options, const Snapshot& snapshot) {
  if (options.command == Command::kSchema) return schema_text();
  Json root;
  const std::string driver = driver_version(snapshot);
  root["schema"] = kSchema;
  root["tool"] = {{"version", tool_version()}};
  root["driver"] = {{"version", driver.empty() ? Json(nullptr) : Json(driver)},
                    {"state", driver.empty() ? "not_loaded" : "loaded"}};
  root["timestamp"] = snapshot.timestamp;
  root["interval_ms"] = options.loop_ms == 0 ? Json(nullptr) : Json(options.loop_ms);
  root["virtual"] =
      std::all_of(snapshot.devices.begin(), snapshot.devices.end(), [](const Device& device) {
        return device.failure.has_value() || device.info.is_virtual != 0;
      });
  root["devices"] = Json::array();
  const std::vector<const Field*> fields = chosen_fields(options);
  for (const Device& device : snapshot.devices)
    root["devices"].push_back(device_object(fields, device));
  if (options.command == Command::kOverview || options.command == Command::kProcesses) {
    root["processes"] = Json::array();
    for (const Device& device : snapshot.devices) {
      for (const Process& process : device.processes)
        root["processes"].push_back(process_object(process));
    }
  }
  return text_of(root, options.loop_ms == 0 ? 2 : -1);
}

}  // namespace npu::smi
