// SPDX-License-Identifier: Apache-2.0
// npu-smi without a device: selectors, fields, and the three formats on made-up devices.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "tools/npu-smi/event.h"
#include "tools/npu-smi/exit_code.h"
#include "tools/npu-smi/field.h"
#include "tools/npu-smi/grid.h"
#include "tools/npu-smi/options.h"
#include "tools/npu-smi/output.h"
#include "tools/npu-smi/port.h"
#include "tools/npu-smi/selector.h"

namespace npu::smi {
namespace {

std::vector<uint32_t> indices_of(const std::string& text) {
  std::string error;
  const std::optional<Selector> selector = parse_selector(text, &error);
  EXPECT_TRUE(selector.has_value()) << error;
  return selector ? selector->indices : std::vector<uint32_t>{};
}

std::string error_of(const std::string& text) {
  std::string error;
  EXPECT_FALSE(parse_selector(text, &error).has_value()) << text;
  return error;
}

TEST(SmiSelector, RangesAndListsBecomeAscendingIndices) {
  EXPECT_EQ(indices_of("3"), std::vector<uint32_t>{3});
  EXPECT_EQ(indices_of("2-4,0,3"), (std::vector<uint32_t>{0, 2, 3, 4}));
  EXPECT_EQ(indices_of("4095"), std::vector<uint32_t>{4095});
}

TEST(SmiSelector, RefusesWhatIsNoSelectorAndSaysWhy) {
  for (const char* text :
       {"", ",", "0,", "-1", "1-", "0x1", "99999", "NPU-12", "0000:03:00.9", "all,0"}) {
    EXPECT_NE(error_of(text).find("is no index"), std::string::npos) << text;
  }
  EXPECT_NE(error_of("5-2").find("range"), std::string::npos);
  EXPECT_NE(error_of("0-4096").find("range"), std::string::npos);
  EXPECT_NE(error_of("0,0000:03:00.0").find("mixes"), std::string::npos);
}

TEST(SmiFields, EveryMetricOfTheLibraryIsShownOnce) {
  std::multiset<std::string> shown;
  for (const Field& field : device_fields()) {
    if (field.metric != nullptr) shown.insert(field.metric);
  }
  const std::vector<std::string> keys = metric_keys();
  EXPECT_GT(keys.size(), 20u);
  EXPECT_EQ(shown, (std::multiset<std::string>(keys.begin(), keys.end())));
}

TEST(SmiFields, EveryFieldHasTypeSectionAndMeaning) {
  for (const Field& field : device_fields()) {
    EXPECT_FALSE(type_of(field).empty()) << field.path;
    EXPECT_FALSE(doc_of(field).empty()) << field.path;
    EXPECT_FALSE(std::string(field.section).empty()) << field.path;
  }
}

// A device with every metric at |value|, or without value for |reason|.
Device make_device(uint32_t index, int64_t value, npuMlReason reason = NPU_ML_VALID) {
  Device device;
  device.index = index;
  device.info.index = index;
  device.info.uapi_version = 1 << 16 | 2;
  std::strcpy(device.info.name, "made, \"up\"");
  std::strcpy(device.info.uuid, "NPU-00000000-0000-0000-0000-000000000001");
  for (const std::string& key : metric_keys()) device.metrics[key] = {0, reason, value};
  return device;
}

Device make_broken(uint32_t index) {
  Device device;
  device.index = index;
  device.failure = Failure{NPU_ERROR_DEVICE_LOST, "it fell off", "Put it back."};
  return device;
}

Snapshot make_snapshot(std::vector<Device> devices) {
  Snapshot snapshot;
  snapshot.timestamp = "2026-01-02T03:04:05.000006Z";
  snapshot.devices = std::move(devices);
  return snapshot;
}

TEST(SmiFields, UnitsOfTheLibraryBecomeShownUnits) {
  const Device device = make_device(0, 12345);
  EXPECT_EQ(read_field(field_at("utilization_pct.core"), device).value, 123.45);
  EXPECT_EQ(read_field(field_at("clock_mhz.core"), device).value, 12.345);
  EXPECT_EQ(read_field(field_at("temperature_c.die"), device).value, 12.345);
  EXPECT_EQ(read_field(field_at("energy_j"), device).value, 0.012345);
  EXPECT_EQ(read_field(field_at("memory_bytes.used"), device).value, 12345);
  EXPECT_TRUE(read_field(field_at("memory_bytes.used"), device).value.is_number_integer());
  EXPECT_EQ(unit_of(field_at("utilization_pct.core")), "%");
}

TEST(SmiFields, ThrottleBitsBecomeWords) {
  EXPECT_EQ(read_field(field_at("throttle_reasons"), make_device(0, 0)).value, Json::array());
  EXPECT_EQ(read_field(field_at("throttle_reasons"), make_device(0, 6)).value,
            (Json::array({"power_cap", "thermal"})));
}

TEST(SmiFields, AMissingValueIsNullWithItsReason) {
  const std::pair<npuMlReason, const char*> kReasons[] = {{NPU_ML_NOT_SUPPORTED, "not_supported"},
                                                          {NPU_ML_NOT_READY, "not_ready"},
                                                          {NPU_ML_DENIED, "permission"},
                                                          {NPU_ML_LOST, "device_lost"}};
  for (const auto& [reason, word] : kReasons) {
    const Reading reading = read_field(field_at("power_w"), make_device(0, 7, reason));
    EXPECT_TRUE(reading.value.is_null());
    EXPECT_STREQ(reading.unavailable, word);
  }
}

TEST(SmiJson, ABrokenDeviceKeepsItsPlaceWithAnError) {
  Options options;
  const Json root =
      Json::parse(make_json(options, make_snapshot({make_broken(0), make_device(1, 1)})));
  EXPECT_EQ(root["devices"][0]["error"]["code"], NPU_ERROR_DEVICE_LOST);
  EXPECT_EQ(root["devices"][0]["error"]["text"], "it fell off");
  EXPECT_EQ(root["devices"][1]["index"], 1);
  EXPECT_EQ(root["driver"]["version"], "1.2");
}

TEST(SmiJson, NamesThatAreNotUtf8DoNotBreakIt) {
  Device device = make_device(0, 1);
  Process process;
  std::strcpy(process.row.command, "\xff\x1b[2J\"");
  device.processes.push_back(process);
  Options options;
  EXPECT_TRUE(Json::accept(make_json(options, make_snapshot({device}))));
}

TEST(SmiTable, NamesOfProgramsCannotMoveTheCursor) {
  Device device = make_device(0, 1);
  Process process;
  process.user = "me";
  std::strcpy(process.row.command, "a\x1b[2Jb\nc");
  device.processes.push_back(process);
  const std::string table = make_table(Options(), make_snapshot({device}));
  EXPECT_NE(table.find("a?[2Jb?c"), std::string::npos);
  EXPECT_EQ(table.find('\x1b'), std::string::npos);
}

TEST(SmiTable, ADashStandsForWhatIsNotAvailable) {
  const std::string table =
      make_table(Options(), make_snapshot({make_device(0, 7, NPU_ML_NOT_SUPPORTED)}));
  EXPECT_NE(table.find("- / - W"), std::string::npos);
  EXPECT_NE(make_table(Options(), make_snapshot({make_broken(0)})).find("ERROR"),
            std::string::npos);
}

TEST(SmiCsv, CellsAreQuotedWhereTheyMustBe) {
  Options options;
  options.command = Command::kList;
  options.format = Format::kCsv;
  options.csv_header = false;
  const std::string text = make_csv(options, make_snapshot({make_device(0, 1)}));
  EXPECT_NE(text.find("\"made, \"\"up\"\"\""), std::string::npos) << text;
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
}

npuMlPort make_port(uint32_t index, uint32_t flags) {
  npuMlPort port{};
  port.index = index;
  port.state = NPU_ML_PORT_UP;
  port.flags = flags;
  port.speed_mbps = 400'000;
  port.rx_bytes = 123;
  port.rx_errors = 4;
  port.tx_errors = 5;
  port.link_downs = 6;
  return port;
}

TEST(SmiLink, WhatAPortDoesNotHaveIsNull) {
  const Json bare = port_object(make_port(1, NPU_ML_PORT_LEADS_UP));
  for (const char* key : {"lanes", "peer_uuid", "peer_port", "interface", "mac", "ipv4", "ipv6",
                          "rx_bytes", "tx_errors", "retransmits"}) {
    EXPECT_TRUE(bare[key].is_null()) << key;
  }
  EXPECT_EQ(bare["leads_to"], "switch");
  EXPECT_EQ(bare["link_downs"], 6);
  const Json full =
      port_object(make_port(1, NPU_ML_PORT_HAS_COUNTERS | NPU_ML_PORT_HAS_RETRANSMITS));
  EXPECT_EQ(full["rx_bytes"], 123);
  EXPECT_EQ(full["retransmits"], 0);
  EXPECT_EQ(full["leads_to"], "unknown");
}

TEST(SmiLink, TheTableIsAsItWas) {
  Options options;
  options.command = Command::kLink;
  Device device = make_device(0, 1);
  Device peer = make_device(1, 1);
  std::strcpy(peer.info.uuid, "NPU-00000000-0000-0000-0000-000000000002");
  device.ports = {make_port(0, NPU_ML_PORT_HAS_PEER), make_port(1, NPU_ML_PORT_LEADS_UP),
                  make_port(2, NPU_ML_PORT_HAS_COUNTERS | NPU_ML_PORT_IS_BOUND)};
  std::strcpy(device.ports[0].peer_uuid, peer.info.uuid);
  device.ports[0].peer_port = 7;
  device.ports[1].state = NPU_ML_PORT_DOWN;
  device.ports[2].speed_mbps = 2500;
  std::strcpy(device.ports[2].interface_name, "eth\x1b[0");
  std::strcpy(device.ports[2].ipv6, "2001:db8::1");
  EXPECT_EQ(
      make_table(options, make_snapshot({device, peer})),
      "idx  port  state      speed  leads to    interface  address      rx bytes  tx bytes  "
      "errors  retransmits  downs\n"
      "  0     0  up      400 Gb/s  device 1:7  -          -                   -         -    "
      "   -            -      6\n"
      "  0     1  down    400 Gb/s  switch      -          -                   -         -    "
      "   -            -      6\n"
      "  0     2  up     2500 Mb/s  unknown     eth?[0     2001:db8::1       123         0    "
      "   9            -      6\n");
  EXPECT_NE(make_table(options, make_snapshot({peer})).find("no ports"), std::string::npos);
}

TEST(SmiLink, CsvHasARowForEachPort) {
  Options options;
  options.command = Command::kLink;
  options.format = Format::kCsv;
  Device device = make_device(3, 1);
  device.ports = {make_port(0, 0), make_port(1, NPU_ML_PORT_HAS_COUNTERS)};
  const std::string text = make_csv(options, make_snapshot({device, make_broken(4)}));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 3);
  EXPECT_NE(text.find(",rx_bytes [B],"), std::string::npos) << text;
  EXPECT_NE(text.find("Z,3,1,up,400000 Mb/s,"), std::string::npos) << text;
}

TEST(SmiEvent, ALineSaysWhatHappenedInEachFormat) {
  npuMlEvent event{};
  event.kind = NPU_ML_EVENT_PORT_STATE;
  event.port = 2;
  event.port_state = NPU_ML_PORT_DOWN;
  EXPECT_EQ(event_line(Format::kTable, "T", 1, event), "T  device 1  port 2 is down\n");
  EXPECT_EQ(event_line(Format::kCsv, "T", 1, event), "T,1,port_state,2,down,,false\n");
  event.lost = 1;
  EXPECT_EQ(Json::parse(event_line(Format::kJson, "T", 1, event))["lost_before"], true);
  event = {};
  event.kind = NPU_ML_EVENT_DEVICE_RESET;
  event.epoch = 9;
  EXPECT_EQ(event_line(Format::kTable, "T", 1, event), "T  device 1  was reset, epoch 9\n");
  EXPECT_TRUE(Json::parse(event_line(Format::kJson, "T", 1, event))["port"].is_null());
}

TEST(SmiExitCode, KnownResultsHaveTheirOwnCodes) {
  EXPECT_EQ(exit_code_of(NPU_OK), 0);
  EXPECT_EQ(exit_code_of(NPU_ERROR_INVALID_ARGUMENT), 2);
  EXPECT_EQ(exit_code_of(NPU_ERROR_NOT_SUPPORTED), 3);
  EXPECT_EQ(exit_code_of(NPU_ERROR_PERMISSION), 4);
  EXPECT_EQ(exit_code_of(NPU_ERROR_NO_DEVICE), 6);
  EXPECT_EQ(exit_code_of(NPU_ERROR_START_MODEL), 9);
  EXPECT_EQ(exit_code_of(NPU_ERROR_DEVICE_LOST), 15);
  EXPECT_EQ(exit_code_of(NPU_ERROR_VERSION_SKEW), 24);
  EXPECT_EQ(exit_code_of(NPU_ERROR_INTERNAL), 1);
}

TEST(SmiOptions, GlobalOptionsStandBeforeOrAfterTheCommand) {
  for (const std::vector<const char*>& words :
       {std::vector<const char*>{"npu-smi", "--format", "json", "-i", "1", "list"},
        std::vector<const char*>{"npu-smi", "list", "-i", "1", "--format", "json"}}) {
    const ParsedOptions parsed = parse_options(static_cast<int>(words.size()), words.data());
    EXPECT_FALSE(parsed.ends);
    EXPECT_EQ(parsed.options.command, Command::kList);
    EXPECT_EQ(parsed.options.format, Format::kJson);
    EXPECT_EQ(parsed.options.device, "1");
  }
}

TEST(SmiGrid, ColumnsAreAsWideAsTheirWidestCell) {
  Grid grid("rl");
  grid.row({"1", "a"});
  grid.row({"22", "bbb"});
  EXPECT_EQ(grid.text(), " 1  a\n22  bbb\n");
}

}  // namespace
}  // namespace npu::smi
