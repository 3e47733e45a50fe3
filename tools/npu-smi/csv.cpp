// SPDX-License-Identifier: Apache-2.0
// CSV output: header "field [unit]", empty cell for null, quoting of RFC 4180.
#include "tools/npu-smi/output.h"
#include "tools/npu-smi/port.h"

namespace npu::smi {

std::string csv_quoted(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + "\"";
}

namespace {

// One value as text; several words of a list are separated by spaces.
std::string cell_text(const Json& value) {
  if (value.is_null()) return "";
  if (value.is_string()) return printable(value.get<std::string>());
  if (value.is_object()) return port_summary(value);
  if (!value.is_array()) return value.dump();
  std::string words;
  for (const Json& word : value) words += (words.empty() ? "" : " ") + cell_text(word);
  return words;
}

class Csv {
 public:
  explicit Csv(const Options& options) : options_(options) {}
  void header(const std::string& name, const std::string& unit) {
    if (options_.csv_header) cell(unit.empty() ? name : name + " [" + unit + "]");
  }
  void value(const Json& value, const std::string& unit) {
    const std::string text = cell_text(value);
    cell(text.empty() || unit.empty() || !options_.csv_units ? text : text + " " + unit);
  }
  void end_row() {
    if (!row_.empty()) text_ += row_.substr(1) + "\n";
    row_.clear();
  }
  const std::string& text() const { return text_; }

 private:
  void cell(const std::string& text) { row_ += "," + csv_quoted(text); }

  const Options& options_;
  std::string row_;
  std::string text_;
};

std::string process_rows(const Options& options, const Snapshot& snapshot) {
  Csv csv(options);
  for (const ProcessField& field : process_fields()) csv.header(field.path, field.unit);
  csv.end_row();
  for (const Device& device : snapshot.devices) {
    for (const Process& process : device.processes) {
      for (const ProcessField& field : process_fields()) csv.value(field.read(process), field.unit);
      csv.end_row();
    }
  }
  return csv.text();
}

std::string port_rows(const Options& options, const Snapshot& snapshot) {
  Csv csv(options);
  csv.header("timestamp", "");
  csv.header("device", "");
  for (const PortField& field : port_fields()) csv.header(field.path, field.unit);
  csv.end_row();
  for (const Device& device : snapshot.devices) {
    for (const npuMlPort& port : device.ports) {
      csv.value(snapshot.timestamp, "");
      csv.value(device.index, "");
      for (const PortField& field : port_fields()) csv.value(field.read(port), field.unit);
      csv.end_row();
    }
  }
  return csv.text();
}

std::string schema_rows(const Options& options) {
  Csv csv(options);
  for (const char* name : {"path", "section", "unit", "type", "description"}) csv.header(name, "");
  csv.end_row();
  for (const Field& field : device_fields()) {
    for (const Json& value : {Json(field.path), Json(field.section), Json(unit_of(field)),
                              Json(type_of(field)), Json(doc_of(field))}) {
      csv.value(value, "");
    }
    csv.end_row();
  }
  return csv.text();
}

}  // namespace

std::string make_csv(const Options& options, const Snapshot& snapshot) {
  if (options.command == Command::kSchema) return schema_rows(options);
  if (options.command == Command::kProcesses) return process_rows(options, snapshot);
  if (options.command == Command::kLink) return port_rows(options, snapshot);
  Csv csv(options);
  const std::vector<const Field*> fields = chosen_fields(options);
  csv.header("timestamp", "");
  for (const Field* field : fields) csv.header(field->path, unit_of(*field));
  csv.end_row();
  for (const Device& device : snapshot.devices) {
    if (device.failure) continue;  // stderr and the exit code tell
    csv.value(snapshot.timestamp, "");
    for (const Field* field : fields) csv.value(read_field(*field, device).value, unit_of(*field));
    csv.end_row();
  }
  return csv.text();
}

}  // namespace npu::smi
