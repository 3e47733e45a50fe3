// SPDX-License-Identifier: Apache-2.0
// The table of calls: numbers and names are unique, and every array and file descriptor of a struct has its row.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#define NPU_METRICS_WANT_TABLE
#include "uapi/npu_metrics.h"
#include "uapi/npu_wire.h"

namespace {

struct CallRow {
  unsigned nr;
  std::string name;
  std::string struct_name;
  size_t struct_bytes;
  size_t min_bytes;
};

const std::vector<CallRow> kCalls = {
#define NPU_CALL(nr, NAME, name, dir, min_bytes, doc) \
  {nr, #NAME, "npu_" #name, sizeof(npu_##name), min_bytes},
#include "uapi/spec/calls.def"
};

// Bodies of all structs of npu_accel.h by name, comments removed.
std::map<std::string, std::string> StructBodies() {
  std::ifstream file(NPU_SOURCE_DIR "/uapi/npu_accel.h");
  std::stringstream text;
  text << file.rdbuf();
  const std::string code =
      std::regex_replace(text.str(), std::regex(R"(/\*[^*]*\*+(?:[^/*][^*]*\*+)*/)"), "");
  std::map<std::string, std::string> bodies;
  const std::regex pattern(R"(struct (\w+) \{([^}]*)\};)");
  for (std::sregex_iterator it(code.begin(), code.end(), pattern), end; it != end; ++it)
    bodies[(*it)[1]] = (*it)[2];
  return bodies;
}

std::vector<std::string> Members(const std::string& body, const std::string& type) {
  std::vector<std::string> names;
  const std::regex pattern(type + R"( (\w+);)");
  for (std::sregex_iterator it(body.begin(), body.end(), pattern), end; it != end; ++it)
    names.push_back((*it)[1]);
  return names;
}

TEST(Calls, NumbersAreDenseAndNamesUnique) {
  std::set<std::string> names;
  for (size_t i = 0; i < kCalls.size(); ++i) {
    EXPECT_EQ(kCalls[i].nr, i);
    EXPECT_TRUE(names.insert(kCalls[i].name).second) << kCalls[i].name;
  }
  EXPECT_EQ(kCalls.size(), size_t{NPU_CALL_COUNT});
}

TEST(Calls, SmallestSizeIsAPartOfTheStruct) {
  for (const CallRow& call : kCalls) {
    EXPECT_LE(call.min_bytes, call.struct_bytes) << call.name;
    EXPECT_EQ(call.min_bytes % 8, 0u) << call.name;
    EXPECT_LE(call.struct_bytes, size_t{NPU_FRAME_MAX_STRUCT_BYTES}) << call.name;
  }
}

TEST(Calls, EveryArrayMemberOfAStructHasARow) {
  const auto bodies = StructBodies();
  ASSERT_GT(bodies.size(), 30u);
  for (const CallRow& call : kCalls) {
    ASSERT_TRUE(bodies.count(call.struct_name)) << call.struct_name;
    npu_call_desc desc;
    ASSERT_TRUE(npu_call_describe(call.nr, &desc));
    std::vector<std::string> described;
    for (unsigned i = 0; i < desc.array_count; ++i) described.push_back(desc.arrays[i].member);
    EXPECT_EQ(described, Members(bodies.at(call.struct_name), "struct npu_array")) << call.name;
  }
}

TEST(Calls, EveryFdMemberOfAStructHasARow) {
  const auto bodies = StructBodies();
  for (const CallRow& call : kCalls) {
    npu_call_desc desc;
    ASSERT_TRUE(npu_call_describe(call.nr, &desc));
    const bool has_fd = bodies.at(call.struct_name).find("__s32 fd;") != std::string::npos;
    EXPECT_EQ(desc.fd_offset >= 0, has_fd) << call.name;
  }
}

TEST(Calls, ArraysLieInsideTheirStructAndFitAFrame) {
  for (const CallRow& call : kCalls) {
    npu_call_desc desc;
    ASSERT_TRUE(npu_call_describe(call.nr, &desc));
    EXPECT_EQ(desc.name, call.name);
    size_t in_bytes = sizeof(npu_frame) + desc.struct_bytes;
    for (unsigned i = 0; i < desc.array_count; ++i) {
      const npu_call_array& array = desc.arrays[i];
      EXPECT_LE(array.offset + sizeof(npu_array), desc.struct_bytes);
      EXPECT_EQ(array.offset % 8, 0u);
      EXPECT_EQ(array.elem_bytes % 8, 0u);
      EXPECT_LE(array.elem_bytes, unsigned{NPU_MAX_STRIDE});
      EXPECT_LE(array.min_count, array.max_count);
      if (!array.is_out) in_bytes += size_t{array.elem_bytes} * array.max_count;
    }
    EXPECT_LE(in_bytes, size_t{NPU_FRAME_MAX_BYTES}) << call.name;
  }
}

TEST(Calls, UnknownNumberIsNotDescribed) {
  npu_call_desc desc;
  EXPECT_FALSE(npu_call_describe(NPU_CALL_COUNT, &desc));
  EXPECT_FALSE(npu_call_describe(NPU_WIRE_HELLO, &desc));
  EXPECT_FALSE(npu_call_describe(~0u, &desc));
}

TEST(Calls, OnlyCallsThatAnswerAreInout) {
  const auto bodies = StructBodies();
  npu_call_desc desc;
  ASSERT_TRUE(npu_call_describe(NPU_CALL_WAIT, &desc));
  EXPECT_TRUE(desc.is_inout);
  ASSERT_TRUE(npu_call_describe(NPU_CALL_VM_DESTROY, &desc));
  EXPECT_FALSE(desc.is_inout);
  for (const CallRow& call : kCalls) {
    ASSERT_TRUE(npu_call_describe(call.nr, &desc));
    for (unsigned i = 0; i < desc.array_count; ++i)
      EXPECT_TRUE(desc.is_inout || !desc.arrays[i].is_out) << call.name;
    EXPECT_TRUE(desc.is_inout || !desc.fd_is_out) << call.name;
  }
}

TEST(Metrics, IdsAndKeysAreUniqueAndKeysNameTheirUnit) {
  std::set<unsigned> ids;
  std::set<std::string> keys, exporter;
  const std::map<unsigned, std::string> suffix = {
      {NPU_METRIC_UNIT_BYTES, "_bytes"},   {NPU_METRIC_UNIT_CENTIPERCENT, "_centipercent"},
      {NPU_METRIC_UNIT_KHZ, "_khz"},       {NPU_METRIC_UNIT_MILLIDEG, "_millideg"},
      {NPU_METRIC_UNIT_NANOSECOND, "_ns"}, {NPU_METRIC_UNIT_PICOSECOND, "_ps"},
      {NPU_METRIC_UNIT_BITS, "_bits"},     {NPU_METRIC_UNIT_COUNT, ""},
      {NPU_METRIC_UNIT_MILLIWATT, "_mw"},  {NPU_METRIC_UNIT_MICROJOULE, "_uj"}};
  for (const npu_metric_info& row : npu_metric_table) {
    EXPECT_TRUE(ids.insert(row.id).second) << row.name;
    EXPECT_TRUE(keys.insert(row.json_key).second) << row.name;
    EXPECT_TRUE(exporter.insert(row.exporter_name).second) << row.name;
    EXPECT_LT(row.id, unsigned{NPU_METRIC_ID_END}) << row.name;
    EXPECT_TRUE(npu_metric_exists(row.id)) << row.name;
    const std::string key = row.json_key;
    EXPECT_TRUE(key.ends_with(suffix.at(row.unit))) << key;
    EXPECT_EQ(std::string(row.exporter_name).ends_with("_total"),
              row.kind == NPU_METRIC_KIND_COUNTER)
        << row.name;
  }
  EXPECT_EQ(ids.size(), size_t{NPU_METRIC_COUNT});
  EXPECT_FALSE(npu_metric_exists(0xff));
}

TEST(Metrics, UnitsStandAtTheirNumber) {
#define NPU_METRIC_UNIT(nr, NAME, symbol_, mul_, div_, base_) \
  EXPECT_STREQ(npu_metric_unit_table[nr].symbol, symbol_);    \
  EXPECT_STREQ(npu_metric_unit_table[nr].base, base_);        \
  EXPECT_EQ(npu_metric_unit_table[nr].mul, mul_);             \
  EXPECT_EQ(npu_metric_unit_table[nr].div, div_);
#include "uapi/spec/metrics.def"
}

}  // namespace
