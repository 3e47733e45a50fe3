// SPDX-License-Identifier: Apache-2.0
// Field: one thing that npu-smi shows. Tables, CSV, JSON and `npu-smi schema` are made from the same list of fields.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tools/npu-smi/device.h"

namespace npu::smi {

using Json = nlohmann::ordered_json;

// A value, or null and the word why: not_supported, permission, not_ready, device_lost.
struct Reading {
  Json value;
  const char* unavailable = nullptr;
};

struct Field {
  const char* path;     // in JSON, unit in the key: "temperature_c.die"
  const char* section;  // of info -d
  const char* metric;   // key of the metric behind it, or nullptr: then the rest says what it is
  Reading (*read)(const Device& device) = nullptr;
  const char* unit = "";
  const char* type = "";  // JSON Schema's word for the value
  const char* doc = "";
};

struct ProcessField {
  const char* path;
  const char* unit;
  const char* type;
  const char* doc;
  Json (*read)(const Process& process);
};

const std::vector<Field>& device_fields();
const std::vector<ProcessField>& process_fields();
std::vector<std::string> section_names();

// Of fields with and without a metric alike.
std::string unit_of(const Field& field);
std::string type_of(const Field& field);
std::string doc_of(const Field& field);
Reading read_field(const Field& field, const Device& device);

// The field with this path; there is one.
const Field& field_at(const std::string& path);

}  // namespace npu::smi
