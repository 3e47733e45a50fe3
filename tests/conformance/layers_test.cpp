// SPDX-License-Identifier: Apache-2.0
// NPU_LAYERS, NPU_TRACE, NPU_LAUNCH_BLOCKING: each test starts the library with its environment, and looks into the files that it wrote.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "tests/conformance/support.h"

static bool is_forked_child = false;
// LeakSanitizer asks this function when a process ends. What the library forgets in a child of fork belongs to the parent.
extern "C" __attribute__((visibility("default"))) int __lsan_is_turned_off();  // NOLINT
int __lsan_is_turned_off() { return is_forked_child ? 1 : 0; }                 // NOLINT

namespace npu::conformance {
namespace {

std::string read_text(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

size_t count_in(const std::string& text, const std::string& word) {
  size_t count = 0;
  for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) count++;
  return count;
}

// A device with the given environment; the log goes to a file.
class Layered : public DeviceTest {
 protected:
  using Settings = std::vector<std::pair<const char*, std::string>>;

  virtual Settings settings() = 0;
  void SetUp() override {
    char pattern[] = "/tmp/npu-layers-XXXXXX";
    ASSERT_NE(mkdtemp(pattern), nullptr);
    folder_ = pattern;
    log_ = folder_ + "/log";
    set("NPU_LOG_FILE", log_);
    for (const auto& [name, value] : settings()) set(name, value);
    DeviceTest::SetUp();
  }
  void TearDown() override {
    if (!is_down_) DeviceTest::TearDown();
    environment_.clear();
    // The log is closed before its folder goes.
    ASSERT_NPU(NPU_OK, npuInit());
    ASSERT_NPU(NPU_OK, npuShutdown());
    std::filesystem::remove_all(folder_);
  }
  void set(const char* name, const std::string& value) {
    environment_.push_back(std::make_unique<ScopedEnv>(name, value.c_str()));
  }
  std::string log() const { return read_text(log_); }

  std::string folder_;
  std::string log_;
  bool is_down_ = false;

 private:
  std::vector<std::unique_ptr<ScopedEnv>> environment_;
};

class ValidationLayer : public Layered {
 protected:
  Settings settings() override { return {{"NPU_LAYERS", "validation"}}; }
  // |text| is in the detail and in the log.
  void expect_told(const char* text) {
    EXPECT_NE(std::strstr(last_error().text, text), nullptr) << last_error().text;
    EXPECT_NE(last_error().remedy[0], '\0');
    EXPECT_NE(log().find(text), std::string::npos) << log();
  }
  // Keeps |queue| from its later work until open().
  npuDevPtr close_gate(npuQueue queue) {
    const npuDevPtr gate = alloc(8);
    EXPECT_NPU(NPU_OK, npuQueueWaitSemaphore(queue, gate, 1, nullptr));
    return gate;
  }
  void open(npuDevPtr gate) {
    npuQueue opener = make_queue();
    EXPECT_NPU(NPU_OK, npuQueueSignal(opener, gate, 1, nullptr));
    EXPECT_NPU(NPU_OK, npuQueueSync(opener, kLongNs));
    EXPECT_NPU(NPU_OK, npuQueueDestroy(opener));
  }
  // The device is busy with |queue| and stays so until drop(), however slow this process is. No gate: with one, the layer takes what comes later for work that the host itself holds back.
  void occupy(npuQueue queue) { EXPECT_NPU(NPU_OK, launch(queue, kernel("forever"), nullptr, 0)); }
  void drop(npuQueue queue) { EXPECT_NPU(NPU_OK, npuQueueReset(queue, kLongNs)); }
};

TEST_F(ValidationLayer, PointersOfLaunchesLeadToLiveMemory) {
  const npuDevPtr freed = alloc(1 << 20);
  ASSERT_NPU(NPU_OK, npuMemFree(context_, freed));
  PokeArgs args{freed, 1.0f, 0};
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, launch(queue_, kernel("poke"), &args, sizeof args));
  expect_told("was freed by npuMemFree");
  expect_told("argument 'at' of kernel 'poke'");
  args.at = 0x7000000000;
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, launch(queue_, kernel("poke"), &args, sizeof args));
  expect_told("nothing was ever allocated there");
  const npuDevPtr small = alloc(100);
  args.at = small + 100;
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, launch(queue_, kernel("poke"), &args, sizeof args));
  expect_told("behind the end of");
  args.at = small;
  EXPECT_NPU(NPU_OK, launch(queue_, kernel("poke"), &args, sizeof args));
  EXPECT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
}

TEST_F(ValidationLayer, AnAddressOfAnotherContextIsCalledSo) {
  npuContext other = nullptr;
  ASSERT_NPU(NPU_OK, npuContextCreate(device_, &other));
  npuDevPtr there = 0;
  // An address that the other one has and this one has not.
  for (int i = 0; i < 8; i++) {
    ASSERT_NPU(NPU_OK, npuMemAlloc(other, NPU_MEM_DEVICE, 9 << 20, &there));
  }
  const PokeArgs args{there, 1.0f, 0};
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, launch(queue_, kernel("poke"), &args, sizeof args));
  expect_told("an address of another context");
  ASSERT_NPU(NPU_OK, npuContextDestroy(other));
}

TEST_F(ValidationLayer, PreparedLaunchesAndGraphsAreLookedAtWhenTheyRun) {
  const npuDevPtr at = alloc(64);
  PokeArgs args{0x7000000000, 1.0f, 0};
  const npuLaunchInfo info = launch_info(&args, sizeof args);
  npuPreparedLaunch prepared = nullptr;
  ASSERT_NPU(NPU_OK, npuLaunchPrepare(kernel("poke"), &info, &prepared));
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuQueueLaunchPrepared(queue_, prepared, nullptr));
  ASSERT_NPU(NPU_OK, npuPreparedLaunchSetArgs(prepared, 0, &at, sizeof at));
  EXPECT_NPU(NPU_OK, npuQueueLaunchPrepared(queue_, prepared, nullptr));
  npuGraph graph = nullptr;
  npuGraphExec exec = nullptr;
  ASSERT_NPU(NPU_OK, npuQueueBeginCapture(queue_));
  ASSERT_NPU(NPU_OK, launch(queue_, kernel("poke"), &args, sizeof args));
  ASSERT_NPU(NPU_OK, npuQueueEndCapture(queue_, &graph));
  ASSERT_NPU(NPU_OK, npuGraphInstantiate(graph, &exec));
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuGraphLaunch(exec, queue_, nullptr));
  expect_told("argument 'at' of kernel 'poke'");
  ASSERT_NPU(NPU_OK, npuGraphExecSetKernelArgs(exec, 1, 0, &at, sizeof at));
  EXPECT_NPU(NPU_OK, npuGraphLaunch(exec, queue_, nullptr));
  EXPECT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
}

TEST_F(ValidationLayer, TheHostDoesNotReadWhatIsBeingWritten) {
  const npuDevPtr at = alloc(8192);
  const npuDevPtr elsewhere = alloc(4096);
  occupy(queue_);
  ASSERT_NPU(NPU_OK, npuQueueFill(queue_, at, 1, 1, 8192, nullptr));
  uint32_t word = 0;
  EXPECT_NPU(NPU_ERROR_BUSY, npuMemCopyToHost(context_, &word, at + 8192 - 4, 4));
  expect_told("is written by a fill");
  expect_told("submitted by npuQueueFill");
  EXPECT_NPU(NPU_ERROR_BUSY, npuMemCopyToDevice(context_, at, &word, 4));
  EXPECT_NPU(NPU_OK, npuMemCopyToDevice(context_, elsewhere, &word, 4));
  // What was dropped holds nothing any more, and what has ended neither.
  drop(queue_);
  EXPECT_NPU(NPU_OK, npuMemCopyToDevice(context_, at, &word, 4));
  uint64_t value = 0;
  ASSERT_NPU(NPU_OK, npuQueueFill(queue_, at, 1, 1, 8192, &value));
  EXPECT_NPU(NPU_OK, npuQueueWait(queue_, value, kLongNs));
  EXPECT_NPU(NPU_OK, npuMemCopyToHost(context_, &word, at, 4));
  EXPECT_EQ(word, 0x01010101u);
}

TEST_F(ValidationLayer, WorkThatTheHostStillHoldsBackIsNoError) {
  const npuDevPtr at = alloc(4096);
  const npuDevPtr gate = close_gate(queue_);
  ASSERT_NPU(NPU_OK, npuQueueFill(queue_, at, 1, 1, 4096, nullptr));
  uint32_t word = 0;
  // Perhaps the input is written before the gate opens: a hint, and no refusal.
  EXPECT_NPU(NPU_OK, npuMemCopyToDevice(context_, at, &word, 4));
  EXPECT_NE(log().find("validation: hint: npuMemCopyToDevice"), std::string::npos) << log();
  open(gate);
  EXPECT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
}

TEST_F(ValidationLayer, TwoQueuesDoNotWriteTheSameAtOnce) {
  const npuDevPtr at = alloc(4096);
  npuQueue other = make_queue();
  uint64_t value = 0;
  occupy(queue_);
  ASSERT_NPU(NPU_OK, npuQueueFill(queue_, at, 1, 1, 4096, &value));
  EXPECT_NPU(NPU_ERROR_BUSY, npuQueueFill(other, at, 2, 1, 64, nullptr));
  expect_told("at the same time");
  ASSERT_NPU(NPU_OK, npuQueueWaitQueue(other, queue_, value, nullptr));
  EXPECT_NPU(NPU_OK, npuQueueFill(other, at, 2, 1, 64, nullptr));
  drop(other);
  drop(queue_);
  EXPECT_NPU(NPU_OK, npuQueueFill(other, at, 2, 1, 64, nullptr));
  EXPECT_NPU(NPU_OK, npuQueueSync(other, kLongNs));
  EXPECT_NPU(NPU_OK, npuQueueDestroy(other));
}

TEST_F(ValidationLayer, WhatWorkUsesDoesNotEnd) {
  npuDevPtr range = 0;
  npuMemHandle memory = nullptr;
  ASSERT_NPU(NPU_OK, npuMemReserve(context_, NPU_MEM_GRANULE_BYTES, 0, &range));
  ASSERT_NPU(NPU_OK, npuMemCreate(context_, NPU_MEM_DEVICE, NPU_MEM_GRANULE_BYTES, &memory));
  ASSERT_NPU(NPU_OK, npuMemMapAt(context_, range, memory, 0, NPU_MEM_GRANULE_BYTES, 0));
  npuSemaphore semaphore = nullptr;
  npuDevPtr word = 0;
  ASSERT_NPU(NPU_OK, npuSemaphoreCreate(context_, 0, &semaphore));
  ASSERT_NPU(NPU_OK, npuSemaphoreGetAddress(semaphore, &word));
  npuQueue queue = make_queue();
  ASSERT_NPU(NPU_OK, npuQueueWaitSemaphore(queue, word, 1, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueFill(queue, range, 1, 1, 4096, nullptr));
  EXPECT_NPU(NPU_ERROR_BUSY, npuMemUnmapAt(context_, range, NPU_MEM_GRANULE_BYTES));
  expect_told("is used by a fill");
  EXPECT_NPU(NPU_ERROR_BUSY, npuSemaphoreDestroy(semaphore));
  expect_told("the semaphore is used by a wait");
  EXPECT_NPU(NPU_ERROR_BUSY, npuQueueDestroy(queue));
  expect_told("would be lost");
  ASSERT_NPU(NPU_OK, npuSemaphoreSignal(semaphore, 1));
  ASSERT_NPU(NPU_OK, npuQueueSync(queue, kLongNs));
  EXPECT_NPU(NPU_OK, npuMemUnmapAt(context_, range, NPU_MEM_GRANULE_BYTES));
  EXPECT_NPU(NPU_OK, npuSemaphoreDestroy(semaphore));
  EXPECT_NPU(NPU_OK, npuQueueDestroy(queue));
  EXPECT_NPU(NPU_OK, npuMemReleaseReservation(context_, range));
  EXPECT_NPU(NPU_OK, npuMemDestroy(memory));
}

class LeakLayer : public Layered {
 protected:
  Settings settings() override { return {{"NPU_LAYERS", "leak"}}; }
};

TEST_F(LeakLayer, ListsWhatIsAliveAtTheLastShutdown) {
  npuQueue queue = make_queue(64);
  const npuDevPtr ptr = alloc(54321);
  ASSERT_NPU(NPU_OK, npuQueueDestroy(queue));
  EXPECT_EQ(log(), "") << "nothing before the end";
  ASSERT_NPU(NPU_OK, npuShutdown());
  is_down_ = true;
  char wanted[128];
  std::snprintf(wanted, sizeof wanted, "leak: memory 0x%llx, 54321 bytes, made ",
                static_cast<unsigned long long>(ptr));
  EXPECT_NE(log().find(wanted), std::string::npos) << log();
  EXPECT_NE(log().find("by npuMemAlloc (call "), std::string::npos) << log();
  EXPECT_NE(log().find("by npuModuleLoad (call "), std::string::npos) << log();
  EXPECT_EQ(count_in(log(), "leak: queue"), 1u) << "that of the fixture\n" << log();
}

class RecordLayer : public Layered {
 protected:
  Settings settings() override {
    return {{"NPU_LAYERS", "record,leak"}, {"NPU_RECORD_FILE", folder_ + "/record.%p"}};
  }
  std::string record() const { return read_text(folder_ + "/record." + std::to_string(getpid())); }
};

TEST_F(RecordLayer, EachCallIsALineWithItsArgumentsAndResult) {
  const npuDevPtr ptr = alloc(4096);
  uint64_t value = 0;
  ASSERT_NPU(NPU_OK, npuQueueFill(queue_, ptr, 7, 4, 4096, &value));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuQueueWait(queue_, 99, 0));
  const std::string text = record();
  const std::string filled =
      "\"pattern\": 7, \"pattern_bytes\": 4, \"size_bytes\": 4096, \"out_value\": " +
      std::to_string(value) + "}";
  EXPECT_NE(text.find("\"function\": \"npuQueueFill\""), std::string::npos) << text;
  EXPECT_NE(text.find(filled), std::string::npos) << text;
  EXPECT_NE(text.find("\"result\": \"NPU_ERROR_INVALID_ARGUMENT\""), std::string::npos) << text;
  EXPECT_NE(text.find("\"detail\": \"value 99 was never submitted"), std::string::npos) << text;
  EXPECT_EQ(text.find("{\"record\": \"npu\", \"version\": 1"), 0u);
  EXPECT_EQ(text.find("\"end\": "), std::string::npos) << "the end is not yet";
  DeviceTest::TearDown();
  is_down_ = true;
  EXPECT_NE(record().find("{\"end\": \"npuShutdown\", \"lost_calls\": 0"), std::string::npos);
}

TEST_F(RecordLayer, TheFileIsBoundedAndSaysWhatIsLost) {
  DeviceTest::TearDown();
  is_down_ = true;
  set("NPU_RECORD_MAX_MB", "1");
  ASSERT_NPU(NPU_OK, npuInit());
  for (int i = 0; i < 6000; i++) npuMemFree(nullptr, 1);
  ASSERT_NPU(NPU_OK, npuShutdown());
  const std::string text = record();
  EXPECT_LT(text.size(), 1'001'000u);
  EXPECT_GT(text.size(), 999'000u);
  EXPECT_NE(text.find("{\"end\": \"npuShutdown\", \"lost_calls\": "), std::string::npos);
  EXPECT_EQ(text.find("\"lost_calls\": 0"), std::string::npos);
  EXPECT_EQ(text.back(), '\n');
}

TEST_F(RecordLayer, ForkedChildrenDoNotWriteIntoIt) {
  const pid_t child = fork();
  if (child == 0) {
    is_forked_child = true;
    uint64_t value = 0;
    npuQueueGetCompleted(queue_, &value);
    // What the library has for the end of a process runs; but a model inside this one has lost its threads.
    if (in_process()) _exit(0);
    std::exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(count_in(record(), "NPU_ERROR_FORKED"), 0u);
  EXPECT_EQ(count_in(record(), "\"end\": "), 0u);
}

class TraceFile : public Layered {
 protected:
  Settings settings() override { return {{"NPU_TRACE", folder_ + "/trace.json"}}; }
};

TEST_F(TraceFile, ShowsCallsAndWorkOnTracksOfTheirOwn) {
  const npuDevPtr ptr = alloc(4096);
  ASSERT_NPU(NPU_OK, npuQueueFill(queue_, ptr, 7, 4, 4096, nullptr));
  poke(queue_, ptr, 1.0f);
  ASSERT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
  DeviceTest::TearDown();
  is_down_ = true;
  const std::string text = read_text(folder_ + "/trace.json");
  EXPECT_EQ(text.find("{\"displayTimeUnit\""), 0u);
  EXPECT_EQ(text.substr(text.size() - 4), "\n]}\n");
  EXPECT_EQ(count_in(text, "\"name\": \"poke\", \"cat\": \"kernel\""), 1u) << text;
  EXPECT_EQ(count_in(text, "\"cat\": \"fill\""), 1u);
  EXPECT_EQ(count_in(text, "\"name\": \"module load\", \"cat\": \"module\""), 1u);
  EXPECT_GE(count_in(text, "\"name\": \"npuQueueSync\", \"cat\": \"call\""), 1u);
  EXPECT_EQ(count_in(text, "\"ph\": \"s\""), count_in(text, "\"ph\": \"f\""));
  EXPECT_EQ(count_in(text, "{"), count_in(text, "}"));
}

class LaunchBlocking : public Layered {
 protected:
  Settings settings() override { return {{"NPU_LAUNCH_BLOCKING", "1"}}; }
};

TEST_F(LaunchBlocking, TheCallThatSubmitsReturnsTheError) {
  const npuDevPtr at = alloc(64);
  uint64_t value = 0;
  uint64_t done = 0;
  ASSERT_NPU(NPU_OK, npuQueueFill(queue_, at, 1, 8, 64, &value));
  ASSERT_NPU(NPU_OK, npuQueueGetCompleted(queue_, &done));
  EXPECT_EQ(done, value);
  const PokeArgs bad{0x10, 1.0f, 0};
  EXPECT_NPU(NPU_ERROR_VM_FAULT, launch(queue_, kernel("poke"), &bad, sizeof bad));
  EXPECT_NE(std::strstr(last_error().text, "kernel 'poke'"), nullptr) << last_error().text;
  ASSERT_NPU(NPU_OK, npuQueueReset(queue_, kLongNs));
}

TEST_F(LaunchBlocking, WhatWaitsForALaterCallDoesNotHang) {
  const npuDevPtr gate = alloc(8);
  const npuDevPtr at = alloc(64);
  npuQueue other = make_queue();
  ASSERT_NPU(NPU_OK, npuQueueWaitSemaphore(queue_, gate, 1, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueFill(queue_, at, 1, 8, 64, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueSignal(other, gate, 1, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
  ASSERT_NPU(NPU_OK, npuQueueDestroy(other));
}

TEST(Layers, WhatTheyNeedIsNamed) {
  {
    const ScopedEnv layers("NPU_LAYERS", "record");
    EXPECT_NPU(NPU_ERROR_BAD_ENVIRONMENT, npuInit());
    EXPECT_NE(std::strstr(last_error().remedy, "NPU_RECORD_FILE"), nullptr);
    const ScopedEnv file("NPU_RECORD_FILE", "/nowhere/record");
    EXPECT_NPU(NPU_ERROR_FILE, npuInit());
  }
  const ScopedEnv trace("NPU_TRACE", "/nowhere/trace");
  EXPECT_NPU(NPU_ERROR_FILE, npuInit());
}

TEST(Layers, AProcessThatEndsWithoutShutdownLeavesWholeFiles) {
  char pattern[] = "/tmp/npu-exit-XXXXXX";
  ASSERT_NE(mkdtemp(pattern), nullptr);
  const std::string folder = pattern;
  const ScopedEnv layers("NPU_LAYERS", "record,leak");
  const ScopedEnv file("NPU_RECORD_FILE", (folder + "/record").c_str());
  const ScopedEnv trace("NPU_TRACE", (folder + "/trace").c_str());
  const ScopedEnv log("NPU_LOG_FILE", (folder + "/log").c_str());
  const pid_t child = fork();
  if (child == 0) {
    npuDevice device = nullptr;
    std::exit(npuInit() == NPU_OK && npuDeviceOpen(nullptr, &device) == NPU_OK ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_EQ(status, 0);
  EXPECT_NE(read_text(folder + "/record").find("{\"end\": \"exit\""), std::string::npos);
  const std::string traced = read_text(folder + "/trace");
  EXPECT_EQ(traced.substr(traced.size() - 4), "\n]}\n");
  EXPECT_NE(read_text(folder + "/log").find("leak: device"), std::string::npos);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace npu::conformance
