// SPDX-License-Identifier: Apache-2.0
// The parts of npu-trace on made-up recordings: whole, cut off, hostile.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tools/npu-trace/picture.h"
#include "tools/npu-trace/rate.h"
#include "tools/trace/arguments.h"
#include "tools/trace/recording.h"

namespace npu::trace {
namespace {

constexpr const char* kBegin = "{\"displayTimeUnit\": \"ns\", \"traceEvents\": [\n";
constexpr const char* kProcess =
    "{\"ph\": \"M\", \"name\": \"process_name\", \"pid\": 7, \"tid\": 0, \"args\": {\"name\": "
    "\"calls\"}},\n";
constexpr const char* kQueue =
    "{\"ph\": \"M\", \"name\": \"thread_name\", \"pid\": 2147483648, \"tid\": 1, \"args\": "
    "{\"name\": \"queue 0x1\"}},\n";
// 2000 bytes in 1000 ns.
constexpr const char* kKernel =
    "{\"ph\": \"X\", \"name\": \"mm\", \"cat\": \"kernel\", \"pid\": 2147483648, \"tid\": 1, "
    "\"ts\": 5.000, \"dur\": 1.000, \"args\": {\"correlation\": 1, \"result\": \"NPU_OK\", "
    "\"value\": 1, \"start_ps\": 3000000, \"end_ps\": 4000000, \"bytes\": 8, \"grid\": [1, 1, 1], "
    "\"macs\": 64, \"hbm_read\": 1500, \"hbm_write\": 500}},\n";
constexpr const char* kArrow =
    "{\"ph\": \"s\", \"name\": \"submit\", \"cat\": \"submit\", \"id\": \"1.1\", \"pid\": 7, "
    "\"tid\": 7, \"ts\": 4.000},\n";
constexpr const char* kEnd =
    "{\"ph\": \"M\", \"name\": \"process_labels\", \"pid\": 7, \"args\": {\"labels\": \"lost "
    "activities: 3\"}}\n]}\n";

class Recordings : public ::testing::Test {
 protected:
  Recordings() {
    char pattern[] = "/tmp/npu-trace-test-XXXXXX";
    folder_ = mkdtemp(pattern);
  }
  ~Recordings() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& text, const std::string& name = "recording") {
    std::ofstream(folder_ + "/" + name, std::ios::binary) << text;
    return folder_ + "/" + name;
  }
  std::vector<Json> read(const std::string& path, RecordingEnd* out_end) {
    std::vector<Json> events;
    const auto end = read_recording(path, [&](Json& event) { events.push_back(event); });
    EXPECT_TRUE(end) << end.error();
    if (end) *out_end = *end;
    return events;
  }
  // The picture of |recordings|, parsed as one piece of JSON.
  Json draw(const std::vector<std::string>& recordings, Clock clock) {
    const std::string path = folder_ + "/picture";
    std::filesystem::remove(path);
    auto picture = Picture::begin(path, clock);
    EXPECT_TRUE(picture);
    for (const std::string& recording : recordings) EXPECT_TRUE(picture->add(recording));
    EXPECT_FALSE(std::filesystem::exists(path));
    EXPECT_TRUE(picture->finish());
    std::ifstream file(path);
    Json root = Json::parse(file, nullptr, false);
    EXPECT_FALSE(root.is_discarded());
    return root["traceEvents"];
  }
  std::string folder_;
};

std::vector<Json> with_phase(const Json& events, const std::string& phase) {
  std::vector<Json> some;
  for (const Json& event : events) {
    if (text_at(event, "ph") == phase) some.push_back(event);
  }
  return some;
}

TEST_F(Recordings, WorkHasItsTimesAndNumbers) {
  RecordingEnd end;
  const auto events = read(write(std::string(kBegin) + kProcess + kKernel + kEnd), &end);
  ASSERT_EQ(events.size(), 3u);
  EXPECT_TRUE(end.is_whole);
  EXPECT_EQ(end.lost_activities, 3u);
  EXPECT_FALSE(work_of(events[0]));
  const std::optional<Work> work = work_of(events[1]);
  ASSERT_TRUE(work);
  EXPECT_EQ(work->name, "mm");
  EXPECT_TRUE(work->succeeded && work->is_kernel);
  EXPECT_EQ(work->host_start_ns, 5000);
  EXPECT_EQ(work->duration_ps(), 1'000'000u);
  EXPECT_EQ(work->macs, 64u);
  EXPECT_EQ(work->hbm_bytes, 2000u);
}

TEST_F(Recordings, OneThatWasCutOffAnywhereIsReadUpToThere) {
  const std::string whole = std::string(kBegin) + kProcess + kKernel + kEnd;
  const size_t begin = std::string(kBegin).size();
  for (size_t size = begin; size < whole.size(); size++) {
    RecordingEnd end;
    const auto events = read(write(whole.substr(0, size)), &end);
    EXPECT_FALSE(end.is_whole) << size;
    EXPECT_EQ(end.unreadable_lines, 0u) << size;
    const bool has_kernel =
        size >= begin + std::string(kProcess).size() + std::string(kKernel).size();
    EXPECT_GE(events.size(), has_kernel ? 2u : 0u) << size;
  }
}

TEST_F(Recordings, OtherFilesAreRefusedWithARemedy) {
  for (const std::string& path :
       {write(""), write("{\"traceEvents\": []}\n"), write(std::string(1 << 20, 'x')),
        folder_ + "/nowhere", folder_}) {
    const auto end = read_recording(path, [](Json&) { FAIL(); });
    ASSERT_FALSE(end);
    EXPECT_NE(end.error().find("Give a file"), std::string::npos) << end.error();
  }
}

TEST_F(Recordings, HostileLinesAreCountedAndSkipped) {
  const std::string hostile[] = {
      "{\"ph\": 3, \"pid\": -1, \"args\": []},", "{\"ph\": \"X\", \"pid\": 1e30, \"ts\": {}},",
      "{\"ph\": \"X\", \"name\": [], \"pid\": 2147483648, \"ts\": 1e300, \"args\": {\"macs\": -4, "
      "\"hbm_read\": 18446744073709551615, \"hbm_write\": 5}},",
      "{\"ph\": \"M\", \"name\": \"npu_device\", \"pid\": 2147483648},",
      "{\"ph\": \"M\", \"name\": \"thread_name\", \"pid\": 2147483648, \"args\": 1},"};
  const std::string broken[] = {"[]", "7,", "{\"a\":", std::string(1 << 18, '['), "\xff\xfe", ""};
  std::string text = kBegin;
  for (const std::string& line : hostile) text += line + "\n";
  for (const std::string& line : broken) text += line + "\n";
  RecordingEnd end;
  const auto events = read(write(text + kKernel + kEnd), &end);
  EXPECT_EQ(events.size(), std::size(hostile) + 2);
  EXPECT_EQ(end.unreadable_lines, std::size(broken));
  const std::optional<Work> work = work_of(events[2]);
  ASSERT_TRUE(work);
  EXPECT_EQ(work->hbm_bytes, UINT64_MAX);
  EXPECT_EQ(work->host_start_ns, 0);
  for (const Clock clock : {Clock::kHost, Clock::kDevice}) draw({folder_ + "/recording"}, clock);
}

TEST_F(Recordings, RandomBytesEndNothing) {
  const unsigned seed = std::random_device{}();
  std::printf("seed %u\n", seed);
  std::mt19937 random(seed);
  const std::string whole = std::string(kBegin) + kProcess + kQueue + kKernel + kArrow + kEnd;
  for (int i = 0; i < 300; i++) {
    std::string text = whole;
    for (int n = 0; n < 4; n++) {
      const size_t at =
          std::string(kBegin).size() + random() % (text.size() - std::string(kBegin).size());
      text[at] = static_cast<char>(random());
    }
    draw({write(text)}, i % 2 == 0 ? Clock::kHost : Clock::kDevice);
  }
}

TEST_F(Recordings, ProcessesKeepTheirTracksAndArrowsApart) {
  const std::string text = std::string(kBegin) + kProcess + kQueue + kKernel + kArrow + kEnd;
  const Json events = draw({write(text, "1"), write(text, "2")}, Clock::kHost);
  std::set<uint64_t> tracks;
  for (const Json& event : with_phase(events, "X")) tracks.insert(number_at(event, "tid"));
  EXPECT_EQ(tracks.size(), 2u);
  std::set<std::string> arrows;
  for (const Json& event : with_phase(events, "s")) arrows.insert(text_at(event, "id"));
  EXPECT_EQ(arrows.size(), 2u);
}

TEST_F(Recordings, CountersShowTheTrafficWhileAKernelRuns) {
  const Json events = draw({write(std::string(kBegin) + kKernel + kEnd)}, Clock::kHost);
  const std::vector<Json> counters = with_phase(events, "C");
  ASSERT_EQ(counters.size(), 4u);
  EXPECT_EQ(counters[0]["ts"], 5.0);
  EXPECT_DOUBLE_EQ(counters[0]["args"]["GB/s"].get<double>(), 2.0);
  EXPECT_EQ(counters[1]["ts"], 6.0);
  EXPECT_EQ(counters[1]["args"]["GB/s"], 0.0);
  EXPECT_DOUBLE_EQ(counters[2]["args"]["10^12/s"].get<double>(), 6.4e-5);
}

TEST_F(Recordings, OnTheDevicesClockThereAreNoCalls) {
  const Json events =
      draw({write(std::string(kBegin) + kProcess + kKernel + kArrow + kEnd)}, Clock::kDevice);
  EXPECT_TRUE(with_phase(events, "s").empty());
  const std::vector<Json> slices = with_phase(events, "X");
  ASSERT_EQ(slices.size(), 1u);
  EXPECT_EQ(slices[0]["ts"], 3.0);
  EXPECT_EQ(slices[0]["dur"], 1.0);
}

TEST_F(Recordings, APictureCanBeDrawnAgain) {
  draw({write(std::string(kBegin) + kProcess + kQueue + kKernel + kEnd)}, Clock::kHost);
  std::filesystem::rename(folder_ + "/picture", folder_ + "/first");
  const Json events = draw({folder_ + "/first"}, Clock::kHost);
  EXPECT_EQ(with_phase(events, "X").size(), 1u);
  EXPECT_EQ(with_phase(events, "C").size(), 4u);
}

TEST_F(Recordings, WhatCannotBeWrittenIsAnErrorWithARemedy) {
  const auto picture = Picture::begin(folder_ + "/no/such", Clock::kHost);
  ASSERT_FALSE(picture);
  EXPECT_NE(picture.error().find("Give -o"), std::string::npos);
}

TEST(Rate, IsTheSumOfWhatGoesOn) {
  Rate rate;
  rate.add(1000, 1000, 10);  // 10 GB/s
  rate.add(1500, 1000, 20);
  rate.add(2000, 500, 0);
  rate.add(2000, 0, 9);
  rate.add(INT64_MAX - 1, 5, 9);
  const std::vector<Rate::Step> steps = rate.steps();
  ASSERT_EQ(steps.size(), 4u);
  const int64_t at[] = {1000, 1500, 2000, 2500};
  const double per_second[] = {1e7, 3e7, 2e7, 0};
  for (size_t i = 0; i < 4; i++) {
    EXPECT_EQ(steps[i].at_ns, at[i]);
    EXPECT_DOUBLE_EQ(steps[i].per_second, per_second[i]);
  }
}

TEST(Arguments, TheProgramKeepsItsOwn) {
  const char* argv[] = {"tool", "-o", "x", "--format=json", "prog", "-o", "y", "--"};
  const CommandLine line = split_arguments(8, argv, {"-o", "--format"});
  EXPECT_EQ(line.own, (std::vector<std::string>{"-o", "x", "--format=json"}));
  EXPECT_EQ(line.program, (std::vector<std::string>{"prog", "-o", "y", "--"}));
  const char* dashed[] = {"tool", "--", "--prog"};
  EXPECT_EQ(split_arguments(3, dashed, {}).program, std::vector<std::string>{"--prog"});
  const char* open[] = {"tool", "-o"};
  EXPECT_EQ(split_arguments(2, open, {"-o"}).own, std::vector<std::string>{"-o"});
}

}  // namespace
}  // namespace npu::trace
