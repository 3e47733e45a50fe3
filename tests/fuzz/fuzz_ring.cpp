// SPDX-License-Identifier: Apache-2.0
// Fuzz target: what a hostile process can put into its ring. Each input is a list of commands for a
// queue of one context; another context's memory must not change, and its queue must go on working.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "tests/unit/device/test_driver.h"
#include "tests/unit/device/test_kernels.h"

namespace {

using namespace npu::test;

constexpr size_t kMaxCommands = 48;
constexpr uint8_t kGuard = 0x5a;

npu_profile tiny_profile() {
  npu_profile profile = small_profile();
  profile.hbm_bytes = 512 << 20;  // sparse; queues of earlier inputs are not given back
  return profile;
}

DriverOptions options() {
  DriverOptions result;
  result.profile = tiny_profile();
  result.worker_threads = 2;
  return result;
}

class Arena {
 public:
  Arena() {
    const npu_completion record = driver_.load_module(loader_, standard_blob());
    if (record.status != NPU_ST_OK) std::abort();
    module_ = static_cast<uint32_t>(record.result);
    std::memset(guard_.data, kGuard, guard_.bytes);
    TestDriver::QueueOptions queue_options;
    queue_options.budget = 20'000;
    attacker_ = driver_.create_queue(context_, queue_options);
  }

  // An error stops the queue: what is behind it goes into the ring of a new one.
  void run(const uint8_t* data, size_t size) {
    std::vector<npu_cmd> commands;
    while (size >= 16 && commands.size() < kMaxCommands) {
      const size_t used = decode(data, size, &commands);
      data += used;
      size -= used;
    }
    for (size_t done = 0; done < commands.size();) {
      restart_queue();
      for (size_t i = done; i < commands.size(); ++i) attacker_.push(commands[i]);
      const size_t left = commands.size() - done;
      attacker_.ring_value(size == 15 ? left + 1000 : left);
      wait(left);
      // One that waits for ever, or wrote over its own control page, is passed over.
      done += std::clamp<size_t>(attacker_.completed(), 1, left);
    }
    check();
  }

 private:
  void restart_queue() {
    driver_.mailbox(NPU_MBOX_QUEUE_DESTROY, {attacker_.id});
    std::memset(attacker_.control.data, 0, attacker_.control.bytes);
    attacker_.written = 0;
    const int status =
        driver_.mailbox(NPU_MBOX_QUEUE_CREATE,
                        {attacker_.id, context_, attacker_.ring_memory.dva, attacker_.control.dva,
                         6 | 1 << 8, attacker_.doorbell_slot, 20'000});
    if (status != NPU_ST_OK) std::abort();
  }

  uint64_t address(uint8_t choice) const {
    const uint64_t places[] = {data_.dva,
                               data_.dva + data_.bytes - 64,
                               host_.dva,
                               attacker_.ring_memory.dva,
                               guard_.dva,
                               attacker_.control.dva,
                               attacker_.control.dva + 4096,
                               0,
                               ~0ull - 7,
                               (1ull << 48) - 64};
    return places[choice % std::size(places)] + (choice / 16) * 8;
  }

  // A raw command of 64 bytes, or one of 16 bytes that is filled in to something nearly right.
  size_t decode(const uint8_t* data, size_t size, std::vector<npu_cmd>* commands) const {
    npu_cmd command{};
    if (data[0] >= 0xe0 && size >= sizeof(command)) {
      std::memcpy(&command, data, sizeof(command));
      command.op = data[0] & 15;
      commands->push_back(command);
      return sizeof(command);
    }
    command.op = data[0] % NPU_CMD_COUNT;
    command.tag = data[1];
    uint64_t words[7] = {};
    shape(command.op, data, words);
    if (data[2] & 0x80) words[data[2] % 7] ^= uint64_t{data[3]} << (data[2] % 57);
    std::memcpy(command.body, words, sizeof(words));
    commands->push_back(command);
    return 16;
  }

  void shape(uint8_t op, const uint8_t* data, uint64_t* words) const {
    const uint64_t small = data[6] | data[7] << 8;
    switch (op) {
      case NPU_CMD_LAUNCH:
        words[0] = module_ | uint64_t{data[4] % 7u} << 32;
        words[1] = (1 + data[5] % 40u) | uint64_t{1} << 32;
        words[2] = 1 | uint64_t{(data[6] % 4u) * 8u} << 32;
        words[3] = address(data[8]);
        break;
      case NPU_CMD_COPY:
        words[0] = address(data[4]);
        words[1] = address(data[5]);
        words[2] = small;
        words[3] = (1 + data[8] % 8u) | uint64_t{1 + data[9] % 4u} << 32;
        words[4] = data[10] * 8u | uint64_t{data[11] * 8u} << 32;
        words[5] = data[12] * 64u;
        words[6] = data[13] * 64u;
        break;
      case NPU_CMD_FILL:
        words[0] = address(data[4]);
        words[1] = small;
        words[2] = data[8];
        words[3] = (1u << (data[9] % 4)) | uint64_t{1 + data[10] % 8u} << 32;
        words[4] = data[11] * 64u;
        break;
      case NPU_CMD_EXEC:
        words[0] = attacker_.ring_memory.dva + data[4] % 64 * 64;
        words[1] = data[5] % 3 == 0 ? 0 : address(data[5]);
        words[2] = data[6] % 32;
        break;
      case NPU_CMD_MODULE_LOAD:
        words[0] = address(data[4]);
        words[1] = small;
        break;
      case NPU_CMD_MODULE_UNLOAD:
        words[2] = data[4] == 77 ? small : 0;
        break;
      default:
        words[0] = address(data[4]);
        words[1] = data[5];
        words[2] = data[6] % 4;
        break;
    }
  }

  // Until all has ended, the queue has stopped, or it evidently waits for something that never
  // comes.
  void wait(size_t commands) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(3);
    while (attacker_.completed() < commands && attacker_.state() == NPU_QUEUE_STATE_READY &&
           std::chrono::steady_clock::now() < end) {
      std::this_thread::yield();
    }
  }

  void check() {
    if (victim_.run(nop()).status != NPU_ST_OK) std::abort();
    for (const uint8_t byte : guard_.as<uint8_t>()) {
      if (byte != kGuard) std::abort();
    }
    driver_.take_events();
  }

  TestDriver driver_{options()};
  uint32_t context_ = driver_.create_context();
  uint32_t victim_context_ = driver_.create_context();
  TestQueue loader_ = driver_.create_queue(context_);
  TestQueue victim_ = driver_.create_queue(victim_context_);
  Buffer data_ = driver_.make_buffer(context_, 64 * 1024);
  Buffer host_ = driver_.make_buffer(context_, 16 * 1024, Place::kHost);
  Buffer guard_ = driver_.make_buffer(victim_context_, 64 * 1024);
  TestQueue attacker_;
  uint32_t module_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static auto* arena = new Arena;
  arena->run(data, size);
  return 0;
}
